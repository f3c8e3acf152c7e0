//! Chooses the next token from logits.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::dry;
use super::token_kinds::TokenKinds;
use super::{Error, Result, Sampling};
use idiolect_kernels::{Isa, softmax};

/// A sampler: settings, random generator, and the token kinds that the penalties need.
#[derive(Debug, Clone)]
pub struct Sampler {
    settings: Sampling,
    token_kinds: Arc<TokenKinds>,
    isa: Isa,
    rng: ChaCha8Rng,
    never: Vec<u32>,
    /// Number of tokens of the prompt.
    n_prompt: usize,
}

impl Sampler {
    /// Creates a sampler, seeded by the settings. `isa`: instruction set of its kernels.
    ///
    /// # Errors
    /// A setting is out of its range.
    pub fn new(settings: &Sampling, token_kinds: Arc<TokenKinds>, isa: Isa) -> Result<Self> {
        settings.check()?;
        Ok(Self {
            settings: settings.clone(),
            token_kinds,
            isa,
            rng: ChaCha8Rng::seed_from_u64(settings.seed),
            never: Vec::new(),
            n_prompt: 0,
        })
    }

    /// Returns the same sampler with these tokens forbidden.
    #[must_use]
    pub fn never(self, never: Vec<u32>) -> Self {
        Self { never, ..self }
    }

    /// Returns the same sampler for a text after a prompt of `n_prompt` tokens: frequency and
    /// presence penalty do not consider them.
    #[must_use]
    pub fn after_prompt(self, n_prompt: usize) -> Self {
        Self { n_prompt, ..self }
    }

    /// Chooses the token that follows `before` (prompt and completion so far). `logits` holds one
    /// logit per token of the vocabulary; the penalties change it.
    ///
    /// # Errors
    /// A logit is NaN or plus infinity, or all are minus infinity.
    pub fn choose(&mut self, logits: &mut [f32], before: &[u32]) -> Result<u32> {
        for id in &self.never {
            if let Some(logit) = logits.get_mut(*id as usize) {
                *logit = f32::NEG_INFINITY;
            }
        }
        check_logits(logits, self.isa)?;
        self.penalise(logits, before);
        if self.settings.temperature == 0.0 {
            return Ok(likeliest(logits, self.isa));
        }
        let distribution = distribution(logits, &self.settings, self.isa);
        let mut left = self.rng.random::<f64>();
        for (id, probability) in &distribution {
            left -= probability;
            if left < 0.0 {
                return Ok(*id);
            }
        }
        // The probabilities may sum to slightly less than 1.
        Ok(distribution.last().map_or_else(|| likeliest(logits, self.isa), |(id, _)| *id))
    }

    fn penalise(&self, logits: &mut [f32], before: &[u32]) {
        let settings = &self.settings;
        for (id, bias) in &settings.logit_bias {
            if let Some(logit) = logits.get_mut(*id as usize) {
                *logit += bias;
            }
        }
        let window = match settings.penalty_window {
            0 => before,
            n => &before[before.len().saturating_sub(n)..],
        };
        if settings.repetition_penalty != 1.0 {
            let mut seen: Vec<u32> = window.to_vec();
            seen.sort_unstable();
            seen.dedup();
            for id in seen {
                if self.token_kinds.is_control(id) {
                    continue;
                }
                if let Some(logit) = logits.get_mut(id as usize) {
                    *logit = match *logit > 0.0 {
                        true => *logit / settings.repetition_penalty,
                        false => *logit * settings.repetition_penalty,
                    };
                }
            }
        }
        if settings.frequency_penalty != 0.0 || settings.presence_penalty != 0.0 {
            let mut written: Vec<u32> = before.get(self.n_prompt..).unwrap_or(&[]).to_vec();
            written.sort_unstable();
            for same in written.chunk_by(|a, b| a == b) {
                let id = same[0];
                if self.token_kinds.is_control(id) {
                    continue;
                }
                if let Some(logit) = logits.get_mut(id as usize) {
                    *logit -= settings.frequency_penalty * same.len() as f32;
                    *logit -= settings.presence_penalty;
                }
            }
        }
        if settings.dry_multiplier > 0.0 {
            dry::penalise(logits, window, settings, &self.token_kinds);
        }
    }
}

