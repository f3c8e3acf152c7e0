//! The thresholds of a split.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::corpus::{Error, Item, Result, Review, Store};

/// A set of thresholds to begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// Those of DPL's data sets.
    Dpl,
    /// For some thousand reviews: every user with eight or more, whatever their length; the last two
    /// held out, one for choosing settings and one for testing.
    Small,
    /// No filter but that a user needs one review beside the last, which is held out.
    None,
}

/// A field that must be there.
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

/// What happens to reviews of one user with the same text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepeatedTexts {
    /// Only the newest counts.
    KeepNewest,
    /// All count.
    KeepAll,
}

/// All thresholds. Lengths count characters; bounds are inclusive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SplitParameters {
    /// Shortest review.
    pub min_chars: usize,
    /// Fields that must be there.
    pub required: Vec<Required>,
    /// Shortest item description, a leading bare heading "Product Description" not counted.
    pub min_description: usize,
    /// Longest item description.
    pub max_description: usize,
    /// What happens to repeated texts.
    pub repeated_texts: RepeatedTexts,
    /// Fewest users of an item.
    pub item_users: usize,
    /// Fewest reviews of a user.
    pub min_reviews: usize,
    /// Most reviews of a user; one with more is left out.
    pub max_reviews: usize,
    /// Fewest users who have an item in their profile.
    pub profile_item_users: usize,
    /// Fewest reviews in a user's profile.
    pub profile_reviews: usize,
    /// Of the newest reviews, held out: so many for training,
    pub train: usize,
    /// then so many for choosing settings,
    pub val: usize,
    /// and the last so many for testing.
    pub test: usize,
}

impl SplitParameters {
    /// The thresholds of a preset.
    #[must_use]
    pub fn of(preset: Preset) -> Self {
        let none = Self {
            min_chars: 1,
            required: Vec::new(),
            min_description: 0,
            max_description: usize::MAX,
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

    /// Number of reviews that are held out of each user's.
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

    /// Ids of the items that pass.
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
