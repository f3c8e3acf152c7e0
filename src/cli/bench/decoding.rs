//! Speed of the decoder alone: prefill, one sequence, several sequences. No sampling, no scheduler.

use std::time::Duration;

use idiolect::lm::decoder::{
    self, BatchRows, Decoder, DecoderOptions, KvCache, LoadedDecoder, RowKind, WeightPrecision,
};
use idiolect::model::gguf::Gguf;

use super::super::context::Context;
use super::super::output;
use super::rounds::{BenchCase, BenchResult, BenchSpec, BenchUnit, measure as rounds, timed};
use super::{Args, BenchName};

/// Number of prompt tokens per forward step.
const PORTION: usize = 256;

pub(super) fn measure(args: &Args, context: &Context) -> anyhow::Result<Vec<BenchResult>> {
    let names = [BenchName::Prefill, BenchName::Decode, BenchName::BatchedDecode];
    if !names.into_iter().any(|name| args.measures(name)) {
        return Ok(Vec::new());
    }
    match load(context)? {
        LoadedDecoder::Cpu(decoder) => measure_decoder(&*decoder, args, context),
        LoadedDecoder::Candle(decoder) => measure_decoder(&*decoder, args, context),
    }
}

fn measure_decoder<D: Decoder>(
    decoder: &D,
    args: &Args,
    context: &Context,
) -> anyhow::Result<Vec<BenchResult>> {
    let fits = |n: usize| {
        let context = decoder.config().context;
        if n > context {
            output::note(&format!("left out: {n} tokens exceed the context window of {context}"));
        }
        n <= context
    };
    let mut cases = Vec::new();
    if args.measures(BenchName::Prefill) {
        for n in args.prompt.iter().copied().filter(|n| fits(*n)) {
            cases.push(prompt_case(decoder, n));
        }
    }
    let together = std::iter::once(1).chain(args.sequences.iter().copied());
    for (place, n_seq) in together.enumerate() {
        let (name, depths) = match place {
            0 => (BenchName::Decode, &[0, 2048][..]),
            _ => (BenchName::BatchedDecode, &[0][..]),
        };
        if !args.measures(name) {
            continue;
        }
        let depths = if args.depth.is_empty() { depths } else { &args.depth };
        // One token more than is measured: the first warms up.
        for depth in depths.iter().filter(|depth| fits(*depth.max(&&1) + args.tokens + 1)) {
            cases.push(text_case(decoder, name, n_seq, *depth, args.tokens)?);
        }
    }
    rounds(&mut cases, args.runs, context)
}

fn load(context: &Context) -> anyhow::Result<LoadedDecoder> {
    let files = context.lm_files()?;
    let options = DecoderOptions {
        device: context.device()?,
        precision: WeightPrecision::Packed,
        context: None,
        threads: context.globals.threads,
        isa: context.isa()?,
        kv_precision: context.kv_precision(),
    };
    Ok(decoder::load(&Gguf::open(&files.gguf)?, &options)?)
}

fn prompt_case<D: Decoder>(decoder: &D, n: usize) -> BenchCase<'_> {
    BenchCase {
        spec: BenchSpec {
            name: BenchName::Prefill,
            n_tokens: n,
            n_seq: 1,
            depth: 0,
            unit: BenchUnit::TokensPerSecond,
        },
        once: Box::new(move || timed(|| prefill(decoder, n, 0))),
    }
}

fn text_case<'a, D: Decoder>(
    decoder: &'a D,
    name: BenchName,
    n_seq: usize,
    depth: usize,
    n_tokens: usize,
) -> anyhow::Result<BenchCase<'a>> {
    // Each sequence has its own prompt, so that no prefix could be shared.
    let prompts: Vec<KvCache<D::Layout>> = (0..n_seq)
        .map(|sequence| prefill(decoder, depth.max(1), sequence))
        .collect::<anyhow::Result<_>>()?;
    let once = move || -> anyhow::Result<Duration> {
        let mut caches: Vec<KvCache<D::Layout>> = prompts.iter().map(KvCache::fork).collect();
        write_one(decoder, &mut caches, 0)?;
        timed(|| (1..=n_tokens).try_for_each(|place| write_one(decoder, &mut caches, place)))
    };
    let spec = BenchSpec {
        name,
        n_tokens: n_seq * n_tokens,
        n_seq,
        depth,
        unit: BenchUnit::TokensPerSecond,
    };
    Ok(BenchCase { spec, once: Box::new(once) })
}

/// Runs a prompt of `n` tokens and returns its cache. Also computes the logits after the last
/// token, as a completion needs them.
pub(in crate::cli) fn prefill<D: Decoder>(
    decoder: &D,
    n: usize,
    sequence: usize,
) -> anyhow::Result<KvCache<D::Layout>> {
    let tokens: Vec<u32> = (0..n).map(|place| token(decoder, place, sequence)).collect();
    let mut cache = decoder.empty_cache();
    let mut at = 0;
    while at < n {
        // As in the scheduler, the row that logits are computed from is not of the prompt's kind.
        let (end, kind) = match n - at {
            1 => (n, RowKind::Text),
            left if left > PORTION => (at + PORTION, RowKind::Prompt),
            left if decoder.separates_prompts() => (at + left - 1, RowKind::Prompt),
            left => (at + left, RowKind::Text),
        };
        let rows = BatchRows { tokens: &tokens[at..end], kind, cache: &mut cache, adapter: None };
        let hidden = decoder.forward(&mut [rows])?;
        if end == n {
            decoder.logits(&hidden, &[(end - at - 1) as u32], &mut Vec::new())?;
        }
        at = end;
    }
    Ok(cache)
}

/// Runs one more token of every sequence.
pub(in crate::cli) fn write_one<D: Decoder>(
    decoder: &D,
    caches: &mut [KvCache<D::Layout>],
    place: usize,
) -> anyhow::Result<()> {
    let tokens: Vec<u32> =
        (0..caches.len()).map(|sequence| token(decoder, place, sequence)).collect();
    let rows: Vec<u32> = (0..caches.len() as u32).collect();
    let mut batch: Vec<BatchRows<'_, D::Layout>> = caches
        .iter_mut()
        .zip(&tokens)
        .map(|(cache, token)| BatchRows {
            tokens: std::slice::from_ref(token),
            kind: RowKind::Text,
            cache,
            adapter: None,
        })
        .collect();
    let hidden = decoder.forward(&mut batch)?;
    decoder.logits(&hidden, &rows, &mut Vec::new())?;
    Ok(())
}

/// Returns an arbitrary token id; speed does not depend on it.
fn token<D: Decoder>(decoder: &D, place: usize, sequence: usize) -> u32 {
    let (place, sequence) = (place as u64 + 1, sequence as u64);
    ((place * place * 31 + place * 7 + sequence * 1009) % decoder.config().n_vocab as u64) as u32
}
