//! Training on users' texts, on the user's own machine.
//!
//! [`train`] runs the steps of a [`Trainable`] with AdamW, validates, stops early, and stores
//! checkpoints, so that a training that was killed goes on and gives the same bytes. What was trained
//! is stored with the reviews that it was made from, and goes with any of them
//! (`Store::forget`).
//!
//! [`np`] trains a reward head: from a few pairs of a user's own text and a peer's on the same item it
//! tells which of two other texts is the user's.
//!
//! [`pad`] trains a reward of tokens, which acts while a text is written.
//!
//! [`adapters`] trains what stands before or inside the language model: soft tokens and mixtures of
//! low-rank products.
//!
//! ```no_run
//! use idiolect_core::corpus::{Store, View};
//! use idiolect_core::methods::TextReward;
//! use idiolect_engine::progress::Silent;
//! use idiolect_train::np::{NpSettings, train_head};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! let store = Store::open_existing("idiolect.sqlite".as_ref())?;
//! let view = View::all(&store);
//! let head = train_head(&view, &[], &NpSettings::default(), &Silent)?;
//! println!("{} users, {} steps", head.users().len(), head.training().steps);
//! // Any user of the store, also one who came later.
//! let scores = head.rewards(&view, "marta", &["One draft.", "another draft!!"])?;
//! println!("{scores:?}");
//! # Ok(())
//! # }
//! ```

pub mod adapters;

mod adamw;
mod error;
pub mod np;
pub mod pad;
mod parameters;
mod trained_parts;
mod training;

pub use error::Error;
pub use parameters::{NetParameters, ParameterSpec, ParameterStart, from_base64, to_base64};
pub use trained_parts::TrainedParts;
pub use training::{
    Checkpoints, Trainable, TrainedValues, TrainingBudget, TrainingSettings, train,
};

/// This crate's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;
