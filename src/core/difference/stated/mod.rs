//! The profile made of statements: what sets a user's writing apart, each with what speaks for it,
//! readable and changeable by a person.
//!
//! What is computed and what a person changed are kept apart. A profile is the one with the other
//! laid over it, so that an edit wins whenever the rest is computed anew, and an older version is the
//! same computation under fewer edits.

mod edit;
mod markdown;
mod parse;
mod revision;
#[cfg(test)]
mod tests;

pub use edit::{Edit, Said, apply};
pub use parse::{MarkdownError, edits_of_markdown};
pub use revision::{Change, Revision, in_force, next_undo, revise, revisions};

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Statement;
use crate::task::Task;

/// What is said of a user whom no statement describes.
pub const ABSTENTION: &str = "No personalization beyond the texts themselves";

/// What a statement does to the likelihood of texts that it was not made from, in bits a token: the
/// mean over texts of how much likelier they get when the prompt shows it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// On the user's own texts.
    pub own: f64,
    /// On the representatives' texts about the same items.
    pub peers: f64,
    /// Own less peers, shrunk by its standard error.
    pub specific: f64,
    /// Standard error of own less peers.
    pub standard_error: f64,
    /// The user's reviews that it was measured on.
    pub reviews: usize,
}

impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { own, peers, specific, standard_error, reviews } = self;
        write!(
            f,
            "own {own:+.3}, peers {peers:+.3}, specific {specific:+.3} (standard error \
             {standard_error:.3}) bits a token on {reviews} reviews"
        )
    }
}

/// Where a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It proved itself.
    Kept,
    /// It was put to the proof and gained nothing.
    Abstained,
    /// It was not put to the proof.
    Unverified,
    /// A person wants it, whatever the proof says.
    Pinned,
    /// A person does not want it.
    Dropped,
}

impl Standing {
    /// Its name, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Abstained => "abstained",
            Self::Unverified => "unverified",
            Self::Pinned => "pinned",
            Self::Dropped => "dropped",
        }
    }

    /// Whether such a statement is part of prompts.
    #[must_use]
    pub fn is_shown(self) -> bool {
        matches!(self, Self::Kept | Self::Pinned)
    }
}

/// A statement of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stated {
    /// What is said, and from what it was made.
    #[serde(flatten)]
    pub statement: Statement,
    /// What these very words gain; `None` where that was not measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gain: Option<Gain>,
    /// Where it stands.
    pub standing: Standing,
}

impl Stated {
    /// A statement that was not put to the proof.
    #[must_use]
    pub fn unverified(statement: Statement) -> Self {
        Self { statement, gain: None, standing: Standing::Unverified }
    }
}

/// What sets a user's writing apart, in statements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatedProfile {
    /// The user.
    pub user: String,
    /// 0 as it was computed, one more for each [`Revision`].
    pub version: u32,
    /// How many measures were tried, whether or not they became statements.
    pub tried: usize,
    /// By dimension in the order of the task's standard; what is shown comes first, then what gains
    /// most for the user, then what has the greatest effect.
    pub statements: Vec<Stated>,
}

impl StatedProfile {
    /// What was computed with a person's changes laid over it, oldest first.
    #[must_use]
    pub fn new(
        user: &str,
        computed: Vec<Stated>,
        tried: usize,
        revisions: &[Revision],
        task: &Task,
    ) -> Self {
        let mut statements = apply(computed, in_force(revisions));
        let rank = |stated: &Stated| {
            let dimension = &stated.statement.dimension;
            let place = task.standard.iter().position(|d| d.key == *dimension);
            // What another standard had a dimension for comes last, by the key of that dimension.
            (place.unwrap_or(usize::MAX), dimension.clone())
        };
        statements.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| strength(a, b)));
        let version = revisions.last().map_or(0, |revision| revision.version);
        Self { user: user.to_owned(), version, tried, statements }
    }

    /// The statements that prompts show.
    pub fn shown(&self) -> impl Iterator<Item = &Stated> {
        self.statements.iter().filter(|stated| stated.standing.is_shown())
    }

    /// Whether no statement is shown, so that nothing is said of the user: see [`ABSTENTION`].
    #[must_use]
    pub fn abstains(&self) -> bool {
        self.shown().next().is_none()
    }

    /// Why nothing is said of the user, in a sentence; `None` where something is.
    #[must_use]
    pub fn abstention(&self) -> Option<String> {
        if !self.abstains() {
            return None;
        }
        let count = |standing| self.statements.iter().filter(|s| s.standing == standing).count();
        let why = match (count(Standing::Abstained), count(Standing::Unverified)) {
            (0, 0) if !self.statements.is_empty() => "every statement was dropped".to_owned(),
            (0, 0) if self.tried == 0 => "nothing could be compared".to_owned(),
            (0, 0) => "nothing that was measured sets the user apart".to_owned(),
            (0, open) => format!("{} to be verified", counted(open)),
            (failed, 0) => format!("{} tried, none proved itself", counted(failed)),
            (failed, open) => {
                format!("{} tried, none proved itself; {open} more to be verified", counted(failed))
            }
        };
        Some(format!("{ABSTENTION}: {why}."))
    }

    /// A statement by its key.
    #[must_use]
    pub fn statement(&self, key: &str) -> Option<&Stated> {
        self.statements.iter().find(|stated| stated.statement.key == key)
    }
}

/// The stronger of two statements of one dimension comes first.
fn strength(a: &Stated, b: &Stated) -> Ordering {
    // Without a figure comes last.
    let gain = |s: &Stated| s.gain.map_or(f64::NEG_INFINITY, |gain| gain.specific);
    let effect = |s: &Stated| s.statement.effect.map_or(f64::NEG_INFINITY, f64::abs);
    let shown = |s: &Stated| s.standing.is_shown();
    let stronger = shown(b).cmp(&shown(a)).then(gain(b).total_cmp(&gain(a)));
    stronger.then(effect(b).total_cmp(&effect(a))).then(a.statement.key.cmp(&b.statement.key))
}

fn counted(n: usize) -> String {
    if n == 1 { "1 statement".to_owned() } else { format!("{n} statements") }
}

/// The text on one line, without control characters.
fn one_line(text: &str) -> String {
    let parts = text.split(|c: char| c.is_whitespace() || c.is_control());
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
