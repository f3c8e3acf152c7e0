//! The kind of a model.

use std::fmt;

use serde::{Deserialize, Serialize};

/// ModelKind of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelKind {
    /// Language model.
    Lm,
    /// Sentence encoder.
    Encoder,
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lm => "a language model",
            Self::Encoder => "a sentence encoder",
        })
    }
}
