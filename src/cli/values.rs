//! Value parsers that several options share: bounded numbers, names, and switches read from the
//! environment.
//!
//! Every number that sizes something (threads, tokens, texts, runs) has an upper bound: far above
//! useful values, and low enough that the work ends.

use std::ops::RangeInclusive;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use idiolect::methods::Method;
use serde::de::value::{Error as ValueError, StrDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer as _, Visitor};

/// Maximum number of tokens of a text or a prompt; models have windows of up to a million.
const MAX_TOKENS: u64 = 1 << 20;
/// Maximum memory for KV caches in MiB: 16 TiB.
const MAX_MIB: u64 = 1 << 24;

/// Parser of a whole number in `range`.
pub(crate) fn number(range: RangeInclusive<u64>) -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u64).range(range).map(|n| n as usize)
}

/// Parser of a number of items, peers, past texts or runs: 1 to 1000.
pub(crate) fn count() -> impl TypedValueParser<Value = usize> {
    number(1..=1000)
}

/// Parser of a number of users, pairs of users, or other rows of the store: `least` (0 or 1) to a
/// billion.
pub(crate) fn rows(least: u64) -> impl TypedValueParser<Value = usize> {
    number(least..=1_000_000_000)
}

/// Parser of a number of tokens: `least` (0 or 1) to [`MAX_TOKENS`].
pub(crate) fn tokens(least: u64) -> impl TypedValueParser<Value = usize> {
    number(least..=MAX_TOKENS)
}

/// Parses a number of threads, at most [`max_threads`]; 0 means one per core.
pub(crate) fn threads(text: &str) -> Result<usize, String> {
    let most = max_threads();
    let n = text.parse::<usize>().map_err(|_| "a whole number is needed".to_owned())?;
    if n > most {
        return Err(format!(
            "at most {most} threads run on this machine's {} CPUs; 0 takes one a core",
            cpus()
        ));
    }
    Ok(n)
}

/// Maximum number of threads: four per CPU, but at least 16. More than one per core only slow the
/// work down, by a factor of 90 with 512 threads on 2 CPUs.
fn max_threads() -> usize {
    16.max(4 * cpus())
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Parser of a number of sequences that run at once, or of texts for best-of-n: 1 to 1024.
pub(crate) fn sequences() -> impl TypedValueParser<Value = usize> {
    number(1..=1024)
}

/// Parses the name of an HTTP header: letters, digits and hyphens.
#[cfg(feature = "serve")]
pub(crate) fn header_name(text: &str) -> Result<String, String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    match !text.is_empty() && text.bytes().all(is_name) {
        true => Ok(text.to_owned()),
        false => Err("letters, digits and hyphens are needed, e.g. X-User".to_owned()),
    }
}

/// Parser of an amount of memory in MiB: 0 to [`MAX_MIB`].
pub(crate) fn mebibytes() -> impl TypedValueParser<Value = usize> {
    number(0..=MAX_MIB)
}

/// Parser of a variant of an enum without fields, by its serde name.
pub(crate) fn named<T: DeserializeOwned + Clone + Send + Sync + 'static>()
-> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(names_of::<T>()).try_map(|name| {
        let name: StrDeserializer<'_, ValueError> = name.as_str().into_deserializer();
        T::deserialize(name)
    })
}

/// Parser of the name of a method.
pub(crate) fn method() -> impl TypedValueParser<Value = Method> {
    PossibleValuesParser::new(Method::all().map(Method::name))
        .try_map(|name| Method::named(&name).ok_or("there is no such method"))
}

/// Help of an option that takes a method: the list of all.
pub(crate) fn method_help() -> String {
    let width = Method::all().map(|method| method.name().len()).max().unwrap_or_default();
    let mut help = "Method; change it to compare methods. dpl and drp take minutes and need a \
                    larger model:"
        .to_owned();
    for method in Method::all() {
        help.push_str(&format!("\n  {:width$}  {}", method.name(), method.about()));
    }
    help
}

/// Serde names of an enum's variants.
pub(crate) fn names_of<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // The error is certain: the deserializer only records the names.
    let _ = T::deserialize(RecordNames(&mut names));
    names
}

/// Serde name of a variant without fields.
pub(crate) fn name_of(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

/// A deserializer without a value that records the variant names an enum asks for.
struct RecordNames<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for RecordNames<'_> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, ValueError> {
        Err(ValueError::custom("not an enum"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, ValueError> {
        *self.0 = variants;
        Err(ValueError::custom("no value"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// Parses a switch from the environment: 1/0, yes/no, on/off, true/false and their first letters,
/// in any case.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_lowercase().as_str() {
        "1" | "y" | "yes" | "on" | "t" | "true" => Ok(true),
        "0" | "n" | "no" | "off" | "f" | "false" => Ok(false),
        _ => Err("1 or 0, yes or no, on or off, true or false is needed".to_owned()),
    }
}

/// Makes environment variables that are set but empty count as unset, for all options of a command
/// and its subcommands.
pub(crate) fn without_empty_variables(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| {
        let variable = arg.get_env().map(ToOwned::to_owned);
        let empty = variable.and_then(std::env::var_os).is_some_and(|value| value.is_empty());
        if empty { arg.env(None::<&str>) } else { arg }
    });
    command.mut_subcommands(without_empty_variables)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_switch_is_read_in_every_usual_form() {
        for yes in ["1", "yes", "YES", "on", "On", "true", "True", " y "] {
            assert_eq!(switch(yes), Ok(true), "{yes}");
        }
        for no in ["0", "no", "No", "off", "OFF", "false", "FALSE", "n"] {
            assert_eq!(switch(no), Ok(false), "{no}");
        }
        for neither in ["", "2", "maybe", "tru"] {
            assert!(switch(neither).unwrap_err().contains("yes or no"), "{neither}");
        }
    }

    #[test]
    fn names_are_those_of_serde() {
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        enum Tea {
            GreenTea,
            #[serde(rename = "black-2")]
            Black,
        }
        assert_eq!(names_of::<Tea>(), ["green-tea", "black-2"]);
        assert_eq!(name_of(&Tea::GreenTea), "green-tea");
        let parsed = clap::Command::new("t")
            .arg(clap::Arg::new("tea").value_parser(named::<Tea>()))
            .get_matches_from(["t", "black-2"]);
        assert_eq!(parsed.get_one::<Tea>("tea"), Some(&Tea::Black));
        assert!(names_of::<String>().is_empty());
    }

    #[test]
    fn threads_are_bounded_by_the_machine() {
        assert_eq!(threads("0"), Ok(0));
        assert_eq!(threads(&max_threads().to_string()), Ok(max_threads()));
        for wrong in [max_threads() + 1, 100_000, usize::MAX] {
            let said = threads(&wrong.to_string()).unwrap_err();
            assert!(said.contains("at most") && said.contains("CPUs"), "{said}");
        }
        assert!(threads("-1").is_err() && threads("many").is_err());
    }
}
