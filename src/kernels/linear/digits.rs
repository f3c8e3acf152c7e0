//! int8 digits of the input rows, in the layout that the kernels read.
//!
//! Rows are cut into tiles of up to [`Simd::ROWS`](crate::simd::Simd::ROWS) rows; the number of
//! rows of a tile is a power of two. A tile interleaves its rows: for each group of four columns,
//! the four bytes of the first row, then of the second, and so on. Its scales, sums and corrections
//! are `[block][row]`. The values of a tile that begins at row `i` begin at `i * cols`. Blocks that
//! hold large values have a second digit (`quantize`).

use super::format::{BLOCK, Offset};

/// Rows of a tile whose values the kernel of the matrix tiles reads row by row ([`separate_rows`]).
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub(super) const SEPARATE_ROWS: usize = 8;

/// Output slices for digits. Corrections are indexed by the number of their offset, and empty if it
/// is not in use.
pub(super) struct DigitsMut<'a> {
    pub(super) values: &'a mut [i8],
    pub(super) scales: &'a mut [f32],
    pub(super) sums: &'a mut [f32],
    pub(super) corrections: [&'a mut [i32]; 4],
}

/// Digits of some blocks of some tiles.
#[derive(Default)]
pub(super) struct Digits {
    /// int8 values, `[block][group][row][4]`.
    pub(super) values: Vec<i8>,
    /// Value of one int8 step, `[block][row]`.
    pub(super) scales: Vec<f32>,
    /// Sum of the block's int8 values times the scale, `[block][row]`.
    pub(super) sums: Vec<f32>,
    /// For each offset in use, indexed by its number: the negated sum of the int8 values times the
    /// offset, `[block][row]`, or `[block][half][row]` for [`Offset::Halves`].
    pub(super) corrections: [Vec<i32>; 4],
}

/// Second digits of those blocks of a tile that hold large values.
#[derive(Default)]
pub(crate) struct Extra {
    /// Number of each such block, ascending, and a bit for each row that has a second digit there.
    pub(crate) blocks: Vec<(usize, u8)>,
    pub(super) digits: Digits,
}

/// Pointers to the digits of one tile; the layout is that of [`Digits`].
#[derive(Clone, Copy)]
pub(crate) struct DigitsView {
    pub(crate) values: *const i8,
    pub(crate) scales: *const f32,
    pub(crate) sums: *const f32,
    /// Null if the offset is not in use.
    pub(crate) corrections: *const i32,
}

impl Digits {
    /// Zeros for `n` blocks of one row each.
    pub(super) fn zeroed(n: usize, offsets: &[Offset]) -> Self {
        let mut digits = Self::default();
        digits.grow(n, offsets);
        digits
    }

    pub(super) fn grow(&mut self, n: usize, offsets: &[Offset]) {
        self.values.resize(self.values.len() + n * BLOCK, 0);
        self.scales.resize(self.scales.len() + n, 0.0);
        self.sums.resize(self.sums.len() + n, 0.0);
        for &offset in offsets {
            let part = &mut self.corrections[offset as usize];
            part.resize(self.scales.len() * offset.sums(), 0);
        }
    }

    /// Returns the view that begins at block number `first`, in the order of `scales`.
    pub(super) fn view(&self, first: usize, offset: Option<Offset>) -> DigitsView {
        DigitsView {
            values: self.values[first * BLOCK..].as_ptr(),
            scales: self.scales[first..].as_ptr(),
            sums: self.sums[first..].as_ptr(),
            corrections: offset.map_or(std::ptr::null(), |offset| {
                self.corrections[offset as usize][first * offset.sums()..].as_ptr()
            }),
        }
    }
}

/// Reorders the values of tiles of eight rows from `[block][group][row][4]` to
/// `[block][row][group][4]`, for the matrix tiles.
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub(super) fn separate_rows(values: &mut [i8]) {
    for block in values.as_chunks_mut::<{ BLOCK * SEPARATE_ROWS }>().0 {
        let fours = block.as_chunks_mut::<4>().0;
        for row in 0..SEPARATE_ROWS {
            for group in row + 1..SEPARATE_ROWS {
                fours.swap(8 * row + group, 8 * group + row);
            }
        }
    }
}
