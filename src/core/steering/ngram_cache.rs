//! N-gram cache: the user's bigram and trigram counts, interpolated with the model's distribution.
//!
//! `p'(t) = (1 − λ) p(t) + λ c₂(t)` with `cₖ(t) = (nₖ(t) + m cₖ₋₁(t)) / (Nₖ + m)` and `c₀ = p`.
//! `nₖ(t)` counts `t` after the last `k` tokens in the user's texts; `Nₖ` counts any token there.
//! Using the counts of past texts is a cache model (Kuhn and De Mori 1990, "A cache-based natural
//! language model"). Each order is the prior of the next one, as in the hierarchical Dirichlet
//! language model (MacKay and Peto 1995, section 3), with the model's own distribution at the root.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::Vocabulary;
use idiolect_engine::lm::{self, CombineLogits, Distributions};

/// `m`: pseudo-count of the estimate from the shorter context.
pub const CACHE_PRIOR: f32 = 3.0;
/// First element of the key of a one-token context; no vocabulary contains it.
const NOTHING: u32 = u32::MAX;

/// Tokens that follow a context, with their counts, sorted by token.
#[derive(Debug, PartialEq, Default)]
struct Next {
    counts: Vec<(u32, u32)>,
    total: u32,
}

impl Next {
    fn count(&self, id: u32) -> f32 {
        let found = self.counts.binary_search_by_key(&id, |(id, _)| *id);
        found.map_or(0.0, |index| self.counts[index].1 as f32)
    }
}

/// Counts of the tokens that follow each token and each pair of tokens in some texts.
#[derive(Debug, Clone, PartialEq)]
pub struct NgramCache {
    next: Arc<HashMap<[u32; 2], Next>>,
    hash: String,
}

impl NgramCache {
    /// Counts the tokens of texts, without white space around them.
    ///
    /// # Errors
    /// A text cannot be tokenized.
    pub fn of<'t>(
        vocabulary: &dyn Vocabulary,
        texts: impl Iterator<Item = &'t str>,
    ) -> lm::Result<Self> {
        let texts: Vec<Vec<u32>> =
            texts.map(|text| vocabulary.tokenize(text.trim())).collect::<lm::Result<_>>()?;
        Ok(Self::of_tokens(&texts))
    }

    /// Counts the tokens of tokenized texts; no context spans two texts.
    #[must_use]
    pub fn of_tokens(texts: &[Vec<u32>]) -> Self {
        let mut counted: HashMap<[u32; 2], BTreeMap<u32, u32>> = HashMap::new();
        let mut hasher = Sha256::new();
        for text in texts {
            hasher.update((text.len() as u64).to_le_bytes());
            text.iter().for_each(|id| hasher.update(id.to_le_bytes()));
            for window in text.windows(2) {
                *counted.entry([NOTHING, window[0]]).or_default().entry(window[1]).or_default() +=
                    1;
            }
            for window in text.windows(3) {
                let context = [window[0], window[1]];
                *counted.entry(context).or_default().entry(window[2]).or_default() += 1;
            }
        }
        let next = counted.into_iter().map(|(context, counts)| {
            let total = counts.values().sum();
            (context, Next { counts: counts.into_iter().collect(), total })
        });
        let hash = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { next: Arc::new(next.collect()), hash }
    }

    /// Hash of the texts.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Counts of a token and of any token after the last token of `written`, and after its last two;
    /// only as far as the texts contain these contexts.
    #[must_use]
    pub fn counts(&self, written: &[u32], id: u32) -> Vec<(u32, u32)> {
        let (one, two) = self.behind(written);
        let contexts = [one, two].into_iter().map_while(|context| context);
        contexts.map(|next| (next.count(id) as u32, next.total)).collect()
    }

    /// Counts after the last token and after the last two; `None` if the texts do not contain that
    /// context.
    fn behind(&self, written: &[u32]) -> (Option<&Next>, Option<&Next>) {
        match written {
            [] => (None, None),
            [last] => (self.next.get(&[NOTHING, *last]), None),
            [.., before, last] => {
                (self.next.get(&[NOTHING, *last]), self.next.get(&[*before, *last]))
            }
        }
    }
}

/// Another rule's distribution, interpolated with the user's n-gram cache.
pub(super) struct Mixed {
    pub(super) rule: Box<dyn CombineLogits>,
    /// `λ`, 0 to 1.
    pub(super) share: f32,
    pub(super) phrases: NgramCache,
}

