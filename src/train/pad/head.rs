//! A trained token reward: its stored form, and the rewards that it gives for a user.

use std::sync::Arc;

use candle_core::{Device, Tensor};
use idiolect_core::corpus::{Key, ReviewId, Store, View};
use idiolect_core::steering::TokenReward;
use serde::{Deserialize, Serialize};

use super::PadSettings;
use super::net::PadNet;
use crate::np::{HeadTraining, NpHead};
use crate::parameters::{from_base64, to_base64};
use crate::{Error, Result};

/// Kind of token rewards in the store.
pub(super) const PAD: &str = "pad";
/// Version of the net; it changes when the net does.
pub(super) const VERSION: u32 = 1;

/// A token reward that was trained on some users' texts for one language model.
#[derive(Debug, Clone)]
pub struct PadHead {
    pub(super) net: PadNet,
    pub(super) np: Option<NpHead>,
    settings: PadSettings,
    n_embd: usize,
    model: String,
    users: Vec<String>,
    sources: Vec<ReviewId>,
    training: HeadTraining,
}

/// A [`PadHead`] as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredPad {
    version: u32,
    settings: PadSettings,
    n_embd: usize,
    model: String,
    users: Vec<String>,
    sources: Vec<ReviewId>,
    training: HeadTraining,
    values: String,
    /// The reward head that gates it, as that is stored.
    np: Option<String>,
}

/// Facts about a trained map.
pub(super) struct PadFacts {
    pub(super) settings: PadSettings,
    pub(super) n_embd: usize,
    /// Fingerprint of the language model.
    pub(super) model: String,
    pub(super) users: Vec<String>,
    /// Ids of all texts that it or its reward head saw, ascending.
    pub(super) sources: Vec<ReviewId>,
    pub(super) training: HeadTraining,
}

impl PadHead {
    pub(super) fn new(net: PadNet, np: Option<NpHead>, facts: PadFacts) -> Self {
        let PadFacts { settings, n_embd, model, users, sources, training } = facts;
        Self { net, np, settings, n_embd, model, users, sources, training }
    }

    /// Users whose texts it was trained on.
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
    pub fn settings(&self) -> &PadSettings {
        &self.settings
    }

    /// How it was trained.
    #[must_use]
    pub fn training(&self) -> &HeadTraining {
        &self.training
    }

    /// Number of trained values, without those of the reward head.
    #[must_use]
    pub fn n_parameters(&self) -> usize {
        self.net.parameters.n_values()
    }

    /// The reward that was trained last of those in the store for this language model that saw none of
    /// the texts `unseen`; `None` if there is none.
    ///
    /// # Errors
    /// The store cannot be read, or the value is damaged.
    pub fn newest(store: &Store, model: &str, unseen: &[ReviewId]) -> Result<Option<Self>> {
        for text in store.derived_values(PAD)?.iter().rev() {
            let Some(head) = Self::of_text(text)? else { continue };
            let is_seen = |id: &ReviewId| head.sources.binary_search(id).is_ok();
            if head.model == model && !unseen.iter().any(is_seen) {
                return Ok(Some(head));
            }
        }
        Ok(None)
    }

    pub(super) fn stored(store: &Store, kind: &str, key: &Key) -> Result<Option<Self>> {
        match store.derived(kind, key)? {
            Some(text) => Self::of_text(&text),
            None => Ok(None),
        }
    }

    pub(super) fn store(&self, store: &Store, kind: &str, key: &Key) -> Result<()> {
        let stored = StoredPad {
            version: VERSION,
            settings: self.settings.clone(),
            n_embd: self.n_embd,
            model: self.model.clone(),
            users: self.users.clone(),
            sources: self.sources.clone(),
            training: self.training,
            values: to_base64(&self.net.parameters.values()?),
            np: self.np.as_ref().map(NpHead::to_text).transpose()?,
        };
        let text = serde_json::to_string(&stored).unwrap_or_default();
        Ok(store.put_derived(kind, key, &text, &self.sources)?)
    }

    fn of_text(text: &str) -> Result<Option<Self>> {
        let Ok(stored) = serde_json::from_str::<StoredPad>(text) else { return Ok(None) };
        if stored.version != VERSION {
            return Ok(None);
        }
        let np = match &stored.np {
            Some(text) => match NpHead::of_text(text)? {
                Some(np) => Some(np),
                None => return Ok(None),
            },
            None => None,
        };
        let n_code = if np.is_some() { NpHead::N_CODE } else { 0 };
        let net = PadNet::new(stored.n_embd, stored.settings.rank, n_code, 0)?;
        net.parameters.set(&from_base64(&stored.values)?)?;
        let StoredPad { settings, n_embd, model, users, sources, training, .. } = stored;
        let facts = PadFacts { settings, n_embd, model, users, sources, training };
        Ok(Some(Self::new(net, np, facts)))
    }
}

/// A token reward beside the output head of its language model.
pub(crate) struct LoadedPad {
    head: PadHead,
    /// `[rank][n_embd]`
    down: Arc<[f32]>,
    /// `[n_vocab][rank]`
    up: Arc<[f32]>,
}

impl LoadedPad {
    pub(crate) fn new(head: PadHead, output: &Tensor) -> Result<Self> {
        let width = output.dim(1)?;
        if width != head.n_embd {
            let (got, expected) = (head.n_embd.to_string(), width.to_string());
            return Err(Error::Stored { what: "size of hidden states", got, expected });
        }
        let parameters = &head.net.parameters;
        let down = parameters.get("down").t()?.contiguous()?.flatten_all()?.to_vec1::<f32>()?;
        let up = output.matmul(&parameters.get("up").t()?)?.flatten_all()?.to_vec1::<f32>()?;
        Ok(Self { head, down: down.into(), up: up.into() })
    }

    /// The reward of tokens for a user.
    pub(crate) fn of_user(&self, view: &View<'_>, user: &str) -> Result<Option<TokenReward>> {
        let rank = self.head.settings.rank;
        let gate = match &self.head.np {
            Some(np) => {
                let code = np.z_of_user(view, user)?;
                let code = Tensor::from_vec(code, (1, NpHead::N_CODE), &Device::Cpu)?;
                self.head.net.gates(&code)?.flatten_all()?.to_vec1::<f32>()?
            }
            None => vec![1.0; rank],
        };
        Ok(TokenReward::new(Arc::clone(&self.down), Arc::clone(&self.up), gate))
    }
}
