//! A trained reward head: what it needs to score texts, and its stored form.

use candle_core::{Device, Tensor};
use idiolect_core::corpus::{Key, ReviewId, Store};
use serde::{Deserialize, Serialize};

use super::NpSettings;
use super::features::StyleFeatures;
use super::net::{ContextBatch, H, NpNet};
use crate::parameters::{from_base64, to_base64};
use crate::{Error, Result};

/// Kind of heads in the store.
pub(super) const HEAD: &str = "np";

/// Version of the features and of the net; it changes when one of them does.
pub(super) const VERSION: u32 = 1;

/// How a head was trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HeadTraining {
    /// Users with pairs, validation aside.
    pub users: usize,
    /// Users of validation.
    pub validation_users: usize,
    /// Number of steps.
    pub steps: u64,
    /// The step whose values are kept.
    pub best_step: u64,
    /// Validation loss at that step; `ln 2` is chance.
    pub validation_loss: f64,
}

/// A reward head that was trained on some users' texts and scores texts for any user.
#[derive(Debug, Clone)]
pub struct NpHead {
    pub(super) net: NpNet,
    pub(super) features: StyleFeatures,
    settings: NpSettings,
    users: Vec<String>,
    /// Ids of the texts that it was trained on, ascending.
    sources: Vec<ReviewId>,
    training: HeadTraining,
}

/// An [`NpHead`] as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredHead {
    version: u32,
    settings: NpSettings,
    features: StyleFeatures,
    users: Vec<String>,
    sources: Vec<ReviewId>,
    training: HeadTraining,
    values: String,
}

impl NpHead {
    pub(super) fn new(
        net: NpNet,
        features: StyleFeatures,
        settings: NpSettings,
        (users, sources): (Vec<String>, Vec<ReviewId>),
        training: HeadTraining,
    ) -> Self {
        Self { net, features, settings, users, sources, training }
    }

    /// Users whose texts it was trained on, in the byte order of their names.
    #[must_use]
    pub fn users(&self) -> &[String] {
        &self.users
    }

    /// Ids of the texts that it was trained on, ascending.
    #[must_use]
    pub fn sources(&self) -> &[ReviewId] {
        &self.sources
    }

    /// Settings of its training.
    #[must_use]
    pub fn settings(&self) -> &NpSettings {
        &self.settings
    }

    /// How it was trained.
    #[must_use]
    pub fn training(&self) -> &HeadTraining {
        &self.training
    }

    /// Number of trained values.
    #[must_use]
    pub fn n_parameters(&self) -> usize {
        self.net.parameters.n_values()
    }

    /// The head that was trained last of those in the store that saw none of the texts `unseen`;
    /// `None` if there is none.
    ///
    /// # Errors
    /// The store cannot be read, or the head is damaged.
    pub fn newest(store: &Store, unseen: &[ReviewId]) -> Result<Option<Self>> {
        for text in store.derived_values(HEAD)?.iter().rev() {
            let Some(head) = Self::of_text(text)? else { continue };
            if unseen.iter().all(|id| head.sources.binary_search(id).is_err()) {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    /// The head under a key, if the store has it.
    pub(super) fn stored(store: &Store, kind: &str, key: &Key) -> Result<Option<Self>> {
        match store.derived(kind, key)? {
            Some(text) => Self::of_text(&text),
            None => Ok(None),
        }
    }

    /// Number of values of z.
    pub(crate) const N_CODE: usize = H;

    /// Stores the head with the texts that it was trained on: it goes with any of them.
    pub(super) fn store(&self, store: &Store, kind: &str, key: &Key) -> Result<()> {
        Ok(store.put_derived(kind, key, &self.to_text()?, &self.sources)?)
    }

    /// The head as it is stored.
    pub(crate) fn to_text(&self) -> Result<String> {
        let stored = StoredHead {
            version: VERSION,
            settings: self.settings.clone(),
            features: self.features.clone(),
            users: self.users.clone(),
            sources: self.sources.clone(),
            training: self.training,
            values: to_base64(&self.net.parameters.values()?),
        };
        Ok(serde_json::to_string(&stored).unwrap_or_default())
    }

    /// Reads a stored head; `None` if another version wrote it.
    pub(crate) fn of_text(text: &str) -> Result<Option<Self>> {
        let Ok(stored) = serde_json::from_str::<StoredHead>(text) else { return Ok(None) };
        if stored.version != VERSION {
            return Ok(None);
        }
        let net = NpNet::new(stored.features.n_values(), 0, &Device::Cpu)?;
        net.parameters.set(&from_base64(&stored.values)?)?;
        let StoredHead { features, settings, users, sources, training, .. } = stored;
        Ok(Some(Self::new(net, features, settings, (users, sources), training)))
    }

    /// z of a user with these pairs of vectors.
    pub(super) fn z_of(&self, context: &[Vec<f32>]) -> Result<Vec<f32>> {
        let n_values = self.features.n_values();
        let context = ContextBatch::new(&[context.to_vec()], n_values, &Device::Cpu)?;
        Ok(self.net.known(&context, None)?.z.flatten_all()?.to_vec1()?)
    }

    /// Scores of texts, given as vectors, for a user with these pairs of vectors, each of a chosen and
    /// a rejected text side by side.
    pub(super) fn scores_of(&self, context: &[Vec<f32>], texts: &[Vec<f32>]) -> Result<Vec<f32>> {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        let n_values = self.features.n_values();
        let context = ContextBatch::new(&[context.to_vec()], n_values, &Device::Cpu)?;
        let flat: Vec<f32> = texts.concat();
        if flat.len() != texts.len() * n_values {
            let (got, expected) = (flat.len().to_string(), (texts.len() * n_values).to_string());
            return Err(Error::Stored { what: "values of style vectors", got, expected });
        }
        let texts = Tensor::from_vec(flat, (1, texts.len(), n_values), &Device::Cpu)?;
        let scores = self.net.scores(&self.net.known(&context, None)?, &texts, None)?;
        Ok(scores.flatten_all()?.to_vec1()?)
    }
}
