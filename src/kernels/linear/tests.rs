//! Compares every format on every instruction set of this machine with the plain one, bit for bit,
//! and with candle's dequantized weights within the error bound of int8 activations.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::format::PANEL;
use super::{PackedLinear, ProductRows, forward_many};
use crate::testing::bits;
use crate::{Error, Isa, Pool};

const FORMATS: [GgmlDType; 11] = [
    GgmlDType::F32,
    GgmlDType::F16,
    GgmlDType::BF16,
    GgmlDType::Q4_0,
    GgmlDType::Q4_1,
    GgmlDType::Q5_0,
    GgmlDType::Q5_1,
    GgmlDType::Q8_0,
    GgmlDType::Q4K,
    GgmlDType::Q5K,
    GgmlDType::Q6K,
];

const SHAPES: [(usize, usize); 4] = [(1, 32), (16, 96), (33, 256), (70, 512)];

fn random(n: usize, seed: u64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Sums of three uniform numbers, so concentrated around zero, with outliers as in activations.
    (0..n)
        .map(|i| {
            let x: f32 = (0..3).map(|_| rng.random_range(-1.0..1.0_f32)).sum();
            if i % 61 == 7 { 12.0 * x } else { x }
        })
        .collect()
}

struct Case {
    packed: PackedLinear,
    weights: Vec<f32>,
    rows: usize,
    cols: usize,
}

fn case(dtype: GgmlDType, rows: usize, cols: usize, seed: u64) -> Option<Case> {
    if !cols.is_multiple_of(dtype.block_size()) {
        return None;
    }
    let values = Tensor::from_vec(random(rows * cols, seed), (rows, cols), &Device::Cpu).unwrap();
    let quantized = QTensor::quantize(&values, dtype).unwrap();
    let weights = quantized.dequantize(&Device::Cpu).unwrap();
    let weights = weights.flatten_all().unwrap().to_vec1().unwrap();
    let blocks = quantized.data().unwrap();
    let packed =
        PackedLinear::from_blocks(&blocks, dtype, rows, cols, Isa::PLAIN, &Pool::new(2)).unwrap();
    Some(Case { packed, weights, rows, cols })
}

fn cases() -> impl Iterator<Item = Case> {
    FORMATS.into_iter().flat_map(|dtype| {
        SHAPES.into_iter().filter_map(move |(rows, cols)| case(dtype, rows, cols, 7))
    })
}

fn forward(linear: &PackedLinear, x: &[f32], pool: &Pool) -> Vec<f32> {
    let n = x.len() / linear.cols();
    let mut y = vec![f32::NAN; n * linear.rows()];
    linear.forward(x, n, &mut y, pool).unwrap();
    y
}

#[test]
fn a_row_comes_back_as_candle_dequantizes_it() {
    for case in cases() {
        let mut row = vec![0.0; case.cols];
        for index in 0..case.rows {
            case.packed.dequantize_row(index, &mut row).unwrap();
            let expected = &case.weights[index * case.cols..(index + 1) * case.cols];
            assert_eq!(row, expected, "{:?} row {index}", case.packed);
        }
        assert!(case.packed.dequantize_row(case.rows, &mut row).is_err());
    }
}

#[test]
fn products_lie_within_the_bound_of_int8_activations() {
    let pool = Pool::new(2);
    for case in cases() {
        let n = 3;
        let x = random(n * case.cols, 11);
        let y = forward(&case.packed, &x, &pool);
        for (i, x) in x.chunks(case.cols).enumerate() {
            for (j, w) in case.weights.chunks(case.cols).enumerate() {
                let step = if case.packed.packing.is_float() { 0.0 } else { 0.5001 / 127.0 };
                let (exact, bound) = exact_and_bound(w, x, |_, _| step);
                let got = f64::from(y[i * case.rows + j]);
                assert!(
                    (got - exact).abs() <= bound,
                    "{:?} [{i}, {j}]: {got} against {exact}, bound {bound}",
                    case.packed
                );
            }
        }
    }
}

