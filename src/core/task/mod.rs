//! Tasks: fields, standard and prompt templates; and prompts that fit the context window.
//!
//! A task defines the kind of text (reviews, headlines, replies), the names of its fields in
//! prompts, the dimensions of differences, and the prompt of each stage. Another kind of text needs
//! only another folder of files, or a file, which says what differs from the task that it inherits
//! from; no code depends on reviews.

mod check;
mod draft;
mod error;
mod file;
mod fit;
mod label;
mod measure;
mod render;
mod shorten;
mod sources;
mod stage;
mod standard;
mod statements;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use draft::{Block, BlockSource, DifferenceFormat, Draft, Field, Order, Part};
pub use error::Error;
pub use fit::{Cut, Fitted, Window, fit};
pub use label::{LabelStrip, strip_label};
pub use measure::Measure;
pub use render::Rendered;
pub use stage::Stage;
pub use standard::{Dimension, DimensionText, split_by_dimension};
pub use statements::{Direction, Figures};

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::corpus::Key;
use idiolect_engine::lm::Sampling;
use sources::{Sources, TaskFiles};

/// This module's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A parsed task.
#[derive(Debug, Clone)]
pub struct Task {
    /// Short name.
    pub name: String,
    /// One-line description of the texts.
    pub about: String,
    /// Maximum number of past texts in a prompt (N).
    pub n: usize,
    /// Maximum number of representatives of an item (K). Also the minimum number of other reviewers
    /// that an item must have to be compared.
    pub k: usize,
    /// Dimensions of a difference.
    pub standard: Vec<Dimension>,
    /// Maximum length, in characters, of the statement along one dimension, if differences are
    /// [constrained](DifferenceFormat::Constrained).
    pub statement_characters: usize,
    /// Maximum share of the window that a single field may take, 0 to 1.
    field_share: f64,
    /// Fields that form the retrieval text of a past text or a target; [`Field::Text`] and
    /// [`Field::Other`] are not allowed.
    pub retrieval: Vec<Field>,
    /// Hash of the text of its files. It names the task in reports; no stored value depends on it.
    hash: Key,
    /// Instructions of the method `tiers` that hold unless its settings replace them.
    pub tiers: TaskTiers,
    fields: BTreeMap<&'static str, String>,
    /// Macros that every template has.
    shared: String,
    /// Byte ranges of the texts that `shared` is joined from, and their numbers of lines.
    macro_places: Vec<(Range<usize>, usize)>,
    /// By name of the stage.
    stages: BTreeMap<String, StageSpec>,
    statements: statements::StatementTemplates,
    /// The files, for messages.
    sources: Arc<Sources>,
}

/// Instructions by tier; of two that contradict each other, that of the earlier tier wins.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskTiers {
    /// Rules of the operator, who provides the program.
    pub operator: Vec<String>,
    /// Wishes of the user.
    pub user: Vec<String>,
    /// Instructions for each request.
    pub request: Vec<String>,
}

/// Prompt and limits of one stage.
#[derive(Debug, Clone)]
pub struct StageSpec {
    /// Sampling parameters; the caller sets the seed.
    pub sampling: Sampling,
    /// Label that the prompt asks the answer to begin with, and that is stripped from it; may be
    /// empty.
    pub label: String,
    /// Maximum number of tokens of an answer in any window.
    max_tokens: usize,
    /// Maximum share of the window that an answer may take, 0 to 1.
    share_of_window: f64,
    system: Option<String>,
    ask: Ask,
    shorten: Vec<Step>,
    places: StagePlaces,
}

/// Byte ranges of a stage's values in the task's files; empty for absent values.
#[derive(Debug, Clone)]
struct StagePlaces {
    stage: Range<usize>,
    system: Range<usize>,
    /// The template `user`, `turn` or `header`.
    ask: Range<usize>,
    reject: Range<usize>,
    preamble: Range<usize>,
    /// Steps of shortening, in their order.
    steps: Vec<Range<usize>>,
}

/// Templates of the user's messages in the conversation, or of a document.
#[derive(Debug, Clone)]
enum Ask {
    /// A single message.
    Once(String),
    /// One message per past text, answered by that text, then one for the target.
    EachPast {
        /// Template of the message.
        turn: String,
        /// Template of the message that rejects the negative example of a past text, before the
        /// past text is given as the answer. If `None`, negative examples are not shown.
        reject: Option<String>,
    },
    /// No conversation: a document of past texts, each after a separator and its header, that ends
    /// with the header of the target.
    Document {
        /// Template of the first lines.
        preamble: Option<String>,
        /// Line before each header. What follows the prompt ends where it comes again.
        separator: String,
        /// Template of the header.
        header: String,
    },
}

