//! Operations between the matrix products: norms, rotary embeddings, activations, sums.
//!
//! All work on rows of `f32`, in place or from slice to slice. They treat each row by itself and
//! give the same bits on every instruction set.

#![allow(unsafe_code)]
// Kernels rely on the contract of `Simd`; the calling functions check lengths.
#![allow(unsafe_op_in_unsafe_fn)]

use super::error::check_length;
use super::shared::Shared;
use super::simd::{LANES, Simd, math, per_isa};
use super::{Error, Isa, Pool, Result};

/// Minimum number of elements of a task, so that the fork pays off.
const MIN_WORK: usize = 1 << 13;

/// Root-mean-square norm (arXiv 1910.07467) of each row of `x` `[n, weight.len()]`:
/// `x / sqrt(mean(x²) + eps) * weight`. The sum of squares is accumulated in sixteen lanes, which
/// are then added pairwise, half to half.
///
/// # Errors
/// `x` or `out` is not `[n, weight.len()]`.
pub fn rms_norm(
    x: &[f32],
    weight: &[f32],
    eps: f32,
    out: &mut [f32],
    isa: Isa,
    pool: &Pool,
) -> Result<()> {
    let width = weight.len();
    check_length("norm", "the output", out.len(), x.len())?;
    check_rows("norm", x.len(), width)?;
    by_rows(out, width, pool, |first, out| {
        let x = &x[first * width..first * width + out.len()];
        for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
            // SAFETY: three slices of equal length.
            unsafe { rms_norm_row(isa, x, weight, eps, out) };
        }
    });
    Ok(())
}

/// As [`rms_norm`], in place.
///
/// # Errors
/// `x` is not `[n, weight.len()]`.
pub fn rms_norm_in_place(x: &mut [f32], weight: &[f32], eps: f32, isa: Isa) -> Result<()> {
    check_rows("norm", x.len(), weight.len())?;
    for row in x.chunks_exact_mut(weight.len()) {
        // SAFETY: the row is as long as the weight.
        unsafe { rms_norm_row_in_place(isa, row, weight, eps) };
    }
    Ok(())
}

/// `gate = silu(gate) * up` (arXiv 2002.05202), element by element.
///
/// # Errors
/// The slices have different lengths.
pub fn silu_times(gate: &mut [f32], up: &[f32], isa: Isa, pool: &Pool) -> Result<()> {
    gate_times::<Silu>(gate, up, isa, pool)
}

/// `gate = gelu(gate) * up` (arXiv 2002.05202), element by element, with the approximation of GELU
/// by a hyperbolic tangent (arXiv 1606.08415).
///
/// # Errors
/// The slices have different lengths.
pub fn gelu_times(gate: &mut [f32], up: &[f32], isa: Isa, pool: &Pool) -> Result<()> {
    gate_times::<GeluGate>(gate, up, isa, pool)
}

/// `x = cap * tanh(x / cap)`, element by element (Gemma 2, arXiv 2408.00118, section 2). The
/// hyperbolic tangent is within 2e-7.
pub fn soft_cap(x: &mut [f32], cap: f32, isa: Isa, pool: &Pool) {
    by_rows(x, LANES, pool, |_, x| {
        // SAFETY: the kernel stays within the slice.
        unsafe { soft_cap_all(isa, x, cap) };
    });
}

/// Pairs of elements of a head that are rotated together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopePairs {
    /// Elements `2 i` and `2 i + 1`.
    Neighbours,
    /// Elements `i` and `i + head_dim / 2`.
    Halves,
}

/// Rotary position embedding (arXiv 2104.09864, section 3.4) of one row of heads,
/// `[n_heads, head_dim]`, by the angles whose cosines and sines are given. The first
/// `2 * cos.len()` elements of each head are rotated, the others are kept.
///
/// # Errors
/// The row is not whole heads, a head has fewer elements than are rotated, or there are not as many
/// sines as cosines.
pub fn rope(
    x: &mut [f32],
    head_dim: usize,
    pairs: RopePairs,
    cos: &[f32],
    sin: &[f32],
    isa: Isa,
) -> Result<()> {
    check_length("rope", "the sines", sin.len(), cos.len())?;
    check_rows("rope", x.len(), head_dim)?;
    if head_dim < 2 * cos.len() {
        let expected = "at least the elements that are rotated";
        return Err(Error::Shape { operation: "rope", what: "a head", got: head_dim, expected });
    }
    for head in x.chunks_exact_mut(head_dim) {
        let head = &mut head[..2 * cos.len()];
        // SAFETY: `head` has two elements for each cosine and each sine.
        unsafe {
            match pairs {
                RopePairs::Neighbours => rope_neighbours(isa, head, cos, sin),
                RopePairs::Halves => rope_halves(isa, head, cos, sin),
            }
        }
    }
    Ok(())
}

