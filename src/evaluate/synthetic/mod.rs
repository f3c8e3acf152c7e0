//! Synthetic users with known styles who write about shared items: test data for the controls, and
//! for measurements on a machine without a corpus.
//!
//! A [`World`] has items with facts, and authors. An [`Author`] with [`StyleRules`] follows them in
//! every text. An author without rules draws new ones for each text, so that style does not
//! identify the author. Facts belong to the item and are shared by all who write about it.

mod rules;
#[cfg(test)]
mod tests;
mod vocabulary;
mod world;

pub use rules::{Casing, ClauseJoin, StyleRules};
pub use world::{Author, World, WorldOptions};
