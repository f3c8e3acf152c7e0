//! Speed of the decoder alone: prefill, one sequence, several sequences. No sampling, no scheduler.

use std::time::Duration;

use idiolect::lm::decoder::{Cache, Decoder, Options, Precision, Rows};
use idiolect::model::gguf::Gguf;

use super::super::context::Context;
use super::super::output;
use super::rounds::{BenchCase, BenchResult, BenchSpec, BenchUnit, measure as rounds, timed};
use super::{Args, Name};

/// Number of prompt tokens per forward step.
const PORTION: usize = 256;

pub(super) fn measure(args: &Args, context: &Context) -> anyhow::Result<Vec<BenchResult>> {
    let names = [Name::Prefill, Name::Decode, Name::BatchedDecode];
    if !names.into_iter().any(|name| args.measures(name)) {
        return Ok(Vec::new());
    }
    let decoder = load(context)?;
    let fits = |n: usize| {
        let context = decoder.config().context;
        if n > context {
            output::note(&format!("left out: {n} tokens do not fit the window of {context}"));
        }
        n <= context
    };
    let mut cases = Vec::new();
    if args.measures(Name::Prefill) {
        for n in args.prompt.iter().copied().filter(|n| fits(*n)) {
            cases.push(prompt_case(&decoder, n));
        }
    }
    let together = std::iter::once(1).chain(args.sequences.iter().copied());
    for (place, n_seq) in together.enumerate() {
        let (name, depths) = match place {
            0 => (Name::Decode, &[0, 2048][..]),
            _ => (Name::BatchedDecode, &[0][..]),
        };
        if !args.measures(name) {
            continue;
        }
        let depths = if args.depth.is_empty() { depths } else { &args.depth };
        // One token more than is measured: the first warms up.
        for depth in depths.iter().filter(|depth| fits(*depth.max(&&1) + args.tokens + 1)) {
            cases.push(text_case(&decoder, name, n_seq, *depth, args.tokens)?);
        }
    }
    rounds(&mut cases, args.runs, context)
}

fn load(context: &Context) -> anyhow::Result<Decoder> {
    let files = context.catalog()?.lm_with(&context.globals.lm, context)?;
    let options = Options {
        device: context.device()?,
        precision: Precision::Packed,
        context: None,
        threads: context.globals.threads,
        tier: context.tier()?,
        kv_precision: context.kv_precision(),
    };
    Ok(Decoder::load(&Gguf::open(&files.gguf)?, &options)?)
}

fn prompt_case(decoder: &Decoder, n: usize) -> BenchCase<'_> {
    BenchCase {
        what: BenchSpec {
            name: Name::Prefill.as_str(),
            n_tokens: n,
            n_seq: 1,
            depth: 0,
            unit: BenchUnit::TokensPerSecond,
        },
        once: Box::new(move || timed(|| prefill(decoder, n, 0))),
    }
}

fn text_case<'a>(
    decoder: &'a Decoder,
    name: Name,
    n_seq: usize,
    depth: usize,
    n_tokens: usize,
) -> anyhow::Result<BenchCase<'a>> {
    // Each sequence has its own prompt, so that no prefix could be shared.
    let prompts: Vec<Cache> = (0..n_seq)
        .map(|sequence| prefill(decoder, depth.max(1), sequence))
        .collect::<anyhow::Result<_>>()?;
    let once = move || -> anyhow::Result<Duration> {
        let mut caches: Vec<Cache> = prompts.iter().map(Cache::fork).collect();
        write_one(decoder, &mut caches, 0)?;
        timed(|| (1..=n_tokens).try_for_each(|place| write_one(decoder, &mut caches, place)))
    };
    let what = BenchSpec {
        name: name.as_str(),
        n_tokens: n_seq * n_tokens,
        n_seq,
        depth,
        unit: BenchUnit::TokensPerSecond,
    };
    Ok(BenchCase { what, once: Box::new(once) })
}

/// Runs a prompt of `n` tokens and returns its cache. Also computes the logits after the last
/// token, as a completion needs them.
fn prefill(decoder: &Decoder, n: usize, sequence: usize) -> anyhow::Result<Cache> {
    let tokens: Vec<u32> = (0..n).map(|place| token(decoder, place, sequence)).collect();
    let mut cache = decoder.cache();
    for chunk in tokens.chunks(PORTION) {
        let hidden = decoder.forward(&mut [Rows { tokens: chunk, cache: &mut cache }])?;
        if cache.len() == n {
            wait_for(&decoder.logits(&hidden.narrow(0, chunk.len() - 1, 1)?)?)?;
        }
    }
    Ok(cache)
}

/// Runs one more token of every sequence.
fn write_one(decoder: &Decoder, caches: &mut [Cache], place: usize) -> anyhow::Result<()> {
    let tokens: Vec<u32> =
        (0..caches.len()).map(|sequence| token(decoder, place, sequence)).collect();
    let mut batch: Vec<Rows<'_>> = caches
        .iter_mut()
        .zip(&tokens)
        .map(|(cache, token)| Rows { tokens: std::slice::from_ref(token), cache })
        .collect();
    let hidden = decoder.forward(&mut batch)?;
    wait_for(&decoder.logits(&hidden)?)
}

/// Returns an arbitrary token id; speed does not depend on it.
fn token(decoder: &Decoder, place: usize, sequence: usize) -> u32 {
    let (place, sequence) = (place as u64 + 1, sequence as u64);
    ((place * place * 31 + place * 7 + sequence * 1009) % decoder.config().n_vocab as u64) as u32
}

/// Waits until the logits are computed. On a GPU an operation may return before it is done; reading
/// a value waits for it.
fn wait_for(logits: &candle_core::Tensor) -> anyhow::Result<()> {
    if !logits.device().is_cpu() {
        logits.narrow(1, 0, 1)?.flatten_all()?.to_vec1::<f32>()?;
    }
    Ok(())
}
