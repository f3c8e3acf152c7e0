//! Layout of each weight format in a panel, and how sixteen channels of it are read.
//!
//! A block of a panel is 16 channels by 32 columns. Columns are grouped by four, for the four bytes
//! of a lane of the byte dot product: group `g` is columns `4 g .. 4 g + 4`. Chunk `c` (64 bytes,
//! four per channel) of a nibble format holds group `c` in its low nibbles and group `c + 4` in its
//! high nibbles. Five-bit formats add 64 bits per group. Six-bit formats add two planes of 64
//! bytes: the two bits from bit `2 c` on belong to group `c` in plane 0 and to group `c + 4` in
//! plane 1.

#![allow(unsafe_code)]
// Bodies are a few calls under the contract of `QuantFormat`.
#![allow(unsafe_op_in_unsafe_fn)]

use candle_core::quantized::GgmlDType;

use crate::simd::Simd;
use crate::{Error, Result};

/// Columns of a block.
pub(crate) const BLOCK: usize = 32;
/// Channels of a panel.
pub(crate) const PANEL: usize = 16;

/// A packed format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packing {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4K,
    Q5K,
    Q6K,
}

impl Packing {
    pub(crate) fn of(dtype: GgmlDType) -> Result<Self> {
        Ok(match dtype {
            GgmlDType::F32 => Self::F32,
            GgmlDType::F16 => Self::F16,
            GgmlDType::BF16 => Self::Bf16,
            GgmlDType::Q4_0 => Self::Q4_0,
            GgmlDType::Q4_1 => Self::Q4_1,
            GgmlDType::Q5_0 => Self::Q5_0,
            GgmlDType::Q5_1 => Self::Q5_1,
            GgmlDType::Q8_0 => Self::Q8_0,
            GgmlDType::Q4K => Self::Q4K,
            GgmlDType::Q5K => Self::Q5K,
            GgmlDType::Q6K => Self::Q6K,
            other => return Err(Error::Format(other)),
        })
    }

    /// Whether the kernels multiply `f32` rather than int8.
    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::Bf16)
    }

    /// Returns the bytes of a panel's quants (or float weights) for one block.
    pub(crate) fn quant_bytes(self) -> usize {
        match self {
            Self::F32 => 32 * PANEL * 4,
            Self::F16 | Self::Bf16 => 32 * PANEL * 2,
            Self::Q4_0 | Self::Q4_1 | Self::Q4K => 256,
            Self::Q5_0 | Self::Q5_1 | Self::Q5K => 320,
            Self::Q6K => 384,
            Self::Q8_0 => 512,
        }
    }

    /// Returns the bytes of a panel's scales for `blocks` blocks, rounded up to a multiple of 64.
    pub(crate) fn scale_bytes(self, blocks: usize) -> usize {
        let bytes = match self {
            Self::F32 | Self::F16 | Self::Bf16 => 0,
            Self::Q4_0 | Self::Q5_0 | Self::Q8_0 => blocks * PANEL * 2,
            Self::Q4_1 | Self::Q5_1 => blocks * PANEL * 4,
            Self::Q4K | Self::Q5K => blocks / 8 * SUPER_K,
            Self::Q6K => blocks / 8 * SUPER_6K,
        };
        bytes.next_multiple_of(64)
    }

    /// Returns the bytes of a whole panel.
    pub(crate) fn panel_bytes(self, blocks: usize) -> usize {
        self.quant_bytes() * blocks + self.scale_bytes(blocks)
    }

    /// Returns the offset that the kernels subtract from each stored weight, as an index into the
    /// activations' corrections.
    pub(crate) fn offset(self) -> Option<Offset> {
        match self {
            Self::Q4_0 => Some(Offset::Eight),
            Self::Q5_0 => Some(Offset::Sixteen),
            Self::Q8_0 => Some(Offset::Wide),
            Self::Q6K => Some(Offset::Halves),
            _ => None,
        }
    }
}

/// Bytes of the scales of a super-block of Q4_K or Q5_K: `d` and `dmin` of each channel as f16,
/// then for each of the eight blocks its scales and its minima, one byte per channel.
pub(crate) const SUPER_K: usize = 4 * PANEL + 8 * 2 * PANEL;
/// Bytes of the scales of a super-block of Q6_K: `d` of each channel as f16, then for each half
/// block its scales, one signed byte per channel.
pub(crate) const SUPER_6K: usize = 2 * PANEL + 16 * PANEL;

