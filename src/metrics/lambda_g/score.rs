//! λ_G: the likelihood ratio of an author's grammar and of the grammars of others.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::kneser_ney::GrammarModel;
use super::sentence_index::{QuestionedText, SentenceIndex};
use crate::{Error, Result};

/// Parameters of λ_G.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LambdaG {
    /// Number of reference models, r.
    pub references: usize,
    /// Seed of the samples that the reference models are trained on.
    pub seed: u64,
}

impl Default for LambdaG {
    /// The paper's 100 reference models.
    fn default() -> Self {
        Self { references: 100, seed: 0 }
    }
}

impl LambdaG {
    /// Order of the paper's models, N.
    pub const ORDER: usize = 10;

    /// λ_G of each text, the base-10 logarithm of a likelihood ratio that is not calibrated:
    ///
    /// ```text
    /// λ_G = (1/r) Σ_j Σ_t log10( p(t | context; G_A) / p(t | context; G_j) )
    /// ```
    ///
    /// `known` are the numbers of the author's sentences, which G_A is trained on. Each G_j is
    /// trained on as many of the sentences `reference`, drawn without repetition; they should be
    /// neither by the author nor by the writer of a text. All texts are compared with the same
    /// models. A text without sentences has 0.
    ///
    /// # Errors
    /// [`Error::TooFew`] if there are no known sentences, or fewer reference sentences than known
    /// ones.
    pub fn scores(
        &self,
        index: &SentenceIndex,
        texts: &[QuestionedText],
        known: &[usize],
        reference: &[usize],
    ) -> Result<Vec<f64>> {
        let operation = "compare the grammar of an author with others";
        if known.is_empty() {
            let what = "sentences of the author";
            return Err(Error::TooFew { operation, what, got: 0, needed: 1 });
        }
        if reference.len() < known.len() {
            let (what, got) = ("sentences of other authors", reference.len());
            return Err(Error::TooFew { operation, what, got, needed: known.len() });
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let samples = (0..self.references.max(1)).map(|_| {
            let drawn = rand::seq::index::sample(&mut random, reference.len(), known.len());
            drawn.into_iter().map(|at| reference[at]).collect()
        });
        Ok(mean_ratios(index, texts, known, samples))
    }
}

/// λ_G of each text against reference models of these samples, of which there must be one.
pub(super) fn mean_ratios(
    index: &SentenceIndex,
    texts: &[QuestionedText],
    known: &[usize],
    samples: impl Iterator<Item = Vec<usize>>,
) -> Vec<f64> {
    let mut sums = vec![0.0; texts.len()];
    let mut n_samples = 0.0;
    for sample in samples {
        let model = GrammarModel::new(index, &sample);
        sums.iter_mut().zip(texts).for_each(|(sum, text)| *sum += model.log10_likelihood(text));
        n_samples += 1.0;
    }
    let author = GrammarModel::new(index, known);
    let ratio =
        |(text, sum): (&QuestionedText, &f64)| author.log10_likelihood(text) - sum / n_samples;
    texts.iter().zip(&sums).map(ratio).collect()
}
