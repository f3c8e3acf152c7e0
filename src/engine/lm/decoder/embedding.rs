//! Token embeddings.

use std::sync::Arc;

use candle_core::quantized::QMatMul;
use candle_core::{Device, Error, Result, Tensor};

use idiolect_kernels::PackedLinear;

/// Token embedding table, `[n_vocab, n_embd]`; only the requested rows are dequantized.
#[derive(Debug, Clone)]
pub(super) enum TokenEmbedding {
    /// In the kernels' layout; shares the head's memory if the file has one matrix for both.
    Packed(Arc<PackedLinear>),
    /// As stored in the file.
    Stored(QMatMul),
}

impl TokenEmbedding {
    /// Looks up the rows of `ids` in the CPU's memory: `[ids.len()][n_embd]`.
    pub(super) fn rows(&self, ids: &[u32]) -> Result<Vec<f32>> {
        let table = match self {
            Self::Packed(table) => table,
            Self::Stored(_) => return self.tensor(ids, &Device::Cpu)?.flatten_all()?.to_vec1(),
        };
        let mut rows = vec![0.0; ids.len() * table.cols()];
        for (id, row) in ids.iter().zip(rows.chunks_exact_mut(table.cols())) {
            table.dequantize_row(*id as usize, row).map_err(Error::wrap)?;
        }
        Ok(rows)
    }

    /// Looks up the rows of `ids`: `[ids.len(), n_embd]`, f32, on `device`.
    pub(super) fn tensor(&self, ids: &[u32], device: &Device) -> Result<Tensor> {
        match self {
            Self::Packed(table) => {
                Tensor::from_vec(self.rows(ids)?, (ids.len(), table.cols()), device)
            }
            Self::Stored(table) => table.embedding(&Tensor::new(ids, device)?),
        }
    }
}
