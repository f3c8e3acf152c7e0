//! Evaluation of generated texts: similarity to the user's real texts, and controls that show
//! whether personalization is the cause.
//!
//! The crate `idiolect_metrics` compares predicted texts with reference texts. The controls
//! ([`swap`], [`identification`], [`wrong_users`]) separate personalization from properties of any
//! good text; they can use stylometric similarity, which no generation method uses. [`judge`] asks
//! a language model how similar a text is to the reference. [`synthetic`] makes users with known
//! styles, on which the controls themselves are tested.

#[cfg(test)]
mod controls_tests;
mod embedded;
mod error;
pub mod figures;
#[cfg(test)]
mod flow_tests;
pub mod identification;
pub mod judge;
#[cfg(test)]
mod measured_tests;
pub mod measures;
pub mod pairs;
pub mod plan;
pub mod report;
pub mod run;
mod seed;
pub mod swap;
pub mod synthetic;
pub mod trial;
pub mod wrong_users;

pub use embedded::Embedded;
pub use error::Error;
pub use judge::stages;

/// This crate's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;
