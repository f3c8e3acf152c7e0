//! SentencePiece-style vocabularies: the pair whose joined piece has the highest score is joined
//! first.

use std::collections::{HashMap, HashSet};

use super::merge::{MergeRule, Merger, Symbol};
use super::vocab::{Use, Vocab};
use super::{Error, Result};

/// The character that represents a space.
pub(super) const SPACE: char = '\u{2581}';

/// Pieces with scores, and byte tokens for text that no piece covers.
#[derive(Debug)]
pub(super) struct Spm {
    /// Id and priority (smaller is better) of each piece.
    pieces: HashMap<Box<str>, (u32, u32)>,
    bytes: [Option<u32>; 256],
    unknown: Option<u32>,
    /// Pairs of characters that are adjacent in some piece. No other pair is ever joined, so a text
    /// may be cut between its two characters.
    neighbours: HashSet<(char, char)>,
    /// Length of the longest piece in bytes.
    longest: usize,
    space_prefix: bool,
}

impl Spm {
    pub(super) fn new(vocab: &Vocab<'_>) -> Self {
        let mut pieces: HashMap<Box<str>, (u32, u32)> = HashMap::new();
        let mut bytes = [None; 256];
        for (id, text, used) in vocab.tokens() {
            match used {
                Use::Text => {
                    let priority = descending(vocab.score(id));
                    pieces.entry(Box::from(text)).or_insert((id, priority));
                }
                Use::Byte(byte) => bytes[usize::from(byte)] = Some(id),
                Use::Marker | Use::Literal | Use::Idle => {}
            }
        }
        let longest = pieces.keys().map(|piece| piece.len()).max().unwrap_or(0);
        let neighbours =
            pieces.keys().flat_map(|piece| piece.chars().zip(piece.chars().skip(1))).collect();
        let space_prefix = vocab.flag("tokenizer.ggml.add_space_prefix").unwrap_or(true);
        Self { pieces, bytes, unknown: vocab.unknown, neighbours, longest, space_prefix }
    }

    /// Encodes a text at the beginning of a prompt, or after a marker.
    pub(super) fn encode(&self, text: &str, merger: &mut Merger, ids: &mut Vec<u32>) -> Result<()> {
        let mut escaped = String::with_capacity(text.len() + text.len() / 4);
        if self.space_prefix {
            escaped.push(SPACE);
        }
        escaped.extend(text.chars().map(|c| if c == ' ' { SPACE } else { c }));

        let mut start = 0;
        let mut characters = escaped.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            let end = at + character.len_utf8();
            match characters.peek() {
                Some(&(_, next)) if self.neighbours.contains(&(character, next)) => {}
                _ => {
                    self.encode_part(&escaped[start..end], merger, ids)?;
                    start = end;
                }
            }
        }
        Ok(())
    }

    fn encode_part(&self, part: &str, merger: &mut Merger, ids: &mut Vec<u32>) -> Result<()> {
        merger.clear();
        for character in part.chars() {
            merger.push(character.len_utf8() as u32, 0);
        }
        merger.run(|left, right| self.join(part, left, right));
        for symbol in merger.symbols() {
            let piece = &part[span(symbol)];
            match self.pieces.get(piece) {
                Some(&(id, _)) => ids.push(id),
                None => self.spell(piece, ids)?,
            }
        }
        Ok(())
    }

    pub(super) fn puts_space_first(&self) -> bool {
        self.space_prefix
    }

    fn join(&self, text: &str, left: &Symbol, right: &Symbol) -> Option<MergeRule> {
        let (start, end) = (span(left).start, span(right).end);
        if end - start > self.longest {
            return None;
        }
        let &(id, priority) = self.pieces.get(&text[start..end])?;
        Some(MergeRule { priority, id })
    }

    fn spell(&self, piece: &str, ids: &mut Vec<u32>) -> Result<()> {
        let start = ids.len();
        for byte in piece.bytes() {
            if let Some(id) = self.bytes[usize::from(byte)] {
                ids.push(id);
                continue;
            }
            let Some(unknown) = self.unknown else {
                return Err(Error::Tokenizer(format!(
                    "the vocabulary has no piece for {piece:?}, no token for its byte 0x{byte:02X} \
                     and no unknown token"
                )));
            };
            ids.truncate(start);
            ids.push(unknown);
            return Ok(());
        }
        Ok(())
    }
}

fn span(symbol: &Symbol) -> std::ops::Range<usize> {
    let start = symbol.start as usize;
    start..start + symbol.len as usize
}

/// Maps a float to an integer so that a higher score gives a smaller number. NaN becomes smallest
/// or largest, according to its sign.
fn descending(score: f32) -> u32 {
    let bits = score.to_bits();
    let ascending = if bits >> 31 == 1 { !bits } else { bits | 1 << 31 };
    !ascending
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn higher_scores_come_first() {
        let scores = [f32::INFINITY, 3.5, 0.0, -0.5, -2.0, -1e9, f32::NEG_INFINITY];
        assert!(scores.windows(2).all(|pair| descending(pair[0]) < descending(pair[1])));
    }
}
