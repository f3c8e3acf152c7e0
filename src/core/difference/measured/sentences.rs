//! Splits a text into sentences and punctuation signs, in one pass over its characters.

use std::ops::Range;

/// Kind of a sign between words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Ellipsis,
    Dash,
    Parenthesis,
    Quote,
    Semicolon,
    Comma,
    Emoji,
    Emoticon,
}

/// Kind of a sentence's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SentenceEnd {
    FullStop,
    Exclamation,
    /// Several marks, one of them an exclamation mark.
    ExclamationRun,
    Question,
    Ellipsis,
    /// An emoji or emoticon.
    Face,
    Bare,
}

/// The sentences of a text, each with span and ending, and its signs, both in order.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    pub(super) sentences: Vec<(Range<usize>, SentenceEnd)>,
    pub(super) signs: Vec<(Sign, Range<usize>)>,
}

const EMOTICONS: [&str; 30] = [
    ":'(", ":-)", ":-(", ":-D", ":-P", ":-p", ":-/", ":-|", ";-)", ":)", ":(", ":D", ":P", ":p",
    ":/", ":|", ":o", ":O", ":3", ";)", ";D", ";P", "=)", "=(", "=D", "<3", "^^", "xD", "XD",
    "8-)",
];

/// Abbreviations after which a full stop does not end a sentence.
const ABBREVIATIONS: [&str; 22] = [
    "mr", "mrs", "ms", "dr", "vs", "st", "jr", "sr", "e.g", "i.e", "etc", "approx", "vol", "feat",
    "bzw", "z.b", "ca", "usw", "nr", "d.h", "u.a", "evtl",
];

pub(super) fn scan(text: &str) -> Scanned {
    let mut scan = TextScan { text, at: 0, start: None, found: Scanned::default(), quote: None };
    scan.run();
    scan.found
}

struct TextScan<'t> {
    text: &'t str,
    at: usize,
    /// Start of the current sentence.
    start: Option<usize>,
    found: Scanned,
    /// Position of an open straight quotation mark.
    quote: Option<usize>,
}

