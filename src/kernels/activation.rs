//! Activations of an encoder's feed-forward layers, with the preceding bias addition.

#![allow(unsafe_code)]
// Kernels rely on the contract of `Simd`; the calling function checks lengths.
#![allow(unsafe_op_in_unsafe_fn)]

use super::elementwise::{by_rows, check_rows};
use super::simd::{LANES, Simd, math, per_isa};
use super::{Isa, Pool, Result};

/// An activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x Φ(x)` (arXiv 1606.08415), within 7e-7 for |x| up to 8.
    Gelu,
    /// Its approximation by a hyperbolic tangent, from the same paper.
    GeluTanh,
    /// The larger of `x` and zero.
    Relu,
}

/// `x = activation(x + bias)` for each row of `x` `[n, bias.len()]`.
///
/// # Errors
/// `x` is not `[n, bias.len()]`.
pub fn activate(
    x: &mut [f32],
    bias: &[f32],
    activation: Activation,
    isa: Isa,
    pool: &Pool,
) -> Result<()> {
    check_rows("activation", x.len(), bias.len())?;
    by_rows(x, bias.len(), pool, |_, rows| {
        for row in rows.chunks_exact_mut(bias.len()) {
            // SAFETY: the row is as long as the bias.
            unsafe {
                match activation {
                    Activation::Gelu => activate_row::<Gelu>(isa, row, bias),
                    Activation::GeluTanh => activate_row::<GeluTanh>(isa, row, bias),
                    Activation::Relu => activate_row::<Relu>(isa, row, bias),
                }
            }
        }
    });
    Ok(())
}

trait Function: 'static {
    /// # Safety
    /// The CPU supports the instruction set of `S`.
    unsafe fn of<S: Simd>(x: S::F) -> S::F;
}

struct Gelu;
struct GeluTanh;
struct Relu;

impl Function for Gelu {
    #[inline(always)]
    unsafe fn of<S: Simd>(x: S::F) -> S::F {
        math::gelu::<S>(x)
    }
}

impl Function for GeluTanh {
    #[inline(always)]
    unsafe fn of<S: Simd>(x: S::F) -> S::F {
        math::gelu_tanh::<S>(x)
    }
}

impl Function for Relu {
    #[inline(always)]
    unsafe fn of<S: Simd>(x: S::F) -> S::F {
        let zero = S::splat(0.0);
        // NaN compares as not less, so it stays.
        S::select_less(x, zero, zero, x)
    }
}

per_isa! { unsafe fn activate_row<F: Function>(x: &mut [f32], bias: &[f32]) = row_loop; }

#[inline(always)]
unsafe fn row_loop<S: Simd, F: Function>(x: &mut [f32], bias: &[f32]) {
    let (len, x, bias) = (x.len(), x.as_mut_ptr(), bias.as_ptr());
    let mut at = 0;
    while at + LANES <= len {
        let sum = S::add(S::load(x.add(at)), S::load(bias.add(at)));
        S::store(x.add(at), F::of::<S>(sum));
        at += LANES;
    }
    if at < len {
        let mut rest = [[0.0; LANES]; 2];
        std::ptr::copy_nonoverlapping(x.add(at), rest[0].as_mut_ptr(), len - at);
        std::ptr::copy_nonoverlapping(bias.add(at), rest[1].as_mut_ptr(), len - at);
        let sum = S::add(S::load(rest[0].as_ptr()), S::load(rest[1].as_ptr()));
        S::store(rest[0].as_mut_ptr(), F::of::<S>(sum));
        std::ptr::copy_nonoverlapping(rest[0].as_ptr(), x.add(at), len - at);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bits(x: &[f32]) -> Vec<u32> {
        x.iter().map(|x| if x.is_nan() { f32::NAN.to_bits() } else { x.to_bits() }).collect()
    }

    /// Returns `activation(x + 0.25)`, after checking that every instruction set and pool size
    /// gives the bits of the plain one.
    fn on_every_isa(x: &[f32], width: usize, activation: Activation) -> Vec<f32> {
        let bias = vec![0.25; width];
        let on = |isa, threads| {
            let mut y = x.to_vec();
            activate(&mut y, &bias, activation, isa, &Pool::new(threads)).unwrap();
            y
        };
        let plain = on(Isa::PLAIN, 1);
        for isa in Isa::available() {
            assert_eq!(bits(&on(isa, 2)), bits(&plain), "{isa}");
        }
        plain
    }

    /// Returns `Φ(x)` in f64 for |x| up to 8, from the series of the integral of its density.
    fn normal_distribution(x: f64) -> f64 {
        let (mut term, mut sum, mut n) = (x, x, 1.0);
        while term.abs() > 1e-18 {
            term *= x * x / (2.0 * n + 1.0);
            sum += term;
            n += 1.0;
        }
        0.5 + sum * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()
    }

    #[test]
    fn activations_are_what_their_formulas_say() {
        let x: Vec<f32> = (0..96_000).map(|i| (i as f32 - 48_000.0) / 6_000.0 - 0.25).collect();
        for width in [1, 15, 16, 500] {
            for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
                for (x, y) in x.iter().zip(on_every_isa(&x, width, activation)) {
                    let x = f64::from(*x + 0.25);
                    let exact = match activation {
                        Activation::Gelu => x * normal_distribution(x),
                        Activation::GeluTanh => {
                            let z =
                                (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                            0.5 * x * (1.0 + z.tanh())
                        }
                        Activation::Relu => x.max(0.0),
                    };
                    let apart = (f64::from(y) - exact).abs();
                    assert!(apart < 1e-6, "{activation:?} of {x}: {y}, expected {exact}");
                }
            }
        }
    }

    #[test]
    fn values_far_out_have_their_limits() {
        let odd = [f32::NAN, 1e30, -1e30, f32::INFINITY, 5.3, -5.6];
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Relu] {
            let y = on_every_isa(&odd, 2, activation);
            assert!(y[0].is_nan(), "{activation:?}");
            assert_eq!(y[1..4], [1e30, 0.0, f32::INFINITY], "{activation:?}");
            assert!((y[4] - 5.55).abs() < 2e-6 && y[5].abs() < 1e-6, "{activation:?}");
        }
        assert!(
            activate(&mut [0.0; 3], &[0.0; 2], Activation::Relu, Isa::PLAIN, &Pool::new(1))
                .is_err()
        );
        activate(&mut [], &[0.0; 2], Activation::Relu, Isa::PLAIN, &Pool::new(1)).unwrap();
    }
}
