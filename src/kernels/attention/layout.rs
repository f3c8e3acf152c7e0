//! Layout of keys and values in a KV block.

use half::f16;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};

use crate::error::check_length;
use crate::simd::LANES;
use crate::simd::math::SMALLEST_BF16;
use crate::{Error, Result};

/// Positions of a KV block. In every sequence, KV blocks begin at multiples of it.
pub const KV_BLOCK_SIZE: usize = 64;

/// Number format of the stored keys and values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KvPrecision {
    /// f16, with eleven bits of precision; attention computes in f32.
    #[default]
    F16,
    /// bf16, with eight bits of precision. Attention rounds queries and weights to bf16 and sums in
    /// f32. It is faster on CPUs with AVX-512 BF16 and gives the same bits on all CPUs.
    Bf16,
}

/// Shape of the keys and values of one layer.
///
/// A KV block is one slice of the bits of f16 or bf16: the keys of each head, then the values of
/// each head.
///
/// - f16: keys are `[n_kv_heads][4][head_dim][16]`. Sixteen adjacent positions are the lanes of a
///   vector, so a score is a sum within a lane. Values are `[n_kv_heads][64][head_dim]`, with
///   sixteen adjacent dimensions as a vector.
///
/// - bf16: keys are `[n_kv_heads][4][head_dim / 2][16][2]`, with pairs of dimensions. Values are
///   `[n_kv_heads][32][head_dim][2]`, with pairs of positions.
///
/// `head_dim` is rounded up to a multiple of sixteen; the padding is zero. Positions that were not
/// written yet may hold anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvShape {
    /// Number of heads of keys and of values.
    pub n_kv_heads: usize,
    /// Elements of a head.
    pub head_dim: usize,
    /// Number format they are stored in.
    pub precision: KvPrecision,
}

impl KvShape {
    /// Returns the elements of a KV block: keys and values of 64 positions.
    #[must_use]
    pub fn block_len(self) -> usize {
        2 * self.n_kv_heads * self.head_len()
    }

    /// Writes keys and values of one position, `[n_kv_heads, head_dim]` each, at `offset` (0 to 63)
    /// of a KV block. With either precision, numbers are clamped to the range of f16 (±65,504).
    ///
    /// # Errors
    /// The length of a slice does not match the shape, or the offset is outside the KV block.
    pub fn write(
        self,
        kv_block: &mut [u16],
        offset: usize,
        keys: &[f32],
        values: &[f32],
    ) -> Result<()> {
        let (n_heads, dim) = (self.n_kv_heads, self.head_dim);
        check_length("cache", "the KV block", kv_block.len(), self.block_len())?;
        check_length("cache", "the keys", keys.len(), n_heads * dim)?;
        check_length("cache", "the values", values.len(), n_heads * dim)?;
        if offset >= KV_BLOCK_SIZE {
            let expected = "0 to 63";
            return Err(Error::Shape { operation: "cache", what: "offset", got: offset, expected });
        }
        let (block_keys, block_values) = kv_block.split_at_mut(n_heads * self.head_len());
        let (panel, lane) = (offset / LANES * self.padded_dim() * LANES, offset % LANES);
        let mut narrow = vec![0; n_heads * dim];
        self.narrow(keys, &mut narrow);
        for (head, keys) in
            block_keys.chunks_exact_mut(self.head_len()).zip(narrow.chunks_exact(dim))
        {
            match self.precision {
                KvPrecision::F16 => {
                    let places = head[panel + lane..].iter_mut().step_by(LANES);
                    places.zip(keys).for_each(|(place, key)| *place = *key);
                }
                KvPrecision::Bf16 => {
                    let places = head[panel + 2 * lane..].chunks_mut(2 * LANES);
                    for (place, pair) in places.zip(keys.chunks(2)) {
                        place[..pair.len()].copy_from_slice(pair);
                    }
                }
            }
        }
        self.narrow(values, &mut narrow);
        for (head, values) in
            block_values.chunks_exact_mut(self.head_len()).zip(narrow.chunks_exact(dim))
        {
            match self.precision {
                KvPrecision::F16 => {
                    head[offset * self.padded_dim()..][..dim].copy_from_slice(values);
                }
                KvPrecision::Bf16 => {
                    let pairs = &mut head[offset / 2 * 2 * self.padded_dim() + offset % 2..];
                    let places = pairs.iter_mut().step_by(2);
                    places.zip(values).for_each(|(place, value)| *place = *value);
                }
            }
        }
        Ok(())
    }

    /// Returns the elements of a head, padded to a multiple of sixteen.
    pub(crate) fn padded_dim(self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    /// Returns the elements of one head's keys, or values, in a KV block.
    pub(crate) fn head_len(self) -> usize {
        self.padded_dim() * KV_BLOCK_SIZE
    }

    fn narrow(self, wide: &[f32], narrow: &mut [u16]) {
        const MAX_F16: f32 = 65_504.0;
        for (wide, narrow) in wide.chunks(LANES).zip(narrow.chunks_mut(LANES)) {
            let mut within = [0.0; LANES];
            // `clamp` keeps NaN.
            within.iter_mut().zip(wide).for_each(|(to, x)| *to = x.clamp(-MAX_F16, MAX_F16));
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

/// Returns the bits of the nearest bf16, ties to even; zero for magnitudes below `SMALLEST_BF16`;
/// NaN for NaN.
fn to_bf16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16;
    let rounded = if x.abs() < SMALLEST_BF16 { 0 } else { rounded };
    (if x.is_nan() { 0x7FC0 } else { rounded }) as u16
}
