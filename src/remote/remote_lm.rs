//! The handle of a language model on one or several servers.

use std::sync::{Arc, Mutex, PoisonError};

use futures::channel::oneshot;
use futures::future::LocalBoxFuture;
use idiolect_core::client::Model;
use idiolect_core::steering::{SparseBias, Vocabulary};
use idiolect_core::task::Window;
use idiolect_engine::lm::{
    self, CombineLogits, Completion, Prompt, PromptTokenizer, Request, Sampling, Score,
    ScoreRequest, TextToScore, TokenCounts,
};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::call_threads::CallThreads;
use crate::http::{Failure, HttpClient};
use crate::scores::WireScore;
use crate::texts::{ShownText, WireAnswer, WireText};
use crate::vocabulary_check::{CheckedServer, VocabularyFound};
use crate::{Error, RemoteAddress, RemoteOptions, Result, RetryPolicy, ServerKind};

/// Maximum number of tokens with a bias; vLLM takes no more on a GPU.
const MAX_BIASED: usize = 1024;

/// A language model on servers; cheap to clone.
#[derive(Clone)]
pub struct RemoteLm {
    shared: Arc<RemoteShared>,
}

/// Part of a user's choice of words that servers did not take.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LostShift {
    /// Number of texts with a bias.
    pub n_texts: usize,
    /// Greatest share of the shift of a text that was left out, 0 to 1.
    pub greatest_share: f64,
}

struct RemoteShared {
    calls: Calls,
    threads: CallThreads,
    prompts: PromptTokenizer,
    context: usize,
    fingerprint: String,
    lost: Mutex<LostShift>,
}

/// Everything that a call needs, on any thread.
struct Calls {
    http: HttpClient,
    /// Addresses without `/v1`.
    roots: Vec<String>,
    kind: ServerKind,
    model: String,
    retry: RetryPolicy,
}