/// `x += factor * y`, each product rounded before the sum.
///
/// # Errors
/// The slices have different lengths.
pub fn add_scaled(x: &mut [f32], y: &[f32], factor: f32) -> Result<()> {
    check_length("addition", "y", y.len(), x.len())?;
    x.iter_mut().zip(y).for_each(|(x, y)| *x += factor * y);
    Ok(())
}

/// `x += y`.
///
/// # Errors
/// The slices have different lengths.
pub fn add(x: &mut [f32], y: &[f32]) -> Result<()> {
    check_length("addition", "y", y.len(), x.len())?;
    x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
    Ok(())
}

pub(crate) fn check_rows(operation: &'static str, len: usize, width: usize) -> Result<()> {
    if width > 0 && len.is_multiple_of(width) {
        return Ok(());
    }
    let expected = "a whole number of rows";
    Err(Error::Shape { operation, what: "the number of elements", got: len, expected })
}

/// Calls `work` on chunks of whole rows, with the index of the chunk's first row.
pub(crate) fn by_rows(
    out: &mut [f32],
    width: usize,
    pool: &Pool,
    work: impl Fn(usize, &mut [f32]) + Sync,
) {
    let n_rows = out.len().div_ceil(width);
    let each = (MIN_WORK / width).max(1).max(n_rows.div_ceil(4 * pool.threads()));
    let len = out.len();
    let out = Shared::new(out);
    pool.run(n_rows.div_ceil(each), |task| {
        let first = task * each;
        // SAFETY: each task has its own rows.
        work(first, unsafe { out.part(first * width..len.min((first + each) * width)) });
    });
}

per_isa! { unsafe fn rms_norm_row(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) = norm; }
per_isa! { unsafe fn rms_norm_row_in_place(x: &mut [f32], weight: &[f32], eps: f32) = norm_self; }
per_isa! { unsafe fn gate_times_all<G: Gate>(gate: &mut [f32], up: &[f32]) = gate_loop; }
per_isa! { unsafe fn soft_cap_all(x: &mut [f32], cap: f32) = soft_cap_loop; }
per_isa! { unsafe fn rope_neighbours(x: &mut [f32], cos: &[f32], sin: &[f32]) = neighbours; }
per_isa! { unsafe fn rope_halves(x: &mut [f32], cos: &[f32], sin: &[f32]) = halves; }

#[inline(always)]
unsafe fn norm<S: Simd>(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    norm_pointers::<S>(x.as_ptr(), weight, eps, out.as_mut_ptr());
}

#[inline(always)]
unsafe fn norm_self<S: Simd>(x: &mut [f32], weight: &[f32], eps: f32) {
    norm_pointers::<S>(x.as_ptr(), weight, eps, x.as_mut_ptr());
}

#[inline(always)]
unsafe fn norm_pointers<S: Simd>(x: *const f32, weight: &[f32], eps: f32, out: *mut f32) {
    let width = weight.len();
    let mut squares = S::splat(0.0);
    let mut at = 0;
    while at + LANES <= width {
        let v = S::load(x.add(at));
        squares = S::fma(v, v, squares);
        at += LANES;
    }
    if at < width {
        let mut rest = [0.0; LANES];
        std::ptr::copy_nonoverlapping(x.add(at), rest.as_mut_ptr(), width - at);
        let v = S::load(rest.as_ptr());
        squares = S::fma(v, v, squares);
    }
    let scale = 1.0 / (S::sum(squares) / width as f32 + eps).sqrt();
    let factor = S::splat(scale);
    let mut at = 0;
    while at + LANES <= width {
        let scaled = S::mul(S::load(x.add(at)), factor);
        S::store(out.add(at), S::mul(scaled, S::load(weight.as_ptr().add(at))));
        at += LANES;
    }
    for (at, weight) in weight.iter().enumerate().skip(at) {
        *out.add(at) = *x.add(at) * scale * weight;
    }
}

