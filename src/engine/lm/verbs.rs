//! The two requests that a language model answers: generating a text and scoring a given one.

use futures::channel::oneshot;
use std::sync::Arc;

use super::constraint::{Constrained, Grammars};
use super::draft::TokenDraft;
use super::generation::{Generation, GenerationLimits};
use super::handle::Lm;
use super::record::{Recorded, Verb};
use super::sampler::Sampler;
use super::saved_prefix::SavedPrefix;
use super::scoring::Scoring;
use super::sequence::{ObservedSequences, Sequence, SequenceGroup, Work};
use super::{
    Adapter, Completion, Constraint, Eos, Error, Observe, Prompt, Request, Result, Score,
    ScoreRequest, TextToScore,
};

impl Lm {
    /// Generates a text. With several prompts, the request combines their log-probabilities for
    /// every token, one token is sampled from the result, and it is appended to all prompts.
    /// Dropping the future cancels the request.
    ///
    /// # Errors
    /// There is no prompt, a prompt cannot be tokenized or is empty, prompts and `max_tokens` do
    /// not fit the context window or the KV budget, a sampling setting is out of its range, the
    /// constraint is invalid or cannot be satisfied, or the logits are no distribution.
    pub async fn generate(&self, request: Request) -> Result<Completion> {
        let adapter = request.adapter.clone();
        let prompts = self.tokenize_prompts(&request.prompts, adapter.as_deref())?;
        let Request { combine, mask, sampling, max_tokens, stop, eos, constraint, on_text, .. } =
            request;
        let (logprobs, on_token, reused) = (request.logprobs, request.on_token, request.reused);
        let observe = request.observe;
        let biased: Vec<u32> = sampling.logit_bias.keys().copied().collect();
        self.shared.prompts.known(&biased)?;
        let mut sampler =
            Sampler::new(&sampling, Arc::clone(&self.shared.token_kinds), self.shared.isa)?
                .after_prompt(prompts[0].len());
        if eos == Eos::Ignore {
            sampler = sampler.never(self.shared.prompts.tokenizer().ends().collect());
        }
        let constraint = match &constraint {
            Some(constraint) => Some(self.constrain(constraint, max_tokens, &stop, eos)?),
            None => None,
        };
        let own = self.sequences(&prompts, &[], max_tokens, adapter.as_ref())?;
        let (sequences, observed) = match observe {
            Some(observe) => self.with_observed(own, &prompts, observe, max_tokens),
            None => (own, None),
        };
        let prompt_tokens = prompts.iter().map(Vec::len).sum();
        let recording = self.shared.recorder.as_ref().map(|recorder| {
            let verb = if combine.is_some() { Verb::CompleteSteered } else { Verb::Complete };
            let recorded = Recorded::new(verb, self.without_soft(prompts));
            recorder.begin(Recorded {
                sampling: Some(sampling),
                stop: stop.clone(),
                max_tokens,
                ..recorded
            })
        });
        let (reply, answer) = oneshot::channel();
        let limits =
            GenerationLimits { constraint, mask, stop, max_tokens, on_text, logprobs, on_token };
        let generation = Generation::new(sampler, limits, prompt_tokens, reply);
        let work = Work::Generate(Box::new(generation));
        let group = SequenceGroup {
            sequences,
            combine: vec![combine],
            observed,
            work,
            draft: TokenDraft::default(),
            reused,
        };
        let answer = self.ask(group, answer).await;
        if let Some(recording) = recording {
            recording.end(answer.as_ref().ok().map(|answer| answer.completion_tokens))?;
        }
        answer
    }

