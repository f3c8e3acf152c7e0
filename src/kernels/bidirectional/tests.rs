//! Compares attention with its formula, on every instruction set, in batches and alone.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::testing::{self, bits};

fn random(n: usize, seed: u64) -> Vec<f32> {
    testing::random(n, 2.0, seed)
}

struct Case {
    n_heads: usize,
    head_dim: usize,
    rows: [Vec<f32>; 3],
    bias: [Vec<f32>; 3],
}

impl Case {
    fn new(n_heads: usize, head_dim: usize, n_rows: usize) -> Self {
        let width = n_heads * head_dim;
        Self {
            n_heads,
            head_dim,
            rows: [1, 2, 3].map(|seed| random(n_rows * width, seed)),
            bias: [4, 5, 6].map(|seed| random(width, seed)),
        }
    }

    fn width(&self) -> usize {
        self.n_heads * self.head_dim
    }

    /// Returns attention over the rows of `texts` only, one text after another.
    fn run(&self, texts: &[Range<usize>], isa: Isa, pool: &Pool) -> Vec<f32> {
        let width = self.width();
        let rows: [Vec<f32>; 3] = self.rows.each_ref().map(|all| {
            texts.iter().flat_map(|t| &all[t.start * width..t.end * width]).copied().collect()
        });
        let mut end = 0;
        let moved: Vec<Range<usize>> = texts
            .iter()
            .map(|text| {
                end += text.len();
                end - text.len()..end
            })
            .collect();
        let of = |i: usize| ProjectedRows { rows: &rows[i], bias: &self.bias[i] };
        let projections =
            QkvRows { n_heads: self.n_heads, queries: of(0), keys: of(1), values: of(2) };
        let mut out = vec![f32::NAN; end * width];
        attend(&projections, &moved, &mut out, isa, pool).unwrap();
        out
    }

    /// Returns the result of the formula, in f64.
    fn exact(&self, text: &Range<usize>, row: usize, head: usize) -> Vec<f64> {
        let at = |which: usize, row: usize, d: usize| {
            let d = head * self.head_dim + d;
            f64::from(self.rows[which][row * self.width() + d] + self.bias[which][d])
        };
        let scores: Vec<f64> = text
            .clone()
            .map(|key| {
                let dot: f64 = (0..self.head_dim).map(|d| at(0, row, d) * at(1, key, d)).sum();
                dot / (self.head_dim as f64).sqrt()
            })
            .collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let sum: f64 = weights.iter().sum();
        (0..self.head_dim)
            .map(|d| {
                let values = text.clone().map(|key| at(2, key, d));
                weights.iter().zip(values).map(|(w, v)| w * v / sum).sum()
            })
            .collect()
    }
}

/// Number of heads, elements of a head, lengths of the texts; some are longer than `CHUNK`.
const CASES: [(usize, usize, &[usize]); 5] = [
    (12, 32, &[115, 1, 20]),
    (2, 4, &[3, 0, 7]),
    (1, 64, &[129, 16]),
    (3, 20, &[31, 33]),
    (2, 16, &[300]),
];

fn texts(lengths: &[usize]) -> Vec<Range<usize>> {
    let mut end = 0;
    lengths
        .iter()
        .map(|len| {
            end += len;
            end - len..end
        })
        .collect()
}

#[test]
fn attention_is_what_its_formula_says_on_every_tier() {
    let pools = [Pool::new(1), Pool::new(3)];
    for (n_heads, head_dim, lengths) in CASES {
        let texts = texts(lengths);
        let case = Case::new(n_heads, head_dim, lengths.iter().sum());
        let plain = case.run(&texts, Isa::PLAIN, &pools[0]);
        for isa in Isa::available() {
            for pool in &pools {
                assert_eq!(bits(&case.run(&texts, isa, pool)), bits(&plain), "{isa}");
            }
        }
        for text in &texts {
            for row in text.clone() {
                for head in 0..n_heads {
                    let got = &plain[row * case.width() + head * head_dim..][..head_dim];
                    for (got, exact) in got.iter().zip(case.exact(text, row, head)) {
                        assert!((f64::from(*got) - exact).abs() < 1e-5, "{got} {exact}");
                    }
                }
            }
        }
    }
}

#[test]
fn texts_of_a_batch_do_not_touch_each_other() {
    let pool = Pool::new(2);
    let lengths = [9, 140, 1, 30, 30, 30, 30, 30, 30];
    let texts = texts(&lengths);
    let mut case = Case::new(4, 16, lengths.iter().sum());
    for isa in Isa::available() {
        let together = case.run(&texts, isa, &pool);
        for text in &texts {
            let part = &together[text.start * 64..text.end * 64];
            let alone = case.run(std::slice::from_ref(text), isa, &pool);
            assert_eq!(bits(part), bits(&alone), "{isa}");
        }
    }
    let before = case.run(&texts, Isa::detect(), &pool);
    case.rows[1][9 * 64] = f32::NAN;
    let after = case.run(&texts, Isa::detect(), &pool);
    assert_eq!(bits(&before[..9 * 64]), bits(&after[..9 * 64]));
    assert_eq!(bits(&before[149 * 64..]), bits(&after[149 * 64..]));
    assert!(after[9 * 64..9 * 64 + 16].iter().all(|x| x.is_nan()));
}

#[test]
fn scores_far_apart_and_equal_ones() {
    let pool = Pool::new(1);
    let n = 200;
    let mut case = Case::new(1, 16, n);
    case.bias = [0, 1, 2].map(|_| vec![0.0; 16]);
    case.rows[0] = vec![1e4; n * 16];
    case.rows[1] = (0..n * 16).map(|i| (i / 16) as f32 * 100.0).collect();
    case.rows[2] = (0..n * 16).map(|i| (i / 16) as f32).collect();
    let out = case.run(&texts(&[n]), Isa::detect(), &pool);
    assert!(out.iter().all(|x| *x == 199.0), "the last position takes all");
    case.rows[1] = vec![0.0; n * 16];
    case.rows[2] = vec![2.0; n * 16];
    assert!(case.run(&texts(&[n]), Isa::detect(), &pool).iter().all(|x| *x == 2.0));
}

#[test]
fn wrong_shapes_are_told() {
    let pool = Pool::new(1);
    let rows = [0.0; 64];
    let bias = [0.0; 32];
    let try_with = |n_heads, keys: &[f32], texts: &[Range<usize>], n_out: usize| {
        let queries = ProjectedRows { rows: &rows, bias: &bias };
        let keys = ProjectedRows { rows: keys, bias: &bias };
        let projections = QkvRows { n_heads, queries, keys, values: queries };
        attend(&projections, texts, &mut vec![0.0; n_out], Isa::PLAIN, &pool)
    };
    assert!(try_with(2, &rows, &[0..1, 1..2], 64).is_ok());
    assert!(try_with(0, &rows, &[], 64).is_err());
    assert!(try_with(3, &rows, &[], 64).is_err());
    assert!(try_with(2, &rows[..32], &[], 64).is_err());
    assert!(try_with(2, &rows, &[], 63).is_err());
    assert!(try_with(2, &rows, &[0..2, 1..2], 64).is_err());
    assert!(try_with(2, &rows, &texts(&[3]), 64).is_err());
}
