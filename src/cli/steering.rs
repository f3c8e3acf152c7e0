//! Settings of the method `idiolect`.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use idiolect::lm::Contrast;
use idiolect::methods::{Extraction, Form, IdiolectOptions, LexicalOptions, Statements, Texts};
use serde_json::{Value, json};

use super::values;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Method idiolect")]
pub(crate) struct SteeringArgs {
    /// How strongly the user's choice of words against others' counts at every token; 0 leaves it
    /// out
    #[arg(long, value_name = "X", default_value_t = 0.5, value_parser = from_zero)]
    lexical: f32,
    /// Tokens of its own that the user's choice of words must outweigh to count half
    #[arg(long, value_name = "TOKENS", default_value_t = 1000, value_parser = values::rows(1))]
    lexical_prior: usize,
    /// Fit the strengths of --lexical and --contrast, and how many peers' prompts stand against the
    /// user's, by the likelihood of the user's own past texts
    #[arg(long)]
    fit: bool,
    /// How much of each token's distribution is how the user goes on behind the same one and two
    /// tokens, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    phrases: f32,
    /// Set the user's prompt against others: none; context-steering[,strength=0.3] (CoS);
    /// plausible[,strength=0.1,plausible=0.1,outside=5] (CoPe); top-k[,k=10,weight=0.8,outside=5]
    /// (PAD); peers[,a=1,b=0.2,plausible=0,divergence=0.1,ramp=0]
    #[arg(long, value_name = "RULE", default_value = "none")]
    contrast: Rule,
    /// How distinct the user is, 0 (like everybody) to 1: what b of --contrast peers is multiplied by;
    /// without it, how well the user's past texts are told from peers' on the same items
    #[arg(long, value_name = "SHARE", value_parser = share)]
    distinct: Option<f32>,
    /// How past texts stand in the prompt
    #[arg(
        long,
        value_name = "FORM",
        default_value = "conversation",
        value_parser = PossibleValuesParser::new(["conversation", "flat"]).map(form)
    )]
    form: Form,
    /// Past texts that stand there: the newest, the most relevant to the target, or chosen by what
    /// makes the user's own newest texts likelier
    #[arg(
        long,
        value_name = "WHICH",
        default_value = "newest",
        value_parser = PossibleValuesParser::new(["newest", "relevant", "chosen"]).map(texts)
    )]
    texts: Texts,
    /// Statements about the user that the prompt shows: none, measured in the texts, told by the
    /// language model, or both
    #[arg(
        long,
        value_name = "WHICH",
        default_value = "none",
        value_parser = PossibleValuesParser::new(STATEMENTS.map(|(name, _)| name)).map(statements)
    )]
    statements: Statements,
    /// How the language model tells statements: constrained (a sentence a dimension), free (as in
    /// DPL), or open (along dimensions of its own too, which it then checks, as in DRP)
    #[arg(
        long,
        value_name = "HOW",
        default_value = "constrained",
        value_parser = PossibleValuesParser::new(["constrained", "free", "open"]).map(extraction)
    )]
    told: Extraction,
    /// Show statements without the proof that they make the user's own texts likelier
    #[arg(long)]
    unverified: bool,
    /// Leave the length of the text to the model, instead of making it about as long as the user's
    #[arg(long)]
    any_length: bool,
    /// Write N texts and take the one that the user's texts make likelier than peers' do by most
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::sequences())]
    best_of: usize,
    /// Never write N words in a row as they stand in another user's text on the same items; 0 allows
    /// it
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = values::number(0..=1000))]
    guard_words: usize,
}

impl SteeringArgs {
    pub(crate) fn options(&self) -> IdiolectOptions {
        let (strength, prior) = (self.lexical, self.lexical_prior as f64);
        IdiolectOptions {
            form: self.form,
            texts: self.texts,
            lexical: (strength > 0.0).then_some(LexicalOptions { strength, prior }),
            phrases: self.phrases,
            contrast: self.contrast.0,
            distinct: self.distinct,
            fit: self.fit,
            statements: self.statements,
            extraction: self.told,
            verify: !self.unverified,
            guard_words: self.guard_words,
            as_long: !self.any_length,
            best_of: self.best_of,
        }
    }
}

const STATEMENTS: [(&str, Statements); 4] = [
    ("none", Statements::None),
    ("measured", Statements::Measured),
    ("told", Statements::Told),
    ("both", Statements::Both),
];

fn statements(name: String) -> Statements {
    let named = STATEMENTS.iter().find(|(n, _)| *n == name);
    named.map_or(Statements::None, |(_, statements)| *statements)
}

fn extraction(name: String) -> Extraction {
    match name.as_str() {
        "free" => Extraction::Free,
        "open" => Extraction::Open,
        _ => Extraction::Constrained,
    }
}

fn texts(name: String) -> Texts {
    match name.as_str() {
        "relevant" => Texts::Relevant,
        "chosen" => Texts::Chosen,
        _ => Texts::Newest,
    }
}

fn form(name: String) -> Form {
    if name == "flat" { Form::Flat } else { Form::Conversation }
}

fn from_zero(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(x) if x.is_finite() && x >= 0.0 => Ok(x),
        _ => Err("a number from 0 is needed".to_owned()),
    }
}

fn share(text: &str) -> Result<f32, String> {
    from_zero(text)
        .ok()
        .filter(|x| *x <= 1.0)
        .ok_or_else(|| "a number from 0 to 1 is needed".to_owned())
}

/// A rule by its name, and those of its settings that are not as usual.
#[derive(Debug, Clone, Copy)]
struct Rule(Contrast);

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split(',');
        let name = words.next().unwrap_or_default();
        let mut rule = match name {
            "none" => json!({}),
            "context-steering" => json!({ "strength": 0.3 }),
            "plausible" => json!({ "strength": 0.1, "plausible": 0.1, "outside": 5.0 }),
            "top-k" => json!({ "k": 10, "weight": 0.8, "outside": 5.0 }),
            "peers" => json!({
                "a": 1.0, "b": 0.2, "plausible": 0.0, "divergence": 0.1, "ramp": 0
            }),
            _ => {
                return Err("one of none, context-steering, plausible, top-k, peers is needed, \
                            with settings behind it: peers,b=0.3"
                    .to_owned());
            }
        };
        for word in words {
            let setting = word.split_once('=').and_then(|(key, value)| {
                let known = rule.get_mut(key)?;
                *known = serde_json::from_str::<Value>(value).ok().filter(Value::is_number)?;
                Some(())
            });
            if setting.is_none() {
                let known: Vec<&String> =
                    rule.as_object().map(|rule| rule.keys().collect()).unwrap_or_default();
                return Err(format!("`{word}` is no setting of {name}, which has {known:?}"));
            }
        }
        rule["rule"] = json!(name);
        serde_json::from_value(rule).map(Self).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_rule_is_named_with_the_settings_that_differ() {
        let rule = |text: &str| text.parse::<Rule>().map(|rule| rule.0);
        assert_eq!(rule("none"), Ok(Contrast::None));
        assert_eq!(
            rule("context-steering,strength=0.7"),
            Ok(Contrast::ContextSteering { strength: 0.7 })
        );
        let Ok(Contrast::Peers(peers)) = rule("peers,b=0.4,ramp=30") else { unreachable!() };
        assert_eq!((peers.a, peers.b, peers.ramp), (1.0, 0.4, 30));
        assert!(rule("top-k,k=1.5").unwrap_err().contains("1.5"));
        for wrong in ["", "loud", "peers,c=1", "peers,b", "peers,b=x", "none,b=1"] {
            assert!(rule(wrong).is_err(), "{wrong}");
        }
    }
}
