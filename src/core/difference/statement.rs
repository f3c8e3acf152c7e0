//! One difference between a user's writing and others', in words, with its evidence.

use serde::{Deserialize, Serialize};

use super::measured::FeatureUnit;
use crate::corpus::ReviewId;

/// Origin of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatementSource {
    /// Counted in the texts.
    Measured,
    /// Extracted by the language model.
    Told,
    /// Written by a person.
    Written,
}

/// A quote that shows a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The review.
    pub review: ReviewId,
    /// A span of its text, verbatim.
    pub quote: String,
    /// A representative's sentence on the same item, for comparison; only measured statements have
    /// one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub other: Option<PeerQuote>,
}

/// A sentence of another user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerQuote {
    /// The review.
    pub review: ReviewId,
    /// A span of its text, verbatim.
    pub quote: String,
}

/// Means of a counted measure over the items that a user and others wrote about.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ComparedMeans {
    /// Mean of the user's values.
    pub own: f64,
    /// Mean over items of the others' means.
    pub others: f64,
    /// Lower end of the 95 % interval of `own - others` (Student's t over items).
    pub low: f64,
    /// Upper end of that interval.
    pub high: f64,
    /// Unit of all of them. In [`FeatureUnit::Log`] they are logarithms.
    pub unit: FeatureUnit,
}

/// One difference between a user and others who wrote about the same items.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Statement {
    /// Key, unique among a user's statements: the name of the measure with its phrase, the
    /// dimension with the item of an extracted statement, or a hash of an added one's text.
    pub key: String,
    /// Key of its dimension, usually one of the task's standard.
    pub dimension: String,
    /// A sentence about the user that a prompt can show.
    pub text: String,
    /// Origin of the statement.
    pub source: StatementSource,
    /// Mean paired difference to the representatives in standard deviations, shrunk towards zero by
    /// the number of reviews; positive if the user has more of it. `None` if nothing was counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub effect: Option<f64>,
    /// The counted means; `None` if nothing was counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub figures: Option<ComparedMeans>,
    /// Reviews of the user that it was made from.
    pub reviews: Vec<ReviewId>,
    /// Reviews of others that it was made from.
    pub against: Vec<ReviewId>,
    /// Quotes that show it, strongest first.
    pub evidence: Vec<Evidence>,
}