    /// Scores a text: the log-probability of each of its tokens, once per combination of the
    /// prompts' distributions. Prompts and text are tokenized separately. An empty prompt is
    /// replaced by the model's BOS token, or by its EOS token if it has no BOS.
    ///
    /// # Errors
    /// There is no prompt or no combination, a text cannot be tokenized, prompts and text do not
    /// fit the context window or the KV budget, a prompt is empty and the model has neither token,
    /// or the logits are no distribution.
    pub async fn score(&self, request: ScoreRequest) -> Result<Vec<Score>> {
        let ScoreRequest { prompts, adapter, combine, continuation, top, reused, .. } = request;
        if combine.is_empty() {
            return Err(Error::NoCombination);
        }
        let prompts = self.tokenize_prompts(&prompts, adapter.as_deref())?;
        let continuation = match continuation {
            TextToScore::Text(text) => self.tokenize(&text)?,
            TextToScore::Tokens(ids) => self.shared.prompts.known(&ids)?,
        };
        // No token follows the last one, so its row is not needed.
        let run = continuation.split_last().map_or(&[][..], |(_, others)| others);
        let n_more = usize::from(!continuation.is_empty());
        let sequences = self.sequences(&prompts, run, n_more, adapter.as_ref())?;
        if continuation.is_empty() {
            return Ok(vec![Score::default(); combine.len()]);
        }
        let recording = self.shared.recorder.as_ref().map(|recorder| {
            let recorded = Recorded::new(Verb::Score, self.without_soft(prompts));
            recorder.begin(Recorded { continuation: continuation.clone(), ..recorded })
        });
        let (reply, answer) = oneshot::channel();
        let n_tokens = continuation.len();
        let scoring = Scoring::new(continuation, combine.len(), reply).with_top(top);
        let work = Work::Score(scoring);
        let group = SequenceGroup {
            sequences,
            combine,
            observed: None,
            work,
            draft: TokenDraft::default(),
            reused,
        };
        let answer = self.ask(group, answer).await;
        if let Some(recording) = recording {
            recording.end(answer.as_ref().ok().map(|_| n_tokens))?;
        }
        answer
    }

    /// Scores a text after a prompt with a score that does not depend on where the prompt ends. If the
    /// decoder [separates prompts](Lm::separates_prompts), the prompt is read by the slower operations of
    /// texts, and what [`Lm::score`] returns differs in its last bits; otherwise both are the same.
    ///
    /// # Errors
    /// As [`Lm::score`].
    pub async fn score_undivided(&self, prompt: Prompt, text: TextToScore) -> Result<Score> {
        if !self.separates_prompts() {
            let scores = self.score(ScoreRequest::new(prompt, text)).await?;
            return Ok(scores.into_iter().next().unwrap_or_default());
        }
        self.score_from_first_token(prompt, text).await
    }

    pub(super) async fn score_from_first_token(
        &self,
        prompt: Prompt,
        text: TextToScore,
    ) -> Result<Score> {
        let prompt = self.prompt_tokens(&prompt)?;
        let text = match text {
            TextToScore::Text(text) => self.tokenize(&text)?,
            TextToScore::Tokens(ids) => self.shared.prompts.known(&ids)?,
        };
        let (request, n_prompt) = ScoreRequest::from_first_token(&prompt, &text);
        let scores = self.score(request).await?;
        Ok(scores.into_iter().next().unwrap_or_default().after(n_prompt))
    }

    /// The keys and values of the beginning of a prompt, as far as the prefix cache holds them, in whole KV
    /// blocks of 64 tokens; `None` if it holds none, or if the decoder cannot give them (GPU).
    ///
    /// # Errors
    /// The prompt cannot be tokenized.
    pub async fn saved_prefix(&self, prompt: &Prompt) -> Result<Option<SavedPrefix>> {
        let mut tokens = self.prompt_tokens(prompt)?;
        let blocks = self.shared.engine.save_prefix(tokens.clone()).await.unwrap_or_default();
        tokens.truncate(blocks.len() * self.shared.block_size);
        let fingerprint = self.fingerprint().to_owned();
        Ok((!blocks.is_empty()).then_some(SavedPrefix { fingerprint, tokens, blocks }))
    }

    /// Adds a saved prefix to the prefix cache, as far as there is room. Returns whether it is one of this
    /// model; another is not added.
    pub fn load_prefix(&self, saved: SavedPrefix) -> bool {
        let SavedPrefix { fingerprint, tokens, blocks } = saved;
        let is_own = fingerprint == self.fingerprint()
            && blocks.iter().all(|block| block.len() == self.shared.block_bytes)
            && tokens.len() == blocks.len() * self.shared.block_size
            && self.shared.prompts.known(&tokens).is_ok();
        if is_own {
            self.shared.engine.load_prefix(tokens, blocks);
        }
        is_own
    }

