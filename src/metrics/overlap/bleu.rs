//! BLEU of a corpus and of one pair.

use std::iter::Sum;
use std::ops::AddAssign;

use super::python::split;
use super::tokens_13a::tokenized_13a;
use super::words::WordIds;

/// Longest n-gram length.
const ORDERS: usize = 4;

/// Counts for BLEU of a pair; the counts of a corpus are the sum over its pairs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct BleuCounts {
    /// Clipped n-gram matches between prediction and reference, by n from 1 to 4.
    pub n_matches: [u64; ORDERS],
    /// Number of n-grams of the prediction, by n from 1 to 4.
    pub n_predicted: [u64; ORDERS],
    /// Number of tokens of the prediction.
    pub prediction_len: u64,
    /// Number of tokens of the reference.
    pub reference_len: u64,
}

/// BLEU and its components.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Bleu {
    /// BLEU score, 0 to 100.
    pub score: f64,
    /// Factor below 1 if the predictions are shorter than their references, 0 to 1.
    pub brevity_penalty: f64,
    /// Smoothed n-gram precisions by n from 1 to 4, 0 to 100.
    pub precisions: [f64; ORDERS],
    /// Prediction tokens divided by reference tokens; 0 if the references have none.
    pub length_ratio: f64,
}

/// N-gram lengths that the geometric mean is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Orders {
    /// All four.
    All,
    /// Only lengths for which the prediction has n-grams.
    Effective,
}

impl BleuCounts {
    /// Counts a pair in `13a` tokens; case is kept.
    #[must_use]
    pub fn of(prediction: &str, reference: &str) -> Self {
        let (prediction, reference) = (tokenized_13a(prediction), tokenized_13a(reference));
        let mut vocabulary = WordIds::default();
        let predicted: Vec<u32> = split(&prediction).map(|token| vocabulary.id(token)).collect();
        let expected: Vec<u32> = split(&reference).map(|token| vocabulary.id(token)).collect();
        Self::of_tokens(&predicted, &expected)
    }

    fn of_tokens(predicted: &[u32], expected: &[u32]) -> Self {
        let mut counts = Self {
            prediction_len: predicted.len() as u64,
            reference_len: expected.len() as u64,
            ..Self::default()
        };
        for n in 1..=ORDERS {
            let of_prediction = sorted_ngrams(predicted, n);
            counts.n_predicted[n - 1] = of_prediction.len() as u64;
            counts.n_matches[n - 1] = n_common(&of_prediction, &sorted_ngrams(expected, n));
        }
        counts
    }

    /// BLEU of a corpus, as `sacrebleu` 2.5.1 computes it (Papineni et al. 2002; `exp` smoothing:
    /// Chen and Cherry 2014, method 3).
    #[must_use]
    pub fn corpus(&self) -> Bleu {
        self.bleu(Orders::All)
    }

    /// BLEU of one pair, as `sacrebleu`'s `sentence_bleu` computes it: only over n-gram lengths for
    /// which the prediction has n-grams.
    #[must_use]
    pub fn sentence(&self) -> Bleu {
        self.bleu(Orders::Effective)
    }

    #[allow(clippy::cast_precision_loss)]
    fn bleu(&self, orders: Orders) -> Bleu {
        let (predicted, expected) = (self.prediction_len as f64, self.reference_len as f64);
        let brevity_penalty = if self.prediction_len >= self.reference_len {
            1.0
        } else if self.prediction_len == 0 {
            0.0
        } else {
            (1.0 - expected / predicted).exp()
        };
        let mut bleu = Bleu {
            score: 0.0,
            brevity_penalty,
            precisions: [0.0; ORDERS],
            length_ratio: if self.reference_len == 0 { 0.0 } else { predicted / expected },
        };
        if self.n_matches == [0; ORDERS] {
            return bleu;
        }
        let mut smoothing = 1.0;
        let mut n_orders = 0;
        for ((precision, n_matches), n_predicted) in
            bleu.precisions.iter_mut().zip(self.n_matches).zip(self.n_predicted)
        {
            if n_predicted == 0 {
                break;
            }
            n_orders += 1;
            *precision = if n_matches == 0 {
                smoothing *= 2.0;
                100.0 / (smoothing * n_predicted as f64)
            } else {
                100.0 * n_matches as f64 / n_predicted as f64
            };
        }
        if orders == Orders::Effective || n_orders == ORDERS {
            let logs: f64 = bleu.precisions[..n_orders].iter().map(|p| p.ln()).sum();
            bleu.score = brevity_penalty * (logs / n_orders as f64).exp();
        }
        bleu
    }
}

