//! Tests of the engine through its public handle, on tiny models with random weights.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use candle_core::quantized::GgmlDType;
use futures::executor::block_on;
use futures::future::join_all;

use super::*;
use crate::lm::decoder::{BatchRows, CpuDecoder, RowKind};
use crate::lm::tiny::Tiny;
use crate::lm::{
    Chat, CombineLogits, Completion, Distributions, Eos, Finish, Observe, ObserveLogits, Request,
    ReusedTokens, Role, Sampling, SavedPrefix, Score, ScoreRequest, TextToScore, WeightedSum,
};
use crate::model::gguf::Value;
use idiolect_kernels::Isa;
use idiolect_kernels::attention::KvPrecision;

fn try_load(tiny: &Tiny, options: &LoadOptions) -> Result<Lm> {
    let folder = tempfile::tempdir().unwrap();
    let gguf = folder.path().join("tiny.gguf");
    std::fs::write(&gguf, tiny.bytes()).unwrap();
    let sha256 = "0".repeat(64);
    let files = LmFiles { name: "tiny".to_owned(), gguf, tokenizer: None, sha256 };
    Lm::load(&files, options)
}

fn load(tiny: &Tiny) -> Lm {
    try_load(tiny, &LoadOptions::default()).unwrap()
}

fn lm() -> Lm {
    load(&Tiny::new("llama"))
}

fn request(prompt: &str, max_tokens: usize) -> Request {
    // Temperature 1, since a random model with greedy decoding soon repeats itself.
    let sampling = Sampling { temperature: 1.0, seed: 3, ..Sampling::default() };
    Request { sampling, ..Request::new(Prompt::Text(prompt.to_owned()), max_tokens) }
}

fn streamed(request: Request, on_text: impl FnMut(&str) + Send + 'static) -> Request {
    Request { on_text: Some(Box::new(on_text)), ..request }
}

async fn score(lm: &Lm, prompt: Prompt, text: impl Into<String>) -> Result<Score> {
    Ok(lm.score(ScoreRequest::new(prompt, text.into())).await?.remove(0))
}

fn long_text(n: usize) -> String {
    "A long text of many words. ".chars().cycle().take(n).collect()
}

fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn the_same_request_gives_the_same_text_whatever_else_runs() {
    let lm = lm();
    let prompts = ["One", "Two is a longer prompt", "Three", &long_text(300)];
    let alone: Vec<Completion> =
        prompts.iter().map(|prompt| block_on(lm.generate(request(prompt, 30))).unwrap()).collect();
    let together = block_on(join_all(prompts.iter().map(|p| lm.generate(request(p, 30)))));
    for (alone, together) in alone.iter().zip(together) {
        assert_eq!(*alone, together.unwrap());
    }
    assert_eq!(alone[3].prompt_tokens, 300);
    let other_seed = Request {
        sampling: Sampling { seed: 4, ..request("One", 30).sampling },
        ..request("One", 30)
    };
    assert_ne!(block_on(lm.generate(other_seed)).unwrap().text, alone[0].text);
}

#[test]
fn threads_and_a_cached_prefix_change_no_byte() {
    // Heads with norms, layers with a window, experts.
    ["qwen3", "gemma3", "qwen3moe"].into_iter().for_each(threads_and_a_prefix_change_no_byte);
}

fn threads_and_a_prefix_change_no_byte(architecture: &'static str) {
    let with = |threads| {
        let options = LoadOptions { threads, ..LoadOptions::default() };
        try_load(&Tiny::new(architecture), &options).unwrap()
    };
    let (one, two) = (with(1), with(2));
    let prompt = long_text(700);
    let fresh = block_on(score(&one, Prompt::Text(prompt.clone()), "and on".to_owned())).unwrap();
    let other = block_on(score(&two, Prompt::Text(prompt.clone()), "and on".to_owned())).unwrap();
    assert_eq!(fresh, other);
    // By now a prefix of the prompt is in the prefix cache for a request that continues
    // differently.
    let text = block_on(one.generate(request(&prompt, 20))).unwrap();
    assert_eq!(block_on(two.generate(request(&prompt, 20))).unwrap(), text);
    assert_eq!(block_on(with(2).generate(request(&prompt, 20))).unwrap(), text);
    let again = block_on(score(&one, Prompt::Text(prompt), "and on".to_owned())).unwrap();
    assert_eq!(again, fresh);
}

