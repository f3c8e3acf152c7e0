//! What a method may see of the store.

use super::{Item, Result, ReviewId, Store, StoredReview};

/// The store without the text that is to be written, and, where asked, without what came later.
///
/// Methods and peers read reviews through a view only, so that no held-out text can reach a prompt.
#[derive(Clone, Copy)]
pub struct View<'a> {
    store: &'a Store,
    held_out: Option<ReviewId>,
    before: Option<i64>,
}

impl<'a> View<'a> {
    /// Everything in the store.
    #[must_use]
    pub fn all(store: &'a Store) -> Self {
        Self { store, held_out: None, before: None }
    }

    /// Hides one review.
    #[must_use]
    pub fn without(self, held_out: ReviewId) -> Self {
        Self { held_out: Some(held_out), ..self }
    }

    /// Hides every review written at or after `time` (seconds since the epoch).
    #[must_use]
    pub fn before(self, time: i64) -> Self {
        Self { before: Some(time), ..self }
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
        self.held_out.is_none() && self.before.is_none()
    }

    fn visible(&self, mut reviews: Vec<StoredReview>) -> Vec<StoredReview> {
        reviews.retain(|r| {
            Some(r.id) != self.held_out && self.before.is_none_or(|t| r.review.time < t)
        });
        reviews
    }
}
