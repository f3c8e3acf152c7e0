//! Cached calls to the language model: each answer is computed once and stored under the hash of
//! everything that determines it.

use std::cell::RefCell;
use std::ops::Add;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::prompts::FittedPrompts;
use super::watch::Watcher;
use super::{ContrastPrompts, Model, Result, Steered, Watch};
use crate::corpus::{Key, KeyBuilder, ReviewId, Store};
use crate::steering::Steering;
use crate::task::{self, Cut, Draft, LabelStrip, Stage, Task, fit, strip_label};
use idiolect_engine::lm::{
    Adapter, AdapterKey, Completion, Constraint, Eos, Finish, OnText, Request, ReusedTokens,
    Sampling,
};

/// Cache policy: whether stored answers are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CachePolicy {
    /// Stored answers are used and not computed again.
    #[default]
    Stored,
    /// Everything is computed again and replaces the stored answers.
    Nothing,
}

/// One generation request, made from one of the task's prompts.
pub struct LmCall<'a> {
    /// Stage of the task whose prompt is completed.
    pub stage: Stage,
    /// The fields of the prompt.
    pub draft: Draft,
    /// Reviews that the prompt shows or that its fields were made from.
    pub sources: &'a [ReviewId],
    /// Sampling settings. Their seed is the caller's; the sampler's own seed is derived from the
    /// hash of the call.
    pub sampling: Sampling,
    /// Maximum number of tokens of the answer; `None` takes the task's limit.
    pub max_tokens: Option<usize>,
    /// Form that the answer must have.
    pub constraint: Option<Constraint>,
    /// Contrast prompts and the rules of sampling; `None` samples after the prompt alone.
    pub steered: Option<&'a Steered>,
    /// Receives the text in pieces as it is generated, or all at once if it was stored.
    pub on_text: Option<OnText>,
}

/// Answer to a [`LmCall`].
#[derive(Debug, Clone, PartialEq)]
pub struct LmAnswer {
    /// The text, without the stage's label and surrounding white space.
    pub text: String,
    /// Reason why generation ended.
    pub finish: Finish,
    /// Parts that were left out of the prompt.
    pub cut: Vec<Cut>,
    /// Whether the answer was in the store.
    pub reused: bool,
}

/// Number of calls and tokens spent; a scored text counts as an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Usage {
    /// Answers that were computed.
    pub computed: usize,
    /// Answers that were taken from the store.
    pub reused: usize,
    /// Tokens of the prompts of computed answers.
    pub prompt_tokens: usize,
    /// Tokens of computed answers and of scored texts with their labels.
    pub completion_tokens: usize,
    /// Prompt and completion tokens that the stored answers cost when they were computed.
    pub saved_tokens: usize,
    /// Prompt tokens among `saved_tokens`.
    pub saved_prompt_tokens: usize,
}

impl Usage {
    /// Returns the prompt tokens and the completion tokens that an empty store would have cost.
    #[must_use]
    pub fn tokens_when_cold(&self) -> (usize, usize) {
        let prompts = self.prompt_tokens + self.saved_prompt_tokens;
        (prompts, self.completion_tokens + self.saved_tokens - self.saved_prompt_tokens)
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            computed: self.computed + other.computed,
            reused: self.reused + other.reused,
            prompt_tokens: self.prompt_tokens + other.prompt_tokens,
            completion_tokens: self.completion_tokens + other.completion_tokens,
            saved_tokens: self.saved_tokens + other.saved_tokens,
            saved_prompt_tokens: self.saved_prompt_tokens + other.saved_prompt_tokens,
        }
    }
}

/// Cached access to the language model for one task.
pub struct CachedLm<'a> {
    pub(super) store: &'a Store,
    pub(super) model: &'a dyn Model,
    pub(super) task: &'a Task,
    pub(super) reuse: CachePolicy,
    pub(super) affinity: u64,
    pub(super) adapter: Option<Arc<Adapter>>,
    usage: RefCell<Usage>,
}

impl<'a> CachedLm<'a> {
    /// Creates the calls with an empty usage.
    #[must_use]
    pub fn new(store: &'a Store, model: &'a dyn Model, task: &'a Task, reuse: CachePolicy) -> Self {
        let (affinity, adapter, usage) = (0, None, RefCell::default());
        Self { store, model, task, reuse, affinity, adapter, usage }
    }

