//! Burrows' Delta.

use std::collections::HashMap;

use super::ngrams::{counted, ngrams};
use super::{StyleProfile, StyleSpace};
use crate::text::{for_each_word, function_word};
use crate::{Error, Result};

/// Features that Delta counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Features {
    /// English function words, as shares of all words.
    FunctionWords,
    /// The given number of most frequent character trigrams of the population, as shares of all
    /// trigrams.
    Trigrams(usize),
}

/// Burrows' Delta (Burrows, "'Delta': a measure of stylistic difference and a guide to likely
/// authorship", 2002): the mean absolute difference of the features' z-scores. The similarity is
/// its negative. z-scores use the population's standard deviations; its means cancel (Argamon,
/// "Interpreting Burrows's Delta", 2008, equation 3).
#[derive(Debug, Clone)]
pub struct Delta {
    features: Features,
    /// Feature to the mean and the standard deviation of its share in the population's texts.
    spread: HashMap<u64, (f64, f64)>,
}

impl Delta {
    /// Fits means and standard deviations to a population: texts of many authors, preferably about
    /// as long as the texts to be compared.
    ///
    /// # Errors
    /// [`Error::TooFew`] if there are fewer than two texts, or no feature varies among them.
    pub fn fit<S: AsRef<str>>(features: Features, population: &[S]) -> Result<Self> {
        let (operation, n) = ("fit Delta to a population", population.len());
        if n < 2 {
            return Err(Error::TooFew { operation, what: "texts", got: n, needed: 2 });
        }
        let mut sums: HashMap<u64, (f64, f64)> = HashMap::new();
        for text in population {
            for (feature, share) in shares(features, &[text.as_ref()]) {
                let (sum, squares) = sums.entry(feature).or_default();
                *sum += share;
                *squares += share * share;
            }
        }
        let mut sums: Vec<(u64, (f64, f64))> = sums.into_iter().collect();
        if let Features::Trigrams(most) = features {
            // Ties in frequency are broken by the hash, so every run selects the same trigrams.
            sums.sort_unstable_by(|(a, (x, _)), (b, (y, _))| y.total_cmp(x).then(a.cmp(b)));
            sums.truncate(most);
        }
        let n = n as f64;
        let spread: HashMap<u64, (f64, f64)> = sums
            .into_iter()
            .filter_map(|(feature, (sum, squares))| {
                let mean = sum / n;
                let variance = (squares - sum * mean) / (n - 1.0);
                // A smaller variance is rounding error.
                (variance > 1e-12 * mean * mean).then(|| (feature, (mean, variance.sqrt())))
            })
            .collect();
        if spread.is_empty() {
            let what = "features that vary";
            return Err(Error::TooFew { operation, what, got: 0, needed: 1 });
        }
        Ok(Self { features, spread })
    }

    /// Number of features compared.
    #[must_use]
    pub fn n_features(&self) -> usize {
        self.spread.len()
    }
}

impl StyleSpace for Delta {
    fn name(&self) -> &'static str {
        match self.features {
            Features::FunctionWords => "delta-function-words",
            Features::Trigrams(_) => "delta-trigrams",
        }
    }

    /// z-scores of the shares over all texts together.
    fn profile(&self, texts: &[&str]) -> StyleProfile {
        let shares: HashMap<u64, f64> = shares(self.features, texts).into_iter().collect();
        let z = |(feature, (mean, deviation)): (&u64, &(f64, f64))| {
            let share = shares.get(feature).copied().unwrap_or(0.0);
            (*feature, (share - mean) / deviation)
        };
        StyleProfile::new(self.spread.iter().map(z).collect())
    }

    fn similarity(&self, a: &StyleProfile, b: &StyleProfile) -> f64 {
        let sum: f64 = a.beside(b).map(|(x, y)| (x - y).abs()).sum();
        -sum / self.spread.len() as f64
    }
}

/// Shares of the features over all texts together; features with a share of 0 are left out.
fn shares(features: Features, texts: &[&str]) -> Vec<(u64, f64)> {
    let (mut found, mut of) = (Vec::new(), 0);
    for text in texts {
        let (in_text, n) = match features {
            Features::FunctionWords => function_words(text),
            Features::Trigrams(_) => {
                let runs = ngrams(text, 3..=3);
                let n = runs.len();
                (runs, n)
            }
        };
        found.extend(in_text);
        of += n;
    }
    let share = |(feature, n): (u64, f64)| (feature, n / of as f64);
    counted(found).into_iter().map(share).collect()
}

/// List positions of a text's function words, with repetitions, and the number of all its words.
fn function_words(text: &str) -> (Vec<u64>, usize) {
    let mut n_words = 0;
    let mut places = Vec::new();
    for_each_word(text, |_, word| {
        n_words += 1;
        places.extend(function_word(word));
    });
    (places, n_words)
}
