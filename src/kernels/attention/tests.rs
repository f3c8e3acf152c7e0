//! Compares attention with the formula in f64, every instruction set with the plain one, and
//! different batchings of the same rows.

#![allow(clippy::unwrap_used)]

use super::{AttentionSequence, AttentionSettings, KV_BLOCK_SIZE, KvPrecision, KvShape, attend};
use crate::testing::{self, bits};
use crate::{Isa, Pool};
use half::{bf16, f16};

fn random(n: usize, seed: u64) -> Vec<f32> {
    testing::random(n, 2.0, seed)
}

struct Case {
    shape: KvShape,
    n_heads: usize,
    window: Option<usize>,
    soft_cap: Option<f32>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    kv_blocks: Vec<Vec<u16>>,
}

/// Attention of `n_heads` heads of `head_dim` elements, without window or cap.
fn plain(n_heads: usize, head_dim: usize) -> AttentionSettings {
    let scale = 1.0 / (head_dim as f32).sqrt();
    AttentionSettings { n_heads, scale, window: None, soft_cap: None }
}

impl Case {
    fn new(precision: KvPrecision, (n_heads, n_kv_heads, head_dim, len): Shape) -> Self {
        let width = n_kv_heads * head_dim;
        let (keys, values) = (random(len * width, 1), random(len * width, 2));
        let queries = random(len * n_heads * head_dim, 3);
        Self::of(KvShape { n_kv_heads, head_dim, precision }, n_heads, queries, keys, values)
    }

    fn of(
        shape: KvShape,
        n_heads: usize,
        queries: Vec<f32>,
        keys: Vec<f32>,
        values: Vec<f32>,
    ) -> Self {
        let width = shape.n_kv_heads * shape.head_dim;
        let len = keys.len() / width;
        // Unwritten positions hold NaN in f16 and in bf16 and must not affect results. Padding must
        // be zero.
        let unwritten = if shape.head_dim.is_multiple_of(16) { 0x7FFF } else { 0 };
        let mut runs = vec![vec![unwritten; shape.block_len()]; len.div_ceil(KV_BLOCK_SIZE)];
        for (position, (key, value)) in keys.chunks(width).zip(values.chunks(width)).enumerate() {
            shape
                .write(&mut runs[position / KV_BLOCK_SIZE], position % KV_BLOCK_SIZE, key, value)
                .unwrap();
        }
        let (window, soft_cap) = (None, None);
        Self { shape, n_heads, window, soft_cap, queries, keys, values, kv_blocks: runs }
    }

    fn settings(&self) -> AttentionSettings {
        let Self { window, soft_cap, .. } = *self;
        AttentionSettings { window, soft_cap, ..plain(self.n_heads, self.shape.head_dim) }
    }

    /// Attention of rows `start .. start + n_rows` as the only sequence of a batch.
    fn rows(&self, start: usize, n_rows: usize, isa: Isa, pool: &Pool) -> Vec<f32> {
        let width = self.n_heads * self.shape.head_dim;
        let runs: Vec<&[u16]> = self.kv_blocks.iter().map(Vec::as_slice).collect();
        let sequence = AttentionSequence { kv_blocks: &runs, first_row: 0, n_rows, start };
        let mut out = vec![f32::NAN; n_rows * width];
        let queries = &self.queries[start * width..(start + n_rows) * width];
        attend(self.shape, &self.settings(), queries, &[sequence], &mut out, isa, pool).unwrap();
        out
    }

    /// The formula in f64, on keys and values as stored and queries as multiplied.
    fn exact(&self, position: usize, head: usize) -> Vec<f64> {
        let kept = |x: f32| match self.shape.precision {
            KvPrecision::F16 => f16::from_f32(x).to_f64(),
            KvPrecision::Bf16 => bf16::from_f32(x).to_f64(),
        };
        let dim = self.shape.head_dim;
        let kv_head = head / (self.n_heads / self.shape.n_kv_heads);
        let query = &self.queries[(position * self.n_heads + head) * dim..][..dim];
        let row = |x: &[f32], i: usize| -> Vec<f64> {
            x[(i * self.shape.n_kv_heads + kv_head) * dim..][..dim]
                .iter()
                .map(|x| kept(*x))
                .collect()
        };
        let scale = 1.0 / (dim as f32).sqrt();
        let query: Vec<f64> = query
            .iter()
            .map(|x| match self.shape.precision {
                KvPrecision::F16 => f64::from(x * scale),
                KvPrecision::Bf16 => kept(x * scale),
            })
            .collect();
        let first = self.window.map_or(0, |window| (position + 1).saturating_sub(window));
        let weights: Vec<f64> = (0..=position)
            .map(|i| {
                let key = row(&self.keys, i);
                let score: f64 = key.iter().zip(&query).map(|(k, q)| k * q).sum();
                match self.soft_cap.map(f64::from) {
                    _ if i < first => 0.0,
                    Some(cap) => (cap * (score / cap).tanh()).exp(),
                    None => score.exp(),
                }
            })
            .collect();
        let total: f64 = weights.iter().sum();
        let mut mixed = vec![0.0; dim];
        for (i, weight) in weights.iter().enumerate() {
            for (mixed, value) in mixed.iter_mut().zip(row(&self.values, i)) {
                *mixed += weight / total * value;
            }
        }
        mixed
    }
}

