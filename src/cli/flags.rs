//! Flags that set one setting of the methods each, e.g. `--lexical` sets `idiolect.lexical`.
//!
//! A flag has the same checks as `--set`. Its default, where it has one, is that of the setting.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use idiolect::methods::{
    Extraction, FermiOptimiser, Form, MethodOptions, RankedBy, Statements, Texts,
};
use idiolect::peers::Selector;
use idiolect::task::DifferenceFormat;
use serde_json::Value;

use super::values;

/// One flag.
struct Flag {
    name: &'static str,
    /// Key of the setting.
    key: &'static str,
    takes: Takes,
    heading: &'static str,
    /// Whether `--help` shows it; otherwise only `--help-all` does.
    common: bool,
    help: &'static str,
}

/// Value that a flag takes.
enum Takes {
    /// A text, checked against the setting; the field is the name of the value in the help.
    Text(&'static str),
    /// One of these names.
    Name(&'static str, fn() -> &'static [&'static str]),
    /// Texts separated by commas; the flag may be repeated.
    List(&'static str),
    /// No value: the flag sets this one.
    Nothing(&'static str),
}

const COMPARISON: &str = "Comparison with other users";
const IDIOLECT: &str = "Method idiolect";
const TIERS: &str = "Method tiers";
const FERMI: &str = "Method fermi";
const PAD: &str = "Method pad";
const SAMPLING: &str = "Sampling of the text (instead of the task's)";

const fn flag(name: &'static str, key: &'static str, takes: Takes, help: &'static str) -> Flag {
    Flag { name, key, takes, heading: COMPARISON, common: false, help }
}

const fn idiolect(name: &'static str, key: &'static str, takes: Takes, help: &'static str) -> Flag {
    Flag { name, key, takes, heading: IDIOLECT, common: false, help }
}

const fn tier(name: &'static str, key: &'static str, help: &'static str) -> Flag {
    Flag { name, key, takes: Takes::Text("TEXT;..."), heading: TIERS, common: false, help }
}

const fn fermi(name: &'static str, key: &'static str, takes: Takes, help: &'static str) -> Flag {
    Flag { name, key, takes, heading: FERMI, common: false, help }
}

const fn pad(name: &'static str, key: &'static str, help: &'static str) -> Flag {
    Flag { name, key, takes: Takes::Text("N"), heading: PAD, common: false, help }
}

const fn sampling(
    name: &'static str,
    key: &'static str,
    value: &'static str,
    help: &'static str,
) -> Flag {
    let common = matches!(name.as_bytes(), b"temperature");
    Flag { name, key, takes: Takes::Text(value), heading: SAMPLING, common, help }
}

const FLAGS: [Flag; 39] = [
    flag(
        "n",
        "n",
        Takes::Text("N"),
        "Maximum number of past texts in a prompt and of items compared; lower it to save time and \
         memory [default: the task's; 8 for reviews]",
    ),
    flag(
        "k",
        "k",
        Takes::Text("K"),
        "Number of representatives per item, and of other reviewers that an item needs to be \
         compared; lower it if few users share items [default: the task's; 4 for reviews]",
    ),
    flag(
        "selector",
        "selector",
        Takes::Name("NAME", values::names_of::<Selector>),
        "Selection of representatives: of each cluster but the user's own, the most typical member \
         (kmeans, as in DPL) or a random one (random-member); at random (random); the least similar \
         to the user's text (farthest); those of the nearest users (neighbours). Change it to \
         compare selections",
    ),
    flag(
        "profile-seed",
        "profile-seed",
        Takes::Text("N"),
        "Seed of the representatives, the differences and the profile; change it to see how much \
         they vary",
    ),
    flag(
        "profile-max-tokens",
        "profile-max-tokens",
        Takes::Text("N"),
        "Maximum number of tokens of each difference and of the profile; raise it if they end too \
         early [default: the task's]",
    ),
    flag(
        "peers-first",
        "order",
        Takes::Nothing("peers-first"),
        "In comparisons, put the peers' texts before the user's, so that all users of an item share \
         a prompt prefix; faster for many users, but not as DPL does",
    ),
    flag(
        "differences",
        "difference-form",
        Takes::Name("FORM", values::names_of::<DifferenceFormat>),
        "Form of the differences: free (free text, as in DPL) or constrained (a JSON object with \
         one short statement per dimension); use constrained if a small model does not keep to the \
         form",
    ),
    flag(
        "no-differences",
        "differences",
        Takes::Nothing("false"),
        "Extract no differences: the profile is made of past texts alone; for ablations",
    ),
    flag(
        "without-dimension",
        "without-dimensions",
        Takes::List("KEY,..."),
        "Leave out dimensions of the differences, by their keys in the task (for reviews: writing, \
         emotional, semantic); for ablations",
    ),
    idiolect(
        "prompts",
        "idiolect.prompts",
        Takes::Text("NUMBER"),
        "Number of prompts with --n texts of the user each, whose predictions are averaged: the second \
         has the next newest or next most relevant texts; takes as many times the time; 0 takes 1 or \
         2, whichever makes texts of the corpus likelier [default: 2]",
    ),
    idiolect(
        "expected",
        "idiolect.expected",
        Takes::Text("X"),
        "Strength of words that the user's newest texts have more or less often than the model expected \
         when it read them; raise it for more of the user's habits, 0 turns it off [default: 1, or \
         estimated]",
    ),
    idiolect(
        "expected-prior",
        "idiolect.expected-prior",
        Takes::Text("COUNT"),
        "Number of expected occurrences of a word at which the user's count is believed by half; raise \
         it for users with little text [default: 2, or estimated]",
    ),
    idiolect(
        "corpus",
        "idiolect.corpus",
        Takes::Text("X"),
        "Strength of words that other users' texts have more or less often than the model expected \
         when it read them; the model reads some thousand words of others once; 0 turns it off [default: 1, \
         or estimated]",
    ),
    idiolect(
        "lexical",
        "idiolect.lexical",
        Takes::Text("X"),
        "Strength of the user's word choice, compared with other users', in the scores of all \
         tokens; 0 turns it off [default: 0, with a model on a server 0.5, or estimated]",
    ),
    idiolect(
        "lexical-prior",
        "idiolect.lexical-prior",
        Takes::Text("TOKENS"),
        "Smoothing of the user's word counts, in pseudo-tokens; raise it for users with little text \
         [default: 1000, or estimated]",
    ),
    idiolect(
        "phrases",
        "idiolect.phrases",
        Takes::Text("SHARE"),
        "Interpolation weight of the user's bigram/trigram cache, 0 to 1; raise it for more of the \
         user's set phrases, 0 turns it off [default: 0, or estimated]",
    ),
    idiolect(
        "power",
        "idiolect.power",
        Takes::Text("X"),
        "Power of the model's probabilities (experimental); below 1 for a model that is too sure of \
         its next word [default: 1, or estimated]",
    ),
    idiolect(
        "item-words",
        "idiolect.item",
        Takes::Text("X"),
        "Strength of the word choice of others' texts on the item (experimental); raise it if item \
         titles and descriptions say little [default: 0, or estimated]",
    ),
    idiolect(
        "item-phrases",
        "idiolect.item-phrases",
        Takes::Text("SHARE"),
        "Interpolation weight of the bigram/trigram cache of others' texts on the item, 0 to 1 \
         (experimental) [default: 0, or estimated]",
    ),
    idiolect(
        "estimate",
        "idiolect.estimate",
        Takes::Nothing("true"),
        "Estimate the strengths that are not given, once for the corpus and the model, by the \
         likelihood of texts of up to 32 users (experimental); takes minutes at the first use",
    ),
    idiolect(
        "guard-words",
        "idiolect.guard-words",
        Takes::Text("N"),
        "Never copy N words in a row from another user's text on the same items; lower it to forbid \
         shorter copies, 0 turns the check off",
    ),
    idiolect(
        "any-length",
        "idiolect.as-long",
        Takes::Nothing("false"),
        "Let the model choose the length of the text, instead of making it about as long as the \
         user's texts",
    ),
    idiolect(
        "form",
        "idiolect.form",
        Takes::Name("FORM", values::names_of::<Form>),
        "Form of past texts in the prompt, also of scp (setting scp.form): answers of the assistant \
         (conversation), all in one message (flat, experimental), or entries of a plain document that \
         the model continues (completion, experimental); use completion for a base model, which has \
         no chat template",
    ),
    idiolect(
        "texts",
        "idiolect.texts",
        Takes::Name("WHICH", values::names_of::<Texts>),
        "Past texts in the prompt: the newest, the most relevant to the target (experimental), \
         what makes texts of the corpus likelier of these two (estimated, experimental), or \
         chosen by what makes the user's own newest texts likelier (experimental, slower); try \
         relevant if the user writes about very different things",
    ),
    idiolect(
        "fit",
        "idiolect.fit",
        Takes::Nothing("true"),
        "Fit the strengths of --lexical and --contrast, and the number of peers' prompts, by the \
         likelihood of the user's own past texts (experimental); slower, needs two past texts",
    ),
    idiolect(
        "contrast",
        "idiolect.contrast",
        Takes::Text("RULE"),
        "Combine the user's prompt with contrasting prompts (experimental, slower): none; \
         context-steering[,strength=0.3] (CoS); plausible[,strength=0.1,plausible=0.1,outside=5] \
         (CoPe); top-k[,k=10,weight=0.8,outside=5] (PAD); tier[,b=1,plausible=0.05,outside=5] (method tiers, \
         the prompt without the user's wishes); \
         peers[,a=1,b=0.2,plausible=0,divergence=0.1,ramp=0]. Try peers to stress what sets the user \
         apart",
    ),
    idiolect(
        "distinct",
        "idiolect.distinct",
        Takes::Text("SHARE"),
        "Distinctness of the user, 0 (like everybody) to 1, which multiplies b of --contrast peers \
         (experimental); set 1 to apply the contrast to all users alike [default: estimated by a \
         classifier of the user's and peers' texts on the same items]",
    ),
    idiolect(
        "statements",
        "idiolect.statements",
        Takes::Name("WHICH", values::names_of::<Statements>),
        "Statements about the user in the prompt (experimental): none, measured in the texts, \
         written by the language model (told, slower), or both; try measured with a large model",
    ),
    idiolect(
        "told",
        "idiolect.extraction",
        Takes::Name("HOW", values::names_of::<Extraction>),
        "Extraction of statements by the language model (experimental): constrained (one sentence \
         per dimension), free (free text, as in DPL), or open (also along dimensions that the model \
         proposes and checks, as in DRP); change it to compare the forms",
    ),
    idiolect(
        "unverified",
        "idiolect.verify",
        Takes::Nothing("false"),
        "Show statements without validating that they make the user's own texts likelier \
         (experimental); faster",
    ),
    idiolect(
        "best-of",
        "idiolect.best-of",
        Takes::Text("N"),
        "Write N texts and keep the best by --by (experimental); takes N times as long",
    ),
    idiolect(
        "by",
        "idiolect.by",
        Takes::Name("MEASURE", values::names_of::<RankedBy>),
        "Measure of --best-of: by how much the log-probability under the user's prompt exceeds that \
         under the peers' prompts (likelihood, method idiolect), or the reward head of `idiolect train \
         np` (np, all methods)",
    ),
    tier(
        "operator",
        "tiers.operator",
        "Rules of the operator, separated by semicolons; they win over the user's wishes [default: the \
         task's]",
    ),
    tier(
        "wishes",
        "tiers.user",
        "Wishes of the user, separated by semicolons, before the statements of the profile [default: the \
         task's]",
    ),
    tier(
        "request",
        "tiers.request",
        "Instructions for this text, separated by semicolons [default: the task's]",
    ),
    fermi(
        "optimiser",
        "fermi.optimiser",
        Takes::Name("HOW", values::names_of::<FermiOptimiser>),
        "Maker of instructions: recombined measured statements (measured), or proposals of the language \
         model (model); take model from 1.5 billion parameters on",
    ),
    fermi(
        "rounds",
        "fermi.rounds",
        Takes::Text("N"),
        "Most rounds of new instructions; lower it to save time",
    ),
    pad(
        "reward-weight",
        "pad.weight",
        "Weight of the trained reward of tokens; 0 writes as scp does",
    ),
    pad("reward-k", "pad.k", "Number of likeliest tokens that are rewarded; others get a penalty"),
];

const SAMPLING_FLAGS: [Flag; 6] = [
    sampling(
        "temperature",
        "sampling.temperature",
        "T",
        "Sampling temperature: 0 always takes the likeliest token; raise it for more varied text",
    ),
    sampling(
        "top-k",
        "sampling.top-k",
        "K",
        "Sample from the K likeliest tokens; lower it for safer text, 0 keeps all",
    ),
    sampling(
        "top-p",
        "sampling.top-p",
        "P",
        "Sample from the smallest set of tokens whose probability reaches P; lower it for safer \
         text, 1 keeps all",
    ),
    sampling(
        "min-p",
        "sampling.min-p",
        "P",
        "Sample from tokens at least P times as likely as the likeliest; raise it for safer text, 0 \
         keeps all",
    ),
    sampling(
        "repetition-penalty",
        "sampling.repetition-penalty",
        "X",
        "Penalty on tokens that already occurred; raise it if the text repeats words, 1 is off",
    ),
    sampling(
        "dry-multiplier",
        "sampling.dry-multiplier",
        "X",
        "DRY: strength of the penalty on repeating a run of tokens; raise it if the text goes in \
         circles, 0 is off",
    ),
];

/// The settings that the flags of a command set: key and text, in the order of the help. `SAMPLING`
/// adds the flags of sampling.
#[derive(Debug, Clone)]
pub(crate) struct SettingFlags<const SAMPLING: bool>(pub(crate) Vec<(&'static str, String)>);

impl<const SAMPLING: bool> SettingFlags<SAMPLING> {
    fn flags() -> impl Iterator<Item = &'static Flag> {
        FLAGS.iter().chain(SAMPLING_FLAGS.iter().filter(|_| SAMPLING))
    }
}

impl<const SAMPLING: bool> clap::Args for SettingFlags<SAMPLING> {
    fn augment_args(command: Command) -> Command {
        let defaults = MethodOptions::default().to_value();
        Self::flags().fold(command, |command, flag| command.arg(flag.arg(&defaults)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<const SAMPLING: bool> clap::FromArgMatches for SettingFlags<SAMPLING> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = Self::flags().filter_map(|flag| Some((flag, flag.value(matches)?)));
        let pairs =
            given.flat_map(|(flag, value)| flag.keys().map(move |key| (key, value.clone())));
        Ok(Self(pairs.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Flag {
    /// Keys of all settings that the flag sets. Those of `--form` belong to two methods.
    fn keys(&self) -> impl Iterator<Item = &'static str> {
        let other = (self.name == "form").then_some("scp.form");
        std::iter::once(self.key).chain(other)
    }

    fn arg(&self, defaults: &Value) -> Arg {
        let default =
            match (defaults.pointer(&format!("/{}", self.key.replace('.', "/"))), self.key) {
                (_, "n" | "k") | (None | Some(Value::Null | Value::Array(_)), _) => String::new(),
                (Some(Value::String(name)), _) => format!(" [default: {name}]"),
                // `f64` shows whole numbers without a point.
                (Some(value), _) => format!(" [default: {}]", value.as_f64().unwrap_or_default()),
            };
        let key = self.key;
        let checked = move |text: &str| -> Result<String, String> {
            let checked = MethodOptions::default().set(key, text);
            checked.map(|()| text.to_owned()).map_err(|error| error.to_string())
        };
        let arg = Arg::new(self.name).long(self.name).help_heading(self.heading).hide(!self.common);
        let arg = match self.name {
            "no-differences" => {
                arg.conflicts_with_all(["differences", "peers-first", "without-dimension"])
            }
            _ => arg,
        };
        let (name, default) = match &self.takes {
            Takes::Nothing(value) => {
                let arg = arg.action(ArgAction::SetTrue);
                return arg.help(format!("{} [setting: {}={value}]", self.help, self.key));
            }
            Takes::Text(name) | Takes::Name(name, _) => (*name, default),
            Takes::List(name) => (*name, String::new()),
        };
        let help = format!("{} [setting: {}]{default}", self.help, self.key);
        let arg = arg.value_name(name).help(help);
        match &self.takes {
            Takes::Name(_, names) => arg.value_parser(PossibleValuesParser::new(names())),
            Takes::List(_) => arg.action(ArgAction::Append).value_delimiter(','),
            _ => arg.value_parser(checked).allow_negative_numbers(true),
        }
    }

    /// The value that the command line gives; `None` if the flag is not there.
    fn value(&self, matches: &ArgMatches) -> Option<String> {
        match self.takes {
            Takes::Nothing(value) => matches.get_flag(self.name).then(|| value.to_owned()),
            _ => {
                let values: Vec<String> = matches.get_many(self.name)?.cloned().collect();
                Some(values.join(","))
            }
        }
    }
}
