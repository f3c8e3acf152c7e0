//! `pplug` and `reclora`: changes of the language model for one user, which a net makes of the user's past
//! texts, trained on other users' texts.
//!
//! Sources: Persona-Plug (arXiv 2409.11901) and RecLoRA (arXiv 2408.03533). The language model is frozen; the
//! net before it is trained through its f32 [`Twin`](idiolect_engine::lm::decoder::Twin), and used on the
//! model as it is stored.
//!
//! The loss of a text has two parts. The first is the text's own, per token, with the right user's adapter.
//! With it alone a net learns genre and length before persons. So the second is a margin: the same text with
//! another user's adapter should be less likely ([`AdapterSettings::margin`]).

mod examples;
mod net;
mod settings;
#[cfg(test)]
mod tests;
mod trained_adapter;
mod training;
mod vectors;

pub use examples::AdapterInputs;
pub use settings::{AdapterNetKind, AdapterSettings};
pub use trained_adapter::TrainedAdapter;
pub use training::train_adapter;
