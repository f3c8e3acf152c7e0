//! The SQLite file that is the truth; everything else can be made again from it.

use std::collections::HashMap;
use std::path::Path;

use super::{Item, Key, Result, ReviewId, StoredReview};

/// An open store.
pub struct Store {
    #[allow(dead_code)]
    connection: rusqlite::Connection,
}

/// How much is in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Reviews.
    pub reviews: u64,
    /// Users with at least one review.
    pub users: u64,
    /// Items, reviewed or not.
    pub items: u64,
}

/// A user and the extent of their history.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UserSummary {
    /// Identifier.
    pub user: String,
    /// Number of reviews.
    pub reviews: u64,
    /// Time of the oldest review, seconds since the epoch.
    pub first: i64,
    /// Time of the newest review, seconds since the epoch.
    pub last: i64,
}

#[allow(unused_variables)]
impl Store {
    /// Opens the store at `path`, creating and migrating it as needed.
    pub fn open(path: &Path) -> Result<Self> {
        todo!()
    }
    /// A store in memory, for tests and examples.
    pub fn in_memory() -> Result<Self> {
        todo!()
    }
    /// Counts of rows.
    pub fn counts(&self) -> Result<Counts> {
        todo!()
    }
    /// One item.
    pub fn item(&self, id: &str) -> Result<Item> {
        todo!()
    }
    /// The user's reviews, oldest first; ties in time by row.
    pub fn history(&self, user: &str) -> Result<Vec<StoredReview>> {
        todo!()
    }
    /// Reviews of an item, oldest first; empty for an item nobody reviewed.
    pub fn reviews_of(&self, item: &str) -> Result<Vec<StoredReview>> {
        todo!()
    }
    /// Reviews by row, in the order asked for; rows that are gone are left out.
    pub fn reviews(&self, ids: &[ReviewId]) -> Result<Vec<StoredReview>> {
        todo!()
    }
    /// All rows of reviews, ascending.
    pub fn review_ids(&self) -> Result<Vec<ReviewId>> {
        todo!()
    }
    /// Users with at least `at_least` reviews, most reviews first.
    pub fn users(&self, at_least: u64) -> Result<Vec<UserSummary>> {
        todo!()
    }
    /// Rows of reviews that have no vector under `stamp`, ascending.
    pub fn without_vector(&self, stamp: &str) -> Result<Vec<ReviewId>> {
        todo!()
    }
    /// Stores vectors under `stamp`, in one transaction.
    pub fn put_vectors(&self, stamp: &str, vectors: &[(ReviewId, Vec<f32>)]) -> Result<()> {
        todo!()
    }
    /// Vectors stored under `stamp`; rows without one are absent from the map.
    pub fn vectors(&self, stamp: &str, ids: &[ReviewId]) -> Result<HashMap<ReviewId, Vec<f32>>> {
        todo!()
    }
    /// The derived value stored under `key`.
    pub fn derived(&self, kind: &str, key: &Key) -> Result<Option<String>> {
        todo!()
    }
    /// Stores a derived value and the reviews it was made from; it goes when one of them goes.
    pub fn put_derived(
        &self,
        kind: &str,
        key: &Key,
        value: &str,
        made_from: &[ReviewId],
    ) -> Result<()> {
        todo!()
    }
}
