//! Tests of the last hidden states that combinations of logits read, against the output head.

#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use candle_core::quantized::GgmlDType;
use candle_core::{Device, Tensor};
use futures::executor::block_on;
use futures::future::join;

use super::tiny::Tiny;
use super::{
    CombineLogits, Distributions, Lm, LoadOptions, Prompt, Request, Sampling, ScoreRequest,
};
use crate::model::LmFiles;

/// Hidden states and log-probabilities by step and prompt.
type Seen = Arc<Mutex<Vec<(Vec<Vec<f32>>, Vec<Vec<f32>>)>>>;

/// Keeps what it sees and leaves the first distribution as it is.
struct Recorder {
    reads: bool,
    seen: Seen,
}

impl CombineLogits for Recorder {
    fn combine(&mut self, step: &Distributions<'_>, combined: &mut [f32]) {
        combined.copy_from_slice(step.logprobs[0]);
        let rows = |rows: &[&[f32]]| rows.iter().map(|row| row.to_vec()).collect();
        self.seen.lock().unwrap().push((rows(step.hidden), rows(step.logprobs)));
    }

    fn reads_hidden(&self) -> bool {
        self.reads
    }
}

fn recorder(reads: bool) -> (Option<Box<dyn CombineLogits>>, Seen) {
    let seen = Seen::default();
    (Some(Box::new(Recorder { reads, seen: Arc::clone(&seen) })), seen)
}

fn score(text: &str, combine: Option<Box<dyn CombineLogits>>) -> ScoreRequest {
    let prompts = ["A prompt.", "Another, longer prompt."];
    ScoreRequest {
        prompts: prompts.map(|prompt| Prompt::Text(prompt.to_owned())).to_vec(),
        combine: vec![combine],
        ..ScoreRequest::new(Prompt::Text(String::new()), text)
    }
}

fn log_softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total = logits.iter().map(|l| (l - largest).exp()).sum::<f32>().ln() + largest;
    logits.iter().map(|logit| logit - total).collect()
}

fn with_model(dtype: GgmlDType, architecture: &'static str, check: impl FnOnce(&Lm)) {
    let folder = tempfile::tempdir().unwrap();
    let gguf = folder.path().join("tiny.gguf");
    std::fs::write(&gguf, Tiny { dtype, ..Tiny::new(architecture) }.bytes()).unwrap();
    let files = LmFiles { name: "tiny".to_owned(), gguf, tokenizer: None, sha256: "0".repeat(64) };
    check(&Lm::load(&files, &LoadOptions { threads: 1, ..LoadOptions::default() }).unwrap());
}

#[test]
fn hidden_states_times_the_output_head_are_the_logits() {
    for architecture in ["llama", "qwen2"] {
        with_model(GgmlDType::F32, architecture, |lm| {
            let head = lm.output_head().unwrap();
            let (reading, seen) = recorder(true);
            let (blind, seen_blind) = recorder(false);
            // Beside a request that does not read them.
            let both = join(lm.score(score("text", reading)), lm.score(score("other text", blind)));
            let (one, other) = block_on(both);
            assert_eq!(one.unwrap()[0].tokens.len(), seen.lock().unwrap().len());
            assert_eq!(other.unwrap()[0].tokens.len(), seen_blind.lock().unwrap().len());
            for (hidden, logprobs) in seen.lock().unwrap().iter() {
                assert_eq!((hidden.len(), logprobs.len()), (2, 2));
                for (hidden, logprobs) in hidden.iter().zip(logprobs) {
                    let hidden = Tensor::new(hidden.as_slice(), &Device::Cpu).unwrap();
                    let logits = head.matmul(&hidden.unsqueeze(1).unwrap()).unwrap();
                    let logits: Vec<f32> = logits.squeeze(1).unwrap().to_vec1().unwrap();
                    // Rows beyond the vocabulary are padding.
                    let logits = &logits[..logprobs.len()];
                    for (a, b) in log_softmax(logits).iter().zip(logprobs) {
                        assert!((a - b).abs() < 1e-3, "{architecture}: {a} {b}");
                    }
                }
            }
        });
    }
}

#[test]
fn a_combination_that_reads_them_changes_no_text() {
    with_model(GgmlDType::Q8_0, "llama", |lm| {
        let write = |combine| {
            let sampling = Sampling { temperature: 1.0, seed: 3, ..Sampling::default() };
            let prompt = Prompt::Text("Write.".to_owned());
            let request = Request { sampling, combine, ..Request::new(prompt, 24) };
            block_on(lm.generate(request)).unwrap().text
        };
        let (reading, seen) = recorder(true);
        let (blind, seen_blind) = recorder(false);
        assert_eq!(write(reading), write(blind));
        assert!(seen.lock().unwrap().iter().all(|(hidden, _)| hidden.len() == 1));
        assert!(seen_blind.lock().unwrap().iter().all(|(hidden, _)| hidden.is_empty()));
    });
}