    /// The calls for the texts of one user, whose prompts begin alike: a model on several servers makes
    /// them on the same one.
    #[must_use]
    pub fn of_user(self, user: &str) -> Self {
        let hash = Sha256::digest(user);
        let affinity = hash.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte));
        Self { affinity, ..self }
    }

    /// The calls to the model as an adapter changes it.
    #[must_use]
    pub fn with_adapter(self, adapter: Option<Arc<Adapter>>) -> Self {
        Self { adapter, ..self }
    }

    /// Calls and tokens spent so far.
    #[must_use]
    pub fn usage(&self) -> Usage {
        *self.usage.borrow()
    }

    /// The task whose prompts are used.
    #[must_use]
    pub fn task(&self) -> &'a Task {
        self.task
    }

    /// Returns the stored answer to a call, or computes the answer and stores it.
    ///
    /// The key is the hash of everything that determines the answer: the model, the stage, the
    /// fitted prompts, the sampling settings with the caller's seed, the token limit, the
    /// constraint and the steering. The sampler's seed is derived from the key, so an answer does
    /// not depend on earlier or concurrent calls. Of the task file only what reaches the prompts is
    /// part of the key: an edit invalidates only the answers whose prompts it changes.
    ///
    /// # Errors
    /// Error if a prompt cannot be made to fit, or if the store or the model fails.
    pub async fn answer(&self, call: LmCall<'_>) -> Result<LmAnswer> {
        self.answer_watched(call, None).await
    }

    /// Answers like [`CachedLm::answer`], with the same text, and tells the tokens of a text that is
    /// not in the store while it is generated.
    ///
    /// # Errors
    /// As [`CachedLm::answer`].
    pub async fn answer_watched(&self, call: LmCall<'_>, watch: Option<Watch>) -> Result<LmAnswer> {
        let LmCall { stage, draft, sources, sampling, max_tokens, constraint, steered, on_text } =
            call;
        let spec = self.task.stage(stage)?;
        let max_tokens = max_tokens.unwrap_or_else(|| spec.max_tokens(self.model.context()));
        let no_contrast = ContrastPrompts::default();
        let contrast = steered.map_or(&no_contrast, |steered| &steered.contrast);
        let steering = steered.map(|steered| &steered.steering);
        let fitted = self.fit_all(stage, &draft, contrast, steering, max_tokens)?;
        let determined_by = AnswerInputs {
            stage,
            prompts: &fitted,
            sampling: &sampling,
            max_tokens,
            constraint: constraint.as_ref(),
            steered,
            adapter: self.adapter.as_ref().map(|adapter| adapter.key()),
        };
        let key = determined_by.key(self.model.fingerprint());
        let cut = fitted.cut();
        let finished = |completion: Completion, reused| LmAnswer {
            text: strip_label(&completion.text, &spec.label),
            finish: completion.finish,
            cut,
            reused,
        };

        if let Some(completion) = self.stored::<Completion>(stage.name(), &key)? {
            self.count_reused(completion.prompt_tokens, completion.completion_tokens);
            let answer = finished(completion, true);
            if let Some(mut on_text) = on_text {
                on_text(&answer.text);
            }
            return Ok(answer);
        }

        let stripped = on_text.map(|on_text| StrippedStream::new(&spec.label, on_text));
        let watcher = watch.is_some().then(Watcher::default);
        let combine = match steered {
            Some(steered) => Some(steered.combine(self.model, watcher.as_ref())?),
            None => None,
        };
        let (observe, on_token) = match watch.zip(watcher) {
            Some((watch, watcher)) => {
                let compared = watch.compared.as_ref();
                let compared = compared
                    .map(|(stage, draft)| fit(self.task, *stage, draft, self.model, max_tokens))
                    .transpose()?;
                let observe = watcher.observe(compared.map(|fitted| fitted.prompt));
                (Some(observe), Some(watcher.on_token(watch.top, watch.on_token)))
            }
            None => (None, None),
        };
        let request = Request {
            prompts: fitted.prompts(),
            adapter: self.adapter.clone(),
            combine,
            mask: steered.and_then(Steered::mask),
            sampling: Sampling { seed: seed_of(&key), ..sampling },
            max_tokens,
            stop: fitted.stop(),
            eos: Eos::Stop,
            constraint,
            on_text: stripped.as_ref().map(StrippedStream::receiver),
            logprobs: on_token.is_some().then_some(0),
            on_token,
            observe,
            reused: ReusedTokens::default(),
            affinity: self.affinity,
        };
        let mut completion = self.model.generate(request).await?;
        // The stored answer does not depend on who was told of it.
        completion.tokens = Vec::new();
        if let Some(stripped) = stripped {
            stripped.finish();
        }
        let value = serde_json::to_string(&completion).unwrap_or_default();
        let sources = self.sources(&draft, sources);
        self.store.put_derived(stage.name(), &key, &value, &sources)?;
        self.count_computed(completion.prompt_tokens, completion.completion_tokens);
        Ok(finished(completion, false))
    }

    /// The reviews from which a value is derived: those of the caller, and those that the prompt shows as
    /// what texts answer.
    pub(super) fn sources(&self, draft: &Draft, of_caller: &[ReviewId]) -> Vec<ReviewId> {
        match self.task.shows_context() {
            true => draft.with_answered(of_caller),
            false => of_caller.to_vec(),
        }
    }

    /// Fits the user's prompts and the contrast prompts that a steering reads, each separately, so
    /// that `room` tokens and the adapter's soft tokens stay free beside each.
    pub(super) fn fit_all(
        &self,
        stage: Stage,
        draft: &Draft,
        contrast: &ContrastPrompts,
        steering: Option<&Steering>,
        room: usize,
    ) -> Result<FittedPrompts> {
        let needed = steering.map(Steering::needs).unwrap_or_default();
        let room = room + self.adapter.as_ref().map_or(0, |adapter| adapter.soft_tokens().len());
        let unconditional = needed.unconditional.then_some(&contrast.unconditional);
        let peers = contrast.peers.iter().filter(|_| needed.peers);
        let further = contrast.further.iter().take(needed.further);
        let drafts = std::iter::once(draft).chain(further).chain(unconditional).chain(peers);
        let fitted = drafts.map(|draft| fit(self.task, stage, draft, self.model, room));
        Ok(FittedPrompts::new(fitted.collect::<task::Result<_>>()?))
    }

    /// Returns the value stored under the key; `None` if the cache policy forbids its use.
    pub(super) fn stored<T: DeserializeOwned>(&self, kind: &str, key: &Key) -> Result<Option<T>> {
        if self.reuse == CachePolicy::Nothing {
            return Ok(None);
        }
        let value = self.store.derived(kind, key)?;
        // A value in an older format is computed again.
        Ok(value.and_then(|value| serde_json::from_str(&value).ok()))
    }

    pub(crate) fn count_reused(&self, prompt_tokens: usize, completion_tokens: usize) {
        let mut usage = self.usage.borrow_mut();
        usage.reused += 1;
        usage.saved_tokens += prompt_tokens + completion_tokens;
        usage.saved_prompt_tokens += prompt_tokens;
    }

    pub(crate) fn count_computed(&self, prompt_tokens: usize, completion_tokens: usize) {
        let mut usage = self.usage.borrow_mut();
        usage.computed += 1;
        usage.prompt_tokens += prompt_tokens;
        usage.completion_tokens += completion_tokens;
    }
}

