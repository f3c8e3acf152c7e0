//! The part of the store that a method may read.

use std::sync::{Arc, OnceLock};

use super::{Background, Item, Result, ReviewContext, ReviewId, Store, StoredReview};

/// Minimum number of characters of a held-out text that is searched in texts answered; shorter ones occur
/// by chance.
const MIN_SEARCHED: usize = 8;

/// The store without the held-out reviews and, optionally, without reviews after a given time.
///
/// Methods and peers read reviews only through a view, so that no held-out text can reach a prompt.
#[derive(Clone)]
pub struct View<'a> {
    store: &'a Store,
    /// Ascending.
    held_out: Vec<ReviewId>,
    /// Texts of the held-out reviews, read at their first use.
    held_out_texts: Arc<OnceLock<Vec<String>>>,
    before: Option<i64>,
    /// Users whose reviews `before` does not hide.
    timeless: Vec<String>,
    /// Whether the texts that reviews answer are hidden.
    hides_contexts: bool,
    /// Counts of the corpus of which the store is a part.
    background: Option<&'a Background>,
}

impl<'a> View<'a> {
    /// A view of the whole store.
    #[must_use]
    pub fn all(store: &'a Store) -> Self {
        let held_out_texts = Arc::default();
        let (held_out, timeless) = (Vec::new(), Vec::new());
        Self {
            store,
            held_out,
            held_out_texts,
            before: None,
            timeless,
            hides_contexts: false,
            background: None,
        }
    }

    /// Also says that the store is a part of a corpus with these counts. The store has all texts of the
    /// users who are written as that were counted.
    #[must_use]
    pub fn within(self, background: &'a Background) -> Self {
        Self { background: Some(background), ..self }
    }

