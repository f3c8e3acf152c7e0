//! Placeholders for messages while a template runs.

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::{Error, Message, Result};
use crate::model::hash::hex;
use crate::model::tokenizer::Piece;

/// One placeholder for each message that is not only white space.
///
/// A placeholder is a word of letters and digits made from a hash over the template and all
/// messages. No one can write a message that contains it, and the same conversation always gets the
/// same placeholders.
pub(super) struct Placeholders<'a> {
    messages: &'a [Message],
    stem: String,
}

impl<'a> Placeholders<'a> {
    pub(super) fn new(template: &str, messages: &'a [Message]) -> Self {
        let mut hash = Sha256::new();
        hash.update(template);
        for message in messages {
            hash.update((message.content.len() as u64).to_le_bytes());
            hash.update(&message.content);
        }
        Self { messages, stem: format!("Q{}N", hex(&hash.finalize())) }
    }

    /// Returns the text that the template gets for a message: the placeholder with the message's
    /// own surrounding white space, so that a template that trims has its intended effect.
    pub(super) fn shown(&self, index: usize) -> String {
        let content = &self.messages[index].content;
        let Some(core) = core(content) else { return content.clone() };
        format!("{}{}{}", &content[..core.start], self.word(index), &content[core.end..])
    }

    /// Splits the template's output at the placeholders and inserts the messages.
    pub(super) fn split(&self, rendered: &str) -> Result<Vec<Piece>> {
        let words = self.words_in(rendered);
        let mut found: Vec<(Range<usize>, &str)> = Vec::new();
        for (index, message) in self.messages.iter().enumerate() {
            let Some(core) = core(&message.content) else { continue };
            let [word] = &words[index][..] else {
                return Err(Error::Chat(format!(
                    "the template gives the text of message {} ({:?}) {} times, expected once",
                    index + 1,
                    message.role,
                    words[index].len()
                )));
            };
            found.push(with_white_space(rendered, word.clone(), &message.content, core));
        }
        found.sort_by_key(|(range, _)| range.start);

        let mut pieces = Vec::with_capacity(2 * found.len() + 1);
        let mut end = 0;
        for (range, content) in found {
            // White space between two messages belongs to only one of them.
            let start = range.start.max(end);
            let content = &content[start - range.start..];
            if end < start {
                pieces.push(Piece::Markup(rendered[end..start].to_owned()));
            }
            pieces.push(Piece::Data(content.to_owned()));
            end = range.end;
        }
        if end < rendered.len() {
            pieces.push(Piece::Markup(rendered[end..].to_owned()));
        }
        Ok(pieces)
    }

    /// Places of the placeholders of each message, found in one pass over the text.
    fn words_in(&self, rendered: &str) -> Vec<Vec<Range<usize>>> {
        let mut words = vec![Vec::new(); self.messages.len()];
        for (start, stem) in rendered.match_indices(&self.stem) {
            let digits = start + stem.len();
            let n_digits = rendered[digits..].bytes().take_while(u8::is_ascii_digit).count();
            let index = rendered[digits..digits + n_digits].parse::<usize>();
            if let Ok(index) = index
                && index < words.len()
                && rendered[start..].starts_with(&self.word(index))
            {
                words[index].push(start..digits + n_digits + 1);
            }
        }
        words
    }

    fn word(&self, index: usize) -> String {
        format!("{}{index}Q", self.stem)
    }
}

/// Returns the range of the text without surrounding white space; `None` if there is nothing else.
fn core(content: &str) -> Option<Range<usize>> {
    let start = content.len() - content.trim_start().len();
    let end = content.trim_end().len();
    (start < end).then_some(start..end)
}

/// Extends a placeholder's range by the message's own white space if the template kept it. Returns
/// the range and the part of the message that belongs there.
fn with_white_space<'a>(
    rendered: &str,
    word: Range<usize>,
    content: &'a str,
    core: Range<usize>,
) -> (Range<usize>, &'a str) {
    let (mut place, mut said) = (word.clone(), core.clone());
    if rendered[..word.start].ends_with(&content[..core.start]) {
        place.start -= core.start;
        said.start = 0;
    }
    if rendered[word.end..].starts_with(&content[core.end..]) {
        place.end += content.len() - core.end;
        said.end = content.len();
    }
    (place, &content[said])
}