#[test]
fn int8_activations_cost_well_below_a_percent() {
    let pool = Pool::new(2);
    for dtype in [GgmlDType::Q4_1, GgmlDType::Q8_0, GgmlDType::Q4K, GgmlDType::Q6K] {
        let case = case(dtype, 64, 1536, 5).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let x: Vec<f32> = (0..1536).map(|_| rng.random_range(-1.0..1.0_f32)).collect();
        let y = forward(&case.packed, &x, &pool);
        let (mut error, mut power) = (0.0_f64, 0.0_f64);
        for (w, y) in case.weights.chunks(case.cols).zip(&y) {
            let exact: f64 = w.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
            error += (f64::from(*y) - exact).powi(2);
            power += exact * exact;
        }
        assert!((error / power).sqrt() < 0.006, "{dtype:?}: {}", (error / power).sqrt());
    }
}

#[test]
fn one_large_value_does_not_spoil_its_block() {
    let pool = Pool::new(2);
    for dtype in [GgmlDType::Q4_0, GgmlDType::Q4_1, GgmlDType::Q8_0, GgmlDType::Q6K] {
        let case = case(dtype, 33, 512, 5).unwrap();
        let mut x = random(5 * 512, 3);
        // In the second and the fourth row; the other rows of their tile have no such value.
        x[512 + 70] = 300.0;
        x[3 * 512 + 300] = -500.0;
        let y = forward(&case.packed, &x, &pool);
        for (x, y) in x.chunks(512).zip(y.chunks(33)) {
            for (w, y) in case.weights.chunks(512).zip(y) {
                let (exact, bound) =
                    exact_and_bound(w, x, |largest, root_mean_square| {
                        match largest > 8.0 * root_mean_square {
                            true => 0.51 / 127.0 / 127.0,
                            false => 0.5001 / 127.0,
                        }
                    });
                assert!((f64::from(*y) - exact).abs() < bound, "{dtype:?}: {y} {exact} {bound}");
            }
        }
    }
}

/// Returns the exact product and the maximum error of int8. `step` returns the maximum error of an
/// element relative to its block's largest magnitude, given that magnitude and the row's root mean
/// square.
fn exact_and_bound(w: &[f32], x: &[f32], step: impl Fn(f32, f32) -> f64) -> (f64, f64) {
    let root_mean_square = (x.iter().map(|x| x * x).sum::<f32>() / x.len() as f32).sqrt();
    let (mut exact, mut bound) = (0.0, 0.0);
    for (w, x) in w.chunks(32).zip(x.chunks(32)) {
        let largest = x.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
        // Plus the rounding of some f32 operations.
        let most = f64::from(largest) * (step(largest, root_mean_square) + 1e-5);
        for (w, x) in w.iter().zip(x) {
            exact += f64::from(*w) * f64::from(*x);
            bound += f64::from(w.abs()) * most;
        }
    }
    (exact, bound)
}

#[test]
fn every_tier_gives_the_bits_of_the_plain_one() {
    let pool = Pool::new(2);
    for case in cases() {
        let mut linear = case.packed;
        for n in [1, 2, 3, 7, 8, 9, 33] {
            let x = random(n * case.cols, n as u64);
            linear = linear.on_isa(Isa::PLAIN);
            let expected = bits(&forward(&linear, &x, &pool));
            for isa in Isa::available() {
                linear = linear.on_isa(isa);
                assert_eq!(bits(&forward(&linear, &x, &pool)), expected, "{linear:?}, n = {n}");
            }
        }
    }
}

#[test]
fn a_row_alone_is_the_row_in_any_company_on_any_number_of_threads() {
    let pools = [Pool::new(1), Pool::new(2), Pool::new(3)];
    for dtype in FORMATS {
        let case = case(dtype, 40, 256, 9).unwrap();
        let mut linear = case.packed;
        for isa in Isa::available() {
            linear = linear.on_isa(isa);
            let x = random(29 * case.cols, 4);
            let together = forward(&linear, &x, &pools[0]);
            for pool in &pools[1..] {
                assert_eq!(forward(&linear, &x, pool), together);
            }
            for (x, together) in x.chunks(case.cols).zip(together.chunks(case.rows)) {
                assert_eq!(forward(&linear, x, &pools[1]), together, "{linear:?}");
            }
        }
    }
}

