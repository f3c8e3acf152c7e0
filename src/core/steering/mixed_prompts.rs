//! The mixture of the distributions after several prompts of one user.
//!
//! Each prompt shows other past texts; the weighted mean of the probabilities is the prediction of an
//! author of whom it is not known which of these texts the next one resembles. The weights are equal at
//! first and follow how likely each prompt made the text so far, as in dynamic model averaging (Raftery,
//! Kárný and Ettler 2010, "Online prediction under model uncertainty via dynamic model averaging",
//! section 2): weights are raised to a power below 1 at each token, which forgets, and multiplied by the
//! token's probability, here to a power too, since the tokens of a text are not independent.

use idiolect_engine::lm::{CombineLogits, Distributions};

/// Power of the weights at each token: the last twenty tokens or so count.
const FORGETTING: f32 = 0.95;
/// Power of a token's probability in the weights. Texts of three corpora are about as likely with 0.5 and
/// a faster forgetting, or with 0.1 and none.
const LEARNING: f32 = 0.3;
/// Smallest log-probability that counts, nats: one token must not decide alone.
const MIN_LOGPROB: f32 = -20.0;

/// The parameters of the weights, for keys.
pub(super) fn weights_key() -> String {
    format!("{FORGETTING} {LEARNING} {MIN_LOGPROB}")
}

/// A rule that reads the mean distribution of the first `n` prompts as the user's, and the others after it.
pub(super) struct MixedPrompts {
    pub(super) rule: Box<dyn CombineLogits>,
    /// Number of prompts of the user, from 2.
    pub(super) n: usize,
    mean: Vec<f32>,
    weights: PromptWeights,
}

impl MixedPrompts {
    pub(super) fn new(rule: Box<dyn CombineLogits>, n: usize) -> Self {
        Self { rule, n, mean: Vec::new(), weights: PromptWeights::default() }
    }
}

impl CombineLogits for MixedPrompts {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        let (own, others) = step.logprobs.split_at(self.n.min(step.logprobs.len()));
        self.weights.learn(step.written, own);
        log_mean_exp(own, &self.weights.normalized(), &mut self.mean);
        let logprobs: Vec<&[f32]> =
            std::iter::once(self.mean.as_slice()).chain(others.iter().copied()).collect();
        self.rule.combine(&step.with_logprobs(&logprobs), combined);
    }

    fn reads_hidden(&self) -> bool {
        self.rule.reads_hidden()
    }
}

/// Weights of prompts, learnt from one token of the text after another.
#[derive(Default)]
struct PromptWeights {
    /// Natural logarithms, not normalized, `[n_prompts]`.
    logs: Vec<f32>,
    /// The distributions of the step before, `[n_prompts][n_vocab]`.
    before: Vec<Vec<f32>>,
    /// Number of tokens of the text at the step before.
    n_written: usize,
}

impl PromptWeights {
    /// Takes the token that was written since the step before, and keeps the distributions of the next one.
    fn learn(&mut self, written: &[u32], logprobs: &[&[f32]]) {
        let follows = self.logs.len() == logprobs.len() && written.len() == self.n_written + 1;
        match written.last() {
            Some(id) if follows => {
                for (log, before) in self.logs.iter_mut().zip(&self.before) {
                    let logprob =
                        before.get(*id as usize).map_or(MIN_LOGPROB, |x| x.max(MIN_LOGPROB));
                    *log = FORGETTING * *log + LEARNING * logprob;
                }
            }
            // Another text, or one whose beginning was not seen.
            _ => self.logs = vec![0.0; logprobs.len()],
        }
        self.n_written = written.len();
        self.before.resize(logprobs.len(), Vec::new());
        for (before, row) in self.before.iter_mut().zip(logprobs) {
            before.clear();
            before.extend_from_slice(row);
        }
    }

    /// Natural logarithms of the weights, whose sum is 1.
    fn normalized(&self) -> Vec<f32> {
        let largest = self.logs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum = self.logs.iter().map(|log| (log - largest).exp()).sum::<f32>().ln();
        self.logs.iter().map(|log| log - largest - sum).collect()
    }
}

