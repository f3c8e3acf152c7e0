//! Reward heads over texts that many people rated, such as jokes: a pair is two texts of which one person
//! rated one higher.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor};
use idiolect_core::corpus::{Key, Store};
use idiolect_engine::progress::Progress;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::NpSettings;
use super::evaluation::{NpShare, mean};
use super::features::StyleFeatures;
use super::head::VERSION;
use super::net::{ContextBatch, NpNet, bradley_terry};
use crate::{Checkpoints, Error, NetParameters, Result, Trainable, train};

/// Numbers of pairs that are shown.
const CONTEXTS: [usize; 5] = [0, 1, 3, 5, 10];
/// Most pairs in a context.
const MAX_CONTEXT: usize = 10;
/// Pairs of a user that are judged in one step.
const STEP_TARGETS: usize = 8;
/// Pairs of a user that are judged in the evaluation.
const TARGETS: usize = 20;
/// Users in a step.
const BATCH: usize = 64;
/// Validation batches.
const VALIDATION_BATCHES: u64 = 6;
/// Least difference of the ratings of a pair.
const MIN_DIFFERENCE: f32 = 2.0;

/// A rating of a text by a user.
#[derive(Debug, Clone, PartialEq)]
pub struct TextRating {
    /// The user.
    pub user: String,
    /// Identifier of the text.
    pub text: String,
    /// The rating; higher is better.
    pub rating: f32,
}

/// Evaluation of a head on users who were not in the training.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RatedEvaluation {
    /// Users in the training.
    pub training_users: usize,
    /// Users evaluated.
    pub users: usize,
    /// Numbers of known pairs and the shares of judged pairs that are right with them.
    pub by_pairs: Vec<(usize, NpShare)>,
    /// Shares with another user's pairs, by the same numbers.
    pub wrong: Vec<(usize, NpShare)>,
    /// Share of a ranking by the mean of the training users' ratings.
    pub mean_rating: NpShare,
}

/// Trains a head on ratings of all users but `n_users` drawn ones, and evaluates it on these: 20 pairs of
/// texts whose ratings differ by 2 or more, with 0 to 10 others of the user's known. Texts that a user's
/// known pairs hold are in no judged pair.
///
/// # Errors
/// [`Error::TooLittle`] if there are too few users with enough ratings; [`Error::Stopped`]; or the
/// store, which has the checkpoints, fails.
pub fn evaluate_rated(
    ratings: &[TextRating],
    texts: &BTreeMap<String, String>,
    (settings, n_users): (&NpSettings, usize),
    store: &Store,
    progress: &dyn Progress,
) -> Result<RatedEvaluation> {
    let mut people = people(ratings, texts);
    people.retain(|rated| rated.len() >= 2 * MAX_CONTEXT);
    let (operation, what) = ("evaluate ratings", "users with at least 20 ratings");
    let needed = n_users + n_users.max(10);
    if people.len() < needed {
        return Err(Error::TooLittle { operation, what, got: people.len(), needed });
    }
    people.shuffle(&mut ChaCha8Rng::seed_from_u64(settings.seed));
    let evaluated = people.split_off(people.len() - n_users);
    let learning = people.split_off(people.len().div_ceil(10));
    let all: Vec<&str> = texts.values().map(String::as_str).collect();
    let features = StyleFeatures::fit(&all, settings.length)?;
    let vectors = features.vectors(&all);
    let net = NpNet::new(features.n_values(), settings.seed, &Device::Cpu)?;
    let training_users = learning.len();
    let means = mean_ratings(&learning, texts.len());
    let training =
        RatedTraining { net, vectors, learning, validation: people, settings: settings.clone() };
    let key = ratings.iter().fold(
        Key::of("rated")
            .with("version", VERSION.to_le_bytes())
            .with("settings", serde_json::to_vec(settings).unwrap_or_default()),
        |key, of| key.with(&of.user, &of.text).with("rating", of.rating.to_le_bytes()),
    );
    let key = key.finish();
    let checkpoints = Checkpoints { store, key: &key, sources: &[] };
    train(&training, &settings.training, &checkpoints, (progress, "training on ratings"))?;
    checkpoints.remove()?;

    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    let cases: Vec<RatedPairs> =
        evaluated.iter().map(|rated| drawn(rated, (MAX_CONTEXT, TARGETS), &mut random)).collect();
    let of = |case: usize, n: usize, wrong: bool| -> Result<f64> {
        let context = &cases[if wrong { (case + 1) % cases.len() } else { case }].context;
        training.right(&context[..n.min(context.len())], &cases[case].targets)
    };
    let shares = |wrong: bool| -> Result<Vec<(usize, NpShare)>> {
        CONTEXTS
            .iter()
            .map(|&n| {
                let values: Result<Vec<f64>> =
                    (0..cases.len()).map(|case| of(case, n, wrong)).collect();
                Ok((n, mean(&values?)))
            })
            .collect()
    };
    let by_mean = |case: &RatedPairs| {
        let right = case.targets.iter().filter(|(better, worse)| means[*better] > means[*worse]);
        right.count() as f64 / case.targets.len().max(1) as f64
    };
    Ok(RatedEvaluation {
        training_users,
        users: cases.len(),
        by_pairs: shares(false)?,
        wrong: shares(true)?,
        mean_rating: mean(&cases.iter().map(by_mean).collect::<Vec<f64>>()),
    })
}

/// Ratings of one person: indices of texts and their ratings.
type Rated = Vec<(usize, f32)>;

