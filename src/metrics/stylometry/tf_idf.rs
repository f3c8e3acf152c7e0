//! TF-IDF over character n-grams.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;

use super::ngrams::{counted, ngrams};
use super::{StyleProfile, StyleSpace};
use crate::{Error, Result};

/// Lengths of the n-grams, in characters.
const LENGTHS: RangeInclusive<usize> = 3..=5;

/// Cosine of TF-IDF vectors over character n-grams of length 3 to 5. The weight of an n-gram is
/// `(1 + ln tf) * (1 + ln((1 + n) / (1 + df)))`, and each text's vector has length 1, as in
/// scikit-learn's `TfidfVectorizer` with `sublinear_tf`. N-grams that the population lacks count
/// too, with a df of 0.
#[derive(Debug, Clone)]
pub struct TfIdf {
    n_texts: f64,
    /// N-gram hash to the number of population texts that contain it.
    df: HashMap<u64, u32>,
}

impl TfIdf {
    /// Counts the document frequency of each n-gram in a population.
    ///
    /// # Errors
    /// [`Error::TooFew`] if there are no texts.
    pub fn fit<S: AsRef<str>>(population: &[S]) -> Result<Self> {
        if population.is_empty() {
            let operation = "fit TF-IDF to a population";
            return Err(Error::TooFew { operation, what: "texts", got: 0, needed: 1 });
        }
        let mut df: HashMap<u64, u32> = HashMap::new();
        for text in population {
            for (run, _) in counted(ngrams(text.as_ref(), LENGTHS)) {
                *df.entry(run).or_default() += 1;
            }
        }
        Ok(Self { n_texts: population.len() as f64, df })
    }

    fn unit(&self, text: &str) -> Vec<(u64, f64)> {
        let mut weights = counted(ngrams(text, LENGTHS));
        for (run, weight) in &mut weights {
            let df = self.df.get(run).copied().map_or(0.0, f64::from);
            *weight = (1.0 + weight.ln()) * (1.0 + ((1.0 + self.n_texts) / (1.0 + df)).ln());
        }
        let length = weights.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
        // A text too short for any n-gram has no weights, so nothing is divided by 0.
        weights.iter_mut().for_each(|(_, weight)| *weight /= length);
        weights
    }
}

impl StyleSpace for TfIdf {
    fn name(&self) -> &'static str {
        "ngram-tf-idf"
    }

    /// The mean of the texts' vectors.
    fn profile(&self, texts: &[&str]) -> StyleProfile {
        if let [text] = texts {
            return StyleProfile(self.unit(text));
        }
        let mut sums: BTreeMap<u64, f64> = BTreeMap::new();
        for text in texts {
            for (run, weight) in self.unit(text) {
                *sums.entry(run).or_default() += weight / texts.len() as f64;
            }
        }
        StyleProfile(sums.into_iter().collect())
    }

    fn similarity(&self, a: &StyleProfile, b: &StyleProfile) -> f64 {
        a.cosine(b)
    }
}