impl TextScan<'_> {
    fn run(&mut self) {
        while let Some(next) = self.text[self.at..].chars().next() {
            if self.start.is_none() && !next.is_whitespace() {
                self.start = Some(self.at);
            }
            let from = self.at;
            match next {
                '.' | '!' | '?' | '…' | '。' | '！' | '？' => self.marks(),
                '\n' => self.line_break(),
                '<' if self.text[from..]
                    .get(..3)
                    .is_some_and(|s| s.eq_ignore_ascii_case("<br")) =>
                {
                    self.end(from, SentenceEnd::Bare);
                    let close = self.text[from..].find('>').unwrap_or(2);
                    self.at = from + close + 1;
                }
                '&' => self.entity(),
                _ if self.face(next) => {}
                _ => {
                    self.at += next.len_utf8();
                    self.sign(next, from);
                }
            }
        }
        let end = self.text.len();
        self.end(end, SentenceEnd::Bare);
    }

    fn sign(&mut self, sign: char, from: usize) {
        let spaced = || {
            let before = self.text[..from].chars().next_back();
            let after = self.text[self.at..].chars().next();
            // At the beginning of a line a dash marks a list item.
            before.is_some_and(|c| c == ' ') && after.is_none_or(char::is_whitespace)
                || before.is_some_and(char::is_alphanumeric)
                    && self.text[self.at..].starts_with("- ")
        };
        let sign = match sign {
            ',' | '，' => Sign::Comma,
            ';' => Sign::Semicolon,
            '—' => Sign::Dash,
            '–' | '-' if spaced() => Sign::Dash,
            '(' => Sign::Parenthesis,
            '“' | '„' | '«' | '»' => Sign::Quote,
            '"' => return self.straight_quote(from),
            _ => return,
        };
        self.found.signs.push((sign, from..self.at));
    }

    /// Counts a pair of straight marks as one quotation; an opening mark after a digit stands for
    /// inches.
    fn straight_quote(&mut self, from: usize) {
        match self.quote.take() {
            Some(open) => self.found.signs.push((Sign::Quote, open..self.at)),
            None if self.text[..from].ends_with(|c: char| c.is_ascii_digit()) => {}
            None => self.quote = Some(from),
        }
    }

    /// Skips an entity such as `&quot;`, which some sources leave in texts, so that its semicolon
    /// is not counted.
    fn entity(&mut self) {
        let from = self.at;
        let name = self.text[from + 1..].split(';').next().unwrap_or_default();
        let is_name = (2..8).contains(&name.len())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '#')
            && self.text[from + 1 + name.len()..].starts_with(';');
        self.at = if is_name { from + name.len() + 2 } else { from + 1 };
        if matches!(name, "#34" | "quot") && is_name {
            self.straight_quote(from);
        }
    }

    /// Reads a run of full stops, exclamation and question marks.
    fn marks(&mut self) {
        let from = self.at;
        let is_mark = |c: char| matches!(c, '.' | '!' | '?' | '…' | '。' | '！' | '？');
        let text = self.text;
        let rest = &text[from..];
        let run = &rest[..rest.find(|c| !is_mark(c)).unwrap_or(rest.len())];
        let n = run.chars().count();
        let ending = if run.contains(['!', '！']) {
            if n > 1 { SentenceEnd::ExclamationRun } else { SentenceEnd::Exclamation }
        } else if run.contains(['?', '？']) {
            SentenceEnd::Question
        } else if n > 1 || run == "…" {
            self.found.signs.push((Sign::Ellipsis, from..from + run.len()));
            SentenceEnd::Ellipsis
        } else {
            SentenceEnd::FullStop
        };
        self.at = from + run.len();
        let rest = &text[self.at..];
        let closing = rest.find(|c| !matches!(c, '"' | '\'' | ')' | '”' | '’' | '»' | '“'));
        let after = &rest[closing.unwrap_or(rest.len())..];
        let stands_at_end = after.is_empty()
            || after.starts_with(char::is_whitespace)
            || after.starts_with("<br")
            || run.contains(['。', '！', '？']);
        let abbreviated = ending == SentenceEnd::FullStop && self.abbreviates(from);
        let goes_on = ending == SentenceEnd::Ellipsis
            && after.trim_start().starts_with(|c: char| c.is_lowercase())
            && !self.text[..from].ends_with(' ')
            && self.has_capital();
        if stands_at_end && !abbreviated && !goes_on {
            for closing in rest[..rest.len() - after.len()].chars() {
                let at = self.at;
                self.at += closing.len_utf8();
                if closing == '"' {
                    self.straight_quote(at);
                }
            }
            let end = self.at;
            self.end(end, ending);
        }
    }

    /// Whether the current sentence begins with a capital. If so, its author would begin the next
    /// sentence with one.
    fn has_capital(&self) -> bool {
        let sentence = &self.text[self.start.unwrap_or(self.at)..self.at];
        sentence.chars().find(|c| c.is_alphabetic()).is_some_and(char::is_uppercase)
    }

    fn abbreviates(&self, full_stop: usize) -> bool {
        let word = self.text[..full_stop].rsplit([' ', '\n', '(']).next().unwrap_or_default();
        let single =
            word.chars().count() == 1 && word.starts_with(|c: char| c.is_uppercase() && c != 'I');
        single || ABBREVIATIONS.iter().any(|known| word.eq_ignore_ascii_case(known))
    }

    /// Ends the sentence at a line break if a blank line follows or the next line begins like a
    /// sentence.
    fn line_break(&mut self) {
        let from = self.at;
        self.at += 1;
        let rest = &self.text[self.at..];
        let next = rest.trim_start_matches([' ', '\t', '\r']);
        let begins = next.starts_with(|c: char| {
            c == '\n' || c.is_uppercase() || c.is_ascii_digit() || matches!(c, '-' | '*' | '•')
        });
        if begins {
            self.end(from, SentenceEnd::Bare);
        }
    }

    /// Reads an emoji or emoticon, if there is one here; it ends a sentence if white space follows.
    fn face(&mut self, next: char) -> bool {
        let rest = &self.text[self.at..];
        let (sign, len) = if is_emoji(next) {
            let joins = |c: char| is_emoji(c) || matches!(c, '\u{200D}' | '\u{FE0F}');
            (Sign::Emoji, rest.find(|c| !joins(c)).unwrap_or(rest.len()))
        } else if matches!(next, ':' | ';' | '=' | '<' | '^' | 'x' | 'X' | '8') {
            let alone = !self.text[..self.at].ends_with(char::is_alphanumeric);
            let known = EMOTICONS.iter().find(|face| {
                let after = rest.get(face.len()..);
                alone
                    && rest.starts_with(**face)
                    && after.is_some_and(|after| !after.starts_with(char::is_alphanumeric))
            });
            let Some(known) = known else { return false };
            (Sign::Emoticon, known.len())
        } else {
            return false;
        };
        self.found.signs.push((sign, self.at..self.at + len));
        self.at += len;
        if self.text[self.at..].chars().next().is_none_or(char::is_whitespace) {
            let end = self.at;
            self.end(end, SentenceEnd::Face);
        }
        true
    }

    /// Ends the sentence here. A piece without a letter or digit is added to the sentence before.
    fn end(&mut self, end: usize, ending: SentenceEnd) {
        let Some(start) = self.start.take() else { return };
        let trimmed = start + self.text[start..end].trim_end().len();
        if self.text[start..trimmed].contains(char::is_alphanumeric) {
            self.found.sentences.push((start..trimmed, ending));
        } else if let Some((span, last)) = self.found.sentences.last_mut() {
            span.end = trimmed.max(span.end);
            if ending == SentenceEnd::Face && *last == SentenceEnd::Bare {
                *last = ending;
            }
        }
    }
}

