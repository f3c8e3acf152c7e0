//! The small model gives the same bits alone and in a batch, with a cold and a warm cache, on one
//! and two threads, on every instruction set of this machine (prompts by matrix tiles have bits of
//! their own).

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use futures::executor::block_on;
use futures::future::join_all;
use idiolect::kernels::Isa;
use idiolect::kernels::attention::KvPrecision;
use idiolect::lm::{
    CombineLogits, Eos, Lm, LoadOptions, Prompt, Request, Sampling, Score, ScoreRequest,
    WeightedSum,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A request to the model.
#[derive(Debug, Clone)]
enum Asked {
    Write { prompt: String, seed: u64, most: usize },
    Score { prompt: String, text: String },
    Steered { prompts: [String; 2], seed: u64 },
}

/// Text and the bits of its log-probabilities.
type Answer = (String, Vec<u32>);

async fn ask(lm: &Lm, asked: Asked) -> Answer {
    let sampling = |seed| Sampling { temperature: 0.8, top_p: 0.95, seed, ..Sampling::default() };
    let bits = |score: Score| score.logprobs.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let scored = async |request| -> Vec<u32> {
        lm.score(request).await.unwrap().into_iter().flat_map(bits).collect()
    };
    match asked {
        Asked::Score { prompt, text } => {
            (String::new(), scored(ScoreRequest::new(Prompt::Text(prompt), text)).await)
        }
        Asked::Write { prompt, seed, most } => {
            let prompt = Prompt::Text(prompt);
            let request = Request {
                sampling: sampling(seed),
                eos: Eos::Ignore,
                ..Request::new(prompt.clone(), most)
            };
            let text = lm.generate(request).await.unwrap().text;
            // Also score the text; this uses the same prefix cache.
            let score = scored(ScoreRequest::new(prompt, text.clone())).await;
            (text, score)
        }
        Asked::Steered { prompts, seed } => {
            let prompts = prompts.map(Prompt::Text).to_vec();
            let rule = |own: f32| -> Option<Box<dyn CombineLogits>> {
                Some(Box::new(WeightedSum(vec![own, -0.4])))
            };
            let request = Request {
                combine: rule(1.4),
                sampling: sampling(seed),
                prompts: prompts.clone(),
                ..Request::new(Prompt::Text(String::new()), 12)
            };
            let text = lm.generate(request).await.unwrap().text;
            // Once more without a combination: after the first prompt alone.
            let combine = vec![rule(1.4), None, rule(0.9)];
            let first = prompts[0].clone();
            let request =
                ScoreRequest { prompts, combine, ..ScoreRequest::new(first, text.as_str()) };
            let scores = scored(request).await;
            (text, scores)
        }
    }
}

fn batch(rng: &mut ChaCha8Rng) -> Vec<Asked> {
    let reviews: Vec<String> = include_str!("../../data/sample/reviews.jsonl")
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].clone())
        .map(|text| text.as_str().unwrap().to_owned())
        .collect();
    let prompt = |rng: &mut ChaCha8Rng| -> String {
        // Few beginnings, so that many prompts share a prefix, and ends of any length.
        let start = rng.random_range(0..2);
        let end = &reviews[rng.random_range(0..reviews.len())];
        let most = rng.random_range(1..150);
        reviews[start].chars().take(350).chain(end.chars().take(most)).collect()
    };
    let text = |rng: &mut ChaCha8Rng| -> String {
        reviews[rng.random_range(0..reviews.len())].chars().take(200).collect()
    };
    (0..32)
        .map(|_| match rng.random_range(0..4) {
            0 => Asked::Score { prompt: prompt(rng), text: text(rng) },
            1 => {
                Asked::Steered { prompts: [prompt(rng), prompt(rng)], seed: rng.random_range(0..9) }
            }
            _ => Asked::Write {
                prompt: prompt(rng),
                seed: rng.random_range(0..9),
                most: rng.random_range(1..16),
            },
        })
        .collect()
}

#[test]
fn answers_are_the_same_bits_whatever_the_company() {
    same_bits(KvPrecision::F16);
}

#[test]
fn so_are_those_over_keys_and_values_of_bf16() {
    same_bits(KvPrecision::Bf16);
}

fn same_bits(kv_precision: KvPrecision) {
    let Some(files) = crate::common::test_lm() else { return };
    let load = |threads, isa, share_prefixes| {
        let options =
            LoadOptions { threads, isa, kv_precision, share_prefixes, ..LoadOptions::default() };
        Lm::load(&files, &options).unwrap()
    };
    let widest = Isa::detect();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let asked = batch(&mut rng);

    let plain = load(1, widest, false);
    let alone: Vec<Answer> =
        asked.iter().map(|asked| block_on(ask(&plain, asked.clone()))).collect();
    let together = |lm: &Lm| block_on(join_all(asked.iter().map(|asked| ask(lm, asked.clone()))));
    assert!(together(&plain) == alone, "one thread, nothing shared");
    let shared = load(2, widest, true);
    assert!(together(&shared) == alone, "two threads, a cold cache");
    let cold = shared.stats();
    assert!(together(&shared) == alone, "two threads, a warm cache");
    let warm = shared.stats();
    assert!(cold.reused_tokens > cold.prompt_rows / 4, "{cold:?}");
    assert!(warm.prompt_rows - cold.prompt_rows < cold.prompt_rows / 4, "{warm:?}");
    // Instruction sets that compute prompts in bf16 agree with each other, and so do all others.
    let exact = Isa::available().into_iter().find(|isa| !isa.has_prompt_products()).unwrap();
    let of_exact: Vec<Answer> = if widest.has_prompt_products() {
        let lm = load(1, exact, false);
        asked[..8].iter().map(|asked| block_on(ask(&lm, asked.clone()))).collect()
    } else {
        alone[..8].to_vec()
    };
    for isa in Isa::available() {
        // The portable kernels are slow.
        let n = if isa == Isa::PLAIN { 1 } else { 8 };
        let lm = load(2, isa, true);
        let some = asked.iter().take(n).map(|asked| ask(&lm, asked.clone()));
        let expected = if isa.has_prompt_products() { &alone } else { &of_exact };
        assert!(block_on(join_all(some)) == expected[..n], "{isa}");
    }
}
