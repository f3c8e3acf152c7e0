//! Values of the swap test and of identification.

use std::collections::BTreeMap;

use super::grammar::{GrammarScores, Population};
use crate::Result;
use crate::cases::SwapResult;
use crate::encoder_space::EncoderSpace;
use crate::identification::{IdentificationTrial, IdentifyOptions, trials};
use crate::plan::{PairKind, Plan, SwapCase};
use crate::run::PlanResults;
use crate::swap::SwapScores;
use idiolect_core::corpus::StoredReview;
use idiolect_metrics::stylometry::{Delta, Features, StyleProfile, StyleSpace, TfIdf};

/// Number of character trigrams that Delta uses.
const TRIGRAMS: usize = 500;

/// A measure of closeness between a text and a user's own texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Closeness {
    /// Burrows' Delta on character trigrams.
    Trigrams,
    /// Burrows' Delta on function words.
    FunctionWords,
    /// λ_G: the likelihood ratio of the user's grammar and others'.
    Grammar,
    /// Cosine of character n-grams weighted by TF-IDF.
    TfIdf,
    /// Cosine of sentence embeddings, by an encoder that selected nothing that is evaluated.
    Encoder,
    /// Likelihood of the text conditioned on the user's held-out texts.
    Likelihood,
}

impl Closeness {
    /// Name of the swap test that uses this closeness.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Trigrams => "swap_stylometry",
            Self::FunctionWords => "swap_function_words",
            Self::Grammar => "swap_lambda_g",
            Self::TfIdf => "swap_tfidf",
            Self::Encoder => "swap_encoder",
            Self::Likelihood => "swap_likelihood",
        }
    }
}

/// Spaces fitted to texts of the split's users, with the profile of each user's held-out texts.
pub(crate) struct StyleSpaces {
    spaces: Vec<(Closeness, Box<dyn StyleSpace>)>,
    /// Profiles by user, for each space.
    own: Vec<BTreeMap<String, StyleProfile>>,
    /// λ_G of the texts, which is no similarity of profiles.
    grammar: GrammarScores,
}

impl StyleSpaces {
    /// Fits the spaces to the texts of `population` and profiles the plan's held-out texts.
    /// `embedded` and `grammar` must have the held-out texts and all texts that will be compared
    /// with them.
    ///
    /// # Errors
    /// Error if there are fewer than two texts, or no feature varies among them.
    pub(crate) fn fit(
        plan: &Plan,
        population: &Population,
        embedded: Option<EncoderSpace>,
        grammar: GrammarScores,
    ) -> Result<Self> {
        let population: Vec<&String> = population.values().flatten().collect();
        let population = &population;
        let mut spaces: Vec<(Closeness, Box<dyn StyleSpace>)> = vec![
            (Closeness::Trigrams, Box::new(Delta::fit(Features::Trigrams(TRIGRAMS), population)?)),
            (Closeness::FunctionWords, Box::new(Delta::fit(Features::FunctionWords, population)?)),
            (Closeness::TfIdf, Box::new(TfIdf::fit(population)?)),
        ];
        if let Some(embedded) = embedded {
            spaces.push((Closeness::Encoder, Box::new(embedded)));
        }
        let texts = |reviews: &[StoredReview]| -> Vec<String> {
            reviews.iter().map(|r| r.review.text.clone()).collect()
        };
        let of_space = |(_, space): &(Closeness, Box<dyn StyleSpace>)| {
            let profile = |(user, reviews): (&String, &Vec<StoredReview>)| {
                let texts = texts(reviews);
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                (user.clone(), space.profile(&texts))
            };
            plan.own.iter().map(profile).collect()
        };
        let own = spaces.iter().map(of_space).collect();
        Ok(Self { spaces, own, grammar })
    }

    /// Scores of all pairs, by closeness and kind of pair.
    #[must_use]
    pub(crate) fn scores(&self, plan: &Plan, swaps: &[Option<SwapResult>]) -> SwapScoresByTest {
        let mut scores = SwapScoresByTest::default();
        for (number, (swap, result)) in plan.swaps.iter().zip(swaps).enumerate() {
            let Some(result) = result else { continue };
            for [a, b] in &result.texts {
                self.cross((number, swap), (a, b), &mut scores);
            }
            for closeness in &result.closeness {
                scores.push(Closeness::Likelihood, swap, crossed(swap, closeness));
            }
        }
        scores
    }

