//! Rotation of queries and keys as candle operations.

use candle_core::{Device, Result, Tensor};

use crate::lm::decoder::rope::{RopeBlock, RopeTables};
use idiolect_kernels::elementwise::RopePairs;

/// Cosines and sines for every position, on a device.
#[derive(Debug, Clone)]
pub(super) struct CandleRope {
    pairs: RopePairs,
    /// `[context, rotated_dim / 2]`.
    cos: Tensor,
    /// `[context, rotated_dim / 2]`.
    sin: Tensor,
}

impl CandleRope {
    pub(super) fn new(tables: &RopeTables, device: &Device) -> Result<Self> {
        let RopeBlock { cos, sin } = tables.all();
        let half = tables.half();
        let shape = (cos.len() / half, half);
        Ok(Self {
            pairs: tables.pairs,
            cos: Tensor::from_vec(cos, shape, device)?,
            sin: Tensor::from_vec(sin, shape, device)?,
        })
    }

    /// Rotates the first elements of each head of `x`, `[n_heads, n_tokens, head_dim]`, whose first
    /// token is at position `start`.
    pub(super) fn apply(&self, x: &Tensor, start: usize) -> Result<Tensor> {
        let (_, n_tokens, head_dim) = x.dims3()?;
        let rotated_dim = 2 * self.cos.dim(1)?;
        if rotated_dim < head_dim {
            let rotated = self.apply(&x.narrow(2, 0, rotated_dim)?, start)?;
            return Tensor::cat(&[&rotated, &x.narrow(2, rotated_dim, head_dim - rotated_dim)?], 2);
        }
        let cos = self.cos.narrow(0, start, n_tokens)?;
        let sin = self.sin.narrow(0, start, n_tokens)?;
        let x = x.contiguous()?.unsqueeze(0)?;
        let rotated = match self.pairs {
            RopePairs::Neighbours => candle_nn::rotary_emb::rope_i(&x, &cos, &sin)?,
            RopePairs::Halves => candle_nn::rotary_emb::rope(&x, &cos, &sin)?,
        };
        rotated.squeeze(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::lm::decoder::rope::{RopeScaling, RopeSettings};

    #[test]
    fn turning_pairs_the_elements_of_its_kind() {
        let device = Device::Cpu;
        let x = Tensor::from_vec(vec![1f32, 0.0, 0.0, 0.0, 7.0], (1, 1, 5), &device).unwrap();
        let turned = |pairs| {
            let (base, scaling) = (10_000.0, RopeScaling::None);
            let (rotated_dim, context, magnitude) = (4, 2, 1.0);
            let settings = RopeSettings { pairs, rotated_dim, context, base, scaling, magnitude };
            let rope = CandleRope::new(&RopeTables::new(&settings, None), &device).unwrap();
            rope.apply(&x, 1).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
        };
        let (c, s) = (1f32.cos(), 1f32.sin());
        let close = |a: Vec<f32>, b: [f32; 5]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(close(turned(RopePairs::Neighbours), [c, s, 0.0, 0.0, 7.0]));
        assert!(close(turned(RopePairs::Halves), [c, 0.0, s, 0.0, 7.0]));
    }
}
