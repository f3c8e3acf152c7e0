//! k-means: Lloyd's algorithm with k-means++ initialization.
//!
//! Lloyd, "Least squares quantization in PCM" (1982); Arthur and Vassilvitskii, "k-means++: the
//! advantages of careful seeding" (2007), with several trials per step, of which the best is kept.
//! The best of ten initializations is kept, as in scikit-learn before 1.4, which DPL used.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Number of initializations; the result with the least inertia is kept.
const N_STARTS: usize = 10;

/// Maximum number of iterations per initialization.
const MAX_ITERATIONS: usize = 300;

/// Result of k-means.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Clustering {
    /// Cluster of each point, below k. A cluster can be empty only if there are fewer distinct
    /// points than clusters.
    pub(super) assignment: Vec<usize>,
    /// Centres, `[k][dimension]`: the means of the points of each cluster.
    pub(super) centres: Vec<Vec<f64>>,
    /// Sum of the squared distances between points and their centres.
    pub(super) inertia: f64,
}

/// Clusters `points` (all of the same dimension) into `k` clusters. The same seed gives the same
/// clusters; the order of the points matters. Without points, or with `k` 0, the clustering is
/// empty.
pub(super) fn kmeans(points: &[&[f32]], k: usize, seed: u64) -> Clustering {
    if points.is_empty() || k == 0 {
        return Clustering { assignment: Vec::new(), centres: Vec::new(), inertia: 0.0 };
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut best = one_start(points, k, &mut random);
    for _ in 1..N_STARTS {
        let next = one_start(points, k, &mut random);
        if next.inertia < best.inertia {
            best = next;
        }
    }
    best
}

/// As [`kmeans`], but from one initialization and with at most `max_iterations` iterations, for many
/// points of which a rough grouping is enough. `points` are not empty and `k` is not 0.
pub(super) fn rough_kmeans(
    points: &[&[f32]],
    k: usize,
    seed: u64,
    max_iterations: usize,
) -> Clustering {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let start = start(points, k, &mut random);
    lloyd(points, start, max_iterations, |_| {})
}

/// Returns the cluster of each point; see [`kmeans`].
pub(crate) fn cluster(points: &[&[f32]], k: usize, seed: u64) -> Vec<usize> {
    kmeans(points, k, seed).assignment
}

/// Squared Euclidean distance.
pub(super) fn squared_distance(point: &[f32], centre: &[f64]) -> f64 {
    point.iter().zip(centre).map(|(&x, &c)| (f64::from(x) - c).powi(2)).sum()
}

fn one_start(points: &[&[f32]], k: usize, random: &mut ChaCha8Rng) -> Clustering {
    lloyd(points, start(points, k, random), MAX_ITERATIONS, |_| {})
}

/// Iterates until no point changes its cluster. `watch` receives the inertia after each assignment.
fn lloyd(
    points: &[&[f32]],
    mut centres: Vec<Vec<f64>>,
    max_iterations: usize,
    mut watch: impl FnMut(f64),
) -> Clustering {
    let mut assignment = vec![usize::MAX; points.len()];
    let mut inertia = f64::INFINITY;
    for _ in 0..max_iterations {
        let (mut next, distances) = assign(points, &centres);
        inertia = distances.iter().sum();
        watch(inertia);
        fill_empty(&mut next, distances, centres.len());
        if next == assignment {
            break;
        }
        assignment = next;
        update(points, &assignment, &mut centres);
    }
    Clustering { assignment, centres, inertia }
}

/// k-means++: draws each further centre among the points, in proportion to the squared distance
/// from the nearest centre so far. The best of `2 + ln k` draws is kept.
fn start(points: &[&[f32]], k: usize, random: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let widened = |i: usize| -> Vec<f64> { points[i].iter().map(|&x| f64::from(x)).collect() };
    let n_trials = 2 + (k as f64).ln() as usize;
    let mut centres = vec![widened(random.random_range(0..points.len()))];
    let mut nearest: Vec<f64> = points.iter().map(|p| squared_distance(p, &centres[0])).collect();
    while centres.len() < k {
        let mut best: Option<(f64, Vec<f64>, Vec<f64>)> = None;
        for _ in 0..n_trials {
            let centre = widened(draw(&nearest, random));
            let distances: Vec<f64> = points
                .iter()
                .zip(&nearest)
                .map(|(p, &d)| d.min(squared_distance(p, &centre)))
                .collect();
            let potential: f64 = distances.iter().sum();
            if best.as_ref().is_none_or(|(least, ..)| potential < *least) {
                best = Some((potential, centre, distances));
            }
        }
        if let Some((_, centre, distances)) = best {
            centres.push(centre);
            nearest = distances;
        }
    }
    centres
}

/// Draws an index in proportion to its weight; 0 if all weights are 0.
fn draw(weights: &[f64], random: &mut ChaCha8Rng) -> usize {
    let mut left = random.random::<f64>() * weights.iter().sum::<f64>();
    for (i, &weight) in weights.iter().enumerate() {
        left -= weight;
        if left < 0.0 {
            return i;
        }
    }
    // Rounding may leave a positive rest: return the last point with a positive weight.
    weights.iter().rposition(|&weight| weight > 0.0).unwrap_or(0)
}

/// Returns the index of each point's nearest centre (the first one in a tie) and the squared
/// distance to it.
fn assign(points: &[&[f32]], centres: &[Vec<f64>]) -> (Vec<usize>, Vec<f64>) {
    points
        .iter()
        .map(|point| {
            let mut nearest = (0, f64::INFINITY);
            for (c, centre) in centres.iter().enumerate() {
                let distance = squared_distance(point, centre);
                if distance < nearest.1 {
                    nearest = (c, distance);
                }
            }
            nearest
        })
        .unzip()
}

/// Moves to each empty cluster the point farthest from its own centre, so that no cluster stays
/// empty while there are enough distinct points.
fn fill_empty(assignment: &mut [usize], mut distances: Vec<f64>, k: usize) {
    let mut sizes = vec![0_usize; k];
    for &cluster in assignment.iter() {
        sizes[cluster] += 1;
    }
    for cluster in 0..k {
        if sizes[cluster] > 0 {
            continue;
        }
        let mut farthest: Option<usize> = None;
        for (i, &distance) in distances.iter().enumerate() {
            let apart = distance > farthest.map_or(0.0, |f| distances[f]);
            if apart && sizes[assignment[i]] > 1 {
                farthest = Some(i);
            }
        }
        let Some(point) = farthest else { return };
        sizes[assignment[point]] -= 1;
        sizes[cluster] = 1;
        assignment[point] = cluster;
        distances[point] = 0.0;
    }
}

/// Moves each centre to the mean of its points; the centre of an empty cluster stays.
fn update(points: &[&[f32]], assignment: &[usize], centres: &mut [Vec<f64>]) {
    for (c, centre) in centres.iter_mut().enumerate() {
        let mut sum = vec![0.0; centre.len()];
        let mut n = 0_u32;
        for (point, _) in points.iter().zip(assignment).filter(|&(_, &a)| a == c) {
            super::linear::add(&mut sum, point);
            n += 1;
        }
        if n > 0 {
            *centre = sum.into_iter().map(|x| x / f64::from(n)).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn clusters_of(points: &[Vec<f32>], k: usize, seed: u64) -> Clustering {
        let points: Vec<&[f32]> = points.iter().map(Vec::as_slice).collect();
        kmeans(&points, k, seed)
    }

    /// Least inertia of all possible assignments, by brute force.
    fn best_inertia(points: &[Vec<f32>], k: usize) -> f64 {
        let refs: Vec<&[f32]> = points.iter().map(Vec::as_slice).collect();
        (0..k.pow(points.len() as u32))
            .map(|code| {
                let assignment: Vec<usize> =
                    (0..points.len()).map(|i| code / k.pow(i as u32) % k).collect();
                let mut centres = vec![vec![0.0; points[0].len()]; k];
                update(&refs, &assignment, &mut centres);
                refs.iter().zip(&assignment).map(|(p, &c)| squared_distance(p, &centres[c])).sum()
            })
            .fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn pairs_far_apart_are_found() {
        let points = [[0.0, 0.0], [9.0, 9.0], [0.1, 0.0], [9.0, 9.1]].map(|p| p.to_vec());
        let got = clusters_of(&points, 2, 7);
        assert_eq!(got.assignment[0], got.assignment[2]);
        assert_eq!(got.assignment[1], got.assignment[3]);
        assert_ne!(got.assignment[0], got.assignment[1]);
        assert!((got.inertia - 0.01).abs() < 1e-6);
    }

    #[test]
    fn as_many_clusters_as_points_leave_nothing_over() {
        let points: Vec<Vec<f32>> = (0..5).map(|i| vec![i as f32, 1.0]).collect();
        let got = clusters_of(&points, 5, 0);
        let mut clusters = got.assignment.clone();
        clusters.sort_unstable();
        assert_eq!((clusters, got.inertia), (vec![0, 1, 2, 3, 4], 0.0));
    }

    #[test]
    fn equal_points_share_one_cluster_and_leave_the_rest_empty() {
        let got = clusters_of(&vec![vec![1.0, 2.0]; 6], 3, 1);
        assert!(got.assignment.iter().all(|&c| c == got.assignment[0]));
        assert_eq!(got.inertia, 0.0);
    }

    #[test]
    fn nothing_gives_nothing() {
        assert!(kmeans(&[], 3, 0).assignment.is_empty());
        assert!(kmeans(&[&[1.0]], 0, 0).assignment.is_empty());
    }

    fn some_points() -> impl Strategy<Value = Vec<Vec<f32>>> {
        proptest::collection::vec(proptest::collection::vec(-3_i8..4, 3), 1..9).prop_map(|points| {
            points.into_iter().map(|p| p.into_iter().map(f32::from).collect()).collect()
        })
    }

    proptest! {
        #[test]
        fn inertia_never_rises(points in some_points(), k in 1_usize..5, seed: u64) {
            let refs: Vec<&[f32]> = points.iter().map(Vec::as_slice).collect();
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut seen = Vec::new();
            let first = start(&refs, k, &mut random);
            lloyd(&refs, first, MAX_ITERATIONS, |inertia| seen.push(inertia));
            prop_assert!(seen.windows(2).all(|w| w[1] <= w[0] + 1e-9), "{seen:?}");
        }

        #[test]
        fn points_are_with_their_nearest_centre_which_is_their_mean(
            points in some_points(), k in 1_usize..5, seed: u64,
        ) {
            let got = clusters_of(&points, k, seed);
            let refs: Vec<&[f32]> = points.iter().map(Vec::as_slice).collect();
            let mut means = got.centres.clone();
            update(&refs, &got.assignment, &mut means);
            prop_assert_eq!(&means, &got.centres);
            for (point, &own) in refs.iter().zip(&got.assignment) {
                let at_own = squared_distance(point, &got.centres[own]);
                for centre in &got.centres {
                    prop_assert!(at_own <= squared_distance(point, centre) + 1e-9);
                }
            }
            prop_assert_eq!(got, clusters_of(&points, k, seed));
        }

        #[test]
        fn few_points_are_clustered_as_well_as_can_be(
            points in proptest::collection::vec(proptest::collection::vec(-3_i8..4, 2), 1..6),
            k in 1_usize..4,
        ) {
            let points: Vec<Vec<f32>> =
                points.into_iter().map(|p| p.into_iter().map(f32::from).collect()).collect();
            let got = clusters_of(&points, k, 3);
            let best = best_inertia(&points, k);
            // Lloyd's algorithm does not guarantee the optimum; ten initializations on five points
            // come close.
            prop_assert!(got.inertia <= 2.0 * best + 1e-9, "{} against {best}", got.inertia);
        }
    }
}
