//! Token counts of a whole corpus, for stores that hold a part of it.

use serde::{Deserialize, Serialize};

/// Token counts of all texts of a corpus. Words are counted against them, so that a text does not depend
/// on which part of the corpus its store holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// Hash of the vocabulary that the texts were counted with.
    pub vocabulary: String,
    /// Number of texts.
    pub n_texts: u64,
    /// Count of each token, `[n_tokens]`.
    pub counts: Vec<u32>,
}
