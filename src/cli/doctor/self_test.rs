//! `idiolect doctor --self-test`: computes an embedding, log-probabilities and a text with the small
//! models and compares them with recorded ones.
//!
//! `scripts/record-self-test-golden` records `self_test.json`. The kernels give the same bits on every
//! instruction set but matrix tiles (AMX), which read prompts in bf16; there log-probabilities have a
//! bound instead. Rotary angles and logarithms come from the C library, so bits are required on Linux
//! only, where C libraries agree to within what rounding to f32 hides.

use std::fmt::Display;

use candle_core::Device;
use idiolect::encoder::{Encoder, EncoderOptions, EncoderPrecision};
use idiolect::kernels::Isa;
use idiolect::lm::{Lm, LoadOptions, Prompt, Request, Score, ScoreRequest};
use idiolect::model::catalog::Catalog;
use idiolect::progress::Progress as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::cli::block_on::block_on;
use crate::cli::context::Context;
use crate::cli::output;

/// Largest difference of a log-probability, in nats, where bits are not required: six times the root
/// mean square difference that quantized activations cause (`tests/it/lm_golden.rs`).
const MAX_LOGPROB_DIFFERENCE: f32 = 0.5;

/// Largest difference of a number of the embedding (a unit vector), where bits are not required.
const MAX_VECTOR_DIFFERENCE: f32 = 1e-4;

/// Number of values that a line shows.
const SHOWN: usize = 3;

#[derive(Deserialize)]
struct SelfTestGolden {
    embedding: GoldenEmbedding,
    score: GoldenScore,
    text: GoldenText,
}

/// A model by its catalog name, and the SHA-256 of its weights.
#[derive(Deserialize)]
struct GoldenWeights {
    name: String,
    sha256: String,
}

#[derive(Deserialize)]
struct GoldenEmbedding {
    model: GoldenWeights,
    input: String,
    vector: Vec<f32>,
}

#[derive(Deserialize)]
struct GoldenScore {
    model: GoldenWeights,
    prompt: String,
    continuation: String,
    tokens: Vec<u32>,
    /// Natural logarithms, one a token.
    logprobs: Vec<f32>,
}

#[derive(Deserialize)]
struct GoldenText {
    model: GoldenWeights,
    prompt: String,
    max_tokens: usize,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum SelfTestResult {
    Ok,
    Failed,
    Skipped,
}

/// Values that were found, in words; the error says that and why they are not those expected, or why
/// there are none.
type SelfTestFound = Result<String, (SelfTestResult, String)>;

/// One line of the self-test.
#[derive(Serialize)]
struct SelfTestLine {
    check: &'static str,
    model: String,
    result: SelfTestResult,
    expected: String,
    found: String,
}

pub(super) fn run(context: &Context) -> anyhow::Result<()> {
    let golden: SelfTestGolden = serde_json::from_str(include_str!("self_test.json"))?;
    let catalog = context.catalog()?;
    let test = SelfTest { context, catalog: &catalog, isa: context.isa()? };
    let mut lines = vec![test.embedding(&golden.embedding)];
    lines.extend(test.language_model(&golden.score, &golden.text));
    anyhow::ensure!(!context.stop_requested(), "stopped");
    let count = |result| lines.iter().filter(|line| line.result == result).count();
    let (n_failed, n_skipped) = (count(SelfTestResult::Failed), count(SelfTestResult::Skipped));
    if context.globals.json {
        output::json(&json!({
            "ok": n_failed == 0,
            "cpu_isa": test.isa.name(),
            "skipped": n_skipped,
            "checks": lines,
        }))?;
    } else {
        output::line(&format!("self-test, instruction set {}", test.isa))?;
        for line in &lines {
            output::line(&format!("  {}", line.shown()))?;
        }
        if n_skipped == lines.len() {
            output::line("nothing was computed: no model of the self-test is on this machine")?;
        }
    }
    match n_failed {
        0 => Ok(()),
        n => anyhow::bail!("{n} of {} checks of the self-test failed", lines.len()),
    }
}

impl SelfTestLine {
    fn new(
        check: &'static str,
        model: &GoldenWeights,
        expected: String,
        (result, found): (SelfTestResult, String),
    ) -> Self {
        Self { check, model: model.name.clone(), result, expected, found }
    }

    fn shown(&self) -> String {
        let Self { check, model, expected, found, .. } = self;
        let word = match self.result {
            SelfTestResult::Ok => "ok",
            SelfTestResult::Failed => "FAILED",
            SelfTestResult::Skipped => return format!("skipped: {check} of {model}: {found}"),
        };
        format!("{word}: {check} of {model}: expected {expected}; found {found}")
    }
}

/// Inputs of the checks.
struct SelfTest<'a> {
    context: &'a Context,
    catalog: &'a Catalog,
    isa: Isa,
}