/// One step of shortening a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Shortens the longest of these fields to a common length of at least `to` tokens.
    Shorten { part: Part, field: Field, to: usize },
    /// Drops blocks one at a time until `keep` remain.
    Drop { part: Part, keep: usize, from: End },
}

/// An end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    First,
    Last,
}

impl Task {
    /// Name of the default task.
    pub const DEFAULT: &str = "review";

    /// Loads a built-in task by name, or a task by the path of its folder or file.
    ///
    /// A folder has `task.toml` and, for each stage, `STAGE.toml` with the prompt; in a file the
    /// prompts are tables `[stages.STAGE]`. With `inherits = "TASK"` (a built-in task, or a path
    /// that starts from the task's folder) a task says only what differs from another one.
    ///
    /// The prompts are checked by [`Task::check`], which needs to know the stages.
    ///
    /// # Errors
    /// [`Error::Unknown`] if there is no such task; [`Error::Wrong`] with file, line and field of a
    /// mistake.
    pub fn load(name_or_path: impl AsRef<Path>) -> Result<Self> {
        file::load(name_or_path.as_ref())
    }

    /// Parses the text of a task file as [`Task::load`] does. `file` is used in messages; the path
    /// of an inherited task starts from its folder.
    ///
    /// # Errors
    /// As [`Task::load`].
    pub fn parse(file: &Path, text: &str) -> Result<Self> {
        file::parse(TaskFiles::of_text(file, text))
    }

    /// Hash of the text of the task's files and of those it inherits from.
    #[must_use]
    pub fn hash(&self) -> &str {
        self.hash.as_str()
    }

    /// Returns the prompt and limits of one stage.
    ///
    /// # Errors
    /// [`Error::NoStage`] if the task has no prompt for it.
    pub fn stage(&self, stage: Stage) -> Result<&StageSpec> {
        let missing = || Error::NoStage { task: self.name.clone(), stage: stage.name() };
        self.stages.get(stage.name()).ok_or_else(missing)
    }

    /// Returns the task without these dimensions of the standard; its hash differs.
    ///
    /// # Errors
    /// [`Error::NoDimension`] if a key is unknown; [`Error::EmptyStandard`] if no dimension would
    /// remain.
    pub fn without_dimensions(&self, keys: &[String]) -> Result<Self> {
        let known: Vec<String> = self.standard.iter().map(|d| d.key.clone()).collect();
        if let Some(key) = keys.iter().find(|key| !known.contains(key)) {
            return Err(Error::NoDimension { task: self.name.clone(), key: key.clone(), known });
        }
        let mut task = self.clone();
        task.standard.retain(|dimension| !keys.contains(&dimension.key));
        if task.standard.is_empty() {
            return Err(Error::EmptyStandard { task: self.name.clone(), known });
        }
        let left = task.standard.iter().map(|dimension| dimension.key.as_bytes());
        task.hash = left
            .fold(Key::of("task").with("of", self.hash()), |key, d| key.with("left", d))
            .finish();
        Ok(task)
    }

    /// Whether prompts show the text that a text answers: whether the task names the field.
    #[must_use]
    pub fn shows_context(&self) -> bool {
        self.fields.contains_key(Field::Context.name())
    }

    /// Returns the text by which retrieval compares a past text or a target: its retrieval fields,
    /// joined by spaces.
    #[must_use]
    pub fn retrieval_text(&self, block: &Block) -> String {
        let fields: Vec<&str> =
            self.retrieval.iter().map(|f| block.get(*f)).filter(|text| !text.is_empty()).collect();
        fields.join(" ")
    }
}

impl StageSpec {
    /// Returns the label that the prompt asks the answer to begin with; empty in a conversation of
    /// past texts and in a document, because the texts shown there have no label.
    #[must_use]
    pub fn opening(&self) -> &str {
        match self.ask {
            Ask::Once(_) => &self.label,
            Ask::EachPast { .. } | Ask::Document { .. } => "",
        }
    }

    /// Returns the maximum number of tokens of an answer in a window of `context` tokens, at least
    /// 1.
    #[must_use]
    pub fn max_tokens(&self, context: usize) -> usize {
        self.max_tokens.min(share_of(context, self.share_of_window)).max(1)
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn share_of(context: usize, share: f64) -> usize {
    (context as f64 * share) as usize
}
