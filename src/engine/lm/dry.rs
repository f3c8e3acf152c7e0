//! The DRY penalty ("don't repeat yourself"): lowers the logit of a token that would extend a
//! repeated run of tokens; the longer the run, the larger the penalty.
//!
//! For a candidate token t, let n be the length of the longest run of tokens that is both at the
//! end of the sequence and directly before an earlier t. If n reaches the allowed length, t's logit
//! is reduced by `multiplier * base^(n - allowed)`. Runs do not extend across sequence breakers,
//! and breakers are not penalised. (Proposed by p-e-w in oobabooga/text-generation-webui, pull
//! request 5677.)

use super::Sampling;
use super::token_kinds::TokenKinds;

/// Subtracts the penalties from `logits`. Linear in the length of `window`.
pub(super) fn penalise(
    logits: &mut [f32],
    window: &[u32],
    settings: &Sampling,
    kinds: &TokenKinds,
) {
    let allowed = settings.dry_allowed_length;
    // A run at the end must not extend across the last breaker.
    let longest = window.iter().rev().take_while(|id| !kinds.ends_run(**id)).count();
    if longest < allowed.max(1) {
        return;
    }
    let backwards: Vec<u32> = window.iter().rev().copied().collect();
    let matches = common_prefixes(&backwards);
    // For each token, the longest match before one of its occurrences.
    let mut candidates: Vec<(u32, usize)> = (1..backwards.len())
        .map(|i| (backwards[i - 1], matches[i].min(longest)))
        .filter(|(id, length)| {
            *length >= allowed.max(1) && !kinds.ends_run(*id) && (*id as usize) < logits.len()
        })
        .collect();
    candidates.sort_unstable_by_key(|(id, length)| (*id, std::cmp::Reverse(*length)));
    candidates.dedup_by_key(|(id, _)| *id);
    for (id, length) in candidates {
        let penalty = settings.dry_multiplier * settings.dry_base.powi((length - allowed) as i32);
        // The penalty is bounded, so that a power beyond f32 leaves a finite logit.
        logits[id as usize] -= penalty.min(f32::MAX / 4.0);
    }
}

/// Z-function: for each i, the number of elements from i on that equal the beginning (0 for i = 0).
/// Gusfield, Algorithms on Strings, Trees and Sequences, section 1.3.
fn common_prefixes(x: &[u32]) -> Vec<usize> {
    let mut lengths = vec![0; x.len()];
    // The match that extends furthest: x[left..right] equals x[..right - left].
    let (mut left, mut right) = (0, 0);
    for i in 1..x.len() {
        let mut length = if i < right { lengths[i - left].min(right - i) } else { 0 };
        while i + length < x.len() && x[length] == x[i + length] {
            length += 1;
        }
        if i + length > right {
            (left, right) = (i, i + length);
        }
        lengths[i] = length;
    }
    lengths
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// Ids 0 to 8 are letters, 9 is a newline, 10 a control token.
    fn vocabulary() -> TokenKinds {
        let tokens: [&[u8]; 11] =
            [b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h", b"i", b"\n", b""];
        TokenKinds::new(tokens.into_iter())
    }

    fn settings(allowed: usize) -> Sampling {
        Sampling {
            dry_multiplier: 0.8,
            dry_base: 2.0,
            dry_allowed_length: allowed,
            ..Sampling::default()
        }
    }

    fn penalties(window: &[u32], allowed: usize) -> Vec<f32> {
        let mut logits = vec![0.0; 11];
        penalise(&mut logits, window, &settings(allowed), &vocabulary());
        logits.iter().map(|logit| -logit).collect()
    }

    #[test]
    fn a_repeated_run_of_three_costs_the_multiplier_times_the_base() {
        // a b c d ... a b c: a d would extend the repeated run to four.
        let penalties = penalties(&[0, 1, 2, 3, 7, 0, 1, 2], 2);
        assert_eq!(penalties[3], 0.8 * 2.0);
        assert_eq!(penalties.iter().filter(|p| **p != 0.0).count(), 1);
    }

    #[test]
    fn of_several_matches_the_longest_counts() {
        // "b c -> d" once, "a b c -> d" once, "b c -> e" once.
        let penalties = penalties(&[1, 2, 3, 0, 1, 2, 3, 1, 2, 4, 0, 1, 2], 2);
        assert_eq!(penalties[3], 0.8 * 2.0);
        assert_eq!(penalties[4], 0.8);
    }

    #[test]
    fn runs_shorter_than_allowed_are_free() {
        assert!(penalties(&[0, 1, 2, 3, 0, 1, 2], 4).iter().all(|p| *p == 0.0));
    }

    #[test]
    fn breakers_end_runs_and_are_free() {
        // a \n b c ... a \n b: only "b" counts.
        assert!(penalties(&[0, 9, 1, 2, 7, 0, 9, 1], 2).iter().all(|p| *p == 0.0));
        assert_eq!(penalties(&[0, 9, 1, 2, 7, 0, 9, 1], 1)[2], 0.8);
        // a b \n ... a b: neither the newline itself nor a control token is penalised.
        assert!(penalties(&[0, 1, 9, 7, 0, 1], 2).iter().all(|p| *p == 0.0));
        assert!(penalties(&[0, 1, 10, 7, 0, 1], 2).iter().all(|p| *p == 0.0));
    }

    #[test]
    fn a_very_long_run_stays_finite() {
        let window = vec![0; 5000];
        let mut logits = vec![0.0; 11];
        penalise(&mut logits, &window, &settings(2), &vocabulary());
        assert!(logits[0].is_finite() && logits[0] < -1e30);
    }

    proptest! {
        #[test]
        fn equals_the_definition(window in prop::collection::vec(0u32..11, 0..40), allowed in 1usize..4) {
            let vocabulary = vocabulary();
            let mut want = vec![0f32; 11];
            for candidate in 0..9u32 {
                let mut best = 0;
                for at in 0..window.len() {
                    if window[at] != candidate { continue; }
                    let mut length = 0;
                    while length < at
                        && window[at - 1 - length] == window[window.len() - 1 - length]
                        && !vocabulary.ends_run(window[at - 1 - length])
                    {
                        length += 1;
                    }
                    best = best.max(length);
                }
                if best >= allowed {
                    want[candidate as usize] = 0.8 * 2f32.powi((best - allowed) as i32);
                }
            }
            prop_assert_eq!(penalties(&window, allowed), want);
        }
    }
}