impl SelfTest<'_> {
    fn embedding(&self, golden: &GoldenEmbedding) -> SelfTestLine {
        let options = EncoderOptions {
            device: Device::Cpu,
            precision: EncoderPrecision::F32,
            threads: self.context.globals.threads,
            isa: self.isa,
        };
        let encoder = self.load(&golden.model, || {
            let files = self.catalog.encoder_with(&golden.model.name, self.context)?;
            let encoder = Encoder::load_with(&files, &options)?;
            Ok((encoder, files.sha256))
        });
        let found = encoder.and_then(|encoder| {
            let embeddings = encoder.encode(&[&golden.input]).map_err(failed)?;
            let vector = embeddings.first().map_or(&[][..], |embedding| &embedding.vector);
            // The encoder takes nothing from the C library and has no prompts.
            compared(&golden.vector, vector, true, MAX_VECTOR_DIFFERENCE)
        });
        SelfTestLine::new("embedding", &golden.model, numbers(&golden.vector), told(found))
    }

    /// The checks of the language model, which is loaded once.
    fn language_model(&self, score: &GoldenScore, text: &GoldenText) -> [SelfTestLine; 2] {
        let options = LoadOptions {
            threads: self.context.globals.threads,
            isa: self.isa,
            ..LoadOptions::default()
        };
        let lm = self.load(&score.model, || {
            let files = self.catalog.lm_with(&score.model.name, self.context)?;
            Ok((Lm::load(&files, &options)?, files.sha256))
        });
        let (scored, written) = match lm {
            Ok(lm) => (self.score(&lm, score), self.text(&lm, text)),
            Err(why) => (Err(why.clone()), Err(why)),
        };
        let expected = (numbers(&score.logprobs), format!("{:?}", text.text));
        [
            SelfTestLine::new("score", &score.model, expected.0, told(scored)),
            SelfTestLine::new("text", &text.model, expected.1, told(written)),
        ]
    }

    fn score(&self, lm: &Lm, golden: &GoldenScore) -> SelfTestFound {
        let prompt = Prompt::Text(golden.prompt.clone());
        let request = ScoreRequest::new(prompt, golden.continuation.as_str());
        let scores = block_on(self.context, lm.score(request)).map_err(failed)?;
        let score: Score = scores.map_err(failed)?.into_iter().next().unwrap_or_default();
        if score.tokens != golden.tokens {
            return Err(failed(format!("tokens {:?}, not {:?}", score.tokens, golden.tokens)));
        }
        let exact = cfg!(target_os = "linux") && !lm.separates_prompts();
        compared(&golden.logprobs, &score.logprobs, exact, MAX_LOGPROB_DIFFERENCE)
    }

    /// No other token of the recorded text comes near in probability, so it is the same with and
    /// without matrix tiles.
    fn text(&self, lm: &Lm, golden: &GoldenText) -> SelfTestFound {
        let request = Request::new(Prompt::Text(golden.prompt.clone()), golden.max_tokens);
        let answer = block_on(self.context, lm.generate(request)).map_err(failed)?;
        match answer.map_err(failed)?.text {
            text if text == golden.text => Ok("the same".to_owned()),
            text => Err(failed(format!("{text:?}"))),
        }
    }

    /// Loads a model by `load`, which also returns the SHA-256 of its weights. The error is the
    /// result of its checks if it is not on this machine, has other weights, or cannot be loaded.
    fn load<T>(
        &self,
        model: &GoldenWeights,
        load: impl FnOnce() -> anyhow::Result<(T, String)>,
    ) -> Result<T, (SelfTestResult, String)> {
        let skipped = |why: &str| Err((SelfTestResult::Skipped, why.to_owned()));
        let entry = self.catalog.entry(&model.name).map_err(failed)?;
        if self.catalog.locate(entry, self.context).map_err(failed)?.is_none() {
            return skipped("the model is not on this machine");
        }
        match load().map_err(|error| failed(format!("{error:#}")))? {
            (_, sha256) if sha256 != model.sha256 => {
                skipped("the model of this name has other weights here")
            }
            (loaded, _) => Ok(loaded),
        }
    }
}

fn failed(why: impl Display) -> (SelfTestResult, String) {
    (SelfTestResult::Failed, why.to_string())
}

fn told(found: SelfTestFound) -> (SelfTestResult, String) {
    found.map_or_else(|why| why, |found| (SelfTestResult::Ok, found))
}

/// Compares values with the recorded ones, by their bits or within `bound`.
fn compared(golden: &[f32], found: &[f32], exact: bool, bound: f32) -> SelfTestFound {
    if golden.len() != found.len() {
        return Err(failed(numbers(found)));
    }
    let pairs = || golden.iter().zip(found);
    if pairs().all(|(a, b)| a.to_bits() == b.to_bits()) {
        return Ok("the same bits".to_owned());
    }
    let allowed = if exact { 0.0 } else { bound };
    let largest = pairs().map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let told = format!("{}, up to {largest:.1e} off, {allowed} allowed", numbers(found));
    // NaN is within no bound.
    match pairs().all(|(a, b)| (a - b).abs() <= allowed) {
        true => Ok(told),
        false => Err(failed(told)),
    }
}

/// The number of values, and the first of them.
fn numbers(values: &[f32]) -> String {
    let first: Vec<String> = values.iter().take(SHOWN).map(|x| format!("{x:.6}")).collect();
    format!("{} numbers ({}, ...)", values.len(), first.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_required_or_a_bound() {
        let golden = [0.5, -0.25, 1.0];
        let result = |found: &[f32], exact| told(compared(&golden, found, exact, 0.25)).0;
        assert!(result(&golden, true) == SelfTestResult::Ok);
        let near = [0.5, -0.250_000_03, 1.0];
        assert!(result(&near, true) == SelfTestResult::Failed);
        assert!(result(&near, false) == SelfTestResult::Ok);
        assert!(result(&[0.5, 0.0, 1.0], false) == SelfTestResult::Ok);
        assert!(result(&[0.5, 0.01, 1.0], false) == SelfTestResult::Failed);
        for wrong in [f32::NAN, f32::INFINITY] {
            assert!(result(&[wrong, -0.25, 1.0], false) == SelfTestResult::Failed);
            assert!(result(&[0.5, -0.25, wrong], false) == SelfTestResult::Failed);
        }
        assert!(result(&golden[..2], false) == SelfTestResult::Failed);
    }
}
