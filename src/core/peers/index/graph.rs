//! A navigable small-world graph over unit vectors (Malkov and Yashunin 2016, arXiv 1603.09320).
//!
//! hnsw_rs builds it, over vectors rounded to bytes, and its edges are copied into flat arrays, which are
//! searched and stored: they take a third of the crate's memory, are read in one piece, and a search follows
//! no pointers. The crate panics on vectors of another length and aborts the process on some damaged files;
//! vectors are checked before insertion, and its files are not used.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use hnsw_rs::prelude::{Distance, Hnsw};

use super::{nearest_of, norm};
use crate::peers::{Error, Result};
use idiolect_engine::progress::{Progress, ProgressStage};
use idiolect_kernels::Isa;
use idiolect_kernels::nearest::{dot_bytes, prefetch};

/// Maximum number of edges per node and layer (twice as many in the lowest layer).
pub(super) const MAX_EDGES: usize = 16;
/// Number of candidates kept during insertion (ef_construction).
pub(super) const EF_CONSTRUCTION: usize = 200;
/// Default number of candidates kept during search (ef). With 64, one neighbour in ten is missed at 384
/// dimensions.
pub const EF_SEARCH: usize = 256;
/// Number of vectors from which on they are inserted by all threads. The graph then depends on which thread
/// comes first; below, the same vectors give the same graph.
pub const PARALLEL_FROM: usize = 100_000;
/// Vectors that all threads insert between two looks at Ctrl-C.
const PARALLEL_BATCH: usize = 4096;
const MAX_LAYERS: usize = 16;

/// Largest byte of a rounded vector.
const LARGEST: f32 = 127.0;
/// First bytes of the stored form; the digit is the version of the format.
const MAGIC: &[u8; 16] = b"idiolect  graph1";
/// Stored in place of an edge that a node does not have.
const NONE: u32 = u32::MAX;

/// A graph over the rows of a matrix of unit vectors, which finds rows near a vector.
pub struct VectorGraph {
    n_rows: usize,
    dimension: usize,
    /// The number that 127 stands for.
    largest: f32,
    /// The rounded vectors, `[n_rows][dimension]`.
    bytes: Vec<i8>,
    /// Edges in the lowest layer, `[n_rows][2 * MAX_EDGES]`, those that a row lacks at the end.
    lowest: Vec<u32>,
    /// The layers above, from the lowest to the highest.
    upper: Vec<Layer>,
    /// Row that a search begins at.
    entry: u32,
    isa: Isa,
    /// Marks of finished searches, to be used again.
    marks: Mutex<Vec<Marks>>,
}

/// A layer above the lowest one.
#[derive(Debug, Default, PartialEq)]
struct Layer {
    /// Its rows, in order.
    rows: Vec<u32>,
    /// Edges, `[rows.len()][MAX_EDGES]`, those that a row lacks at the end.
    edges: Vec<u32>,
}

impl Layer {
    fn edges(&self, row: u32) -> &[u32] {
        let Ok(at) = self.rows.binary_search(&row) else { return &[] };
        present(&self.edges[at * MAX_EDGES..(at + 1) * MAX_EDGES])
    }
}

/// The edges before the first one that is missing.
fn present(edges: &[u32]) -> &[u32] {
    let n = edges.iter().position(|edge| *edge == NONE).unwrap_or(edges.len());
    &edges[..n]
}

/// Rows that a search has seen: those with the number of the search.
#[derive(Default)]
struct Marks {
    seen: Vec<u32>,
    search: u32,
}

impl Marks {
    fn begin(&mut self, n_rows: usize) {
        if self.seen.len() != n_rows || self.search == u32::MAX {
            self.seen = vec![0; n_rows];
            self.search = 0;
        }
        self.search += 1;
    }

    /// Marks a row; returns whether it was not marked.
    fn mark(&mut self, row: u32) -> bool {
        std::mem::replace(&mut self.seen[row as usize], self.search) != self.search
    }
}

