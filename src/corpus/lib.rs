//! Users, items and reviews: the store and the importers.

mod background;
mod cache;
pub mod date;
mod edits;
mod error;
mod evaluations;
mod forget;
pub mod import;
mod log_check;
mod memory_overlay;
mod recover;
mod saved_prefixes;
mod schema;
pub mod split;
mod stats;
mod store;
#[cfg(test)]
mod store_tests;
mod suggest;
mod sums;
mod upsert;
#[cfg(test)]
mod upsert_tests;
mod vectors;
mod view;

pub use background::Background;
pub use edits::ProfileEdit;
pub use error::Error;
pub use evaluations::{EvaluationSummary, RunningEvaluation};
pub use forget::{ForgetScope, Forgotten, NOT_REACHED};
pub use idiolect_engine::key::{Key, KeyBuilder};
pub use log_check::LogDamage;
pub use recover::RecoveredTable;
pub use saved_prefixes::remove_overwritten;
pub use stats::VectorCount;
pub use store::{Counts, ItemSummary, Store, UserSummary};
pub(crate) use upsert::ImportSession;
pub use upsert::{KeptReviews, SourceContext, SourceReview, UpsertOutcome};
pub use view::View;

/// This crate's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An item that reviews are about.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Item {
    /// Identifier in the source data, e.g. a parent ASIN; empty for the item of a [`Target`] that is
    /// not in the store.
    pub id: String,
    /// Title; empty when the source has none.
    pub title: String,
    /// Description; empty when the source has none.
    pub description: String,
    /// Category path, outermost first; empty when the source has none.
    pub categories: Vec<String>,
}

/// A user's review of an item. A user may have several of one item, like the mails of a thread.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Review {
    /// Identifier of the user in the source data.
    pub user: String,
    /// Identifier of the item in the source data.
    pub item: String,
    /// Rating, usually 1 to 5.
    pub rating: Option<f32>,
    /// The review's own title; empty when the source has none.
    pub title: String,
    /// The text.
    pub text: String,
    /// Seconds since the Unix epoch; 0 when the source has none.
    pub time: i64,
}

/// Row id of a review in the store. If a newer version replaces it, the newer one gets a new id. It is
/// not the identifier that the source gives the review ([`SourceReview::id`]).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct ReviewId(pub i64);

/// A review and its row id.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StoredReview {
    /// Row id in the store.
    pub id: ReviewId,
    /// The review.
    #[serde(flatten)]
    pub review: Review,
    /// The text that the review answers, if it is a message that answers one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<ReviewContext>,
}

/// The text that a review answers, like the mail to which it is the reply.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ReviewContext {
    /// The text.
    pub text: String,
    /// The stored review that it is the text of. `None` if the text came with the answer, as a quotation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<ReviewId>,
    /// Who wrote it, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
}

impl ReviewContext {
    /// A message that is not in the store, by nobody known.
    #[must_use]
    pub fn given(text: String) -> Self {
        Self { text, review: None, user: None }
    }
}

impl From<StoredReview> for ReviewContext {
    fn from(stored: StoredReview) -> Self {
        let StoredReview { id, review, .. } = stored;
        Self { text: review.text, review: Some(id), user: Some(review.user) }
    }
}

impl StoredReview {
    /// Returns the target for which this text would be written: its user, rating, title, and the text that
    /// it answers.
    #[must_use]
    pub fn as_target(&self, item: Item) -> Target {
        Target {
            user: self.review.user.clone(),
            item,
            rating: self.review.rating,
            title: Some(self.review.title.clone()).filter(|title| !title.is_empty()),
            context: self.context.clone(),
        }
    }
}

/// A text to write: the user, the item, and the given parts of the text.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Target {
    /// The user.
    pub user: String,
    /// The item.
    pub item: Item,
    /// Rating of the review to write, if given.
    pub rating: Option<f32>,
    /// Title of the review to write, if given.
    pub title: Option<String>,
    /// Text that the text to write answers, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<ReviewContext>,
}
