//! Scores of given texts: the request in the form of each server, and its answer.

use idiolect_engine::lm::{Score, TokenLogprob};
use serde_json::{Value, json};

use crate::ServerKind;

/// A request for the log-probabilities of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WireScore {
    /// Token ids of the prompt, at least one.
    pub(crate) prompt: Vec<u32>,
    /// Token ids of the text, at least one.
    pub(crate) text: Vec<u32>,
    /// Number of likeliest tokens; `None` asks for no ranks either.
    pub(crate) top: Option<usize>,
}

impl WireScore {
    /// The path below the server's root, and the body.
    ///
    /// # Errors
    /// The server gives no scores, or no likeliest tokens.
    pub(crate) fn request(
        &self,
        kind: ServerKind,
        model: &str,
    ) -> Result<(&'static str, Value), String> {
        let ids = [self.prompt.as_slice(), &self.text].concat();
        match kind {
            ServerKind::Idiolect => Ok((
                "/v1/completions",
                json!({
                    "model": model,
                    "prompt": ids,
                    "max_tokens": 0,
                    "prompt_logprobs": self.top.unwrap_or(0),
                    "prompt_logprobs_start": self.prompt.len(),
                }),
            )),
            ServerKind::Vllm => Ok((
                "/v1/completions",
                json!({
                    "model": model,
                    "prompt": ids,
                    "max_tokens": 1,
                    "temperature": 0,
                    "prompt_logprobs": self.top.unwrap_or(0),
                }),
            )),
            ServerKind::Sglang if self.top.is_some() => {
                Err("SGLang gives no ranks of tokens, which this measure needs".to_owned())
            }
            ServerKind::Sglang => Ok((
                "/generate",
                json!({
                    "input_ids": ids,
                    "sampling_params": { "max_new_tokens": 1, "temperature": 0 },
                    "return_logprob": true,
                    // The first token of the list has no score.
                    "logprob_start_len": self.prompt.len() - 1,
                }),
            )),
            ServerKind::LlamaServer | ServerKind::Other => Err(format!(
                "{} does not give the log-probabilities of a given text, so nothing can be scored: \
                 take vLLM, SGLang or idiolect serve, or leave the measures that score out",
                kind.name()
            )),
        }
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// It does not have a score for each token of the text.
    pub(crate) fn read(&self, kind: ServerKind, answer: &Value) -> Result<Score, String> {
        let list = match kind {
            ServerKind::Sglang => &answer["meta_info"]["input_token_logprobs"],
            _ => &answer["choices"][0]["prompt_logprobs"],
        };
        let list = list.as_array().ok_or("the answer has no scores of the prompt")?;
        let n = self.text.len();
        let whole = self.prompt.len() + n;
        let is_whole = kind == ServerKind::Sglang || list.len() == whole;
        if !is_whole || list.len() < n {
            let got = list.len();
            return Err(format!("the answer has scores of {got} tokens, expected {whole}"));
        }
        let mut score = Score { tokens: self.text.clone(), ..Score::default() };
        for (id, told) in self.text.iter().zip(&list[list.len() - n..]) {
            let own = match kind {
                ServerKind::Sglang => of_pair(*id, told),
                _ => self.of_object(*id, told),
            };
            let own = own.ok_or_else(|| format!("the answer has no score of token {id}"))?;
            score.logprobs.push(own.logprob);
            if self.top.is_some() {
                score.details.push(own);
            }
        }
        Ok(score)
    }

    /// A token's score in vLLM's form: `{ID: {logprob, rank}, ...}`.
    fn of_object(&self, id: u32, told: &Value) -> Option<TokenLogprob> {
        let entry = |id: u32, value: &Value| {
            let logprob = finite(value.get("logprob")?)?;
            let rank = usize::try_from(value.get("rank")?.as_u64()?).ok()?;
            Some((rank, id, logprob))
        };
        let all = told.as_object()?;
        let (rank, _, logprob) = entry(id, all.get(&id.to_string())?)?;
        let n_top = self.top.unwrap_or(0);
        let mut top: Vec<(usize, u32, f32)> = all
            .iter()
            .map(|(id, value)| entry(id.parse().ok()?, value))
            .collect::<Option<Vec<_>>>()?;
        // Ties share a rank.
        top.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.1.cmp(&b.1)));
        top.truncate(n_top);
        let top = top.into_iter().map(|(_, id, logprob)| (id, logprob)).collect();
        Some(TokenLogprob { id, logprob, rank, top })
    }
}

/// A token's score in SGLang's form: `[logprob, ID, text]`.
fn of_pair(id: u32, told: &Value) -> Option<TokenLogprob> {
    let is_same = told.get(1)?.as_u64() == Some(u64::from(id));
    let logprob = finite(told.get(0)?)?;
    is_same.then_some(TokenLogprob { id, logprob, rank: 0, top: Vec::new() })
}

/// A log-probability, with the precision that is computed with.
fn finite(value: &Value) -> Option<f32> {
    value.as_f64().map(|x| x as f32).filter(|x| x.is_finite() && *x <= 1e-3)
}
