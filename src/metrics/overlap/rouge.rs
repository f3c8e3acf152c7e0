//! ROUGE-1 and ROUGE-L.

use super::lcs::lcs_len;
use super::words::{WordIds, lowered, words};

/// ROUGE F-measures (Lin 2004), as `rouge-score` 0.1.2 computes them with its default tokenizer and
/// without stemming; 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Rouge {
    /// Unigram F-measure.
    pub rouge1: f64,
    /// F-measure of the longest common subsequence, with the whole text as one sequence (`rougeL`,
    /// not `rougeLsum`).
    pub rouge_l: f64,
}

impl Rouge {
    /// Scores a prediction against its reference; both values are 0 if either text has no words.
    #[must_use]
    pub fn of(prediction: &str, reference: &str) -> Self {
        let (prediction, reference) = (lowered(prediction), lowered(reference));
        let mut vocabulary = WordIds::default();
        let predicted: Vec<u32> = words(&prediction).map(|word| vocabulary.id(word)).collect();
        let expected: Vec<u32> = words(&reference).map(|word| vocabulary.id(word)).collect();
        Self::of_words(&predicted, &expected, vocabulary.len())
    }

    /// Scores sequences of word ids below `n_words`.
    pub(super) fn of_words(predicted: &[u32], expected: &[u32], n_words: usize) -> Self {
        let f = |n| f_measure(n, predicted.len(), expected.len());
        Self {
            rouge1: f(n_common(predicted, expected, n_words)),
            rouge_l: f(lcs_len(expected, predicted, n_words)),
        }
    }
}

/// Clipped unigram overlap.
fn n_common(predicted: &[u32], expected: &[u32], n_words: usize) -> usize {
    let mut left = vec![0_u32; n_words];
    for &word in expected {
        left[word as usize] += 1;
    }
    let mut n = 0;
    for &word in predicted {
        if left[word as usize] > 0 {
            left[word as usize] -= 1;
            n += 1;
        }
    }
    n
}

/// Harmonic mean of `n / n_predicted` and `n / n_expected`.
#[allow(clippy::cast_precision_loss)]
fn f_measure(n: usize, n_predicted: usize, n_expected: usize) -> f64 {
    if n == 0 {
        return 0.0;
    }
    let (precision, recall) = (n as f64 / n_predicted as f64, n as f64 / n_expected as f64);
    2.0 * precision * recall / (precision + recall)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_words_and_their_order() {
        let rouge = Rouge::of("The cat sat; the cat!", "the mat, the cat");
        // 3 of 5 and 3 of 4 words match; the longest common subsequence is "the the cat".
        assert!((rouge.rouge1 - 2.0 * 0.6 * 0.75 / 1.35).abs() < 1e-12);
        assert!((rouge.rouge_l - rouge.rouge1).abs() < 1e-12);
        let turned = Rouge::of("b a", "a b");
        assert!((turned.rouge1 - 1.0).abs() < 1e-12 && (turned.rouge_l - 0.5).abs() < 1e-12);
    }

    #[test]
    fn texts_without_words_score_nothing() {
        for (prediction, reference) in
            [("", ""), ("", "a"), ("a", ""), ("…", "!"), ("日本", "日本")]
        {
            assert_eq!(Rouge::of(prediction, reference), Rouge { rouge1: 0.0, rouge_l: 0.0 });
        }
    }
}
