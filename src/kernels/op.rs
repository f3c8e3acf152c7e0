//! Kernels as candle operations, for a decoder that keeps its tensors in candle.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor};

use super::linear::{PackedLinear, ProductRows, forward_many};
use super::{Pool, Result};

/// Several matrices applied to one input: `[.., cols]` to `[.., rows of all]`. The results are
/// concatenated in the order of the matrices. CPU only.
#[derive(Debug, Clone)]
pub struct LinearOp {
    linears: Vec<Arc<PackedLinear>>,
    pool: Arc<Pool>,
}

impl LinearOp {
    /// Creates the product with one matrix.
    #[must_use]
    pub fn new(linear: Arc<PackedLinear>, pool: Arc<Pool>) -> Self {
        Self { linears: vec![linear], pool }
    }

    /// Creates the products with matrices of equal width, such as q, k and v.
    #[must_use]
    pub fn fused(linears: Vec<Arc<PackedLinear>>, pool: Arc<Pool>) -> Self {
        Self { linears, pool }
    }

    /// Returns the matrices.
    #[must_use]
    pub fn linears(&self) -> &[Arc<PackedLinear>] {
        &self.linears
    }

    /// Applies the matrices to an `f32` tensor on the CPU, of any rank above 0.
    ///
    /// # Errors
    /// The tensor has another device or dtype, or its last dimension is not the matrices' width.
    pub fn apply(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        x.contiguous()?.apply_op1_no_bwd(self)
    }

    fn forward(&self, x: &[f32], n: usize) -> Result<Vec<f32>> {
        if let [linear] = &self.linears[..] {
            let mut y = vec![0.0; n * linear.rows()];
            linear.forward(x, n, &mut y, &self.pool)?;
            return Ok(y);
        }
        let mut parts: Vec<Vec<f32>> =
            self.linears.iter().map(|linear| vec![0.0; n * linear.rows()]).collect();
        let linears: Vec<&PackedLinear> = self.linears.iter().map(Arc::as_ref).collect();
        let mut ys: Vec<&mut [f32]> = parts.iter_mut().map(Vec::as_mut_slice).collect();
        forward_many(&linears, x, ProductRows::exact(n), &mut ys, &self.pool)?;
        let mut y = Vec::with_capacity(parts.iter().map(Vec::len).sum());
        for row in 0..n {
            for (linear, part) in linears.iter().zip(&parts) {
                y.extend_from_slice(&part[row * linear.rows()..(row + 1) * linear.rows()]);
            }
        }
        Ok(y)
    }
}

impl CustomOp1 for LinearOp {
    fn name(&self) -> &'static str {
        "packed-linear"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let dims = layout.shape().dims();
        let Some((&cols, outer)) = dims.split_last() else {
            candle_core::bail!("packed-linear: got a scalar, expected [.., columns]")
        };
        let expected = self.linears.first().map_or(0, |linear| linear.cols());
        if cols != expected {
            candle_core::bail!("packed-linear: x is {dims:?}, expected [.., {expected}]")
        }
        let Some((from, to)) = layout.contiguous_offsets() else {
            candle_core::bail!("packed-linear: x {dims:?} is not contiguous")
        };
        let x = &storage.as_slice::<f32>()?[from..to];
        let y = self.forward(x, outer.iter().product()).map_err(candle_core::Error::wrap)?;
        let mut dims = dims.to_vec();
        if let Some(last) = dims.last_mut() {
            *last = self.linears.iter().map(|linear| linear.rows()).sum();
        }
        Ok((CpuStorage::F32(y), Shape::from_dims(&dims)))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use candle_core::Device;
    use candle_core::quantized::{GgmlDType, QTensor};

    use super::*;
    use crate::Isa;

    #[test]
    fn the_operation_agrees_with_the_dequantized_product() {
        let pool = Arc::new(Pool::new(2));
        let w = Tensor::randn(0_f32, 1.0, (40, 64), &Device::Cpu).unwrap();
        let q = QTensor::quantize(&w, GgmlDType::Q8_0).unwrap();
        let w = q.dequantize(&Device::Cpu).unwrap();
        let packed = PackedLinear::from_blocks(
            &q.data().unwrap(),
            GgmlDType::Q8_0,
            40,
            64,
            Isa::detect(),
            &pool,
        );
        let packed = Arc::new(packed.unwrap());
        let x = Tensor::randn(0_f32, 1.0, (2, 3, 64), &Device::Cpu).unwrap();
        let exact = x.broadcast_matmul(&w.t().unwrap()).unwrap();
        let one = LinearOp::new(Arc::clone(&packed), Arc::clone(&pool)).apply(&x).unwrap();
        assert_eq!(one.dims(), [2, 3, 40]);
        let apart = (one.clone() - exact).unwrap().abs().unwrap().max_all().unwrap();
        assert!(apart.to_scalar::<f32>().unwrap() < 0.5);

        let twice = LinearOp::fused(vec![Arc::clone(&packed), packed], pool);
        let both = twice.apply(&x).unwrap();
        assert_eq!(both.dims(), [2, 3, 80]);
        let second = both.narrow(2, 40, 40).unwrap().contiguous().unwrap();
        assert_eq!(
            second.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
            one.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        );
        assert!(twice.apply(&Tensor::zeros((2, 63), x.dtype(), &Device::Cpu).unwrap()).is_err());
    }
}
