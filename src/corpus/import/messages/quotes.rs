//! Separates what the author of a mail wrote from what the mail quotes, signs and appends.

use super::MessageAuthor;
use super::attribution::{Introduction, introduction};
use super::signatures;

/// Longest quoted text that is kept as the text answered, in bytes.
const MAX_QUOTED_BYTES: usize = 8 << 10;

/// The parts of a mail's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MailParts {
    /// The author's own words, without surrounding empty lines.
    pub(super) own: String,
    /// The text that is quoted of the mail answered, without what that one quotes; empty if nothing is.
    pub(super) quoted: String,
    /// Who wrote the quoted text, if the mail says so.
    pub(super) quoted_author: Option<MessageAuthor>,
    /// Whether another mail is passed on in it.
    pub(super) forwards: bool,
}

/// Takes the text of a mail apart. Lines that begin with `>` are quoted, and so is everything after a
/// line such as `On Monday, Ann wrote:` or `-----Original Message-----` if no such lines follow it.
pub(super) fn separate(text: &str) -> MailParts {
    let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end()).collect();
    let mut parts = MailParts::default();
    let mut own: Vec<&str> = Vec::new();
    let mut quoted: Vec<&str> = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        if let Some(content) = quoted_line(lines[at]) {
            take_quoted(&mut quoted, content);
            at += 1;
            continue;
        }
        match introduction(&lines, at) {
            Some((Introduction::Forwarded, _)) => {
                parts.forwards = true;
                break;
            }
            Some((Introduction::Quotation(author), n)) => {
                parts.quoted_author = parts.quoted_author.or(author);
                at += n;
                let next = lines[at..].iter().position(|line| !line.is_empty());
                // Without marks the quotation goes to the end.
                if next.is_none_or(|next| quoted_line(lines[at + next]).is_none()) {
                    if quoted.iter().all(|line| line.is_empty()) {
                        quoted.extend(first_level(&lines[at..]));
                    }
                    break;
                }
            }
            None if signatures::begins(&lines, at) => {
                // Below it there may be the quoted mail of an answer above it.
                at += lines[at..]
                    .iter()
                    .enumerate()
                    .skip(1)
                    .position(|(i, line)| {
                        quoted_line(line).is_some() || introduction(&lines, at + i).is_some()
                    })
                    .map_or(lines.len() - at, |n| n + 1);
            }
            None => {
                own.push(lines[at]);
                at += 1;
            }
        }
    }
    signatures::strip(&mut own);
    parts.own = joined(&own);
    // Some programs put the line that introduces a quotation into it.
    let mut start = 0;
    while let Some(at) = quoted[start..].iter().position(|line| !line.is_empty())
        && let Some((Introduction::Quotation(author), n)) = introduction(&quoted, start + at)
    {
        parts.quoted_author = parts.quoted_author.or(author);
        start += at + n;
    }
    let mut quoted = first_level(&quoted[start..]);
    signatures::strip(&mut quoted);
    parts.quoted = joined(&quoted);
    truncate(&mut parts.quoted, MAX_QUOTED_BYTES);
    parts
}

/// Text of a quoted line after its mark: `> text`, or initials and the mark, as in `AB> text`.
fn quoted_line(line: &str) -> Option<&str> {
    let line = line.strip_prefix(' ').unwrap_or(line);
    if let Some(content) = line.strip_prefix('>') {
        return Some(content);
    }
    let initials = line.find('>').filter(|at| (1..=3).contains(at))?;
    let (before, content) = line.split_at(initials);
    before.chars().all(|c| c.is_ascii_uppercase()).then(|| &content[1..])
}

/// Keeps a quoted line of the first level. What is quoted deeper is not what the mail answers.
fn take_quoted<'a>(quoted: &mut Vec<&'a str>, content: &'a str) {
    let content = content.strip_prefix(' ').unwrap_or(content);
    if content.trim_start().starts_with('>') {
        // The line that introduced it goes too.
        while let Some(last) = quoted.last() {
            if last.is_empty() || (last.ends_with(':') && introduction(&[last, ">"], 0).is_some()) {
                quoted.pop();
            } else {
                break;
            }
        }
        return;
    }
    quoted.push(content);
}

/// The lines of a quotation without marks, up to the next one.
fn first_level<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let end = (0..lines.len())
        .find(|&at| quoted_line(lines[at]).is_some() || introduction(lines, at).is_some());
    lines[..end.unwrap_or(lines.len())].to_vec()
}

