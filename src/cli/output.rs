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
        let cause = without_code(&cause);
        if !message.contains(cause) {
            message.push_str(": ");
            message.push_str(cause);
        }
    }
    note(&format!("error: {message}"));
    ExitCode::from(1)
}

/// A cause without the number that SQLite puts before it: `Error code 11: ...`.
fn without_code(cause: &str) -> &str {
    let numbered = cause.strip_prefix("Error code ").and_then(|rest| rest.split_once(": "));
    numbered.map_or(cause, |(_, cause)| cause)
}

/// Prints help, version or a wrong command line, and returns the exit code: 1 if help cannot be written.
pub(crate) fn help(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        let _ = error.print();
        if let Some(hint) = hint(error) {
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

/// How to write a name or a value that begins with a hyphen, if that may be what was meant; or the argument
/// that is not UTF-8, which only names of files may be.
fn hint(error: &clap::Error) -> Option<String> {
    if error.kind() == clap::error::ErrorKind::InvalidUtf8 {
        let strange = std::env::args_os().find(|argument| argument.to_str().is_none())?;
        let shown = strange.to_string_lossy();
        return Some(
            visible(&format!("hint: only names of files may be other than UTF-8: {shown}")).into(),
        );
    }
    if error.kind() != clap::error::ErrorKind::UnknownArgument {
        return None;
    }
    // The message has only the first letter of a short option.
    let unknown = error.get(clap::error::ContextKind::InvalidArg)?.to_string();
    let arguments: Vec<String> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let at = (1..arguments.len()).find(|at| arguments[*at].starts_with(&unknown))?;
    let (before, name) = (&arguments[at - 1], &arguments[at]);
    let usage = error.get(clap::error::ContextKind::Usage)?.to_string();
    let hint = match before.starts_with("--") && !before.contains('=') {
        true => format!("hint: write a value that begins with a hyphen so: {before}={name}"),
        false if takes_names(&usage) => format!(
            "hint: write a name that begins with a hyphen last, after two hyphens: -- {name}"
        ),
        false => return None,
    };
    Some(visible(&hint).into_owned())
}

/// Whether a usage has an argument that is no option: `<USER>` or `[PATH]` that follows none.
fn takes_names(usage: &str) -> bool {
    let words: Vec<&str> = usage.split_whitespace().collect();
    words.windows(2).any(|pair| {
        pair[1].starts_with(['<', '['])
            && !matches!(pair[1], "[OPTIONS]" | "<COMMAND>" | "[COMMAND]")
            && !pair[0].starts_with("--")
    })
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

/// Writes a file of figures or a report: all of it or nothing. A regular file is replaced only by a whole one.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn file(path: &Path, text: &str) -> anyhow::Result<()> {
    let write = || -> io::Result<()> {
        let found = std::fs::symlink_metadata(path).ok();
        if found.as_ref().is_some_and(|found| !found.is_file()) {
            return std::fs::write(path, text);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut builder = tempfile::Builder::new();
        builder.prefix(".idiolect-");
        // Temporary files are private by default; the umask decides here, as for any other new file.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut whole = builder.tempfile_in(folder.unwrap_or(Path::new(".")))?;
        whole.as_file_mut().write_all(text.as_bytes())?;
        if let Some(found) = found {
            whole.as_file().set_permissions(found.permissions())?;
        }
        whole.persist(path).map(drop).map_err(|error| error.error)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_shows_whether_names_are_taken() {
        assert!(takes_names("Usage: idiolect export [OPTIONS] <USER>"));
        assert!(takes_names("Usage: idiolect import [OPTIONS] [PATH]"));
        assert!(!takes_names("Usage: idiolect write [OPTIONS] --user <USER>"));
        assert!(!takes_names("Usage: idiolect [OPTIONS] <COMMAND>"));
    }

    #[test]
    fn control_characters_are_replaced_and_others_stay() {
        let hostile = "a\u{1b}[2J\u{7}\u{9b}31m\u{202e}b\r\n\tc é 🎸 \u{200d}";
        assert_eq!(
            visible(hostile),
            "a\u{fffd}[2J\u{fffd}\u{fffd}31m\u{fffd}b\u{fffd}\n\tc é 🎸 \u{200d}"
        );
        assert!(matches!(visible("plain\ttext\n"), Cow::Borrowed(_)));
        assert_eq!(on_one_line("a\nb\tc"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(
            without_code("Error code 11: database disk image is malformed"),
            "database disk image is malformed"
        );
    }
}
