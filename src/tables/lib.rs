//! Parquet in and out: rows as JSON objects, and tables of plain columns as files.
//!
//! [`ParquetRows`] reads a file, or a folder of part files as Spark, Ray and DuckDB write them, row by row;
//! [`JsonLines`] gives the same rows as lines of text, for readers of JSON lines. [`ParquetTable`] writes a
//! table so that the same rows give the same bytes.
//!
//! ```
//! use idiolect_tables::{ParquetRows, ParquetTable, TableColumn};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("users.parquet");
//! let table = ParquetTable::new(vec![
//!     TableColumn::texts("user", ["ann", "bo"].map(|name| Some(name.to_owned())).into()),
//!     TableColumn::integers("texts", vec![Some(3), None]),
//! ]);
//! table.write(&path)?;
//! let rows: Vec<_> = ParquetRows::open(&path)?.collect::<Result<_, _>>()?;
//! assert_eq!(rows[0], serde_json::json!({ "user": "ann", "texts": 3 }));
//! # Ok(())
//! # }
//! ```

mod rows;
mod table;

use std::path::PathBuf;

pub use rows::{JsonLines, ParquetRows, is_parquet, note};
pub use table::{ColumnValues, ParquetTable, TableColumn};

/// This crate's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Error of reading or writing a Parquet file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file cannot be opened, created or renamed.
    #[error("{operation} {path}", path = path.display())]
    File {
        /// `open`, `create`, `rename`, ...
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The content is no Parquet, or of a kind that is not supported.
    #[error("{operation} {path}: {what}", path = path.display())]
    Content {
        /// `read` or `write`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        what: String,
    },
}