    /// Scores of the users' real texts: the upper bound.
    #[must_use]
    pub(crate) fn real_scores(&self, plan: &Plan, results: &PlanResults) -> SwapScoresByTest {
        let mut scores = SwapScoresByTest::default();
        for (number, (swap, closeness)) in plan.swaps.iter().zip(&results.real_swaps).enumerate() {
            let Some(closeness) = closeness else { continue };
            let [a, b] = &swap.real;
            self.cross((number, swap), (&a.review.text, &b.review.text), &mut scores);
            scores.push(Closeness::Likelihood, swap, crossed(swap, closeness));
        }
        scores
    }

    /// Calibrated log10 likelihood ratios of two texts, generated for the users of a pair or real:
    /// `[writer][reader]`. `None` if the pair has none.
    #[must_use]
    pub(crate) fn log10_lr(&self, pair: usize, [a, b]: [&str; 2]) -> Option<[[f64; 2]; 2]> {
        Some([self.grammar.log10_lr(pair, a)?, self.grammar.log10_lr(pair, b)?])
    }

    fn cross(
        &self,
        (number, swap): (usize, &SwapCase),
        texts: (&str, &str),
        scores: &mut SwapScoresByTest,
    ) {
        let lambda = |text: &str| self.grammar.closeness(number, text);
        if let (Some(of_a), Some(of_b)) = (lambda(texts.0), lambda(texts.1)) {
            scores.push(Closeness::Grammar, swap, crossed(swap, &[of_a, of_b]));
        }
        let (a, b) = (&swap.pair.a, &swap.pair.b);
        for ((closeness, space), own) in self.spaces.iter().zip(&self.own) {
            let (Some(of_a), Some(of_b)) = (own.get(a), own.get(b)) else { continue };
            let (users, item) = ((a.as_str(), b.as_str()), &swap.pair.item);
            let of_pair = SwapScores::measured(&**space, users, item, texts, (of_a, of_b));
            scores.push(*closeness, swap, of_pair);
        }
    }

    /// Compares each text of the swap test with up to fifty users, by Delta on character trigrams.
    ///
    /// # Errors
    /// Error if a user has no held-out texts.
    pub(crate) fn trials<'t>(
        &self,
        texts: impl IntoIterator<Item = (&'t str, &'t str)>,
        seed: u64,
    ) -> Result<Vec<IdentificationTrial>> {
        let mut written: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (user, text) in texts {
            written.entry(user).or_default().push(text);
        }
        let (Some((_, space)), Some(own)) = (self.spaces.first(), self.own.first()) else {
            return Ok(Vec::new());
        };
        let own = own.iter().map(|(user, profile)| (user.as_str(), profile.clone())).collect();
        trials(&**space, &written, &own, &IdentifyOptions { seed, ..IdentifyOptions::default() })
    }
}

/// Scores of a pair from the closeness of each text to each user: `[writer][reader]`.
fn crossed(swap: &SwapCase, closeness: &[[f64; 2]; 2]) -> SwapScores {
    let [[a_to_a, a_to_b], [b_to_a, b_to_b]] = *closeness;
    let pair = swap.pair.clone();
    SwapScores { a: pair.a, b: pair.b, item: pair.item, a_to_a, b_to_b, a_to_b, b_to_a }
}

/// Scores by name of the test: for all pairs, and with a suffix for each kind of pair.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SwapScoresByTest(pub(crate) BTreeMap<String, Vec<SwapScores>>);

impl SwapScoresByTest {
    fn push(&mut self, closeness: Closeness, swap: &SwapCase, of_pair: SwapScores) {
        let kind = match swap.kind {
            PairKind::Random => "random",
            PairKind::Nearest => "nearest",
        };
        let name = closeness.name();
        self.0.entry(format!("{name}_{kind}")).or_default().push(of_pair.clone());
        self.0.entry(name.to_owned()).or_default().push(of_pair);
    }
}
