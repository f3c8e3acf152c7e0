//! A contrast rule as text: its name and the settings that differ from its defaults, e.g.
//! `peers,b=0.3`.

use crate::steering::Contrast;
use serde::{Deserialize, Deserializer, Serializer, de, ser};
use serde_json::{Map, Value, json};

const EXPECTED: &str = "none, context-steering, plausible, top-k, tier or peers, with settings after \
                        it, e.g. `peers,b=0.3`";

/// Default settings of a rule; `None` if there is no such rule.
fn defaults(name: &str) -> Option<Value> {
    Some(match name {
        "none" => json!({}),
        "context-steering" => json!({ "strength": 0.3 }),
        "plausible" => json!({ "strength": 0.1, "plausible": 0.1, "outside": 5.0 }),
        "top-k" => json!({ "k": 10, "weight": 0.8, "outside": 5.0 }),
        "tier" => json!({ "b": 1.0, "plausible": 0.05, "outside": 5.0 }),
        "peers" => json!({ "a": 1.0, "b": 0.2, "plausible": 0.0, "divergence": 0.1, "ramp": 0 }),
        _ => return None,
    })
}

fn parse(text: &str) -> Result<Contrast, String> {
    let mut words = text.split(',');
    let name = words.next().unwrap_or_default();
    let Some(Value::Object(mut rule)) = defaults(name) else {
        return Err(format!("no such rule, expected {EXPECTED}"));
    };
    for word in words {
        let setting = word.split_once('=').and_then(|(key, value)| {
            let known = rule.get_mut(key)?;
            *known = serde_json::from_str::<Value>(value).ok().filter(Value::is_number)?;
            Some(())
        });
        if setting.is_none() {
            return Err(format!("`{word}` is not a setting of {name}, expected {}", known(&rule)));
        }
    }
    rule.insert("rule".to_owned(), name.into());
    serde_json::from_value(rule.into()).map_err(|error| error.to_string())
}

/// The settings of a rule, for messages.
fn known(rule: &Map<String, Value>) -> String {
    let known: Vec<String> = rule.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

pub(super) fn serialize<S: Serializer>(contrast: &Contrast, to: S) -> Result<S::Ok, S::Error> {
    // By way of JSON text, which has the shortest digits of each `f32`.
    let rule = serde_json::to_string(contrast).and_then(|text| serde_json::from_str(&text));
    let rule: Map<String, Value> = rule.map_err(ser::Error::custom)?;
    let mut text = rule["rule"].as_str().unwrap_or_default().to_owned();
    for (key, value) in rule.iter().filter(|(key, value)| *key != "rule" && !value.is_null()) {
        text.push_str(&format!(",{key}={value}"));
    }
    to.serialize_str(&text)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Contrast, D::Error> {
    parse(&String::deserialize(from)?).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_rule_is_named_with_the_settings_that_differ() {
        assert_eq!(parse("none"), Ok(Contrast::None));
        assert_eq!(
            parse("context-steering,strength=0.7"),
            Ok(Contrast::ContextSteering { strength: 0.7 })
        );
        let Ok(Contrast::Peers(peers)) = parse("peers,b=0.4,ramp=30") else { unreachable!() };
        assert_eq!((peers.a, peers.b, peers.ramp), (1.0, 0.4, 30));
        let tier = Contrast::Tier { b: 2.0, plausible: 0.05, outside: Some(5.0) };
        assert_eq!(parse("tier,b=2"), Ok(tier));
        assert!(parse("top-k,k=1.5").unwrap_err().contains("1.5"));
        for wrong in ["", "loud", "peers,c=1", "peers,b", "peers,b=x", "none,b=1"] {
            assert!(parse(wrong).unwrap_err().contains("expected"), "{wrong}");
        }
        for text in ["none", "peers,a=1.0,b=0.4,plausible=0.0,divergence=0.1,ramp=30"] {
            let rule = parse(text).unwrap();
            assert_eq!(serialize(&rule, serde_json::value::Serializer).unwrap(), text);
        }
    }
}
