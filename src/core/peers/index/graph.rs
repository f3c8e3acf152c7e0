//! Safe wrapper of the navigable small-world graph of hnsw_rs.
//!
//! The crate panics on vectors of another length or of length 0, aborts the process on some damaged
//! files, and writes a second dump under another name. This wrapper therefore checks vectors before
//! insertion, files are checked by our own hash before loading, and each dump goes to a new folder.

use std::path::Path;

use hnsw_rs::prelude::{AnnT, DistDot, Hnsw, HnswIo};

use super::{Error, Result, norm};
use idiolect_engine::progress::{Progress, ProgressStage};

/// Maximum number of edges per node and layer (twice as many in the lowest layer).
pub(super) const MAX_EDGES: usize = 16;
/// Number of candidates kept during insertion (ef_construction).
pub(super) const EF_CONSTRUCTION: usize = 200;
/// Number of candidates kept during search (ef). With 64, one neighbour in ten is missed at 384
/// dimensions.
pub(super) const EF_SEARCH: usize = 256;
const MAX_LAYERS: usize = 16;
const NAME: &str = "graph";

/// Names of the files of a dump.
pub(super) const FILES: [&str; 2] = ["graph.hnsw.graph", "graph.hnsw.data"];

/// A graph over rows `0..n`.
pub(super) struct Graph {
    hnsw: Hnsw<'static, f32, DistDot>,
    n_rows: usize,
}

impl std::fmt::Debug for Graph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graph").field("n_rows", &self.n_rows).finish()
    }
}

impl Graph {
    /// Inserts the rows of `embeddings` (`[n][dimension]`, unit length) sequentially, so that the
    /// same rows give the same graph.
    pub(super) fn build(
        embeddings: &[f32],
        dimension: usize,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let n_rows = embeddings.len() / dimension;
        let hnsw = Hnsw::new(MAX_EDGES, n_rows.max(1), MAX_LAYERS, EF_CONSTRUCTION, DistDot);
        let stage = ProgressStage::begin(progress, "linking users", Some(n_rows as u64));
        for (row, vector) in embeddings.chunks_exact(dimension).enumerate() {
            if stage.stop_requested() {
                return Err(Error::Stopped);
            }
            check_unit(vector, row)?;
            hnsw.insert_slice((vector, row));
            stage.advance(1);
        }
        Ok(Self { hnsw, n_rows })
    }

    /// Writes the graph into an empty folder.
    pub(super) fn dump(&self, folder: &Path) -> Result<()> {
        let io = |what: String| Error::Io {
            operation: "write the graph into",
            path: folder.to_owned(),
            source: std::io::Error::other(what),
        };
        let name = self.hnsw.file_dump(folder, NAME).map_err(|error| io(error.to_string()))?;
        if name != NAME {
            return Err(io(format!("hnsw_rs named it `{name}`, expected `{NAME}`")));
        }
        Ok(())
    }

    /// Loads a dump whose files have been verified.
    pub(super) fn load(folder: &Path, n_rows: usize) -> Result<Self> {
        // The graph borrows its loader (a path, a name, a counter), even if nothing is
        // memory-mapped. The loader is leaked: some hundred bytes per opened index.
        let loader: &'static mut HnswIo = Box::leak(Box::new(HnswIo::new(folder, NAME)));
        let damaged = |what: String| Error::IndexDamaged { path: folder.join(FILES[0]), what };
        let hnsw =
            loader.load_hnsw::<f32, DistDot>().map_err(|error| damaged(error.to_string()))?;
        if hnsw.get_nb_point() != n_rows {
            return Err(damaged(format!("links {} users, expected {n_rows}", hnsw.get_nb_point())));
        }
        Ok(Self { hnsw, n_rows })
    }

    /// Returns rows near a unit vector, at least `k` if there are that many.
    pub(super) fn near(&self, query: &[f32], k: usize) -> Vec<usize> {
        if self.n_rows == 0 || k == 0 {
            return Vec::new();
        }
        let ef = EF_SEARCH.max(2 * k).min(self.n_rows.max(EF_SEARCH));
        let found = self.hnsw.search(query, ef.min(self.n_rows), ef);
        found.into_iter().map(|neighbour| neighbour.d_id).filter(|&row| row < self.n_rows).collect()
    }
}

/// Checks that a vector has length 1. The crate's distance panics on a product above 1.000002, so
/// each length may exceed 1 by at most half of 2e-6.
fn check_unit(vector: &[f32], row: usize) -> Result<()> {
    let length = norm(vector);
    if (length - 1.0).abs() < 8e-7 {
        return Ok(());
    }
    Err(Error::BadQuery { what: format!("of row {row} has length {length}, expected 1") })
}