/// Distance of the crate's graph: falls with the product of two rounded vectors, and is never negative.
#[derive(Clone, Copy)]
struct ByteDistance(Isa);

impl Distance<i8> for ByteDistance {
    fn eval(&self, a: &[i8], b: &[i8]) -> f32 {
        // A product is at most 127 * 127 * dimension; relative to that, no digit of f32 is lost.
        let most = LARGEST * LARGEST * a.len() as f32;
        most - dot_bytes(a, b, self.0)
    }
}

/// A row and its product with the query. Larger products come first, then lower rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Near(i32, Reverse<u32>);

impl std::fmt::Debug for VectorGraph {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VectorGraph").field("n_rows", &self.n_rows).finish_non_exhaustive()
    }
}

impl VectorGraph {
    /// Builds the graph over the rows of `vectors`, `[n][dimension]`, of unit length.
    ///
    /// # Errors
    /// [`Error::BadQuery`] if a row has not the length 1 or there is no dimension; [`Error::Stopped`].
    pub fn build(vectors: &[f32], dimension: usize, progress: &dyn Progress) -> Result<Self> {
        if dimension == 0 {
            return Err(Error::BadQuery { what: "has no numbers".to_owned() });
        }
        let isa = Isa::detect();
        let n_rows = vectors.len() / dimension;
        for (row, vector) in vectors.chunks_exact(dimension).enumerate() {
            check_unit(vector, row)?;
        }
        // One scale for all, so that products of bytes are in proportion to those of vectors.
        let largest = vectors.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        let bytes: Vec<i8> = vectors.iter().map(|x| rounded(*x, largest)).collect();

        let hnsw =
            Hnsw::new(MAX_EDGES, n_rows.max(1), MAX_LAYERS, EF_CONSTRUCTION, ByteDistance(isa));
        let stage = ProgressStage::begin(progress, "linking users", Some(n_rows as u64));
        let rows: Vec<(&[i8], usize)> =
            bytes.chunks_exact(dimension).enumerate().map(|(row, vector)| (vector, row)).collect();
        let batch = if n_rows < PARALLEL_FROM { 1 } else { PARALLEL_BATCH };
        for batch in rows.chunks(batch) {
            if stage.stop_requested() {
                return Err(Error::Stopped);
            }
            match batch {
                [row] => hnsw.insert_slice(*row),
                rows => hnsw.parallel_insert_slice(&rows.to_vec()),
            }
            stage.advance(batch.len() as u64);
        }
        drop(stage);
        let mut graph = Self {
            n_rows,
            dimension,
            largest,
            bytes: Vec::new(),
            lowest: vec![NONE; n_rows * 2 * MAX_EDGES],
            upper: Vec::new(),
            entry: 0,
            isa,
            marks: Mutex::default(),
        };
        graph.copy_edges(&hnsw);
        drop(rows);
        drop(hnsw);
        graph.bytes = bytes;
        Ok(graph)
    }

    /// Copies the edges of the crate's graph.
    fn copy_edges(&mut self, hnsw: &Hnsw<'_, i8, ByteDistance>) {
        let points = hnsw.get_point_indexation();
        let mut upper: Vec<Vec<(u32, Vec<u32>)>> = Vec::new();
        for layer in 0..MAX_LAYERS {
            // The points whose highest layer this is.
            for point in points.get_layer_iterator(layer) {
                let row = point.get_origin_id() as u32;
                let of_layers = point.get_neighborhood_id();
                for (layer, edges) in of_layers.iter().enumerate().take(layer + 1) {
                    let edges = edges.iter().map(|edge| edge.d_id as u32);
                    match layer {
                        0 => {
                            let at = row as usize * 2 * MAX_EDGES;
                            let places = &mut self.lowest[at..at + 2 * MAX_EDGES];
                            places.iter_mut().zip(edges).for_each(|(place, edge)| *place = edge);
                        }
                        _ => {
                            upper.resize_with(upper.len().max(layer), Vec::new);
                            upper[layer - 1].push((row, edges.take(MAX_EDGES).collect()));
                        }
                    }
                }
            }
        }
        for mut rows in upper {
            rows.sort_unstable();
            let mut layer = Layer::default();
            for (row, mut edges) in rows {
                edges.resize(MAX_EDGES, NONE);
                layer.rows.push(row);
                layer.edges.extend(edges);
            }
            self.upper.push(layer);
        }
        let highest = self.upper.last().and_then(|layer| layer.rows.first());
        self.entry = highest.copied().unwrap_or(0);
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n_rows
    }