#[test]
fn odd_inputs_give_what_arithmetic_says() {
    let pool = Pool::new(2);
    for dtype in FORMATS {
        let case = case(dtype, 20, 256, 2).unwrap();
        let mut linear = case.packed;
        for isa in Isa::available() {
            linear = linear.on_isa(isa);
            let zeros = vec![0.0; 256];
            assert!(forward(&linear, &zeros, &pool).iter().all(|y| *y == 0.0));

            let denormal = vec![f32::from_bits(3); 256];
            assert!(forward(&linear, &denormal, &pool).iter().all(|y| y.abs() < 1e-30));

            let mut huge = random(256, 1);
            huge.iter_mut().for_each(|x| *x *= 1e36);
            let y = forward(&linear, &huge, &pool);
            assert!(y.iter().all(|y| y.is_nan() || y.abs() > 1e30), "{linear:?}");

            for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut x = random(3 * 256, 6);
                let clean = forward(&linear, &x, &pool);
                x[256 + 40] = poison;
                let y = forward(&linear, &x, &pool);
                assert!(y[20..40].iter().all(|y| !y.is_finite()), "{linear:?} {poison}");
                assert_eq!(bits(&y[..20]), bits(&clean[..20]));
                assert_eq!(bits(&y[40..]), bits(&clean[40..]));
            }
            assert!(forward(&linear, &[], &pool).is_empty());
        }
    }
}

/// Compares tiles of eight rows, if the instruction set has them, with smaller ones, for all kinds
/// of blocks next to each other.
#[test]
fn odd_rows_of_a_full_tile_give_the_bits_of_the_plain_tier() {
    let pool = Pool::new(2);
    let (n, cols) = (19, 512);
    for dtype in FORMATS {
        let mut linear = case(dtype, 35, cols, 12).unwrap().packed;
        let mut x = random(n * cols, 13);
        let mut rng = ChaCha8Rng::seed_from_u64(14);
        for block in x.chunks_mut(32) {
            let at = rng.random_range(0..32);
            match rng.random_range(0..24) {
                0 => block.fill(0.0),
                1 => block.iter_mut().for_each(|x| *x *= 1e-32),
                2 => block.iter_mut().for_each(|x| *x *= 1e34),
                3 => block[at] = f32::NAN,
                4 => block[at] = f32::NEG_INFINITY,
                5..10 => block[at] = 900.0,
                10 => block.fill(-700.0),
                _ => {}
            }
        }
        // All rows are finite, with small numbers except for one block of some rows.
        for (row, x) in x.chunks_mut(cols).enumerate().filter(|(row, _)| row % 8 > 3) {
            x.iter_mut().enumerate().for_each(|(i, x)| *x = ((i * 37 + row) % 19) as f32 - 9.0);
            x[100] = if row % 2 == 0 { 3e4 } else { 1.0 };
            x[300] = if row % 8 == 5 { -2e4 } else { -1.0 };
        }
        linear = linear.on_isa(Isa::PLAIN);
        let expected = bits(&forward(&linear, &x, &pool));
        for isa in Isa::available() {
            linear = linear.on_isa(isa);
            assert_eq!(bits(&forward(&linear, &x, &pool)), expected, "{linear:?}");
            for (x, expected) in x.chunks(cols).zip(expected.chunks(35)) {
                assert_eq!(bits(&forward(&linear, x, &pool)), expected, "{linear:?}");
            }
        }
    }
}

#[test]
fn blocks_of_any_bytes_pack_and_multiply_alike_on_every_tier() {
    let pool = Pool::new(2);
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for dtype in FORMATS {
        let (rows, cols) = (18, 256);
        let n_bytes = rows * cols / dtype.block_size() * dtype.type_size();
        let blocks: Vec<u8> = (0..n_bytes).map(|_| rng.random()).collect();
        let packed =
            PackedLinear::from_blocks(&blocks, dtype, rows, cols, Isa::PLAIN, &pool).unwrap();
        let x = random(5 * cols, 3);
        let expected = bits(&forward(&packed, &x, &pool));
        let mut linear = packed;
        for isa in Isa::available() {
            linear = linear.on_isa(isa);
            assert_eq!(bits(&forward(&linear, &x, &pool)), expected, "{linear:?}");
        }
    }
}