/// The lines as a text: surrounding empty lines go, and of several in a row all but one.
fn joined(lines: &[&str]) -> String {
    let mut out = String::new();
    let mut gap = false;
    for line in lines {
        if line.trim().is_empty() {
            gap = !out.is_empty();
            continue;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        if std::mem::take(&mut gap) {
            out.push('\n');
        }
        out.push_str(line);
    }
    out
}

/// Shortens a text to at most `n` bytes.
pub(super) fn truncate(text: &mut String, n: usize) {
    if text.len() > n {
        let end = text.floor_char_boundary(n);
        text.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own(text: &str) -> String {
        separate(text).own
    }

    #[test]
    fn answers_above_below_and_between() {
        let above = "Yes, on Friday.\n\nAnn\n\nOn Mon, 3 May 2021 at 10:12, Bo <bo@example.org> wrote:\n\
                     > Can you come?\n>\n> Bo\n";
        let parts = separate(above);
        assert_eq!(parts.own, "Yes, on Friday.\n\nAnn");
        assert_eq!(parts.quoted, "Can you come?\n\nBo");
        let author = parts.quoted_author.and_then(|author| author.address);
        assert_eq!(author.as_deref(), Some("bo@example.org"));

        let below = "Bo wrote:\n> Can you come?\n\nYes, on Friday.\n";
        assert_eq!(own(below), "Yes, on Friday.");

        let between = "Hi Bo,\n\n> Can you come?\n\nYes.\n\n> With Cy?\n\nNo.\n-- \nAnn";
        let parts = separate(between);
        assert_eq!(parts.own, "Hi Bo,\n\nYes.\n\nNo.");
        assert_eq!(parts.quoted, "Can you come?\nWith Cy?");
    }

    #[test]
    fn many_introductions_of_quotations_are_taken_off_one_by_one() {
        let text = "> On 3 May 2021 at 10:12, Bo <bo@example.org> wrote:\n".repeat(100_000);
        assert_eq!(separate(&format!("Yes.\n{text}> Tea?")).quoted, "Tea?");
    }

    #[test]
    fn deeper_quotations_are_not_what_is_answered() {
        let text = "No.\n\n> I say yes.\n>\n> On Sun, 2 May 2021, Cy wrote:\n>> Perhaps.\n>> Cy\n";
        assert_eq!(separate(text).quoted, "I say yes.");
        let unmarked = "No.\n\n-----Original Message-----\nFrom: Bo\nSent: Monday\nTo: Ann\nSubject: tea\n\n\
                        I say yes.\n\n-----Original Message-----\nFrom: Cy\nSent: Sunday\nTo: Bo\n\nPerhaps.";
        let parts = separate(unmarked);
        assert_eq!((parts.own.as_str(), parts.quoted.as_str()), ("No.", "I say yes."));
    }

    #[test]
    fn a_signature_above_the_quotation_goes() {
        let text =
            "Fine.\n-- \nAnn Example\nTel 123\n\nAm 03.05.2021 um 10:12 schrieb Bo:\n> Gut?\n";
        let parts = separate(text);
        assert_eq!((parts.own.as_str(), parts.quoted.as_str()), ("Fine.", "Gut?"));
    }

    #[test]
    fn a_mail_that_is_passed_on_is_no_text_of_its_sender() {
        let text =
            "FYI\n\n---------- Forwarded message ---------\nFrom: Bo\nDate: x\nTo: Ann\n\nSecret";
        let parts = separate(text);
        assert_eq!((parts.own.as_str(), parts.forwards, parts.quoted.as_str()), ("FYI", true, ""));
    }

    #[test]
    fn a_text_without_quotations_stays() {
        let text = "Dear Bo,\n\nI wrote: come.\n\n\n\nx > y, and AB > C holds.\nAnn";
        assert_eq!(own(text), "Dear Bo,\n\nI wrote: come.\n\nx > y, and AB > C holds.\nAnn");
    }

    proptest! {
        #[test]
        fn any_text_can_be_taken_apart(text in "(wrote:|On 3 May 2021 10:12 a@b.cd wrote:|-- |>|From: a|To: b|Date: c|---Original Message---|é|x| |\n)*") {
            let parts = separate(&text);
            prop_assert!(parts.quoted.len() <= MAX_QUOTED_BYTES);
            prop_assert_eq!(separate(&parts.own.clone()).own.len() <= parts.own.len(), true);
        }
    }
}