#[test]
fn streamed_pieces_are_the_text() {
    let lm = lm();
    let pieces = Arc::new(Mutex::new(String::new()));
    let seen = Arc::clone(&pieces);
    let completion = block_on(lm.generate(streamed(request("Say", 200), move |piece| {
        assert!(!piece.is_empty());
        seen.lock().unwrap().push_str(piece);
    })))
    .unwrap();
    assert_eq!(*pieces.lock().unwrap(), completion.text);
    assert!(completion.completion_tokens <= 200 && completion.prompt_tokens == 3);
}

#[test]
fn a_stop_text_ends_the_completion_and_is_not_part_of_it() {
    let lm = lm();
    let whole = block_on(lm.generate(request("Say", 60))).unwrap().text;
    let stop: String = whole.chars().skip(5).take(2).collect();
    let at = whole.find(&stop).unwrap();
    let stopped =
        block_on(lm.generate(Request { stop: vec![stop], ..request("Say", 60) })).unwrap();
    assert_eq!((stopped.text.as_str(), stopped.finish), (&whole[..at], Finish::Stop));
}

#[test]
fn nothing_to_write_is_an_empty_text() {
    let completion = block_on(lm().generate(request("Say", 0))).unwrap();
    assert_eq!((completion.text.as_str(), completion.completion_tokens), ("", 0));
    assert_eq!((completion.prompt_tokens, completion.finish), (3, Finish::Length));
}

#[test]
fn an_empty_prompt_begins_at_bos_or_is_refused() {
    let lm = lm();
    let completion = block_on(lm.generate(request("", 5))).unwrap();
    assert_eq!(completion.prompt_tokens, 1);
    assert_eq!(lm.count(&Prompt::Text(String::new())).unwrap(), 0);
    let abc = block_on(score(&lm, Prompt::Text(String::new()), "abc".to_owned())).unwrap();
    assert_eq!((abc.tokens.len(), abc.logprobs.len()), (3, 3));
    let nothing = block_on(score(&lm, Prompt::Text("abc".to_owned()), String::new())).unwrap();
    assert!(nothing.tokens.is_empty() && nothing.logprobs.is_empty());
    assert_eq!((nothing.bits_per_token(), nothing.perplexity()), (None, None));
}

#[test]
fn scores_are_log_softmax_of_the_decoders_logits() {
    let tiny = Tiny::new("qwen2");
    let lm = load(&tiny);
    let (prompt, continuation) = (long_text(250), " and what follows it".to_owned());
    let score = block_on(score(&lm, Prompt::Text(prompt.clone()), continuation.clone())).unwrap();
    assert_eq!(score.tokens, lm.tokenize(&continuation).unwrap());

    let options = DecoderOptions {
        device: candle_core::Device::Cpu,
        precision: WeightPrecision::Packed,
        context: None,
        threads: 1,
        isa: Isa::detect(),
        kv_precision: KvPrecision::default(),
    };
    let decoder = CpuDecoder::load(&tiny.gguf(), &options).unwrap();
    let mut tokens = lm.tokenize(&prompt).unwrap();
    let n_prompt = tokens.len();
    tokens.extend(&score.tokens);
    let mut cache = decoder.empty_cache();
    let (before, text) = tokens.split_at(n_prompt - 1);
    let mut run = |tokens, kind| {
        let rows = BatchRows { tokens, kind, cache: &mut cache, adapter: None };
        decoder.forward(&mut [rows]).unwrap()
    };
    run(before, RowKind::Prompt);
    let hidden = run(text, RowKind::Text);
    let rows: Vec<u32> = (0..text.len() as u32).collect();
    let mut logits = Vec::new();
    decoder.logits(&hidden, &rows, &mut logits).unwrap();
    let logits: Vec<&[f32]> = logits.chunks(decoder.config().n_vocab).collect();
    for (i, (id, logprob)) in score.tokens.iter().zip(&score.logprobs).enumerate() {
        let row = &logits[i][..crate::lm::tiny::N_TOKENS];
        let total: f64 = row.iter().map(|x| f64::from(*x).exp()).sum();
        let want = f64::from(row[*id as usize]) - total.ln();
        assert!((f64::from(*logprob) - want).abs() < 1e-4, "{logprob} {want}");
    }
    let bits = -score.total() / score.tokens.len() as f64 / 2f64.ln();
    assert!((score.bits_per_token().unwrap() - bits).abs() < 1e-9);
}