/// Query heads, key heads, elements of a head, positions.
type Shape = (usize, usize, usize, usize);

const PRECISIONS: [KvPrecision; 2] = [KvPrecision::F16, KvPrecision::Bf16];

const SHAPES: [Shape; 6] = [
    (9, 3, 64, 200),
    (2, 2, 16, 64),
    (14, 2, 64, 70),
    (8, 1, 128, 130),
    (3, 3, 24, 65),
    (4, 2, 80, 1),
];

fn cases() -> impl Iterator<Item = (KvPrecision, Shape)> {
    PRECISIONS.into_iter().flat_map(|precision| SHAPES.map(|shape| (precision, shape)))
}

/// Cases with a window that is shorter than, as long as or longer than a KV block, or longer than
/// the sequence; some with a cap.
fn windowed_cases() -> impl Iterator<Item = Case> {
    let shapes = [(9, 3, 64, 200), (2, 2, 16, 330), (8, 1, 256, 130), (3, 3, 24, 65)];
    let windows = [1, 5, 63, 64, 65, 100, 512];
    let each = PRECISIONS.into_iter().flat_map(move |p| shapes.map(|shape| (p, shape)));
    each.flat_map(move |(precision, shape)| {
        windows.into_iter().enumerate().map(move |(i, window)| Case {
            window: Some(window),
            soft_cap: (i % 2 == 0).then_some(1.5),
            ..Case::new(precision, shape)
        })
    })
}

#[test]
fn attention_is_what_its_formula_says() {
    let pool = Pool::new(2);
    for (precision, shape) in cases() {
        let case = Case::new(precision, shape);
        let (n_heads, _, head_dim, len) = shape;
        let out = case.rows(0, len, Isa::detect(), &pool);
        // Weights in bf16 have relative errors of up to 2^-9; values are within 2.
        let (most, mean) = match precision {
            KvPrecision::F16 => (1e-5, 1e-6),
            KvPrecision::Bf16 => (2.0 * 2.0_f64.powi(-9), 5e-4),
        };
        let (mut sum, mut n) = (0.0, 0.0);
        for position in [0, 1, 15, 63, 64, 69, 129, 199].into_iter().filter(|p| *p < len) {
            for head in 0..n_heads {
                let got = &out[(position * n_heads + head) * head_dim..][..head_dim];
                for (got, exact) in got.iter().zip(case.exact(position, head)) {
                    let off = (f64::from(*got) - exact).abs();
                    assert!(off < most, "{got} {exact}");
                    (sum, n) = (sum + off, n + 1.0);
                }
            }
        }
        assert!(sum / n < mean, "{precision:?}: {}", sum / n);
    }
}

#[test]
fn a_window_and_a_cap_are_what_their_formulas_say() {
    let pool = Pool::new(2);
    for case in windowed_cases() {
        let (n_heads, head_dim) = (case.n_heads, case.shape.head_dim);
        let len = case.queries.len() / (n_heads * head_dim);
        let out = case.rows(0, len, Isa::detect(), &pool);
        let most = match case.shape.precision {
            KvPrecision::F16 => 1e-5,
            KvPrecision::Bf16 => 2.0 * 2.0_f64.powi(-9),
        };
        for position in (0..len).step_by(9).chain([63, 64, len - 1]) {
            for head in [0, n_heads - 1] {
                let got = &out[(position * n_heads + head) * head_dim..][..head_dim];
                for (got, exact) in got.iter().zip(case.exact(position, head)) {
                    let off = (f64::from(*got) - exact).abs();
                    assert!(off < most, "{:?}, position {position}: {got} {exact}", case.window);
                }
            }
        }
    }
}

#[test]
fn a_row_behind_a_window_is_the_same_alone_and_in_any_company() {
    let pools = [Pool::new(1), Pool::new(3)];
    for case in windowed_cases() {
        let len = case.queries.len() / (case.n_heads * case.shape.head_dim);
        let whole = bits(&case.rows(0, len, Isa::PLAIN, &pools[0]));
        for isa in Isa::available() {
            for (portion, pool) in
                [(len, &pools[1]), (1, &pools[1]), (7, &pools[0]), (50, &pools[1])]
            {
                let parts: Vec<f32> = (0..len)
                    .step_by(portion)
                    .flat_map(|start| case.rows(start, portion.min(len - start), isa, pool))
                    .collect();
                assert_eq!(bits(&parts), whole, "{isa}, {:?}, {portion}", case.window);
            }
        }
    }
}

