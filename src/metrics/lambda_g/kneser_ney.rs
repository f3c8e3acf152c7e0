//! The n-gram model with interpolated Kneser-Ney smoothing.

use std::ops::Range;

use super::sentence_index::{QuestionedText, SentenceIndex};

/// Discount of every count above 0, as in the paper.
const DISCOUNT: f64 = 0.75;

/// A grammar: an n-gram model of some sentences of a [`SentenceIndex`].
///
/// Interpolated Kneser-Ney smoothing with one discount D for all orders (Chen and Goodman, "An
/// empirical study of smoothing techniques for language modeling", 1999, section 2.7; D is 0.75). Of
/// an n-gram of the highest order the occurrences count, of a shorter one the distinct tokens before
/// it:
///
/// ```text
/// p(w | c) = (max(n(cw) - D, 0) + D N(c•) p(w | c')) / n(c)
/// ```
///
/// where `n` are those counts, `N(c•)` is the number of distinct tokens after c, and c' is c without
/// its first token. The lowest order is interpolated with the uniform distribution over the
/// vocabulary: all tokens of the sentences, the end of a sentence, and one unknown token. A context
/// that the sentences lack gives way to the next shorter one. Each sentence begins with `order - 1`
/// padding tokens, which are never predicted, and ends with one, which is.
#[derive(Debug, Clone)]
pub struct GrammarModel<'i> {
    index: &'i SentenceIndex,
    /// Ranks of all positions of the model's sentences, ascending.
    ranks: Vec<u32>,
}

/// Counts of a context in a model.
#[derive(Debug, Clone, Default)]
struct ContextCounts {
    /// Positions after the context, as a range of the model's ranks.
    at: Range<usize>,
    /// Sum of the counts of the n-grams that the context begins.
    total: f64,
    /// Number of distinct tokens after the context.
    distinct: f64,
}

/// Counts of one token after the context that is being read.
#[derive(Debug, Clone, Copy, Default)]
struct FollowingCounts {
    /// Context that the counts belong to.
    of: usize,
    /// Number of occurrences.
    occurrences: u32,
    /// Number of distinct tokens before the context with this token after it.
    before: u32,
    /// Number of the last such token.
    last: usize,
}

impl<'i> GrammarModel<'i> {
    /// Trains a model on sentences of the index, given by their numbers. A number may occur twice; a
    /// sentence that the index lacks is left out.
    #[must_use]
    pub fn new(index: &'i SentenceIndex, sentences: &[usize]) -> Self {
        let of = |sentence: &usize| index.ranks_of(*sentence).iter().copied();
        let mut ranks: Vec<u32> = sentences.iter().flat_map(of).collect();
        ranks.sort_unstable();
        Self { index, ranks }
    }

    /// Probability of each token of a text given the tokens before it in its sentence, ends of
    /// sentences included; each above 0 and at most 1. `text` must come from the model's index. A
    /// model without sentences gives 1.
    #[must_use]
    pub fn probabilities(&self, text: &QuestionedText) -> Vec<f64> {
        let (contexts, counts) = self.counts(text);
        let highest = self.index.order() - 1;
        let probability = |steps: &Vec<(usize, usize)>| {
            let mut p = 1.0 / (contexts.first().map_or(0.0, |empty| empty.distinct) + 1.0);
            for (context, slot) in steps {
                let ContextCounts { total, distinct, .. } = &contexts[*context];
                if *total == 0.0 {
                    break;
                }
                let (occurrences, before) = counts[*slot];
                let n = match text.contexts[*context].length == highest {
                    true => occurrences,
                    false => before,
                };
                p = ((f64::from(n) - DISCOUNT).max(0.0) + DISCOUNT * distinct * p) / total;
            }
            p
        };
        text.tokens.iter().map(probability).collect()
    }

    /// Base-10 logarithm of the likelihood of a text: the sum over all tokens.
    #[must_use]
    pub fn log10_likelihood(&self, text: &QuestionedText) -> f64 {
        self.probabilities(text).into_iter().map(f64::log10).sum()
    }

    /// Counts of the text's contexts, and by slot the occurrences of a token after a context with
    /// the number of distinct tokens before the two.
    fn counts(&self, text: &QuestionedText) -> (Vec<ContextCounts>, Vec<(u32, u32)>) {
        let mut contexts: Vec<ContextCounts> = Vec::with_capacity(text.contexts.len());
        let mut counts = vec![(0, 0); text.n_slots];
        let mut scratch = vec![FollowingCounts::default(); self.index.n_ids()];
        let mut group = 0;
        for (number, context) in text.contexts.iter().enumerate() {
            let outer = context.shorter.map_or(0..self.ranks.len(), |c| contexts[c].at.clone());
            let within = &self.ranks[outer.clone()];
            let start = within.partition_point(|rank| *rank < context.ranks.start);
            let end = within.partition_point(|rank| *rank < context.ranks.end);
            let at = outer.start + start..outer.start + end;
            let is_highest = context.length + 1 == self.index.order();
            let back = if is_highest { 0 } else { context.length + 1 };
            // Positions after one context are sorted by the token before the context, so equal ones
            // are neighbours.
            let (mut previous, mut distinct, mut pairs) = (None, 0_u32, 0_u32);
            for rank in &self.ranks[at.clone()] {
                let (token, before) = self.index.token_and_earlier(*rank, back);
                let of_token = &mut scratch[token as usize];
                if of_token.of != number + 1 {
                    *of_token = FollowingCounts { of: number + 1, ..FollowingCounts::default() };
                    distinct += 1;
                }
                of_token.occurrences += 1;
                if previous != Some(before) {
                    previous = Some(before);
                    group += 1;
                }
                if of_token.last != group {
                    of_token.last = group;
                    of_token.before += 1;
                    pairs += 1;
                }
            }
            for (token, slot) in &context.next {
                if let Some(found) = scratch.get(*token as usize).filter(|c| c.of == number + 1) {
                    counts[*slot] = (found.occurrences, found.before);
                }
            }
            let total = if is_highest { at.len() as f64 } else { f64::from(pairs) };
            contexts.push(ContextCounts { at, total, distinct: f64::from(distinct) });
        }
        (contexts, counts)
    }
}