#[test]
fn an_undivided_score_is_the_same_wherever_the_prompt_ends() {
    for isa in Isa::available() {
        let lm = Tiny::new("llama").lm_on(isa);
        let ids = lm.tokenize(&long_text(120)).unwrap();
        let score = |n_prompt: usize| {
            let (prompt, text) = ids.split_at(n_prompt);
            (Prompt::Tokens(prompt.to_vec()), TextToScore::Tokens(text.to_vec()))
        };
        let whole = {
            let (prompt, text) = score(1);
            block_on(lm.score(ScoreRequest::new(prompt, text))).unwrap().remove(0)
        };
        for n_prompt in [1, 2, 65, ids.len() - 1, ids.len()] {
            let (prompt, text) = score(n_prompt);
            let part = block_on(lm.score_from_first_token(prompt, text)).unwrap();
            assert_eq!(part.tokens, ids[n_prompt..], "{}", isa.name());
            assert_eq!(part.logprobs, whole.logprobs[n_prompt - 1..], "{}", isa.name());
            let (prompt, text) = score(n_prompt);
            assert_eq!(block_on(lm.score_undivided(prompt, text)).unwrap(), part);
        }
        let empty = || (Prompt::Text(String::new()), TextToScore::Text("a kettle".to_owned()));
        let (prompt, text) = empty();
        let want = block_on(lm.score(ScoreRequest::new(prompt, text))).unwrap().remove(0);
        let (prompt, text) = empty();
        assert_eq!(block_on(lm.score_from_first_token(prompt, text)).unwrap(), want);
    }
}

#[test]
fn greedy_text_is_the_likeliest_at_every_token() {
    let lm = lm();
    let greedy = Request { sampling: Sampling::default(), ..request("Go", 1) };
    let text = block_on(lm.generate(greedy)).unwrap();
    // Each token of a tiny model is one byte; no other byte has a higher score.
    let best = block_on(score(&lm, Prompt::Text("Go".to_owned()), text.text.clone())).unwrap();
    if best.tokens.len() == 1 {
        for other in 'a'..='z' {
            let score =
                block_on(score(&lm, Prompt::Text("Go".to_owned()), other.to_string())).unwrap();
            assert!(score.logprobs[0] <= best.logprobs[0]);
        }
    }
}

#[test]
fn what_does_not_fit_the_window_is_refused_with_the_figures() {
    let options = LoadOptions { context: Some(20), ..LoadOptions::default() };
    let lm = try_load(&Tiny::new("llama"), &options).unwrap();
    assert_eq!(lm.context(), 20);
    let error = block_on(lm.generate(request("0123456789", 11))).unwrap_err();
    assert!(matches!(error, Error::TooLong { prompt: 10, max_tokens: 11, context: 20 }), "{error}");
    assert!(block_on(lm.generate(request("0123456789", usize::MAX))).is_err());
    assert!(block_on(lm.generate(request("0123456789", 10))).is_ok());
    assert!(block_on(score(&lm, Prompt::Text(long_text(15)), long_text(6))).is_err());
    assert!(block_on(score(&lm, Prompt::Text(long_text(15)), long_text(5))).is_ok());

    for context in [0, 1 << 20] {
        let options = LoadOptions { context: Some(context), ..LoadOptions::default() };
        let error = try_load(&Tiny::new("llama"), &options).err().unwrap();
        assert!(matches!(error, Error::Context { most: 1024, .. }), "{error}");
    }
}

#[test]
fn control_markers_are_data_unless_they_are_markup() {
    let lm = lm();
    let text = "<|im_start|>";
    assert_eq!(lm.count(&Prompt::Text(text.to_owned())).unwrap(), text.len());
    assert_eq!(lm.count(&Prompt::Raw(text.to_owned())).unwrap(), 1);
    assert_eq!(lm.count_text(text).unwrap(), text.len());
    let chat = Chat::default().with(Role::User, text);
    let plain = Chat::default().with(Role::User, "");
    assert_eq!(
        lm.count(&Prompt::Chat(chat)).unwrap(),
        lm.count(&Prompt::Chat(plain)).unwrap() + text.len()
    );
}

