//! Inference engine: quantized language models and sentence encoders, on CPU or GPU.
//!
//! This crate knows nothing of users, stores or the wording of prompts.
//!
//! | what | where |
//! |---|---|
//! | find and fetch model files | [`model::catalog::Catalog`], [`model::fetch`] |
//! | read model files | [`model::gguf::Gguf`], [`model::tokenizer::Tokenizer`], [`model::chat::Chat`] |
//! | run a language model | [`lm::Lm`], loaded with [`lm::LoadOptions`] |
//! | ask it | [`lm::Request`], [`lm::ScoreRequest`], [`lm::Prompt`], [`lm::Sampling`], [`lm::Constraint`] |
//! | its answers | [`lm::Completion`], [`lm::Score`] |
//! | the decoder alone | [`lm::decoder::Decoder`] |
//! | embed texts | [`encoder::Encoder`] |
//! | keys of derived values, progress | [`key::Key`], [`progress::Progress`] |
//!
//! ```no_run
//! use idiolect_engine::lm::{Lm, LoadOptions, Prompt, Request};
//! use idiolect_engine::model::catalog::{Catalog, SMALL_LM, default_models_dir};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let catalog = Catalog::load(&default_models_dir()?)?;
//! let lm = Lm::load(&catalog.lm(SMALL_LM)?, &LoadOptions::default())?;
//! let request = Request::new(Prompt::Text("The kettle is".to_owned()), 16);
//! println!("{}", futures::executor::block_on(lm.generate(request))?.text);
//! # Ok(())
//! # }
//! ```

pub mod encoder;
pub mod key;
pub mod lm;
pub mod model;
pub mod progress;
