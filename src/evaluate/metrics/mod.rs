//! Scores of predicted texts against reference texts, a pair at a time and over all pairs.
//!
//! ROUGE (`rouge`, over the longest common subsequences of `lcs`) sees a text as `words` does.

mod lcs;
mod rouge;
mod words;

pub use rouge::Rouge;