#[test]
fn damaged_weights_are_an_error_and_the_engine_goes_on() {
    for value in [f32::NAN, f32::INFINITY] {
        let tiny = Tiny {
            dtype: GgmlDType::F32,
            spoilt: Some(("blk.1.ffn_up.weight", value)),
            ..Tiny::new("llama")
        };
        let lm = load(&tiny);
        for _ in 0..2 {
            let error = block_on(lm.generate(request("Say", 5))).unwrap_err();
            assert!(matches!(error, Error::Logits { .. }), "{error}");
            let prompt = Prompt::Text("Say".to_owned());
            let error = block_on(score(&lm, prompt, "it".to_owned())).unwrap_err();
            assert!(matches!(error, Error::Logits { .. }), "{error}");
        }
    }
}

#[test]
fn a_callback_that_panics_fails_its_own_request_only() {
    let lm = lm();
    let (broken, fine) = block_on(futures::future::join(
        lm.generate(streamed(request("Say", 20), |_| panic!("of the caller's making"))),
        lm.generate(request("Say", 20)),
    ));
    let error = broken.unwrap_err().to_string();
    assert!(error.contains("of the caller's making"), "{error}");
    assert!(fine.is_ok() && block_on(lm.generate(request("Say", 20))).is_ok());
}

#[test]
fn a_dropped_future_frees_its_row() {
    let lm = lm();
    let held = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&held);
    let mut future =
        Box::pin(lm.generate(streamed(request("Go on", 1000), move |_| {
            seen.store(true, Ordering::SeqCst)
        })));
    let mut task = Context::from_waker(Waker::noop());
    assert!(matches!(future.as_mut().poll(&mut task), Poll::Pending));
    eventually("the request runs", || held.load(Ordering::SeqCst));
    drop(future);
    // The engine drops the callback, and with it the values it captured.
    eventually("the request is gone", || Arc::strong_count(&held) == 1);
    assert!(block_on(lm.generate(request("Say", 3))).is_ok());
}

#[test]
fn the_engine_ends_with_its_last_handle() {
    let lm = lm();
    let second = lm.clone();
    let tokenizer = Arc::downgrade(lm.shared.prompts.shared_tokenizer());
    drop(lm);
    assert!(block_on(second.generate(request("Say", 3))).is_ok());
    drop(second);
    eventually("the engine's thread ends", || tokenizer.strong_count() == 0);
}

#[test]
fn settings_out_of_range_are_refused() {
    let mut wrong = request("Say", 3);
    wrong.sampling.top_p = 2.0;
    assert!(matches!(block_on(lm().generate(wrong)), Err(Error::Sampling { .. })));
}

#[test]
fn the_fingerprint_is_of_weights_tokenizer_and_precision() {
    let other = Tiny {
        values: vec![("tokenizer.ggml.add_bos_token".to_owned(), Value::Bool(true))],
        ..Tiny::new("llama")
    };
    assert_eq!(lm().fingerprint(), lm().fingerprint());
    assert_ne!(lm().fingerprint(), load(&other).fingerprint());
    let bf16 = LoadOptions { kv_precision: KvPrecision::Bf16, ..LoadOptions::default() };
    let bf16 = try_load(&Tiny::new("llama"), &bf16).unwrap();
    assert_ne!(lm().fingerprint(), bf16.fingerprint());
    // This tokenizer adds a BOS token before the text.
    assert_eq!(load(&other).count(&Prompt::Text("ab".to_owned())).unwrap(), 3);
}

#[test]
fn masked_end_tokens_are_never_written() {
    // A random model chooses an end token early.
    let lm = lm();
    let asked = |seed, eos| {
        let sampling = Sampling { temperature: 1.0, seed, ..Sampling::default() };
        let prompts = vec![Prompt::Tokens(vec![65, 66, 67])];
        Request { prompts, sampling, eos, ..request("", 120) }
    };
    let finishes = |eos| {
        let asked = (0..12).map(|seed| lm.generate(asked(seed, eos)));
        let done = block_on(join_all(asked)).into_iter().map(Result::unwrap);
        done.map(|completion| (completion.finish, completion.completion_tokens)).collect::<Vec<_>>()
    };
    assert!(finishes(Eos::Stop).iter().any(|(finish, _)| *finish == Finish::End));
    assert!(finishes(Eos::Ignore).iter().all(|done| *done == (Finish::Length, 120)));
}

#[test]
fn token_ids_are_a_prompt_like_its_text() {
    let lm = lm();
    let text = Prompt::Text("Say".to_owned());
    let ids = Prompt::Tokens(lm.tokenize("Say").unwrap());
    let complete = |prompt| {
        block_on(lm.generate(Request { prompts: vec![prompt], ..request("", 12) })).unwrap()
    };
    assert_eq!(complete(text), complete(ids));
    let beyond = Prompt::Tokens(vec![0, 100_000]);
    assert!(matches!(lm.count(&beyond), Err(Error::Token { id: 100_000, .. })));
}