#[test]
fn every_tier_gives_the_bits_of_the_plain_one() {
    let pool = Pool::new(2);
    for (precision, shape) in cases() {
        let (case, len) = (Case::new(precision, shape), shape.3);
        let expected = bits(&case.rows(0, len, Isa::PLAIN, &pool));
        for isa in Isa::available() {
            assert_eq!(bits(&case.rows(0, len, isa, &pool)), expected, "{isa}");
        }
    }
}

#[test]
fn a_row_is_the_same_decoded_alone_and_in_a_prefill_of_any_size() {
    let pools = [Pool::new(1), Pool::new(2), Pool::new(3)];
    for (precision, shape) in cases() {
        let case = Case::new(precision, shape);
        let (n_heads, _, head_dim, len) = shape;
        for isa in Isa::available() {
            let whole = case.rows(0, len, isa, &pools[0]);
            let width = n_heads * head_dim;
            for portion in [1, 7, 100] {
                for pool in &pools {
                    let parts: Vec<f32> = (0..len)
                        .step_by(portion)
                        .flat_map(|start| case.rows(start, portion.min(len - start), isa, pool))
                        .collect();
                    assert_eq!(bits(&parts), bits(&whole), "{isa}, portions of {portion}");
                }
            }
            assert_eq!(whole.len(), len * width);
        }
    }
}

#[test]
fn sequences_of_a_batch_do_not_touch_each_other() {
    let pool = Pool::new(2);
    let width = 6 * 32;
    let isas = Isa::available();
    let each = PRECISIONS.iter().flat_map(|p| isas.iter().map(move |isa| (*p, *isa)));
    for (precision, isa) in each {
        let [a, b] = [150, 90].map(|len| Case::new(precision, (6, 2, 32, len)));
        let runs: [Vec<&[u16]>; 2] =
            [&a, &b].map(|case| case.kv_blocks.iter().map(Vec::as_slice).collect());
        let sequences = [
            AttentionSequence { kv_blocks: &runs[0], first_row: 0, n_rows: 1, start: 149 },
            AttentionSequence { kv_blocks: &runs[1], first_row: 1, n_rows: 40, start: 50 },
        ];
        let mut queries = a.queries[149 * width..].to_vec();
        queries.extend_from_slice(&b.queries[50 * width..]);
        let mut out = vec![0.0; queries.len()];
        attend(a.shape, &plain(6, 32), &queries, &sequences, &mut out, isa, &pool).unwrap();
        assert_eq!(bits(&out[..width]), bits(&a.rows(149, 1, isa, &pool)));
        assert_eq!(bits(&out[width..]), bits(&b.rows(50, 40, isa, &pool)));
    }
}

/// Decodes sequences that share KV blocks, in one batch with a long prefill.
#[test]
fn shared_runs_change_no_bit() {
    let shapes = [(9, 3, 64, None), (2, 2, 16, None), (14, 2, 32, None), (2, 2, 16, Some(150))];
    let each = PRECISIONS.iter().flat_map(|p| shapes.iter().map(move |shape| (*p, *shape)));
    for (precision, (n_heads, n_kv_heads, head_dim, window)) in each {
        let settings = AttentionSettings { window, ..plain(n_heads, head_dim) };
        let trunk = Case::new(precision, (n_heads, n_kv_heads, head_dim, 330));
        let width = n_heads * head_dim;
        // Each sequence branches off the trunk, or off another branch, after this number of KV
        // blocks.
        let own: Vec<Vec<Vec<u16>>> = (0..7)
            .map(|i| {
                let other = Case::new(precision, (n_heads, n_kv_heads, head_dim, 64 * (1 + i % 3)));
                other.kv_blocks.iter().map(|run| run.iter().rev().copied().collect()).collect()
            })
            .collect();
        let branches = [5, 5, 4, 4, 2, 1, 0];
        let paths: Vec<Vec<&[u16]>> = branches
            .iter()
            .zip(&own)
            .map(|(n, own)| {
                trunk.kv_blocks[..*n].iter().chain(own).map(Vec::as_slice).collect::<Vec<_>>()
            })
            .collect();
        let copies: Vec<Vec<Vec<u16>>> =
            paths.iter().map(|path| path.iter().map(|run| run.to_vec()).collect()).collect();
        let apart: Vec<Vec<&[u16]>> =
            copies.iter().map(|path| path.iter().map(Vec::as_slice).collect()).collect();
        let trunk_runs: Vec<&[u16]> = trunk.kv_blocks.iter().map(Vec::as_slice).collect();
        let queries = random((paths.len() + 2 + 100) * width, 9);
        let run = |paths: &[Vec<&[u16]>], isa: Isa, pool: &Pool| {
            let mut sequences: Vec<AttentionSequence<'_>> = paths
                .iter()
                .enumerate()
                .map(|(row, runs)| {
                    let start = runs.len() * KV_BLOCK_SIZE - 1 - row;
                    AttentionSequence { kv_blocks: runs, first_row: row, n_rows: 1, start }
                })
                .collect();
            let first_row = paths.len();
            sequences.push(AttentionSequence {
                kv_blocks: &trunk_runs,
                first_row,
                n_rows: 2,
                start: 319,
            });
            let first_row = first_row + 2;
            sequences.push(AttentionSequence {
                kv_blocks: &trunk_runs,
                first_row,
                n_rows: 100,
                start: 200,
            });
            let mut out = vec![f32::NAN; queries.len()];
            attend(trunk.shape, &settings, &queries, &sequences, &mut out, isa, pool).unwrap();
            bits(&out)
        };
        for isa in Isa::available() {
            let expected = run(&apart, isa, &Pool::new(1));
            for threads in [1, 2, 5] {
                assert!(run(&paths, isa, &Pool::new(threads)) == expected, "{isa}, {threads}");
            }
        }
    }
}

