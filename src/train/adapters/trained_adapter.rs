//! A trained adapter net: its stored form, and the adapters that it makes for users.

use candle_core::Device;
use idiolect_core::corpus::{Item, Key, ReviewId, Store, View};
use idiolect_core::methods::AdapterKind;
use idiolect_engine::encoder::Encoder;
use idiolect_engine::lm::{Adapter, AdapterShape};
use serde::{Deserialize, Serialize};

use super::net::{AdapterNet, values_of};
use super::vectors::TextVectors;
use super::{AdapterNetKind, AdapterSettings};
use crate::np::{HeadTraining, StyleFeatures};
use crate::parameters::{from_base64, to_base64};
use crate::{Error, Result};

/// Version of the nets; it changes when one does.
pub(super) const VERSION: u32 = 1;

/// A net that was trained on some users' texts for one language model, and makes an adapter for any user.
#[derive(Debug, Clone)]
pub struct TrainedAdapter {
    net: AdapterNet,
    facts: AdapterFacts,
}

/// Everything but the net's values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct AdapterFacts {
    pub(super) settings: AdapterSettings,
    pub(super) features: StyleFeatures,
    /// Stamp of the sentence encoder, if the net reads embeddings, and the length of these.
    pub(super) encoder: Option<(String, usize)>,
    /// Fingerprint of the language model.
    pub(super) model: String,
    /// Layers, and widths of embeddings, queries and values.
    pub(super) shape: [usize; 4],
    /// Size of the values of its input embeddings.
    pub(super) size: f64,
    pub(super) users: Vec<String>,
    /// Ids of all texts that it saw, ascending.
    pub(super) sources: Vec<ReviewId>,
    pub(super) training: HeadTraining,
}

/// A [`TrainedAdapter`] as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredAdapter {
    version: u32,
    facts: AdapterFacts,
    values: String,
}

/// Kind of trained nets in the store.
pub(super) fn stored_kind(kind: AdapterNetKind) -> &'static str {
    match kind {
        AdapterNetKind::Pplug => "pplug",
        AdapterNetKind::Reclora => "reclora",
    }
}

impl AdapterFacts {
    pub(super) fn shape(&self) -> AdapterShape {
        let [n_layers, n_embd, n_query, n_value] = self.shape;
        AdapterShape { n_layers, n_embd, n_query, n_value }
    }

    fn n_values(&self) -> usize {
        self.features.n_values() + self.encoder.as_ref().map_or(0, |(_, n)| *n)
    }
}

impl TrainedAdapter {
    pub(super) fn new(net: AdapterNet, facts: AdapterFacts) -> Self {
        Self { net, facts }
    }

    /// Users whose texts it was trained on.
    #[must_use]
    pub fn users(&self) -> &[String] {
        &self.facts.users
    }

    /// Ids of the texts that it was trained on, ascending.
    #[must_use]
    pub fn sources(&self) -> &[ReviewId] {
        &self.facts.sources
    }

    /// Settings of its training.
    #[must_use]
    pub fn settings(&self) -> &AdapterSettings {
        &self.facts.settings
    }

    /// How it was trained.
    #[must_use]
    pub fn training(&self) -> &HeadTraining {
        &self.facts.training
    }

    /// Number of trained values.
    #[must_use]
    pub fn n_parameters(&self) -> usize {
        self.net.parameters.n_values()
    }

    /// Whether it makes adapters of this kind.
    #[must_use]
    pub fn serves(&self, kind: AdapterKind) -> bool {
        match kind {
            AdapterKind::Pplug => self.facts.settings.kind == AdapterNetKind::Pplug,
            AdapterKind::Reclora | AdapterKind::RecloraUniform => {
                self.facts.settings.kind == AdapterNetKind::Reclora
            }
        }
    }

    /// Whether it reads embeddings of a sentence encoder.
    #[must_use]
    pub fn needs_encoder(&self) -> bool {
        self.facts.encoder.is_some()
    }

    /// Checks that the encoder is the one that it was trained with; without need of one, any is.
    ///
    /// # Errors
    /// [`Error::Encoder`].
    pub fn check_encoder(&self, encoder: Option<&Encoder>) -> Result<()> {
        let Some((expected, _)) = &self.facts.encoder else { return Ok(()) };
        let got = encoder.map(Encoder::stamp);
        if got == Some(expected.as_str()) {
            return Ok(());
        }
        let got = got.map_or_else(|| "none".to_owned(), |got| format!("`{got}`"));
        Err(Error::Encoder { got, expected: expected.clone() })
    }

    /// The adapter of a user, as a view shows them, for a text about an item.
    ///
    /// # Errors
    /// [`Error::TooLittle`] if the view shows no text of the user; [`Error::Encoder`]; or the store or the
    /// encoder fails.
    pub fn of_user(
        &self,
        kind: AdapterKind,
        user: (&View<'_>, &str, Option<&Item>),
        encoder: Option<&Encoder>,
    ) -> Result<Adapter> {
        self.check_encoder(encoder)?;
        let encoder = encoder.filter(|_| self.needs_encoder());
        let vectors = TextVectors { features: &self.facts.features, encoder };
        let known = vectors.of_user(user, self.facts.settings.n_past)?;
        values_of(&self.net.adapter(&known, kind == AdapterKind::RecloraUniform)?)
    }

    /// The net that was trained last of those of a kind in the store for this language model that saw none of
    /// the texts `unseen`; `None` if there is none.
    ///
    /// # Errors
    /// The store cannot be read, or the value is damaged.
    pub fn newest(
        store: &Store,
        kind: AdapterNetKind,
        model: &str,
        unseen: &[ReviewId],
    ) -> Result<Option<Self>> {
        for text in store.derived_values(stored_kind(kind))?.iter().rev() {
            let Some(trained) = Self::of_text(text)? else { continue };
            let is_seen = |id: &ReviewId| trained.facts.sources.binary_search(id).is_ok();
            if trained.facts.model == model && !unseen.iter().any(is_seen) {
                return Ok(Some(trained));
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
        let values = to_base64(&self.net.parameters.values()?);
        let stored = StoredAdapter { version: VERSION, facts: self.facts.clone(), values };
        let text = serde_json::to_string(&stored).unwrap_or_default();
        Ok(store.put_derived(kind, key, &text, &self.facts.sources)?)
    }

    fn of_text(text: &str) -> Result<Option<Self>> {
        let Ok(stored) = serde_json::from_str::<StoredAdapter>(text) else { return Ok(None) };
        if stored.version != VERSION {
            return Ok(None);
        }
        let StoredAdapter { facts, values, .. } = stored;
        let of_model = (facts.shape(), facts.size);
        let net = AdapterNet::new(&facts.settings, facts.n_values(), of_model, &Device::Cpu)?;
        net.parameters.set(&from_base64(&values)?)?;
        Ok(Some(Self { net, facts }))
    }
}