    /// Whether it has no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.n_rows == 0
    }

    /// Returns up to `ef` rows near a unit vector, nearest first as far as rounded vectors tell. The more
    /// there are, the fewer of the nearest are missed.
    #[must_use]
    pub fn near(&self, query: &[f32], ef: usize) -> Vec<usize> {
        if self.n_rows == 0 || ef == 0 || query.len() != self.dimension {
            return Vec::new();
        }
        let query: Vec<i8> = query.iter().map(|x| rounded(*x, self.largest)).collect();
        let mut best = self.nearness(&query, self.entry);
        for layer in self.upper.iter().rev() {
            loop {
                let edges = layer.edges(best.1.0).iter();
                let nearest = edges.map(|row| self.nearness(&query, *row)).max();
                match nearest {
                    Some(nearest) if nearest > best => best = nearest,
                    _ => break,
                }
            }
        }
        let mut marks = {
            let mut unused = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
            unused.pop().unwrap_or_default()
        };
        let found = self.near_in_lowest(&query, best, ef, &mut marks);
        self.marks.lock().unwrap_or_else(PoisonError::into_inner).push(marks);
        found.into_iter().map(|Near(_, Reverse(row))| row as usize).collect()
    }

    /// Returns the `k` rows with the greatest products with a unit vector among those that [`Self::near`]
    /// finds, and these products, greatest first. `vectors`: those that the graph was built of.
    #[must_use]
    pub fn nearest(
        &self,
        query: &[f32],
        vectors: &[f32],
        k: usize,
        ef: usize,
    ) -> Vec<(f32, usize)> {
        nearest_of(self.near(query, ef), query, vectors, k)
    }

    fn near_in_lowest(&self, query: &[i8], start: Near, ef: usize, marks: &mut Marks) -> Vec<Near> {
        marks.begin(self.n_rows);
        marks.mark(start.1.0);
        let mut candidates = BinaryHeap::from([start]);
        let mut found = BinaryHeap::from([Reverse(start)]);
        let mut fresh: Vec<u32> = Vec::with_capacity(2 * MAX_EDGES);
        while let Some(candidate) = candidates.pop() {
            if found.len() >= ef && found.peek().is_some_and(|Reverse(worst)| candidate < *worst) {
                break;
            }
            let at = candidate.1.0 as usize * 2 * MAX_EDGES;
            fresh.clear();
            fresh.extend(present(&self.lowest[at..at + 2 * MAX_EDGES]));
            fresh.retain(|row| marks.mark(*row));
            fresh.iter().for_each(|row| prefetch(self.vector(*row), self.isa));
            for row in &fresh {
                let near = self.nearness(query, *row);
                let is_full = found.len() >= ef;
                if is_full && found.peek().is_some_and(|Reverse(worst)| near <= *worst) {
                    continue;
                }
                candidates.push(near);
                found.push(Reverse(near));
                if is_full {
                    found.pop();
                }
            }
        }
        found.into_sorted_vec().into_iter().map(|Reverse(near)| near).collect()
    }

    fn vector(&self, row: u32) -> &[i8] {
        &self.bytes[row as usize * self.dimension..][..self.dimension]
    }

    fn nearness(&self, query: &[i8], row: u32) -> Near {
        Near(dot_bytes(query, self.vector(row), self.isa) as i32, Reverse(row))
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + self.bytes.len() + self.lowest.len() * 4);
        out.extend(MAGIC);
        let layers = self.upper.iter().map(|layer| layer.rows.len());
        let numbers =
            [self.n_rows, self.dimension, MAX_EDGES, self.entry as usize, self.upper.len()];
        for number in numbers.into_iter().chain(layers) {
            out.extend((number as u64).to_le_bytes());
        }
        out.extend(self.largest.to_le_bytes());
        let upper = self.upper.iter().flat_map(|layer| [&layer.rows, &layer.edges]);
        for words in upper.chain([&self.lowest]) {
            out.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        out.extend(self.bytes.iter().map(|byte| byte.cast_unsigned()));
        out
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// The bytes are cut short, of another version or other bounds, or name rows that they do not hold; the
    /// error says which.
    pub fn from_bytes(bytes: &[u8]) -> std::result::Result<Self, String> {
        let mut reader = FormReader(bytes);
        if reader.take(MAGIC.len())? != MAGIC {
            return Err("it is no graph of this version".to_owned());
        }
        let [n_rows, dimension, max_edges, entry, n_layers] = reader.numbers()?;
        if max_edges != MAX_EDGES || n_layers >= MAX_LAYERS || n_rows >= NONE as usize {
            return Err("it has other bounds".to_owned());
        }
        let n_upper: Vec<usize> = (0..n_layers)
            .map(|_| reader.numbers().map(|[n]: [usize; 1]| n))
            .collect::<Result<_, _>>()?;
        let largest = f32::from_bits(reader.words(1)?[0]);
        let mut upper = Vec::with_capacity(n_layers);
        for n in n_upper {
            let rows = reader.words(n)?;
            let edges = reader.words(n.saturating_mul(MAX_EDGES))?;
            upper.push(Layer { rows, edges });
        }
        let lowest = reader.words(n_rows.saturating_mul(2 * MAX_EDGES))?;
        let rest = reader.take(n_rows.saturating_mul(dimension))?;
        let bytes: Vec<i8> = rest.iter().map(|byte| byte.cast_signed()).collect();
        let is_row = |row: &u32| (*row as usize) < n_rows;
        let are_edges = |edges: &[u32]| edges.iter().all(|edge| *edge == NONE || is_row(edge));
        let is_whole = reader.0.is_empty()
            && entry < n_rows.max(1)
            && upper.iter().all(|layer: &Layer| {
                layer.rows.iter().all(is_row)
                    && layer.rows.is_sorted_by(|a, b| a < b)
                    && are_edges(&layer.edges)
            })
            && are_edges(&lowest);
        if !is_whole {
            return Err("it names rows that it does not have, or has bytes left over".to_owned());
        }
        Ok(Self {
            n_rows,
            dimension,
            largest,
            bytes,
            lowest,
            upper,
            entry: entry as u32,
            isa: Isa::detect(),
            marks: Mutex::default(),
        })
    }
}

