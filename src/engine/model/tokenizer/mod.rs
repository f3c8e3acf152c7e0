//! Converts text to token ids and back, with the vocabulary of a GGUF or a `tokenizer.json`.
//!
//! Data never yields a control token. Control tokens, and user-defined tokens that look like markup
//! (`<think>`, `[TOOL]`), are found by their text only in [`Piece::Markup`], longest first. The
//! text between them, markup or data, is joined and encoded as one text, so that ordinary text gets
//! the ids that the reference tokenizer assigns in the whole rendered prompt. In [`Piece::Data`],
//! the text of a control token is encoded as ordinary tokens.

use std::collections::BTreeSet;

use self::bpe::Bpe;
use self::json::Json;
use self::markers::{Markers, Stretch};
use self::merge::Merger;
use self::spm::Spm;
use super::{Error, Result};

mod bpe;
mod build;
mod byte_level;
mod guarded;
mod json;
#[cfg(test)]
mod json_tests;
mod markers;
mod merge;
mod pretokenizer;
mod spm;
mod stream;
#[cfg(test)]
mod tests;
mod vocab;

pub(crate) use guarded::guarded;
pub use stream::Utf8Stream;

/// Part of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text from a template: control tokens in it are encoded as control tokens.
    Markup(String),
    /// Text from any other source: never yields a control token.
    Data(String),
}

/// Tokenizer: converts text to token ids and back.
pub struct Tokenizer {
    model: TokenizerModel,
    /// Tokens that only markup yields.
    markers: Markers,
    /// User-defined tokens that any text yields.
    literals: Markers,
    /// Bytes of each token in running text, by id; empty for control tokens.
    bytes: Vec<Box<[u8]>>,
    control: BTreeSet<u32>,
    ends: BTreeSet<u32>,
    bos: Option<u32>,
    fingerprint: String,
}

enum TokenizerModel {
    Bpe(Box<Bpe>),
    Spm(Box<Spm>),
    Json(Box<Json>),
}

impl Tokenizer {
    /// Encodes data. The result never contains a control token, and no token is added.
    ///
    /// # Errors
    /// The vocabulary cannot represent the text, or the text is 1 GiB or longer.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::with_capacity(text.len() / 4 + 1);
        self.encode_run(text, true, &mut Merger::default(), &mut ids)?;
        Ok(ids)
    }

    /// Encodes consecutive pieces as one text, with control tokens only from markup. Adds BOS if
    /// the model requires it (`tokenizer.ggml.add_bos_token`, or its family's default) and the
    /// markup does not begin with it. Never adds EOS.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_pieces(&self, pieces: &[Piece]) -> Result<Vec<u32>> {
        let mut merger = Merger::default();
        let mut ids = Vec::new();
        let mut run = String::new();
        let mut at_start = true;
        for piece in pieces {
            let markup = match piece {
                Piece::Data(text) => {
                    run.push_str(text);
                    continue;
                }
                Piece::Markup(text) => text,
            };
            for stretch in self.markers.split(markup) {
                match stretch {
                    Stretch::Text(text) => run.push_str(text),
                    Stretch::Marker(id) => {
                        self.encode_run(&run, at_start, &mut merger, &mut ids)?;
                        run.clear();
                        ids.push(id);
                        at_start = false;
                    }
                }
            }
        }
        self.encode_run(&run, at_start, &mut merger, &mut ids)?;
        if let Some(bos) = self.bos
            && ids.first() != Some(&bos)
        {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    /// Returns the text of ids, without control tokens. Invalid UTF-8 becomes U+FFFD. If the
    /// vocabulary puts a space before a text, that space is removed, so that decoding returns the
    /// encoded text. To continue an existing text, pass [`Tokenizer::bytes`] to a [`Utf8Stream`]
    /// instead.
    ///
    /// # Errors
    /// An id is not in the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        for &id in ids {
            let Some(piece) = self.bytes.get(id as usize) else {
                return Err(Error::Tokenizer(format!(
                    "decode: id {id} is outside of the vocabulary of {}",
                    self.n_vocab()
                )));
            };
            bytes.extend_from_slice(piece);
        }
        if self.puts_space_first() && bytes.first() == Some(&b' ') {
            bytes.remove(0);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns the bytes of one token as it appears in running text; empty for control tokens and
    /// for ids outside of the vocabulary.
    #[must_use]
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], |bytes| bytes)
    }

    /// Returns the number of ids; every id is below it.
    #[must_use]
    pub fn n_vocab(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a completion ends at this token (EOS, end of turn, ...).
    #[must_use]
    pub fn is_end(&self, id: u32) -> bool {
        self.ends.contains(&id)
    }

    /// Returns all tokens that end a completion.
    pub fn ends(&self) -> impl Iterator<Item = u32> + '_ {
        self.ends.iter().copied()
    }

    /// Whether this is a control token, which data never yields.
    #[must_use]
    pub fn is_control(&self, id: u32) -> bool {
        self.control.contains(&id)
    }

    /// Returns the id of the token that markup yields for exactly this text, e.g. `<|im_end|>`.
    #[must_use]
    pub fn marker(&self, text: &str) -> Option<u32> {
        self.markers.id(text)
    }

    /// Returns the text for which markup yields the id, e.g. `<|im_end|>`; `None` for ordinary tokens.
    #[must_use]
    pub fn marker_text(&self, id: u32) -> Option<&str> {
        self.markers.text(id)
    }

    /// Returns the token that is put before a prompt; `None` if the model requires none.
    #[must_use]
    pub fn bos(&self) -> Option<u32> {
        self.bos
    }

    /// Returns the hash of everything that determines the ids: SHA-256, lower-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Encodes text at the beginning of a prompt, or after a marker.
    fn encode_run(
        &self,
        text: &str,
        at_start: bool,
        merger: &mut Merger,
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        if u32::try_from(text.len()).is_err() || text.len() > u32::MAX as usize / 4 {
            return Err(Error::Tokenizer(format!(
                "a text of {} bytes is too long, expected less than 1 GiB",
                text.len()
            )));
        }
        let from = ids.len();
        for (index, stretch) in self.literals.split(text).into_iter().enumerate() {
            let at_start = at_start && index == 0;
            match (stretch, &self.model) {
                (Stretch::Marker(id), _) => ids.push(id),
                (Stretch::Text(text), TokenizerModel::Bpe(bpe)) => bpe.encode(text, merger, ids)?,
                (Stretch::Text(text), TokenizerModel::Spm(spm)) => spm.encode(text, merger, ids)?,
                (Stretch::Text(text), TokenizerModel::Json(json)) => {
                    json.encode(text, at_start, ids)?
                }
            }
        }
        match ids[from..].iter().find(|id| self.control.contains(id)) {
            Some(id) => {
                Err(Error::Tokenizer(format!("a text encoded as data yielded control token {id}")))
            }
            None => Ok(()),
        }
    }

    fn puts_space_first(&self) -> bool {
        match &self.model {
            TokenizerModel::Bpe(_) => false,
            TokenizerModel::Spm(spm) => spm.puts_space_first(),
            TokenizerModel::Json(json) => {
                let mut ids = Vec::new();
                json.encode("a", true, &mut ids).is_ok()
                    && ids.first().is_some_and(|&id| self.bytes(id).first() == Some(&b' '))
            }
        }
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("n_vocab", &self.n_vocab())
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}
