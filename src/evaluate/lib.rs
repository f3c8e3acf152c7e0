//! How near written texts come to those of the person they were written for, and whether that
//! person is the reason.
//!
//! `metrics` compares predicted texts with reference texts. Each control (`swap`, `identification`,
//! `wrong_users`) tells personalization from what any good text shares; `stylometry` is a closeness
//! that no method was made with; `judge` asks a language model how near a text comes to the
//! reference; `statistics` says how sure a figure is; `synthetic` makes users whose style is known,
//! on whom the controls are themselves tested.

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

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;
