//! The two places where a caller takes part in sampling: how the distributions after several
//! prompts are combined, and which tokens are forbidden; and one where a caller looks on.

use crate::model::tokenizer::Tokenizer;
use idiolect_kernels::Isa;
use idiolect_kernels::softmax::log_sum_exp;

/// The distributions of the next token after several prompts that are continued with the same text.
pub struct Distributions<'a> {
    /// The tokens of the text so far.
    pub written: &'a [u32],
    /// Natural log-probabilities of the vocabulary after each prompt, `[n_prompts][n_vocab]`.
    pub logprobs: &'a [&'a [f32]],
    /// Last hidden state after each prompt, behind the final norm, `[n_prompts][n_embd]`; empty unless
    /// the combination [reads it](CombineLogits::reads_hidden).
    pub hidden: &'a [&'a [f32]],
    isa: Isa,
}

impl<'a> Distributions<'a> {
    /// Distributions that did not come from an engine, for tests.
    #[must_use]
    pub fn new(written: &'a [u32], logprobs: &'a [&'a [f32]]) -> Self {
        Self::on(Isa::detect(), written, logprobs)
    }

    pub(super) fn on(isa: Isa, written: &'a [u32], logprobs: &'a [&'a [f32]]) -> Self {
        Self { written, logprobs, hidden: &[], isa }
    }

    /// The same with the last hidden states.
    #[must_use]
    pub fn with_hidden(self, hidden: &'a [&'a [f32]]) -> Self {
        Self { hidden, ..self }
    }

    /// The same step with other distributions in the place of the prompts'.
    #[must_use]
    pub fn with_logprobs<'b>(&self, logprobs: &'b [&'b [f32]]) -> Distributions<'b>
    where
        'a: 'b,
    {
        Distributions { written: self.written, logprobs, hidden: self.hidden, isa: self.isa }
    }

    /// Logarithm of the sum of the exponentials of some scores, with the engine's kernels.
    #[must_use]
    pub fn log_sum_exp(&self, scores: &[f32]) -> f32 {
        log_sum_exp(scores, self.isa)
    }
}

/// Combines the log-probabilities after several prompts into one distribution.
pub trait CombineLogits: Send {
    /// Computes the scores of the next token, `[n_vocab]`: finite, or minus infinity for a
    /// forbidden token. Their softmax is the distribution.
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]);

    /// The scores that are added to the log-probabilities after the first prompt, `[n_vocab]`, if the
    /// combination is no more than that at every step; empty if nothing is added. `None` if it reads
    /// further prompts or the text so far.
    fn fixed_bias(&self) -> Option<Vec<f32>> {
        None
    }

    /// Whether it needs [`Distributions::hidden`].
    fn reads_hidden(&self) -> bool {
        false
    }
}

/// Sees the distributions at each step of a generation.
pub trait ObserveLogits: Send {
    /// Receives the distributions after the request's prompts, in their order, and then after those
    /// that are only observed, before a token is chosen and before [`CombineLogits::combine`].
    fn observe(&mut self, step: &Distributions<'_>);
}

/// Forbids tokens at each step of a generation.
pub trait MaskLogits: Send {
    /// Sets the logits of forbidden tokens to minus infinity.
    ///
    /// `text`: the text so far. `logits`: one logit per token, `[n_vocab]`.
    fn mask(&mut self, text: &str, tokenizer: &Tokenizer, logits: &mut [f32]);
}

/// `Σ wᵢ · log pᵢ`, one weight per prompt. A prompt without a weight is ignored.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedSum(pub Vec<f32>);

impl CombineLogits for WeightedSum {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        combined.fill(0.0);
        for (logprobs, weight) in step.logprobs.iter().zip(&self.0) {
            // 0 times minus infinity is NaN.
            if *weight != 0.0 {
                combined.iter_mut().zip(*logprobs).for_each(|(sum, x)| *sum += weight * x);
            }
        }
    }

    fn fixed_bias(&self) -> Option<Vec<f32>> {
        let (first, others) = self.0.split_first()?;
        (*first == 1.0 && others.iter().all(|weight| *weight == 0.0)).then(Vec::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weighted_sum_weighs_each_prompt() {
        let mut combined = [9.0; 2];
        let (a, b) = ([-1.0, -2.0], [-4.0, f32::NEG_INFINITY]);
        WeightedSum(vec![2.0, -0.5]).combine(&Distributions::new(&[], &[&a, &b]), &mut combined);
        assert_eq!(combined, [0.0, f32::INFINITY]);
        WeightedSum(vec![1.0, 0.0]).combine(&Distributions::new(&[], &[&a, &b]), &mut combined);
        assert_eq!(combined, [-1.0, -2.0]);
        WeightedSum(Vec::new()).combine(&Distributions::new(&[], &[&a, &b]), &mut combined);
        assert_eq!(combined, [0.0, 0.0]);
        assert_eq!(WeightedSum(vec![1.0, 0.0]).fixed_bias(), Some(Vec::new()));
        assert_eq!(WeightedSum(vec![2.0]).fixed_bias(), None);
        assert_eq!(WeightedSum(vec![1.0, 0.5]).fixed_bias(), None);
    }
}
