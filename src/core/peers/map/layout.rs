//! Layout of vectors in the plane: t-SNE (van der Maaten and Hinton, "Visualizing data using t-SNE",
//! 2008), begun from the first two principal components (Kobak and Berens, "The art of using t-SNE
//! for single-cell transcriptomics", 2019).
//!
//! bhtsne sums in an order that depends on how its work is divided among threads, so it runs on one
//! thread: the same vectors give the same bytes.

use bhtsne::{Neighbor, tSNE};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::linear::{dot, norm, unit};
use super::super::{Error, Result};
use super::neighbours::{kept_neighbours, nearest_rows};
use idiolect_engine::progress::{Progress, ProgressStage};

/// Number of vectors below which the plane of the principal components is the layout.
const MIN_POINTS: usize = 8;

/// Number of vectors from which forces are interpolated on a grid (Linderman et al., "Fast
/// interpolation-based t-SNE", 2019); below, the tree of Barnes and Hut is faster.
const GRID_FROM: usize = 10_000;

/// Accuracy of the tree of Barnes and Hut.
const THETA: f32 = 0.5;

/// Effective number of neighbours of a point. Half of the usual 30 keeps more of the ten nearest, which is what
/// the map is for, and takes less time.
const PERPLEXITY: f32 = 15.0;

/// Factor of the attraction in the first steps. The learning rate is the number of vectors divided by it
/// (Belkina et al., "Automated optimized parameters for t-SNE", 2019), which keeps more neighbours of
/// many vectors than the usual quarter of that, in the same time.
const EXAGGERATION: f32 = 12.0;

/// Learning rate of few vectors.
const MIN_LEARNING_RATE: f32 = 50.0;

/// Number of steps with exaggerated attraction, which form the groups.
const EXAGGERATED_STEPS: usize = 250;

/// Number of further steps.
const STEPS: usize = 500;

/// Momentum of the further steps.
const MOMENTUM: f32 = 0.8;

/// Number of steps between two looks at a stop request. Each begins with no speed, so it is not
/// smaller than needed.
const STEPS_AT_ONCE: usize = 125;

/// Standard deviation of the first coordinate at the start.
const START_SCALE: f32 = 1e-4;

/// Maximum number of vectors from which the principal components are computed.
const PRINCIPAL_SAMPLE: usize = 5_000;

/// Number of power iterations.
const PRINCIPAL_STEPS: usize = 30;

/// Free margin at each edge of the unit square.
const MARGIN: f32 = 0.02;

/// Points in the unit square, one for each vector.
pub(super) struct Layout {
    pub(super) points: Vec<[f32; 2]>,
    /// See [`UserMap::kept_neighbours`](super::UserMap::kept_neighbours).
    pub(super) kept_neighbours: Option<f64>,
}

impl Layout {
    /// Lays out `vectors`, `[n][dimension]`, of unit length.
    ///
    /// # Errors
    /// [`Error::Stopped`] if `progress` requests a stop; [`Error::Layout`].
    pub(super) fn of(vectors: &[f32], dimension: usize, progress: &dyn Progress) -> Result<Self> {
        let rows: Vec<&[f32]> = vectors.chunks_exact(dimension.max(1)).collect();
        let mut points = principal_plane(&rows);
        if rows.len() < MIN_POINTS {
            return Ok(Self { points: in_unit_square(&points), kept_neighbours: None });
        }
        let perplexity = PERPLEXITY.min((rows.len() - 1) as f32 / 3.0);
        let n_neighbours = ((3.0 * perplexity) as usize).max(10).min(rows.len() - 1);
        let near = nearest_rows(vectors, dimension, n_neighbours, progress)?;
        points = attract(&rows, &points, &near, perplexity, progress)?;
        let points = in_unit_square(&points);
        let kept_neighbours = kept_neighbours(&near, &points);
        Ok(Self { points, kept_neighbours })
    }
}

