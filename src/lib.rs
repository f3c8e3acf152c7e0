//! Personalized text generation: writes as one particular user would.
//!
//! The flow, in one direction:
//!
//! ```text
//!  files ─► corpus ─► encoder ─► peers ─► difference ─► methods ─► text ─► evaluate
//!          (SQLite)  (vectors)  (HNSW,    (measured,         │  ▲            (figures)
//!                                represen- extracted;        ▼  │
//!                                tatives)  validated; ◄────►  lm (through client)
//!                                          profile)
//! ```
//!
//! The code is in member crates under `src/`; this one re-exports their public names.
//!
//! One text, from a store that `idiolect import` made:
//!
//! ```no_run
//! use idiolect::corpus::{Store, Target, View};
//! use idiolect::encoder::Encoder;
//! use idiolect::lm::{Lm, LoadOptions};
//! use idiolect::methods::{MethodInputs, Method, MethodOptions};
//! use idiolect::model::catalog::{Catalog, default_models_dir};
//! use idiolect::progress::Silent;
//! use idiolect::task::Task;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let catalog = Catalog::load(&default_models_dir()?)?;
//! let lm = Lm::load(&catalog.lm("smollm2-135m-instruct")?, &LoadOptions::default())?;
//! let device = candle_core::Device::Cpu;
//! let encoder = Encoder::load(&catalog.encoder("all-minilm-l6-v2")?, &device)?;
//! let store = Store::open_existing("idiolect.sqlite".as_ref())?;
//! let task = Task::load(Task::DEFAULT)?;
//! let target = Target {
//!     user: "marta".to_owned(),
//!     item: store.item("kettle-02")?,
//!     rating: Some(2.0),
//!     title: Some("Whistles, but flat".to_owned()),
//!     context: None,
//! };
//! let material = MethodInputs {
//!     view: View::all(&store),
//!     model: &lm,
//!     peers: Some(&encoder),
//!     reward: None,
//!     task: &task,
//!     progress: &Silent,
//!     held_out: &[],
//! };
//! let options = MethodOptions::of(&task);
//! let written = Method::DPL.write(&material, &target, &options, None);
//! println!("{}", futures::executor::block_on(written)?.text);
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "parquet")]
pub use idiolect_batch as batch;
pub use idiolect_core::{client, corpus, difference, methods, peers, steering, task};
pub use idiolect_engine::{encoder, lm, model, progress};
pub use idiolect_kernels as kernels;
pub use idiolect_metrics::text;
#[cfg(feature = "postgres")]
pub use idiolect_pgvector as pgvector;
#[cfg(feature = "remote")]
pub use idiolect_remote as remote;
#[cfg(feature = "serve")]
pub use idiolect_server as server;
#[cfg(feature = "parquet")]
pub use idiolect_tables as tables;
pub use idiolect_train as train;

/// Evaluation of methods with controls, and the metrics and statistics that it uses.
pub mod evaluate {
    pub use idiolect_evaluate::*;
    pub use idiolect_metrics::overlap as metrics;
    pub use idiolect_metrics::{lambda_g, statistics, stylometry};
}
