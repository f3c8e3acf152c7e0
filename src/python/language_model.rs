//! The language model alone: completes, scores and tokenizes.

use idiolect_engine::lm::{
    Chat, Completion, Constraint, Eos, Lm, Prompt, Request, Role, Sampling, Score,
};
use pyo3::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::failure::{CallFailure, Result};
use crate::parts::{EngineParts, PartOptions};
use crate::progress::CallProgress;
use crate::settings::arguments;
use crate::streams::{JsonLine, JsonStream, ReaderFlag};

/// Number of tokens of a completion unless the caller decides otherwise, as of the program.
const USUAL_LENGTH: usize = 256;

/// A loaded language model.
#[pyclass(frozen, module = "idiolect._idiolect")]
pub(crate) struct LmHandle {
    lm: Lm,
}

/// A completion that is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct CompletionArgs {
    prompt: String,
    chat: bool,
    system: Option<String>,
    max_tokens: Option<usize>,
    stop: Vec<String>,
    json_schema: Option<Value>,
    regex: Option<String>,
    /// Number of likeliest tokens told beside each token; `None` tells no tokens.
    logprobs: Option<usize>,
    sampling: Sampling,
}

/// The object of `idiolect lm score --json`, and what follows from it.
#[derive(Serialize)]
struct ScoreTold {
    score: Score,
    bits_per_token: Option<f64>,
    perplexity: Option<f64>,
    log_probability: f64,
}

impl LmHandle {
    pub(crate) fn of(lm: Lm) -> Self {
        Self { lm }
    }
}

impl CompletionArgs {
    fn request(self, lm: &Lm) -> Result<Request> {
        self.sampling.check()?;
        let prompt = match (self.chat, self.system) {
            (false, None) => Prompt::Text(self.prompt),
            (false, Some(_)) => return Err(CallFailure::argument("system needs chat=True")),
            (true, system) => {
                let chat = Chat::default();
                let chat = match system {
                    Some(system) => chat.with(Role::System, system),
                    None => chat,
                };
                Prompt::Chat(chat.with(Role::User, self.prompt))
            }
        };
        let constraint = match (self.json_schema, self.regex) {
            (Some(_), Some(_)) => {
                return Err(CallFailure::argument("give json_schema or regex, not both"));
            }
            (Some(schema), None) => Some(Constraint::JsonSchema(schema)),
            (None, regex) => regex.map(Constraint::Regex),
        };
        let max_tokens = match self.max_tokens {
            Some(n) => n,
            // If the prompt alone fills the window, the request fails with an error that gives the sizes.
            None => lm.context().saturating_sub(lm.count(&prompt)?.max(1)).clamp(1, USUAL_LENGTH),
        };
        Ok(Request {
            sampling: self.sampling,
            stop: self.stop,
            eos: Eos::Stop,
            constraint,
            logprobs: self.logprobs,
            ..Request::new(prompt, max_tokens)
        })
    }
}

#[pymethods]
impl LmHandle {
    #[new]
    #[pyo3(signature = (options, progress=None))]
    fn new(py: Python<'_>, options: &str, progress: Option<Py<PyAny>>) -> PyResult<Self> {
        let options: PartOptions = arguments(options)?;
        let lm =
            CallProgress::run(py, progress, |progress| EngineParts::new(options)?.lm(progress))?;
        Ok(Self { lm })
    }

    #[getter]
    fn name(&self) -> &str {
        self.lm.name()
    }

    #[getter]
    fn fingerprint(&self) -> &str {
        self.lm.fingerprint()
    }

    #[getter]
    fn context(&self) -> usize {
        self.lm.context()
    }

    #[getter]
    fn n_weights(&self) -> u64 {
        self.lm.n_weights()
    }

    #[getter]
    fn is_small(&self) -> bool {
        self.lm.is_small()
    }

    #[pyo3(signature = (args, progress=None))]
    fn complete(
        &self,
        py: Python<'_>,
        args: &str,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        let args: CompletionArgs = arguments(args)?;
        CallProgress::run(py, progress, |progress| {
            let request = args.request(&self.lm)?;
            let completion: Completion = progress.block_on(self.lm.generate(request))?;
            Ok(serde_json::to_string(&completion)?)
        })
    }

    fn stream(&self, args: &str) -> PyResult<JsonStream> {
        let args: CompletionArgs = arguments(args)?;
        let lm = self.lm.clone();
        let work = move |stop: &ReaderFlag, sink: &std::sync::mpsc::Sender<JsonLine>| {
            let pieces = sink.clone();
            let on_text = Box::new(move |piece: &str| {
                drop(pieces.send(Ok(json!({ "piece": piece }).to_string())));
            });
            let request = Request { on_text: Some(on_text), ..args.request(&lm)? };
            let done = idiolect_engine::progress::block_on(stop, lm.generate(request));
            let completion = done.ok_or(CallFailure::Stopped)??;
            let completion = serde_json::to_string(&completion)?;
            drop(sink.send(Ok(format!("{{\"done\":{completion}}}"))));
            Ok(())
        };
        Ok(JsonStream::of_pieces(work)?)
    }

    #[pyo3(signature = (prompt, text, progress=None))]
    fn score(
        &self,
        py: Python<'_>,
        prompt: String,
        text: String,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        CallProgress::run(py, progress, |progress| {
            let scored = self.lm.score_undivided(Prompt::Text(prompt), text.into());
            let score: Score = progress.block_on(scored)?;
            Ok(serde_json::to_string(&ScoreTold {
                bits_per_token: score.bits_per_token(),
                perplexity: score.perplexity(),
                log_probability: score.total(),
                score,
            })?)
        })
    }

    fn tokenize(&self, py: Python<'_>, text: String) -> PyResult<Vec<u32>> {
        CallProgress::run(py, None, |_| Ok(self.lm.tokenize(&text)?))
    }
}
