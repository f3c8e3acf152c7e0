//! Rotary position embedding: tables of cosines and sines.
//!
//! RoFormer (arXiv 2104.09864) section 3.4; the scaled variants are Position Interpolation (arXiv
//! 2306.15595) and YaRN (arXiv 2309.00071) section 3.

use std::ops::Range;
use std::sync::OnceLock;

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
        /// Rotations over the original context from which on a pair's frequency is kept.
        fast: f32,
        /// Rotations over the original context up to which a pair's frequency is divided.
        slow: f32,
        /// Rotated vectors are `m(1) / m(this)` times as long, with `m(x) = 1 + 0.1 x ln(factor)`.
        log_multiplier: f32,
    },
}

/// Rotation of one layer's queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerRotation {
    /// None.
    Absent,
    /// By the model's frequencies.
    Global,
    /// By the frequencies of layers with a window.
    Local,
}

/// Settings of the rotary embedding of one model.
#[derive(Debug, Clone, Copy)]
pub(super) struct RopeSettings {
    /// Pairing of a head's elements; each pair is rotated as a point in a plane.
    pub(super) pairs: RopePairs,
    /// Elements of a head that are rotated.
    pub(super) rotated_dim: usize,
    /// Number of positions.
    pub(super) context: usize,
    /// Base of the frequencies.
    pub(super) base: f32,
    pub(super) scaling: RopeScaling,
    /// Factor of cosines and sines, besides that of the scaling.
    pub(super) magnitude: f32,
}

/// Rotary tables of the layers of a model; `T` holds one set.
#[derive(Debug, Clone)]
pub(super) struct LayerRopes<T> {
    pub(super) global: T,
    pub(super) local: Option<T>,
}

impl<T> LayerRopes<T> {
    /// The tables of a layer; `None` if it does not rotate.
    pub(super) fn of(&self, rotation: LayerRotation) -> Option<&T> {
        match rotation {
            LayerRotation::Absent => None,
            LayerRotation::Global => Some(&self.global),
            LayerRotation::Local => Some(self.local.as_ref().unwrap_or(&self.global)),
        }
    }
}

/// Cosines and sines of the angles at every position. They are computed when they are first asked
/// for, since few sequences fill a long window.
#[derive(Debug, Clone)]
pub(super) struct RopeTables {
    pub(super) pairs: RopePairs,
    context: usize,
    /// Radians per position for each pair, `[rotated_dim / 2]`.
    frequencies: Vec<f64>,
    /// Factor of cosines and sines.
    magnitude: f64,
    /// Tables of [`BLOCK`] positions each.
    blocks: Vec<OnceLock<RopeBlock>>,
}

/// Cosines and sines of adjacent positions, `[n][rotated_dim / 2]` each.
#[derive(Debug, Clone)]
pub(super) struct RopeBlock {
    pub(super) cos: Vec<f32>,
    pub(super) sin: Vec<f32>,
}

/// Positions whose angles are computed together.
const BLOCK: usize = 256;

impl RopeTables {
    /// Computes the frequencies. `divisors`, `[rotated_dim / 2]`, divide them elementwise (llama 3's
    /// `rope_freqs.weight`, Phi's `rope_factors_long.weight`).
    pub(super) fn new(settings: &RopeSettings, divisors: Option<&[f32]>) -> Self {
        let RopeSettings { pairs, rotated_dim, context, base, scaling, magnitude } = *settings;
        let (frequencies, scaled) = frequencies(rotated_dim, base, scaling, divisors);
        let magnitude = scaled * f64::from(magnitude);
        let blocks = vec![OnceLock::new(); context.div_ceil(BLOCK)];
        Self { pairs, context, frequencies, magnitude, blocks }
    }

    /// Cosines and sines at a position below the context, `[rotated_dim / 2]` each.
    pub(super) fn at(&self, position: usize) -> (&[f32], &[f32]) {
        let first = position / BLOCK * BLOCK;
        let block = self.blocks[position / BLOCK]
            .get_or_init(|| self.positions(first..self.context.min(first + BLOCK)));
        let half = self.half();
        let row = (position - first) * half..(position - first + 1) * half;
        (&block.cos[row.clone()], &block.sin[row])
    }

    /// Number of pairs, `rotated_dim / 2`.
    pub(super) fn half(&self) -> usize {
        self.frequencies.len()
    }