impl RemoteLm {
    /// Asks each server for its program and its models, and compares the vocabularies.
    ///
    /// # Errors
    /// The vocabulary cannot be read, a server cannot be reached or does not serve the model, its model
    /// has another vocabulary, or the servers are different programs.
    pub fn connect(address: &RemoteAddress, options: &RemoteOptions) -> Result<Self> {
        let prompts = PromptTokenizer::open(&options.tokenizer).map_err(Error::Tokenizer)?;
        let http = HttpClient::new(options.key.as_deref(), options.timeout);
        let mut joined: Option<Connected> = None;
        for base in &address.bases {
            let model = joined.as_ref().map(|joined| &joined.model).or(address.model.as_ref());
            let found = connect_one(&http, base, model, options, &prompts)?;
            joined = Some(match joined.take() {
                None => found,
                Some(joined) => joined.with(found)?,
            });
        }
        let none = || Error::Address { got: String::new(), why: "it is empty" };
        let joined = joined.ok_or_else(none)?;
        let contexts = joined.context.into_iter().chain(prompts.context());
        let context = contexts.min().unwrap_or(usize::MAX);
        let context = context.saturating_sub(joined.kind.n_after_score());
        let mut builds = joined.builds;
        builds.sort_unstable();
        builds.dedup();
        let mut hash = Sha256::new();
        let tokenizer = prompts.fingerprint();
        let (model, stamp) = (joined.model.as_str(), options.stamp.as_str());
        for part in ["remote 1", joined.kind.name(), model, stamp, tokenizer.as_str()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        builds.iter().for_each(|build| hash.update(build));
        let fingerprint = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let calls = Calls {
            http,
            roots: joined.roots,
            kind: joined.kind,
            model: joined.model,
            retry: options.retry,
        };
        let shared = RemoteShared {
            calls,
            threads: CallThreads::new(options.parallel),
            prompts,
            context,
            fingerprint,
            lost: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Name of the model on the servers.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.calls.model
    }

    /// Program of the servers.
    #[must_use]
    pub fn kind(&self) -> ServerKind {
        self.shared.calls.kind
    }

    /// Part of the users' choice of words that the servers did not take so far.
    #[must_use]
    pub fn lost_shift(&self) -> LostShift {
        *self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, what: impl Into<String>) -> lm::Error {
        lm::Error::Remote { server: self.shared.calls.roots.join(", "), what: what.into() }
    }

    fn check_window(&self, prompt: usize, max_tokens: usize) -> lm::Result<()> {
        let context = self.shared.context;
        match prompt.checked_add(max_tokens) {
            Some(total) if total <= context => Ok(()),
            _ => Err(lm::Error::TooLong { prompt, max_tokens, context }),
        }
    }

    fn first_prompt(&self, prompts: &[Prompt]) -> lm::Result<Vec<u32>> {
        let prompt = prompts.first().ok_or(lm::Error::EmptyPrompt)?;
        self.shared.prompts.prompt_tokens(prompt)
    }

    fn text_tokens(&self, text: &TextToScore) -> lm::Result<Vec<u32>> {
        match text {
            TextToScore::Text(text) => self.shared.prompts.tokenize(text),
            TextToScore::Tokens(ids) => self.shared.prompts.known(ids),
        }
    }

    /// The request in the form of the wire.
    fn wire_text(&self, request: &Request) -> lm::Result<WireText> {
        request.sampling.check()?;
        let each_step = |what: &str, advice: &str| {
            Err(self.error(format!(
                "{what} needs the logits of each step, which no server gives; set {advice}"
            )))
        };
        if request.mask.is_some() {
            return each_step("the guard against copies", "idiolect.guard-words=0 by --set");
        }
        if request.logprobs.is_some() || request.observe.is_some() {
            return each_step("what is told of each token", "nothing that asks for it");
        }
        let scores = match request.combine.as_deref().map(|combine| combine.fixed_bias()) {
            None => Vec::new(),
            Some(Some(scores)) => scores,
            Some(None) => {
                return each_step(
                    "a contrast, a phrase cache, a power or a length prior",
                    "idiolect.contrast=none,idiolect.prompts=1,idiolect.phrases=0,idiolect.as-long=false by --set",
                );
            }
        };
        let bias = self.bias(&scores, &request.sampling)?;
        let prompt = self.first_prompt(&request.prompts)?;
        self.check_window(prompt.len(), request.max_tokens)?;
        Ok(WireText {
            prompt,
            sampling: request.sampling.clone(),
            bias,
            max_tokens: request.max_tokens,
            stop: request.stop.clone(),
            eos: request.eos,
            constraint: request.constraint.clone(),
        })
    }

    /// The bias of a steering, of which the largest entries are taken, and that of the settings.
    fn bias(&self, scores: &[f32], sampling: &Sampling) -> lm::Result<SparseBias> {
        let own = &sampling.logit_bias;
        if own.len() > MAX_BIASED {
            let n = own.len();
            return Err(self.error(format!("a bias of {n} tokens, expected at most {MAX_BIASED}")));
        }
        let mut bias = SparseBias::of_scores(scores, MAX_BIASED - own.len());
        if !bias.entries.is_empty() {
            let mut lost = self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner);
            lost.n_texts += 1;
            lost.greatest_share = lost.greatest_share.max(bias.share_lost);
        }
        for (id, x) in own {
            match bias.entries.iter_mut().find(|(other, _)| other == id) {
                Some((_, sum)) => {
                    *sum = (*sum + x).clamp(-SparseBias::MAX_BIAS, SparseBias::MAX_BIAS)
                }
                None => bias.entries.push((*id, *x)),
            }
        }
        Ok(bias)
    }

    /// Refuses an adapter: a server has the model as it is.
    fn without_adapter(&self, has_adapter: bool) -> lm::Result<()> {
        match has_adapter {
            true => Err(lm::Error::NoAdapters { model: self.shared.fingerprint.clone() }),
            false => Ok(()),
        }
    }

    async fn generate_text(&self, request: Request) -> lm::Result<Completion> {
        self.without_adapter(request.adapter.is_some())?;
        let wire = self.wire_text(&request)?;
        let ends: Vec<u32> = self.shared.prompts.tokenizer().ends().collect();
        let is_streamed = request.on_text.is_some();
        let calls = &self.shared.calls;
        let body = wire.body(calls.kind, &calls.model, &ends, is_streamed);
        let body = body.map_err(|what| self.error(what))?;
        let mut shown = request.on_text.map(ShownText::new);
        let affinity = affinity(request.affinity, &wire.prompt);
        let shared = Arc::clone(&self.shared);
        self.call(affinity, move |root, is_given_up| {
            let (calls, prompts) = (&shared.calls, &shared.prompts);
            let url = format!("{root}/v1/completions");
            let mut answer = WireAnswer::default();
            match &mut shown {
                None => drop(answer.add(&calls.http.post(&url, &body)?)?),
                Some(shown) => calls.http.post_stream(&url, &body, &mut |event| {
                    if is_given_up() {
                        return Err(Failure::Final("given up".to_owned()));
                    }
                    answer.add(&event)?;
                    shown.show(&answer.text)
                })?,
            }
            let count = |text: &str| prompts.tokenize(text).ok().map(|ids| ids.len());
            answer.finish(calls.kind, &wire, &count)
        })
        .await
    }

    async fn score_text(&self, request: ScoreRequest) -> lm::Result<Vec<Score>> {
        self.without_adapter(request.adapter.is_some())?;
        if request.combine.is_empty() {
            return Err(lm::Error::NoCombination);
        }
        let is_plain = |combine: &Option<Box<dyn CombineLogits>>| {
            let bias = combine.as_ref().map(|combine| combine.fixed_bias());
            bias.is_none_or(|bias| bias.is_some_and(|bias| bias.iter().all(|x| *x == 0.0)))
        };
        if !request.combine.iter().all(is_plain) {
            return Err(self.error(
                "a score under a steered distribution needs the logits of each step, which no server \
                 gives; score methods that do not steer",
            ));
        }
        let prompt = self.first_prompt(&request.prompts)?;
        let text = self.text_tokens(&request.continuation)?;
        self.check_window(prompt.len(), text.len())?;
        if text.is_empty() {
            return Ok(vec![Score::default(); request.combine.len()]);
        }
        let wire = WireScore { prompt, text, top: request.top };
        let calls = &self.shared.calls;
        let (path, body) =
            wire.request(calls.kind, &calls.model).map_err(|what| self.error(what))?;
        let affinity = affinity(request.affinity, &wire.prompt);
        let shared = Arc::clone(&self.shared);
        let score = self.call(affinity, move |root, _| {
            let calls = &shared.calls;
            let answer = calls.http.post(&format!("{root}{path}"), &body)?;
            wire.read(calls.kind, &answer).map_err(Failure::Final)
        });
        Ok(vec![score.await?; request.combine.len()])
    }

    /// Makes a call on a thread, with repetitions. A server that loses connections is left for the next
    /// one. Nothing is called any more if the future is dropped.
    async fn call<T: Send + 'static>(
        &self,
        affinity: u64,
        mut attempt: impl FnMut(&str, &dyn Fn() -> bool) -> Result<T, Failure> + Send + 'static,
    ) -> lm::Result<T> {
        let (reply, answer) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let call = move || {
            if reply.is_canceled() {
                return;
            }
            let calls = &shared.calls;
            let order = calls.order(affinity);
            let mut last = order[0];
            let is_given_up = || reply.is_canceled();
            let done = calls.retry.run(affinity, &is_given_up, &mut |n_lost| {
                last = order[n_lost % order.len()];
                attempt(last, &is_given_up)
            });
            let error = |what| lm::Error::Remote { server: last.to_owned(), what };
            // If the future was dropped, nobody waits for the answer.
            drop(reply.send(done.map_err(error)));
        };
        let started = self.shared.threads.run(Box::new(call));
        started.map_err(|error| self.error(format!("cannot start a thread: {error}")))?;
        answer.await.unwrap_or_else(|_| Err(self.error("a call ended without an answer")))
    }
}

