//! Personalized text generation: the corpus, peers, differences between users, and methods.
//!
//! A [`corpus::Store`] holds the reviews. [`peers`] selects representatives of the other users.
//! [`difference`] measures or extracts how a user's writing differs from theirs. [`task`] builds
//! prompts that fit the context window. Each method of [`methods`] generates a text in a user's
//! style. Methods read the corpus through a [`corpus::View`], so that no held-out text reaches a
//! prompt.

pub mod client;
pub mod corpus;
pub mod difference;
pub mod methods;
pub mod peers;
pub mod steering;
pub mod task;
