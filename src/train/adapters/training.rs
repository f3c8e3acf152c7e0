//! Training of an adapter net through the f32 twin of the language model.

use std::collections::BTreeSet;

use candle_core::{Device, Tensor};
use idiolect_core::corpus::{Key, ReviewId};
use idiolect_engine::encoder::Encoder;
use idiolect_engine::lm::AdapterShape;
use idiolect_engine::lm::decoder::Twin;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::examples::{AdapterExample, AdapterInputs, draw_texts, read_examples};
use super::net::AdapterNet;
use super::trained_adapter::{AdapterFacts, TrainedAdapter, VERSION, stored_kind};
use super::vectors::{TextVectors, reads_embeddings};
use super::{AdapterNetKind, AdapterSettings};
use crate::np::{HeadTraining, StyleFeatures, StyleTexts};
use crate::{Checkpoints, Error, NetParameters, Result, Trainable, train};

/// Texts in the batch of a step.
const BATCH: usize = 2;
/// Most texts of validation.
const VALIDATION: usize = 24;
/// One of so many users is for validation.
const VALIDATION_SHARE: usize = 10;
/// Difference of the losses, nats a token, that the margin asks for, and its softness.
const MARGIN: f64 = 0.1;

/// Trains an adapter net on the visible texts of all users but `without`, or returns the stored one if the
/// same was trained before. The result is stored with all texts that it saw as its sources. A call that was
/// stopped or killed is continued by the next one. The twin takes four bytes for each weight of the language
/// model; `device` holds it.
///
/// # Errors
/// [`Error::TooLittle`] if fewer than four users have three texts; [`Error::Encoder`] if `pplug` is given no
/// encoder; [`Error::Stopped`]; or the store or the language model fails.
pub async fn train_adapter(
    inputs: &AdapterInputs<'_>,
    without: &[String],
    settings: &AdapterSettings,
    device: &Device,
) -> Result<TrainedAdapter> {
    let store = inputs.view.store();
    let encoder = encoder_of(inputs, settings.kind)?;
    let texts = StyleTexts::read(inputs.view)?;
    let without: BTreeSet<&str> = without.iter().map(String::as_str).collect();
    let among = (0..texts.n_users()).filter(|user| !without.contains(texts.name_of(*user)));
    let among: BTreeSet<usize> = among.collect();
    let drawn = draw_texts(&texts, &among, settings);
    let mut users: Vec<usize> = drawn.iter().map(|drawn| drawn.user).collect();
    users.sort_unstable();
    users.dedup();
    let (operation, what) = ("train an adapter", "users with three texts");
    if users.len() < 4 {
        return Err(Error::TooLittle { operation, what, got: users.len(), needed: 4 });
    }
    let kind = stored_kind(settings.kind);
    let key = Key::of(kind)
        .with("version", VERSION.to_le_bytes())
        .with("model", inputs.lm.fingerprint())
        .with("encoder", encoder.map(Encoder::stamp).unwrap_or_default())
        .with("task", inputs.task.hash())
        .with("settings", serde_json::to_vec(settings).unwrap_or_default());
    let reviews = drawn.iter().map(|drawn| drawn.review(&texts));
    let key = reviews.fold(key, |key, id| key.with("text", id.0.to_le_bytes())).finish();
    if let Some(trained) = TrainedAdapter::stored(store, kind, &key)? {
        return Ok(trained);
    }

    let own: BTreeSet<usize> = users.iter().copied().collect();
    let features = StyleFeatures::fit(&texts.all_of(&own), true)?;
    let vectors = TextVectors { features: &features, encoder };
    let examples = read_examples(inputs, &texts, &drawn, vectors, settings).await?;
    let twin = Twin::open(inputs.lm.path(), device)?;
    let training = AdapterTraining::new(&twin, examples, vectors.n_values(), settings)?;
    let sources: Vec<ReviewId> = texts.ids_of(&own);
    let checkpoints = Checkpoints { store, key: &key, sources: &sources };
    let what = "training the adapter";
    let done = train(&training, &settings.training, &checkpoints, (inputs.progress, what))?;
    let shape = twin.adapter_shape();
    let facts = AdapterFacts {
        settings: settings.clone(),
        encoder: encoder.map(|encoder| (encoder.stamp().to_owned(), encoder.dimension())),
        model: inputs.lm.fingerprint().to_owned(),
        shape: [shape.n_layers, shape.n_embd, shape.n_query, shape.n_value],
        size: training.of_model.1,
        users: users.iter().map(|user| texts.name_of(*user).to_owned()).collect(),
        sources: sources.clone(),
        training: HeadTraining {
            users: users.len() - training.n_validation_users,
            validation_users: training.n_validation_users,
            steps: done.steps,
            best_step: done.best_step,
            validation_loss: done.validation_loss,
        },
        features: features.clone(),
    };
    let net = AdapterNet::new(settings, vectors.n_values(), training.of_model, &Device::Cpu)?;
    net.parameters.set(&done.values)?;
    let trained = TrainedAdapter::new(net, facts);
    trained.store(store, kind, &key)?;
    checkpoints.remove()?;
    Ok(trained)
}

