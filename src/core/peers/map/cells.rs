//! Groups of similar users: k-means over a sample, then the nearest centre for everybody.

use candle_core::{Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::kmeans::rough_kmeans;
use super::super::linear::{norm, unit};
use super::super::{Error, Result};
use idiolect_engine::progress::{Progress, ProgressStage};

/// Number of users of a cell that is aimed at.
const USERS_PER_CELL: usize = 1_000;

/// Least and greatest number of cells.
const N_CELLS: (usize, usize) = (8, 400);

/// Number of users per cell from whom the centres are computed.
const SAMPLE_PER_CELL: usize = 16;

/// Maximum number of iterations of the clustering.
const MAX_ITERATIONS: usize = 20;

/// Seed of the sample and of the clustering.
const SEED: u64 = 42;

/// Number of rows that are assigned at once.
const BLOCK: usize = 1_024;

/// Cells of users.
pub(super) struct Cells {
    /// Centres, of unit length, `[n_cells][dimension]`.
    pub(super) centres: Vec<f32>,
    /// Cell of each row.
    pub(super) of_rows: Vec<u16>,
}

impl Cells {
    /// Groups `vectors`, `[n][dimension]`, of unit length. A cell may be empty only if many vectors
    /// are equal.
    ///
    /// # Errors
    /// [`Error::Stopped`] if `progress` requests a stop; [`Error::Layout`].
    pub(super) fn of(vectors: &[f32], dimension: usize, progress: &dyn Progress) -> Result<Self> {
        let rows: Vec<&[f32]> = vectors.chunks_exact(dimension).collect();
        let n_cells = (rows.len() / USERS_PER_CELL).clamp(N_CELLS.0, N_CELLS.1).min(rows.len());
        if progress.stop_requested() {
            return Err(Error::Stopped);
        }
        let sample = sample(rows.len(), n_cells * SAMPLE_PER_CELL);
        let sample: Vec<&[f32]> = sample.into_iter().map(|at| rows[at]).collect();
        let found = rough_kmeans(&sample, n_cells, SEED, MAX_ITERATIONS);
        let mut centres = Vec::with_capacity(n_cells * dimension);
        for centre in &found.centres {
            // Opposite vectors can have a mean of 0; then any direction is as good.
            let widened = |row: &[f32]| row.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
            let centre = unit(centre, 1e-9).or_else(|| unit(&widened(sample[0]), 0.0));
            centres.extend(centre.unwrap_or_else(|| vec![0.0; dimension]));
        }
        debug_assert!(centres.chunks_exact(dimension).all(|centre| norm(centre) > 0.0));
        let of_rows = assign(vectors, &centres, dimension, progress)?;
        Ok(Self { centres, of_rows })
    }
}

/// Draws `k` of `n` rows without repetition; ascending.
fn sample(n: usize, k: usize) -> Vec<usize> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let mut all: Vec<usize> = (0..n).collect();
    let k = k.min(n);
    for i in 0..k {
        all.swap(i, random.random_range(i..n));
    }
    all.truncate(k);
    all.sort_unstable();
    all
}

/// The centre with the largest cosine for each row; of several the first.
fn assign(
    vectors: &[f32],
    centres: &[f32],
    dimension: usize,
    progress: &dyn Progress,
) -> Result<Vec<u16>> {
    let failed = |error: candle_core::Error| Error::Layout { what: error.to_string() };
    let n_cells = centres.len() / dimension;
    let centres = Tensor::from_slice(centres, (n_cells, dimension), &Device::Cpu)
        .and_then(|centres| centres.t())
        .map_err(failed)?;
    let n = vectors.len() / dimension;
    let stage = ProgressStage::begin(progress, "grouping users", Some(n as u64));
    let mut of_rows = Vec::with_capacity(n);
    for block in vectors.chunks(BLOCK * dimension) {
        if stage.stop_requested() {
            return Err(Error::Stopped);
        }
        let n_rows = block.len() / dimension;
        let products = Tensor::from_slice(block, (n_rows, dimension), &Device::Cpu)
            .and_then(|rows| rows.matmul(&centres))
            .and_then(|products| products.flatten_all()?.to_vec1::<f32>())
            .map_err(failed)?;
        for products in products.chunks_exact(n_cells) {
            let mut best = 0;
            for (at, product) in products.iter().enumerate() {
                if *product > products[best] {
                    best = at;
                }
            }
            of_rows.push(best as u16);
        }
        stage.advance(n_rows as u64);
    }
    Ok(of_rows)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use idiolect_engine::progress::Silent;

    #[test]
    fn each_row_is_in_the_cell_of_its_nearest_centre() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let vectors: Vec<f32> = (0..400)
            .flat_map(|_| {
                let row: Vec<f64> = (0..6).map(|_| random.random::<f64>() - 0.5).collect();
                unit(&row, 0.0).unwrap()
            })
            .collect();
        let cells = Cells::of(&vectors, 6, &Silent).unwrap();
        assert_eq!(cells.centres.len(), 8 * 6);
        for (row, cell) in vectors.chunks_exact(6).zip(&cells.of_rows) {
            let cosines: Vec<f32> = cells
                .centres
                .chunks_exact(6)
                .map(|centre| super::super::super::linear::dot(row, centre))
                .collect();
            let best = cosines.iter().copied().fold(f32::MIN, f32::max);
            assert!(cosines[usize::from(*cell)] > best - 1e-5);
        }
        let used: std::collections::BTreeSet<u16> = cells.of_rows.iter().copied().collect();
        assert_eq!(used.len(), 8);
        assert_eq!(Cells::of(&vectors, 6, &Silent).unwrap().of_rows, cells.of_rows);
    }
}
