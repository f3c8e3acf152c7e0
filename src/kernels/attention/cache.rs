//! How keys and values lie in a run.

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::kernels::error::check_length;
use crate::kernels::simd::LANES;
use crate::kernels::{Error, Result};

/// Positions of a run. Runs begin at multiples of it in every sequence.
pub const RUN: usize = 64;

/// Shape of the keys and values of one layer.
///
/// A run is one slice of f16. First come the keys of each head, `[n_kv_heads][4][head_dim][16]`:
/// sixteen positions side by side are the lanes of a vector, so a score is a sum within a lane.
/// Then the values, `[n_kv_heads][64][head_dim]`: sixteen dimensions side by side. `head_dim` is
/// rounded up to a multiple of sixteen, the rest zero. Positions that were not written yet may
/// hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvShape {
    /// Heads of keys and values.
    pub n_kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
}

impl KvShape {
    /// Elements of a run: keys and values of 64 positions.
    #[must_use]
    pub fn run_len(self) -> usize {
        2 * self.n_kv_heads * self.head_len()
    }

    /// Writes keys and values of one position, `[n_kv_heads, head_dim]` each, to the place
    /// `offset` (0 to 63) of a run. Numbers beyond f16 become its largest.
    ///
    /// # Errors
    /// A slice has another length than the shape says, or the offset lies beyond the run.
    pub fn write(self, run: &mut [f16], offset: usize, keys: &[f32], values: &[f32]) -> Result<()> {
        let (n_heads, dim) = (self.n_kv_heads, self.head_dim);
        check_length("cache", "the run", run.len(), self.run_len())?;
        check_length("cache", "the keys", keys.len(), n_heads * dim)?;
        check_length("cache", "the values", values.len(), n_heads * dim)?;
        if offset >= RUN {
            let expected = "0 to 63";
            return Err(Error::Shape { operation: "cache", what: "offset", got: offset, expected });
        }
        let (run_keys, run_values) = run.split_at_mut(n_heads * self.head_len());
        let panel = offset / LANES * self.padded_dim() * LANES + offset % LANES;
        let mut narrow = vec![f16::ZERO; n_heads * dim];
        to_f16(keys, &mut narrow);
        for (run, keys) in run_keys.chunks_exact_mut(self.head_len()).zip(narrow.chunks_exact(dim))
        {
            for (place, key) in run[panel..].iter_mut().step_by(LANES).zip(keys) {
                *place = *key;
            }
        }
        to_f16(values, &mut narrow);
        for (run, values) in
            run_values.chunks_exact_mut(self.head_len()).zip(narrow.chunks_exact(dim))
        {
            run[offset * self.padded_dim()..][..dim].copy_from_slice(values);
        }
        Ok(())
    }

    /// Elements of a head as they are laid out.
    pub(crate) fn padded_dim(self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    /// Elements of one head's keys, or values, of a run.
    pub(crate) fn head_len(self) -> usize {
        self.padded_dim() * RUN
    }
}

fn to_f16(wide: &[f32], narrow: &mut [f16]) {
    const LARGEST: f32 = 65_504.0;
    for (wide, narrow) in wide.chunks(LANES).zip(narrow.chunks_mut(LANES)) {
        let mut within = [0.0; LANES];
        // `clamp` keeps NaN.
        within.iter_mut().zip(wide).for_each(|(to, x)| *to = x.clamp(-LARGEST, LARGEST));
        narrow.convert_from_f32_slice(&within[..wide.len()]);
    }
}