    /// The counts of the corpus of which the store is a part, if it is one.
    #[must_use]
    pub fn background(&self) -> Option<&'a Background> {
        self.background
    }

    /// Also hides the texts that reviews answer, which others wrote.
    #[must_use]
    pub fn without_contexts(self) -> Self {
        Self { hides_contexts: true, ..self }
    }

    /// Also hides the review `held_out`.
    #[must_use]
    pub fn without(self, held_out: ReviewId) -> Self {
        self.without_all([held_out])
    }

    /// Also hides the reviews `held_out`.
    #[must_use]
    pub fn without_all(mut self, held_out: impl IntoIterator<Item = ReviewId>) -> Self {
        self.held_out.extend(held_out);
        self.held_out.sort_unstable();
        self.held_out.dedup();
        self.held_out_texts = Arc::default();
        self
    }

    /// Hides the user's reviews of an item.
    ///
    /// # Errors
    /// The user is unknown, or the store cannot be read.
    pub fn without_text(self, user: &str, item: &str) -> Result<Self> {
        let written = self.store.history(user)?;
        Ok(self.without_all(written.iter().filter(|r| r.review.item == item).map(|r| r.id)))
    }

    /// Hides all reviews of a user.
    ///
    /// # Errors
    /// The user is unknown, or the store cannot be read.
    pub fn without_user(self, user: &str) -> Result<Self> {
        let written = self.store.history(user)?;
        Ok(self.without_all(written.iter().map(|r| r.id)))
    }

    /// Hides all reviews written at or after `time` (seconds since the Unix epoch). Replaces an
    /// earlier [`View::before`] or [`View::others_before`].
    #[must_use]
    pub fn before(self, time: i64) -> Self {
        Self { before: Some(time), timeless: Vec::new(), ..self }
    }

    /// Hides all reviews written at or after `time` (seconds since the Unix epoch), except those of
    /// `users`. The caller hides later reviews of `users` with [`View::without_all`]: many times
    /// are only accurate to the day, so `time` cannot order reviews of one user.
    #[must_use]
    pub fn others_before(self, time: i64, users: &[&str]) -> Self {
        let timeless = users.iter().map(|user| (*user).to_owned()).collect();
        Self { before: Some(time), timeless, ..self }
    }

    /// The underlying store, for items, vectors and derived values.
    #[must_use]
    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// See [`Store::item`].
    pub fn item(&self, id: &str) -> Result<Item> {
        self.store.item(id)
    }

    /// The user's visible reviews, oldest first; may be empty for a user who is in the store.
    pub fn history(&self, user: &str) -> Result<Vec<StoredReview>> {
        self.visible(self.store.history(user)?)
    }

    /// Visible reviews of an item, oldest first; none of an item with an empty id, which is not in
    /// the store.
    pub fn reviews_of(&self, item: &str) -> Result<Vec<StoredReview>> {
        if item.is_empty() {
            return Ok(Vec::new());
        }
        self.visible(self.store.reviews_of(item)?)
    }

    /// The newest visible review of the item by somebody other than the user, which a new text of the
    /// user answers if no other message is given.
    pub fn newest_by_another(&self, item: &str, user: &str) -> Result<Option<StoredReview>> {
        let mut reviews = self.reviews_of(item)?;
        reviews.retain(|stored| stored.review.user != user);
        Ok(reviews.pop())
    }

    /// See [`Store::reviews`]; hidden reviews are left out.
    pub fn reviews(&self, ids: &[ReviewId]) -> Result<Vec<StoredReview>> {
        self.visible(self.store.reviews(ids)?)
    }

    /// Whether the view hides no reviews.
    #[must_use]
    pub fn shows_all(&self) -> bool {
        self.held_out.is_empty() && self.before.is_none()
    }

    fn visible(&self, mut reviews: Vec<StoredReview>) -> Result<Vec<StoredReview>> {
        reviews.retain(|r| {
            self.held_out.binary_search(&r.id).is_err()
                && (self.before.is_none_or(|t| r.review.time < t)
                    || self.timeless.contains(&r.review.user))
        });
        if self.hides_contexts {
            reviews.iter_mut().for_each(|review| review.context = None);
        } else if !self.held_out.is_empty() {
            for review in &mut reviews {
                if let Some(context) = &review.context
                    && self.hides(context)?
                {
                    review.context = None;
                }
            }
        }
        Ok(reviews)
    }

    /// Whether a text that is answered is a held-out review, or quotes one.
    fn hides(&self, context: &ReviewContext) -> Result<bool> {
        if let Some(id) = context.review {
            return Ok(self.held_out.binary_search(&id).is_ok());
        }
        if self.held_out_texts.get().is_none() {
            let held_out = self.store.reviews(&self.held_out)?;
            let texts = held_out.into_iter().map(|stored| stored.review.text.trim().to_owned());
            let searched = texts.filter(|text| text.chars().count() >= MIN_SEARCHED).collect();
            // If another thread was first, it found the same texts.
            let _ = self.held_out_texts.set(searched);
        }
        let texts = self.held_out_texts.get().map_or(&[][..], Vec::as_slice);
        Ok(texts.iter().any(|text| context.text.contains(text)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{KeptReviews, Review, SourceContext, SourceReview};

    #[test]
    fn no_answer_shows_a_hidden_text() {
        let store = Store::in_memory().unwrap();
        let row = |id: &str, user: &str, text: &str, answers: Option<&str>, quoted: &str| {
            let (user, item, text) = (user.to_owned(), "x".to_owned(), text.to_owned());
            let review = Review { user, item, rating: None, title: String::new(), text, time: 1 };
            let context = SourceContext {
                id: answers.map(str::to_owned),
                text: quoted.to_owned(),
                user: None,
            };
            SourceReview { id: Some(id.to_owned()), review, context }
        };
        let rows = [
            row("1", "ann", "Is the kettle hot?", None, ""),
            row("2", "bob", "Yes.", Some("1"), ""),
            row("3", "cyd", "No.", None, "she asks: Is the kettle hot?"),
            row("4", "dan", "Tea.", None, "Tea or coffee?"),
        ];
        store.put_source_reviews(&rows, KeptReviews::All).unwrap();
        let contexts = |view: &View<'_>| -> Vec<Option<String>> {
            let visible = view.reviews_of("x").unwrap().into_iter();
            visible.map(|stored| stored.context.map(|context| context.text)).collect()
        };
        let some = |text: &str| Some(text.to_owned());
        let all = View::all(&store);
        let hot = "Is the kettle hot?";
        let expected =
            [None, some(hot), some("she asks: Is the kettle hot?"), some("Tea or coffee?")];
        assert_eq!(contexts(&all), expected);
        assert_eq!(contexts(&all.clone().without_contexts()), [None, None, None, None]);
        let anns = store.history("ann").unwrap()[0].id;
        let without = all.clone().without(anns);
        assert_eq!(contexts(&without), [None, None, some("Tea or coffee?")]);
        // A view that hides more searches these texts, too.
        let dans = store.history("dan").unwrap()[0].id;
        assert_eq!(contexts(&without.without(dans)), [None, None]);
        assert_eq!(contexts(&View::all(&store).without(dans)), expected[..3]);
    }
}
