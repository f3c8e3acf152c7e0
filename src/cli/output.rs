//! Printing: data to stdout, messages to stderr. No other module prints.
//!
//! Names and texts of the store come from files, and the language model repeats them. [`text`],
//! [`line`], [`json`] and [`note`] let no control character of theirs reach a terminal, where it could
//! clear the screen, set the title, or hide what follows.

#![allow(clippy::print_stderr)]

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

/// Writes bytes of the program's own to stdout, unchanged. If the reader has closed the pipe
/// (`| head`), the program ends with 0.
pub(crate) fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        done => done.context("cannot write to stdout"),
    }
}

/// Writes a text to stdout, with [`visible`] characters only.
pub(crate) fn text(text: &str) -> anyhow::Result<()> {
    raw(visible(text).as_bytes())
}

/// Writes one line of text to stdout, with [`visible`] characters only.
pub(crate) fn line(line: &str) -> anyhow::Result<()> {
    text(&format!("{line}\n"))
}

/// Writes one JSON value and a newline to stdout. Control characters are escaped.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let json = serde_json::to_string(value)?;
    let mut escaped = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        match is_hidden(c) {
            // JSON has no such characters outside strings.
            true => write!(escaped, "\\u{:04x}", u32::from(c))?,
            false => escaped.push(c),
        }
    }
    raw(format!("{escaped}\n").as_bytes())
}

/// Prints a message to stderr, with [`visible`] characters only.
pub(crate) fn note(text: &str) {
    eprintln!("idiolect: {}", visible(text));
}

/// Prints an error and its causes on one line and returns exit code 1.
pub(crate) fn failed(error: &anyhow::Error) -> ExitCode {
    // `thiserror` messages often repeat their source; each cause is shown once.
    let mut message = error.to_string();
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !message.contains(&cause) {
            message.push_str(": ");
            message.push_str(&cause);
        }
    }
    note(&format!("error: {message}"));
    ExitCode::from(1)
}

/// Prints help, version or a wrong command line, and returns the exit code: 1 if help cannot be written.
pub(crate) fn help(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let _ = error.print();
        if let Some(hint) = hyphen_hint(error) {
            eprintln!("\n{hint}");
        }
        return ExitCode::from(2);
    }
    match error.print().and_then(|()| io::stdout().flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => {
            failed(&anyhow::Error::new(cause).context("cannot write to stdout"))
        }
        _ => ExitCode::SUCCESS,
    }
}

/// How to write a name that begins with a hyphen, if that may be what was meant.
fn hyphen_hint(error: &clap::Error) -> Option<String> {
    if error.kind() != clap::error::ErrorKind::UnknownArgument {
        return None;
    }
    // The message has only the first letter of a short option.
    let unknown = error.get(clap::error::ContextKind::InvalidArg)?.to_string();
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let name = arguments.skip(1).find(|argument| argument.starts_with(&unknown))?;
    Some(
        visible(&format!(
            "hint: write a name that begins with a hyphen last, after two hyphens: -- {name}"
        ))
        .into_owned(),
    )
}

/// Replaces control characters other than newline and tab, and characters that reverse the direction of
/// what follows, by U+FFFD.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    match text.contains(is_hidden) {
        true => Cow::Owned(text.replace(is_hidden, "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// As [`visible`], also without newlines and tabs: for names in tables and headings, where a newline
/// would look like another row.
pub(crate) fn on_one_line(name: &str) -> String {
    name.replace(|c: char| is_hidden(c) || c.is_control(), "\u{fffd}")
}

fn is_hidden(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a question can be asked: stdin and stderr are a terminal.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question on stderr and returns whether the answer is `yes`.
pub(crate) fn confirmed(question: &str) -> anyhow::Result<bool> {
    eprint!("idiolect: {} [yes/no] ", visible(question));
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).context("read the answer")?;
    Ok(answer.trim().eq_ignore_ascii_case("yes"))
}

/// Checks that a file can be written before the work begins whose result it will hold. An existing file
/// keeps its contents; a new one is removed again.
///
/// # Errors
/// The folder does not exist, or the file cannot be opened for writing.
pub(crate) fn check_writable(path: &Path) -> anyhow::Result<()> {
    let is_new = !path.exists();
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(path);
    opened.with_context(|| format!("cannot write {}", path.display()))?;
    if is_new {
        std::fs::remove_file(path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_replaced_and_others_stay() {
        let hostile = "a\u{1b}[2J\u{7}\u{9b}31m\u{202e}b\r\n\tc é 🎸 \u{200d}";
        assert_eq!(
            visible(hostile),
            "a\u{fffd}[2J\u{fffd}\u{fffd}31m\u{fffd}b\u{fffd}\n\tc é 🎸 \u{200d}"
        );
        assert!(matches!(visible("plain\ttext\n"), Cow::Borrowed(_)));
        assert_eq!(on_one_line("a\nb\tc"), "a\u{fffd}b\u{fffd}c");
    }
}
