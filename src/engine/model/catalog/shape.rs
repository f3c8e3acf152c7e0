//! Shape of a language model in its catalog entry: memory and speed can be estimated from it before
//! the model is fetched.

use serde::{Deserialize, Serialize};

/// Shape of a decoder; `n_` counts, dimensions are in elements. The names are those of the decoder's
/// own configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelShape {
    /// Transformer layers.
    pub n_layers: usize,
    /// Width of the residual stream (hidden size).
    pub n_embd: usize,
    /// Hidden width of the feed-forward network, which has three matrices.
    pub n_ff: usize,
    /// Number of query heads.
    pub n_heads: usize,
    /// Number of key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Elements of one head.
    pub head_dim: usize,
    /// Rows of the embedding and of the output head.
    pub n_vocab: usize,
    /// Whether the output head is the embedding table; otherwise the file has a second matrix.
    pub tied: bool,
}

/// Largest count accepted, as in the metadata of model files.
const MAX_COUNT: usize = 1 << 24;

impl ModelShape {
    /// Returns the number of weights in the matrices of all layers.
    #[must_use]
    pub fn layer_weights(&self) -> f64 {
        let heads = 2.0 * (self.n_heads as f64 + self.n_kv_heads as f64);
        let rows = heads * self.head_dim as f64 + 3.0 * self.n_ff as f64;
        self.n_layers as f64 * self.n_embd as f64 * rows
    }

    /// Returns the number of weights in the embedding table, which is that of the output head.
    #[must_use]
    pub fn head_weights(&self) -> f64 {
        self.n_vocab as f64 * self.n_embd as f64
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let Self { n_layers, n_embd, n_ff, n_heads, n_kv_heads, head_dim, n_vocab, tied: _ } =
            *self;
        let counts = [
            ("n_layers", n_layers),
            ("n_embd", n_embd),
            ("n_ff", n_ff),
            ("n_heads", n_heads),
            ("n_kv_heads", n_kv_heads),
            ("head_dim", head_dim),
            ("n_vocab", n_vocab),
        ];
        for (name, count) in counts {
            if !(1..=MAX_COUNT).contains(&count) {
                return Err(format!("shape.{name} is {count}, expected 1 to {MAX_COUNT}"));
            }
        }
        match n_heads.is_multiple_of(n_kv_heads) {
            true => Ok(()),
            false => Err(format!(
                "shape.n_heads is {n_heads}, expected a multiple of n_kv_heads, {n_kv_heads}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QWEN: ModelShape = ModelShape {
        n_layers: 28,
        n_embd: 1536,
        n_ff: 8960,
        n_heads: 12,
        n_kv_heads: 2,
        head_dim: 128,
        n_vocab: 151_936,
        tied: false,
    };

    #[test]
    fn weights_are_those_of_all_matrices() {
        // Qwen2.5-1.5B: 1.31 billion weights without embeddings, as its authors state, and a table.
        assert_eq!(QWEN.layer_weights(), 28.0 * 46_792_704.0);
        assert_eq!(QWEN.head_weights(), 233_373_696.0);
    }

    #[test]
    fn a_shape_that_is_none_is_refused_by_field() {
        assert_eq!(QWEN.check(), Ok(()));
        let none = ModelShape { n_ff: 0, ..QWEN }.check().err().unwrap_or_default();
        assert!(none.contains("shape.n_ff is 0"), "{none}");
        let huge = ModelShape { n_vocab: usize::MAX, ..QWEN }.check().err().unwrap_or_default();
        assert!(huge.contains("shape.n_vocab"), "{huge}");
        let odd = ModelShape { n_kv_heads: 5, ..QWEN }.check().err().unwrap_or_default();
        assert!(odd.contains("multiple of n_kv_heads, 5"), "{odd}");
    }
}