/// Logarithm of the weighted mean of the exponentials of several rows, by column. `log_weights` are natural
/// logarithms, `[n_rows]`.
fn log_mean_exp(rows: &[&[f32]], log_weights: &[f32], mean: &mut Vec<f32>) {
    mean.clear();
    for (row, log_weight) in rows.iter().zip(log_weights) {
        mean.resize(row.len(), f32::NEG_INFINITY);
        for (sum, x) in mean.iter_mut().zip(*row) {
            let x = x + log_weight;
            let (low, high) = if *sum < x { (*sum, x) } else { (x, *sum) };
            // Minus infinity of both is that of the sum.
            if high > f32::NEG_INFINITY {
                *sum = high + (low - high).exp().ln_1p();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steering::{Contrast, Steering};

    #[test]
    fn the_mean_is_of_probabilities() {
        let rows =
            [[0.5_f32, 0.5, 0.0], [0.1, 0.9, 0.0], [0.3, 0.1, 0.6]].map(|row| row.map(f32::ln));
        let rows: Vec<&[f32]> = rows.iter().map(<[f32; 3]>::as_slice).collect();
        let mut mean = vec![7.0];
        let equal = [(1.0_f32 / 3.0).ln(); 3];
        log_mean_exp(&rows, &equal, &mut mean);
        for (got, expected) in mean.iter().zip([0.3_f32, 0.5, 0.2]) {
            assert!((got.exp() - expected).abs() < 1e-6, "{mean:?}");
        }
        log_mean_exp(&[&[f32::NEG_INFINITY], &[f32::NEG_INFINITY]], &equal, &mut mean);
        assert_eq!(mean, [f32::NEG_INFINITY]);
    }

    /// The mixture's probability of each token of a text, and the last weights, from the formula.
    fn reference(rows: &[Vec<Vec<f64>>], text: &[u32]) -> Vec<f64> {
        let mut logs = vec![0.0; rows[0].len()];
        let mut probabilities = Vec::new();
        for (step, id) in rows.iter().zip(text) {
            let sum: f64 = logs.iter().map(|log: &f64| log.exp()).sum();
            let of = |row: &Vec<f64>| row[*id as usize];
            probabilities
                .push(logs.iter().zip(step).map(|(log, row)| log.exp() / sum * of(row)).sum());
            for (log, row) in logs.iter_mut().zip(step) {
                *log = f64::from(FORGETTING) * *log + f64::from(LEARNING) * of(row).ln();
            }
        }
        probabilities
    }

    /// The rule's probability of each token of a text.
    fn mixed(rows: &[Vec<Vec<f64>>], text: &[u32], rule: &mut MixedPrompts) -> Vec<f64> {
        let at = |i: usize| {
            let rows: Vec<Vec<f32>> =
                rows[i].iter().map(|row| row.iter().map(|p| p.ln() as f32).collect()).collect();
            let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
            let mut combined = vec![0.0; rows[0].len()];
            rule.combine(&Distributions::new(&text[..i], &rows), &mut combined);
            f64::from(combined[text[i] as usize].exp())
        };
        (0..text.len()).map(at).collect()
    }

    #[test]
    fn the_prompt_that_foretells_the_text_gets_the_weight() {
        // The first prompt knows the text, the second one takes all tokens for alike.
        let sure =
            |id: u32| (0..4).map(|i| if i == id { 0.97 } else { 0.01 }).collect::<Vec<f64>>();
        let text: Vec<u32> = (0..40).map(|i| i * 7 % 4).collect();
        let steps = |known: usize| {
            let step = |(i, id): (usize, &u32)| {
                vec![sure(if i < known { *id } else { (id + 1) % 4 }), vec![0.25; 4]]
            };
            text.iter().enumerate().map(step).collect::<Vec<_>>()
        };
        let rule = || MixedPrompts::new(Box::new(idiolect_engine::lm::WeightedSum(vec![1.0])), 2);
        let known = steps(40);
        let probabilities = mixed(&known, &text, &mut rule());
        assert!((probabilities[0] - 0.61).abs() < 1e-6 && probabilities[39] > 0.96);
        // From the twentieth token on the first prompt is wrong, and loses the weight again.
        let half = steps(20);
        let mut used = rule();
        let turned = mixed(&half, &text, &mut used);
        assert!(turned[19] > 0.96 && turned[20] < 0.02 && turned[39] > 0.24, "{turned:?}");
        for (rows, got) in [(&known, &probabilities), (&half, &turned)] {
            for (got, expected) in got.iter().zip(reference(rows, &text)) {
                assert!((got - expected).abs() < 1e-5, "{got} {expected}");
            }
        }
        // Another text begins with equal weights.
        assert_eq!(mixed(&known, &text, &mut used), probabilities);
    }

    #[test]
    fn other_prompts_keep_their_places() {
        let rows = [[0.8_f32, 0.2], [0.4, 0.6], [0.5, 0.5]].map(|row| row.map(f32::ln));
        let rows: Vec<&[f32]> = rows.iter().map(<[f32; 2]>::as_slice).collect();
        let contrast = Contrast::ContextSteering { strength: 1.0 };
        let steering = Steering { contrast, further: 1, ..Steering::default() };
        let mut combined = [0.0; 2];
        steering.rule().combine(&Distributions::new(&[], &rows), &mut combined);
        let expected = [0.6_f32, 0.4].map(|p| 2.0 * p.ln() - 0.5_f32.ln());
        for (got, expected) in combined.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-5, "{combined:?} {expected:?}");
        }
    }
}
