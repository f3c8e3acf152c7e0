//! Choices of a person between two drafts.

use std::time::{SystemTime, UNIX_EPOCH};

use idiolect_core::corpus::{Key, ReviewId, Store, View};
use serde::{Deserialize, Serialize};

use crate::Result;

/// Kind of choices in the store.
const KIND: &str = "choice";

/// One of two drafts that a person preferred for a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DraftChoice {
    /// The user for whom the drafts were written.
    pub user: String,
    /// The item that they are about; empty if it is not in the store.
    pub item: String,
    /// The preferred draft.
    pub chosen: String,
    /// The other one.
    pub rejected: String,
    /// Reviews that the drafts were made from. The choice goes with any of them.
    pub sources: Vec<ReviewId>,
    /// Time of the choice, seconds since the Unix epoch.
    pub time: i64,
}

/// Stores a choice.
///
/// # Errors
/// The store cannot be written.
pub fn put_draft_choice(store: &Store, choice: &DraftChoice) -> Result<()> {
    let key = Key::of(KIND)
        .with("user", &choice.user)
        .with("item", &choice.item)
        .with("chosen", &choice.chosen)
        .with("rejected", &choice.rejected);
    let value = serde_json::to_string(choice).unwrap_or_default();
    Ok(store.put_derived(KIND, &key.finish(), &value, &choice.sources)?)
}

/// Choices for a user, oldest first, as far as the view shows all that the drafts were made from.
///
/// # Errors
/// The store cannot be read.
pub fn draft_choices(view: &View<'_>, user: &str) -> Result<Vec<DraftChoice>> {
    let mut choices = Vec::new();
    for text in view.store().derived_values(KIND)? {
        // A choice of another version is left out.
        let Ok(choice) = serde_json::from_str::<DraftChoice>(&text) else { continue };
        if choice.user == user && view.reviews(&choice.sources)?.len() == choice.sources.len() {
            choices.push(choice);
        }
    }
    Ok(choices)
}

impl DraftChoice {
    /// The present time, seconds since the Unix epoch.
    #[must_use]
    pub fn now() -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use idiolect_core::corpus::{ForgetScope, Review};

    #[test]
    fn choices_go_with_their_texts_and_are_hidden_with_them() {
        let store = Store::in_memory().unwrap();
        let review = |user: &str| Review {
            user: user.to_owned(),
            item: "x".to_owned(),
            rating: None,
            title: String::new(),
            text: format!("a text by {user}"),
            time: 0,
        };
        store.put_reviews(&[review("ann"), review("bob")]).unwrap();
        let own = store.history("ann").unwrap()[0].id;
        for draft in ["one", "two"] {
            let choice = DraftChoice {
                user: "ann".to_owned(),
                item: "x".to_owned(),
                chosen: draft.to_owned(),
                rejected: "three".to_owned(),
                sources: vec![own],
                time: DraftChoice::now(),
            };
            put_draft_choice(&store, &choice).unwrap();
        }
        let chosen = |view: &View<'_>, user: &str| -> Vec<String> {
            draft_choices(view, user).unwrap().into_iter().map(|choice| choice.chosen).collect()
        };
        assert_eq!(chosen(&View::all(&store), "ann"), ["one", "two"]);
        assert!(chosen(&View::all(&store), "bob").is_empty());
        assert!(chosen(&View::all(&store).without(own), "ann").is_empty());
        assert_eq!(store.export_user("ann").unwrap()["derived"].as_array().unwrap().len(), 2);
        store.forget("ann", &ForgetScope::User).unwrap();
        assert!(store.derived_values(KIND).unwrap().is_empty());
    }
}
