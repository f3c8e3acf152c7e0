//! Thousands of random operations, compared with a plain loop over a decoder.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::channel::oneshot;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::lm::decoder::{BatchRows, CpuDecoder, DecoderOptions, RowKind, WeightPrecision};
use crate::lm::draft::TokenDraft;
use crate::lm::generation::{Generation, GenerationLimits};
use crate::lm::sampler::Sampler;
use crate::lm::scoring::Scoring;
use crate::lm::sequence::{Sequence, Work};
use crate::lm::tiny::{N_TOKENS, Tiny};
use crate::lm::token_kinds::TokenKinds;
use crate::lm::{
    CombineLogits, Completion, Distributions, OnText, ReusedTokens, Sampling, Score, WeightedSum,
};
use idiolect_kernels::attention::KvPrecision;

/// A request: everything that its answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Asked {
    prompts: Vec<Vec<u32>>,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum What {
    Write {
        seed: u64,
        most: usize,
    },
    Score {
        text: Vec<u32>,
    },
    /// A request that fails: the callback panics, or the rule gives no distribution.
    Break,
}

enum Answer {
    Text(oneshot::Receiver<Result<Completion>>),
    Score(oneshot::Receiver<Result<Vec<Score>>>),
}

/// Result of a request: the bits of each token's log-probability, or the text and its number of
/// tokens.
#[derive(Debug, Clone, PartialEq)]
enum StepOutcome {
    Text(String, usize),
    Score(Vec<u32>),
}

/// A rule that gives NaN from the third token on.
struct Spoilt;

impl CombineLogits for Spoilt {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        combined.fill(if step.written.len() < 2 { 0.0 } else { f32::NAN });
    }
}

struct World {
    decoder: CpuDecoder,
    scheduler: Scheduler<CpuDecoder>,
    tokenizer: Arc<Tokenizer>,
    vocabulary: Arc<TokenKinds>,
    expected: HashMap<Asked, StepOutcome>,
}

fn decoder(tiny: &Tiny, threads: usize) -> CpuDecoder {
    let options = DecoderOptions {
        device: candle_core::Device::Cpu,
        precision: WeightPrecision::Packed,
        context: None,
        threads,
        isa: Isa::detect(),
        kv_precision: KvPrecision::default(),
    };
    CpuDecoder::load(&tiny.gguf(), &options).unwrap()
}

fn sampling(seed: u64) -> Sampling {
    // The likeliest tokens of a small model soon repeat themselves, as drafts do.
    let temperature = if seed.is_multiple_of(2) { 0.9 } else { 0.0 };
    Sampling { temperature, top_p: 0.95, seed, ..Sampling::default() }
}

/// The rule that combines `n` prompts.
fn weights(n: usize) -> WeightedSum {
    WeightedSum((0..n).map(|i| if i == 0 { 1.5 } else { -0.25 }).collect())
}

impl World {
    fn new(tiny: &Tiny, threads: usize, blocks: usize, share_prefixes: bool) -> Self {
        Self::with_drafts(tiny, threads, blocks, share_prefixes, Drafts::Off)
    }

    fn with_drafts(
        tiny: &Tiny,
        threads: usize,
        blocks: usize,
        share_prefixes: bool,
        drafts: Drafts,
    ) -> Self {
        let tokenizer = Arc::new(Tokenizer::from_gguf(&tiny.gguf()).unwrap());
        let ids = 0..tokenizer.n_vocab() as u32;
        let vocabulary = Arc::new(TokenKinds::new(ids.map(|id| tokenizer.bytes(id))));
        let working = decoder(tiny, threads);
        let kv_budget = blocks * working.kv_pool().block_bytes();
        let limits = Limits { kv_budget, share_prefixes, drafts };
        let scheduler =
            Scheduler::new(working, Arc::clone(&tokenizer), Isa::detect(), limits, Arc::default());
        let expected = HashMap::new();
        Self { decoder: decoder(tiny, 1), scheduler, tokenizer, vocabulary, expected }
    }

