//! Runs of characters.

use std::ops::RangeInclusive;

/// FNV's offset and prime; a character at a time, not a byte.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Hashes of all runs of `lengths` characters of a text, with repetitions. Case and punctuation
/// count; white space is one blank, and one stands before and behind the text, so that beginnings and
/// endings count as well. Of a few million runs no two are likely to have the same hash.
pub(super) fn ngrams(text: &str, lengths: RangeInclusive<usize>) -> Vec<u64> {
    let mut letters = vec![' '];
    for word in text.split_whitespace() {
        letters.extend(word.chars());
        letters.push(' ');
    }
    let mut hashes = Vec::with_capacity(letters.len() * lengths.clone().count());
    for begin in 0..letters.len() {
        let mut hash = OFFSET;
        for (i, letter) in letters[begin..].iter().take(*lengths.end()).enumerate() {
            hash = (hash ^ u64::from(*letter)).wrapping_mul(PRIME);
            if lengths.contains(&(i + 1)) {
                hashes.push(hash);
            }
        }
    }
    hashes
}

/// Each hash once, ascending, and how often it occurs.
pub(super) fn counted(mut hashes: Vec<u64>) -> Vec<(u64, f64)> {
    hashes.sort_unstable();
    hashes.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as f64)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_apart_by_case_order_and_length_not_by_white_space() {
        assert_eq!(ngrams("ab", 3..=5).len(), 2 + 1);
        assert_eq!(ngrams(" a\t\nb  c ", 3..=3), ngrams("a b c", 3..=3));
        assert_ne!(ngrams("Ab", 4..=4), ngrams("ab", 4..=4));
        assert_eq!(ngrams("", 3..=5), [0_u64; 0]);
        let counts = counted(ngrams("aaaaa", 3..=3));
        let mut times: Vec<f64> = counts.iter().map(|(_, n)| *n).collect();
        times.sort_unstable_by(f64::total_cmp);
        assert_eq!(times, [1.0, 1.0, 3.0]);
        assert_eq!(ngrams("é好\u{1F600}", 3..=3).len(), 3);
    }
}
