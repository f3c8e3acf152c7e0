//! Log-probability of a token, beside those of the likeliest tokens at its position.

use serde::{Deserialize, Serialize};

use idiolect_kernels::Isa;
use idiolect_kernels::softmax::log_sum_exp;

/// Log-probability of one token of a text, and the likeliest tokens at its position.
///
/// The distribution is the model's own, or the combination of those after several prompts: before
/// constraint, mask, bias, penalties and temperature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenLogprob {
    /// The token.
    pub id: u32,
    /// Natural logarithm of its probability given all tokens before it; minus infinity for a token
    /// that a combination forbids.
    pub logprob: f32,
    /// Number of tokens that are likelier, plus 1.
    pub rank: usize,
    /// The likeliest tokens and their log-probabilities, likeliest first, ties by id; as many as
    /// were asked for.
    pub top: Vec<(u32, f32)>,
}

/// Receiver of the tokens of a text as they are chosen.
pub type OnToken = Box<dyn FnMut(&TokenLogprob) + Send>;

impl TokenLogprob {
    /// The value for token `id` of the distribution that `logits` define, `[n_vocab]`, with the
    /// `n_top` likeliest tokens. `id` is below `n_vocab`.
    pub(super) fn new(logits: &[f32], id: u32, n_top: usize, isa: Isa) -> Self {
        let norm = log_sum_exp(logits, isa);
        let logit = logits[id as usize];
        let rank = 1 + logits.iter().filter(|other| **other > logit).count();
        let top = likeliest(logits, n_top).into_iter().map(|(id, other)| (id, other - norm));
        Self { id, logprob: logit - norm, rank, top: top.collect() }
    }
}

/// The `n` largest of a vocabulary's scores with their tokens, largest first, ties by id.
#[must_use]
pub fn likeliest(logits: &[f32], n: usize) -> Vec<(u32, f32)> {
    let mut top: Vec<(u32, f32)> = Vec::with_capacity(n + 1);
    for (id, logit) in logits.iter().enumerate() {
        let is_beaten = top.len() == n && top.last().is_none_or(|(_, least)| least >= logit);
        if !is_beaten {
            let at = top.partition_point(|(_, other)| other >= logit);
            top.insert(at, (id as u32, *logit));
            top.truncate(n);
        }
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The reference sorts the whole vocabulary and sums in f64.
        #[test]
        fn values_are_those_of_a_sorted_softmax(
            logits in prop::collection::vec((-40i8..40).prop_map(|x| f32::from(x) / 4.0), 1..300),
            n_top in 0usize..25,
            at in 0usize..300,
        ) {
            let id = at % logits.len();
            let got = TokenLogprob::new(&logits, id as u32, n_top, Isa::detect());
            let total: f64 = logits.iter().map(|logit| f64::from(*logit).exp()).sum();
            let reference = |id: usize| f64::from(logits[id]) - total.ln();
            prop_assert!((f64::from(got.logprob) - reference(id)).abs() < 1e-4);
            let mut order: Vec<usize> = (0..logits.len()).collect();
            order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b)));
            order.truncate(n_top);
            let ids: Vec<usize> = got.top.iter().map(|(id, _)| *id as usize).collect();
            prop_assert_eq!(&ids, &order);
            for (id, logprob) in &got.top {
                prop_assert!((f64::from(*logprob) - reference(*id as usize)).abs() < 1e-4);
            }
            let likelier = logits.iter().filter(|logit| **logit > logits[id]).count();
            prop_assert_eq!(got.rank, likelier + 1);
        }
    }

    #[test]
    fn a_forbidden_token_has_no_probability() {
        let logits = [0.0, f32::NEG_INFINITY, 0.0];
        let got = TokenLogprob::new(&logits, 1, 2, Isa::detect());
        assert_eq!((got.logprob, got.rank), (f32::NEG_INFINITY, 3));
        assert_eq!(got.top.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [0, 2]);
    }
}