/// Offset that a format adds to each stored weight. The kernels correct for it with the
/// activations' sums, as the initial value of the dot product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offset {
    /// 8.
    Eight,
    /// 16.
    Sixteen,
    /// 128, if the dot product does not subtract it itself.
    Wide,
    /// 32, with one sum for each half of a block.
    Halves,
}

impl Offset {
    pub(crate) const ALL: [Self; 4] = [Self::Eight, Self::Sixteen, Self::Wide, Self::Halves];

    /// Returns the number of sums per block and row.
    pub(crate) fn sums(self) -> usize {
        if self == Self::Halves { 2 } else { 1 }
    }

    /// Returns the binary logarithm of the offset.
    pub(crate) fn shift(self) -> u32 {
        match self {
            Self::Eight => 3,
            Self::Sixteen => 4,
            Self::Wide => 7,
            Self::Halves => 5,
        }
    }
}

/// A quantized format, as its kernel reads it.
///
/// # Safety
/// `quants` points to the block's quants in a panel, `scales` to the panel's scales; `c` is below
/// 4, `block` below the panel's number of blocks. The CPU supports the instruction set of `S`.
pub(crate) trait QuantFormat: Copy + 'static {
    const PACKING: Packing;
    /// Whether there is a minimum besides the scale.
    const HAS_MIN: bool;
    /// Whether each half of a block has its own scale.
    const HALVES: bool;

    /// Number of groups whose byte products fit into the sixteen bits of a pair's sum: 2 * 127 times the
    /// largest stored weight each ([`Simd::dot`]).
    const GROUPS: usize;

    /// Returns the bytes of groups `c` and `c + 4`.
    unsafe fn pair<S: Simd>(quants: *const u8, c: usize) -> (S::W, S::W);

    unsafe fn scale<S: Simd>(scales: *const u8, block: usize, half: usize) -> S::F;

    unsafe fn min<S: Simd>(_scales: *const u8, _block: usize) -> S::F {
        S::splat(0.0)
    }

    /// Adds the products of a group with the digits at `x`.
    #[inline(always)]
    unsafe fn dot<S: Simd>(total: S::D, w: S::W, x: *const i8) -> S::D {
        S::dot(total, w, x)
    }
}

#[inline(always)]
unsafe fn nibbles<S: Simd>(quants: *const u8, c: usize) -> (S::W, S::W) {
    let both = S::bytes(quants.add(64 * c));
    (S::low_nibbles(both), S::high_nibbles(both))
}

#[inline(always)]
unsafe fn five_bits<S: Simd>(quants: *const u8, c: usize) -> (S::W, S::W) {
    let (low, high) = nibbles::<S>(quants, c);
    let bits = quants.add(256 + 8 * c);
    (S::with_fifth_bit(low, bits), S::with_fifth_bit(high, bits.add(32)))
}

#[inline(always)]
unsafe fn two_bits<S: Simd>(low: S::W, high: S::W, planes: *const u8, c: usize) -> (S::W, S::W) {
    let (first, second) = (S::bytes(planes), S::bytes(planes.add(64)));
    match c {
        0 => (S::with_two_bits::<0>(low, first), S::with_two_bits::<0>(high, second)),
        1 => (S::with_two_bits::<1>(low, first), S::with_two_bits::<1>(high, second)),
        2 => (S::with_two_bits::<2>(low, first), S::with_two_bits::<2>(high, second)),
        _ => (S::with_two_bits::<3>(low, first), S::with_two_bits::<3>(high, second)),
    }
}

/// Reads the scale of a format that has one f16 per block.
#[inline(always)]
unsafe fn plain_scale<S: Simd>(scales: *const u8, block: usize) -> S::F {
    S::load_f16(scales.add(block * 2 * PANEL).cast())
}

/// Reads the scale (0) or minimum (1) of a format that has both as f16 per block.
#[inline(always)]
unsafe fn paired_scale<S: Simd>(scales: *const u8, block: usize, which: usize) -> S::F {
    S::load_f16(scales.add((2 * block + which) * 2 * PANEL).cast())
}

/// Reads the scale (0) or minimum (1) of a block of a Q4_K or Q5_K super-block. Both factors have
/// few enough bits for their product to be exact.
#[inline(always)]
unsafe fn super_scale<S: Simd>(scales: *const u8, block: usize, which: usize) -> S::F {
    let base = scales.add(block / 8 * SUPER_K);
    let small = base.add(4 * PANEL + (block % 8 * 2 + which) * PANEL);
    S::mul(S::load_f16(base.add(which * 2 * PANEL).cast()), S::load_u8(small))
}

