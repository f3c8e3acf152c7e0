use crate::model;

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
    /// The network gave NaN or infinity.
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
    /// The tokenizer gave nothing, not even special tokens.
    #[error("encoder: the tokenizer gives no token for {text}, expected at least one")]
    NoTokens {
        /// Beginning of the text.
        text: String,
    },
}

/// The beginning of a text, quoted, for a message.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}... ({} bytes)", &text[..end], text.len()),
        None => format!("{text:?}"),
    }
}
