//! Vectors of a user's past texts, and their weights for a request.

use candle_core::{Device, Tensor};
use idiolect_core::corpus::{Item, View};
use idiolect_engine::encoder::Encoder;

use super::AdapterNetKind;
use crate::np::StyleFeatures;
use crate::{Error, Result};

/// Vectors of past texts and their weights, which sum to 1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct UserVectors {
    /// `[n][D]`
    pub(super) rows: Vec<Vec<f32>>,
    /// `[n]`
    pub(super) weights: Vec<f32>,
}

/// Makes vectors of texts: measured style, and the embedding if an encoder is given.
#[derive(Clone, Copy)]
pub(super) struct TextVectors<'a> {
    pub(super) features: &'a StyleFeatures,
    pub(super) encoder: Option<&'a Encoder>,
}

impl TextVectors<'_> {
    /// Number of values of a vector.
    pub(super) fn n_values(&self) -> usize {
        self.features.n_values() + self.encoder.map_or(0, Encoder::dimension)
    }

    /// Vectors of texts: the values of style, then the embedding times the root of its length, so that values
    /// of both have a size of about 1.
    pub(super) fn of(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let mut vectors = self.features.vectors(texts);
        if let Some(encoder) = self.encoder {
            let size = (encoder.dimension() as f32).sqrt();
            for (vector, embedding) in vectors.iter_mut().zip(encoder.encode(texts)?) {
                vector.extend(embedding.vector.iter().map(|x| x * size));
            }
        }
        Ok(vectors)
    }

    /// Embedding of a request for a text about an item, if there is an encoder.
    pub(super) fn request(&self, item: Option<&Item>) -> Result<Option<Vec<f32>>> {
        let (Some(encoder), Some(item)) = (self.encoder, item) else { return Ok(None) };
        let asked = format!("{}\n{}", item.title, item.description);
        Ok(encoder.encode(&[asked.trim()])?.pop().map(|embedding| embedding.vector))
    }

    /// A user with these vectors of past texts. With a request, a text weighs by the product of its embedding
    /// and the request's (arXiv 2409.11901, section 3.2: a softmax without temperature); else all alike.
    pub(super) fn user(&self, rows: Vec<Vec<f32>>, request: Option<&[f32]>) -> UserVectors {
        let n_style = self.features.n_values();
        let near = |row: &Vec<f32>| match request {
            Some(request) => {
                let size = (request.len() as f32).sqrt();
                row[n_style..].iter().zip(request).map(|(a, b)| a / size * b).sum()
            }
            None => 0.0_f32,
        };
        let powers: Vec<f32> = rows.iter().map(|row| near(row).exp()).collect();
        let total: f32 = powers.iter().sum();
        UserVectors { rows, weights: powers.iter().map(|power| power / total).collect() }
    }

    /// A user as a view shows them, by the newest `n_past` texts.
    pub(super) fn of_user(
        &self,
        (view, user, item): (&View<'_>, &str, Option<&Item>),
        n_past: usize,
    ) -> Result<UserVectors> {
        let history = view.history(user)?;
        let mut texts: Vec<&str> = history
            .iter()
            .map(|stored| stored.review.text.as_str())
            .filter(|text| !text.trim().is_empty())
            .collect();
        texts.drain(..texts.len().saturating_sub(n_past));
        if texts.is_empty() {
            let (operation, what) = ("adapt the language model", "past texts of the user");
            return Err(Error::TooLittle { operation, what, got: 0, needed: 1 });
        }
        Ok(self.user(self.of(&texts)?, self.request(item)?.as_deref()))
    }
}

impl UserVectors {
    /// Vectors `[n, D]` and weights `[1, n]` as tensors.
    pub(super) fn tensors(&self, device: &Device) -> Result<(Tensor, Tensor)> {
        let n = self.rows.len();
        let rows = Tensor::from_vec(self.rows.concat(), (n, self.rows[0].len()), device)?;
        Ok((rows, Tensor::from_slice(&self.weights, (1, n), device)?))
    }
}

/// Whether a kind reads embeddings beside measured style.
pub(super) fn reads_embeddings(kind: AdapterNetKind) -> bool {
    kind == AdapterNetKind::Pplug
}
