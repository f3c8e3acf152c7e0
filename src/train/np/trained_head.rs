//! Training of a reward head on the visible texts of users.

use std::collections::BTreeSet;

use candle_core::{Device, Tensor};
use idiolect_core::corpus::{Key, View};
use idiolect_engine::progress::Progress;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::NpSettings;
use super::draws::{DrawnPairs, MAX_CONTEXT, PairSource, TARGETS};
use super::features::StyleFeatures;
use super::head::{HEAD, HeadTraining, NpHead, VERSION};
use super::net::{ContextBatch, Dropout, NpNet, bradley_terry};
use super::texts::StyleTexts;
use crate::{Checkpoints, Error, NetParameters, Result, Trainable, train};

/// Users in the batch of a step.
const BATCH: usize = 64;
/// Batches of validation.
const VALIDATION_BATCHES: u64 = 6;
/// One of so many users is for validation.
const VALIDATION_SHARE: usize = 10;

/// Trains a head on the visible texts of all users but `without`, or returns the stored one if the
/// same was trained before. The head is stored with all of these texts as its sources: forgetting one
/// of the users, or one of the texts, deletes it. A call that was stopped or killed is continued by
/// the next one.
///
/// # Errors
/// [`Error::TooLittle`] if too few users have two texts on items that others wrote about;
/// [`Error::Stopped`]; or the store fails.
pub fn train_head(
    view: &View<'_>,
    without: &[String],
    settings: &NpSettings,
    progress: &dyn Progress,
) -> Result<NpHead> {
    let texts = StyleTexts::read(view)?;
    let without: BTreeSet<&String> = without.iter().collect();
    let among = (0..texts.users.len()).filter(|user| !without.contains(&texts.users[*user]));
    let place = HeadPlace { view, kind: HEAD, progress };
    train_on(&texts, &among.collect(), settings, &place)
}

/// Store of a head, its kind there, and the progress of its training.
pub(crate) struct HeadPlace<'a> {
    pub(crate) view: &'a View<'a>,
    pub(crate) kind: &'static str,
    pub(crate) progress: &'a dyn Progress,
}

/// Trains a head on the texts of users of `among`.
pub(crate) fn train_on(
    texts: &StyleTexts,
    among: &BTreeSet<usize>,
    settings: &NpSettings,
    place: &HeadPlace<'_>,
) -> Result<NpHead> {
    let store = place.view.store();
    let sources = texts.ids_of(among);
    let key = sources.iter().fold(
        Key::of(place.kind)
            .with("version", VERSION.to_le_bytes())
            .with("settings", serde_json::to_vec(settings).unwrap_or_default()),
        |key, id| key.with("text", id.0.to_le_bytes()),
    );
    let key = key.finish();
    if let Some(head) = NpHead::stored(store, place.kind, &key)? {
        return Ok(head);
    }
    let training = NpTraining::new(texts, among, settings)?;
    let checkpoints = Checkpoints { store, key: &key, sources: &sources };
    let what = "training the reward head";
    let done = train(&training, &settings.training, &checkpoints, (place.progress, what))?;
    let facts = HeadTraining {
        users: training.source.n_users(),
        validation_users: training.n_validation_users,
        steps: done.steps,
        best_step: done.best_step,
        validation_loss: done.validation_loss,
    };
    let users = among.iter().map(|user| texts.users[*user].clone()).collect();
    let NpTraining { net, features, .. } = training;
    let head = NpHead::new(net, features, settings.clone(), (users, sources.clone()), facts);
    head.store(store, place.kind, &key)?;
    Checkpoints { store, key: &key, sources: &sources }.remove()?;
    Ok(head)
}

/// Training of the net on pairs.
struct NpTraining {
    net: NpNet,
    features: StyleFeatures,
    settings: NpSettings,
    vectors: Vec<Vec<f32>>,
    source: PairSource,
    n_validation_users: usize,
    validation: Vec<PairBatch>,
}

/// Tensors of the pairs of several users.
struct PairBatch {
    context: ContextBatch,
    /// Own texts, then peers', `[B, 2 T, D]`.
    targets: Tensor,
}