#[test]
fn odd_values_stay_with_the_rows_that_see_them() {
    PRECISIONS.into_iter().for_each(odd_values_stay);
}

fn odd_values_stay(precision: KvPrecision) {
    let pool = Pool::new(2);
    let shape = KvShape { n_kv_heads: 1, head_dim: 16, precision };
    let clean = Case::new(precision, (2, 1, 16, 100));
    for poison in [f32::NAN, f32::INFINITY] {
        let mut keys = clean.keys.clone();
        keys[70 * 16 + 3] = f32::NAN;
        let mut values = clean.values.clone();
        values[90 * 16 + 1] = poison;
        let spoilt = Case::of(shape, 2, clean.queries.clone(), keys, values);
        let mut first = None;
        for isa in Isa::available() {
            let (was, is) = (clean.rows(0, 100, isa, &pool), spoilt.rows(0, 100, isa, &pool));
            assert_eq!(bits(&was[..70 * 32]), bits(&is[..70 * 32]), "{isa}");
            assert!(is[70 * 32..].iter().all(|x| x.is_nan()), "{isa}");
            assert_eq!(first.get_or_insert_with(|| bits(&is)), &bits(&is));
        }
    }
    // Scores that are far apart, and equal scores.
    let huge = Case::of(
        shape,
        2,
        vec![1e4; 80 * 32],
        (0..80 * 16).map(|i| (i / 16) as f32 * 100.0).collect(),
        (0..80 * 16).map(|i| (i / 16) as f32).collect(),
    );
    let zero = Case::of(shape, 2, vec![0.0; 80 * 32], vec![0.0; 80 * 16], vec![2.0; 80 * 16]);
    for isa in Isa::available() {
        let out = huge.rows(0, 80, isa, &pool);
        assert!(out.chunks(32).enumerate().all(|(i, row)| row.iter().all(|x| *x == i as f32)));
        assert!(zero.rows(0, 80, isa, &pool).iter().all(|x| *x == 2.0));
    }
}

#[test]
fn wrong_shapes_are_told() {
    let pool = Pool::new(1);
    let shape = KvShape { n_kv_heads: 2, head_dim: 16, precision: KvPrecision::F16 };
    let run = vec![0; shape.block_len()];
    let run: &[u16] = &run;
    let try_with = |n_heads: usize, runs: &[&[u16]], start, n_queries: usize| {
        let sequence = AttentionSequence { kv_blocks: runs, first_row: 0, n_rows: 1, start };
        let mut out = vec![0.0; n_queries];
        let settings = plain(n_heads, 16);
        attend(shape, &settings, &vec![0.0; n_queries], &[sequence], &mut out, Isa::PLAIN, &pool)
    };
    assert!(try_with(4, &[run], 0, 64).is_ok());
    assert!(try_with(3, &[run], 0, 48).is_err());
    assert!(try_with(4, &[run], 64, 64).is_err());
    assert!(try_with(4, &[run], 0, 63).is_err());
    assert!(try_with(4, &[&run[1..]], 0, 64).is_err());
    assert!(shape.write(&mut [], 0, &[], &[]).is_err());
    let mut run = run.to_vec();
    assert!(shape.write(&mut run, 64, &[0.0; 32], &[0.0; 32]).is_err());
    let none = |window| {
        let settings = AttentionSettings { window, ..plain(4, 16) };
        attend(shape, &settings, &[], &[], &mut [], Isa::PLAIN, &pool)
    };
    assert!(none(None).is_ok() && none(Some(1)).is_ok() && none(Some(0)).is_err());
}
