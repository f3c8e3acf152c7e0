//! One thing that sets a user's writing apart, in words, with what speaks for it.

use serde::{Deserialize, Serialize};

use crate::corpus::ReviewId;

/// Who says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Counted in the texts.
    Measured,
    /// Told by the language model.
    Told,
    /// Written by a person.
    Written,
}

/// A place that shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The review.
    pub review: ReviewId,
    /// A span of its text, as it stands there.
    pub quote: String,
    /// A representative's sentence on the same item, to compare it with; only measured statements
    /// have some.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub other: Option<PeerQuote>,
}

/// A sentence of another user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerQuote {
    /// The review.
    pub review: ReviewId,
    /// A span of its text, as it stands there.
    pub quote: String,
}

/// One difference between a user and others who wrote about the same items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// Name that is unique among a user's statements: that of the measure, or made of the text.
    pub key: String,
    /// Key of the dimension of the task's standard that it belongs to.
    pub dimension: String,
    /// What is said, a sentence about the user that a prompt can show.
    pub text: String,
    /// Who says so.
    pub source: Source,
    /// Mean paired difference to the representatives in standard deviations, shrunk towards zero by
    /// the number of reviews; positive where the user has more of it. `None` where nothing was
    /// counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effect: Option<f64>,
    /// Reviews of the user that it was made from.
    pub reviews: Vec<ReviewId>,
    /// Reviews of others that it was made from.
    pub against: Vec<ReviewId>,
    /// Places that show it, most telling first.
    pub evidence: Vec<Evidence>,
}
