//! Counts of tokens in texts, beside the number of times that the model expected each of them.
//!
//! While the model reads a text, its probabilities of a token, summed over the positions, are the number
//! of times that it expects the token, given the prompt. Where an author writes the token more often, the
//! model has not learnt that habit from the prompt. The author's rate, relative to the expectation, is
//! estimated as in Clayton and Kaldor 1987 ("Empirical Bayes estimates of age-standardized relative
//! risks"): Poisson counts with a Gamma(α, α) prior have the posterior mean `(n + α) / (e + α)`. Its
//! logarithm is added to the token's log-probability.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::unigrams::{LogitBias, UnigramCounts};
use idiolect_engine::lm::{CombineLogits, Distributions};

/// Tokens that do not occur in a text and are expected less often than this are left out.
const MIN_EXPECTED: f32 = 0.02;

/// Number of occurrences and expected number of occurrences of tokens.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ExpectedCounts(BTreeMap<u32, (f32, f32)>);

impl ExpectedCounts {
    /// Counts tokens, and takes the expected number of each token of the vocabulary, `[n_vocab]`. Tokens
    /// outside the vocabulary are ignored.
    #[must_use]
    pub fn of(tokens: &[u32], expected: &[f32]) -> Self {
        let mut counts: BTreeMap<u32, (f32, f32)> = (0..)
            .zip(expected)
            .filter(|(_, expected)| **expected >= MIN_EXPECTED)
            .map(|(id, expected)| (id, (0.0, rounded(*expected))))
            .collect();
        for id in tokens {
            let Some(expected) = expected.get(*id as usize) else { continue };
            counts.entry(*id).or_insert((0.0, rounded(*expected))).0 += 1.0;
        }
        Self(counts)
    }

    /// Adds the counts of other texts.
    pub fn add(&mut self, other: &Self) {
        for (id, (n, expected)) in &other.0 {
            let sum = self.0.entry(*id).or_default();
            sum.0 += n;
            sum.1 += expected;
        }
    }

    /// Number of occurrences of all tokens.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.0.values().map(|(n, _)| f64::from(*n)).sum()
    }

    /// The `limit` tokens with the largest counts or expectations.
    #[must_use]
    pub fn largest(self, limit: usize) -> Self {
        let mut all: Vec<_> = self.0.into_iter().collect();
        all.sort_by(|a, b| (b.1.0 + b.1.1).total_cmp(&(a.1.0 + a.1.1)).then(a.0.cmp(&b.0)));
        all.truncate(limit);
        Self(all.into_iter().collect())
    }

    /// The tokens, in the order of their ids.
    pub fn tokens(&self) -> impl Iterator<Item = u32> {
        self.0.keys().copied()
    }

    /// Number of occurrences and expected number of occurrences of a token; `None` if both are about 0.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<(f64, f64)> {
        self.0.get(&id).map(|(n, expected)| (f64::from(*n), f64::from(*expected)))
    }
}

/// A ten-thousandth is exact enough, and short in JSON.
fn rounded(expected: f32) -> f32 {
    (expected * 1e4).round() / 1e4
}

/// Strength of a score that compares counts with expectations, and its prior.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedScore {
    /// Factor of the score, from 0.
    pub strength: f32,
    /// α, above 0: number of expected occurrences at which the counts weigh as much as the prior.
    pub prior: f64,
}

impl ExpectedScore {
    /// Logarithm of the rate of a token, nats; 0 for a token without counts.
    #[must_use]
    pub fn of(&self, counts: Option<(f64, f64)>) -> f64 {
        let Some((n, expected)) = counts.filter(|_| self.strength != 0.0) else { return 0.0 };
        f64::from(self.strength) * ((n + self.prior) / (expected + self.prior)).ln()
    }
}

/// Counts of one token in an author's texts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct TokenEvidence {
    /// Number of occurrences.
    pub n: f64,
    /// Number of occurrences that the model expected in the texts that it read.
    pub expected: f64,
    /// Number of occurrences in the other texts if the author wrote like all others.
    pub usual: f64,
}

/// Counts of tokens in an author's texts, of which the model read some.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AuthorWords(BTreeMap<u32, TokenEvidence>);

