//! Parameters of a split.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::{Error, Item, Result, Review, Store};

/// A named set of parameters to start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The thresholds of DPL's data sets.
    Dpl,
    /// For corpora of a few thousand reviews: users with at least 8 reviews of any length. The last
    /// two reviews are held out, one for validation and one for testing.
    Small,
    /// No filter, except that blank reviews are dropped and a user needs two reviews: the last one
    /// is held out for testing.
    None,
}

/// A field that must be present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Required {
    /// The review's rating.
    Rating,
    /// The review's title.
    Title,
    /// The review's time.
    Time,
    /// The item's title.
    ItemTitle,
    /// The item's categories.
    ItemCategories,
}

/// Treatment of several reviews of one user with the same text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepeatedTexts {
    /// Keep only the newest.
    KeepNewest,
    /// Keep all.
    KeepAll,
}

/// Treatment of several reviews of one user on one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepeatedItems {
    /// Keep only the newest, as DPL does.
    KeepNewest,
    /// Keep all, like the mails of a thread.
    #[default]
    KeepAll,
}

/// All parameters. Lengths are in characters; bounds are inclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitParameters {
    /// Minimum length of a review.
    pub min_chars: usize,
    /// Fields that must be present.
    pub required: Vec<Required>,
    /// Minimum length of an item description, without a leading heading "Product Description".
    pub min_description: usize,
    /// Maximum length of an item description, without a leading heading "Product Description".
    pub max_description: usize,
    /// Treatment of repeated items; they are dropped before repeated texts. A split without it was
    /// made when a store had one review per user and item.
    #[serde(default)]
    pub repeated_items: RepeatedItems,
    /// Treatment of repeated texts.
    pub repeated_texts: RepeatedTexts,
    /// Minimum number of users of an item.
    pub item_users: usize,
    /// Minimum number of reviews of a user.
    pub min_reviews: usize,
    /// Maximum number of reviews of a user; users with more are left out.
    pub max_reviews: usize,
    /// Minimum number of users with an item in their profile.
    pub profile_item_users: usize,
    /// Minimum number of reviews in a user's profile.
    pub profile_reviews: usize,
    /// Number of each user's held-out reviews for training; they precede those of `val` and `test`.
    pub train: usize,
    /// Number of each user's held-out reviews for validation, after those of `train`.
    pub val: usize,
    /// Number of each user's held-out reviews for testing, the newest of all.
    pub test: usize,
}

impl SplitParameters {
    /// Returns the parameters of a preset.
    #[must_use]
    pub fn of(preset: Preset) -> Self {
        let none = Self {
            min_chars: 1,
            required: Vec::new(),
            min_description: 0,
            max_description: usize::MAX,
            repeated_items: RepeatedItems::KeepAll,
            repeated_texts: RepeatedTexts::KeepAll,
            item_users: 1,
            min_reviews: 2,
            max_reviews: usize::MAX,
            profile_item_users: 1,
            profile_reviews: 1,
            train: 0,
            val: 0,
            test: 1,
        };
        match preset {
            Preset::None => none,
            Preset::Small => Self { min_reviews: 8, profile_reviews: 6, val: 1, ..none },
            Preset::Dpl => Self {
                min_chars: 200,
                required: vec![
                    Required::Rating,
                    Required::Title,
                    Required::Time,
                    Required::ItemTitle,
                    Required::ItemCategories,
                ],
                min_description: 100,
                max_description: 2000,
                repeated_items: RepeatedItems::KeepNewest,
                repeated_texts: RepeatedTexts::KeepNewest,
                item_users: 8,
                min_reviews: 18,
                max_reviews: 500,
                profile_item_users: 5,
                profile_reviews: 8,
                train: 8,
                val: 1,
                test: 1,
            },
        }
    }

    /// Number of held-out reviews per user.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.train + self.val + self.test
    }

    pub(super) fn check(&self) -> Result<()> {
        let bad = |reason: String| Err(Error::BadSplit { reason });
        if self.inputs() == 0 {
            return bad("nothing is held out; --train, --val and --test are all 0".to_owned());
        }
        if self.min_reviews > self.max_reviews {
            let (min, max) = (self.min_reviews, self.max_reviews);
            return bad(format!("--min-reviews {min} is above --max-reviews {max}"));
        }
        if self.min_description > self.max_description {
            let (min, max) = (self.min_description, self.max_description);
            return bad(format!("--min-description {min} is above --max-description {max}"));
        }
        Ok(())
    }

    pub(super) fn passes(&self, review: &Review) -> bool {
        review.text.trim().chars().count() >= self.min_chars
            && self.required.iter().all(|required| match required {
                Required::Rating => review.rating.is_some(),
                Required::Title => !review.title.trim().is_empty(),
                Required::Time => review.time != 0,
                Required::ItemTitle | Required::ItemCategories => true,
            })
    }

    /// Returns the ids of the items that pass.
    pub(super) fn items(&self, store: &Store) -> Result<HashSet<String>> {
        let mut passing = HashSet::new();
        for id in store.item_ids()? {
            if self.passes_item(&store.item(&id)?) {
                passing.insert(id);
            }
        }
        Ok(passing)
    }

    fn passes_item(&self, item: &Item) -> bool {
        let length = without_heading(&item.description).chars().count();
        (self.min_description..=self.max_description).contains(&length)
            && self.required.iter().all(|required| match required {
                Required::ItemTitle => !item.title.trim().is_empty(),
                Required::ItemCategories => !item.categories.is_empty(),
                Required::Rating | Required::Title | Required::Time => true,
            })
    }
}

fn without_heading(description: &str) -> &str {
    let description = description.trim();
    description.strip_prefix("Product Description").unwrap_or(description).trim_start()
}