impl AddAssign for BleuCounts {
    fn add_assign(&mut self, other: Self) {
        for n in 0..ORDERS {
            self.n_matches[n] += other.n_matches[n];
            self.n_predicted[n] += other.n_predicted[n];
        }
        self.prediction_len += other.prediction_len;
        self.reference_len += other.reference_len;
    }
}

impl Sum for BleuCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, of_pair| {
            sum += of_pair;
            sum
        })
    }
}

/// Sorted n-grams of a sequence, for `n` up to 4, each packed into one integer.
fn sorted_ngrams(tokens: &[u32], n: usize) -> Vec<u128> {
    let pack = |gram: &[u32]| gram.iter().fold(0, |key, &token| key << 32 | u128::from(token));
    let mut grams: Vec<u128> = tokens.windows(n).map(pack).collect();
    grams.sort_unstable();
    grams
}

/// Size of the intersection of two sorted multisets.
fn n_common(a: &[u128], b: &[u128]) -> u64 {
    let (mut i, mut j, mut n) = (0, 0, 0);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                (i, j) = (i + 1, j + 1);
                n += 1;
            }
        }
    }
    n
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Reference implementation with n-gram count tables.
    fn plain(predicted: &[u32], expected: &[u32]) -> BleuCounts {
        let table = |tokens: &[u32], n: usize| {
            let mut table: HashMap<Vec<u32>, u64> = HashMap::new();
            for gram in tokens.windows(n) {
                *table.entry(gram.to_vec()).or_default() += 1;
            }
            table
        };
        let mut counts = BleuCounts {
            prediction_len: predicted.len() as u64,
            reference_len: expected.len() as u64,
            ..BleuCounts::default()
        };
        for n in 1..=ORDERS {
            let of_reference = table(expected, n);
            for (gram, count) in table(predicted, n) {
                counts.n_predicted[n - 1] += count;
                counts.n_matches[n - 1] += count.min(of_reference.get(&gram).copied().unwrap_or(0));
            }
        }
        counts
    }

    proptest! {
        #[test]
        fn counts_are_those_of_tables(
            (a, b) in (1_u32..12).prop_flat_map(|n| {
                (prop::collection::vec(0..n, 0..80), prop::collection::vec(0..n, 0..80))
            })
        ) {
            prop_assert_eq!(BleuCounts::of_tokens(&a, &b), plain(&a, &b));
        }
    }

    #[test]
    fn a_text_against_itself() {
        let text = "The kettle is loud, and so am I.";
        let bleu = BleuCounts::of(text, text).corpus();
        assert!((bleu.score - 100.0).abs() < 1e-9);
        assert!(
            (bleu.brevity_penalty - 1.0).abs() < 1e-12 && (bleu.length_ratio - 1.0).abs() < 1e-12
        );
        assert!((BleuCounts::of("Loud", "Loud").sentence().score - 100.0).abs() < 1e-9);
        assert!(BleuCounts::of("Loud", "Loud").corpus().score.abs() < 1e-12);
    }

    #[test]
    fn nothing_scores_nothing() {
        for (prediction, reference, penalty) in [("", "", 1.0), ("", "a", 0.0), ("a", "", 1.0)] {
            let bleu = BleuCounts::of(prediction, reference).corpus();
            assert!(bleu.score.abs() < 1e-12);
            assert!((bleu.brevity_penalty - penalty).abs() < 1e-12, "{prediction:?} {reference:?}");
        }
    }
}
