//! Which tokens a user takes more often than others do, as a score for each token.
//!
//! `bias(t) = ln p̃U(t) − ln p(t)`, where `p` is the others' unigram distribution and `p̃U` the user's
//! shrunk towards it: `(nU(t) + m p(t)) / (NU + m)`. Added to log-probabilities with a strength below
//! 1 this is unigram rescaling (Kneser, Peters and Klakow 1997, "Language model adaptation using
//! dynamic marginals", eq. 4), with others' texts in the place of the model's training texts.

use std::sync::Arc;

use sha2::{Digest, Sha256};

/// What is added to the count of every token of the vocabulary in others' texts.
const FLOOR: f64 = 0.5;

/// No score is lower, nats.
const LEAST: f64 = -20.0;

/// How often each token stands in some texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lexicon {
    counts: Vec<u32>,
    total: u64,
}

impl Lexicon {
    /// Nothing counted yet, in a vocabulary of this size.
    #[must_use]
    pub fn new(n_vocab: usize) -> Self {
        Self { counts: vec![0; n_vocab], total: 0 }
    }

    /// Counts `n` more of a token; one that is not in the vocabulary is passed by.
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

    /// Each token's score against `others`: positive where these texts have more of it, nats.
    /// `prior` is the number of tokens that the others' distribution counts as.
    #[must_use]
    pub fn against(&self, others: &Self, prior: f64) -> Bias {
        let n_others = others.total as f64 + FLOOR * others.counts.len() as f64;
        let n_own = self.total as f64 + prior;
        let values: Arc<[f32]> = self
            .counts
            .iter()
            .zip(&others.counts)
            .map(|(own, other)| {
                let p = (f64::from(*other) + FLOOR) / n_others;
                let shrunk = (f64::from(*own) + prior * p) / n_own;
                // Without a prior, what was never taken would be minus infinity.
                (shrunk / p).ln().max(LEAST) as f32
            })
            .collect();
        Bias::new(values)
    }
}

/// A score for each token of a vocabulary.
#[derive(Debug, Clone, PartialEq)]
pub struct Bias {
    values: Arc<[f32]>,
    hash: String,
}

impl Bias {
    fn new(values: Arc<[f32]>) -> Self {
        let mut hasher = Sha256::new();
        values.iter().for_each(|value| hasher.update(value.to_le_bytes()));
        let hash = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { values, hash }
    }

    /// `[n_vocab]`, nats.
    #[must_use]
    pub fn values(&self) -> Arc<[f32]> {
        Arc::clone(&self.values)
    }

    /// Hash of all of them.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }
}
