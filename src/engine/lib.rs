//! A quantized language model and a sentence encoder, on the CPU or on a GPU.
//!
//! From a name to text and vectors: [`model`] finds, fetches and reads model files, tokenizes and
//! renders chat templates; [`lm`] runs a language model behind a queue that batches requests and
//! shares prefixes; [`encoder`] turns texts into vectors. Nothing here knows users, a store or the
//! text of a prompt.
//!
//! ```no_run
//! use idiolect_engine::lm::{Lm, LoadOptions, Prompt, Request, EndToken, Sampling};
//! use idiolect_engine::model::catalog::{Catalog, SMALL_LM, default_models_dir};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let catalog = Catalog::load(&default_models_dir()?)?;
//! let lm = Lm::load(&catalog.lm(SMALL_LM)?, &LoadOptions::default())?;
//! let request = Request {
//!     prompt: Prompt::Text("The kettle is".to_owned()),
//!     sampling: Sampling::default(),
//!     max_tokens: 16,
//!     stop: Vec::new(),
//!     end_token: EndToken::Ends,
//!     constraint: None,
//! };
//! println!("{}", futures::executor::block_on(lm.complete(request))?.text);
//! # Ok(())
//! # }
//! ```

pub mod encoder;
pub mod key;
pub mod lm;
pub mod model;
pub mod progress;