impl CombineLogits for Mixed {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        self.rule.combine(step, combined);
        let (Some(one), two) = self.phrases.behind(step.written) else { return };
        let nothing = Next::default();
        let two = two.unwrap_or(&nothing);
        let (n1, n2) = (one.total as f32 + CACHE_PRIOR, two.total as f32 + CACHE_PRIOR);
        // Total factor of `p` in the mixture. All scores are relative to it, so the tokens that
        // were never seen after this context keep theirs.
        let left = 1.0 - self.share + self.share * (CACHE_PRIOR / n1) * (CACHE_PRIOR / n2);
        let norm = step.log_sum_exp(combined);
        // Every token that follows the last two tokens also follows the last one.
        for (id, count) in &one.counts {
            let lent = two.count(*id) / n2 + CACHE_PRIOR / n2 * (*count as f32 / n1);
            if let Some(score) = combined.get_mut(*id as usize).filter(|score| score.is_finite()) {
                *score = norm + ((*score - norm).exp() + self.share * lent / left).ln();
            }
        }
    }

    fn reads_hidden(&self) -> bool {
        self.rule.reads_hidden()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use idiolect_engine::lm::WeightedSum;

    const P: [f32; 5] = [0.4, 0.3, 0.1, 0.15, 0.05];

    fn mixed(share: f32, texts: &[Vec<u32>], written: &[u32]) -> Vec<f32> {
        let rule = Box::new(WeightedSum(vec![1.0]));
        let mut mixed = Mixed { rule, share, phrases: NgramCache::of_tokens(texts) };
        // Scores need not be normalised.
        let scores = P.map(|p| p.ln() + 2.5);
        let mut combined = [0.0; 5];
        mixed.combine(&Distributions::new(written, &[&scores]), &mut combined);
        let norm = Distributions::new(&[], &[]).log_sum_exp(&combined);
        combined.iter().map(|score| (score - norm).exp()).collect()
    }

    /// The formula of the module's docs, each order over the whole vocabulary.
    fn plain(share: f32, texts: &[Vec<u32>], written: &[u32]) -> Vec<f32> {
        let mut estimate = P.to_vec();
        for order in 1..=2 {
            let Some(context) = written.len().checked_sub(order).map(|at| &written[at..]) else {
                break;
            };
            let behind: Vec<u32> = texts
                .iter()
                .flat_map(|text| text.windows(order + 1))
                .filter(|window| window[..order] == *context)
                .map(|window| window[order])
                .collect();
            for (id, p) in estimate.iter_mut().enumerate() {
                let n = behind.iter().filter(|seen| **seen as usize == id).count() as f32;
                *p = (n + CACHE_PRIOR * *p) / (behind.len() as f32 + CACHE_PRIOR);
            }
        }
        P.iter().zip(&estimate).map(|(p, c)| (1.0 - share) * p + share * c).collect()
    }

    #[test]
    fn the_mixture_is_the_formula() {
        let texts = [vec![0, 1, 2, 1, 2, 3, 0, 1, 4], vec![], vec![2], vec![3, 1, 2, 2]];
        let contexts: [&[u32]; 7] = [&[], &[1], &[0, 1], &[3, 1, 2], &[4, 1], &[4], &[0, 2, 2]];
        for written in contexts {
            for share in [0.0, 0.05, 0.7, 1.0] {
                let (got, expected) =
                    (mixed(share, &texts, written), plain(share, &texts, written));
                for (a, b) in got.iter().zip(&expected) {
                    assert!((a - b).abs() < 1e-6, "{written:?} {share}: {got:?} {expected:?}");
                }
            }
        }
    }

    #[test]
    fn what_is_forbidden_stays_so_and_texts_do_not_run_together() {
        let phrases = NgramCache::of_tokens(&[vec![1, 2], vec![3, 4]]);
        let rule = Box::new(WeightedSum(vec![1.0]));
        let mut mixed = Mixed { rule, share: 0.5, phrases: phrases.clone() };
        let mut combined = [0.0; 5];
        let scores = [0.0, 0.0, f32::NEG_INFINITY, 0.0, 0.0];
        mixed.combine(&Distributions::new(&[1], &[&scores]), &mut combined);
        assert_eq!(combined[2], f32::NEG_INFINITY);
        assert!(phrases.behind(&[2]).0.is_none() && phrases.behind(&[1, 2]).1.is_none());
        // A token outside of the vocabulary is ignored.
        let mut short = [0.0; 2];
        mixed.combine(&Distributions::new(&[3], &[&scores[..2]]), &mut short);
        assert_eq!(short, [0.0, 0.0]);
        assert_ne!(phrases.hash(), NgramCache::of_tokens(&[vec![1], vec![2, 3, 4]]).hash());
    }
}
