//! Writes as one particular person would.
//!
//! The flow, in one direction:
//!
//! ```text
//!  files ─► corpus ─► encoder ─► peers ─► difference ─► methods ─► text
//!          (SQLite)  (vectors)  (HNSW,    (told by        │  ▲
//!                                represen- the lm;        ▼  │
//!                                tatives)  profile) ◄──►  lm
//! ```
//!
//! Each module is a room; a room uses only rooms above it in this list.

pub mod progress;

pub mod corpus;
pub mod kernels;
pub mod model;

pub mod encoder;
pub mod lm;
pub mod peers;

pub mod task;

pub mod difference;
pub mod methods;
