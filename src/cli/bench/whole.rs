//! End-to-end benchmarks: scoring a text, embedding texts, building an index, one personalization.

use anyhow::{Context as _, bail};
use idiolect::client::CachePolicy;
use idiolect::corpus::{Store, View};
use idiolect::encoder::Encoder;
use idiolect::lm::{Lm, Prompt, ScoreRequest};
use idiolect::methods::{Generated, Method, MethodInputs, MethodOptions};
use idiolect::peers::{BuildOptions, build_index};
use idiolect::progress::{Progress as _, Silent};
use idiolect::task::Task;
use tempfile::TempDir;

use super::super::block_on::block_on;
use super::super::context::Context;
use super::super::sample;
use super::rounds::{BenchCase, BenchResult, BenchSpec, BenchUnit, measure as rounds, timed};
use super::{Args, BenchName};

/// Number of tokens of the scored text.
const SCORED: usize = 512;

pub(super) fn measure_score(args: &Args, context: &Context) -> anyhow::Result<Vec<BenchResult>> {
    if !args.measures(BenchName::Score) {
        return Ok(Vec::new());
    }
    let (lm, sample) = (context.lm()?, Sample::new()?);
    let text = text_of(&lm, &sample.texts()?.join(" "))?;
    let spec = BenchSpec {
        name: BenchName::Score,
        n_tokens: lm.count_text(&text)?,
        n_seq: 1,
        depth: 0,
        unit: BenchUnit::TokensPerSecond,
    };
    // No cache holds log-probabilities: every run computes all of them.
    let request = || ScoreRequest::new(Prompt::Text(String::new()), text.clone());
    let score = || timed(|| Ok(block_on(context, lm.score(request()))??));
    rounds(&mut [BenchCase { spec, once: Box::new(score) }], args.runs, context)
}

/// Returns the beginning of `text`, whole words only, with [`SCORED`] tokens; filled up with " the"
/// if it is too short.
fn text_of(lm: &Lm, text: &str) -> anyhow::Result<String> {
    let mut words: Vec<&str> = text.split(' ').take(SCORED).collect();
    while lm.count_text(&words.join(" "))? > SCORED {
        words.pop();
    }
    let mut text = words.join(" ");
    while lm.count_text(&text)? < SCORED {
        text.push_str(" the");
    }
    Ok(text)
}

pub(super) fn measure_encoder(args: &Args, context: &Context) -> anyhow::Result<Vec<BenchResult>> {
    if !args.measures(BenchName::Embed) && !args.measures(BenchName::Index) {
        return Ok(Vec::new());
    }
    let encoder = context.encoder()?;
    let texts = Sample::new()?.texts()?;
    let spec =
        |name: BenchName, unit| BenchSpec { name, n_tokens: 0, n_seq: texts.len(), depth: 0, unit };
    let mut cases = Vec::new();
    if args.measures(BenchName::Embed) {
        let n_tokens = encoder.encode(&texts)?.iter().map(|embedding| embedding.n_tokens).sum();
        cases.push(BenchCase {
            spec: BenchSpec { n_tokens, ..spec(BenchName::Embed, BenchUnit::TextsPerSecond) },
            once: Box::new(|| timed(|| Ok(encoder.encode(&texts)?))),
        });
    }
    if args.measures(BenchName::Index) {
        cases.push(BenchCase {
            spec: spec(BenchName::Index, BenchUnit::ReviewsPerSecond),
            once: Box::new(|| {
                let sample = Sample::new()?;
                let options = BuildOptions::default();
                timed(|| Ok(build_index(&sample.store, &encoder, &options, &Silent)?))
            }),
        });
    }
    rounds(&mut cases, args.runs, context)
}

pub(super) fn measure_personalization(
    args: &Args,
    context: &Context,
) -> anyhow::Result<Vec<BenchResult>> {
    if !args.measures(BenchName::Personalize) {
        return Ok(Vec::new());
    }
    let (encoder, sample) = (context.encoder()?, Sample::new()?);
    build_index(&sample.store, &encoder, &BuildOptions::default(), &Silent)?;
    let mut durations = Vec::new();
    let mut written = None;
    // Too slow for a warm-up run. Each run has a new engine with an empty cache.
    for _ in 0..args.runs {
        let lm = context.lm()?;
        context.begin("personalize", None);
        let duration = timed(|| {
            written = Some(personalize(&lm, &encoder, &sample.store, context)?);
            Ok(())
        });
        context.end();
        durations.push(duration?);
    }
    let written = written.context("nothing was measured")?;
    let spec = BenchSpec {
        name: BenchName::Personalize,
        n_tokens: written.prompt_tokens + written.completion_tokens,
        n_seq: written.computed,
        depth: 0,
        unit: BenchUnit::Seconds,
    };
    let mut measured = spec.measured(&durations);
    measured.more.insert("prompt_tokens".to_owned(), written.prompt_tokens.into());
    measured.more.insert("completion_tokens".to_owned(), written.completion_tokens.into());
    Ok(vec![measured])
}

/// Writes the newest review of the sample user with DPL, that review held out.
fn personalize(
    lm: &Lm,
    encoder: &Encoder,
    store: &Store,
    context: &Context,
) -> anyhow::Result<Generated> {
    let task = Task::load(Task::DEFAULT)?;
    let Some(held_out) = store.history(sample::USER)?.pop() else {
        bail!("the sample has no review by {}", sample::USER);
    };
    let material = MethodInputs {
        view: View::all(store).without(held_out.id),
        model: lm,
        peers: Some(encoder as _),
        task: &task,
        progress: &Silent,
        reward: None,
        held_out: &[],
    };
    let options = MethodOptions {
        max_tokens: Some(sample::TEXT_TOKENS),
        profile_max_tokens: Some(sample::PROFILE_TOKENS),
        reuse: CachePolicy::Nothing,
        ..MethodOptions::of(&task)
    };
    let target = sample::target(store, &held_out)?;
    Ok(block_on(context, Method::DPL.write(&material, &target, &options, None))??)
}

/// The sample corpus in a temporary store, deleted when dropped.
struct Sample {
    store: Store,
    _folder: TempDir,
}

impl Sample {
    fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("a folder for the sample")?;
        let store = Store::open(&folder.path().join("sample.sqlite"))?;
        sample::import(&store, &Silent)?;
        Ok(Self { store, _folder: folder })
    }

    fn texts(&self) -> anyhow::Result<Vec<String>> {
        let reviews = self.store.reviews(&self.store.review_ids()?)?;
        Ok(reviews.into_iter().map(|stored| stored.review.text).collect())
    }
}
