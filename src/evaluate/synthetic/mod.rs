//! Users whose style is known, writing about shared items: what the controls are tested on, and what
//! a machine without any corpus can still be measured with.
//!
//! A [`World`] has items with facts, and authors. An [`Author`] with [`Rules`] keeps to them in every
//! text; one without draws new ones for each text, so that nothing tells their texts from anybody
//! else's. Facts are the item's and shared by all who write about it.

mod rules;
#[cfg(test)]
mod tests;
mod vocabulary;
mod world;

pub use rules::{Casing, Join, Rules};
pub use world::{Author, World, WorldOptions};
