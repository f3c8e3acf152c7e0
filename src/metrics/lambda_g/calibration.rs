//! From scores to likelihood ratios, and the cost of these.

use std::f64::consts::LN_10;

use crate::{Error, Result};

/// Largest number of Newton steps; a handful is enough unless the classes are far apart.
const MAX_STEPS: usize = 200;

/// Logistic regression from a score to a log10 likelihood ratio.
///
/// The classes, same author and different authors, weigh the same, so that the log-odds are a
/// log-likelihood ratio. The loss is that of scikit-learn's `LogisticRegression` with
/// `class_weight="balanced"` and `C=1`, as in `lambdag`: the penalty `slope² / 2` keeps the slope
/// finite if a threshold separates the classes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// Natural log-odds by unit of the score.
    slope: f64,
    /// Natural log-odds of score 0.
    intercept: f64,
}

impl Calibration {
    /// Fits to scores of pairs of texts by the same author and by different authors.
    ///
    /// # Errors
    /// [`Error::TooFew`] if a class has no scores; [`Error::NotFinite`] if a score is not finite.
    pub fn fit(same: &[f64], different: &[f64]) -> Result<Self> {
        let operation = "calibrate an authorship score";
        for (what, got) in [
            ("scores of the same author", same.len()),
            ("scores of different authors", different.len()),
        ] {
            if got == 0 {
                return Err(Error::TooFew { operation, what, got, needed: 1 });
            }
        }
        if let Some(value) = same.iter().chain(different).copied().find(|x| !x.is_finite()) {
            return Err(Error::NotFinite { operation, of: "score".to_owned(), value });
        }
        let half = (same.len() + different.len()) as f64 / 2.0;
        let weighted = |scores: &[f64], sign: f64| -> Vec<WeightedScore> {
            let weight = half / scores.len() as f64;
            scores.iter().map(|score| WeightedScore { score: *score, sign, weight }).collect()
        };
        let data = [weighted(same, 1.0), weighted(different, -1.0)].concat();
        let mut fitted = Self { slope: 0.0, intercept: 0.0 };
        for _ in 0..MAX_STEPS {
            let Some(step) = fitted.newton_step(&data) else { break };
            let loss = fitted.loss(&data);
            let mut halved = (0..60).map(|n| fitted.moved(step, 0.5_f64.powi(n)));
            let Some(better) = halved.find(|moved| moved.loss(&data) < loss) else { break };
            fitted = better;
        }
        Ok(fitted)
    }

    /// Base-10 logarithm of the likelihood ratio: how much likelier the score is if both texts are
    /// by the same author.
    #[must_use]
    pub fn log10_lr(&self, score: f64) -> f64 {
        (self.slope * score + self.intercept) / LN_10
    }

    fn moved(self, (slope, intercept): (f64, f64), by: f64) -> Self {
        Self { slope: self.slope + by * slope, intercept: self.intercept + by * intercept }
    }

    fn loss(&self, data: &[WeightedScore]) -> f64 {
        let of = |d: &WeightedScore| d.weight * softplus(-d.sign * self.odds(d.score));
        data.iter().map(of).sum::<f64>() + 0.5 * self.slope * self.slope
    }

    fn odds(&self, score: f64) -> f64 {
        self.slope * score + self.intercept
    }

    /// The Newton step; `None` at the minimum, or if the curvature vanishes.
    fn newton_step(&self, data: &[WeightedScore]) -> Option<(f64, f64)> {
        let (mut by_slope, mut by_intercept) = (self.slope, 0.0);
        let (mut slopes, mut mixed, mut intercepts) = (1.0, 0.0, 0.0);
        for WeightedScore { score, sign, weight } in data {
            let wrong = 1.0 / (1.0 + (sign * self.odds(*score)).exp());
            let curvature = weight * wrong * (1.0 - wrong);
            by_slope -= weight * wrong * sign * score;
            by_intercept -= weight * wrong * sign;
            slopes += curvature * score * score;
            mixed += curvature * score;
            intercepts += curvature;
        }
        let determinant = slopes * intercepts - mixed * mixed;
        let step = (
            (mixed * by_intercept - intercepts * by_slope) / determinant,
            (mixed * by_slope - slopes * by_intercept) / determinant,
        );
        (step.0.is_finite() && step.1.is_finite() && step != (0.0, 0.0)).then_some(step)
    }
}

/// A score with its class, 1 for the same author and -1 for different ones, and its weight.
#[derive(Debug, Clone, Copy)]
struct WeightedScore {
    score: f64,
    sign: f64,
    weight: f64,
}

/// Cost of log10 likelihood ratios of pairs by the same author and by different authors: C_llr of
/// Brümmer and du Preez ("Application-independent evaluation of speaker detection", 2006), in bits.
/// 0 is perfect, 1 is that of a ratio of 1 for every pair; misleading ratios cost more. `None` if a
/// class is empty.
#[must_use]
pub fn c_llr(same: &[f64], different: &[f64]) -> Option<f64> {
    let mean = |ratios: &[f64], sign: f64| {
        let bits = |ratio: &f64| softplus(sign * ratio * LN_10) / std::f64::consts::LN_2;
        (!ratios.is_empty()).then(|| ratios.iter().map(bits).sum::<f64>() / ratios.len() as f64)
    };
    Some(f64::midpoint(mean(same, -1.0)?, mean(different, 1.0)?))
}

/// `ln(1 + e^x)` without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}
