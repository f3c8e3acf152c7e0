//! `pad`: a reward of tokens for one user, trained on other users' texts.
//!
//! Source: PAD (arXiv 2410.04070, and the authors' program, whose training code was never published): a
//! frozen language model whose last hidden state passes a trained linear map before the output head
//! rewards tokens. Here the map has a low rank, the reward model is the language model itself, and the
//! prompt shows the user's past texts, so that what is preferred is shown and not told. Pairs are a
//! user's own text and a peer's as long on the same item.
//!
//! The model runs once over both texts of each pair (`traces`); after that only the map is trained, with
//! the loss of direct preference optimization (arXiv 2305.18290) and the map's start, the identity, as
//! the reference. The map may be gated by z, what the reward head [`np`](crate::np) knows of the user.

mod evaluation;
mod head;
mod net;
mod pairs;
mod settings;
#[cfg(test)]
mod tests;
mod traces;
mod trained_pad;

pub use evaluation::{PadEvaluation, PadEvaluationOptions, PadRow, evaluate_pad};
pub(crate) use head::LoadedPad;
pub use head::PadHead;
pub use pairs::PadInputs;
pub use settings::PadSettings;
pub use trained_pad::train_pad;
