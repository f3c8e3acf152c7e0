//! Printing: data to stdout, messages to stderr. No other module prints.

#![allow(clippy::print_stderr)]

use std::io::{self, Write};
use std::process::ExitCode;

/// Writes bytes to stdout. If the reader has closed the pipe (`| head`), the program ends with 0.
pub(crate) fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        done => Ok(done?),
    }
}

/// Writes one line of text to stdout.
pub(crate) fn line(text: &str) -> anyhow::Result<()> {
    raw(format!("{text}\n").as_bytes())
}

/// Writes one JSON value and a newline to stdout.
pub(crate) fn json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    line(&serde_json::to_string(value)?)
}

/// Prints a message to stderr.
pub(crate) fn note(text: &str) {
    eprintln!("idiolect: {text}");
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