/// Activation of a gated feed-forward network.
trait Gate: 'static {
    /// # Safety
    /// The CPU supports the instruction set of `S`.
    unsafe fn of<S: Simd>(x: S::F) -> S::F;
}

struct Silu;
struct GeluGate;

impl Gate for Silu {
    #[inline(always)]
    unsafe fn of<S: Simd>(x: S::F) -> S::F {
        math::silu::<S>(x)
    }
}

impl Gate for GeluGate {
    #[inline(always)]
    unsafe fn of<S: Simd>(x: S::F) -> S::F {
        math::gelu_tanh::<S>(x)
    }
}

fn gate_times<G: Gate>(gate: &mut [f32], up: &[f32], isa: Isa, pool: &Pool) -> Result<()> {
    check_length("gate", "up", up.len(), gate.len())?;
    by_rows(gate, LANES, pool, |first, gate| {
        let up = &up[first * LANES..first * LANES + gate.len()];
        // SAFETY: two slices of equal length.
        unsafe { gate_times_all::<G>(isa, gate, up) };
    });
    Ok(())
}

/// Caps sixteen elements at a time; the last ones are padded with zeros.
#[inline(always)]
unsafe fn soft_cap_loop<S: Simd>(x: &mut [f32], cap: f32) {
    let (len, x) = (x.len(), x.as_mut_ptr());
    let mut at = 0;
    while at + LANES <= len {
        S::store(x.add(at), math::soft_cap::<S>(S::load(x.add(at)), cap));
        at += LANES;
    }
    if at < len {
        let mut rest = [0.0; LANES];
        std::ptr::copy_nonoverlapping(x.add(at), rest.as_mut_ptr(), len - at);
        let capped = math::soft_cap::<S>(S::load(rest.as_ptr()), cap);
        S::store(rest.as_mut_ptr(), capped);
        std::ptr::copy_nonoverlapping(rest.as_ptr(), x.add(at), len - at);
    }
}

/// Computes `gate = activation(gate) * up`, sixteen elements at a time; the last ones are padded
/// with zeros.
#[inline(always)]
unsafe fn gate_loop<S: Simd, G: Gate>(gate: &mut [f32], up: &[f32]) {
    let (len, gate, up) = (gate.len(), gate.as_mut_ptr(), up.as_ptr());
    let mut at = 0;
    while at + LANES <= len {
        let product = S::mul(G::of::<S>(S::load(gate.add(at))), S::load(up.add(at)));
        S::store(gate.add(at), product);
        at += LANES;
    }
    if at < len {
        let mut rest = [[0.0; LANES]; 2];
        std::ptr::copy_nonoverlapping(gate.add(at), rest[0].as_mut_ptr(), len - at);
        std::ptr::copy_nonoverlapping(up.add(at), rest[1].as_mut_ptr(), len - at);
        let product = S::mul(G::of::<S>(S::load(rest[0].as_ptr())), S::load(rest[1].as_ptr()));
        S::store(rest[0].as_mut_ptr(), product);
        std::ptr::copy_nonoverlapping(rest[0].as_ptr(), gate.add(at), len - at);
    }
}

#[inline(always)]
unsafe fn neighbours<S: Simd>(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    for ((pair, cos), sin) in x.as_chunks_mut::<2>().0.iter_mut().zip(cos).zip(sin) {
        let [a, b] = *pair;
        *pair = [a * cos - b * sin, a * sin + b * cos];
    }
}

