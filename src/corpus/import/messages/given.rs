//! A message that is given in a file, to be answered.

use mail_parser::MessageParser;

use super::mail::MAX_MAIL_BYTES;
use super::subject::without_prefixes;
use super::{mail_files, mail_text, quotes};

/// A message to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenMessage {
    /// Subject without `Re:` and the like, if the message is a mail that has one.
    pub subject: Option<String>,
    /// The text. Of a mail, without what it quotes and without signature.
    pub text: String,
}

impl GivenMessage {
    /// Reads a message: a mail with its headers, or a plain text. Bytes that are not UTF-8 are read in the
    /// encoding that they seem to have.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let bytes = &bytes[..bytes.len().min(MAX_MAIL_BYTES)];
        if mail_files::has_mail_headers(bytes)
            && let Some(mail) = MessageParser::default().parse(bytes)
        {
            let whole = mail_text::text_of(&mail);
            let own = quotes::separate(&whole).own;
            let subject =
                mail.subject().map(without_prefixes).filter(|subject| !subject.is_empty());
            let text = if own.is_empty() { whole.trim().to_owned() } else { own };
            return Self { subject, text };
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                let mut detector = chardetng::EncodingDetector::new();
                detector.feed(bytes, true);
                detector.guess(None, true).decode(bytes).0.into_owned()
            }
        };
        let text = text.trim_start_matches('\u{feff}').replace("\r\n", "\n").trim().to_owned();
        Self { subject: None, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_gives_its_subject_and_own_text() {
        let mail = b"From: Bo <bo@example.org>\nSubject: Re: AW: Tea\nDate: Mon, 3 May 2021 10:12:00 +0000\n\n\
                     Can you come?\n\nOn 2 May 2021 at 10:12, Ann <ann@example.org> wrote:\n> Perhaps.\n-- \nBo\n";
        let expected =
            GivenMessage { subject: Some("Tea".to_owned()), text: "Can you come?".to_owned() };
        assert_eq!(GivenMessage::of_bytes(mail), expected);
    }

    #[test]
    fn a_plain_text_is_the_message() {
        let of = |bytes: &[u8]| GivenMessage::of_bytes(bytes).text;
        assert_eq!(of(b"\xef\xbb\xbfCan you\r\ncome?\n"), "Can you\ncome?");
        assert_eq!(of(b"Subject: to change"), "Subject: to change");
        assert_eq!(of(b"Sch\xf6ne Gr\xfc\xdfe aus K\xf6ln"), "Schöne Grüße aus Köln");
        assert_eq!(of(b""), "");
    }
}