    /// Cosines and sines at all positions.
    pub(super) fn all(&self) -> RopeBlock {
        self.positions(0..self.context)
    }

    fn positions(&self, positions: Range<usize>) -> RopeBlock {
        let n = positions.len() * self.frequencies.len();
        let mut block = RopeBlock { cos: Vec::with_capacity(n), sin: Vec::with_capacity(n) };
        for position in positions {
            for frequency in &self.frequencies {
                // In f64, since f32 loses the digits of the angle at position 100,000.
                let angle = position as f64 * frequency;
                block.cos.push((angle.cos() * self.magnitude) as f32);
                block.sin.push((angle.sin() * self.magnitude) as f32);
            }
        }
        block
    }
}

/// Radians per position for each pair, and the factor on cosines and sines.
fn frequencies(
    rotated_dim: usize,
    base: f32,
    scaling: RopeScaling,
    divisors: Option<&[f32]>,
) -> (Vec<f64>, f64) {
    let base = f64::from(base);
    let plain = (0..rotated_dim / 2).map(|pair| {
        let divisor = divisors.map_or(1.0, |divisors| f64::from(divisors[pair]));
        base.powf(-(2.0 * pair as f64) / rotated_dim as f64) / divisor
    });
    match scaling {
        RopeScaling::None => (plain.collect(), 1.0),
        RopeScaling::Linear { factor } => (plain.map(|f| f / f64::from(factor)).collect(), 1.0),
        RopeScaling::Yarn { factor, original_context, fast, slow, log_multiplier } => {
            let factor = f64::from(factor);
            let pair_that_turns = |times: f64| {
                let length = original_context as f64 / (times * std::f64::consts::TAU);
                rotated_dim as f64 * length.ln() / (2.0 * base.ln())
            };
            let low = pair_that_turns(f64::from(fast)).floor().max(0.0);
            let high = pair_that_turns(f64::from(slow)).ceil().min(rotated_dim as f64 - 1.0);
            let stretched = plain
                .enumerate()
                .map(|(pair, f)| {
                    let ramp = ((pair as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
                    f * (1.0 - ramp) + f / factor * ramp
                })
                .collect();
            let length = |x: f64| 1.0 + 0.1 * x * factor.max(1.0).ln();
            (stretched, length(1.0) / length(f64::from(log_multiplier)))
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
    fn angles_are_the_same_in_blocks_and_all_at_once() {
        let settings = RopeSettings {
            pairs: RopePairs::Halves,
            rotated_dim: 6,
            context: 600,
            base: 100.0,
            scaling: RopeScaling::None,
            magnitude: 1.5,
        };
        let tables = RopeTables::new(&settings, None);
        let all = tables.all();
        assert_eq!(all.cos.len(), 600 * 3);
        for position in [599, 0, 255, 256, 511, 512] {
            let row = position * 3..position * 3 + 3;
            assert_eq!(tables.at(position), (&all.cos[row.clone()], &all.sin[row]));
        }
        let (cos, sin) = tables.at(256);
        assert!((f64::from(cos[0]) - 1.5 * 256_f64.cos()).abs() < 1e-6);
        assert!((f64::from(sin[1]) - 1.5 * (256.0 / 100_f64.cbrt()).sin()).abs() < 1e-6);
    }

    #[test]
    fn divisors_and_linear_scaling_divide() {
        let (f, _) =
            frequencies(4, 10_000.0, RopeScaling::Linear { factor: 4.0 }, Some(&[1.0, 8.0]));
        assert!((f[0] - 0.25).abs() < 1e-12 && (f[1] - 0.01 / 32.0).abs() < 1e-12, "{f:?}");
    }

    #[test]
    fn yarn_keeps_the_fast_and_stretches_the_slow() {
        let yarn = |log_multiplier| RopeScaling::Yarn {
            factor: 4.0,
            original_context: 32_768,
            fast: 32.0,
            slow: 1.0,
            log_multiplier,
        };
        let (same, magnitude) = frequencies(128, 1_000_000.0, yarn(1.0), None);
        assert_eq!(magnitude, 1.0);
        let scaling = yarn(0.0);
        let (f, magnitude) = frequencies(128, 1_000_000.0, scaling, None);
        let (plain, _) = frequencies(128, 1_000_000.0, RopeScaling::None, None);
        assert_eq!(f[0], plain[0]);
        assert_eq!(f, same);
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
