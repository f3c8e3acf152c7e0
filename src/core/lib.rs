//! Personalized text generation: the corpus, peers, differences between users, and methods.
//!
//! A [`corpus::Store`] holds the reviews. [`peers`] selects representatives of the other users.
//! [`difference`] measures or extracts how a user's writing differs from theirs. [`task`] builds
//! prompts that fit the context window. Each method of [`methods`] generates a text in a user's
//! style. Methods read the corpus through a [`corpus::View`], so that no held-out text reaches a
//! prompt.
//!
//! ```
//! use idiolect_core::corpus::{Error, Review, Store, View};
//!
//! let review = |item: &str, text: &str, time| Review {
//!     user: "ann".to_owned(),
//!     item: item.to_owned(),
//!     rating: Some(4.0),
//!     title: String::new(),
//!     text: text.to_owned(),
//!     time,
//! };
//! let store = Store::in_memory()?;
//! store.put_reviews(&[review("kettle", "It sings.", 1), review("lamp", "It is bright.", 2)])?;
//!
//! // Methods read through a view: here the newest review is held out.
//! let history = store.history("ann")?;
//! let view = View::all(&store).without(history[1].id);
//! assert_eq!(view.history("ann")?.len(), 1);
//! # Ok::<(), Error>(())
//! ```
//!
//! A text by a method, `Method::write`, needs a language model; the root crate `idiolect` shows it.

pub mod client;
pub mod difference;
pub mod methods;
pub mod peers;
pub mod steering;
pub mod task;

pub use idiolect_corpus as corpus;
