//! A person's edits of a profile, applied to the computed statements.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ProfileStatement, StatementProfile, StatementStatus, one_line};
use crate::corpus::Key;
use crate::difference::{Statement, StatementSource};

/// Prefix of the keys of statements that a person added.
const ADDED: &str = "written-";

/// Snapshot of a statement as a person saw it, without the reviews that it was made from: an edit
/// holds nothing that would have to be deleted with a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementSnapshot {
    /// Its key.
    pub key: String,
    /// Key of its dimension.
    pub dimension: String,
    /// Its text, on one line.
    pub text: String,
    /// Origin of the statement.
    pub source: StatementSource,
}

/// One edit of a statement. The last edit of a key applies, even if the statement is no longer
/// computed or is computed with other words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "lowercase")]
pub enum Edit {
    /// Shows the statement in these words, whatever the validation says.
    Pin(StatementSnapshot),
    /// Hides the statement.
    Drop(StatementSnapshot),
    /// Shows the statement in other words.
    Reword(StatementSnapshot),
    /// Adds a statement that was not computed.
    Add(StatementSnapshot),
    /// Restores the statement as computed; an added statement is removed.
    Restore {
        /// Its key.
        key: String,
    },
}

impl StatementSnapshot {
    fn of(entry: &ProfileStatement) -> Self {
        let Statement { key, dimension, text, source, .. } = &entry.statement;
        Self {
            key: key.clone(),
            dimension: dimension.clone(),
            text: one_line(text),
            source: *source,
        }
    }

    fn reworded(self, text: &str) -> Self {
        let text = one_line(text);
        if text == self.text {
            return self;
        }
        Self { text, source: StatementSource::Written, ..self }
    }

    /// The statement without reviews and evidence.
    fn without_evidence(&self, status: StatementStatus) -> ProfileStatement {
        let statement = Statement {
            key: self.key.clone(),
            dimension: self.dimension.clone(),
            text: self.text.clone(),
            source: self.source,
            effect: None,
            figures: None,
            reviews: Vec::new(),
            against: Vec::new(),
            evidence: Vec::new(),
        };
        ProfileStatement { statement, gain: None, status }
    }

    /// Applies the snapshot to the computed statement. If the words differ, the gain is dropped,
    /// since it was measured with the computed words.
    fn apply_to(&self, computed: ProfileStatement, status: StatementStatus) -> ProfileStatement {
        let same = one_line(&computed.statement.text) == self.text;
        let ProfileStatement { statement, gain, .. } = computed;
        if same {
            return ProfileStatement { statement, gain, status };
        }
        let statement = Statement {
            dimension: self.dimension.clone(),
            text: self.text.clone(),
            source: self.source,
            ..statement
        };
        ProfileStatement { statement, gain: None, status }
    }
}

impl Edit {
    /// Shows a statement as it is.
    #[must_use]
    pub fn pin(entry: &ProfileStatement) -> Self {
        Self::Pin(StatementSnapshot::of(entry))
    }

    /// Hides a statement.
    #[must_use]
    pub fn drop(entry: &ProfileStatement) -> Self {
        Self::Drop(StatementSnapshot::of(entry))
    }

    /// Shows a statement in other words; `None` if `text` has no words.
    #[must_use]
    pub fn reword(entry: &ProfileStatement, text: &str) -> Option<Self> {
        let snapshot = StatementSnapshot::of(entry).reworded(text);
        (!snapshot.text.is_empty()).then_some(Self::Reword(snapshot))
    }

    /// Hides a statement and records other words for it.
    #[must_use]
    pub(super) fn drop_reworded(entry: &ProfileStatement, text: &str) -> Self {
        Self::Drop(StatementSnapshot::of(entry).reworded(text))
    }

    /// Adds a statement to the dimension with this key; `None` if `text` has no words. If the
    /// profile already has the added statement, the edit shows it.
    #[must_use]
    pub fn add(profile: &StatementProfile, dimension: &str, text: &str) -> Option<Self> {
        let text = one_line(text);
        if text.is_empty() {
            return None;
        }
        let hash = Key::of("statement").with("dimension", dimension).with("text", &text).finish();
        let mut key = format!("{ADDED}{}", &hash.as_str()[..8]);
        // A statement that was added with these words and reworded since still has their key.
        while profile.statement(&key).is_some_and(|s| one_line(&s.statement.text) != text) {
            key.push('-');
        }
        let (dimension, source) = (dimension.to_owned(), StatementSource::Written);
        Some(Self::Add(StatementSnapshot { key, dimension, text, source }))
    }

    /// Key of the edited statement.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Pin(snapshot)
            | Self::Drop(snapshot)
            | Self::Reword(snapshot)
            | Self::Add(snapshot) => &snapshot.key,
            Self::Restore { key } => key,
        }
    }
}

/// Whether a person added the statement of this key.
pub(super) fn is_added(key: &str) -> bool {
    key.starts_with(ADDED)
}

/// Applies edits, oldest first, to the computed statements; an edit wins. Edited statements that
/// are no longer computed come last, by key.
#[must_use]
pub fn apply<'a>(
    computed: Vec<ProfileStatement>,
    edits: impl IntoIterator<Item = &'a Edit>,
) -> Vec<ProfileStatement> {
    let mut held: BTreeMap<&str, (&StatementSnapshot, StatementStatus)> = BTreeMap::new();
    for edit in edits {
        match edit {
            Edit::Pin(snapshot) | Edit::Reword(snapshot) | Edit::Add(snapshot) => {
                held.insert(&snapshot.key, (snapshot, StatementStatus::Pinned));
            }
            Edit::Drop(snapshot) => {
                held.insert(&snapshot.key, (snapshot, StatementStatus::Dropped));
            }
            Edit::Restore { key } => {
                held.remove(key.as_str());
            }
        }
    }
    let mut statements: Vec<ProfileStatement> = computed
        .into_iter()
        .map(|entry| match held.remove(entry.statement.key.as_str()) {
            Some((snapshot, status)) => snapshot.apply_to(entry, status),
            None => entry,
        })
        .collect();
    statements
        .extend(held.into_values().map(|(snapshot, status)| snapshot.without_evidence(status)));
    statements
}
