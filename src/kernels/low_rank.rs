//! Products with matrices of low rank, which are added to those with a whole matrix (LoRA, arXiv
//! 2106.09685, section 4.1).
//!
//! Both factors are f32 and small, so the loops are plain and give the same bits on every instruction set.

use super::error::check_length;
use super::{Error, Pool, Result};

/// Minimum number of multiplications of a task, so that the fork pays off.
const MIN_WORK: usize = 1 << 15;

/// A matrix of low rank as the product of two factors, with `n_in` inputs and `n_out` outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct LowRank {
    rank: usize,
    /// `[n_in, rank]`.
    down: Vec<f32>,
    /// `[rank, n_out]`.
    up: Vec<f32>,
}

impl LowRank {
    /// Makes a matrix of two factors: `down` `[n_in, rank]` and `up` `[rank, n_out]`, both in row-major
    /// order.
    ///
    /// # Errors
    /// The rank is 0, or a factor is not a whole number of rows or columns.
    pub fn new(rank: usize, down: Vec<f32>, up: Vec<f32>) -> Result<Self> {
        for (what, factor) in [("the first factor", &down), ("the second factor", &up)] {
            if rank == 0 || factor.is_empty() || !factor.len().is_multiple_of(rank) {
                let (operation, expected) = ("low rank", "a multiple of the rank, above 0");
                return Err(Error::Shape { operation, what, got: factor.len(), expected });
            }
        }
        Ok(Self { rank, down, up })
    }

    /// Number of inputs.
    #[must_use]
    pub fn n_in(&self) -> usize {
        self.down.len() / self.rank
    }

    /// Number of outputs.
    #[must_use]
    pub fn n_out(&self) -> usize {
        self.up.len() / self.rank
    }

    /// Rank: rows of the second factor.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// First factor, `[n_in, rank]`.
    #[must_use]
    pub fn down(&self) -> &[f32] {
        &self.down
    }

    /// Second factor, `[rank, n_out]`.
    #[must_use]
    pub fn up(&self) -> &[f32] {
        &self.up
    }

    /// `y += x · down · up`. `x`: `[n, n_in]`, `y`: `[n, n_out]`. A row of the result depends on its row
    /// of `x` alone; sums run from the first input, and from the first row of `up`, to the last.
    ///
    /// # Errors
    /// `x` and `y` are not as many rows of these widths.
    pub fn add_to(&self, y: &mut [f32], x: &[f32], pool: &Pool) -> Result<()> {
        let (n_in, n_out) = (self.n_in(), self.n_out());
        let n = y.len() / n_out;
        check_length("low rank", "the output", y.len(), n * n_out)?;
        check_length("low rank", "the input", x.len(), n * n_in)?;
        let per_task = MIN_WORK.div_ceil(self.down.len() + self.up.len()).max(1);
        let mut tasks: Vec<(&mut [f32], &[f32])> =
            y.chunks_mut(per_task * n_out).zip(x.chunks(per_task * n_in)).collect();
        pool.for_each(&mut tasks, |_, (y, x)| {
            let mut inner = vec![0.0; self.rank];
            for (y, x) in y.chunks_exact_mut(n_out).zip(x.chunks_exact(n_in)) {
                inner.fill(0.0);
                add_products(&mut inner, x, &self.down);
                add_products(y, &inner, &self.up);
            }
        });
        Ok(())
    }
}

/// `y += x · matrix`, row of the matrix after row.
fn add_products(y: &mut [f32], x: &[f32], matrix: &[f32]) {
    for (x, row) in x.iter().zip(matrix.chunks_exact(y.len())) {
        y.iter_mut().zip(row).for_each(|(y, weight)| *y += x * weight);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing;

    #[test]
    fn the_product_is_what_its_formula_says() {
        let pools = [Pool::new(1), Pool::new(2)];
        for (n, n_in, rank, n_out) in
            [(0, 3, 1, 2), (1, 1, 1, 1), (5, 40, 4, 24), (90, 576, 8, 192)]
        {
            let random = |n: usize, seed| testing::random(n, 1.0, seed);
            let (down, up) = (random(n_in * rank, 1), random(rank * n_out, 2));
            let low = LowRank::new(rank, down.clone(), up.clone()).unwrap();
            assert_eq!((low.n_in(), low.rank(), low.n_out()), (n_in, rank, n_out));
            let (x, before) = (random(n * n_in, 3), random(n * n_out, 4));
            let mut y = before.clone();
            low.add_to(&mut y, &x, &pools[1]).unwrap();
            let mut alone = before.clone();
            for (y, x) in alone.chunks_mut(n_out).zip(x.chunks(n_in)) {
                low.add_to(y, x, &pools[0]).unwrap();
            }
            assert_eq!(testing::bits(&y), testing::bits(&alone));
            for row in 0..n {
                for column in 0..n_out {
                    let inner = |r: usize| -> f64 {
                        let each = (0..n_in)
                            .map(|i| f64::from(x[row * n_in + i]) * f64::from(down[i * rank + r]));
                        each.sum()
                    };
                    let exact = f64::from(before[row * n_out + column])
                        + (0..rank)
                            .map(|r| inner(r) * f64::from(up[r * n_out + column]))
                            .sum::<f64>();
                    let got = f64::from(y[row * n_out + column]);
                    assert!((got - exact).abs() < 1e-3, "{got} {exact}");
                }
            }
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        assert!(LowRank::new(0, vec![1.0], vec![1.0]).is_err());
        assert!(LowRank::new(2, vec![1.0; 3], vec![1.0; 4]).is_err());
        assert!(LowRank::new(2, vec![1.0; 4], vec![]).is_err());
        let low = LowRank::new(2, vec![1.0; 6], vec![1.0; 8]).unwrap();
        let pool = Pool::new(1);
        assert!(low.add_to(&mut [0.0; 4], &[0.0; 6], &pool).is_err());
        assert!(low.add_to(&mut [0.0; 5], &[0.0; 3], &pool).is_err());
        assert!(low.add_to(&mut [0.0; 8], &[0.0; 6], &pool).is_ok());
    }
}
