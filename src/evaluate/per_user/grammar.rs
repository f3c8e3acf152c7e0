//! λ_G of the swap test's texts: how much better a user's grammar predicts them than others' do.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::plan::{Plan, SwapCase};
use crate::run::PlanResults;
use crate::seed::seed_for;
use idiolect_metrics::lambda_g::{Calibration, LambdaG, Masking, QuestionedText, SentenceIndex};

/// Most users whose texts calibrate the measure.
const CALIBRATING: usize = 100;

/// Texts of the split's users that are not held out, oldest first, by user.
pub(crate) type Population = BTreeMap<String, Vec<String>>;

/// λ_G of the texts that are compared in the swap test.
///
/// A user's grammar is that of the held-out texts, which no method read, as for all measures of the
/// test. Reference sentences come from the other texts of all users but the pair's.
#[derive(Debug, Clone, Default)]
pub(crate) struct GrammarScores {
    /// λ_G of each text against A and against B, by index of the pair; no texts if A or B has no
    /// held-out sentences, or the other users have too few sentences.
    of_pairs: Vec<HashMap<String, [f64; 2]>>,
    /// From λ_G to likelihood ratios; `None` if too few users have two texts that are not held out.
    calibration: Option<Calibration>,
}

impl GrammarScores {
    /// Scores the generated and the real texts of all pairs.
    #[must_use]
    pub(crate) fn of(plan: &Plan, results: &PlanResults, population: &Population) -> Self {
        let sentences = UserSentences::new(plan, population);
        let texts = |number: usize, swap: &SwapCase| -> BTreeSet<String> {
            let swaps = results.methods.iter().filter_map(|method| method.swaps.get(number));
            let written = swaps.flatten().flat_map(|result| result.texts.iter().flatten().cloned());
            written.chain(swap.real.iter().map(|real| real.review.text.clone())).collect()
        };
        let of_pair = |(number, swap): (usize, &SwapCase)| {
            let texts: Vec<String> = texts(number, swap).into_iter().collect();
            sentences
                .of_pair(swap, &texts, plan.options.seed)
                .map_or_else(HashMap::new, |scores| texts.into_iter().zip(scores).collect())
        };
        Self {
            of_pairs: plan.swaps.par_iter().enumerate().map(of_pair).collect(),
            calibration: sentences.calibration(plan, population),
        }
    }

    /// λ_G of a text of a pair, against A and against B.
    #[must_use]
    pub(crate) fn closeness(&self, pair: usize, text: &str) -> Option<[f64; 2]> {
        self.of_pairs.get(pair)?.get(text).copied()
    }

    /// Calibrated log10 likelihood ratios of a text of a pair, against A and against B.
    #[must_use]
    pub(crate) fn log10_lr(&self, pair: usize, text: &str) -> Option<[f64; 2]> {
        let calibration = self.calibration?;
        Some(self.closeness(pair, text)?.map(|lambda| calibration.log10_lr(lambda)))
    }
}

/// Numbers of one user's sentences in the index.
struct NumberedTexts {
    /// Of each text that is not held out, oldest first.
    history: Vec<Range<usize>>,
    /// Of the held-out texts together.
    held_out: Range<usize>,
}

/// Masked sentences of all users.
struct UserSentences {
    masking: Masking,
    index: SentenceIndex,
    users: BTreeMap<String, NumberedTexts>,
}

impl UserSentences {
    fn new(plan: &Plan, population: &Population) -> Self {
        let masking = Masking::of(&population.values().collect::<Vec<_>>());
        let (mut sentences, mut users) = (Vec::new(), BTreeMap::new());
        for (user, held_out) in &plan.own {
            let mut numbered = |text: &str| {
                let start = sentences.len();
                sentences.extend(masking.sentences(text));
                start..sentences.len()
            };
            let history = population.get(user).into_iter().flatten();
            let history = history.map(|text| numbered(text)).collect();
            let held_out: Vec<_> = held_out.iter().map(|r| numbered(&r.review.text)).collect();
            let first = held_out.first().map_or(0, |range| range.start);
            let held_out = first..held_out.last().map_or(0, |range| range.end);
            users.insert(user.clone(), NumberedTexts { history, held_out });
        }
        Self { masking, index: SentenceIndex::new(LambdaG::ORDER, &sentences), users }
    }

    /// λ_G of each text against both users of a pair.
    fn of_pair(&self, swap: &SwapCase, texts: &[String], seed: u64) -> Option<Vec<[f64; 2]>> {
        let (a, b) = (swap.pair.a.as_str(), swap.pair.b.as_str());
        let texts: Vec<QuestionedText> = texts.iter().map(|text| self.questioned(text)).collect();
        let against = |user: &str, other: &str| {
            let known: Vec<usize> = self.users.get(user)?.held_out.clone().collect();
            let seed = seed_for(seed, &["lambda-g", user, other]);
            self.scores(&texts, &known, [user, other], seed)
        };
        let (to_a, to_b) = (against(a, b)?, against(b, a)?);
        Some(to_a.into_iter().zip(to_b).map(|(to_a, to_b)| [to_a, to_b]).collect())
    }

    /// Calibrates on texts that are not held out: a user's newest one and another user's, against
    /// as many of the user's texts before it as are held out.
    fn calibration(&self, plan: &Plan, population: &Population) -> Option<Calibration> {
        let has_two = |(_, texts): &(&String, &NumberedTexts)| texts.history.len() >= 2;
        let mut users: Vec<_> = self.users.iter().filter(has_two).collect();
        let seed = plan.options.seed;
        let mut random = ChaCha8Rng::seed_from_u64(seed_for(seed, &["lambda-g calibration"]));
        users.shuffle(&mut random);
        users.truncate(CALIBRATING);
        let scores = |number: usize| {
            let (user, texts) = users[number];
            let (other, _) = users[(number + 1) % users.len()];
            let newest = [user, other].map(|user| population.get(user)?.last());
            let [own, others] = [newest[0]?, newest[1]?].map(|text| self.questioned(text));
            let past = &texts.history[..texts.history.len() - 1];
            let n = plan.own.get(user).map_or(1, Vec::len).max(1);
            let nearest = &past[past.len().saturating_sub(n)..];
            let known: Vec<usize> = nearest.iter().cloned().flatten().collect();
            let seed = seed_for(seed, &["lambda-g calibration", user]);
            let scores = self.scores(&[own, others], &known, [user, other], seed)?;
            Some((scores[0], scores[1]))
        };
        if users.len() < 2 {
            return None;
        }
        let found: Vec<_> = (0..users.len()).into_par_iter().filter_map(scores).collect();
        let (same, different): (Vec<f64>, Vec<f64>) = found.into_iter().unzip();
        Calibration::fit(&same, &different).ok()
    }

    fn questioned(&self, text: &str) -> QuestionedText {
        self.index.questioned(&self.masking.sentences(text))
    }

    /// λ_G of texts with reference sentences of all users but `without`; `None` if there are too
    /// few sentences.
    fn scores(
        &self,
        texts: &[QuestionedText],
        known: &[usize],
        without: [&str; 2],
        seed: u64,
    ) -> Option<Vec<f64>> {
        let others = self.users.iter().filter(|(user, _)| !without.contains(&user.as_str()));
        let reference: Vec<usize> =
            others.flat_map(|(_, texts)| texts.history.iter().cloned().flatten()).collect();
        let measure = LambdaG { seed, ..LambdaG::default() };
        measure.scores(&self.index, texts, known, &reference).ok()
    }
}
