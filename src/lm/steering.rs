//! Rules that combine what the model says after several prompts into one distribution.

/// Combines log-probabilities after several prompts that are advanced together.
pub trait Rule: Send {
    /// `position`: number of tokens of the text before this one. `logprobs`: natural
    /// log-probabilities of the vocabulary after each prompt, `[n_prompts][n_vocab]`. Writes scores
    /// to `combined`, `[n_vocab]`: finite, or minus infinity for a token that must not come. Their
    /// softmax is the distribution.
    fn combine(&mut self, position: usize, logprobs: &[&[f32]], combined: &mut [f32]);
}

/// `Σ wᵢ · log pᵢ`, one weight a prompt. A prompt without a weight counts nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightedSum(pub Vec<f32>);

impl Rule for WeightedSum {
    fn combine(&mut self, _position: usize, logprobs: &[&[f32]], combined: &mut [f32]) {
        combined.fill(0.0);
        for (logprobs, weight) in logprobs.iter().zip(&self.0) {
            // 0 times minus infinity is no number.
            if *weight != 0.0 {
                combined.iter_mut().zip(*logprobs).for_each(|(sum, x)| *sum += weight * x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weighted_sum_weighs_each_prompt() {
        let mut combined = [9.0; 2];
        let (a, b) = ([-1.0, -2.0], [-4.0, f32::NEG_INFINITY]);
        WeightedSum(vec![2.0, -0.5]).combine(0, &[&a, &b], &mut combined);
        assert_eq!(combined, [0.0, f32::INFINITY]);
        WeightedSum(vec![1.0, 0.0]).combine(0, &[&a, &b], &mut combined);
        assert_eq!(combined, [-1.0, -2.0]);
        WeightedSum(Vec::new()).combine(0, &[&a, &b], &mut combined);
        assert_eq!(combined, [0.0, 0.0]);
    }
}
