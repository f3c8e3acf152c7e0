//! Vocabulary, read from a GGUF's metadata.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::{Error, Result};
use crate::model::gguf::{Gguf, Value};

/// Use of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Ordinary token, produced by splitting and merging.
    Text,
    /// Found by its text, in markup only: control tokens and tokens that look like markup.
    Marker,
    /// Found by its text anywhere: user-defined tokens such as runs of spaces.
    Literal,
    /// Represents one byte, for text that no piece covers.
    Byte(u8),
    /// Never produced.
    Idle,
}

/// Names of the tokens that end a turn or a text in known models.
const ENDS: &[&str] = &[
    "</s>",
    "<eos>",
    "<EOT>",
    "_<EOT>",
    "<|end|>",
    "<|eot|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|return|>",
    "<|call|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<|END_OF_TURN_TOKEN|>",
    "<\u{ff5c}end\u{2581}of\u{2581}sentence\u{ff5c}>",
];

/// The tokenizer's metadata, checked for consistency.
pub(super) struct Vocab<'a> {
    gguf: &'a Gguf,
    texts: &'a [String],
    kinds: Option<&'a [i64]>,
    scores: Option<&'a [f32]>,
    pub(super) merges: &'a [String],
    pub(super) bos: Option<u32>,
    pub(super) unknown: Option<u32>,
}

impl<'a> Vocab<'a> {
    pub(super) fn read(gguf: &'a Gguf) -> Result<Self> {
        let texts = gguf.strings("tokenizer.ggml.tokens")?;
        let mut vocab = Self {
            gguf,
            texts,
            kinds: present(gguf, "tokenizer.ggml.token_type", Gguf::integers)?,
            scores: present(gguf, "tokenizer.ggml.scores", Gguf::f32s)?,
            merges: present(gguf, "tokenizer.ggml.merges", Gguf::strings)?.unwrap_or(&[]),
            bos: None,
            unknown: None,
        };
        if texts.is_empty() || texts.len() >= u32::MAX as usize / 2 {
            return Err(vocab.malformed(format!(
                "`tokenizer.ggml.tokens` has {} entries, expected 1 to 2^31",
                texts.len()
            )));
        }
        let lengths = [
            ("token_type", vocab.kinds.map(<[i64]>::len)),
            ("scores", vocab.scores.map(<[f32]>::len)),
        ];
        for (name, length) in lengths {
            if let Some(length) = length
                && length != texts.len()
            {
                return Err(vocab.malformed(format!(
                    "`tokenizer.ggml.{name}` has {length} entries, expected one for each of the {} \
                     tokens",
                    texts.len()
                )));
            }
        }
        vocab.bos = vocab.special("bos")?;
        vocab.unknown = vocab.special("unknown")?;
        Ok(vocab)
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn text(&self, id: u32) -> Option<&'a str> {
        self.texts.get(id as usize).map(String::as_str)
    }

    pub(super) fn score(&self, id: u32) -> f32 {
        self.scores.and_then(|scores| scores.get(id as usize)).copied().unwrap_or(0.0)
    }

    /// Returns every token with its use, in the order of ids.
    pub(super) fn tokens(&self) -> impl Iterator<Item = (u32, &'a str, Use)> {
        (0u32..).zip(self.texts).map(|(id, text)| (id, text.as_str(), self.used(id, text)))
    }

    pub(super) fn is_control(&self, id: u32) -> bool {
        self.kind(id) == CONTROL
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.gguf.value(key).and_then(Value::as_bool)
    }

    /// Returns a special token's id, e.g. `bos`. An id outside of the vocabulary is an error.
    pub(super) fn special(&self, name: &str) -> Result<Option<u32>> {
        let key = format!("tokenizer.ggml.{name}_token_id");
        let Some(value) = self.gguf.value(&key) else { return Ok(None) };
        // Some converters write -1, or the largest number, for "none".
        if matches!(value, Value::Signed(-1)) || value.as_u64() == Some(u64::from(u32::MAX)) {
            return Ok(None);
        }
        let id = self.gguf.u64(&key)?;
        match u32::try_from(id) {
            Ok(small) if (small as usize) < self.len() => Ok(Some(small)),
            _ => Err(self.malformed(format!(
                "`{key}` is {id}, expected less than the vocabulary's {}",
                self.len()
            ))),
        }
    }

    /// Returns the ids that end a completion.
    pub(super) fn ends(&self) -> Result<BTreeSet<u32>> {
        let mut ends: BTreeSet<u32> = self
            .tokens()
            .filter(|&(_, text, used)| used == Use::Marker && is_end_name(text))
            .map(|(id, ..)| id)
            .collect();
        for name in ["eos", "eot", "eom"] {
            ends.extend(self.special(name)?);
        }
        Ok(ends)
    }

    /// Hashes all metadata that determine ids.
    pub(super) fn hash_into(&self, hash: &mut Sha256) {
        let mut strings = |items: &[String]| {
            hash.update((items.len() as u64).to_le_bytes());
            for item in items {
                hash.update((item.len() as u64).to_le_bytes());
                hash.update(item);
            }
        };
        strings(self.texts);
        strings(self.merges);
        for kind in self.kinds.unwrap_or(&[]) {
            hash.update(kind.to_le_bytes());
        }
        for score in self.scores.unwrap_or(&[]) {
            hash.update(score.to_le_bytes());
        }
    }

    pub(super) fn malformed(&self, what: String) -> Error {
        Error::Malformed { path: self.gguf.path().to_owned(), what }
    }

    fn kind(&self, id: u32) -> i64 {
        self.kinds.and_then(|kinds| kinds.get(id as usize)).copied().unwrap_or(NORMAL)
    }

    fn used(&self, id: u32, text: &str) -> Use {
        match self.kind(id) {
            CONTROL | UNKNOWN => Use::Marker,
            BYTE => byte_token(text).map_or(Use::Idle, Use::Byte),
            UNUSED => Use::Idle,
            USER_DEFINED if looks_like_markup(text) => Use::Marker,
            USER_DEFINED => Use::Literal,
            // Some files mark their control tokens as normal.
            _ if is_end_name(text) || (text.starts_with("<|") && text.ends_with("|>")) => {
                Use::Marker
            }
            _ => Use::Text,
        }
    }
}

/// Whether a token's text has the shape of markup: `<tag>`, `</tag>`, `<|tag|>`, `[TAG]`.
pub(super) fn looks_like_markup(text: &str) -> bool {
    let inner = text
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .or_else(|| text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')));
    inner.is_some_and(|inner| inner.chars().any(char::is_alphanumeric))
}

/// Whether a control token of this name ends a turn or a text.
pub(super) fn is_end_name(text: &str) -> bool {
    ENDS.contains(&text)
}

/// Returns the byte of a token `<0xNN>`.
pub(super) fn byte_token(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() != 2 {
        return None;
    }
    u8::from_str_radix(digits, 16).ok()
}

// `tokenizer.ggml.token_type`, as in the GGUF specification.
const NORMAL: i64 = 1;
const UNKNOWN: i64 = 2;
const CONTROL: i64 = 3;
const USER_DEFINED: i64 = 4;
const UNUSED: i64 = 5;
const BYTE: i64 = 6;

fn present<'a, T>(
    gguf: &'a Gguf,
    key: &str,
    read: impl Fn(&'a Gguf, &str) -> Result<T>,
) -> Result<Option<T>> {
    gguf.value(key).is_some().then(|| read(gguf, key)).transpose()
}