/// The encoder, if the kind reads embeddings.
fn encoder_of<'a>(inputs: &AdapterInputs<'a>, kind: AdapterNetKind) -> Result<Option<&'a Encoder>> {
    if !reads_embeddings(kind) {
        return Ok(None);
    }
    inputs
        .encoder
        .map(Some)
        .ok_or_else(|| Error::Encoder { got: "none".to_owned(), expected: "any".to_owned() })
}

/// Training of a net on examples.
pub(super) struct AdapterTraining<'a> {
    pub(super) net: AdapterNet,
    twin: &'a Twin,
    /// Sizes of the language model.
    of_model: (AdapterShape, f64),
    examples: Vec<AdapterExample>,
    learning: Vec<usize>,
    validation: Vec<usize>,
    n_validation_users: usize,
    margin: f64,
    seed: u64,
}

impl<'a> AdapterTraining<'a> {
    pub(super) fn new(
        twin: &'a Twin,
        examples: Vec<AdapterExample>,
        n_values: usize,
        settings: &AdapterSettings,
    ) -> Result<Self> {
        let mut users: Vec<usize> = examples.iter().map(|example| example.user).collect();
        users.sort_unstable();
        users.dedup();
        if users.len() < 2 {
            let (operation, what) = ("train an adapter", "users with texts and short prompts");
            return Err(Error::TooLittle { operation, what, got: users.len(), needed: 2 });
        }
        users.shuffle(&mut ChaCha8Rng::seed_from_u64(settings.seed));
        let n_validation_users = users.len().div_ceil(VALIDATION_SHARE);
        let of_validation: BTreeSet<usize> = users.into_iter().take(n_validation_users).collect();
        let (mut validation, learning): (Vec<usize>, Vec<usize>) =
            (0..examples.len()).partition(|at| of_validation.contains(&examples[*at].user));
        validation.truncate(VALIDATION);
        let of_model = (twin.adapter_shape(), twin.embedding_size()?);
        let net = AdapterNet::new(settings, n_values, of_model, twin.device())?;
        Ok(Self {
            net,
            twin,
            of_model,
            examples,
            learning,
            validation,
            n_validation_users,
            margin: settings.margin,
            seed: settings.seed,
        })
    }

    /// Loss of a text, nats a token, with the right user's adapter and with the other's, if that is asked for.
    pub(super) fn losses(&self, at: usize, with_other: bool) -> Result<(Tensor, Option<Tensor>)> {
        let AdapterExample { prompt, text, own, other, .. } = &self.examples[at];
        let loss = |user| -> Result<Tensor> {
            let adapter = self.net.adapter(user, false)?;
            Ok(self.twin.losses(prompt, text, &adapter)?.mean_all()?)
        };
        let other = if with_other { Some(loss(other)?) } else { None };
        Ok((loss(own)?, other))
    }

    /// The loss that is trained on: of the right user, and by how much that of the other user falls short of
    /// the margin.
    fn loss_of(&self, at: usize) -> Result<Tensor> {
        let (own, other) = self.losses(at, self.margin > 0.0)?;
        let Some(other) = other else { return Ok(own) };
        let short = (((&own - other)? + MARGIN)? / MARGIN)?;
        // ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|)
        let tail = (short.abs()?.neg()?.exp()? + 1.0)?.log()?;
        Ok((own + ((short.relu()? + tail)? * self.margin)?)?)
    }

    fn mean(&self, of: &[usize]) -> Result<Tensor> {
        let losses: Vec<Tensor> = of.iter().map(|at| self.loss_of(*at)).collect::<Result<_>>()?;
        Ok(Tensor::stack(&losses, 0)?.mean_all()?)
    }
}

impl Trainable for AdapterTraining<'_> {
    fn parameters(&self) -> &NetParameters {
        &self.net.parameters
    }

    fn loss(&self, step: u64) -> Result<Tensor> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(step);
        let drawn: Vec<usize> = (0..BATCH.min(self.learning.len()))
            .map(|_| self.learning[random.random_range(0..self.learning.len())])
            .collect();
        self.mean(&drawn)
    }

    fn validation_loss(&self) -> Result<f64> {
        let mut sum = 0.0;
        for at in &self.validation {
            sum += f64::from(self.loss_of(*at)?.to_scalar::<f32>()?);
        }
        Ok(sum / self.validation.len().max(1) as f64)
    }
}
