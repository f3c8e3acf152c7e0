//! Rotary position embedding: tables of cosines and sines.
//!
//! RoFormer (arXiv 2104.09864) section 3.4; the scaled variants are Position Interpolation (arXiv
//! 2306.15595) and YaRN (arXiv 2309.00071) section 3.

use idiolect_kernels::elementwise::RopePairs;

/// Scaling of the rotary frequencies for a context longer than that of the training.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RopeScaling {
    /// No scaling.
    None,
    /// Positions are divided by the factor.
    Linear {
        /// New context length divided by the old one.
        factor: f32,
    },
    /// Low frequencies are divided by the factor, high ones are kept, with a ramp between.
    Yarn {
        /// New context length divided by the old one.
        factor: f32,
        /// Context length of the training, tokens.
        original_context: usize,
    },
}

/// Settings of the rotary embedding of one model.
#[derive(Debug, Clone, Copy)]
pub(super) struct RopeSettings {
    /// Pairing of a head's elements; each pair is rotated as a point in a plane.
    pub(super) pairs: RopePairs,
    pub(super) head_dim: usize,
    /// Number of positions.
    pub(super) context: usize,
    /// Base of the frequencies.
    pub(super) base: f32,
    pub(super) scaling: RopeScaling,
}

/// Cosines and sines for every position, `[context][head_dim / 2]`.
#[derive(Debug, Clone)]
pub(super) struct RopeTables {
    pub(super) pairs: RopePairs,
    /// `head_dim / 2`.
    pub(super) half: usize,
    pub(super) cos: Vec<f32>,
    pub(super) sin: Vec<f32>,
}

/// Limits of YaRN's ramp, rotations over the original context: pairs that rotate more often than
/// the first are kept, those that rotate less often than the second are scaled.
const YARN_FAST: f64 = 32.0;
const YARN_SLOW: f64 = 1.0;

impl RopeTables {
    /// Computes the tables. `divisors`, `[head_dim / 2]`, divide the frequencies elementwise (llama
    /// 3's `rope_freqs.weight`).
    pub(super) fn new(settings: &RopeSettings, divisors: Option<&[f32]>) -> Self {
        let RopeSettings { pairs, head_dim, context, base, scaling } = *settings;
        let half = head_dim / 2;
        let (frequencies, magnitude) = frequencies(head_dim, base, scaling, divisors);
        let mut cos = Vec::with_capacity(context * half);
        let mut sin = Vec::with_capacity(context * half);
        for position in 0..context {
            for frequency in &frequencies {
                // In f64, since f32 loses the digits of the angle at position 100,000.
                let angle = position as f64 * frequency;
                cos.push((angle.cos() * magnitude) as f32);
                sin.push((angle.sin() * magnitude) as f32);
            }
        }
        Self { pairs, half, cos, sin }
    }
}

/// Radians per position for each pair, and the factor on cosines and sines.
fn frequencies(
    head_dim: usize,
    base: f32,
    scaling: RopeScaling,
    divisors: Option<&[f32]>,
) -> (Vec<f64>, f64) {
    let base = f64::from(base);
    let plain = (0..head_dim / 2).map(|pair| {
        let divisor = divisors.map_or(1.0, |divisors| f64::from(divisors[pair]));
        base.powf(-(2.0 * pair as f64) / head_dim as f64) / divisor
    });
    match scaling {
        RopeScaling::None => (plain.collect(), 1.0),
        RopeScaling::Linear { factor } => (plain.map(|f| f / f64::from(factor)).collect(), 1.0),
        RopeScaling::Yarn { factor, original_context } => {
            let factor = f64::from(factor);
            let pair_that_turns = |times: f64| {
                let length = original_context as f64 / (times * std::f64::consts::TAU);
                head_dim as f64 * length.ln() / (2.0 * base.ln())
            };
            let low = pair_that_turns(YARN_FAST).floor().max(0.0);
            let high = pair_that_turns(YARN_SLOW).ceil().min(head_dim as f64 - 1.0);
            let stretched = plain
                .enumerate()
                .map(|(pair, f)| {
                    let ramp = ((pair as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
                    f * (1.0 - ramp) + f / factor * ramp
                })
                .collect();
            (stretched, 1.0 + 0.1 * factor.max(1.0).ln())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_frequencies_fall_from_one_by_the_base() {
        let (f, magnitude) = frequencies(4, 10_000.0, RopeScaling::None, None);
        assert_eq!(magnitude, 1.0);
        assert!((f[0] - 1.0).abs() < 1e-12 && (f[1] - 0.01).abs() < 1e-12, "{f:?}");
    }

    #[test]
    fn divisors_and_linear_scaling_divide() {
        let (f, _) =
            frequencies(4, 10_000.0, RopeScaling::Linear { factor: 4.0 }, Some(&[1.0, 8.0]));
        assert!((f[0] - 0.25).abs() < 1e-12 && (f[1] - 0.01 / 32.0).abs() < 1e-12, "{f:?}");
    }

    #[test]
    fn yarn_keeps_the_fast_and_stretches_the_slow() {
        let scaling = RopeScaling::Yarn { factor: 4.0, original_context: 32_768 };
        let (f, magnitude) = frequencies(128, 1_000_000.0, scaling, None);
        let (plain, _) = frequencies(128, 1_000_000.0, RopeScaling::None, None);
        assert_eq!(f[0], plain[0]);
        assert!((f[63] - plain[63] / 4.0).abs() < 1e-15);
        assert!((magnitude - 1.138_629_436).abs() < 1e-8, "{magnitude}");
        // Ramp limits: 64 ln(32768 / (32 * 2 pi)) / ln(1e6) = 23.6
        // and 64 ln(32768 / 2 pi) / ln(1e6) = 39.6.
        assert_eq!(f[23], plain[23]);
        assert!((f[40] - plain[40] / 4.0).abs() < 1e-15);
        let ramp = (31.0 - 23.0) / (40.0 - 23.0);
        assert!((f[31] / plain[31] - (1.0 - ramp * 0.75)).abs() < 1e-12);
    }
}
