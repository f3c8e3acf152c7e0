//! Vectors of users in a PostgreSQL database with the extension pgvector, for corpora whose index does not fit
//! into the memory of one process.
//!
//! The schema `idiolect` of the database has one table of users, `users (name text, vector halfvec(n))`, divided
//! by the hash of the name, with an HNSW graph for cosines, and one row with the [`VectorStamp`] of what made the
//! vectors: vectors of another encoder are refused. Numbers are stored in 16 bits, so cosines differ from
//! those of 32 bits by up to a thousandth.
//!
//! ```no_run
//! use idiolect_pgvector::{DatabaseOptions, UserDatabase, VectorStamp};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let stamp = VectorStamp { made_by: "encoder and kind".to_owned(), dimension: 3 };
//! let address = "postgres://me@localhost/corpus";
//! let mut database = UserDatabase::create(address, &stamp, &DatabaseOptions::default())?;
//! database.upsert(&[("ann", &[1.0, 0.0, 0.0]), ("bo", &[0.6, 0.8, 0.0])])?;
//! database.index()?;
//! assert_eq!(database.near(&[1.0, 0.1, 0.0], 1)?[0].0, "ann");
//! UserDatabase::delete(address, "ann")?;
//! # Ok(())
//! # }
//! ```

mod database;
mod error;
mod half_vector;

#[cfg(test)]
mod tests;

pub use database::{DatabaseOptions, UserDatabase, VectorStamp};
pub use error::{Error, Result};