fn is_emoji(c: char) -> bool {
    matches!(u32::from(c), 0x1F300..=0x1FAFF | 0x2600..=0x27BF | 0x1F1E6..=0x1F1FF | 0x2B50)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(text: &str) -> Vec<(&str, SentenceEnd)> {
        let scanned = scan(text);
        scanned.sentences.into_iter().map(|(span, ending)| (&text[span], ending)).collect()
    }

    fn signs(text: &str) -> Vec<(Sign, &str)> {
        scan(text).signs.into_iter().map(|(sign, span)| (sign, &text[span])).collect()
    }

    #[test]
    fn sentences_end_where_readers_end_them() {
        assert_eq!(
            sentences(
                "Mr. Fox paid 3.50 for it. it broke!!! \"Why?\" he said... i mean... Well :) ok"
            ),
            [
                ("Mr. Fox paid 3.50 for it.", SentenceEnd::FullStop),
                ("it broke!!!", SentenceEnd::ExclamationRun),
                ("\"Why?\"", SentenceEnd::Question),
                ("he said...", SentenceEnd::Ellipsis),
                ("i mean...", SentenceEnd::Ellipsis),
                ("Well :)", SentenceEnd::Face),
                ("ok", SentenceEnd::Bare),
            ]
        );
        assert_eq!(
            sentences(
                "It is... fine! ! !\n\nLong line\nthat goes on\n- Point one\n- two<br />End."
            ),
            [
                ("It is... fine! ! !", SentenceEnd::Exclamation),
                ("Long line\nthat goes on", SentenceEnd::Bare),
                ("- Point one", SentenceEnd::Bare),
                ("- two", SentenceEnd::Bare),
                ("End.", SentenceEnd::FullStop),
            ]
        );
        assert_eq!(sentences("好书！很好。").len(), 2);
        assert_eq!(sentences(" ... !! "), []);
    }

    #[test]
    fn signs_are_told_from_their_likes() {
        assert_eq!(
            signs("a - b, c; (d) 5\" e-f \"g\" &amp; &#34;h&#34; …"),
            [
                (Sign::Dash, "-"),
                (Sign::Comma, ","),
                (Sign::Semicolon, ";"),
                (Sign::Parenthesis, "("),
                (Sign::Quote, "\"g\""),
                (Sign::Quote, "&#34;h&#34;"),
                (Sign::Ellipsis, "…"),
            ]
        );
        assert_eq!(
            signs("- a :) b:) 👍🏽👍 x:Dy <3"),
            [(Sign::Emoticon, ":)"), (Sign::Emoji, "👍🏽👍"), (Sign::Emoticon, "<3")]
        );
    }
}