/// Ratings by person, in the byte order of their names, of texts that are known.
fn people(ratings: &[TextRating], texts: &BTreeMap<String, String>) -> Vec<Rated> {
    let index: HashMap<&str, usize> =
        texts.keys().enumerate().map(|(i, id)| (id.as_str(), i)).collect();
    let mut people: BTreeMap<&str, Rated> = BTreeMap::new();
    for of in ratings {
        if let Some(at) = index.get(of.text.as_str()) {
            people.entry(&of.user).or_default().push((*at, of.rating));
        }
    }
    people.into_values().collect()
}

fn mean_ratings(people: &[Rated], n_texts: usize) -> Vec<f64> {
    let mut sums = vec![(0.0_f64, 0.0_f64); n_texts];
    for (text, rating) in people.iter().flatten() {
        sums[*text].0 += f64::from(*rating);
        sums[*text].1 += 1.0;
    }
    sums.into_iter().map(|(sum, n)| sum / n.max(1.0)).collect()
}

/// Pairs of one person, each the better text and the worse one.
struct RatedPairs {
    context: Vec<(usize, usize)>,
    targets: Vec<(usize, usize)>,
}

/// Draws up to so many pairs to know and pairs to judge; the texts of the first are in none of the second.
fn drawn(
    rated: &Rated,
    (n_context, n_targets): (usize, usize),
    random: &mut ChaCha8Rng,
) -> RatedPairs {
    let mut order = rated.clone();
    order.shuffle(random);
    let (known, judged) = order.split_at(order.len() / 2);
    let pairs = |of: &[(usize, f32)], n: usize, random: &mut ChaCha8Rng| {
        let mut pairs = Vec::with_capacity(n);
        // Somebody who rates all alike has few pairs.
        for _ in 0..20 * n {
            if pairs.len() == n {
                break;
            }
            let a = of[random.random_range(0..of.len())];
            let b = of[random.random_range(0..of.len())];
            if (a.1 - b.1).abs() >= MIN_DIFFERENCE {
                pairs.push(if a.1 > b.1 { (a.0, b.0) } else { (b.0, a.0) });
            }
        }
        pairs
    };
    RatedPairs {
        context: pairs(known, n_context, random),
        targets: pairs(judged, n_targets, random),
    }
}

struct RatedTraining {
    net: NpNet,
    vectors: Vec<Vec<f32>>,
    learning: Vec<Rated>,
    validation: Vec<Rated>,
    settings: NpSettings,
}

impl RatedTraining {
    fn context(&self, pairs: &[(usize, usize)]) -> Vec<Vec<f32>> {
        let vector = |at: usize| self.vectors[at].as_slice();
        pairs.iter().map(|(a, b)| [vector(*a), vector(*b)].concat()).collect()
    }

    fn loss_of(&self, people: &[Rated], seed: u64, stream: u64) -> Result<Tensor> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        let (mut contexts, mut targets) = (Vec::new(), Vec::<f32>::new());
        for _ in 0..50 * BATCH {
            if contexts.len() == BATCH {
                break;
            }
            let rated = &people[random.random_range(0..people.len())];
            let n = random.random_range(0..=MAX_CONTEXT);
            let pairs = drawn(rated, (n, STEP_TARGETS), &mut random);
            if pairs.targets.len() < STEP_TARGETS {
                continue;
            }
            contexts.push(self.context(&pairs.context));
            pairs.targets.iter().for_each(|(a, _)| targets.extend(&self.vectors[*a]));
            pairs.targets.iter().for_each(|(_, b)| targets.extend(&self.vectors[*b]));
        }
        let (operation, what) = ("train on ratings", "users in a batch whose ratings differ by 2");
        if contexts.len() < BATCH {
            return Err(Error::TooLittle { operation, what, got: contexts.len(), needed: BATCH });
        }
        let n_values = self.vectors.first().map_or(0, Vec::len);
        let context = ContextBatch::new(&contexts, n_values, &Device::Cpu)?;
        let targets = Tensor::from_vec(targets, (BATCH, 2 * STEP_TARGETS, n_values), &Device::Cpu)?;
        let scores = self.net.scores(&self.net.known(&context, None)?, &targets, None)?;
        bradley_terry(
            &scores.narrow(1, 0, STEP_TARGETS)?,
            &scores.narrow(1, STEP_TARGETS, STEP_TARGETS)?,
        )
    }

    fn right(&self, context: &[(usize, usize)], targets: &[(usize, usize)]) -> Result<f64> {
        if targets.is_empty() {
            return Ok(0.5);
        }
        let n_values = self.vectors.first().map_or(0, Vec::len);
        let context = ContextBatch::new(&[self.context(context)], n_values, &Device::Cpu)?;
        let flat: Vec<f32> = self.context(targets).concat();
        let texts = Tensor::from_vec(flat, (1, 2 * targets.len(), n_values), &Device::Cpu)?;
        let scores = self.net.scores(&self.net.known(&context, None)?, &texts, None)?;
        let scores = scores.flatten_all()?.to_vec1::<f32>()?;
        let right = scores.chunks(2).filter(|pair| pair[0] > pair[1]).count();
        Ok(right as f64 / targets.len() as f64)
    }
}

impl Trainable for RatedTraining {
    fn parameters(&self) -> &NetParameters {
        &self.net.parameters
    }

    fn loss(&self, step: u64) -> Result<Tensor> {
        self.loss_of(&self.learning, self.settings.seed, step)
    }

    fn validation_loss(&self) -> Result<f64> {
        let mut sum = 0.0;
        for stream in 0..VALIDATION_BATCHES {
            let loss = self.loss_of(&self.validation, !self.settings.seed, stream)?;
            sum += f64::from(loss.to_scalar::<f32>()?);
        }
        Ok(sum / VALIDATION_BATCHES as f64)
    }
}
