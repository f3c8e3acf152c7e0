//! Changes to a language model for one user, which training has made.

use sha2::{Digest, Sha256};

use super::decoder::DecoderConfig;
use super::{Error, Result};
use idiolect_kernels::low_rank::LowRank;

/// Changes to a language model for some of its sequences: soft tokens before the prompt (Lester et al.,
/// arXiv 2104.08691) and products of low rank added to queries and values (LoRA, arXiv 2106.09685).
/// Sequences with different adapters run in one batch; the weights stay as they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    key: AdapterKey,
    soft_tokens: Vec<Vec<f32>>,
    layers: Vec<LayerAdapter>,
}

/// Hash of an adapter's values: sequences with different ones share no keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AdapterKey([u8; 32]);

/// Products that an adapter adds in one layer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LayerAdapter {
    /// Added to the projection to the queries, `n_embd` inputs and `n_query` outputs.
    pub query: Option<LowRank>,
    /// Added to the projection to the values, `n_embd` inputs and `n_value` outputs.
    pub value: Option<LowRank>,
}

/// Sizes of a model that its adapters must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdapterShape {
    /// Number of layers.
    pub n_layers: usize,
    /// Width of the input embeddings.
    pub n_embd: usize,
    /// Width of the queries, all heads together.
    pub n_query: usize,
    /// Width of the values, all heads together.
    pub n_value: usize,
}

impl AdapterShape {
    pub(super) fn of(config: &DecoderConfig) -> Self {
        Self {
            n_layers: config.n_layers,
            n_embd: config.n_embd,
            n_query: config.n_heads * config.head_dim,
            n_value: config.n_kv_heads * config.head_dim,
        }
    }
}

impl Adapter {
    /// Makes an adapter of soft tokens, `[n_soft][n_embd]`, which take the place of embeddings after the
    /// model's embedding factor, and of the changes of each layer. Either may be empty.
    #[must_use]
    pub fn new(soft_tokens: Vec<Vec<f32>>, layers: Vec<LayerAdapter>) -> Self {
        let mut hash = Sha256::new();
        let mut put = |values: &[f32]| {
            hash.update((values.len() as u64).to_le_bytes());
            values.iter().for_each(|value| hash.update(value.to_le_bytes()));
        };
        soft_tokens.iter().for_each(|values| put(values));
        put(&[]);
        for low_rank in layers.iter().flat_map(|layer| [&layer.query, &layer.value]) {
            match low_rank {
                Some(low_rank) => {
                    put(low_rank.down());
                    put(low_rank.up());
                }
                None => put(&[]),
            }
        }
        Self { key: AdapterKey(hash.finalize().into()), soft_tokens, layers }
    }

    /// Hash of its values.
    #[must_use]
    pub fn key(&self) -> AdapterKey {
        self.key
    }

    /// The products of layer number `index`; `None` if it has none.
    #[must_use]
    pub fn layer(&self, index: usize) -> Option<&LayerAdapter> {
        self.layers.get(index)
    }

    /// The soft tokens, `[n_soft][n_embd]`.
    #[must_use]
    pub fn soft_tokens(&self) -> &[Vec<f32>] {
        &self.soft_tokens
    }

    /// Checks that it fits a model and holds finite numbers only.
    ///
    /// # Errors
    /// [`Error::Adapter`], [`Error::AdapterValue`].
    pub(super) fn check(&self, shape: AdapterShape) -> Result<()> {
        self.check_shape(shape)?;
        let products = self.layers.iter().flat_map(|layer| [&layer.query, &layer.value]).flatten();
        let mut values = products.flat_map(|product| [product.down(), product.up()]).flatten();
        match self.soft_tokens.iter().flatten().all(|x| x.is_finite())
            && values.all(|x| x.is_finite())
        {
            true => Ok(()),
            false => Err(Error::AdapterValue),
        }
    }

    /// Checks that it fits a model.
    ///
    /// # Errors
    /// [`Error::Adapter`].
    pub(super) fn check_shape(&self, shape: AdapterShape) -> Result<()> {
        let refuse = |what, got, expected| Err(Error::Adapter { what, got, expected });
        let is_other = |values: &&Vec<f32>| values.len() != shape.n_embd;
        if let Some(values) = self.soft_tokens.iter().find(is_other) {
            return refuse("values of a soft token", values.len(), shape.n_embd);
        }
        if !self.layers.is_empty() && self.layers.len() != shape.n_layers {
            return refuse("layers", self.layers.len(), shape.n_layers);
        }
        for layer in &self.layers {
            for (product, n_out) in [(&layer.query, shape.n_query), (&layer.value, shape.n_value)] {
                let Some(product) = product else { continue };
                if product.n_in() != shape.n_embd {
                    return refuse("inputs of a product", product.n_in(), shape.n_embd);
                }
                if product.n_out() != n_out {
                    return refuse("outputs of a product", product.n_out(), n_out);
                }
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for AdapterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
