//! The swap test: matches two generated texts to two users.
//!
//! A method generates a text for each of two users on the same item, with the same rating and title
//! (or neither). Compared with both users' held-out texts, the two texts should be closer as
//! assigned than exchanged. Length, fluency and genre affect both assignments equally and cancel.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Result;
use idiolect_metrics::statistics::{Estimate, Interval, Settings, mean_of_pairs, sign_flip_p};
use idiolect_metrics::stylometry::{StyleProfile, StyleSpace};

/// Closeness of two texts, generated for two users on one item, to both users' own texts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SwapScores {
    /// First user.
    pub(crate) a: String,
    /// Second user.
    pub(crate) b: String,
    /// The item both texts are about.
    pub(crate) item: String,
    /// Closeness of the text generated for A to A's own texts; higher is closer.
    pub(crate) a_to_a: f64,
    /// Closeness of the text generated for B to B's own texts.
    pub(crate) b_to_b: f64,
    /// Closeness of the text generated for A to B's own texts.
    pub(crate) a_to_b: f64,
    /// Closeness of the text generated for B to A's own texts.
    pub(crate) b_to_a: f64,
}

impl SwapScores {
    /// Measures two texts, `written` for A and for B, against the `own` texts of both users.
    #[must_use]
    pub(crate) fn measured(
        space: &dyn StyleSpace,
        (a, b): (&str, &str),
        item: &str,
        written: (&str, &str),
        own: (&StyleProfile, &StyleProfile),
    ) -> Self {
        let (as_a, as_b) = (space.profile(&[written.0]), space.profile(&[written.1]));
        Self {
            a: a.to_owned(),
            b: b.to_owned(),
            item: item.to_owned(),
            a_to_a: space.similarity(&as_a, own.0),
            b_to_b: space.similarity(&as_b, own.1),
            a_to_b: space.similarity(&as_a, own.1),
            b_to_a: space.similarity(&as_b, own.0),
        }
    }

    /// 1 if the texts are closer as assigned, 0 if they are closer exchanged, 0.5 for a tie (two
    /// equal texts always tie). NaN if a closeness is NaN.
    #[must_use]
    pub(crate) fn correct(&self) -> f64 {
        let (straight, crossed) = (self.a_to_a + self.b_to_b, self.a_to_b + self.b_to_a);
        match straight.partial_cmp(&crossed) {
            Some(std::cmp::Ordering::Greater) => 1.0,
            Some(std::cmp::Ordering::Equal) => 0.5,
            Some(std::cmp::Ordering::Less) => 0.0,
            None => f64::NAN,
        }
    }
}

/// Result of the swap test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct SwapTest {
    /// Share of pairs whose texts are closer as assigned, a tie counted as half; 0.5 is chance. The
    /// interval accounts for pairs that share a user ([`mean_of_pairs`]) and is clamped to 0 to 1.
    pub(crate) accuracy: Estimate,
    /// Two-sided p-value against chance, by exchanging the texts of random pairs. It is exact if no
    /// text belongs to two pairs, which [`choose_pairs`](super::pairs::choose_pairs) guarantees.
    pub(crate) p: f64,
    /// Share of scores (one a pair and seed) that are ties.
    pub(crate) ties: f64,
}

/// Runs the swap test. Scores of the same users and item (a method's seeds) are averaged first.
/// The upper bound is the test on the users' real texts of the item. Texts that do not depend on
/// the user give 0.5 by construction.
///
/// # Errors
/// Error if there are no scores, or a closeness is not finite.
pub(crate) fn swap_test(all: &[SwapScores], settings: &Settings) -> Result<SwapTest> {
    let mut correct: BTreeMap<(&str, &str, &str), Vec<f64>> = BTreeMap::new();
    for scores in all {
        let (a, b) = (scores.a.as_str(), scores.b.as_str());
        let key = (a.min(b), a.max(b), scores.item.as_str());
        correct.entry(key).or_default().push(scores.correct());
    }
    let pairs: Vec<(&str, &str, f64)> = correct
        .iter()
        .map(|((a, b, _), of_seeds)| (*a, *b, of_seeds.iter().sum::<f64>() / of_seeds.len() as f64))
        .collect();
    let accuracy = mean_of_pairs(&pairs, settings)?;
    let within = |Interval { low, high }| Interval { low: low.max(0.0), high: high.min(1.0) };
    let from_chance: Vec<f64> = pairs.iter().map(|(.., score)| score - 0.5).collect();
    let n_tied = correct.values().flatten().filter(|score| **score == 0.5).count();
    Ok(SwapTest {
        accuracy: Estimate { interval: accuracy.interval.map(within), ..accuracy },
        p: sign_flip_p(&from_chance, settings)?,
        ties: n_tied as f64 / all.len() as f64,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn scores(a: &str, b: &str, item: &str, straight: f64, crossed: f64) -> SwapScores {
        SwapScores {
            a: a.to_owned(),
            b: b.to_owned(),
            item: item.to_owned(),
            a_to_a: straight,
            b_to_b: 0.25,
            a_to_b: 0.25,
            b_to_a: crossed,
        }
    }

    #[test]
    fn seeds_are_averaged_and_either_user_may_come_first() {
        let all = [
            scores("a", "b", "x", 0.9, 0.1),
            scores("b", "a", "x", 0.1, 0.9),
            scores("c", "d", "x", 0.9, 0.1),
            scores("e", "f", "x", 0.9, 0.1),
            scores("g", "h", "y", 0.3, 0.3),
        ];
        let test = swap_test(&all, &Settings::default()).unwrap();
        assert_eq!((test.accuracy.value, test.accuracy.n), (0.75, 4));
        assert_eq!(test.ties, 0.2);
        let interval = test.accuracy.interval.unwrap();
        assert!(interval.low >= 0.5 && interval.high <= 1.0, "{interval:?}");
        // Only two pairs differ from chance; 2 of their 4 sign flips reach as far.
        assert_eq!(test.p, 0.5);
    }

    #[test]
    fn a_closeness_that_is_no_number_is_refused() {
        let all = [scores("a", "b", "x", f64::NAN, 0.1)];
        assert!(swap_test(&all, &Settings::default()).is_err());
        assert!(swap_test(&[], &Settings::default()).is_err());
    }
}
