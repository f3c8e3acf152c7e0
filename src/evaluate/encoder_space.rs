//! Similarity of texts by sentence embeddings.

use std::collections::HashMap;

use idiolect_core::difference::SentenceVectors;
use idiolect_metrics::stylometry::{StyleProfile, StyleSpace};

use crate::{Error, Result};

/// Cosine of sentence embeddings. The encoder must not have selected anything that is evaluated
/// (peers, users, texts); otherwise the measure would confirm the encoder's own selection.
#[derive(Debug, Clone, Default)]
pub(crate) struct EncoderSpace {
    vectors: HashMap<String, Vec<f32>>,
}

impl EncoderSpace {
    /// Encodes all texts that will be compared; other texts are ignored by this space.
    ///
    /// # Errors
    /// [`Error::Encoder`] if the encoder fails.
    pub(crate) fn of<'t>(
        encoder: &dyn SentenceVectors,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> Result<Self> {
        let mut texts: Vec<&str> = texts.into_iter().collect();
        texts.sort_unstable();
        texts.dedup();
        let vectors = encoder.vectors(&texts).map_err(|source| Error::Encoder(Box::new(source)))?;
        Ok(Self { vectors: texts.into_iter().map(str::to_owned).zip(vectors).collect() })
    }
}

impl StyleSpace for EncoderSpace {
    fn name(&self) -> &'static str {
        "encoder"
    }

    /// Mean of the texts' embeddings.
    fn profile(&self, texts: &[&str]) -> StyleProfile {
        let mut sum: Vec<f32> = Vec::new();
        for vector in texts.iter().filter_map(|text| self.vectors.get(*text)) {
            sum.resize(vector.len(), 0.0);
            sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x / texts.len() as f32);
        }
        StyleProfile::dense(&sum)
    }

    fn similarity(&self, a: &StyleProfile, b: &StyleProfile) -> f64 {
        a.cosine(b)
    }
}
