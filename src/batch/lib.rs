//! Texts for many targets: shards of a corpus as Parquet files, each written by a process of its own.
//!
//! A shard is a folder with `targets`, `reviews` and `items`, each a Parquet file (`reviews.parquet`) or a
//! folder of part files, as [`export_shards`] and Spark, Ray or DuckDB make them: the histories of the
//! targets' users, what others wrote on the items in them, and the items. [`ShardStore`] imports it into
//! a store of its own, [`write_rows`] writes all targets, and [`rows_table`] makes the table of the results.
//! Words are counted against a [`Background`](idiolect_core::corpus::Background) of the whole corpus, so that
//! a text does not depend on how the corpus was divided. [`export_vectors`] writes the vectors of an index over
//! users, for vector databases and other machines.
//!
//! ```no_run
//! use idiolect_batch::{BatchInputs, ShardStore, rows_table, write_rows};
//! use idiolect_core::methods::{Method, MethodOptions};
//! use idiolect_core::task::Task;
//! use idiolect_engine::lm::{Lm, LoadOptions};
//! use idiolect_engine::model::catalog::{Catalog, SMALL_LM, default_models_dir};
//! use idiolect_engine::progress::Silent;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let shard = ShardStore::open("shard=0007".as_ref(), &Silent)?;
//! let lm = Lm::load(&Catalog::load(&default_models_dir()?)?.lm(SMALL_LM)?, &LoadOptions::default())?;
//! let task = Task::load(Task::DEFAULT)?;
//! let inputs = BatchInputs {
//!     shard: &shard,
//!     model: &lm,
//!     peers: None,
//!     task: &task,
//!     methods: &[Method::SCP],
//!     options: &MethodOptions::of(&task),
//!     background: None,
//!     at_once: 16,
//!     progress: &Silent,
//! };
//! let rows = futures::executor::block_on(write_rows(&inputs))?;
//! rows_table(&rows).write("0007.parquet".as_ref())?;
//! # Ok(())
//! # }
//! ```

mod background_file;
mod error;
mod export;
mod rows;
mod shard;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vector_tests;
mod vectors;

pub use background_file::{count_background, read_background, write_background};
pub use error::Error;
pub use export::{ExportedShards, ShardOptions, export_shards};
pub use rows::{BatchInputs, BatchRow, rows_table, write_rows};
pub use shard::{ShardStore, TargetRow, read_targets};
pub use vectors::{export_vectors, read_vectors};

/// This crate's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;
