//! Character n-grams.

use std::ops::RangeInclusive;

/// Offset and prime of the FNV-1a hash, applied to characters instead of bytes.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// Hashes of all character n-grams of a text whose length is in `lengths`, with repetitions. Case
/// and punctuation count. White space is reduced to single spaces, and one space is added before
/// and after the text, so that n-grams also cover its beginning and end. Among a few million
/// n-grams a hash collision is unlikely.
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

/// Distinct hashes, ascending, with their counts.
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
