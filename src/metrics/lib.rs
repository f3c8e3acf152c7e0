//! Text metrics: overlap with references, stylometry, authorship, BM25 ranking, and statistics over
//! users.
//!
//! Depends on no other crate of the project.
//!
//! | module | main names |
//! |---|---|
//! | [`overlap`]: equal to the Python reference implementations | `score`, `TextPair`, `Scores`, `Rouge`, `BleuCounts`, `Meteor`, `Distinct` |
//! | [`stylometry`]: similarity of texts in style | `StyleSpace`, `StyleProfile`, `Delta`, `TfIdf` |
//! | [`lambda_g`]: authorship by the likelihood ratio of grammars | `LambdaG`, `Masking`, `Calibration` |
//! | [`statistics`]: intervals and paired tests over users | `PerUser`, `Estimate`, `compare`, `bootstrap` |
//! | [`text`]: the words that every word count uses | `for_each_word` |
//! | [`Bm25`]: ranking of documents for a query | |
//!
//! ```
//! use idiolect_metrics::Bm25;
//! use idiolect_metrics::overlap::Rouge;
//! use idiolect_metrics::statistics::{PerUser, Settings, compare};
//!
//! let documents = ["a kettle that sings", "a lamp for a desk", "a radio with two dials"];
//! assert_eq!(Bm25::new(&documents).top("the lamp", 1), [1]);
//!
//! let rouge = Rouge::of("the lamp is bright", "the lamp is dim");
//! assert_eq!(rouge.rouge1, 0.75);
//!
//! // Two methods on the same users; each value is the mean over a user's texts.
//! let first = PerUser::averaged([("ann", 0.7), ("bob", 0.5), ("bob", 0.7)])?;
//! let second = PerUser::averaged([("ann", 0.4), ("bob", 0.5)])?;
//! let comparison = &compare(&[(&first, &second)], &Settings::default())?[0];
//! assert!((comparison.difference.value - 0.2).abs() < 1e-9);
//! # Ok::<(), idiolect_metrics::Error>(())
//! ```

mod bm25;
mod error;
pub mod lambda_g;
pub mod overlap;
pub mod statistics;
pub mod stylometry;
pub mod text;

pub use bm25::Bm25;
pub use error::Error;

/// This crate's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;
