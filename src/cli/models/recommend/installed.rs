//! Measures a language model that is on this machine, to correct the estimates by it.

use std::path::Path;
use std::time::{Duration, Instant};

use idiolect::lm::decoder::{self, Decoder, DecoderOptions, LoadedDecoder, WeightPrecision};
use idiolect::model::gguf::Gguf;
use idiolect::progress::Progress as _;

use super::estimate::{Correction, MachineSpeeds, ModelWork};
use crate::cli::bench::decoding::{prefill, write_one};
use crate::cli::context::Context;

/// Tokens of the measured prompt.
const PROMPT: usize = 256;
/// Tokens that are decoded between two looks at the clock.
const STEPS: usize = 8;

/// Seconds that a model took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct InstalledSpeed {
    prompt_seconds: f64,
    /// Seconds of one more token behind the prompt.
    step_seconds: f64,
}

impl InstalledSpeed {
    /// Factors by which the estimate of the same work is to be multiplied.
    pub(super) fn correction(
        &self,
        work: &ModelWork,
        speeds: &MachineSpeeds,
    ) -> Option<Correction> {
        Some(Correction {
            prompt: self.prompt_seconds / work.prompt_seconds(speeds, PROMPT)?,
            step: self.step_seconds / work.step_seconds(speeds, PROMPT + STEPS / 2, 1)?,
        })
    }
}

/// Seconds that [`measure`] will take, by the estimate and a load of a gigabyte a second.
pub(super) fn expected(work: &ModelWork, speeds: &MachineSpeeds, file_bytes: u64) -> Option<f64> {
    let prompt = work.prompt_seconds(speeds, PROMPT)?;
    let step = work.step_seconds(speeds, PROMPT, 1)?;
    Some(file_bytes as f64 / 1e9 + 1.2 * prompt + 2.0 * STEPS as f64 * step)
}

/// Loads a model and measures one prompt, and tokens after it for the rest of so many seconds.
///
/// # Errors
/// The file cannot be loaded, a forward step fails, or a stop was requested.
pub(super) fn measure(
    gguf: &Path,
    seconds: f64,
    context: &Context,
) -> anyhow::Result<InstalledSpeed> {
    let limit = Instant::now() + Duration::from_secs_f64(seconds.max(0.0));
    let options = DecoderOptions {
        device: context.device()?,
        precision: WeightPrecision::Packed,
        context: None,
        threads: context.globals.threads,
        isa: context.isa()?,
        kv_precision: context.kv_precision(),
    };
    match decoder::load(&Gguf::open(gguf)?, &options)? {
        LoadedDecoder::Cpu(decoder) => time(&*decoder, limit, context),
        LoadedDecoder::Candle(decoder) => time(&*decoder, limit, context),
    }
}

fn time<D: Decoder>(
    decoder: &D,
    limit: Instant,
    context: &Context,
) -> anyhow::Result<InstalledSpeed> {
    // The first tokens after the load take longer.
    prefill(decoder, 64, 0)?;
    let before = Instant::now();
    let prompt = prefill(decoder, PROMPT, 1)?;
    let prompt_seconds = before.elapsed().as_secs_f64();
    let mut step_seconds = f64::INFINITY;
    for round in 0.. {
        if context.stop_requested() {
            anyhow::bail!("stopped");
        }
        if round > 1 && Instant::now() >= limit {
            break;
        }
        let mut caches = [prompt.fork()];
        // The first step copies the last block of the cache.
        write_one(decoder, &mut caches, 0)?;
        let before = Instant::now();
        (1..=STEPS).try_for_each(|place| write_one(decoder, &mut caches, place))?;
        // Other load of the machine only adds; the fastest round disturbs least.
        step_seconds = step_seconds.min(before.elapsed().as_secs_f64() / STEPS as f64);
    }
    Ok(InstalledSpeed { prompt_seconds, step_seconds })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::estimate::{FormatSpeed, formats};
    use super::*;
    use idiolect::model::catalog::ModelShape;

    #[test]
    fn the_correction_is_measured_by_estimated() {
        let shape = ModelShape {
            n_layers: 2,
            n_embd: 64,
            n_ff: 128,
            n_heads: 2,
            n_kv_heads: 1,
            head_dim: 32,
            n_vocab: 100,
            tied: true,
        };
        let formats = formats("Q8_0", 64).unwrap();
        let work = ModelWork::of(&shape, formats, 100_000);
        let speed =
            FormatSpeed { format: formats[0], one_row: 1e9, few_rows: 1e9, many_rows: 1e10 };
        let speeds =
            MachineSpeeds { formats: vec![speed], attend_one: 1e9, attend_many: 1e9, layer: 1e-6 };
        let measured = InstalledSpeed {
            prompt_seconds: 2.0 * work.prompt_seconds(&speeds, PROMPT).unwrap(),
            step_seconds: 3.0 * work.step_seconds(&speeds, PROMPT + STEPS / 2, 1).unwrap(),
        };
        let correction = measured.correction(&work, &speeds).unwrap();
        assert!((correction.prompt - 2.0).abs() < 1e-9 && (correction.step - 3.0).abs() < 1e-9);
        assert_eq!(measured.correction(&work, &MachineSpeeds::default()), None);
        assert!(expected(&work, &speeds, 5_000_000_000).unwrap() > 5.0);
    }
}