impl Calls {
    /// The servers in the order in which they are tried for requests of the same affinity (rendezvous
    /// hashing): a further server takes requests from the others and moves none between them.
    fn order(&self, affinity: u64) -> Vec<&str> {
        let mut roots: Vec<([u8; 32], &str)> = self
            .roots
            .iter()
            .map(|root| {
                let hash = Sha256::new().chain_update(affinity.to_le_bytes()).chain_update(root);
                (hash.finalize().into(), root.as_str())
            })
            .collect();
        roots.sort_unstable();
        roots.into_iter().map(|(_, root)| root).collect()
    }
}

/// The affinity of a request, or the hash of its prompt if it has none.
fn affinity(given: u64, prompt: &[u32]) -> u64 {
    if given != 0 {
        return given;
    }
    let mut hash = Sha256::new();
    prompt.iter().for_each(|id| hash.update(id.to_le_bytes()));
    hash.finalize().iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// The servers that were found.
struct Connected {
    roots: Vec<String>,
    kind: ServerKind,
    model: String,
    context: Option<usize>,
    /// Builds that the servers tell (`system_fingerprint`).
    builds: Vec<String>,
}

impl Connected {
    fn with(mut self, other: Self) -> Result<Self> {
        if self.kind != other.kind {
            return Err(Error::MixedServers {
                one: self.roots.join(", "),
                kind: self.kind.name(),
                other: other.roots.join(", "),
                other_kind: other.kind.name(),
            });
        }
        self.roots.extend(other.roots);
        self.builds.extend(other.builds);
        self.context = self.context.into_iter().chain(other.context).min();
        Ok(self)
    }
}

/// Asks one server.
fn connect_one(
    http: &HttpClient,
    base: &str,
    model: Option<&String>,
    options: &RemoteOptions,
    prompts: &PromptTokenizer,
) -> Result<Connected> {
    let failed = |what| Error::Server { server: base.to_owned(), what };
    let tried = |attempt: &mut dyn FnMut() -> Result<Value, Failure>| {
        options.retry.run(0, &|| false, &mut |_| attempt()).map_err(failed)
    };
    let list = tried(&mut || http.get(&format!("{base}/models")))?;
    let models = list.get("data").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let id = |model: &Value| model.get("id").and_then(Value::as_str).map(str::to_owned);
    let found = match model {
        Some(name) => models.iter().find(|model| id(model).as_deref() == Some(name.as_str())),
        None if models.len() == 1 => models.first(),
        None => None,
    };
    let Some((found, name)) = found.and_then(|found| Some((found, id(found)?))) else {
        let names: Vec<String> = models.iter().filter_map(id).collect();
        let served = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let got = model.cloned().unwrap_or_default();
        return Err(Error::NoModel { server: base.to_owned(), got, served });
    };
    let kind = ServerKind::of_model(found);
    let root = base.strip_suffix("/v1").unwrap_or(base).to_owned();
    let server = CheckedServer { http, root: &root, kind, model: &name };
    let mut outcome = VocabularyFound::Same;
    tried(&mut || {
        outcome = server.compare(prompts)?;
        Ok(Value::Null)
    })?;
    if let VocabularyFound::Differs(what) = outcome {
        let tokenizer = options.tokenizer.display().to_string();
        return Err(Error::Vocabulary { server: base.to_owned(), model: name, tokenizer, what });
    }
    let mut context = kind.context(found);
    if kind == ServerKind::LlamaServer {
        let told = tried(&mut || http.get(&format!("{root}/props")))?;
        let n = told["default_generation_settings"]["n_ctx"].as_u64();
        context = n.and_then(|n| usize::try_from(n).ok()).or(context);
    }
    let first = prompts.tokenize("a").ok().and_then(|ids| ids.first().copied());
    let one_token = json!({
        "model": name,
        "prompt": [first.or(prompts.start_token()).unwrap_or(0)],
        "max_tokens": 1,
        "temperature": 0,
    });
    let answer = tried(&mut || http.post(&format!("{base}/completions"), &one_token))?;
    let build = answer.get("system_fingerprint").and_then(Value::as_str).map(str::to_owned);
    Ok(Connected {
        roots: vec![root],
        kind,
        model: name,
        context,
        builds: build.into_iter().collect(),
    })
}

impl Window for RemoteLm {
    fn context(&self) -> usize {
        self.shared.context
    }

    fn count(&self, prompt: &Prompt) -> lm::Result<usize> {
        self.shared.prompts.count(prompt)
    }

    fn count_text(&self, text: &str) -> lm::Result<usize> {
        Ok(self.shared.prompts.tokenize(text)?.len())
    }
}

impl Model for RemoteLm {
    fn fingerprint(&self) -> &str {
        &self.shared.fingerprint
    }

    fn generate(&self, request: Request) -> LocalBoxFuture<'_, lm::Result<Completion>> {
        Box::pin(self.generate_text(request))
    }

    fn score(&self, request: ScoreRequest) -> LocalBoxFuture<'_, lm::Result<Vec<Score>>> {
        Box::pin(self.score_text(request))
    }

    fn tells_distributions(&self) -> bool {
        false
    }

    fn score_undivided(
        &self,
        prompt: Prompt,
        text: TextToScore,
    ) -> LocalBoxFuture<'_, lm::Result<Score>> {
        Box::pin(async move {
            let mut request = ScoreRequest::new(prompt, text);
            let mut n_prompt = 0;
            // Only this server may read prompts and texts by different operations.
            if self.shared.calls.kind == ServerKind::Idiolect {
                let prompt = self.first_prompt(&request.prompts)?;
                let text = self.text_tokens(&request.continuation)?;
                (request, n_prompt) = ScoreRequest::from_first_token(&prompt, &text);
            }
            let scores = self.score_text(request).await?;
            Ok(scores.into_iter().next().unwrap_or_default().after(n_prompt))
        })
    }

    fn vocabulary(&self) -> lm::Result<&dyn Vocabulary> {
        Ok(self)
    }
}

impl Vocabulary for RemoteLm {
    fn n_tokens(&self) -> usize {
        self.shared.prompts.tokenizer().n_vocab()
    }

    fn end_tokens(&self) -> Vec<u32> {
        self.shared.prompts.tokenizer().ends().collect()
    }

    fn tokenize(&self, text: &str) -> lm::Result<Vec<u32>> {
        self.shared.prompts.tokenize(text)
    }

    fn token_bytes(&self, id: u32) -> Vec<u8> {
        self.shared.prompts.tokenizer().bytes(id).to_vec()
    }

    fn token_counts(&self, text: &str) -> lm::Result<TokenCounts> {
        self.shared.prompts.token_counts(text)
    }
}
