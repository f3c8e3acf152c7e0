//! What is known of users and what is written for them: corpus, peers, differences, methods.
//!
//! A [`corpus::Store`] holds the texts; [`peers`] chooses representatives of the others;
//! [`difference`] measures or extracts what sets a user apart; [`task`] makes prompts that fit the
//! window; each method of [`methods`] writes a text as a user would. A method reads the corpus
//! through a [`corpus::View`], so that no held-out text reaches a prompt.

pub mod corpus;
pub mod difference;
pub mod methods;
pub mod peers;
pub mod task;