    fn constrain(
        &self,
        constraint: &Constraint,
        max_tokens: usize,
        stop: &[String],
        eos: Eos,
    ) -> Result<Constrained> {
        if !stop.is_empty() {
            let what = "stop texts cannot be combined with a constraint; leave one of them out";
            return Err(Error::Constraint(what.to_owned()));
        }
        if eos == Eos::Ignore {
            let what = "a constrained text ends where it must; do not ignore the end tokens";
            return Err(Error::Constraint(what.to_owned()));
        }
        let grammars = self
            .shared
            .grammars
            .get_or_init(|| Grammars::new(self.shared.prompts.tokenizer()))
            .as_ref();
        let grammars = grammars.map_err(|what| Error::Constraint(what.clone()))?;
        grammars.begin(constraint, max_tokens)
    }

    /// One sequence per prompt. Each continues with the tokens `text` and up to `n_more` further
    /// ones.
    fn sequences(
        &self,
        prompts: &[Vec<u32>],
        text: &[u32],
        n_more: usize,
        adapter: Option<&Arc<Adapter>>,
    ) -> Result<Vec<Sequence>> {
        let n_text = text.len().saturating_add(n_more);
        let mut n_blocks: usize = 0;
        let mut sequences = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            self.check_window(prompt.len(), n_text)?;
            let max_len = prompt.len() + n_text;
            n_blocks += max_len.div_ceil(self.shared.block_size);
            let sequence = Sequence::new([prompt, text].concat(), prompt.len(), max_len);
            sequences.push(sequence.with_adapter(adapter.cloned()));
        }
        let needed = n_blocks.saturating_mul(self.shared.block_bytes);
        let budget = self.shared.kv_budget;
        if needed > budget {
            let tokens = sequences.iter().map(|sequence| sequence.max_len).sum();
            return Err(Error::Budget { tokens, needed, budget });
        }
        Ok(sequences)
    }

    /// The sequences of a request with those that are only observed; the request's own alone if the
    /// others do not fit.
    fn with_observed(
        &self,
        own: Vec<Sequence>,
        prompts: &[Vec<u32>],
        observe: Observe,
        max_tokens: usize,
    ) -> (Vec<Sequence>, Option<ObservedSequences>) {
        let Observe { prompts: others, receiver } = observe;
        let others = others.iter().map(|prompt| self.prompt_tokens(prompt));
        let all = others.collect::<Result<Vec<_>>>().and_then(|others| {
            let prompts = [prompts, &others].concat();
            let mut all = self.sequences(&prompts, &[], max_tokens, None)?;
            all.iter_mut().zip(&own).for_each(|(one, own)| one.adapter.clone_from(&own.adapter));
            Ok((others.len(), all))
        });
        match all {
            Ok((n, all)) => (all, Some(ObservedSequences { n, receiver })),
            Err(_) => (own, None),
        }
    }

    async fn ask<T>(
        &self,
        group: SequenceGroup,
        answer: oneshot::Receiver<Result<T>>,
    ) -> Result<T> {
        self.shared.engine.send(group)?;
        match answer.await {
            Ok(answer) => answer,
            Err(oneshot::Canceled) => {
                let what = format!("of {} ended without an answer", self.shared.path.display());
                Err(Error::Engine(what))
            }
        }
    }

    /// Token ids of the prompts, after those of the adapter's soft tokens.
    fn tokenize_prompts(
        &self,
        prompts: &[Prompt],
        adapter: Option<&Adapter>,
    ) -> Result<Vec<Vec<u32>>> {
        if prompts.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        let mut soft = Vec::new();
        if let Some(adapter) = adapter {
            adapter.check(self.shared.adapter_shape)?;
            let first = self.shared.n_vocab as u32;
            let n_soft = adapter.soft_tokens().len() as u32;
            soft.extend(first..first + n_soft);
        }
        let ids = |prompt| Ok([soft.clone(), self.prompt_tokens(prompt)?].concat());
        prompts.iter().map(ids).collect()
    }

    /// The prompts without soft tokens, which a recorded request does not keep.
    fn without_soft(&self, mut prompts: Vec<Vec<u32>>) -> Vec<Vec<u32>> {
        let n_vocab = self.shared.n_vocab;
        prompts.iter_mut().for_each(|ids| ids.retain(|id| (*id as usize) < n_vocab));
        prompts
    }

    fn check_window(&self, prompt: usize, max_tokens: usize) -> Result<()> {
        let context = self.shared.context;
        match prompt.checked_add(max_tokens) {
            Some(total) if total <= context => Ok(()),
            _ => Err(Error::TooLong { prompt, max_tokens, context }),
        }
    }
}