/// Tiers may keep sums of products in sixteen bits: all weights are the largest of their format, all
/// digits 127 or -127.
#[test]
fn the_largest_products_do_not_overflow() {
    let pool = Pool::new(1);
    let (rows, cols) = (PANEL, 256);
    for dtype in FORMATS {
        let (factors, n) = match dtype {
            GgmlDType::Q4_0 | GgmlDType::Q5_0 | GgmlDType::Q8_0 => (0, 1),
            GgmlDType::Q4_1 | GgmlDType::Q5_1 | GgmlDType::Q4K | GgmlDType::Q5K => (0, 2),
            GgmlDType::Q6K => (208, 1),
            _ => continue,
        };
        for byte in [0xFF_u8, 0x80] {
            let size = dtype.type_size();
            let mut blocks = vec![byte; rows * cols / dtype.block_size() * size];
            for block in blocks.chunks_exact_mut(size) {
                for factor in 0..n {
                    let at = factors + 2 * factor;
                    let one = half::f16::from_f32(1.0).to_le_bytes();
                    block[at..at + 2].copy_from_slice(&one);
                }
            }
            let plain =
                PackedLinear::from_blocks(&blocks, dtype, rows, cols, Isa::PLAIN, &pool).unwrap();
            let mut weights = vec![0.0; cols];
            plain.dequantize_row(0, &mut weights).unwrap();
            let sum: f64 = weights.iter().map(|w| f64::from(*w)).sum();
            for n in [1, 2, 4, 8] {
                let x: Vec<f32> =
                    (0..n * cols).map(|i| if i / cols % 2 == 0 { 1.0 } else { -1.0 }).collect();
                let expected = forward(&plain, &x, &pool);
                for (i, y) in expected.iter().enumerate() {
                    let exact = if i / rows % 2 == 0 { sum } else { -sum };
                    let error = (f64::from(*y) - exact).abs();
                    assert!(error <= 1e-5 * exact.abs().max(1.0), "{dtype:?}: {y} for {exact}");
                }
                for isa in Isa::available() {
                    let linear =
                        PackedLinear::from_blocks(&blocks, dtype, rows, cols, isa, &pool).unwrap();
                    assert_eq!(
                        bits(&forward(&linear, &x, &pool)),
                        bits(&expected),
                        "{dtype:?} on {isa}, {n} rows"
                    );
                }
            }
        }
    }
}

#[test]
fn the_lowest_byte_of_q8_is_minus_128() {
    let mut blocks = vec![0x80_u8; 34 * 16];
    blocks
        .as_chunks_mut::<34>()
        .0
        .iter_mut()
        .for_each(|block| block[..2].copy_from_slice(&[0, 0x3c]));
    let pool = Pool::new(1);
    for isa in Isa::available() {
        let linear =
            PackedLinear::from_blocks(&blocks, GgmlDType::Q8_0, 16, 32, isa, &pool).unwrap();
        let y = forward(&linear, &[127.0; 32], &pool);
        assert_eq!(y, [-128.0 * 127.0 * 32.0; 16], "{isa}");
        let y = forward(&linear, &[-127.0; 32], &pool);
        assert_eq!(y, [128.0 * 127.0 * 32.0; 16], "{isa}");
    }
}

#[test]
fn matrices_that_share_an_input_give_what_each_gives() {
    let pool = Pool::new(2);
    let linears: Vec<_> =
        FORMATS.into_iter().map(|d| case(d, 16 + d as usize % 5, 256, 4).unwrap().packed).collect();
    let x = random(9 * 256, 5);
    let mut ys: Vec<Vec<f32>> = linears.iter().map(|l| vec![0.0; 9 * l.rows()]).collect();
    let all: Vec<_> = linears.iter().collect();
    let mut outputs: Vec<_> = ys.iter_mut().map(|y| &mut y[..]).collect();
    forward_many(&all, &x, ProductRows::exact(9), &mut outputs, &pool).unwrap();
    for (linear, y) in linears.iter().zip(&ys) {
        assert_eq!(bits(&forward(linear, &x, &pool)), bits(y), "{linear:?}");
    }
}

