//! Longest common subsequence, 64 cells at a time.

/// Length of the longest common subsequence of two sequences of symbols below `n_symbols`.
///
/// Uses the bit-parallel recurrence of Hyyrö (2004, "Bit-parallel LCS-length computation
/// revisited"): bit `i` of `v` is 0 if the current row of the table grows at `a[i]`. For each
/// symbol only the blocks of 64 positions that contain it are stored, so memory is proportional to
/// the length of `a`; a block without the symbol changes only through a carry.
pub(super) fn lcs_len(a: &[u32], b: &[u32], n_symbols: usize) -> usize {
    let blocks = Blocks::new(a, n_symbols);
    let mut v = vec![u64::MAX; a.len().div_ceil(64)];
    for &symbol in b {
        let mut carry = false;
        let mut next = 0;
        for &(block, mask) in blocks.of(symbol) {
            if carry && next < block {
                carry = ripple(&mut v[next..block]);
            }
            let old = v[block];
            let (sum, over) = old.overflowing_add(old & mask);
            let (sum, over_by_carry) = sum.overflowing_add(u64::from(carry));
            v[block] = sum | (old & !mask);
            carry = over || over_by_carry;
            next = block + 1;
        }
        if carry {
            ripple(&mut v[next..]);
        }
    }
    v.iter().map(|bits| bits.count_zeros() as usize).sum()
}

/// Propagates a carry through blocks without the symbol: it sets the lowest 0 bit and stops.
/// Returns whether the carry left the last block.
fn ripple(v: &mut [u64]) -> bool {
    for bits in v {
        if *bits != u64::MAX {
            *bits |= *bits + 1;
            return false;
        }
    }
    true
}

/// Positions of each symbol in `a`, as masks over blocks of 64 positions.
struct Blocks {
    /// Block index and mask; entries of one symbol are adjacent and in order.
    masks: Vec<(usize, u64)>,
    /// Index of the first mask of each symbol, then the total.
    starts: Vec<usize>,
}

impl Blocks {
    fn new(a: &[u32], n_symbols: usize) -> Self {
        let mut order: Vec<(u32, usize)> = a.iter().copied().zip(0..).collect();
        order.sort_unstable();
        let mut masks: Vec<(usize, u64)> = Vec::with_capacity(a.len());
        let mut starts = Vec::with_capacity(n_symbols + 1);
        for (symbol, position) in order {
            let begins = starts.len() <= symbol as usize;
            while starts.len() <= symbol as usize {
                starts.push(masks.len());
            }
            let (block, mask) = (position / 64, 1 << (position % 64));
            match masks.last_mut() {
                Some(last) if !begins && last.0 == block => last.1 |= mask,
                _ => masks.push((block, mask)),
            }
        }
        while starts.len() <= n_symbols {
            starts.push(masks.len());
        }
        Self { masks, starts }
    }

    fn of(&self, symbol: u32) -> &[(usize, u64)] {
        let symbol = symbol as usize;
        &self.masks[self.starts[symbol]..self.starts[symbol + 1]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reference implementation with the full table, cell by cell.
    fn plain(a: &[u32], b: &[u32]) -> usize {
        let mut row = vec![0; a.len() + 1];
        for y in b {
            let mut diagonal = 0;
            for (i, x) in a.iter().enumerate() {
                let above = row[i + 1];
                row[i + 1] = if x == y { diagonal + 1 } else { above.max(row[i]) };
                diagonal = above;
            }
        }
        row[a.len()]
    }

    proptest! {
        #[test]
        fn is_the_tables(
            (n, a, b) in (1_u32..40).prop_flat_map(|n| {
                (Just(n), prop::collection::vec(0..n, 0..400), prop::collection::vec(0..n, 0..400))
            })
        ) {
            prop_assert_eq!(lcs_len(&a, &b, n as usize), plain(&a, &b));
            prop_assert_eq!(lcs_len(&b, &a, n as usize), plain(&a, &b));
        }
    }

    #[test]
    fn carries_cross_blocks() {
        let same: Vec<u32> = vec![0; 300];
        assert_eq!(lcs_len(&same, &same, 1), 300);
        let mut rare: Vec<u32> = vec![1; 300];
        rare[0] = 0;
        rare[299] = 0;
        assert_eq!(lcs_len(&rare, &[0, 0, 0], 2), 2);
        let b: Vec<u32> = [vec![1; 250], vec![0]].concat();
        assert_eq!(lcs_len(&rare, &b, 2), plain(&rare, &b));
    }

    #[test]
    fn nothing_and_very_long() {
        assert_eq!(lcs_len(&[], &[], 0), 0);
        assert_eq!(lcs_len(&[], &[0], 1), 0);
        let long: Vec<u32> = (0..100_000).collect();
        let backwards: Vec<u32> = long.iter().rev().copied().collect();
        assert_eq!(lcs_len(&long, &long, long.len()), long.len());
        assert_eq!(lcs_len(&long, &backwards, long.len()), 1);
    }
}