/// Probabilities of the tokens that remain after temperature, top-k, min-p and top-p, most likely
/// first (ties by id). They sum to 1, and at least one token remains. The temperature must be above
/// 0.
///
/// `logits` are finite or minus infinity, at least one of them finite.
#[must_use]
pub fn distribution(logits: &[f32], settings: &Sampling, isa: Isa) -> Vec<(u32, f64)> {
    let largest = softmax::largest(logits, isa);
    let mut weights = vec![0.0; logits.len()];
    let total =
        f64::from(softmax::exp_scaled(logits, largest, settings.temperature, &mut weights, isa));

    // A weight is the token's probability divided by the largest one, so min-p needs no sum.
    // Weights of 0 can never be drawn.
    let mut least = settings.min_p.max(f32::MIN_POSITIVE);
    if settings.min_p == 0.0 && settings.top_k == 0 && settings.top_p < 1.0 {
        // All weights below this bound add up to less than half of the mass that top-p removes.
        let left_out = 0.5 * (1.0 - f64::from(settings.top_p)) * total;
        least = least.max((left_out / logits.len() as f64) as f32);
    }
    let mut kept: Vec<(u32, f64)> = weights
        .iter()
        .enumerate()
        .filter(|(_, weight)| **weight >= least)
        .map(|(id, weight)| (id as u32, f64::from(*weight)))
        .collect();
    let by_weight = |a: &(u32, f64), b: &(u32, f64)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));

    // By definition top-k precedes min-p. Both orders keep the same tokens, since each keeps the
    // most likely ones.
    if settings.top_k > 0 && settings.top_k < kept.len() {
        kept.select_nth_unstable_by(settings.top_k - 1, by_weight);
        kept.truncate(settings.top_k);
    }
    let total = match settings.min_p == 0.0 && settings.top_k == 0 {
        true => total,
        false => kept.iter().map(|(_, weight)| weight).sum(),
    };
    if settings.top_p < 1.0 {
        keep_top_p(&mut kept, f64::from(settings.top_p) * total, by_weight);
    } else {
        kept.sort_unstable_by(by_weight);
    }
    let total: f64 = kept.iter().map(|(_, weight)| weight).sum();
    kept.iter_mut().for_each(|(_, weight)| *weight /= total);
    kept
}

/// Sorts `kept` and keeps the shortest prefix whose weights reach `mass`; at least one token.
fn keep_top_p(
    kept: &mut Vec<(u32, f64)>,
    mass: f64,
    by_weight: impl Fn(&(u32, f64), &(u32, f64)) -> std::cmp::Ordering,
) {
    // Sorting a whole vocabulary for every token is expensive; the prefix is mostly short.
    let mut head = 256.min(kept.len());
    loop {
        if head < kept.len() {
            kept.select_nth_unstable_by(head - 1, &by_weight);
        }
        let reached: f64 = kept[..head].iter().map(|(_, weight)| weight).sum();
        // The tolerance covers the rounding error of a different summation order.
        if reached >= mass * (1.0 + 1e-9) || head == kept.len() {
            break;
        }
        head = (head * 4).min(kept.len());
    }
    kept.truncate(head);
    kept.sort_unstable_by(&by_weight);
    let mut sum = 0.0;
    let n = kept
        .iter()
        .position(|(_, weight)| {
            sum += weight;
            sum >= mass
        })
        .map_or(kept.len(), |last| last + 1);
    kept.truncate(n.max(1));
}

/// The most likely token; ties go to the lowest id.
fn likeliest(logits: &[f32], isa: Isa) -> u32 {
    softmax::index_of_largest(logits, isa) as u32
}

/// Checks that the logits define a distribution.
///
/// # Errors
/// A logit is NaN or plus infinity, or all are minus infinity.
pub(super) fn check_logits(logits: &[f32], isa: Isa) -> Result<()> {
    let largest = softmax::largest(logits, isa);
    if largest.is_finite() {
        return Ok(());
    }
    let odd = logits.iter().position(|logit| logit.is_nan() || *logit == f32::INFINITY);
    let what = match odd {
        Some(id) => format!("{} for token {id}", logits[id]),
        None => "no finite one".to_owned(),
    };
    Err(Error::Logits { what })
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