#[test]
fn requests_are_recorded_as_they_went_to_the_model() {
    use crate::lm::{Outcome, Recorded, Verb};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("requests.jsonl");
    let options = LoadOptions { record: Some(path.clone()), ..LoadOptions::default() };
    let lm = try_load(&Tiny::new("llama"), &options).unwrap();
    let both = join_all(["One", "Two"].map(|prompt| lm.generate(request(prompt, 5))));
    let written = block_on(both);
    block_on(score(&lm, Prompt::Text("Say".to_owned()), "and on".to_owned())).unwrap();
    block_on(lm.generate(request("too long", 1020))).unwrap_err();
    {
        let endless = Request { eos: Eos::Ignore, ..request("Dropped", 900) };
        let mut dropped = Box::pin(lm.generate(endless));
        let mut context = Context::from_waker(Waker::noop());
        assert!(matches!(dropped.as_mut().poll(&mut context), Poll::Pending));
    }
    let recorded = Recorded::read(&path).unwrap();
    assert_eq!(recorded.len(), 4, "a request that was refused never went to the model");
    let mut first_two: Vec<&Recorded> = recorded[..2].iter().collect();
    first_two.sort_by_key(|request| request.started);
    for (place, (request, answer)) in first_two.iter().zip(written).enumerate() {
        let answer = answer.unwrap();
        assert_eq!(request.verb, Verb::Complete);
        assert_eq!(request.completion_tokens, answer.completion_tokens);
        assert_eq!(request.prompts, [lm.tokenize(["One", "Two"][place]).unwrap()]);
        assert_eq!((request.max_tokens, request.outcome), (5, Outcome::Answered));
    }
    // The first may have ended before the second started.
    let mut events: Vec<u64> = first_two.iter().flat_map(|r| [r.started, r.ended]).collect();
    assert!(recorded[0].ended < recorded[1].ended && first_two[0].started == 0);
    events.sort_unstable();
    assert_eq!(events, [0, 1, 2, 3]);
    assert_eq!((recorded[2].verb, recorded[2].started, recorded[2].ended), (Verb::Score, 4, 5));
    assert_eq!(recorded[2].continuation, lm.tokenize("and on").unwrap());
    assert_eq!((recorded[3].outcome, recorded[3].started), (Outcome::Dropped, 6));
    std::fs::write(&path, "{}\n").unwrap();
    let error = Recorded::read(&path).unwrap_err().to_string();
    assert!(error.contains("requests.jsonl") && error.contains("line 1"), "{error}");
}

fn steered(prompts: &[&str], weights: &[f32], max_tokens: usize) -> Request {
    Request {
        prompts: prompts.iter().map(|prompt| Prompt::Text((*prompt).to_owned())).collect(),
        combine: Some(Box::new(WeightedSum(weights.to_vec()))),
        ..request("", max_tokens)
    }
}

#[test]
fn one_prompt_of_weight_one_is_written_as_without_a_rule() {
    let lm = lm();
    let (long, other) = (long_text(200), "Another one");
    let plain = block_on(lm.generate(request(&long, 40))).unwrap();
    let one = block_on(lm.generate(steered(&[&long], &[1.0], 40))).unwrap();
    assert_eq!(one, plain);
    // Prompts with weight 0 change nothing, also if they have other lengths.
    for prompts in [[&long, other], [&long, &long]] {
        let two = block_on(lm.generate(steered(&prompts, &[1.0, 0.0], 40))).unwrap();
        assert_eq!((&two.text, two.completion_tokens), (&plain.text, plain.completion_tokens));
        assert_eq!(two.prompt_tokens, prompts.iter().map(|prompt| prompt.len()).sum::<usize>());
    }
    let mixed = block_on(lm.generate(steered(&[&long, other], &[0.2, 0.8], 40))).unwrap();
    assert_ne!(mixed.text, plain.text);
    assert!(block_on(lm.generate(steered(&[], &[], 4))).is_err());
}

/// Distributions, `[n_steps][n_prompts][n_vocab]`.
type Shown = Arc<Mutex<Vec<Vec<Vec<f32>>>>>;

/// Keeps the distributions that it is shown.
struct Keeper(Shown);