/// Everything that determines an answer, besides the model.
struct AnswerInputs<'a> {
    stage: Stage,
    prompts: &'a FittedPrompts,
    sampling: &'a Sampling,
    max_tokens: usize,
    constraint: Option<&'a Constraint>,
    steered: Option<&'a Steered>,
    adapter: Option<AdapterKey>,
}

impl AnswerInputs<'_> {
    /// The key of the answer. It takes the fields apart by name, so that a new one cannot be left
    /// out. The order of the parts of a steered answer and of a plain one differ, and a part that
    /// is absent adds nothing, so that keys of earlier versions stay valid.
    fn key(&self, fingerprint: &str) -> Key {
        let Self { stage, prompts, sampling, max_tokens, constraint, steered, adapter } = *self;
        let key = Key::of(stage.name()).with("model", fingerprint);
        let sampled = |key: KeyBuilder| {
            key.with("sampling", serde_json::to_vec(sampling).unwrap_or_default())
                .with("max_tokens", max_tokens.to_le_bytes())
        };
        let key = match steered {
            None => sampled(prompts.add_to(key)),
            Some(steered) => prompts.add_to(steered.add_to(sampled(key))),
        };
        let key = match constraint {
            Some(constraint) => {
                key.with("constraint", serde_json::to_vec(constraint).unwrap_or_default())
            }
            None => key,
        };
        with_adapter(key, adapter).finish()
    }
}

/// Adds the key of an adapter, if there is one.
pub(super) fn with_adapter(key: KeyBuilder, adapter: Option<AdapterKey>) -> KeyBuilder {
    match adapter {
        Some(adapter) => key.with("adapter", adapter.to_string()),
        None => key,
    }
}

/// Streams a text to a receiver, without the label that it may begin with.
struct StrippedStream(Arc<Mutex<(LabelStrip, OnText)>>);

impl StrippedStream {
    fn new(label: &str, on_text: OnText) -> Self {
        Self(Arc::new(Mutex::new((LabelStrip::new(label), on_text))))
    }

    /// Returns the receiver of the pieces of the text.
    fn receiver(&self) -> OnText {
        let shown = Arc::clone(&self.0);
        Box::new(move |piece| {
            let (strip, on_text) = &mut *shown.lock().unwrap_or_else(PoisonError::into_inner);
            let text = strip.push(piece);
            if !text.is_empty() {
                on_text(&text);
            }
        })
    }

    /// Sends the rest of the text, which was held back while it could be part of the label.
    fn finish(self) {
        let (strip, on_text) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = strip.finish();
        if !rest.is_empty() {
            on_text(&rest);
        }
    }
}

/// The first 64 bits of a key.
fn seed_of(key: &Key) -> u64 {
    key.as_str().get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0)
}
