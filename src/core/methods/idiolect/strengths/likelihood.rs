//! Likelihood of observed texts under given strengths, computed from what one pass of the model
//! recorded: the same distribution as [`Steering::rule`](crate::steering::Steering::rule) makes of
//! the model's, at the observed tokens.

use crate::methods::LexicalOptions;
use crate::methods::idiolect::rule::Rule;
use crate::steering::{
    CACHE_PRIOR, ObservedPosition, TokenEvidence, bias_of_counts, expected_score,
};
use idiolect_engine::lm::Distributions;

/// Counts of a token in texts, and its share in the texts that they are compared with.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct TokenCount {
    pub(super) n: f64,
    /// Share among all other texts, above 0 to 1.
    pub(super) background: f64,
}

/// Counts of the listed tokens in some texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ListedCounts {
    /// One entry per listed token.
    pub(super) tokens: Vec<TokenCount>,
    /// Number of tokens of the texts, listed or not; 0 without texts, which then have no bias.
    pub(super) total: f64,
}

impl ListedCounts {
    /// Adds the weighted bias of each listed token to `sums`, and returns that of all other
    /// tokens, none of which is in the texts.
    fn add(&self, bias: LexicalOptions, sums: &mut [f64]) -> f64 {
        let weight = f64::from(bias.strength);
        if weight == 0.0 || self.total == 0.0 {
            return 0.0;
        }
        let of = |n, background| weight * bias_of_counts(n, self.total, background, bias.prior);
        for (sum, count) in sums.iter_mut().zip(&self.tokens) {
            *sum += of(count.n, count.background);
        }
        of(0.0, 1.0)
    }
}

/// Counts of the observed token and of any token after the last `k` tokens, `k` from 1; ends before
/// the first context that the texts do not contain.
pub(super) type ObservedCounts = Vec<(u32, u32)>;

/// Counts of a token; `None` if all are about 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct ExpectedToken {
    /// In the user's texts.
    pub(super) own: Option<TokenEvidence>,
    /// In all others': occurrences and expected occurrences.
    pub(super) all: Option<(f64, f64)>,
}

/// A text as the model saw it.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct ObservedExample {
    pub(super) positions: Vec<ObservedPosition>,
    /// Index of each position's token among the listed ones.
    pub(super) observed: Vec<usize>,
    /// The user's other texts.
    pub(super) own: ListedCounts,
    /// For each listed token, counts and expectations in the user's other texts, and in those of all other
    /// users. Tokens that are not listed have none.
    pub(super) expected: Vec<ExpectedToken>,
    /// Others' texts on the item.
    pub(super) item: ListedCounts,
    /// For each position, the user's continuations.
    pub(super) phrases: Vec<ObservedCounts>,
    /// For each position, the continuations in others' texts on the item.
    pub(super) item_phrases: Vec<ObservedCounts>,
}

impl ObservedExample {
    /// Probability of each token under the power and the biases of a rule, before the caches.
    pub(super) fn probabilities(&self, rule: &Rule) -> Vec<f64> {
        let n_listed = self.positions.first().map_or(0, |position| position.listed().len());
        let mut biases = vec![0.0; n_listed];
        let absent =
            self.own.add(rule.lexical, &mut biases) + self.item.add(rule.item, &mut biases);
        if rule.reads_expectations() {
            for (sum, token) in biases.iter_mut().zip(&self.expected) {
                *sum += expected_score((&rule.expected, token.own), (&rule.corpus, token.all));
            }
        }
        let biases: Vec<f32> = biases.into_iter().map(|bias| bias as f32).collect();
        let mut scores = vec![0.0; n_listed + 1];
        let none = Distributions::new(&[], &[]);
        let of = |(position, observed): (&ObservedPosition, &usize)| {
            let (others, listed) = scores.split_at_mut(1);
            others[0] = (position.others(f64::from(rule.power)) + absent) as f32;
            for ((score, logprob), bias) in listed.iter_mut().zip(position.listed()).zip(&biases) {
                *score = rule.power * logprob + bias;
            }
            let score = listed[*observed];
            f64::from(score - none.log_sum_exp(&scores)).exp()
        };
        self.positions.iter().zip(&self.observed).map(of).collect()
    }

    /// Bits per token, given the probabilities before the caches; 0 for an empty text.
    pub(super) fn bits(&self, probabilities: &[f64], rule: &Rule) -> f64 {
        let caches = self.phrases.iter().zip(&self.item_phrases);
        let bits = probabilities.iter().zip(caches).map(|(p, (own, item))| {
            let p = mixed(*p, rule.phrases, own);
            -mixed(p, rule.item_phrases, item).log2()
        });
        bits.sum::<f64>() / probabilities.len().max(1) as f64
    }
}

/// Probability of a token, interpolated with a cache's: see
/// [`NgramCache`](crate::steering::NgramCache).
fn mixed(p: f64, share: f32, counts: &ObservedCounts) -> f64 {
    if counts.is_empty() {
        return p;
    }
    let (share, prior) = (f64::from(share), f64::from(CACHE_PRIOR));
    let cached = counts
        .iter()
        .fold(p, |lower, (n, total)| (f64::from(*n) + prior * lower) / (f64::from(*total) + prior));
    (1.0 - share) * p + share * cached
}