/// Moves the points by t-SNE.
fn attract(
    rows: &[&[f32]],
    start: &[[f32; 2]],
    near: &[Vec<Neighbor<f32>>],
    perplexity: f32,
    progress: &dyn Progress,
) -> Result<Vec<[f32; 2]>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.map_err(|error| Error::Layout { what: error.to_string() })?;
    let place = pool.install(|| moved(rows, started(start), near, perplexity, progress))?;
    match place.iter().all(|x| x.is_finite()) {
        true => Ok(place.as_chunks::<2>().0.to_vec()),
        // Equal vectors have no neighbourhoods; they stay where they begin.
        false => Ok(start.to_vec()),
    }
}

/// Runs all steps from `place`, `[n][2]`, on the threads of the current pool.
fn moved(
    rows: &[&[f32]],
    mut place: Vec<f32>,
    near: &[Vec<Neighbor<f32>>],
    perplexity: f32,
    progress: &dyn Progress,
) -> Result<Vec<f32>> {
    let total = EXAGGERATED_STEPS + STEPS;
    let stage = ProgressStage::begin(progress, "laying out users", Some(total as u64));
    let mut tsne: tSNE<'_, f32, &[f32]> = tSNE::new(rows);
    tsne.epoch_callback(|_, _| stage.advance(1));
    for done in (0..total).step_by(STEPS_AT_ONCE) {
        if stage.stop_requested() {
            return Err(Error::Stopped);
        }
        let is_exaggerated = done < EXAGGERATED_STEPS;
        tsne.perplexity(perplexity)
            .learning_rate((rows.len() as f32 / EXAGGERATION).max(MIN_LEARNING_RATE))
            .early_exaggeration(EXAGGERATION)
            .epochs(STEPS_AT_ONCE)
            .stop_lying_epoch(if is_exaggerated { STEPS_AT_ONCE } else { 0 })
            .initial_embedding(place);
        if !is_exaggerated {
            tsne.momentum(MOMENTUM);
        }
        match rows.len() < GRID_FROM {
            true => tsne.barnes_hut_with_neighbors(THETA, near),
            false => tsne.fit_sne_with_neighbors(near),
        };
        place = tsne.embedding();
    }
    Ok(place)
}

/// The starting points, small, so that they can move freely.
fn started(points: &[[f32; 2]]) -> Vec<f32> {
    let sum: f32 = points.iter().map(|[x, _]| x * x).sum();
    let deviation = (sum / points.len().max(1) as f32).sqrt();
    let scale = if deviation > 0.0 { START_SCALE / deviation } else { 0.0 };
    // Equal vectors would stay together for ever, so each point is moved a little.
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut little = || START_SCALE * 1e-2 * (random.random::<f32>() - 0.5);
    points.iter().flatten().map(|x| x * scale + little()).collect()
}

/// Coordinates along the first two principal components, with mean 0. The components are computed by
/// power iteration from at most [`PRINCIPAL_SAMPLE`] of the vectors.
fn principal_plane(rows: &[&[f32]]) -> Vec<[f32; 2]> {
    let Some(dimension) = rows.first().map(|row| row.len()) else { return Vec::new() };
    let mean = super::super::linear::mean(rows.iter().copied(), dimension).unwrap_or_default();
    let stride = rows.len().div_ceil(PRINCIPAL_SAMPLE);
    let centred = |row: &[f32]| -> Vec<f32> { row.iter().zip(&mean).map(|(x, m)| x - m).collect() };
    let sample: Vec<Vec<f32>> = rows.iter().step_by(stride).map(|row| centred(row)).collect();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut axes: Vec<Vec<f32>> = Vec::new();
    for _ in 0..2 {
        let mut axis: Vec<f32> = (0..dimension).map(|_| random.random::<f32>() - 0.5).collect();
        for _ in 0..PRINCIPAL_STEPS {
            let mut next = vec![0.0_f64; dimension];
            for row in &sample {
                let weight = f64::from(dot(row, &axis));
                next.iter_mut().zip(row).for_each(|(sum, x)| *sum += weight * f64::from(*x));
            }
            for found in &axes {
                let along: f64 = next.iter().zip(found).map(|(x, f)| x * f64::from(*f)).sum();
                next.iter_mut().zip(found).for_each(|(x, f)| *x -= along * f64::from(*f));
            }
            // The vectors may have fewer dimensions than two.
            axis = unit(&next, 1e-12).unwrap_or_else(|| vec![0.0; dimension]);
            if norm(&axis) == 0.0 {
                break;
            }
        }
        axes.push(axis);
    }
    let place = |row: &&[f32]| {
        let row = centred(row);
        [dot(&row, &axes[0]), dot(&row, &axes[1])]
    };
    rows.iter().map(place).collect()
}

