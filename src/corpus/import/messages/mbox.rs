//! Mail folders in one file: mbox, as Thunderbird, Apple Mail, mutt, Google Takeout and archives of mailing
//! lists write it (RFC 4155, and the variants mboxo, mboxrd, mboxcl and mboxcl2).
//!
//! A line `From address date` begins a mail. Lines of a mail that begin so are written `>From`; one mark is
//! removed. Lengths in `Content-Length` are not believed, because they are wrong after any edit of the file:
//! a line begins a mail if it has a date and an empty line before it or a header after it.

use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use super::files::{ByteCount, open_plain};
use super::mail::{MAX_MAIL_BYTES, MailContext, Mails};
use super::{ExportReader, OnFound};
use crate::{Error, Result};

/// Reader of an mbox file, plain or gzipped.
pub(super) struct MboxReader {
    path: PathBuf,
    input: Box<dyn BufRead>,
    size: Option<u64>,
    bytes: ByteCount,
    mails: Mails,
}

/// Opens an mbox file.
pub(super) fn open(path: &Path) -> Result<MboxReader> {
    let (input, size, bytes) = open_plain(path)?;
    Ok(MboxReader { path: path.to_owned(), input, size, bytes, mails: Mails::default() })
}

/// Whether a file begins as an mbox.
pub(super) fn looks_like(_path: &Path, head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    let mut lines = head.split(|b| *b == b'\n');
    let first = lines.next().unwrap_or_default();
    first.starts_with(b"From ") && (has_date(first) || lines.next().is_some_and(is_header))
}

impl ExportReader for MboxReader {
    fn read(&mut self, on: &mut OnFound<'_>) -> Result<()> {
        let source_name = self.path.display().to_string();
        let fail = |source, line| Error::Read { source_name: source_name.clone(), line, source };
        let mut splitter = Splitter::default();
        let mut number = 0_u64;
        loop {
            let mail =
                splitter.next(&mut self.input).map_err(|source| fail(source, splitter.line))?;
            let Some(RawMail { bytes, line, is_stray }) = mail else { return Ok(()) };
            number += 1;
            let place = format!("{source_name}, line {line}");
            if is_stray && bytes.trim_ascii().is_empty() {
                continue;
            }
            let context = MailContext { place, number, is_stray, flags: "" };
            if !on(self.mails.found(&bytes, &context))? {
                return Ok(());
            }
        }
    }

    fn size(&self) -> Option<u64> {
        self.size
    }

    fn bytes_read(&self) -> Option<ByteCount> {
        Some(self.bytes.clone())
    }
}

/// A mail of the file, without its `From ` line.
struct RawMail {
    bytes: Vec<u8>,
    /// Number of the line that begins it, from 1.
    line: u64,
    /// Whether it is text before the first `From ` line.
    is_stray: bool,
}

/// Splits the file. Holds one mail, of which no more than [`MAX_MAIL_BYTES`] are kept.
#[derive(Default)]
struct Splitter {
    /// Number of the last line read.
    line: u64,
    /// Line `From ` that began the mail being read, or that was read ahead.
    begun: Option<u64>,
    /// The line after a `From ` line, read to see whether it is a header.
    ahead: Option<Vec<u8>>,
    is_ended: bool,
}

impl Splitter {
    fn next(&mut self, input: &mut dyn BufRead) -> io::Result<Option<RawMail>> {
        if self.is_ended {
            return Ok(None);
        }
        let is_stray = self.begun.is_none();
        let mut mail = RawMail { bytes: Vec::new(), line: self.begun.unwrap_or(1), is_stray };
        let mut after_gap = is_stray;
        loop {
            let Some(line) = self.line(input)? else {
                self.is_ended = true;
                // An empty file has no mails.
                return Ok((!is_stray || !mail.bytes.is_empty()).then_some(mail));
            };
            if line.starts_with(b"From ") {
                let at = self.line;
                let next = self.line(input)?;
                let begins = begins_mail(&line, next.as_deref(), after_gap);
                self.ahead = next;
                if self.ahead.is_some() {
                    self.line -= 1;
                }
                if begins {
                    self.begun = Some(at);
                    return Ok(Some(mail));
                }
            }
            after_gap = line.trim_ascii().is_empty();
            let marks = line.iter().take_while(|b| **b == b'>').count();
            let is_marked = marks > 0 && line[marks..].starts_with(b"From ");
            let kept = if is_marked { &line[1..] } else { &line[..] };
            // The rest of a longer mail is attachments; its text comes first.
            if mail.bytes.len() < MAX_MAIL_BYTES {
                mail.bytes.extend_from_slice(kept);
            }
        }
    }

    /// Reads a line with its end. Of a line longer than a mail may be, the rest is another line.
    fn line(&mut self, input: &mut dyn BufRead) -> io::Result<Option<Vec<u8>>> {
        let line = match self.ahead.take() {
            Some(line) => line,
            None => {
                let mut line = Vec::new();
                io::Read::take(input, MAX_MAIL_BYTES as u64).read_until(b'\n', &mut line)?;
                line
            }
        };
        self.line += u64::from(!line.is_empty());
        Ok((!line.is_empty()).then_some(line))
    }
}