    fn start(&mut self, asked: &Asked) -> Answer {
        let (text, most): (&[u32], usize) = match &asked.what {
            What::Write { most, .. } => (&[], *most),
            What::Break => (&[], 8),
            What::Score { text } => (&text[..text.len() - 1], 0),
        };
        let sequences = asked.prompts.iter().map(|prompt| {
            let tokens = [&prompt[..], text].concat();
            let max_len = tokens.len() + most;
            Sequence::new(tokens, prompt.len(), max_len)
        });
        let sequences: Vec<Sequence> = sequences.collect();
        let n = sequences.len();
        let broken = asked.what == What::Break;
        let combine: Vec<Option<Box<dyn CombineLogits>>> = match n {
            1 => vec![None],
            _ if broken => vec![Some(Box::new(Spoilt))],
            n => vec![Some(Box::new(weights(n)))],
        };
        if let What::Score { text } = &asked.what {
            let (reply, answer) = oneshot::channel();
            let work = Work::Score(Scoring::new(text.clone(), 1, reply));
            let reused = ReusedTokens::default();
            let draft = TokenDraft::default();
            self.scheduler.add(SequenceGroup {
                sequences,
                combine,
                observed: None,
                work,
                draft,
                reused,
            });
            return Answer::Score(answer);
        }
        let seed = if let What::Write { seed, .. } = asked.what { seed } else { 1 };
        let sampler =
            Sampler::new(&sampling(seed), Arc::clone(&self.vocabulary), Isa::detect()).unwrap();
        let (reply, answer) = oneshot::channel();
        let count = Mutex::new(0);
        let on_text: OnText = Box::new(move |_: &str| {
            *count.lock().unwrap() += 1;
            assert!(!broken || *count.lock().unwrap() < 3, "as it was asked to");
        });
        let limits = GenerationLimits {
            constraint: None,
            mask: None,
            stop: Vec::new(),
            max_tokens: most,
            on_text: Some(on_text),
            logprobs: None,
            on_token: None,
        };
        let generation = Generation::new(sampler, limits, 0, reply);
        self.scheduler.add(SequenceGroup {
            sequences,
            combine,
            observed: None,
            work: Work::Generate(Box::new(generation)),
            draft: TokenDraft::default(),
            reused: ReusedTokens::default(),
        });
        Answer::Text(answer)
    }

    /// Result of a plain loop: one cache per prompt, one forward step per token.
    fn alone(&mut self, asked: &Asked) -> StepOutcome {
        if let Some(known) = self.expected.get(asked) {
            return known.clone();
        }
        let mut caches: Vec<_> = asked.prompts.iter().map(|_| self.decoder.empty_cache()).collect();
        let mut next = asked.prompts.clone();
        let mut tokens = asked.prompts[0].clone();
        let mut sampler = None;
        if let What::Write { seed, .. } = asked.what {
            let vocabulary = Arc::clone(&self.vocabulary);
            sampler = Some(Sampler::new(&sampling(seed), vocabulary, Isa::detect()).unwrap());
        }
        let (mut written, mut n_written, mut scores) = (Vec::new(), 0, Vec::new());
        loop {
            match &asked.what {
                What::Score { text } if scores.len() == text.len() => break,
                What::Write { most, .. } if n_written == *most => break,
                _ => {}
            }
            let mut rows: Vec<Vec<f32>> = Vec::new();
            for (cache, new) in caches.iter_mut().zip(&next) {
                // All but the last token of a prompt need no logits.
                let (last, prompt) = new.split_last().unwrap();
                if !prompt.is_empty() {
                    let new =
                        BatchRows { tokens: prompt, kind: RowKind::Prompt, cache, adapter: None };
                    self.decoder.forward(&mut [new]).unwrap();
                }
                let new = BatchRows { tokens: &[*last], kind: RowKind::Text, cache, adapter: None };
                let hidden = self.decoder.forward(&mut [new]).unwrap();
                let mut logits = Vec::new();
                self.decoder.logits(&hidden, &[0], &mut logits).unwrap();
                logits.truncate(N_TOKENS);
                rows.push(logits);
            }
            let mut logits = rows[0].clone();
            if rows.len() > 1 {
                for row in &mut rows {
                    idiolect_kernels::softmax::log_softmax_in_place(row, Isa::detect());
                }
                let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
                weights(rows.len()).combine(&Distributions::new(&[], &rows), &mut logits);
            }
            let id = match (&asked.what, &mut sampler) {
                (What::Score { text }, _) => {
                    let id = text[scores.len()];
                    let norm = idiolect_kernels::softmax::log_sum_exp(&logits, Isa::detect());
                    scores.push((logits[id as usize] - norm).to_bits());
                    id
                }
                (_, Some(sampler)) => {
                    let id = sampler.choose(&mut logits, &tokens).unwrap();
                    if self.tokenizer.is_end(id) {
                        break;
                    }
                    written.extend_from_slice(self.tokenizer.bytes(id));
                    n_written += 1;
                    id
                }
                _ => unreachable!(),
            };
            tokens.push(id);
            next = vec![vec![id]; asked.prompts.len()];
        }
        let outcome = match asked.what {
            What::Score { .. } => StepOutcome::Score(scores),
            _ => StepOutcome::Text(String::from_utf8_lossy(&written).into_owned(), n_written),
        };
        self.expected.insert(asked.clone(), outcome.clone());
        outcome
    }

