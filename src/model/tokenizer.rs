//! Text to token ids and back, from a GGUF's vocabulary or a `tokenizer.json`.

use std::path::Path;

use super::{Result, gguf::Gguf};

/// A piece of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Written by a template: control tokens in it are control tokens.
    Markup(String),
    /// Written by anybody else: never yields a control token.
    Data(String),
}

/// Text to token ids and back.
pub struct Tokenizer {}

#[allow(unused_variables, missing_docs)]
impl Tokenizer {
    pub fn from_gguf(gguf: &Gguf) -> Result<Self> {
        todo!()
    }
    /// From a `tokenizer.json`; special ids still come from the GGUF.
    pub fn from_file(path: &Path, gguf: &Gguf) -> Result<Self> {
        todo!()
    }
    /// Encodes data: no control token ever results, and none is added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        todo!()
    }
    /// Encodes neighbouring pieces as one text, control tokens only out of markup; adds BOS where
    /// the model wants one and the markup did not bring it.
    pub fn encode_pieces(&self, pieces: &[Piece]) -> Result<Vec<u32>> {
        todo!()
    }
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        todo!()
    }
    /// Bytes of one token as it appears in running text (empty for control tokens).
    pub fn bytes(&self, id: u32) -> &[u8] {
        todo!()
    }
    pub fn n_vocab(&self) -> usize {
        todo!()
    }
    /// Whether a completion ends at this token (EOS, end of turn, ...).
    pub fn is_end(&self, id: u32) -> bool {
        todo!()
    }
    /// Hash of everything that decides the ids.
    pub fn fingerprint(&self) -> &str {
        todo!()
    }
}

/// Turns ids into text as they come; only whole UTF-8 characters leave it.
#[derive(Debug, Default)]
pub struct Utf8Stream {
    /// Bytes of a character that is not whole yet.
    pub pending: Vec<u8>,
}
