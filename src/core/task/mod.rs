//! The task file: its fields, its standard, its prompt templates, and prompts that fit.
//!
//! A task says what is written (reviews, headlines, replies), how its fields are called in prompts,
//! along which dimensions differences are told, and how each stage asks the language model. Another
//! task is another file; no code knows what a review is.

mod draft;
mod error;
mod file;
mod fit;
mod label;
mod measure;
mod render;
mod shorten;
mod stage;
mod standard;
mod statements;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use draft::{Block, Draft, Field, Order, Part, Source, Telling};
pub use error::Error;
pub use fit::{Cut, Fitted, Window, fit};
pub use label::{LabelStrip, strip_label};
pub use measure::Measure;
pub use stage::Stage;
pub use standard::{Dimension, Told, split_by_dimension};
pub use statements::{Figures, Way};

use std::collections::BTreeMap;
use std::path::Path;

use crate::corpus::Key;
use idiolect_engine::lm::Sampling;

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Tasks that the program carries.
const BUILT_IN: [(&str, &str); 2] = [
    ("review", include_str!("../../../data/tasks/review.toml")),
    ("headline", include_str!("../../../data/tasks/headline.toml")),
];

/// A task, read and checked.
#[derive(Debug, Clone)]
pub struct Task {
    /// Short name.
    pub name: String,
    /// One line on what is written.
    pub about: String,
    /// Past texts that a prompt holds at most (N).
    pub n: usize,
    /// Representatives an item has at most (K); also the other reviewers an item must have to be
    /// compared.
    pub k: usize,
    /// The dimensions of a difference.
    pub standard: Vec<Dimension>,
    /// Most characters of what is told along one dimension, where differences are
    /// [constrained](Telling::Constrained).
    pub statement_characters: usize,
    /// Most of the window that a single field may take, 0 to 1.
    field_share: f64,
    /// Fields that a past text is found by: [`Field::Title`] and the item's.
    pub retrieval: Vec<Field>,
    /// Hash of the file; part of every key.
    hash: Key,
    fields: BTreeMap<&'static str, String>,
    shared: String,
    stages: BTreeMap<Stage, StageSpec>,
    statements: statements::Statements,
}

/// How one stage asks.
#[derive(Debug, Clone)]
pub struct StageSpec {
    /// How tokens are chosen; its seed is the caller's business.
    pub sampling: Sampling,
    /// What the answer begins with by the prompt's wish, and what is stripped from it; may be empty.
    pub label: String,
    /// Most tokens of an answer, however long the window.
    max_tokens: usize,
    /// Most of the window that an answer may take, 0 to 1.
    share_of_window: f64,
    system: Option<String>,
    ask: Ask,
    shorten: Vec<Step>,
}

/// What the user's side of the conversation says.
#[derive(Debug, Clone)]
enum Ask {
    /// One message with everything.
    Once(String),
    /// A message for each past text, answered by that text, then one for the target.
    EachPast {
        /// The message.
        turn: String,
        /// What is said to the answer that stands against a past text, before that text is given;
        /// where there is none, such answers are not shown.
        reject: Option<String>,
    },
}

/// One way to make a prompt shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The longest of these fields are shortened, together, to no fewer than `to` tokens.
    Shorten { part: Part, field: Field, to: usize },
    /// Blocks are left out one at a time until `keep` remain.
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
    /// The task that is used unless another is named.
    pub const DEFAULT: &str = "review";

    /// A built-in task by name, or the task file at a path.
    pub fn load(name_or_path: &str) -> Result<Self> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
            return Self::parse(Path::new(name), text);
        }
        let path = Path::new(name_or_path);
        let text = std::fs::read_to_string(path).map_err(|source| Error::Unknown {
            name: name_or_path.to_owned(),
            known: BUILT_IN.iter().map(|(name, _)| *name).collect(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// Reads a task file's text and renders every prompt once, so that a mistake shows now; `file`
    /// is for messages.
    pub fn parse(file: &Path, text: &str) -> Result<Self> {
        file::parse(file, text)
    }

    /// Hash of the file.
    #[must_use]
    pub fn hash(&self) -> &str {
        self.hash.as_str()
    }

    /// How one stage asks.
    ///
    /// # Errors
    /// [`Error::NoStage`] where the file has no prompt for it.
    pub fn stage(&self, stage: Stage) -> Result<&StageSpec> {
        let missing = || Error::NoStage { task: self.name.clone(), stage: stage.name() };
        self.stages.get(&stage).ok_or_else(missing)
    }

    /// The task with these dimensions left out of its standard; its hash is another one.
    ///
    /// # Errors
    /// [`Error::NoDimension`] for a key that no dimension has, [`Error::EmptyStandard`] where none
    /// would be left.
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

    /// The words that a past text or a target is found by, joined by spaces.
    #[must_use]
    pub fn retrieval_text(&self, block: &Block) -> String {
        let fields: Vec<&str> =
            self.retrieval.iter().map(|f| block.get(*f)).filter(|text| !text.is_empty()).collect();
        fields.join(" ")
    }
}

impl StageSpec {
    /// What an answer is expected to begin with: the label that the prompt asks for. In a
    /// conversation of past texts there is none, since the answers that it shows stand without.
    #[must_use]
    pub fn opening(&self) -> &str {
        match self.ask {
            Ask::Once(_) => &self.label,
            Ask::EachPast { .. } => "",
        }
    }

    /// Most tokens of an answer in a window of `context` tokens.
    #[must_use]
    pub fn max_tokens(&self, context: usize) -> usize {
        self.max_tokens.min(share_of(context, self.share_of_window)).max(1)
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn share_of(context: usize, share: f64) -> usize {
    (context as f64 * share) as usize
}