    /// Checks that every KV block is held by a request or by the prefix cache, and that all fit the
    /// budget.
    fn check_bytes(&self) {
        let decoder = &self.scheduler.decoder;
        let budget = self.scheduler.limits.kv_budget;
        assert!(decoder.kv_pool().bytes() <= budget, "{} of {budget}", decoder.kv_pool().bytes());
        let mut held: std::collections::HashSet<usize> =
            self.scheduler.prefixes.block_identities().collect();
        assert_eq!(held.len(), self.scheduler.prefixes.n_blocks());
        let sequences = self.scheduler.running.iter().flat_map(|group| &group.sequences);
        held.extend(sequences.flat_map(|sequence| sequence.cache.block_identities()));
        assert_eq!(decoder.kv_pool().bytes(), held.len() * decoder.kv_pool().block_bytes());
    }
}

/// The answer, if it has arrived.
fn outcome(answer: &mut Answer) -> Option<Result<StepOutcome>> {
    match answer {
        Answer::Text(receiver) => receiver.try_recv().unwrap().map(|answer| {
            answer
                .map(|completion| StepOutcome::Text(completion.text, completion.completion_tokens))
        }),
        Answer::Score(receiver) => receiver.try_recv().unwrap().map(|answer| {
            let bits = |score: &Score| score.logprobs.iter().map(|x| x.to_bits()).collect();
            answer.map(|scores| StepOutcome::Score(bits(&scores[0])))
        }),
    }
}

fn segment(number: u32, n: usize) -> Vec<u32> {
    (0..n as u32).map(|i| (i * (2 * number + 3) + i / 5) % 256).collect()
}

fn random_request(rng: &mut ChaCha8Rng, before: &[Asked]) -> Asked {
    let n_prompts = if rng.random_bool(0.2) { rng.random_range(2..4) } else { 1 };
    let prompts = (0..n_prompts)
        .map(|_| {
            // Half of the prompts share a prefix with an earlier one.
            let mut prompt = match before.len() {
                n if n > 0 && rng.random_bool(0.5) => {
                    let known = &before[rng.random_range(0..n)].prompts[0];
                    known[..rng.random_range(1..=known.len())].to_vec()
                }
                _ => segment(rng.random_range(0..3), rng.random_range(1..150)),
            };
            prompt.extend(segment(rng.random_range(0..6), rng.random_range(0..60)));
            prompt.truncate(300);
            prompt
        })
        .collect();
    let what = match rng.random_range(0..10) {
        0..6 => What::Write { seed: rng.random_range(0..5), most: rng.random_range(0..40) },
        6..9 => What::Score { text: segment(rng.random_range(0..4), rng.random_range(1..90)) },
        _ => What::Break,
    };
    Asked { prompts, what }
}

