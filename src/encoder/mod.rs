//! A sentence encoder that runs.

use crate::model::{self, EncoderFiles};

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in the encoder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The files are wrong.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// A tensor operation failed.
    #[error("encoder: {0}")]
    Tensor(#[from] candle_core::Error),
}

/// A text's vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The vector, `[dimension]`; unit length when the model normalises.
    pub vector: Vec<f32>,
    /// Tokens of the text, special tokens counted, before any cut.
    pub n_tokens: usize,
    /// Whether the text was cut to the model's longest input.
    pub truncated: bool,
}

/// A loaded sentence encoder.
pub struct Encoder {}

#[allow(unused_variables)]
impl Encoder {
    /// Loads the weights.
    pub fn load(files: &EncoderFiles, device: &candle_core::Device) -> Result<Self> {
        todo!()
    }
    /// Catalog name or folder name.
    #[must_use]
    pub fn name(&self) -> &str {
        todo!()
    }
    /// Hash of weights, tokenizer, pooling, normalisation and longest input: vectors of different
    /// stamps are never mixed.
    #[must_use]
    pub fn stamp(&self) -> &str {
        todo!()
    }
    /// Length of a vector.
    #[must_use]
    pub fn dimension(&self) -> usize {
        todo!()
    }
    /// Vectors of texts, in the order of the texts; batches are formed by length inside.
    pub fn encode<S: AsRef<str>>(&self, texts: &[S]) -> Result<Vec<Embedding>> {
        todo!()
    }
}