impl AuthorWords {
    /// Joins the counts of the texts that the model read with those of all texts, which contain these.
    /// In what it did not read, others' texts take the place of its expectation.
    #[must_use]
    pub fn of(read: &ExpectedCounts, all: &UnigramCounts, others: &UnigramCounts) -> Self {
        let unread = |id: u32| {
            let read = read.get(id).map_or(0.0, |(n, _)| n);
            (f64::from(all.count(id)) - read).max(0.0)
        };
        let n_tokens = all.counts().len() as u32;
        let n_unread: f64 = (0..n_tokens).map(unread).sum();
        let evidence = |id: u32| {
            let (n, expected) = read.get(id).unwrap_or_default();
            TokenEvidence { n: n + unread(id), expected, usual: n_unread * others.share(id) }
        };
        let counted = (0..n_tokens).map(|id| (id, evidence(id))).filter(|(_, token)| {
            token.n > 0.0 || token.expected + token.usual >= f64::from(MIN_EXPECTED)
        });
        Self(counted.collect())
    }

    /// The tokens, in the order of their ids.
    pub fn tokens(&self) -> impl Iterator<Item = u32> {
        self.0.keys().copied()
    }

    /// Counts of a token; `None` if all are about 0.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<TokenEvidence> {
        self.0.get(&id).copied()
    }
}

/// Score of a token, nats: that of all authors, and that of one author beside what all authors' score
/// makes the model expect.
#[must_use]
pub fn expected_score(
    (own_score, own): (&ExpectedScore, Option<TokenEvidence>),
    (all_score, all): (&ExpectedScore, Option<(f64, f64)>),
) -> f64 {
    let of_all = all_score.of(all);
    let own = own.map(|token| (token.n, token.expected * of_all.exp() + token.usual));
    of_all + own_score.of(own)
}

/// Scores of the whole vocabulary: see [`expected_score`].
#[must_use]
pub fn expected_bias(
    n_vocab: usize,
    (own_score, own): (&ExpectedScore, &AuthorWords),
    (all_score, all): (&ExpectedScore, &ExpectedCounts),
) -> LogitBias {
    let mut values = vec![0.0; n_vocab];
    for id in own.tokens().chain(all.tokens()) {
        if let Some(value) = values.get_mut(id as usize) {
            *value = expected_score((own_score, own.get(id)), (all_score, all.get(id))) as f32;
        }
    }
    LogitBias::new(values.into())
}

/// Sums of the probabilities of all tokens, `[n_vocab]`.
pub type ExpectedSums = Arc<Mutex<Vec<f32>>>;

/// A rule that sums up the first prompt's probabilities at some steps and passes them on unchanged.
pub struct ExpectationRecorder {
    /// Number of steps before those that count.
    skip: usize,
    /// Number of steps that count.
    take: usize,
    sums: ExpectedSums,
}

impl ExpectationRecorder {
    /// Creates a recorder of the `take` steps after the first `skip`, and the place of its sums.
    #[must_use]
    pub fn new(skip: usize, take: usize) -> (Self, ExpectedSums) {
        let sums = ExpectedSums::default();
        (Self { skip, take, sums: Arc::clone(&sums) }, sums)
    }
}

impl CombineLogits for ExpectationRecorder {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        let Some(logprobs) = step.logprobs.first() else { return combined.fill(0.0) };
        combined.copy_from_slice(logprobs);
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        if self.take == 0 {
            return;
        }
        self.take -= 1;
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.resize(logprobs.len(), 0.0);
        sums.iter_mut().zip(*logprobs).for_each(|(sum, logprob)| *sum += logprob.exp());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const PLAIN: ExpectedScore = ExpectedScore { strength: 1.0, prior: 1.0 };
    const NONE: ExpectedScore = ExpectedScore { strength: 0.0, prior: 1.0 };