fn many_operations(world: &mut World, n_operations: usize, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut before: Vec<Asked> = Vec::new();
    let mut open: Vec<(Asked, Answer)> = Vec::new();
    let (mut n_answered, mut n_broken) = (0, 0);
    for operation in 0..n_operations {
        match rng.random_range(0..20) {
            0..3 if open.len() < 24 => {
                // Some requests are repeated exactly.
                let asked = match before.len() {
                    n if n > 0 && rng.random_bool(0.4) => before[rng.random_range(0..n)].clone(),
                    _ => random_request(&mut rng, &before),
                };
                let answer = world.start(&asked);
                if before.len() < 60 {
                    before.push(asked.clone());
                }
                open.push((asked, answer));
            }
            3 if !open.is_empty() && rng.random_bool(0.3) => {
                drop(open.swap_remove(rng.random_range(0..open.len())));
            }
            4 if rng.random_bool(0.2) => {
                world.scheduler.prefixes.evict();
            }
            _ => world.scheduler.step(),
        }
        world.check_bytes();
        if operation + 1 == n_operations {
            while !world.scheduler.is_idle() {
                world.scheduler.step();
                world.check_bytes();
            }
        }
        let mut still_open = Vec::new();
        for (asked, mut answer) in open {
            let Some(outcome) = outcome(&mut answer) else {
                still_open.push((asked, answer));
                continue;
            };
            match outcome {
                Ok(outcome) if asked.what != What::Break => {
                    assert_eq!(outcome, world.alone(&asked), "{asked:?}");
                    n_answered += 1;
                }
                // The text ended before the failure.
                Ok(_) => {}
                Err(error) => {
                    assert_eq!(asked.what, What::Break, "{error}");
                    n_broken += 1;
                }
            }
        }
        open = still_open;
    }
    assert!(open.is_empty());
    assert!(n_answered > n_operations / 40 && n_broken > 0, "{n_answered} {n_broken}");
    assert!(world.scheduler.running.is_empty());
    while world.scheduler.prefixes.evict() {
        world.check_bytes();
    }
    assert_eq!(
        (world.scheduler.prefixes.n_blocks(), world.scheduler.decoder.kv_pool().bytes()),
        (0, 0)
    );
}

#[test]
fn ten_thousand_operations_give_what_a_plain_loop_gives() {
    // The budget holds only a few requests, so that blocks are evicted constantly and requests
    // wait.
    let mut world = World::new(&Tiny::new("llama"), 2, 30, true);
    many_operations(&mut world, 10_000, 1);
    let stats = world.scheduler.counters.stats();
    assert!(stats.reused_tokens > stats.prompt_rows / 4, "{stats:?}");
}

#[test]
fn without_sharing_the_answers_are_the_same() {
    for (threads, share_prefixes) in [(1, true), (1, false), (2, false)] {
        let mut world = World::new(&Tiny::new("qwen3"), threads, 100, share_prefixes);
        many_operations(&mut world, 800, 2);
        let reused = world.scheduler.counters.stats().reused_tokens;
        assert_eq!(reused > 0, share_prefixes);
        assert!(share_prefixes || world.scheduler.prefixes.n_blocks() == 0);
    }
}

#[test]
fn drafts_change_no_answer() {
    for (family, threads, drafts) in
        [("llama", 2, Drafts::Always), ("qwen3", 1, Drafts::Always), ("llama", 1, Drafts::Lookup)]
    {
        let mut world = World::with_drafts(&Tiny::new(family), threads, 40, true, drafts);
        many_operations(&mut world, 3_000, 3);
        let stats = world.scheduler.counters.stats();
        let rejected = stats.drafted_tokens - stats.accepted_tokens;
        // The lengths of other drafts depend on the time that steps take.
        if drafts == Drafts::Always {
            assert!(stats.accepted_tokens > 50 && rejected > 0, "{stats:?}");
        }
    }
}
