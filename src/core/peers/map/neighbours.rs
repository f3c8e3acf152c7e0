//! Nearest vectors by an exact scan, and the share of them that a layout keeps.

use bhtsne::Neighbor;
use candle_core::{Device, Tensor};
use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use super::super::linear::dot;
use super::super::{Error, Result};
use idiolect_engine::progress::{Progress, ProgressStage};

/// Number of rows that are multiplied with all others at once.
const BLOCK: usize = 128;

/// Number of nearest points that are compared.
const COMPARED: usize = 10;

/// Maximum number of points whose neighbours are compared.
const SAMPLE: usize = 2_000;

/// Returns for each of `vectors` (`[n][dimension]`, of unit length) the `k` other rows nearest to it,
/// nearest first, with Euclidean distances; ties are in order of rows. `k` is below `n`.
pub(super) fn nearest_rows(
    vectors: &[f32],
    dimension: usize,
    k: usize,
    progress: &dyn Progress,
) -> Result<Vec<Vec<Neighbor<f32>>>> {
    let n = vectors.len() / dimension;
    let all = Tensor::from_slice(vectors, (n, dimension), &Device::Cpu).map_err(failed)?;
    let all = all.t().map_err(failed)?;
    let stage = ProgressStage::begin(progress, "finding neighbours", Some(n as u64));
    let mut near = Vec::with_capacity(n);
    for (block, rows) in vectors.chunks(BLOCK * dimension).enumerate() {
        if stage.stop_requested() {
            return Err(Error::Stopped);
        }
        let n_rows = rows.len() / dimension;
        let products = Tensor::from_slice(rows, (n_rows, dimension), &Device::Cpu)
            .and_then(|rows| rows.matmul(&all))
            .and_then(|products| products.flatten_all()?.to_vec1::<f32>())
            .map_err(failed)?;
        let of_block = products.par_chunks_exact(n).enumerate().map(|(row, products)| {
            nearest_of(vectors, dimension, (block * BLOCK + row, products), k)
        });
        near.extend(of_block.collect::<Vec<_>>());
        stage.advance(n_rows as u64);
    }
    Ok(near)
}

/// The `k` other rows with the largest products. The products of a matrix multiplication depend on the
/// machine in their last bits, so that distances are computed again.
fn nearest_of(
    vectors: &[f32],
    dimension: usize,
    (own, products): (usize, &[f32]),
    k: usize,
) -> Vec<Neighbor<f32>> {
    let row = |at: usize| &vectors[at * dimension..(at + 1) * dimension];
    let mut order: Vec<u32> = (0..products.len() as u32).filter(|&at| at as usize != own).collect();
    let by_product =
        |a: &u32, b: &u32| products[*b as usize].total_cmp(&products[*a as usize]).then(a.cmp(b));
    if k < order.len() {
        order.select_nth_unstable_by(k, by_product);
        order.truncate(k);
    }
    let mut near: Vec<Neighbor<f32>> = order
        .into_iter()
        .map(|at| {
            let index = at as usize;
            let cosine = dot(row(own), row(index)).clamp(-1.0, 1.0);
            Neighbor { index, distance: (2.0 - 2.0 * cosine).max(0.0).sqrt() }
        })
        .collect();
    near.sort_by(|a, b| a.distance.total_cmp(&b.distance).then(a.index.cmp(&b.index)));
    near
}

fn failed(error: candle_core::Error) -> Error {
    Error::Layout { what: error.to_string() }
}

/// Share of each row's ten nearest rows that are among the ten points nearest to its point, mean over
/// at most [`SAMPLE`] rows; `None` if all points are among the ten nearest.
pub(super) fn kept_neighbours(near: &[Vec<Neighbor<f32>>], points: &[[f32; 2]]) -> Option<f64> {
    if points.len() <= COMPARED + 1 {
        return None;
    }
    let stride = points.len().div_ceil(SAMPLE);
    let (mut n_kept, mut n_all) = (0_usize, 0_usize);
    for own in (0..points.len()).step_by(stride) {
        let distance = |at: u32| {
            let (a, b) = (points[own], points[at as usize]);
            (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
        };
        let mut order: Vec<u32> =
            (0..points.len() as u32).filter(|&at| at as usize != own).collect();
        order.select_nth_unstable_by(COMPARED, |a, b| {
            distance(*a).total_cmp(&distance(*b)).then(a.cmp(b))
        });
        let expected = near[own].iter().take(COMPARED);
        n_kept += expected.filter(|n| order[..COMPARED].contains(&(n.index as u32))).count();
        n_all += COMPARED;
    }
    Some(n_kept as f64 / n_all as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::super::super::linear::unit;
    use super::*;
    use idiolect_engine::progress::Silent;

    proptest! {
        #[test]
        fn the_nearest_rows_are_those_of_a_sort(
            rows in proptest::collection::vec(proptest::collection::vec(-5_i8..6, 4), 2..300),
            k in 1_usize..12,
        ) {
            let vectors: Vec<f32> = rows
                .iter()
                .flat_map(|row| {
                    let row: Vec<f64> = row.iter().map(|x| f64::from(*x) + 0.1).collect();
                    unit(&row, 0.0).unwrap()
                })
                .collect();
            let k = k.min(rows.len() - 1);
            let near = nearest_rows(&vectors, 4, k, &Silent).unwrap();
            for (own, near) in near.iter().enumerate() {
                let row = |at: usize| &vectors[4 * at..4 * at + 4];
                let mut cosines: Vec<f32> =
                    (0..rows.len()).filter(|at| *at != own).map(|at| dot(row(own), row(at))).collect();
                cosines.sort_by(|a, b| b.total_cmp(a));
                prop_assert_eq!(near.len(), k);
                for (neighbour, cosine) in near.iter().zip(&cosines) {
                    let expected = (2.0 - 2.0 * cosine.min(1.0)).max(0.0).sqrt();
                    prop_assert!((neighbour.distance - expected).abs() < 2e-3);
                    prop_assert!(neighbour.index != own);
                }
            }
        }
    }

    #[test]
    fn a_line_is_kept_and_a_shuffled_one_is_not() {
        let n = 200_usize;
        let line = |at: usize| [at as f32, 0.0];
        let near: Vec<Vec<Neighbor<f32>>> = (0..n)
            .map(|own| {
                let mut others: Vec<usize> = (0..n).filter(|at| *at != own).collect();
                others.sort_by_key(|at| (at.abs_diff(own), *at));
                others[..10].iter().map(|&index| Neighbor { index, distance: 1.0 }).collect()
            })
            .collect();
        let points: Vec<[f32; 2]> = (0..n).map(line).collect();
        assert_eq!(kept_neighbours(&near, &points), Some(1.0));
        let shuffled: Vec<[f32; 2]> = (0..n).map(|at| line(at * 77 % 200)).collect();
        assert!(kept_neighbours(&near, &shuffled).unwrap() < 0.2);
        assert_eq!(kept_neighbours(&near[..11], &points[..11]), None);
    }
}
