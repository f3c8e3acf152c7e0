//! Values that several options share: numbers with bounds, and switches read from the environment.
//!
//! Every number that sizes something (threads, tokens, texts, runs) has an upper bound, far above
//! what is useful and below what would keep the machine busy without an end.

use std::ops::RangeInclusive;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use idiolect::methods::Method;

/// Most tokens of a text or a prompt; models have windows of up to a million.
const MAX_TOKENS: u64 = 1 << 20;
/// Most memory for KV caches in MiB: 16 TiB.
const MAX_MIB: u64 = 1 << 24;

/// A whole number in a range.
pub(crate) fn number(range: RangeInclusive<u64>) -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u64).range(range).map(|n| n as usize)
}

/// Items, peers, past texts or runs: 1 to 1000.
pub(crate) fn count() -> impl TypedValueParser<Value = usize> {
    number(1..=1000)
}

/// Users, pairs of users, or other rows of the store: up to a billion; `least` is 0 or 1.
pub(crate) fn rows(least: u64) -> impl TypedValueParser<Value = usize> {
    number(least..=1_000_000_000)
}

/// Tokens; `least` is 0 or 1.
pub(crate) fn tokens(least: u64) -> impl TypedValueParser<Value = usize> {
    number(least..=MAX_TOKENS)
}

/// Threads, at most [`max_threads`]; 0 takes one a core.
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

/// Most threads: four a CPU, and 16 on small machines. More than one a core only slow the work down,
/// by 90 times with 512 threads on 2 CPUs.
fn max_threads() -> usize {
    16.max(4 * cpus())
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Sequences that run at once, or texts of which the best is taken.
pub(crate) fn sequences() -> impl TypedValueParser<Value = usize> {
    number(1..=1024)
}

/// Memory in MiB.
pub(crate) fn mebibytes() -> impl TypedValueParser<Value = usize> {
    number(0..=MAX_MIB)
}

/// The name of a method.
pub(crate) fn method() -> impl TypedValueParser<Value = Method> {
    PossibleValuesParser::new(Method::ALL.map(Method::name))
        .try_map(|name| Method::named(&name).ok_or("there is no such method"))
}

/// A switch that the environment can set: 1/0, yes/no, on/off, true/false, in any case.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_lowercase().as_str() {
        "1" | "y" | "yes" | "on" | "t" | "true" => Ok(true),
        "0" | "n" | "no" | "off" | "f" | "false" => Ok(false),
        _ => Err("1 or 0, yes or no, on or off, true or false is needed".to_owned()),
    }
}

/// Takes the environment variables that are set but empty from all options of a command, so that
/// they count as unset.
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
