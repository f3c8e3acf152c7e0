//! Trained heads and adapters, as methods are given them.

use std::sync::Arc;

use candle_core::Tensor;
use idiolect_core::corpus::{ReviewId, Store, Target, View};
use idiolect_core::methods::{AdapterKind, Method, RewardError, TextReward};
use idiolect_core::steering::TokenReward;
use idiolect_engine::encoder::Encoder;
use idiolect_engine::lm::{Adapter, Lm};

use crate::Result;
use crate::adapters::{AdapterNetKind, TrainedAdapter};
use crate::np::NpHead;
use crate::pad::{LoadedPad, PadHead};

/// Trained parts of methods: a judge of drafts (`np`), a reward of tokens (`pad`), and adapters (`pplug`,
/// `reclora`); any of them.
#[derive(Default)]
pub struct TrainedParts {
    np: Option<NpHead>,
    pad: Option<LoadedPad>,
    adapters: Vec<(TrainedAdapter, Option<Arc<Encoder>>)>,
}

impl TrainedParts {
    /// These heads; `output_head` is that of the language model, `[n_vocab, n_embd]`.
    ///
    /// # Errors
    /// [`Error::Stored`](crate::Error::Stored) if the token reward belongs to hidden states of another size.
    pub fn new(np: Option<NpHead>, pad: Option<(PadHead, &Tensor)>) -> Result<Self> {
        let pad = pad.map(|(head, output)| LoadedPad::new(head, output)).transpose()?;
        Ok(Self { np, pad, adapters: Vec::new() })
    }

    /// Adds an adapter, with the encoder that it was trained with if it reads embeddings.
    ///
    /// # Errors
    /// [`Error::Encoder`](crate::Error::Encoder) if the encoder is another one.
    pub fn with_adapter(
        mut self,
        adapter: TrainedAdapter,
        encoder: Option<Arc<Encoder>>,
    ) -> Result<Self> {
        adapter.check_encoder(encoder.as_deref())?;
        self.adapters.push((adapter, encoder));
        Ok(self)
    }

    /// For each of the methods that writes with an adapter, the newest one of the store for the language model
    /// with fingerprint `model`, of those that saw none of the texts `unseen`; `None` if there is none.
    ///
    /// # Errors
    /// The store cannot be read, or an adapter is damaged.
    pub fn newest_adapters(
        store: &Store,
        methods: &[Method],
        model: &str,
        unseen: &[ReviewId],
    ) -> Result<Vec<(Method, Option<TrainedAdapter>)>> {
        let kinds =
            [(Method::PPLUG, AdapterNetKind::Pplug), (Method::RECLORA, AdapterNetKind::Reclora)];
        let wanted = kinds.into_iter().filter(|(method, _)| methods.contains(method));
        wanted
            .map(|(method, kind)| Ok((method, TrainedAdapter::newest(store, kind, model, unseen)?)))
            .collect()
    }

    /// The newest heads of the store, as far as it has them: the reward head if drafts are ranked by it,
    /// and the token reward for `lm`, if that is given.
    ///
    /// # Errors
    /// The store cannot be read, a head is damaged, or the model's file cannot be read again.
    pub fn newest(store: &Store, ranks_by_np: bool, lm: Option<&Lm>) -> Result<Self> {
        let np = match ranks_by_np {
            true => NpHead::newest(store, &[])?,
            false => None,
        };
        let Some(lm) = lm else { return Self::new(np, None) };
        match PadHead::newest(store, lm.fingerprint(), &[])? {
            Some(head) => Self::new(np, Some((head, &lm.output_head()?))),
            None => Self::new(np, None),
        }
    }
}

impl TextReward for TrainedParts {
    fn rewards(
        &self,
        view: &View<'_>,
        user: &str,
        texts: &[&str],
    ) -> Result<Vec<f32>, RewardError> {
        match &self.np {
            Some(np) => np.rewards(view, user, texts),
            None => Err("no reward head was given; run `idiolect train np` first".into()),
        }
    }

    fn token_reward(
        &self,
        view: &View<'_>,
        user: &str,
    ) -> Result<Option<TokenReward>, RewardError> {
        match &self.pad {
            Some(pad) => Ok(pad.of_user(view, user)?),
            None => Ok(None),
        }
    }

    fn adapter(
        &self,
        kind: AdapterKind,
        view: &View<'_>,
        user: &str,
        target: Option<&Target>,
    ) -> Result<Option<Arc<Adapter>>, RewardError> {
        let found = self.adapters.iter().find(|(adapter, _)| adapter.serves(kind));
        let Some((adapter, encoder)) = found else { return Ok(None) };
        let item = target.map(|target| &target.item);
        Ok(Some(Arc::new(adapter.of_user(kind, (view, user, item), encoder.as_deref())?)))
    }
}
