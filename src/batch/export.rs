//! Divides the targets of a store into shards.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use idiolect_core::corpus::{self, Item, ReviewId, Store, StoredReview};
use idiolect_engine::progress::{Progress, ProgressStage};
use idiolect_tables::{ParquetTable, TableColumn};
use sha2::{Digest, Sha256};

use crate::{Error, Result, TargetRow};

/// How a corpus is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardOptions {
    /// Number of shards, at least 1.
    pub n_shards: usize,
    /// Maximum number of texts by other users on an item, the newest.
    pub texts_per_item: usize,
}

impl Default for ShardOptions {
    fn default() -> Self {
        Self { n_shards: 1, texts_per_item: 50 }
    }
}

/// Counts of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct ExportedShards {
    /// Shards with a target.
    pub shards: usize,
    /// Targets of all shards.
    pub targets: usize,
    /// Users of the targets.
    pub users: usize,
    /// Reviews of all shards; one may be in several.
    pub reviews: usize,
}

/// Writes `folder/shard=NNNN` for each shard that has a target: the targets of some users, the users'
/// histories, the newest texts by others on the items in them, and the items. All targets of a user are
/// in one shard, chosen by the hash of the name. No shard has a held-out text.
///
/// # Errors
/// The store or a file fails, or a stop is requested.
pub fn export_shards(
    store: &Store,
    targets: &[TargetRow],
    held_out: &BTreeSet<ReviewId>,
    options: &ShardOptions,
    (folder, progress): (&Path, &dyn Progress),
) -> Result<ExportedShards> {
    let mut by_shard: BTreeMap<usize, Vec<&TargetRow>> = BTreeMap::new();
    for target in targets {
        by_shard.entry(shard_of(&target.user, options.n_shards)).or_default().push(target);
    }
    let stage = ProgressStage::begin(progress, "writing shards", Some(targets.len() as u64));
    let mut exported = ExportedShards { shards: by_shard.len(), ..ExportedShards::default() };
    for (index, targets) in by_shard {
        if stage.stop_requested() {
            return Err(Error::Stopped);
        }
        let path = folder.join(format!("shard={index:04}"));
        let create = |source| Error::File { operation: "create", path: path.clone(), source };
        fs::create_dir_all(&path).map_err(create)?;
        let users: BTreeSet<&str> = targets.iter().map(|target| target.user.as_str()).collect();
        let reviews = reviews_for(store, &targets, &users, (held_out, options.texts_per_item))?;
        let items = items_of(store, &targets, &reviews)?;
        targets_table(&targets).write(&path.join("targets.parquet"))?;
        reviews_table(&reviews).write(&path.join("reviews.parquet"))?;
        items_table(&items).write(&path.join("items.parquet"))?;
        exported.targets += targets.len();
        exported.users += users.len();
        exported.reviews += reviews.len();
        stage.advance(targets.len() as u64);
    }
    Ok(exported)
}

/// The shard of a user; it does not depend on other users.
fn shard_of(user: &str, n_shards: usize) -> usize {
    let hash = Sha256::digest(user);
    let number = hash.iter().take(8).fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    (number % n_shards.max(1) as u64) as usize
}

/// The reviews of a shard in the order of the store, without those that have no text.
fn reviews_for(
    store: &Store,
    targets: &[&TargetRow],
    users: &BTreeSet<&str>,
    (held_out, texts_per_item): (&BTreeSet<ReviewId>, usize),
) -> Result<Vec<StoredReview>> {
    let is_shown = |stored: &StoredReview| {
        !held_out.contains(&stored.id) && !stored.review.text.trim().is_empty()
    };
    let mut reviews: BTreeMap<ReviewId, StoredReview> = BTreeMap::new();
    let mut items: BTreeSet<String> = targets.iter().map(|target| target.item.clone()).collect();
    for user in users {
        // A user without texts is told when the shard is written.
        let history = match store.history(user) {
            Err(corpus::Error::UnknownUser { .. }) => continue,
            history => history?,
        };
        for stored in history.into_iter().filter(is_shown) {
            items.insert(stored.review.item.clone());
            reviews.insert(stored.id, stored);
        }
    }
    for item in &items {
        let mut others = match store.reviews_of(item) {
            Err(corpus::Error::UnknownItem { .. }) => continue,
            others => others?,
        };
        others.retain(|stored| is_shown(stored) && !users.contains(stored.review.user.as_str()));
        // Oldest first, so that the last ones are the newest.
        let newest = others.len().saturating_sub(texts_per_item);
        reviews.extend(others.drain(newest..).map(|stored| (stored.id, stored)));
    }
    Ok(reviews.into_values().collect())
}

fn items_of(store: &Store, targets: &[&TargetRow], reviews: &[StoredReview]) -> Result<Vec<Item>> {
    let of_targets = targets.iter().map(|target| target.item.as_str());
    let of_reviews = reviews.iter().map(|stored| stored.review.item.as_str());
    let ids: BTreeSet<&str> = of_targets.chain(of_reviews).collect();
    let mut items = Vec::with_capacity(ids.len());
    for id in ids {
        match store.item(id) {
            // Told when the shard is written.
            Err(corpus::Error::UnknownItem { .. }) => {}
            item => items.push(item?),
        }
    }
    Ok(items)
}

fn targets_table(targets: &[&TargetRow]) -> ParquetTable {
    let rating = |target: &&TargetRow| target.rating.map(f64::from);
    ParquetTable::new(vec![
        TableColumn::texts("user", targets.iter().map(|t| Some(t.user.clone())).collect()),
        TableColumn::texts("item", targets.iter().map(|t| Some(t.item.clone())).collect()),
        TableColumn::numbers("rating", targets.iter().map(rating).collect()),
        TableColumn::texts("title", targets.iter().map(|t| t.title.clone()).collect()),
    ])
}

fn reviews_table(reviews: &[StoredReview]) -> ParquetTable {
    let rows = || reviews.iter().map(|stored| &stored.review);
    ParquetTable::new(vec![
        TableColumn::texts("user", rows().map(|row| Some(row.user.clone())).collect()),
        TableColumn::texts("item", rows().map(|row| Some(row.item.clone())).collect()),
        TableColumn::texts("text", rows().map(|row| Some(row.text.clone())).collect()),
        TableColumn::numbers("rating", rows().map(|row| row.rating.map(f64::from)).collect()),
        TableColumn::texts("title", rows().map(|row| Some(row.title.clone())).collect()),
        TableColumn::integers("time", rows().map(|row| Some(row.time)).collect()),
    ])
}

fn items_table(items: &[Item]) -> ParquetTable {
    let texts =
        |of: fn(&Item) -> &String| items.iter().map(|item| Some(of(item).clone())).collect();
    ParquetTable::new(vec![
        TableColumn::texts("item", texts(|item| &item.id)),
        TableColumn::texts("title", texts(|item| &item.title)),
        TableColumn::texts("description", texts(|item| &item.description)),
        TableColumn::text_lists(
            "categories",
            items.iter().map(|item| item.categories.clone()).collect(),
        ),
    ])
}
