//! A person's edits of a profile, applied to the computed statements.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Standing, Stated, StatedProfile, one_line};
use crate::corpus::Key;
use crate::difference::{Source, Statement};

/// Prefix of the keys of statements that a person added.
const ADDED: &str = "written-";

/// Snapshot of a statement as a person saw it, without the reviews that it was made from: an edit
/// holds nothing that would have to be deleted with a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Its key.
    pub key: String,
    /// Key of its dimension.
    pub dimension: String,
    /// Its text, on one line.
    pub text: String,
    /// Origin of the statement.
    pub source: Source,
}

/// One edit of a statement. The last edit of a key applies, even if the statement is no longer
/// computed or is computed with other words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "lowercase")]
pub enum Edit {
    /// Shows the statement in these words, whatever the validation says.
    Pin(Said),
    /// Hides the statement.
    Drop(Said),
    /// Shows the statement in other words.
    Reword(Said),
    /// Adds a statement that was not computed.
    Add(Said),
    /// Restores the statement as computed; an added statement is removed.
    Restore {
        /// Its key.
        key: String,
    },
}

impl Said {
    fn of(stated: &Stated) -> Self {
        let Statement { key, dimension, text, source, .. } = &stated.statement;
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
        Self { text, source: Source::Written, ..self }
    }

    /// The statement without reviews and evidence.
    fn bare(&self, standing: Standing) -> Stated {
        let statement = Statement {
            key: self.key.clone(),
            dimension: self.dimension.clone(),
            text: self.text.clone(),
            source: self.source,
            effect: None,
            reviews: Vec::new(),
            against: Vec::new(),
            evidence: Vec::new(),
        };
        Stated { statement, gain: None, standing }
    }

    /// Applies the snapshot to the computed statement. If the words differ, the gain is dropped,
    /// since it was measured with the computed words.
    fn over(&self, computed: Stated, standing: Standing) -> Stated {
        let same = one_line(&computed.statement.text) == self.text;
        let Stated { statement, gain, .. } = computed;
        if same {
            return Stated { statement, gain, standing };
        }
        let statement = Statement {
            dimension: self.dimension.clone(),
            text: self.text.clone(),
            source: self.source,
            ..statement
        };
        Stated { statement, gain: None, standing }
    }
}

impl Edit {
    /// Shows a statement as it is.
    #[must_use]
    pub fn pin(stated: &Stated) -> Self {
        Self::Pin(Said::of(stated))
    }

    /// Hides a statement.
    #[must_use]
    pub fn drop(stated: &Stated) -> Self {
        Self::Drop(Said::of(stated))
    }

    /// Shows a statement in other words; `None` if `text` has no words.
    #[must_use]
    pub fn reword(stated: &Stated, text: &str) -> Option<Self> {
        let said = Said::of(stated).reworded(text);
        (!said.text.is_empty()).then_some(Self::Reword(said))
    }

    /// Hides a statement and records other words for it.
    #[must_use]
    pub(super) fn drop_reworded(stated: &Stated, text: &str) -> Self {
        Self::Drop(Said::of(stated).reworded(text))
    }

    /// Adds a statement to the dimension with this key; `None` if `text` has no words. If the
    /// profile already has the added statement, the edit shows it.
    #[must_use]
    pub fn add(profile: &StatedProfile, dimension: &str, text: &str) -> Option<Self> {
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
        let (dimension, source) = (dimension.to_owned(), Source::Written);
        Some(Self::Add(Said { key, dimension, text, source }))
    }

    /// Key of the edited statement.
    #[must_use]
    pub fn key(&self) -> &str {
        match self {
            Self::Pin(said) | Self::Drop(said) | Self::Reword(said) | Self::Add(said) => &said.key,
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
pub fn apply<'a>(computed: Vec<Stated>, edits: impl IntoIterator<Item = &'a Edit>) -> Vec<Stated> {
    let mut held: BTreeMap<&str, (&Said, Standing)> = BTreeMap::new();
    for edit in edits {
        match edit {
            Edit::Pin(said) | Edit::Reword(said) | Edit::Add(said) => {
                held.insert(&said.key, (said, Standing::Pinned));
            }
            Edit::Drop(said) => {
                held.insert(&said.key, (said, Standing::Dropped));
            }
            Edit::Restore { key } => {
                held.remove(key.as_str());
            }
        }
    }
    let mut statements: Vec<Stated> = computed
        .into_iter()
        .map(|stated| match held.remove(stated.statement.key.as_str()) {
            Some((said, standing)) => said.over(stated, standing),
            None => stated,
        })
        .collect();
    statements.extend(held.into_values().map(|(said, standing)| said.bare(standing)));
    statements
}