/// Moves and scales points into the unit square, with one scale for both axes, and rounds them to
/// five digits.
fn in_unit_square(points: &[[f32; 2]]) -> Vec<[f32; 2]> {
    let ends = |axis: usize| {
        let values = points.iter().map(|point| point[axis]);
        values.fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
    };
    let ends = [ends(0), ends(1)];
    let size = ends.iter().map(|(low, high)| high - low).fold(0.0, f32::max);
    let scale = if size > 0.0 { (1.0 - 2.0 * MARGIN) / size } else { 0.0 };
    let place = |x: f32, (low, high): (f32, f32)| {
        let x = 0.5 + scale * (x - f32::midpoint(low, high));
        (x * 1e5).round() / 1e5
    };
    points.iter().map(|[x, y]| [place(*x, ends[0]), place(*y, ends[1])]).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use idiolect_engine::progress::Silent;

    /// Unit vectors in groups of `of_group`.
    fn groups(n_groups: usize, of_group: usize) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let mut vectors = Vec::new();
        for group in 0..n_groups {
            for _ in 0..of_group {
                let mut vector: Vec<f64> = (0..24).map(|_| 0.1 * random.random::<f64>()).collect();
                vector[group] += 1.0;
                vectors.extend(unit(&vector, 0.0).unwrap());
            }
        }
        vectors
    }

    #[test]
    fn groups_stay_together_and_each_run_gives_the_same_bytes() {
        let vectors = groups(5, 30);
        let layout = Layout::of(&vectors, 24, &Silent).unwrap();
        let again = Layout::of(&vectors, 24, &Silent).unwrap();
        assert_eq!(layout.points, again.points);
        for (i, point) in layout.points.iter().enumerate() {
            let distance = |other: &[f32; 2]| (other[0] - point[0]).hypot(other[1] - point[1]);
            let others = layout.points.iter().enumerate().filter(|(j, _)| *j != i);
            let near = others.min_by(|a, b| distance(a.1).total_cmp(&distance(b.1))).unwrap();
            assert_eq!(near.0 / 30, i / 30, "the nearest point is of the same group");
        }
        assert!(layout.kept_neighbours.unwrap() > 0.4, "{:?}", layout.kept_neighbours);
    }

    #[test]
    fn equal_vectors_and_single_ones_have_places() {
        for n in [1, 2, 7, 8, 40] {
            let vectors: Vec<f32> = [0.6, 0.8, 0.0].repeat(n);
            let layout = Layout::of(&vectors, 3, &Silent).unwrap();
            assert_eq!(layout.points.len(), n);
            assert!(layout.points.iter().flatten().all(|x| (0.0..=1.0).contains(x)));
        }
        assert!(Layout::of(&[], 3, &Silent).unwrap().points.is_empty());
    }

    #[test]
    fn the_plane_has_the_widest_directions() {
        let rows: Vec<[f32; 3]> = (0..40)
            .map(|i| [0.01 * (i % 3) as f32, 3.0 * (i % 5) as f32, 1.0 * (i % 7) as f32])
            .collect();
        let refs: Vec<&[f32]> = rows.iter().map(|row| row.as_slice()).collect();
        let plane = principal_plane(&refs);
        let spread = |of: &dyn Fn(usize) -> f32| {
            let mean = (0..40).map(of).sum::<f32>() / 40.0;
            (0..40).map(|i| (of(i) - mean).powi(2)).sum::<f32>()
        };
        let (first, second) = (spread(&|i| plane[i][0]), spread(&|i| plane[i][1]));
        assert!((first / spread(&|i| rows[i][1]) - 1.0).abs() < 0.05);
        assert!((second / spread(&|i| rows[i][2]) - 1.0).abs() < 0.05);
    }
}
