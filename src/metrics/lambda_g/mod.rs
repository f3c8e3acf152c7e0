//! LambdaG, a measure of authorship: the likelihood ratio of two grammars (Nini et al., "Grammar as
//! a behavioral biometric", arXiv 2403.08462).
//!
//! Texts become sentences of function words, punctuation and placeholders ([`Masking`]). The
//! grammar of an author is an n-gram model with Kneser-Ney smoothing, trained on the author's
//! sentences ([`GrammarModel`]). λ_G of a text is the base-10 logarithm of its likelihood under that
//! model over its likelihood under a model of as many sentences of other authors, averaged over
//! random reference models ([`LambdaG`]). Positive values speak for the author. A [`Calibration`]
//! turns λ_G into a log10 likelihood ratio.
//!
//! Models and λ_G are equal to those of the Python package `lambdag` 0.2.0 for the same sentences
//! and samples. [`Masking`] departs from the paper, since it uses no part-of-speech tagger.
//!
//! The measure only judges: no generation method uses it.
//!
//! ```
//! use idiolect_metrics::lambda_g::{LambdaG, Masking, SentenceIndex};
//!
//! let ann = ["Perhaps it was the lid. Perhaps it was not.", "It might have been the spout."];
//! let others = ["I love it!!! You have to get it!!!", "So good! I want ten of them!", "Get it!"];
//! let masking = Masking::of(&[&ann[..], &others[..]]);
//! let masked = |texts: &[&str]| -> Vec<Vec<String>> {
//!     texts.iter().flat_map(|text| masking.sentences(text)).collect()
//! };
//! let (known, reference) = (masked(&ann), masked(&others));
//! let index = SentenceIndex::new(LambdaG::ORDER, known.iter().chain(&reference));
//! let text = index.questioned(&masked(&["Perhaps it might have been the handle."]));
//! let known: Vec<usize> = (0..known.len()).collect();
//! let reference: Vec<usize> = (known.len()..index.len()).collect();
//! let lambda = LambdaG::default().scores(&index, &[text], &known, &reference)?[0];
//! assert!(lambda > 0.0);
//! # Ok::<(), idiolect_metrics::Error>(())
//! ```

mod calibration;
mod kneser_ney;
mod masking;
mod score;
mod sentence_index;
#[cfg(test)]
mod tests;

pub use calibration::{Calibration, c_llr};
pub use kneser_ney::GrammarModel;
pub use masking::Masking;
pub use score::LambdaG;
pub use sentence_index::{QuestionedText, SentenceIndex};
