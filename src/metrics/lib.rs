//! Text metrics: overlap with references, stylometry, BM25 ranking, and statistics over users.
//!
//! Depends on no other crate of the project. [`overlap`] has ROUGE, BLEU and METEOR, equal to their
//! Python reference implementations; [`stylometry`] measures how similar texts are in style;
//! [`statistics`] gives intervals and paired tests over users; [`Bm25`] ranks documents for a
//! query; [`text`] defines the words that every word count uses.
//!
//! ```
//! use idiolect_metrics::Bm25;
//!
//! let documents = ["a kettle that sings", "a lamp for a desk", "a radio with two dials"];
//! assert_eq!(Bm25::new(&documents).top("the lamp", 1), [1]);
//! ```

mod bm25;
mod error;
pub mod overlap;
pub mod statistics;
pub mod stylometry;
pub mod text;

pub use bm25::Bm25;
pub use error::Error;

/// This crate's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;