#[test]
fn adding_gives_the_sum_of_both() {
    let pool = Pool::new(2);
    let case = case(GgmlDType::Q4_1, 33, 96, 4).unwrap();
    let mut linear = case.packed;
    for isa in Isa::available() {
        linear = linear.on_isa(isa);
        let x = random(5 * 96, 5);
        let product = forward(&linear, &x, &pool);
        let before = random(product.len(), 6);
        let mut y = before.clone();
        linear.forward_add(&x, ProductRows::exact(5), &mut y, &pool).unwrap();
        let expected: Vec<f32> = before.iter().zip(&product).map(|(b, p)| b + p).collect();
        assert_eq!(y, expected);
    }
}

#[test]
fn float_rows_need_no_whole_blocks() {
    let pool = Pool::new(1);
    let weights = random(5 * 37, 1);
    let bytes: Vec<u8> = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
    let x = random(37, 2);
    for isa in Isa::available() {
        let linear = PackedLinear::from_blocks(&bytes, GgmlDType::F32, 5, 37, isa, &pool).unwrap();
        for (y, w) in forward(&linear, &x, &pool).iter().zip(weights.chunks(37)) {
            let exact: f64 = w.iter().zip(&x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
            assert!((f64::from(*y) - exact).abs() < 1e-4);
        }
    }
}

#[test]
fn wrong_shapes_are_told() {
    let pool = Pool::new(1);
    let pack = |bytes: usize, dtype, rows, cols| {
        PackedLinear::from_blocks(&vec![0; bytes], dtype, rows, cols, Isa::PLAIN, &pool)
    };
    assert!(matches!(pack(20, GgmlDType::Q4_1, 1, 31), Err(Error::Columns { .. })));
    assert!(matches!(pack(21, GgmlDType::Q4_1, 1, 32), Err(Error::Length { .. })));
    assert!(matches!(pack(84, GgmlDType::Q2K, 1, 256), Err(Error::Format(_))));
    let linear = pack(20, GgmlDType::Q4_1, 1, 32).unwrap();
    assert!(matches!(
        linear.forward(&[0.0; 31], 1, &mut [0.0], &pool),
        Err(Error::Length { what: "x", got: 31, expected: 32, .. })
    ));
    assert!(linear.forward(&[0.0; 32], 1, &mut [0.0; 2], &pool).is_err());
    let wide = pack(40, GgmlDType::Q4_1, 1, 64).unwrap();
    let mut ys = [[0.0], [0.0]];
    let mut ys: Vec<&mut [f32]> = ys.iter_mut().map(|y| &mut y[..]).collect();
    assert!(matches!(
        forward_many(&[&linear, &wide], &[0.0; 32], ProductRows::exact(1), &mut ys, &pool),
        Err(Error::SharedInput { .. })
    ));
    let nothing = pack(0, GgmlDType::Q4_1, 0, 32).unwrap();
    nothing.forward(&[0.0; 32], 1, &mut [], &pool).unwrap();
}

/// Products of prompt rows as the tiles compute them: weights and rows in bf16, in each block the
/// even and the odd columns summed apart.
fn in_bf16(case: &Case, x: &[f32]) -> Vec<f32> {
    let rounded = |w: f32| f32::from_bits((w.to_bits() + 0x8000) & 0xFFFF_0000);
    let mut y = Vec::new();
    for x in x.chunks(case.cols) {
        let x: Vec<f32> = x.iter().map(|x| half::bf16::from_f32(*x).to_f32()).collect();
        for w in case.weights.chunks(case.cols) {
            let mut total = 0.0_f32;
            for (w, x) in w.chunks(32).zip(x.chunks(32)) {
                let mut sums = [0.0_f32; 2];
                for (column, (w, x)) in w.iter().zip(x).enumerate() {
                    sums[column % 2] = rounded(*w).mul_add(*x, sums[column % 2]);
                }
                total += sums[0] + sums[1];
            }
            y.push(total);
        }
    }
    y
}

fn prompt_isas() -> Vec<Isa> {
    let isas: Vec<Isa> = Isa::available().into_iter().filter(|i| i.has_prompt_products()).collect();
    if isas.is_empty() {
        eprintln!("skipped: this machine has no matrix tiles (AMX)");
    }
    isas
}

#[test]
fn products_of_prompts_are_those_of_bf16_in_the_documented_order() {
    let pool = Pool::new(2);
    for isa in prompt_isas() {
        let shapes = SHAPES.into_iter().chain([(40, 2048)]);
        for case in shapes.flat_map(|(rows, cols)| FORMATS.map(|dtype| case(dtype, rows, cols, 7)))
        {
            let Some(mut case) = case.filter(|case| !case.packed.packing.is_float()) else {
                continue;
            };
            case.packed = case.packed.on_isa(isa);
            for n in [1, 5, 16, 17, 33, 70] {
                let x = random(n * case.cols, n as u64);
                let mut y = vec![f32::NAN; n * case.rows];
                let rows = ProductRows { n, n_prompt: n };
                forward_many(&[&case.packed], &x, rows, &mut [&mut y], &pool).unwrap();
                let expected = in_bf16(&case, &x);
                assert_eq!(bits(&y), bits(&expected), "{:?}, n = {n}", case.packed);
                case.packed.forward_add(&x, rows, &mut y, &pool).unwrap();
                let twice: Vec<f32> = expected.iter().map(|y| y + y).collect();
                assert_eq!(bits(&y), bits(&twice), "{:?}, n = {n}, added", case.packed);
            }
        }
    }
}

#[test]
fn a_prompt_beside_other_rows_changes_neither() {
    let pools = [Pool::new(1), Pool::new(3)];
    for isa in prompt_isas() {
        let linears: Vec<PackedLinear> = FORMATS
            .into_iter()
            .map(|dtype| case(dtype, 49, 512, 3).unwrap().packed.on_isa(isa))
            .collect();
        let all: Vec<&PackedLinear> = linears.iter().collect();
        let x = random(40 * 512, 8);
        let product = |x: &[f32], n_prompt: usize, pool: &Pool| {
            let n = x.len() / 512;
            let mut ys = vec![vec![0.0; n * 49]; all.len()];
            let mut outputs: Vec<&mut [f32]> = ys.iter_mut().map(|y| &mut y[..]).collect();
            forward_many(&all, x, ProductRows { n, n_prompt }, &mut outputs, pool).unwrap();
            ys
        };
        let (prompt, text) = x.split_at(23 * 512);
        let alone = (product(prompt, 23, &pools[0]), product(text, 0, &pools[0]));
        for pool in &pools {
            let together = product(&x, 23, pool);
            for (index, y) in together.iter().enumerate() {
                assert_eq!(y[..23 * 49], alone.0[index], "{:?}", linears[index]);
                assert_eq!(y[23 * 49..], alone.1[index], "{:?}", linears[index]);
            }
            for row in [0, 7, 22] {
                let one = product(&x[row * 512..(row + 1) * 512], 1, pool);
                for (one, all) in one.iter().zip(&alone.0) {
                    assert_eq!(one[..], all[row * 49..(row + 1) * 49]);
                }
            }
        }
    }
}

#[test]
fn a_prompt_row_that_is_not_finite_spoils_itself_only() {
    let pool = Pool::new(1);
    for isa in prompt_isas() {
        let case = case(GgmlDType::Q4K, 40, 256, 3).unwrap();
        let linear = case.packed.on_isa(isa);
        let mut x = random(3 * 256, 8);
        let product = |x: &[f32]| {
            let mut y = vec![0.0; 3 * 40];
            let rows = ProductRows { n: 3, n_prompt: 3 };
            forward_many(&[&linear], x, rows, &mut [&mut y], &pool).unwrap();
            y
        };
        let before = product(&x);
        x[256 + 9] = f32::NAN;
        let after = product(&x);
        assert_eq!((&after[..40], &after[80..]), (&before[..40], &before[80..]));
        assert!(after[40..80].iter().all(|y| y.is_nan()));
    }
}
