//! A language model on a server as the [`Model`](idiolect_core::client::Model) of methods and
//! evaluation: vLLM, SGLang, llama-server, or `idiolect serve` itself.
//!
//! Prompts are rendered and tokenized here and sent as token ids, so that text of users never yields a
//! control token, whatever the server does with messages. [`RemoteLm::connect`] compares the
//! vocabularies first. A request that a server cannot answer exactly as asked for is refused with the
//! reason: nothing is left out silently. The only exception is told: of a user's choice of words a
//! server takes the 1,024 largest entries ([`RemoteLm::lost_shift`]).
//!
//! | server | texts | scores | DRY |
//! |---|---|---|---|
//! | `idiolect serve` | yes | from where the text begins | yes |
//! | vLLM | yes | yes, of the whole prompt each time | no |
//! | SGLang | yes | from where the text begins | no |
//! | llama-server | yes | no | yes |
//! | others with OpenAI's completions | yes | no | no |
//!
//! Connections are opened by this crate only, and only to the addresses that its caller names.
//!
//! ```no_run
//! use idiolect_core::client::Model;
//! use idiolect_engine::lm::{Prompt, Request};
//! use idiolect_remote::{RemoteAddress, RemoteLm, RemoteOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let address = RemoteAddress::parse("http://127.0.0.1:8000/v1#qwen2.5-7b-instruct")?;
//! let lm = RemoteLm::connect(&address, &RemoteOptions::new("qwen2.5-7b-instruct.gguf"))?;
//! let request = Request::new(Prompt::Text("The kettle is".to_owned()), 16);
//! println!("{}", futures::executor::block_on(lm.generate(request))?.text);
//! # Ok(())
//! # }
//! ```

mod address;
mod call_threads;
mod error;
mod http;
mod options;
mod remote_lm;
mod retry;
mod scores;
mod server_kind;
mod texts;
mod vocabulary_check;

#[cfg(test)]
mod tests;

pub use address::RemoteAddress;
pub use error::Error;
pub use options::RemoteOptions;
pub use remote_lm::{LostShift, RemoteLm};
pub use retry::RetryPolicy;
pub use server_kind::ServerKind;

/// This crate's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;