#[inline(always)]
unsafe fn halves<S: Simd>(x: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (first, second) = x.split_at_mut(cos.len());
    for (((first, second), cos), sin) in first.iter_mut().zip(second).zip(cos).zip(sin) {
        let (a, b) = (*first, *second);
        *first = a * cos - b * sin;
        *second = a * sin + b * cos;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::testing::{self, on_every_isa};

    fn random(n: usize, seed: u64) -> Vec<f32> {
        testing::random(n, 4.0, seed)
    }

    per_isa! { unsafe fn exp_of(x: &[f32; 16], y: &mut [f32; 16]) = exp_sixteen; }

    unsafe fn exp_sixteen<S: Simd>(x: &[f32; 16], y: &mut [f32; 16]) {
        S::store(y.as_mut_ptr(), math::exp::<S>(S::load(x.as_ptr())));
    }

    fn exp(x: &[f32], isa: Isa) -> Vec<f32> {
        let mut out = Vec::new();
        for chunk in x.chunks(16) {
            let mut padded = [0.0; 16];
            padded[..chunk.len()].copy_from_slice(chunk);
            let mut y = [0.0; 16];
            // SAFETY: arrays of sixteen.
            unsafe { exp_of(isa, &padded, &mut y) };
            out.extend_from_slice(&y[..chunk.len()]);
        }
        out
    }

    per_isa! { unsafe fn exp_of_negative(x: &[f32; 16], y: &mut [f32; 16]) = negative_sixteen; }

    unsafe fn negative_sixteen<S: Simd>(x: &[f32; 16], y: &mut [f32; 16]) {
        S::store(y.as_mut_ptr(), math::exp_of_negative::<S>(S::load(x.as_ptr())));
    }

    #[test]
    fn the_exponential_of_negative_numbers_is_the_exponential() {
        let mut x: Vec<f32> = (0..160_000).map(|i| -87.0 * i as f32 / 160_000.0).collect();
        let odd = [f32::NAN, f32::NEG_INFINITY, f32::MIN, -1e4, -88.0, -87.5, -0.0, -1e-40];
        x.extend(odd);
        // A NaN whose low bits are set.
        x.extend([f32::from_bits(0x7fc0_01ff), f32::from_bits(0xffc0_0001)]);
        x.resize(x.len().next_multiple_of(16), 0.0);
        let y = on_every_isa(|isa| {
            let mut y = vec![0.0; x.len()];
            for (x, y) in x.as_chunks::<16>().0.iter().zip(y.as_chunks_mut::<16>().0) {
                // SAFETY: arrays of sixteen.
                unsafe { exp_of_negative(isa, x, y) };
            }
            y
        });
        let (smooth, rest) = y.split_at(160_000);
        assert_eq!(testing::bits(smooth), testing::bits(&exp(&x[..160_000], Isa::PLAIN)));
        assert!(rest[0].is_nan() && rest[8].is_nan() && rest[9].is_nan());
        assert_eq!(rest[1..5], [0.0; 4]);
        assert!((f64::from(rest[5]) - (-87.5_f64).exp()).abs() < 1e-44);
        assert!(rest[6..8].iter().chain(&rest[10..]).all(|y| *y == 1.0));
    }

    #[test]
    fn the_exponential_is_within_two_units_in_the_last_place() {
        let x: Vec<f32> = (0..400_000).map(|i| -87.0 + 175.0 * i as f32 / 400_000.0).collect();
        let y = on_every_isa(|isa| exp(&x, isa));
        let worst = x.iter().zip(&y).fold(0.0_f64, |worst, (x, y)| {
            let exact = f64::from(*x).exp();
            let unit =
                f64::from(f32::from_bits((exact as f32).to_bits() + 1)) - f64::from(exact as f32);
            worst.max((f64::from(*y) - exact).abs() / unit)
        });
        assert!(worst < 2.0, "{worst}");
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -87.1, 88.1, 0.0, -0.0, 1e-40];
        let y = on_every_isa(|isa| exp(&odd, isa));
        assert!(y[0].is_nan());
        assert_eq!(y[1..], [f32::INFINITY, 0.0, 0.0, f32::INFINITY, 1.0, 1.0, 1.0]);
    }

    #[test]
    fn a_norm_is_what_its_formula_says() {
        let pools = [Pool::new(1), Pool::new(2)];
        for width in [1, 15, 16, 33, 576] {
            for n in [0, 1, 3, 40] {
                let (x, weight) = (random(n * width, 1), random(width, 2));
                let y = on_every_isa(|isa| {
                    let mut out = vec![0.0; x.len()];
                    rms_norm(&x, &weight, 1e-5, &mut out, isa, &pools[1]).unwrap();
                    let mut alone = vec![0.0; x.len()];
                    rms_norm(&x, &weight, 1e-5, &mut alone, isa, &pools[0]).unwrap();
                    assert_eq!(out, alone);
                    let mut same = x.clone();
                    rms_norm_in_place(&mut same, &weight, 1e-5, isa).unwrap();
                    assert_eq!(out, same);
                    out
                });
                for (x, y) in x.chunks(width).zip(y.chunks(width)) {
                    let mean: f64 =
                        x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / width as f64;
                    let scale = 1.0 / (mean + 1e-5).sqrt();
                    for ((x, y), w) in x.iter().zip(y).zip(&weight) {
                        let exact = f64::from(*x) * scale * f64::from(*w);
                        assert!((f64::from(*y) - exact).abs() < 1e-5);
                    }
                }
            }
        }
        assert!(rms_norm(&[0.0; 3], &[1.0; 2], 0.0, &mut [0.0; 3], Isa::PLAIN, &pools[0]).is_err());
    }

    #[test]
    fn gates_are_what_their_formulas_say() {
        let pool = Pool::new(2);
        let silu = |x: f64| x / (1.0 + (-x).exp());
        let gelu = |x: f64| {
            let z = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
            0.5 * x * (1.0 + z.tanh())
        };
        type Kernel = fn(&mut [f32], &[f32], Isa, &Pool) -> Result<()>;
        let gates: [(Kernel, &dyn Fn(f64) -> f64); 2] = [(silu_times, &silu), (gelu_times, &gelu)];
        for (kernel, formula) in gates {
            for n in [0, 1, 16, 37, 20_000] {
                let (gate, up) = (random(n, 1), random(n, 2));
                let y = on_every_isa(|isa| {
                    let mut y = gate.clone();
                    kernel(&mut y, &up, isa, &pool).unwrap();
                    y
                });
                for ((y, gate), up) in y.iter().zip(&gate).zip(&up) {
                    let exact = formula(f64::from(*gate)) * f64::from(*up);
                    assert!((f64::from(*y) - exact).abs() < 1e-5, "{y} {exact}");
                }
            }
            let mut odd = [f32::NAN, 1e30, -1e30, -100.0];
            kernel(&mut odd, &[1.0; 4], Isa::detect(), &pool).unwrap();
            assert!(odd[0].is_nan());
            assert_eq!(odd[1..], [1e30, 0.0, 0.0]);
            assert!(kernel(&mut odd, &[1.0; 3], Isa::PLAIN, &pool).is_err());
        }
    }

    #[test]
    fn a_soft_cap_bends_towards_its_limit() {
        let pool = Pool::new(2);
        for (cap, n) in [(30.0_f32, 20_001), (50.0, 16), (0.5, 37), (1.0, 0)] {
            let x: Vec<f32> = testing::random(n, 4.0 * cap, 5);
            let y = on_every_isa(|isa| {
                let mut y = x.clone();
                soft_cap(&mut y, cap, isa, &pool);
                y
            });
            for (x, y) in x.iter().zip(&y) {
                let exact = f64::from(cap) * (f64::from(*x) / f64::from(cap)).tanh();
                assert!((f64::from(*y) - exact).abs() < 2e-7 * f64::from(cap), "{y} {exact}");
            }
        }
        let mut odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0];
        soft_cap(&mut odd, 30.0, Isa::detect(), &pool);
        assert!(odd[0].is_nan());
        assert_eq!(odd[1..], [30.0, -30.0, 0.0]);
    }

    #[test]
    fn a_rotation_turns_pairs() {
        let angles = random(20, 3);
        let cos: Vec<f32> = angles.iter().map(|a| a.cos()).collect();
        let sin: Vec<f32> = angles.iter().map(|a| a.sin()).collect();
        let x = random(3 * 40, 4);
        // Heads of 40 elements are rotated completely, those of 60 in part.
        let each = [RopePairs::Neighbours, RopePairs::Halves];
        for (pairs, head_dim) in each.into_iter().flat_map(|pairs| [(pairs, 40), (pairs, 60)]) {
            let y = on_every_isa(|isa| {
                let mut y = x.clone();
                rope(&mut y, head_dim, pairs, &cos, &sin, isa).unwrap();
                y
            });
            for (x, y) in x.chunks(head_dim).zip(y.chunks(head_dim)) {
                assert_eq!(x[40..], y[40..]);
                for i in 0..20 {
                    let (a, b) = match pairs {
                        RopePairs::Neighbours => (2 * i, 2 * i + 1),
                        RopePairs::Halves => (i, i + 20),
                    };
                    assert_eq!(y[a], x[a] * cos[i] - x[b] * sin[i]);
                    assert_eq!(y[b], x[a] * sin[i] + x[b] * cos[i]);
                }
            }
        }
        let halves = |x: &mut [f32], head_dim| {
            rope(x, head_dim, RopePairs::Halves, &[1.0], &[0.0], Isa::PLAIN)
        };
        assert!(halves(&mut [0.0; 7], 2).is_err());
        assert!(halves(&mut [0.0; 7], 1).is_err());
        assert!(halves(&mut [0.0; 6], 2).is_ok());
    }
}
