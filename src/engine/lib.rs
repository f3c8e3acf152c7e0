//! Inference engine: quantized language models and sentence encoders, on CPU or GPU.
//!
//! [`model`] finds, fetches and reads model files, tokenizes text and renders chat templates.
//! [`lm`] runs a language model; its queue batches requests and shares prefixes. [`encoder`]
//! computes embeddings of texts. This crate knows nothing of users, stores or the wording of
//! prompts.
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
