//! Errors of the encoder.

use crate::model;
use idiolect_kernels as kernels;

/// This module's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Error of the encoder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A model file is missing or malformed, or the tokenizer failed.
    #[error(transparent)]
    Model(#[from] model::Error),
    /// A tensor operation failed.
    #[error("encoder: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A kernel refused a shape.
    #[error("encoder: {0}")]
    Kernel(#[from] kernels::Error),
    /// Int8 was requested, but there are no kernels for it.
    #[error("encoder: no int8 here: {0}; use f32")]
    NoInt8(String),
    /// The network has no embedding for a token id of the tokenizer, or for a position of the text.
    #[error(
        "encoder: no embedding for token {id} at position {position}; the network has {n_words} \
         tokens, so tokenizer.json and model.safetensors do not belong together"
    )]
    NoEmbedding {
        /// The token's id.
        id: u32,
        /// Its position.
        position: usize,
        /// Size of the network's vocabulary.
        n_words: usize,
    },
    /// The network returned NaN or infinity.
    #[error(
        "encoder `{encoder}` gave a vector with NaN or infinity for {text}; the weights are \
         damaged, check them with `idiolect models verify`"
    )]
    NotFinite {
        /// Name of the encoder.
        encoder: String,
        /// Beginning of the text.
        text: String,
    },
    /// The tokenizer returned no tokens, not even special ones.
    #[error("encoder: the tokenizer gives no token for {text}, expected at least one")]
    NoTokens {
        /// Beginning of the text.
        text: String,
    },
}

/// Returns the beginning of a text, quoted, for a message.
pub(super) fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 60;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{:?}... ({} bytes)", &text[..end], text.len()),
        None => format!("{text:?}"),
    }
}
