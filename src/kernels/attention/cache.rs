//! How keys and values lie in a run.

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

use crate::error::check_length;
use crate::simd::LANES;
use crate::simd::math::SMALLEST_BF16;
use crate::{Error, Result};

/// Positions of a run. Runs begin at multiples of it in every sequence.
pub const RUN: usize = 64;

/// What keys and values are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvPrecision {
    /// Eleven bits of precision; attention computes in f32.
    #[default]
    F16,
    /// Eight bits of precision; attention rounds queries and weights to as many, and sums in f32. It
    /// is faster where the CPU has AVX-512 BF16, and gives the same bits everywhere.
    Bf16,
}

/// Shape of the keys and values of one layer.
///
/// A run is one slice of the bits of f16 or bf16. First come the keys of each head, then the values.
/// Of f16, keys are `[n_kv_heads][4][head_dim][16]`: sixteen positions side by side are the lanes of a
/// vector, so a score is a sum within a lane; and values `[n_kv_heads][64][head_dim]`: sixteen
/// dimensions side by side. Of bf16, keys are `[n_kv_heads][4][head_dim / 2][16][2]`, pairs of
/// dimensions, and values `[n_kv_heads][32][head_dim][2]`, pairs of positions. `head_dim` is rounded
/// up to a multiple of sixteen, the rest zero. Positions that were not written yet may hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvShape {
    /// Heads of keys and values.
    pub n_kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// What they are kept in.
    pub precision: KvPrecision,
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
    pub fn write(self, run: &mut [u16], offset: usize, keys: &[f32], values: &[f32]) -> Result<()> {
        let (n_heads, dim) = (self.n_kv_heads, self.head_dim);
        check_length("cache", "the run", run.len(), self.run_len())?;
        check_length("cache", "the keys", keys.len(), n_heads * dim)?;
        check_length("cache", "the values", values.len(), n_heads * dim)?;
        if offset >= RUN {
            let expected = "0 to 63";
            return Err(Error::Shape { operation: "cache", what: "offset", got: offset, expected });
        }
        let (run_keys, run_values) = run.split_at_mut(n_heads * self.head_len());
        let (panel, lane) = (offset / LANES * self.padded_dim() * LANES, offset % LANES);
        let mut narrow = vec![0; n_heads * dim];
        self.narrow(keys, &mut narrow);
        for (run, keys) in run_keys.chunks_exact_mut(self.head_len()).zip(narrow.chunks_exact(dim))
        {
            match self.precision {
                KvPrecision::F16 => {
                    let places = run[panel + lane..].iter_mut().step_by(LANES);
                    places.zip(keys).for_each(|(place, key)| *place = *key);
                }
                KvPrecision::Bf16 => {
                    let places = run[panel + 2 * lane..].chunks_mut(2 * LANES);
                    for (place, pair) in places.zip(keys.chunks(2)) {
                        place[..pair.len()].copy_from_slice(pair);
                    }
                }
            }
        }
        self.narrow(values, &mut narrow);
        for (run, values) in
            run_values.chunks_exact_mut(self.head_len()).zip(narrow.chunks_exact(dim))
        {
            match self.precision {
                KvPrecision::F16 => {
                    run[offset * self.padded_dim()..][..dim].copy_from_slice(values);
                }
                KvPrecision::Bf16 => {
                    let pairs = &mut run[offset / 2 * 2 * self.padded_dim() + offset % 2..];
                    let places = pairs.iter_mut().step_by(2);
                    places.zip(values).for_each(|(place, value)| *place = *value);
                }
            }
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

    fn narrow(self, wide: &[f32], narrow: &mut [u16]) {
        const LARGEST: f32 = 65_504.0;
        for (wide, narrow) in wide.chunks(LANES).zip(narrow.chunks_mut(LANES)) {
            let mut within = [0.0; LANES];
            // `clamp` keeps NaN.
            within.iter_mut().zip(wide).for_each(|(to, x)| *to = x.clamp(-LARGEST, LARGEST));
            match self.precision {
                KvPrecision::F16 => narrow
                    .reinterpret_cast_mut::<f16>()
                    .convert_from_f32_slice(&within[..wide.len()]),
                KvPrecision::Bf16 => {
                    narrow.iter_mut().zip(within).for_each(|(to, x)| *to = to_bf16(x));
                }
            }
        }
    }
}

/// Bits of the nearest bf16, ties to even, and of zero below the smallest; NaN of NaN.
fn to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16;
    let rounded = if x.abs() < SMALLEST_BF16 { 0 } else { rounded };
    (if x.is_nan() { 0x7FC0 } else { rounded }) as u16
}
