//! The tensors of a safetensors file, as the networks want them.

use candle_core::safetensors::BufferedSafetensors;
use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::VarBuilder;
use candle_nn::var_builder::SimpleBackend;

use super::architecture::Family;

/// The tensors below the prefix that some files put before the network's own names.
pub(super) fn network(tensors: VarBuilder<'static>, family: Family) -> VarBuilder<'static> {
    let prefix = match family {
        Family::Bert => "bert",
        Family::Roberta => "roberta",
    };
    if tensors.contains_tensor(&format!("{prefix}.embeddings.word_embeddings.weight")) {
        return tensors.pp(prefix);
    }
    tensors
}

/// Gives matrices laid out by columns.
///
/// A linear layer multiplies by its weight's transpose, which candle's product copies number by
/// number on every call; of a matrix laid out by columns the transpose is laid out by rows and is
/// copied in runs. Embedding tables, which are read by rows, stay as they are.
pub(super) struct Transposed(BufferedSafetensors);

impl Transposed {
    /// From the bytes of a safetensors file.
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
