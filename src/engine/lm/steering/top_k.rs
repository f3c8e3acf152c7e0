//! PAD (arXiv 2410.04070) with the same model as reward: on the k most likely tokens after 0,
//! `score = l0 + w (log-softmax of lU over the k − log-softmax of l0 over the k)`.

use super::{Rule, outside};
use idiolect_kernels::Isa;

pub(super) struct TopKReward {
    pub(super) k: usize,
    pub(super) weight: f32,
    pub(super) outside: Option<f32>,
}

impl Rule for TopKReward {
    fn combine(&mut self, _written: &[u32], logprobs: &[&[f32]], combined: &mut [f32], _isa: Isa) {
        let [user, rest @ ..] = logprobs else { return combined.fill(0.0) };
        let base = rest.first().copied().unwrap_or(user);
        let mut order: Vec<usize> = (0..base.len()).collect();
        let k = self.k.clamp(1, order.len().max(1));
        let by_likelihood = |a: &usize, b: &usize| base[*b].total_cmp(&base[*a]).then(a.cmp(b));
        if k < order.len() {
            order.select_nth_unstable_by(k - 1, by_likelihood);
            order.truncate(k);
        }
        for (score, l) in combined.iter_mut().zip(base) {
            *score = outside(*l, self.outside);
        }
        let (among_user, among_base) = (log_sum(user, &order), log_sum(base, &order));
        for &id in &order {
            let reward = (user[id] - among_user) - (base[id] - among_base);
            combined[id] = base[id] + self.weight * reward;
        }
    }
}

/// Logarithm of the total probability of some tokens.
fn log_sum(logprobs: &[f32], ids: &[usize]) -> f32 {
    let largest = ids.iter().map(|id| logprobs[*id]).fold(f32::NEG_INFINITY, f32::max);
    match largest == f32::NEG_INFINITY {
        true => largest,
        false => largest + ids.iter().map(|id| (logprobs[*id] - largest).exp()).sum::<f32>().ln(),
    }
}