impl ObserveLogits for Keeper {
    fn observe(&mut self, step: &Distributions<'_>) {
        assert_eq!(step.written.len(), self.0.lock().unwrap().len());
        let rows = step.logprobs.iter().map(|row| row.to_vec()).collect();
        self.0.lock().unwrap().push(rows);
    }
}

fn observing(request: Request, prompt: &str) -> (Request, Shown) {
    let seen = Shown::default();
    let receiver = Box::new(Keeper(Arc::clone(&seen)));
    let observe = Observe { prompts: vec![Prompt::Text(prompt.to_owned())], receiver };
    (Request { observe: Some(observe), logprobs: Some(0), ..request }, seen)
}

#[test]
fn observed_prompts_change_no_text_and_show_the_distributions_of_scores() {
    let lm = lm();
    let (long, other) = (long_text(200), "Another one");
    for is_steered in [false, true] {
        let asked = || match is_steered {
            true => steered(&[&long, "Say"], &[1.3, -0.3], 30),
            false => request(&long, 30),
        };
        let plain = block_on(lm.generate(asked())).unwrap();
        let (request, seen) = observing(asked(), other);
        let told = block_on(lm.generate(request)).unwrap();
        let ids: Vec<u32> = told.tokens.iter().map(|token| token.id).collect();
        assert_eq!(Completion { tokens: Vec::new(), ..told }, plain);
        let seen = seen.lock().unwrap();
        assert!(seen.iter().all(|rows| rows.len() == if is_steered { 3 } else { 2 }));
        for (prompt, of_prompt) in [(long.as_str(), 0), (other, seen[0].len() - 1)] {
            let prompt = Prompt::Text(prompt.to_owned());
            let score = ScoreRequest::new(prompt, TextToScore::Tokens(ids.clone()));
            let score = block_on(lm.score(score)).unwrap().remove(0);
            for ((rows, id), expected) in seen.iter().zip(&ids).zip(&score.logprobs) {
                assert!((rows[of_prompt][*id as usize] - expected).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn a_text_is_written_without_observed_prompts_that_do_not_fit() {
    let options = LoadOptions { kv_budget: 64 << 10, ..LoadOptions::default() };
    let lm = try_load(&Tiny::new("llama"), &options).unwrap();
    let plain = block_on(lm.generate(request(&long_text(120), 6))).unwrap();
    let (asked, seen) = observing(request(&long_text(120), 6), &long_text(200));
    assert_eq!(block_on(lm.generate(asked)).unwrap().text, plain.text);
    assert!(seen.lock().unwrap().is_empty());
}

#[test]
fn steered_scores_are_those_of_the_combined_distribution() {
    let lm = lm();
    let prompts = [long_text(130), "Say".to_owned()].map(Prompt::Text);
    let text = " and what follows".to_owned();
    let combined = |weights: &[&[f32]], continuation: &str| {
        let weighted = |weights: &&[f32]| -> Option<Box<dyn CombineLogits>> {
            (!weights.is_empty()).then(|| Box::new(WeightedSum(weights.to_vec())) as _)
        };
        let combine: Vec<_> = weights.iter().map(weighted).collect();
        let n = combine.len();
        let (prompts, continuation) = (prompts.to_vec(), continuation.to_owned());
        let scores = block_on(lm.score(ScoreRequest {
            prompts,
            combine,
            continuation: continuation.into(),
            ..ScoreRequest::new(Prompt::Tokens(Vec::new()), "")
        }))?;
        assert_eq!(scores.len(), n);
        Ok::<_, Error>(scores)
    };
    let of = |weights: &[f32]| combined(&[weights], &text).unwrap().remove(0);
    for (index, weights) in [[1.0, 0.0], [0.0, 1.0]].iter().enumerate() {
        let plain = block_on(score(&lm, prompts[index].clone(), text.clone())).unwrap();
        for (a, b) in of(weights).logprobs.iter().zip(&plain.logprobs) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
    // Several combinations in one request give the same scores as one request each. Without one,
    // the score has the bits of a score after the first prompt alone.
    let three = combined(&[&[2.0, -0.5], &[], &[0.3, 0.3]], &text).unwrap();
    let first = block_on(score(&lm, prompts[0].clone(), text.clone())).unwrap();
    assert_eq!(three, [of(&[2.0, -0.5]), first, of(&[0.3, 0.3])]);
    assert!(matches!(combined(&[], &text), Err(Error::NoCombination)));
    // The probabilities of all tokens sum to 1.
    let total: f64 = (0..crate::lm::tiny::N_TOKENS as u32)
        .filter_map(|id| {
            let text = String::from_utf8(lm.tokenizer().bytes(id).to_vec()).ok()?;
            (lm.tokenize(&text).ok()?.len() == 1).then_some(())?;
            Some(combined(&[&[2.0, -0.5]], &text).unwrap()[0].total().exp())
        })
        .sum();
    assert!(total > 0.2 && total < 1.0 + 1e-4, "{total}");
}

#[test]
fn what_does_not_fit_the_budget_is_refused_with_the_figures() {
    let options = LoadOptions { kv_budget: 64 << 10, ..LoadOptions::default() };
    let lm = try_load(&Tiny::new("llama"), &options).unwrap();
    // The budget is four KV blocks of 16 KiB.
    assert!(block_on(lm.generate(request(&long_text(250), 6))).is_ok());
    let error = block_on(lm.generate(request(&long_text(250), 7))).unwrap_err();
    assert!(
        matches!(error, Error::Budget { tokens: 257, needed: 81_920, budget: 65_536 }),
        "{error}"
    );
    let two = steered(&[&long_text(120), &long_text(150)], &[1.0, 1.0], 8);
    assert!(matches!(block_on(lm.generate(two)), Err(Error::Budget { .. })));
    // More concurrent requests than fit the budget wait for each other.
    let all = block_on(join_all((0..9).map(|_| lm.generate(request(&long_text(200), 20)))));
    assert!(all.into_iter().all(|answer| answer.is_ok()));
    assert!(lm.stats().kv_peak_bytes <= 64 << 10);
}

#[test]
fn generated_tokens_have_the_log_probabilities_of_a_score() {
    let lm = lm();
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    let asked = Request {
        logprobs: Some(3),
        on_token: Some(Box::new(move |token| seen.lock().unwrap().push(token.clone()))),
        // Penalties and temperature change the choice, not the log-probabilities.
        sampling: Sampling { presence_penalty: 0.5, ..request("", 1).sampling },
        eos: Eos::Ignore,
        ..request("Say", 25)
    };
    let completion = block_on(lm.generate(asked)).unwrap();
    assert_eq!(completion.tokens.len(), 25);
    assert_eq!(*told.lock().unwrap(), completion.tokens);
    let ids: Vec<u32> = completion.tokens.iter().map(|token| token.id).collect();
    assert_eq!(lm.tokenizer().decode(&ids).unwrap(), completion.text);
    let score = ScoreRequest {
        top: Some(3),
        ..ScoreRequest::new(Prompt::Text("Say".to_owned()), TextToScore::Tokens(ids.clone()))
    };
    let score = block_on(lm.score(score)).unwrap().remove(0);
    assert_eq!(score.tokens, ids);
    assert_eq!(score.details, completion.tokens);
    let bits = |x: f32| x.to_bits();
    let of_score: Vec<u32> = score.logprobs.iter().copied().map(bits).collect();
    let of_tokens: Vec<u32> = completion.tokens.iter().map(|t| bits(t.logprob)).collect();
    assert_eq!(of_score, of_tokens);
    assert!(completion.tokens.iter().any(|token| token.rank > 1 && token.top[0].0 != token.id));
    // Without the request there are none, and the answer is stored as before.
    let plain = block_on(lm.generate(request("Say", 5))).unwrap();
    let json = serde_json::to_value(&plain).unwrap();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["text", "prompt_tokens", "completion_tokens", "finish"]);
}

#[test]
fn a_bias_forces_and_forbids_tokens() {
    let lm = lm();
    let with = |bias: f32| {
        let sampling = Sampling { logit_bias: [(65, bias)].into(), ..request("", 1).sampling };
        Request { sampling, eos: Eos::Ignore, ..request("Say", 20) }
    };
    assert_eq!(block_on(lm.generate(with(100.0))).unwrap().text, "A".repeat(20));
    assert!(!block_on(lm.generate(with(-100.0))).unwrap().text.contains('A'));
    let sampling = Sampling { logit_bias: [(99_999, 1.0)].into(), ..Sampling::default() };
    let unknown = block_on(lm.generate(Request { sampling, ..request("Say", 20) }));
    assert!(matches!(unknown, Err(Error::Token { id: 99_999, .. })));
}

#[test]
fn reused_prompt_tokens_are_told() {
    let lm = lm();
    let prompt = long_text(300);
    let reused = || {
        let counter = ReusedTokens::default();
        let asked = Request { reused: counter.clone(), ..request(&prompt, 4) };
        block_on(lm.generate(asked)).unwrap();
        counter.get()
    };
    assert_eq!(reused(), 0);
    // The last token of the prompt is computed in any case.
    assert_eq!(reused(), 299);
    let counter = ReusedTokens::default();
    let score = ScoreRequest {
        reused: counter.clone(),
        ..ScoreRequest::new(Prompt::Text(prompt.clone()), "and on")
    };
    block_on(lm.score(score)).unwrap();
    assert_eq!(counter.get(), 299);
}

#[test]
fn a_saved_prefix_saves_another_process_the_prompt() {
    let first = lm();
    let prompt = long_text(300);
    let asked =
        |counter: &ReusedTokens| Request { reused: counter.clone(), ..request(&prompt, 20) };
    let saved_prefix = |lm: &Lm| block_on(lm.saved_prefix(&Prompt::Text(prompt.clone()))).unwrap();
    assert_eq!(saved_prefix(&first), None);
    let want = block_on(first.generate(asked(&ReusedTokens::default()))).unwrap();
    let saved = saved_prefix(&first).unwrap();
    assert_eq!(saved.tokens(), &first.tokenize(&prompt).unwrap()[..256]);
    let mut file = Vec::new();
    saved.write(&mut file).unwrap();
    assert!(file.len() - saved.n_bytes() < 200);

    let second = lm();
    let saved = SavedPrefix::read(&mut file.as_slice()).unwrap();
    assert!(second.load_prefix(saved.clone()));
    let counter = ReusedTokens::default();
    assert_eq!(block_on(second.generate(asked(&counter))).unwrap(), want);
    assert_eq!(counter.get(), 256);

    // Another model has other keys and values, and a small budget room for few.
    let other = SavedPrefix { fingerprint: "another".to_owned(), ..saved.clone() };
    assert!(!second.load_prefix(other));
    let unknown = SavedPrefix { tokens: vec![1 << 30; 256], ..saved.clone() };
    assert!(!second.load_prefix(unknown));
    let cut = SavedPrefix { blocks: saved.blocks[..3].to_vec(), ..saved.clone() };
    assert!(!second.load_prefix(cut));
    let small = LoadOptions { kv_budget: 2 * second.shared.block_bytes, ..LoadOptions::default() };
    let small = try_load(&Tiny::new("llama"), &small).unwrap();
    assert!(small.load_prefix(saved));
    assert_eq!(saved_prefix(&small).unwrap().tokens().len(), 128);
}

#[test]
fn a_dropped_request_frees_its_row_and_its_bytes() {
    let options = LoadOptions { share_prefixes: false, ..LoadOptions::default() };
    let lm = try_load(&Tiny::new("llama"), &options).unwrap();
    let asked = Request { eos: Eos::Ignore, ..request("Say", 900) };
    let mut answer = Box::pin(lm.generate(asked));
    let mut context = Context::from_waker(Waker::noop());
    assert!(answer.as_mut().poll(&mut context).is_pending());
    eventually("it runs", || lm.stats().running == 1 && lm.stats().kv_bytes > 0);
    drop(answer);
    eventually("it is gone", || lm.stats().running == 0 && lm.stats().kv_bytes == 0);
}

#[test]
fn prompts_that_begin_alike_compute_their_beginning_once() {
    ["llama", "gemma3"].into_iter().for_each(the_beginning_is_computed_once);
}

fn the_beginning_is_computed_once(architecture: &'static str) {
    let answers = |share_prefixes| {
        let options = LoadOptions { share_prefixes, ..LoadOptions::default() };
        let lm = try_load(&Tiny::new(architecture), &options).unwrap();
        let prompts = (0..8).map(|i| format!("{} number {i}", long_text(500)));
        let asked = prompts.map(|prompt| {
            let lm = lm.clone();
            async move { lm.generate(request(&prompt, 10)).await.unwrap() }
        });
        (block_on(join_all(asked)), lm.stats())
    };
    let (shared, with) = answers(true);
    let (apart, without) = answers(false);
    assert_eq!(shared, apart);
    assert_eq!(without.reused_tokens, 0);
    assert_eq!(with.reused_tokens + with.prompt_rows, without.prompt_rows);
    assert!(with.prompt_rows < 600, "{with:?}");
    assert!(with.kv_peak_bytes < without.kv_peak_bytes);
}
