//! What a method may see of the store.

use super::{Item, Result, ReviewId, Store, StoredReview};

/// The store without the texts that are held out, and, where asked, without what came later.
///
/// Methods and peers read reviews through a view only, so that no held-out text can reach a prompt.
#[derive(Clone)]
pub struct View<'a> {
    store: &'a Store,
    /// Ascending.
    held_out: Vec<ReviewId>,
    before: Option<i64>,
    /// Whose reviews `before` does not hide.
    timeless: Vec<String>,
}

impl<'a> View<'a> {
    /// Everything in the store.
    #[must_use]
    pub fn all(store: &'a Store) -> Self {
        Self { store, held_out: Vec::new(), before: None, timeless: Vec::new() }
    }

    /// Hides one review, beside those that are hidden already.
    #[must_use]
    pub fn without(self, held_out: ReviewId) -> Self {
        self.without_all([held_out])
    }

    /// Hides reviews, beside those that are hidden already.
    #[must_use]
    pub fn without_all(mut self, held_out: impl IntoIterator<Item = ReviewId>) -> Self {
        self.held_out.extend(held_out);
        self.held_out.sort_unstable();
        self.held_out.dedup();
        self
    }

    /// Hides what a user wrote about an item, if anything.
    ///
    /// # Errors
    /// The user is unknown, or the store cannot be read.
    pub fn without_text(self, user: &str, item: &str) -> Result<Self> {
        let written = self.store.history(user)?;
        Ok(self.without_all(written.iter().filter(|r| r.review.item == item).map(|r| r.id)))
    }

    /// Hides all that a user wrote.
    ///
    /// # Errors
    /// The user is unknown, or the store cannot be read.
    pub fn without_user(self, user: &str) -> Result<Self> {
        let written = self.store.history(user)?;
        Ok(self.without_all(written.iter().map(|r| r.id)))
    }

    /// Hides every review written at or after `time` (seconds since the epoch).
    #[must_use]
    pub fn before(self, time: i64) -> Self {
        Self { before: Some(time), timeless: Vec::new(), ..self }
    }

    /// Hides every review written at or after `time` by others than `users`, whose own order in time
    /// is a matter of [`View::without_all`]: many reviews carry no more than a day.
    #[must_use]
    pub fn others_before(self, time: i64, users: &[&str]) -> Self {
        let timeless = users.iter().map(|user| (*user).to_owned()).collect();
        Self { before: Some(time), timeless, ..self }
    }

    /// The store behind the view, for items, vectors and derived values.
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
        Ok(self.visible(self.store.history(user)?))
    }

    /// Visible reviews of an item, oldest first.
    pub fn reviews_of(&self, item: &str) -> Result<Vec<StoredReview>> {
        Ok(self.visible(self.store.reviews_of(item)?))
    }

    /// See [`Store::reviews`]; hidden ones are left out.
    pub fn reviews(&self, ids: &[ReviewId]) -> Result<Vec<StoredReview>> {
        Ok(self.visible(self.store.reviews(ids)?))
    }

    /// Whether nothing is hidden.
    #[must_use]
    pub fn shows_all(&self) -> bool {
        self.held_out.is_empty() && self.before.is_none()
    }

    fn visible(&self, mut reviews: Vec<StoredReview>) -> Vec<StoredReview> {
        reviews.retain(|r| {
            self.held_out.binary_search(&r.id).is_err()
                && (self.before.is_none_or(|t| r.review.time < t)
                    || self.timeless.contains(&r.review.user))
        });
        reviews
    }
}