/// Whether a line `From ...` begins a mail, by the line after it and whether an empty line is before it.
fn begins_mail(line: &[u8], next: Option<&[u8]>, after_gap: bool) -> bool {
    let header_follows = next.is_some_and(is_header);
    match has_date(line) {
        true => after_gap || header_follows,
        false => {
            let n_words = line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).count();
            after_gap && header_follows && n_words <= 2
        }
    }
}

/// Names of months in `From ` lines.
const MONTHS: [&[u8]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

/// Whether a `From ` line has a month, a time and a year.
fn has_date(line: &[u8]) -> bool {
    let is_digit = |at: usize| line.get(at).is_some_and(u8::is_ascii_digit);
    let has_time = (1..line.len())
        .any(|at| line[at] == b':' && is_digit(at - 1) && is_digit(at + 1) && is_digit(at + 2));
    let words = || line.split(|b| !b.is_ascii_alphanumeric());
    let is_year = |word: &[u8]| word.len() == 4 && word.iter().all(u8::is_ascii_digit);
    has_time && words().any(is_year) && words().any(|word| MONTHS.contains(&word))
}

/// Whether a line is a header: a name and a colon.
fn is_header(line: &[u8]) -> bool {
    let name = line.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
    (1..=80).contains(&name) && line.get(name) == Some(&b':')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn split(text: &[u8]) -> Vec<(u64, String)> {
        let mut splitter = Splitter::default();
        let mut input = io::Cursor::new(text);
        let mut mails = Vec::new();
        while let Some(mail) = splitter.next(&mut input).unwrap() {
            if !mail.is_stray || !mail.bytes.is_empty() {
                mails.push((mail.line, String::from_utf8_lossy(&mail.bytes).into_owned()));
            }
        }
        mails
    }

    const FROM: &str = "From ann@example.org Mon May  3 10:12:00 2021\n";

    #[test]
    fn mails_begin_at_from_lines_and_marks_go() {
        let text = format!(
            "{FROM}Subject: a\n\n>From here\n>>From there\nFrom time to time: at 10\n\n\
             From me to you, 10:12 or 2021\n{FROM}Subject: b\n\nB\n"
        );
        let mails = split(text.as_bytes());
        assert_eq!(mails.len(), 2);
        let body = "Subject: a\n\nFrom here\n>From there\nFrom time to time: at 10\n\n\
                    From me to you, 10:12 or 2021\n";
        assert_eq!(mails[0], (1, body.to_owned()));
        assert_eq!(mails[1], (9, "Subject: b\n\nB\n".to_owned()));
    }

    #[test]
    fn variants_of_from_lines() {
        for from in [
            "From - Mon May 03 10:12:00 2021\r\n",
            "From 1699999999999999999@xxx Mon May 03 10:12:00 +0000 2021\r\n",
            "From MAILER-DAEMON Mon May  3 10:12:00 2021\r\n",
            "From ann at example.org  Mon May  3 10:12:00 2021\r\n",
            "From ann@example.org\r\n",
        ] {
            let text = format!("{from}A: b\r\n\r\nx\r\n\r\n{from}A: c\r\n\r\ny\r\n");
            assert_eq!(split(text.as_bytes()).len(), 2, "{from}");
            assert!(looks_like(Path::new("x"), text.as_bytes()), "{from}");
        }
        assert!(!looks_like(Path::new("x"), b"From here on: it goes\n"));
        assert!(!looks_like(Path::new("x"), b"user,item\n"));
    }

    #[test]
    fn damaged_files_are_read() {
        assert_eq!(split(b""), []);
        assert_eq!(split(b"no mail\n").len(), 1);
        assert_eq!(split(format!("stray\n\n{FROM}").as_bytes()).len(), 2);
        let long =
            [FROM.as_bytes(), &vec![b'x'; 2 * MAX_MAIL_BYTES], b"\n\n", FROM.as_bytes()].concat();
        let mails = split(&long);
        assert_eq!(mails.len(), 2);
        assert!(mails[0].1.len() <= 2 * MAX_MAIL_BYTES);
    }

    proptest! {
        #[test]
        fn any_bytes_are_split_without_loss(text in "(From |From a Mon May 3 10:12:00 2021\n|\n|\n>|A: b|x)*") {
            let mails = split(text.as_bytes());
            let letters = |text: &str| text.matches('x').count();
            let kept: usize = mails.iter().map(|(_, mail)| letters(mail)).sum();
            // A line that begins a mail may have a letter.
            let begins: usize = text.split('\n').filter(|line| line.starts_with("From ")).map(letters).sum();
            prop_assert!(kept <= letters(&text) && kept + begins >= letters(&text));
        }
    }
}
