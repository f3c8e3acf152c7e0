//! The profile in statements: the differences between a user's writing and others', each with its
//! evidence, which a person can read and edit.
//!
//! Computed statements and a person's edits are stored separately. A profile applies the edits to
//! the computed statements, so that an edit survives a recomputation, and an older version is the
//! same computation with fewer edits.

mod edit;
mod markdown;
mod parse;
mod revision;
#[cfg(test)]
mod tests;

pub use edit::{Edit, StatementSnapshot, apply};
pub use parse::{MarkdownError, edits_of_markdown};
pub use revision::{Change, Revision, in_force, next_undo, revise, revisions};

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Statement;
use crate::task::Task;

/// Message for a user of whom the profile shows no statement.
pub const ABSTENTION: &str = "No personalization beyond the texts themselves";

/// Gain of a statement on texts that it was not made from: the mean increase of their
/// log-probability when the prompt shows it, in bits per token.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// On the user's own texts.
    pub own: f64,
    /// On the representatives' texts about the same items.
    pub peers: f64,
    /// Own minus peers, shrunk towards zero by its standard error.
    pub specific: f64,
    /// Standard error of own minus peers.
    pub standard_error: f64,
    /// Number of the user's reviews that it was measured on.
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

/// Status of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StatementStatus {
    /// Accepted by validation.
    #[serde(rename = "kept")]
    Accepted,
    /// Validated, but not accepted.
    #[serde(rename = "abstained")]
    Rejected,
    /// Not validated.
    Unverified,
    /// Wanted by a person, whatever the validation says.
    Pinned,
    /// Not wanted by a person.
    Dropped,
}

impl StatementStatus {
    /// Name of the status, as in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "kept",
            Self::Rejected => "abstained",
            Self::Unverified => "unverified",
            Self::Pinned => "pinned",
            Self::Dropped => "dropped",
        }
    }

    /// Whether prompts show statements with this status.
    #[must_use]
    pub fn is_shown(self) -> bool {
        matches!(self, Self::Accepted | Self::Pinned)
    }
}

/// A statement of a profile, with its gain and status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileStatement {
    /// The statement and its sources.
    #[serde(flatten)]
    pub statement: Statement,
    /// Gain of exactly this wording; `None` if it was not measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gain: Option<Gain>,
    /// Status of the statement.
    #[serde(rename = "standing")]
    pub status: StatementStatus,
}

impl ProfileStatement {
    /// Wraps a statement that was not validated.
    #[must_use]
    pub fn unverified(statement: Statement) -> Self {
        Self { statement, gain: None, status: StatementStatus::Unverified }
    }
}

/// Profile of a user in statements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatementProfile {
    /// The user.
    pub user: String,
    /// 0 as computed, one more for each [`Revision`].
    pub version: u32,
    /// Number of measures tried and statements extracted, whether or not the profile has them.
    pub tried: usize,
    /// Statements by dimension in the order of the task's standard. Within a dimension shown ones
    /// come first, then those with the larger specific gain, then those with the larger absolute
    /// effect.
    pub statements: Vec<ProfileStatement>,
}

impl StatementProfile {
    /// Applies a person's changes, oldest first, to the computed statements.
    #[must_use]
    pub fn new(
        user: &str,
        computed: Vec<ProfileStatement>,
        tried: usize,
        revisions: &[Revision],
        task: &Task,
    ) -> Self {
        let mut statements = apply(computed, in_force(revisions));
        let rank = |entry: &ProfileStatement| {
            let dimension = &entry.statement.dimension;
            let place = task.standard.iter().position(|d| d.key == *dimension);
            // Statements of dimensions outside the standard come last, by the key of the dimension.
            (place.unwrap_or(usize::MAX), dimension.clone())
        };
        statements.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| strength(a, b)));
        let version = revisions.last().map_or(0, |revision| revision.version);
        Self { user: user.to_owned(), version, tried, statements }
    }

    /// The statements that prompts show.
    pub fn shown(&self) -> impl Iterator<Item = &ProfileStatement> {
        self.statements.iter().filter(|entry| entry.status.is_shown())
    }

    /// Whether no statement is shown; see [`ABSTENTION`].
    #[must_use]
    pub fn abstains(&self) -> bool {
        self.shown().next().is_none()
    }

    /// Reason why no statement is shown, as a sentence; `None` if one is shown.
    #[must_use]
    pub fn abstention(&self) -> Option<String> {
        if !self.abstains() {
            return None;
        }
        let count = |status| self.statements.iter().filter(|s| s.status == status).count();
        let why = match (count(StatementStatus::Rejected), count(StatementStatus::Unverified)) {
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

    /// Returns the statement with this key.
    #[must_use]
    pub fn statement(&self, key: &str) -> Option<&ProfileStatement> {
        self.statements.iter().find(|entry| entry.statement.key == key)
    }
}

/// Order of two statements of one dimension: the stronger one first.
fn strength(a: &ProfileStatement, b: &ProfileStatement) -> Ordering {
    // Statements without a figure come last.
    let gain = |s: &ProfileStatement| s.gain.map_or(f64::NEG_INFINITY, |gain| gain.specific);
    let effect = |s: &ProfileStatement| s.statement.effect.map_or(f64::NEG_INFINITY, f64::abs);
    let shown = |s: &ProfileStatement| s.status.is_shown();
    let stronger = shown(b).cmp(&shown(a)).then(gain(b).total_cmp(&gain(a)));
    stronger.then(effect(b).total_cmp(&effect(a))).then(a.statement.key.cmp(&b.statement.key))
}

fn counted(n: usize) -> String {
    if n == 1 { "1 statement".to_owned() } else { format!("{n} statements") }
}

/// The text on one line, without control characters and those that reverse the direction of writing,
/// none of which a terminal is given.
fn one_line(text: &str) -> String {
    let turns = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let parts = text.split(|c: char| c.is_whitespace() || c.is_control() || turns(c));
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}
