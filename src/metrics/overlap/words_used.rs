//! Diversity of the predictions' words, and the share of text copied from other texts.

use std::collections::{HashMap, HashSet};

use super::words::WordIds;
use super::words_of_any_script::{cased_down, words};

/// Length in words of the n-grams that are counted as copied.
pub const COPIED_WORDS: usize = 8;

/// Distinct unigrams and bigrams divided by the number of words, over all texts together (Li et al.
/// 2016, "A diversity-promoting objective function for neural conversation models", section 5.3:
/// the number of distinct unigrams and bigrams, divided by the number of generated tokens). Words are
/// runs of letters and digits of any script. 0 to 1; 0 if there are no words.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Distinct {
    /// Distinct words divided by the number of words.
    pub distinct1: f64,
    /// Distinct bigrams within texts, also divided by the number of words (not of bigrams).
    pub distinct2: f64,
}

impl Distinct {
    /// Counts over all texts.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let texts: Vec<String> = texts.into_iter().map(cased_down).collect();
        let mut vocabulary = WordIds::default();
        let mut pairs = HashSet::new();
        let mut n = 0_usize;
        for text in &texts {
            let mut before = None;
            for word in words(text) {
                let word = vocabulary.id(word);
                pairs.extend(before.replace(word).map(|before| (before, word)));
                n += 1;
            }
        }
        let share = |distinct: usize| distinct as f64 / n.max(1) as f64;
        Self { distinct1: share(vocabulary.len()), distinct2: share(pairs.len()) }
    }
}

/// Number of 8-grams of a text that occur in other texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Copied {
    /// Number of [`COPIED_WORDS`]-grams of the text, overlapping ones and repetitions included.
    pub n_runs: usize,
    /// Number of these n-grams that occur in one of the other texts.
    pub n_copied: usize,
}

impl Copied {
    /// Searches for the n-grams of a text in other texts; words are runs of letters and digits of any
    /// script.
    #[must_use]
    pub fn of<S: AsRef<str>>(text: &str, others: &[S]) -> Self {
        let text = cased_down(text);
        let mut vocabulary = WordIds::default();
        let text: Vec<u32> = words(&text).map(|word| vocabulary.id(word)).collect();
        let mut counts: HashMap<&[u32], usize> = HashMap::new();
        for run in text.windows(COPIED_WORDS) {
            *counts.entry(run).or_default() += 1;
        }
        let mut copied = Self { n_runs: text.len().saturating_sub(COPIED_WORDS - 1), n_copied: 0 };
        let mut known = Vec::new();
        for other in others {
            if counts.is_empty() {
                break;
            }
            known.clear();
            for word in words(&cased_down(other.as_ref())) {
                // A word that the text lacks cannot be part of a shared n-gram.
                let Some(word) = vocabulary.known(word) else {
                    known.clear();
                    continue;
                };
                known.push(word);
                if let Some(start) = known.len().checked_sub(COPIED_WORDS) {
                    copied.n_copied += counts.remove(&known[start..]).unwrap_or(0);
                }
            }
        }
        copied
    }

    /// Share of copied n-grams; `None` if the text is too short to have any.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn share(&self) -> Option<f64> {
        (self.n_runs > 0).then(|| self.n_copied as f64 / self.n_runs as f64)
    }
}

impl std::iter::Sum for Copied {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |sum, part| Self {
            n_runs: sum.n_runs + part.n_runs,
            n_copied: sum.n_copied + part.n_copied,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reference implementation: searches for every n-gram in every text.
    fn plain(text: &str, others: &[String]) -> Copied {
        let of = |text: &str| -> Vec<String> {
            let text = text.to_lowercase();
            let parts = text.split(|c: char| !c.is_ascii_alphanumeric());
            parts.filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        let others: Vec<Vec<String>> = others.iter().map(|other| of(other)).collect();
        let text = of(text);
        let runs: Vec<&[String]> = text.windows(COPIED_WORDS).collect();
        let is_copied = |run: &&&[String]| {
            others.iter().any(|other| other.windows(COPIED_WORDS).any(|there| there == **run))
        };
        Copied { n_runs: runs.len(), n_copied: runs.iter().filter(is_copied).count() }
    }

    proptest! {
        #[test]
        fn copied_runs_are_those_found_one_by_one(
            text in "([ab]{1,2}[ .]){0,60}",
            others in prop::collection::vec("([abC]{1,2}[ ,]){0,60}", 0..4),
        ) {
            prop_assert_eq!(Copied::of(&text, &others), plain(&text, &others));
        }
    }

    #[test]
    fn counts_runs_of_eight() {
        let text = "one two three four five six seven eight nine";
        let none: [&str; 0] = [];
        assert_eq!(Copied::of(text, &none), Copied { n_runs: 2, n_copied: 0 });
        let other = "One, two; three four five six seven EIGHT.";
        assert_eq!(Copied::of(text, &[other, other]), Copied { n_runs: 2, n_copied: 1 });
        let twice = format!("{other} {other}");
        assert_eq!(Copied::of(&twice, &[other]), Copied { n_runs: 9, n_copied: 2 });
        assert_eq!(Copied::of("too short", &[text]).share(), None);
        assert_eq!(Copied::of(text, &[text]).share(), Some(1.0));
    }

    #[test]
    fn distinct_words_and_pairs_over_all_words() {
        let distinct = Distinct::of(["a b a b", "B, a!"]);
        // Words a and b; bigrams a b and b a, none across texts.
        assert!((distinct.distinct1 - 2.0 / 6.0).abs() < 1e-12);
        assert!((distinct.distinct2 - 2.0 / 6.0).abs() < 1e-12);
        assert_eq!(Distinct::of(["", "…"]), Distinct { distinct1: 0.0, distinct2: 0.0 });
        let russian = Distinct::of(["Крышка заедает, крышка заедает"]);
        assert_eq!((russian.distinct1, russian.distinct2), (0.5, 0.5));
    }

    #[test]
    fn copies_are_seen_in_every_script() {
        let russian = "Крышка заедает но чайник хороший и ручка не греется";
        let chinese = "这个水壶的盖子卡住了";
        for text in [russian, chinese] {
            let none: [&str; 0] = [];
            assert!(Copied::of(text, &none).n_runs > 0, "{text}");
            assert_eq!(Copied::of(text, &[text]).share(), Some(1.0), "{text}");
        }
    }
}
