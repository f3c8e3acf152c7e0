//! Help for two readers: `--help` shows the common options, `--help-all` every option.
//!
//! Rare options are hidden (`hide = true`). `--help-all` anywhere on the command line becomes
//! `--help` of a command whose options are all shown.

use std::ffi::OsString;

use clap::{Command, CommandFactory as _};

use super::{Cli, values, version};

const FLAG: &str = "--help-all";

/// The command line of the program. Its help shows the options that [`arguments`] ask for.
pub(super) fn command() -> Command {
    let command = values::without_empty_variables(with_version(Cli::command()));
    match asked_for_all() {
        true => shown(command),
        false => {
            let n_global = hidden(&command);
            with_hint(command, "idiolect", n_global)
        }
    }
}

/// The command line with all options shown, for manual pages.
pub(super) fn whole_command() -> Command {
    shown(Cli::command())
}

/// Says of the build what `--version` shows and `-V` does not.
fn with_version(command: Command) -> Command {
    // The program asks once, and clap takes texts that live as long as it.
    let version: &'static str = Box::leak(version::long().into_boxed_str());
    command.long_version(version)
}

/// The arguments of the program, with `--help` in place of `--help-all`.
pub(super) fn arguments() -> Vec<OsString> {
    let arguments = std::env::args_os();
    match asked_for_all() {
        true => arguments.filter(|word| word != FLAG).chain([OsString::from("--help")]).collect(),
        false => arguments.collect(),
    }
}

fn asked_for_all() -> bool {
    std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == FLAG)
}

/// The command with all options shown, its own and those of its subcommands.
fn shown(command: Command) -> Command {
    command.mut_args(|arg| arg.hide(false)).mut_subcommands(shown)
}

fn hidden(command: &Command) -> usize {
    command.get_arguments().filter(|arg| arg.is_hide_set()).count()
}

/// Adds a line with the number of hidden options to the help of a command and its subcommands.
/// `n_global` hidden options belong to every subcommand.
fn with_hint(command: Command, path: &str, n_global: usize) -> Command {
    let n_hidden = match command.get_name() == path {
        true => n_global,
        false => n_global + hidden(&command),
    };
    let hint = format!("Run `{path} {FLAG}` for {n_hidden} more options.");
    let after = match command.get_after_help() {
        Some(after) => format!("{after}\n\n{hint}"),
        None => hint,
    };
    let path = path.to_owned();
    command.after_help(after).mut_subcommands(move |command| {
        let path = format!("{path} {}", command.get_name());
        with_hint(command, &path, n_global)
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::shown(super::command()).debug_assert();
    }
}