macro_rules! format {
    (
        $name:ident, min $has_min:literal, halves $halves:literal, groups $groups:literal, $pair:ident,
        |$scales:ident, $block:ident, $half:ident| $scale:expr, $min:expr $(, $dot:ident)?
    ) => {
        #[derive(Clone, Copy)]
        pub(crate) struct $name;

        impl QuantFormat for $name {
            const PACKING: Packing = Packing::$name;
            const HAS_MIN: bool = $has_min;
            const HALVES: bool = $halves;
            const GROUPS: usize = $groups;

            #[inline(always)]
            unsafe fn pair<S: Simd>(quants: *const u8, c: usize) -> (S::W, S::W) {
                $pair::<S>(quants, c)
            }
            #[inline(always)]
            unsafe fn scale<S: Simd>($scales: *const u8, $block: usize, $half: usize) -> S::F {
                $scale
            }
            #[inline(always)]
            unsafe fn min<S: Simd>($scales: *const u8, $block: usize) -> S::F {
                $min
            }
            $(
                #[inline(always)]
                unsafe fn dot<S: Simd>(total: S::D, w: S::W, x: *const i8) -> S::D {
                    S::$dot(total, w, x)
                }
            )?
        }
    };
}

#[inline(always)]
unsafe fn whole_bytes<S: Simd>(quants: *const u8, c: usize) -> (S::W, S::W) {
    (S::bytes(quants.add(64 * c)), S::bytes(quants.add(64 * (c + 4))))
}

#[inline(always)]
unsafe fn six_bits<S: Simd>(quants: *const u8, c: usize) -> (S::W, S::W) {
    let (low, high) = nibbles::<S>(quants, c);
    two_bits::<S>(low, high, quants.add(256), c)
}

/// Reads the scale of a half block of Q6_K.
#[inline(always)]
unsafe fn half_scale<S: Simd>(scales: *const u8, block: usize, half: usize) -> S::F {
    let base = scales.add(block / 8 * SUPER_6K);
    let small = base.add(2 * PANEL + (block % 8 * 2 + half) * PANEL);
    S::mul(S::load_f16(base.cast()), S::load_i8(small.cast()))
}

format!(Q4_0, min false, halves false, groups 8, nibbles,
    |scales, block, _half| plain_scale::<S>(scales, block), zero::<S>(scales, block));
format!(Q4_1, min true, halves false, groups 8, nibbles,
    |scales, block, _half| paired_scale::<S>(scales, block, 0), paired_scale::<S>(scales, block, 1));
format!(Q5_0, min false, halves false, groups 4, five_bits,
    |scales, block, _half| plain_scale::<S>(scales, block), zero::<S>(scales, block));
format!(Q5_1, min true, halves false, groups 4, five_bits,
    |scales, block, _half| paired_scale::<S>(scales, block, 0), paired_scale::<S>(scales, block, 1));
format!(Q8_0, min false, halves false, groups 1, whole_bytes,
    |scales, block, _half| plain_scale::<S>(scales, block), zero::<S>(scales, block), dot_wide);
format!(Q4K, min true, halves false, groups 8, nibbles,
    |scales, block, _half| super_scale::<S>(scales, block, 0), super_scale::<S>(scales, block, 1));
format!(Q5K, min true, halves false, groups 4, five_bits,
    |scales, block, _half| super_scale::<S>(scales, block, 0), super_scale::<S>(scales, block, 1));
format!(Q6K, min false, halves true, groups 2, six_bits,
    |scales, block, half| half_scale::<S>(scales, block, half), zero::<S>(scales, block));

#[inline(always)]
unsafe fn zero<S: Simd>(_scales: *const u8, _block: usize) -> S::F {
    S::splat(0.0)
}

/// Float weights, as their kernel reads them: sixteen channels of a column.
pub(crate) trait FloatFormat: Copy + 'static {
    const BYTES: usize;
    /// # Safety
    /// `from` points to sixteen weights; the CPU supports the instruction set of `S`.
    unsafe fn load<S: Simd>(from: *const u8) -> S::F;
}

macro_rules! float {
    ($name:ident, $bytes:literal, $load:ident) => {
        #[derive(Clone, Copy)]
        pub(crate) struct $name;
        impl FloatFormat for $name {
            const BYTES: usize = $bytes;
            #[inline(always)]
            unsafe fn load<S: Simd>(from: *const u8) -> S::F {
                S::$load(from.cast())
            }
        }
    };
}

float!(F32, 4, load);
float!(F16, 2, load_f16);
float!(Bf16, 2, load_bf16);