/// The rest of a stored form.
struct FormReader<'a>(&'a [u8]);

impl<'a> FormReader<'a> {
    fn take(&mut self, n: usize) -> std::result::Result<&'a [u8], String> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or("it is cut short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn numbers<const N: usize>(&mut self) -> std::result::Result<[usize; N], String> {
        let mut numbers = [0; N];
        for number in &mut numbers {
            let mut eight = [0; 8];
            self.0.read_exact(&mut eight).map_err(|_| "it is cut short")?;
            *number =
                usize::try_from(u64::from_le_bytes(eight)).map_err(|_| "a number is too large")?;
        }
        Ok(numbers)
    }

    fn words(&mut self, n: usize) -> std::result::Result<Vec<u32>, String> {
        let bytes = self.take(n.saturating_mul(4))?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect())
    }
}

/// A number as a byte; `largest` becomes 127.
fn rounded(x: f32, largest: f32) -> i8 {
    (x / largest * LARGEST).round().clamp(-LARGEST, LARGEST) as i8
}

/// Checks that a vector has length 1.
fn check_unit(vector: &[f32], row: usize) -> Result<()> {
    let length = norm(vector);
    if (length - 1.0).abs() < 8e-7 {
        return Ok(());
    }
    Err(Error::BadQuery { what: format!("of row {row} has length {length}, expected 1") })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use idiolect_engine::progress::Silent;
    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    const DIMENSION: usize = 24;

    fn vectors(n: usize) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let mut vectors = Vec::new();
        for _ in 0..n {
            let vector: Vec<f64> = (0..DIMENSION).map(|_| random.random::<f64>() - 0.5).collect();
            vectors.extend(crate::peers::linear::unit(&vector, 0.0).unwrap());
        }
        vectors
    }

    #[test]
    fn the_stored_form_finds_the_same_rows() {
        let vectors = vectors(3_000);
        let graph = VectorGraph::build(&vectors, DIMENSION, &Silent).unwrap();
        let bytes = graph.to_bytes();
        let again = VectorGraph::from_bytes(&bytes).unwrap();
        assert_eq!(again.to_bytes(), bytes);
        assert!(!again.upper.is_empty());
        for query in vectors.chunks_exact(DIMENSION).step_by(50) {
            assert_eq!(again.near(query, 40), graph.near(query, 40));
        }
        let second = VectorGraph::build(&vectors, DIMENSION, &Silent).unwrap();
        assert_eq!(second.to_bytes(), bytes, "the same vectors give the same graph");
    }

    #[test]
    fn most_nearest_rows_are_found_nearest_first() {
        let vectors = vectors(3_000);
        let graph = VectorGraph::build(&vectors, DIMENSION, &Silent).unwrap();
        let mut found = 0;
        for query in self::vectors(3_100).chunks_exact(DIMENSION).skip(3_000) {
            let product = |row: usize| {
                let rows = vectors[row * DIMENSION..].iter();
                query.iter().zip(rows).map(|(a, b)| a * b).sum::<f32>()
            };
            let mut all: Vec<usize> = (0..3_000).collect();
            all.sort_by(|a, b| product(*b).total_cmp(&product(*a)));
            let near = graph.near(query, 64);
            assert_eq!(near.len(), 64);
            assert!(near.windows(2).all(|two| product(two[0]) > product(two[1]) - 0.03));
            found += all[..10].iter().filter(|row| near.contains(row)).count();
        }
        assert!(found > 980, "{found} of 1000");
    }

    #[test]
    fn small_graphs_have_all_their_rows() {
        for n in [0, 1, 2, 5] {
            let vectors = vectors(n);
            let graph = VectorGraph::build(&vectors, DIMENSION, &Silent).unwrap();
            let graph = VectorGraph::from_bytes(&graph.to_bytes()).unwrap();
            let query = self::vectors(1);
            let mut rows = graph.near(&query, 9);
            rows.sort_unstable();
            assert_eq!(rows, (0..n).collect::<Vec<_>>());
            assert_eq!((graph.len(), graph.is_empty()), (n, n == 0));
            assert!(graph.near(&query[1..], 9).is_empty(), "another dimension");
        }
        assert!(VectorGraph::build(&[], 0, &Silent).is_err());
    }

    proptest! {
        #[test]
        fn damaged_forms_are_refused_or_searched(at in 0usize..10_000, byte: u8, cut in 1usize..500) {
            let vectors = vectors(40);
            let whole = VectorGraph::build(&vectors, DIMENSION, &Silent).unwrap().to_bytes();
            let cut = &whole[..whole.len() - cut.min(whole.len())];
            prop_assert!(VectorGraph::from_bytes(cut).is_err());
            let mut damaged = whole.clone();
            let at = at % whole.len();
            damaged[at] = byte;
            if let Ok(graph) = VectorGraph::from_bytes(&damaged) {
                let near = graph.near(&vectors[..DIMENSION], 10);
                prop_assert!(near.iter().all(|row| *row < 40));
            }
        }
    }
}
