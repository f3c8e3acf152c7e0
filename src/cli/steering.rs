//! Options of the method `idiolect`.

use std::str::FromStr;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use idiolect::methods::{Extraction, Form, IdiolectOptions, LexicalOptions, Statements, Texts};
use idiolect::steering::Contrast;
use serde_json::{Value, json};

use super::values;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Method idiolect")]
pub(crate) struct SteeringArgs {
    /// Strength of the user's word choice, compared with other users', in the scores of all tokens;
    /// raise it for more of the user's vocabulary, 0 turns it off
    #[arg(long, value_name = "X", default_value_t = 0.5, value_parser = from_zero)]
    lexical: f32,
    /// Smoothing of the user's word counts, in pseudo-tokens; raise it for users with little text
    #[arg(long, value_name = "TOKENS", default_value_t = 1000, value_parser = values::rows(1))]
    lexical_prior: usize,
    /// Fit the strengths of --lexical and --contrast, and the number of peers' prompts, by the
    /// likelihood of the user's own past texts; slower, and needs at least two past texts
    #[arg(long)]
    fit: bool,
    /// Interpolation weight of the user's bigram/trigram cache, 0 to 1; raise it for more of the
    /// user's set phrases, 0 turns it off
    #[arg(long, value_name = "SHARE", default_value_t = 0.05, value_parser = share)]
    phrases: f32,
    /// Combine the user's prompt with contrasting prompts (slower): none;
    /// context-steering[,strength=0.3] (CoS); plausible[,strength=0.1,plausible=0.1,outside=5]
    /// (CoPe); top-k[,k=10,weight=0.8,outside=5] (PAD);
    /// peers[,a=1,b=0.2,plausible=0,divergence=0.1,ramp=0]
    #[arg(long, value_name = "RULE", default_value = "none")]
    contrast: ContrastArg,
    /// Distinctness of the user, 0 (like everybody) to 1; multiplies b of --contrast peers. Without
    /// it, it is estimated from how well a classifier tells the user's past texts from peers' on
    /// the same items
    #[arg(long, value_name = "SHARE", value_parser = share)]
    distinct: Option<f32>,
    /// Form of past texts in the prompt: the assistant's answers of a conversation, or flat, all in
    /// one message
    #[arg(
        long,
        value_name = "FORM",
        default_value = "conversation",
        value_parser = PossibleValuesParser::new(["conversation", "flat"]).map(form)
    )]
    form: Form,
    /// Past texts in the prompt: the newest, the most relevant to the target, or chosen by what
    /// makes the user's own newest texts likelier (slower)
    #[arg(
        long,
        value_name = "WHICH",
        default_value = "newest",
        value_parser = PossibleValuesParser::new(["newest", "relevant", "chosen"]).map(texts)
    )]
    texts: Texts,
    /// Statements about the user in the prompt: none, measured in the texts, written by the
    /// language model (told; slower), or both
    #[arg(
        long,
        value_name = "WHICH",
        default_value = "none",
        value_parser = PossibleValuesParser::new(STATEMENTS.map(|(name, _)| name)).map(statements)
    )]
    statements: Statements,
    /// Extraction of statements by the language model: constrained (one sentence per dimension),
    /// free (free text, as in DPL), or open (also along dimensions that it finds and then checks,
    /// as in DRP)
    #[arg(
        long,
        value_name = "HOW",
        default_value = "constrained",
        value_parser = PossibleValuesParser::new(["constrained", "free", "open"]).map(extraction)
    )]
    told: Extraction,
    /// Show statements without validating that they make the user's own texts likelier; faster
    #[arg(long)]
    unverified: bool,
    /// Let the model choose the length of the text, instead of making it about as long as the
    /// user's texts
    #[arg(long)]
    any_length: bool,
    /// Write N texts and keep the one whose mean log-probability is highest under the user's prompt
    /// relative to the peers' prompts; takes N times as long
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::sequences())]
    best_of: usize,
    /// Never copy N words in a row from another user's text on the same items; lower it against
    /// shorter copies, 0 turns the check off
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

/// Value of `--contrast`: the name of a rule and the settings that differ from its defaults.
#[derive(Debug, Clone, Copy)]
struct ContrastArg(Contrast);

impl FromStr for ContrastArg {
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
        let rule = |text: &str| text.parse::<ContrastArg>().map(|rule| rule.0);
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
