//! Replays recorded requests.

use std::collections::VecDeque;
use std::path::Path;

use anyhow::{Context as _, bail};
use futures::stream::{FuturesUnordered, StreamExt, TryStreamExt, iter};
use idiolect::lm::{Eos, Lm, Outcome, Prompt, Recorded, Request, Verb};
use idiolect::progress::Progress as _;
use serde_json::json;

use super::super::block_on::block_on;
use super::super::context::Context;
use super::super::output;
use super::machine::resident;
use super::rounds::{BenchResult, BenchSpec, BenchUnit, timed};
use super::{Args, BenchName};

pub(super) fn measure(args: &Args, context: &Context) -> anyhow::Result<BenchResult> {
    let jobs: Vec<Vec<Recorded>> =
        args.requests.iter().map(|path| job(path)).collect::<anyhow::Result<_>>()?;
    let requests = || jobs.iter().flatten();
    let prompt_tokens: usize = requests().map(prompt_tokens).sum();
    let completion_tokens: usize = requests().map(|request| request.completion_tokens).sum();

    let (mut durations, mut residents, mut reused) = (Vec::new(), Vec::new(), Vec::new());
    let (mut drafted, mut accepted) = (Vec::new(), Vec::new());
    let (mut engine, mut kv_peak) = (None, 0);
    for _ in 0..args.runs {
        let lm = match engine.take() {
            Some(lm) => lm,
            None => context.lm()?,
        };
        let before = lm.stats();
        context.begin("replay", Some(requests().count() as u64));
        let duration = timed(|| block_on(context, replay(&lm, &jobs, args.jobs, context))?);
        context.end();
        durations.push(duration?);
        let after = lm.stats();
        reused.push(after.reused_tokens - before.reused_tokens);
        drafted.push(after.drafted_tokens - before.drafted_tokens);
        accepted.push(after.accepted_tokens - before.accepted_tokens);
        kv_peak = kv_peak.max(after.kv_peak_bytes);
        residents.push(resident("VmRSS"));
        // A dropped engine leaves its thread a moment later; each run gets a new one.
        engine = args.keep_cache.then_some(lm);
    }
    let spec = BenchSpec {
        name: BenchName::Replay,
        n_tokens: prompt_tokens + completion_tokens,
        n_seq: requests().count(),
        depth: 0,
        unit: BenchUnit::Seconds,
    };
    let mut measured = spec.measured(&durations);
    let seconds: Vec<f64> = durations.iter().map(std::time::Duration::as_secs_f64).collect();
    for (name, value) in [
        ("prompt_tokens", json!(prompt_tokens)),
        ("completion_tokens", json!(completion_tokens)),
        ("reused_tokens", json!(reused)),
        ("drafted_tokens", json!(drafted)),
        ("accepted_tokens", json!(accepted)),
        ("kv_peak_bytes", json!(kv_peak)),
        ("resident_bytes", json!(residents)),
        ("seconds", json!(seconds)),
    ] {
        measured.more.insert(name.to_owned(), value);
    }
    Ok(measured)
}

/// Reads the requests of a file, in the order of their starts.
fn job(path: &Path) -> anyhow::Result<Vec<Recorded>> {
    let mut requests = Recorded::read(path)?;
    if let Some(other) = requests.iter().find(|request| request.verb != Verb::Complete) {
        bail!(
            "replay {}: {:?} requests cannot be replayed, only those that write",
            path.display(),
            other.verb
        );
    }
    let n = requests.len();
    requests.retain(|request| request.outcome == Outcome::Answered);
    if requests.len() < n {
        let unanswered = n - requests.len();
        output::note(&format!("{}: {unanswered} unanswered requests left out", path.display()));
    }
    requests.sort_by_key(|request| request.started);
    Ok(requests)
}

fn prompt_tokens(request: &Recorded) -> usize {
    request.prompts.iter().map(Vec::len).sum()
}

/// Replays all jobs, `at_a_time` at the same time.
async fn replay(
    lm: &Lm,
    jobs: &[Vec<Recorded>],
    at_a_time: usize,
    context: &Context,
) -> anyhow::Result<()> {
    iter(jobs)
        .map(|job| replay_job(lm, job, context))
        .buffer_unordered(at_a_time)
        .try_for_each(|()| futures::future::ready(Ok(())))
        .await
}

/// Replays one job. Each request is sent as soon as all requests are answered that had been
/// answered when it was recorded.
async fn replay_job(lm: &Lm, job: &[Recorded], context: &Context) -> anyhow::Result<()> {
    let mut waiting: VecDeque<&Recorded> = job.iter().collect();
    let mut running = FuturesUnordered::new();
    // Recorded ends of the requests that are not answered yet.
    let mut open: Vec<u64> = job.iter().map(|request| request.ended).collect();
    loop {
        while let Some(request) = waiting.front()
            && open.iter().all(|ended| *ended > request.started)
        {
            let request = *request;
            waiting.pop_front();
            running.push(async move { send(lm, request).await.map(|()| request.ended) });
        }
        let Some(ended) = running.next().await else { break };
        let ended = ended?;
        open.retain(|other| *other != ended);
        context.advance(1);
    }
    match waiting.front() {
        None => Ok(()),
        Some(request) => {
            bail!("request {} comes after one that never ends; record anew", request.started)
        }
    }
}

async fn send(lm: &Lm, recorded: &Recorded) -> anyhow::Result<()> {
    let prompt = recorded.prompts.first().context("a recorded request has no prompt")?;
    let prompt = Prompt::Tokens(prompt.clone());
    let request = Request { eos: Eos::Ignore, ..Request::new(prompt, recorded.completion_tokens) };
    let completion = lm.generate(request).await?;
    if completion.completion_tokens != recorded.completion_tokens {
        bail!(
            "{} tokens were written where {} were recorded",
            completion.completion_tokens,
            recorded.completion_tokens
        );
    }
    Ok(())
}