impl NpTraining {
    fn new(texts: &StyleTexts, among: &BTreeSet<usize>, settings: &NpSettings) -> Result<Self> {
        let of_user = match settings.shuffled {
            true => texts.shuffled(among, settings.seed),
            false => texts.of_user.clone(),
        };
        let mut users: Vec<usize> = among.iter().copied().collect();
        users.shuffle(&mut ChaCha8Rng::seed_from_u64(settings.seed));
        // Only users with pairs count, so that a small corpus has users on both sides.
        let has_pairs = |user: &usize| {
            let one = BTreeSet::from([*user]);
            PairSource::new(texts, &of_user, (&one, among), settings.peers).n_users() > 0
        };
        users.retain(has_pairs);
        let n_validation = users.len().div_ceil(VALIDATION_SHARE);
        let validation: BTreeSet<usize> = users.drain(..n_validation).collect();
        let (operation, what) = ("train the reward head", "users with two texts on shared items");
        if users.is_empty() {
            let got = validation.len();
            return Err(Error::TooLittle { operation, what, got, needed: 2 });
        }
        let learning: BTreeSet<usize> = users.into_iter().collect();
        let fitted: Vec<&str> = texts
            .texts
            .iter()
            .filter(|text| among.contains(&text.user))
            .map(|text| text.text.as_str())
            .collect();
        let features = StyleFeatures::fit(&fitted, settings.length)?;
        let all: Vec<&str> = texts.texts.iter().map(|text| text.text.as_str()).collect();
        let vectors = features.vectors(&all);
        let source = |users: &BTreeSet<usize>| {
            PairSource::new(texts, &of_user, (users, among), settings.peers)
        };
        let net = NpNet::new(features.n_values(), settings.seed, &Device::Cpu)?;
        let (of_validation, source) = (source(&validation), source(&learning));
        let mut training = Self {
            net,
            features,
            settings: settings.clone(),
            vectors,
            source,
            n_validation_users: validation.len(),
            validation: Vec::new(),
        };
        for stream in 0..VALIDATION_BATCHES {
            let drawn = of_validation.draw(BATCH, !settings.seed, stream);
            training.validation.push(training.batch(&drawn)?);
        }
        Ok(training)
    }

    fn batch(&self, drawn: &[DrawnPairs]) -> Result<PairBatch> {
        let vector = |at: usize| self.vectors[at].as_slice();
        let context: Vec<Vec<Vec<f32>>> = drawn
            .iter()
            .map(|user| {
                let pairs = user.context.iter();
                pairs.map(|pair| [vector(pair.own), vector(pair.peer)].concat()).collect()
            })
            .collect();
        let mut targets: Vec<f32> = Vec::new();
        for user in drawn {
            user.targets.iter().for_each(|pair| targets.extend(vector(pair.own)));
            user.targets.iter().for_each(|pair| targets.extend(vector(pair.peer)));
        }
        let n_values = self.features.n_values();
        let shape = (drawn.len(), 2 * TARGETS, n_values);
        Ok(PairBatch {
            context: ContextBatch::new(&context, n_values, &Device::Cpu)?,
            targets: Tensor::from_vec(targets, shape, &Device::Cpu)?,
        })
    }

    fn loss_of(&self, batch: &PairBatch, dropout: Option<&Dropout>) -> Result<Tensor> {
        let known = self.net.known(&batch.context, dropout)?;
        let scores = self.net.scores(&known, &batch.targets, dropout)?;
        let (own, peers) = (scores.narrow(1, 0, TARGETS)?, scores.narrow(1, TARGETS, TARGETS)?);
        bradley_terry(&own, &peers)
    }

    /// The factors of a step.
    fn dropout(&self, step: u64, c: usize) -> Result<Option<Dropout>> {
        let rate = self.settings.dropout;
        if rate <= 0.0 {
            return Ok(None);
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.settings.seed);
        // Steps draw their pairs from the lower half of the streams.
        random.set_stream(step | 1 << 63);
        let mut factors = |n: usize| -> Vec<f32> {
            let factor = |x: f32| if x < rate { 0.0 } else { 1.0 / (1.0 - rate) };
            (0..n).map(|_| factor(random.random())).collect()
        };
        let (pairs, texts) = Dropout::sizes(BATCH, c, 2 * TARGETS);
        let factors = (factors(pairs), factors(texts));
        Dropout::new(factors, (BATCH, c, 2 * TARGETS), &Device::Cpu).map(Some)
    }
}

impl Trainable for NpTraining {
    fn parameters(&self) -> &NetParameters {
        &self.net.parameters
    }

    fn loss(&self, step: u64) -> Result<Tensor> {
        let drawn = self.source.draw(BATCH, self.settings.seed, step);
        let batch = self.batch(&drawn)?;
        let c = batch.context.mask.dim(1)?;
        debug_assert!(c <= MAX_CONTEXT);
        self.loss_of(&batch, self.dropout(step, c)?.as_ref())
    }

    fn validation_loss(&self) -> Result<f64> {
        let mut sum = 0.0;
        for batch in &self.validation {
            sum += f64::from(self.loss_of(batch, None)?.to_scalar::<f32>()?);
        }
        Ok(sum / self.validation.len() as f64)
    }
}
