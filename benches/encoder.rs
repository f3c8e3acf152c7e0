//! Encoder speed in sentences per second, in f32 and int8, on texts made from the sample corpus.
//!
//! `IDIOLECT_TEST_ENCODER=folder cargo bench --bench encoder [-- RUNS]`, two threads. Prints one
//! JSON object with median, minimum and maximum. With `-- serve` it answers each line of standard
//! input with a line of JSON instead, so that another program can measure in turns with it: `texts
//! FILE` writes the texts, one per line; `f32` or `int8` embeds all of them and returns the
//! seconds; `vectors f32 FILE` writes the vectors as little-endian f32.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::io::BufRead as _;
use std::path::Path;
use std::time::Instant;

use candle_core::Device;
use idiolect::encoder::{Embedding, Encoder, EncoderOptions, EncoderPrecision};
use idiolect::kernels::Isa;
use idiolect::model::EncoderFiles;
use serde_json::{Value, json};

const N_TEXTS: usize = 1000;
/// Number of words of the shortest and of the longest text; about 60 to 170 tokens.
const WORDS: [usize; 2] = [45, 130];

fn main() {
    let Ok(folder) = std::env::var("IDIOLECT_TEST_ENCODER") else {
        println!("skipped: IDIOLECT_TEST_ENCODER names no folder");
        return;
    };
    let isa = std::env::var("IDIOLECT_TIER").unwrap_or_else(|_| "auto".to_owned());
    let bench = Bench::new(Path::new(&folder), Isa::parse(&isa).unwrap());
    if std::env::args().any(|argument| argument == "serve") {
        for line in std::io::stdin().lock().lines() {
            println!("{}", bench.answer(&line.unwrap()));
        }
        return;
    }
    let runs = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(5);
    println!("{}", bench.in_turns(runs));
}

struct Bench {
    encoders: [Encoder; 2],
    texts: Vec<String>,
    isa: Isa,
}

impl Bench {
    fn new(folder: &Path, isa: Isa) -> Self {
        let files = EncoderFiles {
            name: "under-test".to_owned(),
            dir: folder.to_owned(),
            pooling: None,
            max_tokens: None,
            prompt: None,
            sha256: String::new(),
        };
        let encoders = [EncoderPrecision::F32, EncoderPrecision::Int8].map(|precision| {
            let options = EncoderOptions { device: Device::Cpu, precision, threads: 2, isa };
            Encoder::load_with(&files, &options).unwrap()
        });
        Self { encoders, texts: texts(), isa }
    }

    fn encoder(&self, name: &str) -> &Encoder {
        self.encoders.iter().find(|encoder| encoder.precision().name() == name).unwrap()
    }

    fn embed(&self, name: &str) -> (f64, Vec<Embedding>) {
        let start = Instant::now();
        let embeddings = self.encoder(name).encode(&self.texts).unwrap();
        (start.elapsed().as_secs_f64(), embeddings)
    }

    fn answer(&self, line: &str) -> Value {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["texts", file] => {
                std::fs::write(file, self.texts.join("\n")).unwrap();
                json!({ "n_texts": self.texts.len() })
            }
            ["vectors", name, file] => {
                let (_, embeddings) = self.embed(name);
                let bytes: Vec<u8> = embeddings
                    .iter()
                    .flat_map(|e| e.vector.iter().flat_map(|x| x.to_le_bytes()))
                    .collect();
                std::fs::write(file, bytes).unwrap();
                let n_tokens: usize = embeddings.iter().map(|e| e.n_tokens).sum();
                json!({ "n_texts": embeddings.len(), "n_tokens": n_tokens })
            }
            [name @ ("f32" | "int8")] => {
                json!({ "precision": name, "seconds": self.embed(name).0 })
            }
            _ => json!({ "error": format!("`{line}` is no command") }),
        }
    }

    fn in_turns(&self, runs: usize) -> Value {
        let mut rates = [Vec::new(), Vec::new()];
        let mut n_tokens = 0;
        for run in 0..=runs {
            for (which, encoder) in self.encoders.iter().enumerate() {
                let (seconds, embeddings) = self.embed(encoder.precision().name());
                n_tokens = embeddings.iter().map(|e| e.n_tokens).sum();
                // The first run warms up.
                if run > 0 {
                    rates[which].push(self.texts.len() as f64 / seconds);
                }
            }
        }
        let results: Vec<Value> = self
            .encoders
            .iter()
            .zip(&mut rates)
            .map(|(encoder, rates)| {
                rates.sort_by(f64::total_cmp);
                json!({
                    "name": "embed",
                    "precision": encoder.precision().name(),
                    "median": rates[rates.len() / 2],
                    "min": rates[0],
                    "max": rates[rates.len() - 1],
                    "unit": "sentences/s",
                })
            })
            .collect();
        let isa = self.isa.name();
        json!({ "n_texts": self.texts.len(), "n_tokens": n_tokens, "tier": isa, "results": results })
    }
}

/// Returns excerpts of the sample corpus, of evenly spread lengths in shuffled order.
fn texts() -> Vec<String> {
    let reviews = include_str!("../data/sample/reviews.jsonl");
    let words: Vec<String> = reviews
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|review| Some(review.get("text")?.as_str()?.to_owned()))
        .flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    (0..N_TEXTS)
        .map(|i| {
            // 379 and 7919 share no factor with 1000.
            let spread = (i * 379) % N_TEXTS;
            let length = WORDS[0] + spread * (WORDS[1] - WORDS[0] + 1) / N_TEXTS;
            let start = (i * 7919) % (words.len() - WORDS[1]);
            words[start..start + length].join(" ")
        })
        .collect()
}
