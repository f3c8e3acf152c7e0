//! Time of LambdaG in milliseconds: a text against an author's history, with the paper's 100
//! reference models, on the sample corpus.
//!
//! `cargo bench --bench lambda_g [-- RUNS]`. One thread. Prints median, minimum and maximum over
//! runs. The author's history is of 5,000 words, the text of about 150.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::time::Instant;

use idiolect::evaluate::lambda_g::{LambdaG, Masking, SentenceIndex};

const REVIEWS: &str = include_str!("../data/sample/reviews.jsonl");
const HISTORY: usize = 5_000;

fn main() {
    let runs = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(15);
    let texts: Vec<String> = REVIEWS
        .lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            value["text"].as_str().unwrap().to_owned()
        })
        .collect();
    let masking = Masking::of(std::slice::from_ref(&texts));
    let sentences: Vec<Vec<String>> = texts.iter().flat_map(|t| masking.sentences(t)).collect();
    let start = Instant::now();
    let index = SentenceIndex::new(LambdaG::ORDER, &sentences);
    let indexing = start.elapsed().as_secs_f64() * 1e3;
    let is_word = |token: &&String| token.starts_with(char::is_alphabetic);
    let (mut known, mut n_words) = (Vec::new(), 0);
    for (number, sentence) in sentences.iter().enumerate() {
        if n_words < HISTORY {
            n_words += sentence.iter().filter(is_word).count();
            known.push(number);
        }
    }
    let reference: Vec<usize> = (known.len()..index.len()).collect();
    let last = &sentences[index.len() - 12..];
    let mut times = Vec::new();
    for _ in 0..=runs {
        let start = Instant::now();
        let text = index.questioned(last);
        LambdaG::default().scores(&index, &[text], &known, &reference).unwrap();
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    // The first run warms up.
    times.remove(0);
    times.sort_by(f64::total_cmp);
    println!(
        "history of {n_words} words in {} sentences, text of {} tokens; index of {} sentences: \
         {indexing:.1} ms",
        known.len(),
        index.questioned(last).n_tokens(),
        index.len()
    );
    println!(
        "ms a text: {:.1} ({:.1} to {:.1}) of {runs}",
        times[times.len() / 2],
        times[0],
        times[times.len() - 1]
    );
}