    #[test]
    fn counted_are_the_steps_asked_for() {
        let rows = [[0.5, 0.25, 0.25], [0.1, 0.1, 0.8], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]];
        let (mut recorder, sums) = ExpectationRecorder::new(1, 2);
        for row in rows {
            let row = row.map(f32::ln);
            let mut combined = [9.0; 3];
            recorder.combine(&Distributions::new(&[], &[&row]), &mut combined);
            assert_eq!(combined, row);
        }
        let sums = sums.lock().unwrap();
        for (sum, expected) in sums.iter().zip([0.3, 0.4, 1.3]) {
            assert!((sum - expected).abs() < 1e-6, "{sums:?}");
        }
    }

    #[test]
    fn a_token_that_is_written_as_often_as_expected_has_no_score() {
        let counts = ExpectedCounts::of(&[0, 0, 3, 7], &[2.0, 1.5, 0.001, 0.0]);
        assert_eq!(counts.tokens().collect::<Vec<_>>(), [0, 1, 3]);
        assert_eq!(counts.get(0), Some((2.0, 2.0)));
        assert_eq!(PLAIN.of(counts.get(0)), 0.0);
        // Expected and not written, written and not expected, neither.
        assert!((PLAIN.of(counts.get(1)) - (1.0_f64 / 2.5).ln()).abs() < 1e-6);
        assert!((PLAIN.of(counts.get(3)) - 2.0_f64.ln()).abs() < 1e-6);
        assert_eq!((PLAIN.of(counts.get(2)), NONE.of(counts.get(3))), (0.0, 0.0));
    }

    #[test]
    fn what_all_authors_do_is_not_counted_twice() {
        // All authors write token 0 twice as often as expected, and so does this one.
        let all = ExpectedCounts::of(&[0; 2000], &[1000.0, 0.0]);
        let own = own(&ExpectedCounts::of(&[0; 20], &[10.0, 0.0]), &[20, 0]);
        let bias = expected_bias(2, (&PLAIN, &own), (&PLAIN, &all)).values();
        assert!((bias[0] - 2.0_f32.ln()).abs() < 1e-2, "{bias:?}");
        assert_eq!(bias[1], 0.0);
        let alone = expected_bias(2, (&PLAIN, &own), (&NONE, &all)).values();
        assert!((alone[0] - (21.0_f32 / 11.0).ln()).abs() < 1e-6, "{alone:?}");
        let of_all = expected_bias(2, (&NONE, &own), (&PLAIN, &all)).values();
        assert!((of_all[0] - (2001.0_f32 / 1001.0).ln()).abs() < 1e-6, "{of_all:?}");
    }

    fn own(read: &ExpectedCounts, all: &[u32]) -> AuthorWords {
        let others = UnigramCounts::of_counts(vec![999; all.len()]);
        AuthorWords::of(read, &UnigramCounts::of_counts(all.to_vec()), &others)
    }

    #[test]
    fn others_texts_are_what_is_expected_of_texts_that_were_not_read() {
        // Of token 0 the model read 4 of 24, of token 1 none; others write both equally often.
        let words = own(&ExpectedCounts::of(&[0; 4], &[3.0, 1.0]), &[24, 20]);
        let of = |id| words.get(id).unwrap();
        assert_eq!((of(0).n, of(0).expected, of(1).n, of(1).expected), (24.0, 3.0, 20.0, 1.0));
        assert!((of(0).usual - 20.0).abs() < 1e-9 && (of(1).usual - 20.0).abs() < 1e-9);
        let score = expected_score((&PLAIN, words.get(0)), (&NONE, None));
        assert!((score - (25.0_f64 / 24.0).ln()).abs() < 1e-9, "{score}");
        assert_eq!(words.get(2), None);
    }

    #[test]
    fn counts_are_added() {
        let (one, two) =
            (ExpectedCounts::of(&[0, 1], &[0.5, 0.5]), ExpectedCounts::of(&[1, 1], &[0.0, 3.0]));
        let mut both = one.clone();
        both.add(&two);
        assert_eq!((both.get(0), both.get(1)), (Some((1.0, 0.5)), Some((3.0, 3.5))));
        assert_eq!(both.total(), 4.0);
        assert_eq!(both.largest(1).tokens().collect::<Vec<_>>(), [1]);
        let json = serde_json::to_string(&one).unwrap();
        assert_eq!(json, r#"{"0":[1.0,0.5],"1":[1.0,0.5]}"#);
        assert_eq!(serde_json::from_str::<ExpectedCounts>(&json).unwrap(), one);
    }
}
