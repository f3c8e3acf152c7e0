//! Scores of predicted texts against reference texts, per pair and over all pairs.
//!
//! | metric | equal to | tokens |
//! |---|---|---|
//! | ROUGE-1, ROUGE-L (`rouge`, `lcs`) | `rouge-score` 0.1.2 | `words` |
//! | BLEU (`bleu`) | `sacrebleu` 2.5.1 | `tokens_13a` |
//! | METEOR (`meteor`, `porter`, `wordnet`) | NLTK 3.10 | `punkt`, `punkt_text`, then `nltk_words` |
//! | distinct-1/2, copied 8-grams (`words_used`) | | `words_of_any_script` |
//!
//! WordNet and Punkt's English parameters are not part of this program. `language_data` reads them
//! from a given folder; without them METEOR is reported under another name ([`MeteorVariant`]).

mod bleu;
mod error;
mod language_data;
mod lcs;
mod meteor;
mod nltk_words;
mod porter;
mod punkt;
mod punkt_text;
mod python;
mod rouge;
mod scores;
mod tokens_13a;
mod wordnet;
mod words;
mod words_of_any_script;
mod words_used;

#[cfg(test)]
mod tests;

pub use bleu::{Bleu, BleuCounts};
pub use error::Error;
pub use meteor::{Meteor, MeteorVariant};
pub use rouge::Rouge;
pub use scores::{PairScores, Scores, TextPair, score};
pub use words::has_words_unseen_by_rouge;
pub use words_used::{COPIED_WORDS, Copied, Distinct};
