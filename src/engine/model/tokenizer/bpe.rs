//! GPT-2-style byte-level BPE: pairs are merged in the order in which training merged them.

use std::collections::HashMap;

use super::byte_level;
use super::merge::{MergeRule, Merger};
use super::pretokenizer::PreTokenizer;
use super::vocab::{Use, Vocab};
use super::{Error, Result};

/// Byte-level BPE. A symbol is identified by a number: a token by its id, any other merged string
/// of bytes by a number above those of the vocabulary.
#[derive(Debug)]
pub(super) struct Bpe {
    pretokenizer: PreTokenizer,
    /// Number of every string of bytes that is a token or part of a merge.
    numbers: HashMap<Box<[u8]>, u32>,
    /// Number of each single byte.
    bytes: [u32; 256],
    /// Rank and result of the merge of two numbers.
    merges: HashMap<(u32, u32), MergeRule>,
    n_vocab: u32,
}

impl Bpe {
    pub(super) fn new(vocab: &Vocab<'_>, pretokenizer: PreTokenizer) -> Result<Self> {
        let n_vocab = vocab.len() as u32;
        let mut numbers = HashMap::with_capacity(vocab.len());
        for (id, text, used) in vocab.tokens() {
            if used == Use::Text
                && let Some(bytes) = byte_level::to_bytes(text)
            {
                numbers.entry(bytes.into_boxed_slice()).or_insert(id);
            }
        }
        let mut bpe = Self {
            pretokenizer,
            numbers,
            bytes: [0; 256],
            merges: HashMap::with_capacity(vocab.merges.len()),
            n_vocab,
        };
        // There must be numbers for 256 bytes, and for two parts and a result of each merge.
        if vocab.len() + 256 + 3 * vocab.merges.len() >= u32::MAX as usize {
            return Err(Error::Tokenizer("the vocabulary has more than 2^32 entries".to_owned()));
        }
        let mut next = n_vocab;
        for byte in 0..=u8::MAX {
            bpe.bytes[usize::from(byte)] = bpe.number(vec![byte], &mut next);
        }
        for (rank, merge) in vocab.merges.iter().enumerate() {
            let Some((left, right)) = parts(merge) else {
                return Err(vocab.malformed(format!(
                    "merge {rank} of `tokenizer.ggml.merges` is {merge:?}, expected two runs of \
                     GPT-2's byte alphabet with a space between"
                )));
            };
            let joined = [left.as_slice(), right.as_slice()].concat();
            let pair = (bpe.number(left, &mut next), bpe.number(right, &mut next));
            let id = bpe.number(joined, &mut next);
            bpe.merges.entry(pair).or_insert(MergeRule { priority: rank as u32, id });
        }
        Ok(bpe)
    }

    /// Encodes a text without markers. Bytes that have no token in the vocabulary are omitted, as
    /// in the reference implementations (SmolLM2 lacks a few control characters).
    pub(super) fn encode(&self, text: &str, merger: &mut Merger, ids: &mut Vec<u32>) -> Result<()> {
        for range in self.pretokenizer.split(text)? {
            self.encode_word(&text.as_bytes()[range], merger, ids);
        }
        Ok(())
    }

    fn encode_word(&self, word: &[u8], merger: &mut Merger, ids: &mut Vec<u32>) {
        if self.pretokenizer.ignores_merges()
            && let Some(&id) = self.numbers.get(word)
            && id < self.n_vocab
        {
            ids.push(id);
            return;
        }
        merger.clear();
        for &byte in word {
            merger.push(1, self.bytes[usize::from(byte)]);
        }
        merger.run(|left, right| self.merges.get(&(left.id, right.id)).copied());
        for symbol in merger.symbols() {
            if symbol.id < self.n_vocab {
                ids.push(symbol.id);
                continue;
            }
            let start = symbol.start as usize;
            let spelled = word[start..start + symbol.len as usize]
                .iter()
                .map(|&byte| self.bytes[usize::from(byte)])
                .filter(|&id| id < self.n_vocab);
            ids.extend(spelled);
        }
    }

    fn number(&mut self, bytes: Vec<u8>, next: &mut u32) -> u32 {
        *self.numbers.entry(bytes.into_boxed_slice()).or_insert_with(|| {
            *next += 1;
            *next - 1
        })
    }
}

/// Returns the two parts of a merge, which are separated by a space. The separator is unambiguous,
/// since GPT-2's alphabet writes a space as another character.
fn parts(merge: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (left, right) = merge.split_once(' ')?;
    let (left, right) = (byte_level::to_bytes(left)?, byte_level::to_bytes(right)?);
    (!left.is_empty() && !right.is_empty()).then_some((left, right))
}
