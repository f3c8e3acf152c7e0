//! Tensors of a safetensors file, in the form that the networks use.

use candle_core::safetensors::BufferedSafetensors;
use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::VarBuilder;
use candle_nn::var_builder::SimpleBackend;

use super::architecture::EncoderFamily;

/// Returns the tensors under the prefix that some files put before the network's own names.
pub(super) fn network(tensors: VarBuilder<'static>, family: EncoderFamily) -> VarBuilder<'static> {
    let prefix = match family {
        EncoderFamily::Bert => "bert",
        EncoderFamily::Roberta => "roberta",
    };
    if tensors.contains_tensor(&format!("{prefix}.embeddings.word_embeddings.weight")) {
        return tensors.pp(prefix);
    }
    tensors
}

/// A backend that returns matrices in column-major order.
///
/// A linear layer multiplies by the transpose of its weight, and candle's product copies that
/// transpose number by number on every call. If the matrix is column-major, the transpose is
/// row-major and is copied in contiguous runs. Embedding tables, which are read by rows, stay
/// row-major.
pub(super) struct Transposed(BufferedSafetensors);

impl Transposed {
    /// Creates the backend from the bytes of a safetensors file.
    pub(super) fn new(safetensors: Vec<u8>) -> candle_core::Result<Self> {
        Ok(Self(BufferedSafetensors::new(safetensors)?))
    }
}

impl SimpleBackend for Transposed {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        hints: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let tensor = SimpleBackend::get(&self.0, shape, name, hints, dtype, device)?;
        if tensor.rank() == 2 && !name.contains("embeddings") {
            return tensor.t()?.contiguous()?.t();
        }
        Ok(tensor)
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        self.0.get_unchecked(name, dtype, device)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.contains_tensor(name)
    }
}
