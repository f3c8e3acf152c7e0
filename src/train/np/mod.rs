//! `np`: a reward head that learns a person from a few pairs of texts.
//!
//! Source: few-shot steerable alignment, a neural process (arXiv 2412.13998). There, a label's choices
//! between two answers are the pairs, and vectors of an 8B model stand for the texts. Here, a pair is a
//! user's own text and a peer's on the same item, so that item and genre cancel, and no choice of an
//! annotator is needed; a text is a vector of what is counted in it (`features`), since meaning helps
//! less than style. Choices between two drafts ([`DraftChoice`]) are pairs, too.
//!
//! The head is trained on many users' texts and knows a user by their pairs alone: nothing is trained
//! for a user, and a new text or choice counts at once.

mod choices;
mod draws;
mod evaluation;
mod features;
mod head;
mod net;
mod rating_files;
mod ratings;
mod reward;
mod settings;
#[cfg(test)]
mod tests;
mod texts;
mod trained_head;

pub(crate) use evaluation::{KIND as EVALUATED, mean as mean_share};
pub(crate) use net::bradley_terry;
pub(crate) use texts::StyleTexts;
pub(crate) use trained_head::{HeadPlace, train_on as train_head_on};

pub use choices::{DraftChoice, draft_choices, put_draft_choice};
pub use evaluation::{NpEvaluation, NpEvaluationOptions, NpRow, NpShare, evaluate_np};
pub use features::StyleFeatures;
pub use head::{HeadTraining, NpHead};
pub use rating_files::{read_rated_texts, read_ratings};
pub use ratings::{RatedEvaluation, TextRating, evaluate_rated};
pub use settings::NpSettings;
pub use texts::PeerLength;
pub use trained_head::train_head;
