//! Model files: catalog, fetch, GGUF, safetensors, tokenizer, chat template.

pub mod catalog;
pub mod chat;
pub mod device;
pub mod fetch;
pub mod gguf;
pub mod template;
pub mod tokenizer;
pub mod verify;
pub mod weights;

mod error;
mod files;
pub mod hash;
mod kind;
mod mmap;

pub use error::Error;
pub use files::{EncoderFiles, LmFiles, Pooling};
pub use kind::ModelKind;
pub use mmap::{MappedFloats, exit_on_lost_pages};

/// This module's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;
