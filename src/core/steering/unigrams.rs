//! Lexical bias: a score for each token by how much more often a user writes it than others do.
//!
//! `bias(t) = ln p̃U(t) − ln p(t)`, where `p` is the others' unigram distribution and `p̃U` the
//! user's, shrunk towards `p`: `(nU(t) + m p(t)) / (NU + m)`. Adding it to log-probabilities with a
//! strength below 1 is unigram rescaling (Kneser, Peters and Klakow 1997, "Language model
//! adaptation using dynamic marginals", eq. 4), with others' texts in the place of the model's
//! training texts.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Vocabulary;
use idiolect_engine::lm;

/// Pseudo-count added to every token of the vocabulary in others' texts.
const FLOOR: f64 = 0.5;

/// Lower bound of a score, nats.
const MIN_SCORE: f64 = -20.0;

/// Unigram counts of some texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnigramCounts {
    counts: Vec<u32>,
    total: u64,
}

impl UnigramCounts {
    /// Creates counts of 0 for a vocabulary of this size.
    #[must_use]
    pub fn new(n_vocab: usize) -> Self {
        Self { counts: vec![0; n_vocab], total: 0 }
    }

    /// Counts of each token, `[n_vocab]`.
    #[must_use]
    pub fn of_counts(counts: Vec<u32>) -> Self {
        let total = counts.iter().map(|n| u64::from(*n)).sum();
        Self { counts, total }
    }

    /// The counts, `[n_vocab]`.
    #[must_use]
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Counts the tokens of texts, each as it stands inside another text.
    ///
    /// # Errors
    /// A text cannot be tokenized.
    pub fn of<'t>(
        vocabulary: &dyn Vocabulary,
        texts: impl Iterator<Item = &'t str>,
    ) -> lm::Result<Self> {
        let mut counts = Self::new(vocabulary.n_tokens());
        for text in texts {
            for (id, n) in vocabulary.token_counts(text)?.iter() {
                counts.add(*id, *n);
            }
        }
        Ok(counts)
    }

    /// Adds `n` to the count of a token; a token outside of the vocabulary is ignored.
    pub fn add(&mut self, id: u32, n: u32) {
        if let Some(count) = self.counts.get_mut(id as usize) {
            *count = count.saturating_add(n);
            self.total += u64::from(n);
        }
    }

    /// Number of tokens counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// These counts without those of some of the texts.
    #[must_use]
    pub fn without(&self, some: &Self) -> Self {
        let counts = self.counts.iter().zip(&some.counts);
        let counts = counts.map(|(all, some)| all.saturating_sub(*some)).collect();
        Self { counts, total: self.total.saturating_sub(some.total) }
    }

    /// Count of a token; 0 outside of the vocabulary.
    #[must_use]
    pub fn count(&self, id: u32) -> u32 {
        self.counts.get(id as usize).copied().unwrap_or(0)
    }

    /// Smoothed share of a token in these texts, above 0 to 1.
    #[must_use]
    pub fn share(&self, id: u32) -> f64 {
        let n_tokens = self.total as f64 + FLOOR * self.counts.len() as f64;
        (f64::from(self.count(id)) + FLOOR) / n_tokens
    }

    /// Score of each token against `others`, nats: positive if it is more frequent in these texts.
    /// `prior` is the pseudo-count of the others' distribution (Dirichlet prior).
    #[must_use]
    pub fn against(&self, others: &Self, prior: f64) -> LogitBias {
        let n_others = others.total as f64 + FLOOR * others.counts.len() as f64;
        let n_own = self.total as f64;
        let values: Arc<[f32]> = self
            .counts
            .iter()
            .zip(&others.counts)
            .map(|(own, other)| {
                let p = (f64::from(*other) + FLOOR) / n_others;
                bias_of_counts(f64::from(*own), n_own, p, prior) as f32
            })
            .collect();
        LogitBias::new(values)
    }
}

/// Score of a token that occurs `n` times among `total` tokens, against its share `background` in
/// other texts, nats. `prior` is the pseudo-count of the background (Dirichlet prior).
#[must_use]
pub fn bias_of_counts(n: f64, total: f64, background: f64, prior: f64) -> f64 {
    let shrunk = (n + prior * background) / (total + prior);
    // Without a prior, a token that was never used would get minus infinity.
    (shrunk / background).ln().max(MIN_SCORE)
}

/// A bias of some tokens; that of all others is 0.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SparseBias {
    /// Token ids and their bias, nats, the largest first.
    pub entries: Vec<(u32, f32)>,
    /// Number of tokens whose bias is left out.
    pub n_left_out: usize,
    /// Share of the sum of all biases that is left out or above the limit of a bias, 0 to 1.
    pub share_lost: f64,
}

impl SparseBias {
    /// Largest size of a bias: the limit of OpenAI's `logit_bias`.
    pub const MAX_BIAS: f32 = 100.0;

    /// Scores of all tokens, `[n_vocab]`, nats, above the lowest one, of at most `limit` tokens: a
    /// shift of all logits by the same amount changes no probability, and the tokens that a user never
    /// wrote share the lowest score. Sizes above [`SparseBias::MAX_BIAS`] become that.
    #[must_use]
    pub fn of_scores(scores: &[f32], limit: usize) -> Self {
        let lowest = scores.iter().copied().fold(f32::INFINITY, f32::min);
        let above = scores.iter().map(|score| score - lowest);
        let mut entries: Vec<(u32, f32)> = (0..).zip(above).filter(|(_, x)| *x != 0.0).collect();
        entries.sort_by(|(i, a), (j, b)| b.abs().total_cmp(&a.abs()).then(i.cmp(j)));
        let sum = |entries: &[(u32, f32)]| -> f64 { entries.iter().map(|x| f64::from(x.1)).sum() };
        let all = sum(&entries);
        let n_left_out = entries.len().saturating_sub(limit);
        entries.truncate(limit);
        entries.iter_mut().for_each(|(_, x)| *x = x.min(Self::MAX_BIAS));
        let share_lost = if all > 0.0 { 1.0 - sum(&entries) / all } else { 0.0 };
        Self { entries, n_left_out, share_lost }
    }

    /// The bias as `logit_bias` of OpenAI's API: an object of token ids, rounded to a thousandth.
    #[must_use]
    pub fn by_id(&self) -> serde_json::Map<String, serde_json::Value> {
        let rounded = |x: f32| (f64::from(x) * 1000.0).round() / 1000.0;
        self.entries.iter().map(|(id, x)| (id.to_string(), rounded(*x).into())).collect()
    }
}

/// A score for each token of a vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct LogitBias {
    values: Arc<[f32]>,
    hash: String,
}

impl LogitBias {
    pub(super) fn new(values: Arc<[f32]>) -> Self {
        let mut hasher = Sha256::new();
        values.iter().for_each(|value| hasher.update(value.to_le_bytes()));
        let hash = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { values, hash }
    }

    /// The scores, `[n_vocab]`, nats.
    #[must_use]
    pub fn values(&self) -> Arc<[f32]> {
        Arc::clone(&self.values)
    }

    /// The scores times `strength`, as [`SparseBias::of_scores`] makes them sparse.
    #[must_use]
    pub fn sparse(&self, strength: f32, limit: usize) -> SparseBias {
        let scores: Vec<f32> = self.values.iter().map(|value| strength * value).collect();
        SparseBias::of_scores(&scores, limit)
    }

    /// Hash of the scores.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }
}
