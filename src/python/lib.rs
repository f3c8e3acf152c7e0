//! The extension module `idiolect._idiolect`: the engine in a Python process.
//!
//! The classes that people use are in `package/idiolect`. They call this module with options as JSON and get
//! results as JSON, which are the objects that the program prints with `--json`. What computes releases the
//! interpreter's lock, and looks for signals between steps.

mod capsule;
mod embedding;
mod engine;
mod evaluation;
mod failure;
mod importing;
mod language_model;
mod metrics;
mod models;
mod parts;
mod peers;
mod prepared_text;
mod profiles;
mod progress;
mod rows;
mod settings;
mod store_calls;
mod streams;
mod tables;
mod writing;

use pyo3::pymodule;

/// The engine in a Python process. Use the package `idiolect`.
#[pymodule]
mod _idiolect {
    #[pymodule_export]
    use crate::embedding::EncoderHandle;
    #[pymodule_export]
    use crate::engine::EngineHandle;
    #[pymodule_export]
    use crate::language_model::LmHandle;
    #[pymodule_export]
    use crate::metrics::metrics;
    #[pymodule_export]
    use crate::models::{fetch_model, methods, models};
    #[pymodule_export]
    use crate::streams::JsonStream;
    #[pymodule_export]
    use crate::tables::{ArrowTable, table_rows};

    /// Version of the package.
    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
