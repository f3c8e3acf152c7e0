//! What a person changes of a profile, laid over what is computed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Standing, Stated, StatedProfile, one_line};
use crate::corpus::Key;
use crate::difference::{Source, Statement};

/// What keys of statements begin with that a person added.
const ADDED: &str = "written-";

/// A statement as a person had it before them, without the texts that it was made from: an edit
/// holds nothing that would have to go with a review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Its key.
    pub key: String,
    /// Key of its dimension.
    pub dimension: String,
    /// Its text, on one line.
    pub text: String,
    /// Who says so.
    pub source: Source,
}

/// One change of a statement. The last one of a key holds; it holds also where the statement is not
/// computed any more, or computed with other words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "lowercase")]
pub enum Edit {
    /// It is wanted in these words, whatever verification says.
    Pin(Said),
    /// It is not wanted.
    Drop(Said),
    /// It is wanted in other words.
    Reword(Said),
    /// A statement that nobody computed.
    Add(Said),
    /// It is to be as computed; one that was added goes.
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

    /// The statement with nothing to show for it.
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

    /// What is computed, as the person wants it. What was measured with other words is not said of
    /// these.
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
    /// Wants a statement as it is.
    #[must_use]
    pub fn pin(stated: &Stated) -> Self {
        Self::Pin(Said::of(stated))
    }

    /// Does not want a statement.
    #[must_use]
    pub fn drop(stated: &Stated) -> Self {
        Self::Drop(Said::of(stated))
    }

    /// Wants a statement in other words; nothing where there are none.
    #[must_use]
    pub fn reword(stated: &Stated, text: &str) -> Option<Self> {
        let said = Said::of(stated).reworded(text);
        (!said.text.is_empty()).then_some(Self::Reword(said))
    }

    /// Does not want a statement, and keeps other words for it.
    #[must_use]
    pub(super) fn drop_reworded(stated: &Stated, text: &str) -> Self {
        Self::Drop(Said::of(stated).reworded(text))
    }

    /// Adds a statement to the dimension of that key; nothing where there are no words. Where the
    /// profile has it already, it is wanted.
    #[must_use]
    pub fn add(profile: &StatedProfile, dimension: &str, text: &str) -> Option<Self> {
        let text = one_line(text);
        if text.is_empty() {
            return None;
        }
        let hash = Key::of("statement").with("dimension", dimension).with("text", &text).finish();
        let mut key = format!("{ADDED}{}", &hash.as_str()[..8]);
        // One that was added in these words and has others by now still has their key.
        while profile.statement(&key).is_some_and(|s| one_line(&s.statement.text) != text) {
            key.push('-');
        }
        let (dimension, source) = (dimension.to_owned(), Source::Written);
        Some(Self::Add(Said { key, dimension, text, source }))
    }

    /// Key of the statement that it is about.
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

/// Lays edits, oldest first, over what is computed: an edit wins. What is edited and not computed any
/// more comes last, by key.
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
