//! Values of the swap test and of identification.

use std::collections::BTreeMap;

use crate::Embedded;
use crate::Result;
use crate::identification::{IdentifyOptions, Trial, trials};
use crate::plan::{PairKind, Plan, SwapCase};
use crate::run::Outcomes;
use crate::swap::Crossing;
use crate::trial::SwapOutcome;
use idiolect_core::corpus::StoredReview;
use idiolect_metrics::stylometry::{Delta, Features, Profile, Space, TfIdf};

/// Number of character trigrams that Delta uses.
const TRIGRAMS: usize = 500;

/// A measure of closeness between a text and a user's own texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Closeness {
    /// Burrows' Delta on character trigrams.
    Trigrams,
    /// Burrows' Delta on function words.
    FunctionWords,
    /// Cosine of character n-grams weighted by TF-IDF.
    TfIdf,
    /// Cosine of sentence embeddings, by an encoder that selected nothing that is evaluated.
    Encoder,
    /// Likelihood of the text conditioned on the user's held-out texts.
    Likelihood,
}

impl Closeness {
    /// All measures of closeness.
    pub const ALL: [Self; 5] =
        [Self::Trigrams, Self::FunctionWords, Self::TfIdf, Self::Encoder, Self::Likelihood];

    /// Name of the swap test that uses this closeness.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trigrams => "swap_stylometry",
            Self::FunctionWords => "swap_function_words",
            Self::TfIdf => "swap_tfidf",
            Self::Encoder => "swap_encoder",
            Self::Likelihood => "swap_likelihood",
        }
    }
}

/// Spaces fitted to texts of the split's users, with the profile of each user's held-out texts.
pub struct Spaces {
    spaces: Vec<(Closeness, Box<dyn Space>)>,
    /// Profiles by user, for each space.
    own: Vec<BTreeMap<String, Profile>>,
}

impl Spaces {
    /// Fits the spaces to the texts of `population` and profiles the plan's held-out texts.
    /// `embedded` must have the held-out texts and all texts that will be compared with them.
    ///
    /// # Errors
    /// Error if there are fewer than two texts, or no feature varies among them.
    pub fn fit(plan: &Plan, population: &[String], embedded: Option<Embedded>) -> Result<Self> {
        let mut spaces: Vec<(Closeness, Box<dyn Space>)> = vec![
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
        let of_space = |(_, space): &(Closeness, Box<dyn Space>)| {
            let profile = |(user, reviews): (&String, &Vec<StoredReview>)| {
                let texts = texts(reviews);
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                (user.clone(), space.profile(&texts))
            };
            plan.own.iter().map(profile).collect()
        };
        let own = spaces.iter().map(of_space).collect();
        Ok(Self { spaces, own })
    }

    /// Crossings of all pairs, by closeness and kind of pair.
    #[must_use]
    pub fn crossings(&self, plan: &Plan, swaps: &[Option<SwapOutcome>]) -> Crossings {
        let mut crossings = Crossings::default();
        for (swap, outcome) in plan.swaps.iter().zip(swaps) {
            let Some(outcome) = outcome else { continue };
            for [a, b] in &outcome.texts {
                self.cross(swap, (a, b), &mut crossings);
            }
            for closeness in &outcome.closeness {
                crossings.push(Closeness::Likelihood, swap, by_likelihood(swap, closeness));
            }
        }
        crossings
    }

    /// Crossings of the users' real texts: the upper bound.
    #[must_use]
    pub fn real_crossings(&self, plan: &Plan, outcomes: &Outcomes) -> Crossings {
        let mut crossings = Crossings::default();
        for (swap, closeness) in plan.swaps.iter().zip(&outcomes.real_swaps) {
            let Some(closeness) = closeness else { continue };
            let [a, b] = &swap.real;
            self.cross(swap, (&a.review.text, &b.review.text), &mut crossings);
            crossings.push(Closeness::Likelihood, swap, by_likelihood(swap, closeness));
        }
        crossings
    }

    fn cross(&self, swap: &SwapCase, texts: (&str, &str), crossings: &mut Crossings) {
        let (a, b) = (&swap.pair.a, &swap.pair.b);
        for ((closeness, space), own) in self.spaces.iter().zip(&self.own) {
            let (Some(of_a), Some(of_b)) = (own.get(a), own.get(b)) else { continue };
            let (users, item) = ((a.as_str(), b.as_str()), &swap.pair.item);
            let crossing = Crossing::measured(&**space, users, item, texts, (of_a, of_b));
            crossings.push(*closeness, swap, crossing);
        }
    }

    /// Compares each text of the swap test with up to fifty users, by Delta on character trigrams.
    ///
    /// # Errors
    /// Error if a user has no held-out texts.
    pub fn trials<'t>(
        &self,
        texts: impl IntoIterator<Item = (&'t str, &'t str)>,
        seed: u64,
    ) -> Result<Vec<Trial>> {
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

fn by_likelihood(swap: &SwapCase, closeness: &[[f64; 2]; 2]) -> Crossing {
    let [[a_to_a, a_to_b], [b_to_a, b_to_b]] = *closeness;
    let pair = swap.pair.clone();
    Crossing { a: pair.a, b: pair.b, item: pair.item, a_to_a, b_to_b, a_to_b, b_to_a }
}

/// Crossings by name of the test: for all pairs, and with a suffix for each kind of pair.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Crossings(pub BTreeMap<String, Vec<Crossing>>);

impl Crossings {
    fn push(&mut self, closeness: Closeness, swap: &SwapCase, crossing: Crossing) {
        let kind = match swap.kind {
            PairKind::Random => "random",
            PairKind::Nearest => "nearest",
        };
        let name = closeness.name();
        self.0.entry(format!("{name}_{kind}")).or_default().push(crossing.clone());
        self.0.entry(name.to_owned()).or_default().push(crossing);
    }
}
