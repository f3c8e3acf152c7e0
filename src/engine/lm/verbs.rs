//! The requests that a language model answers: completion and scoring.

use std::sync::Arc;

use futures::channel::oneshot;

use super::completing::{Completing, TextSink};
use super::constraint::{Constrained, Grammars};
use super::handle::Lm;
use super::record::{Recorded, Verb};
use super::sampler::Sampler;
use super::scoring::Scoring;
use super::sequence::{Sequence, SequenceGroup, Work};
use super::steering::{EndingRule, Rule};
use super::stop::StopStream;
use super::{
    Completion, Constraint, CopyGuard, EndToken, Error, Prompt, Request, Result, Sampling, Score,
    SteeredRequest,
};

/// A text to be generated after one or several prompts.
struct Writing {
    prompts: Vec<Prompt>,
    rules: Vec<Box<dyn Rule>>,
    sampling: Sampling,
    max_tokens: usize,
    stop: Vec<String>,
    end_token: EndToken,
    constraint: Option<Constraint>,
    guard: Option<CopyGuard>,
}

impl Lm {
    /// Completes a prompt. Dropping the future cancels the request.
    ///
    /// # Errors
    /// The prompt cannot be tokenized or is empty, prompt and `max_tokens` do not fit the context
    /// window or the KV budget, a sampling setting is out of its range, the constraint is invalid
    /// or cannot be satisfied, or the model's logits are no distribution.
    pub async fn complete(&self, request: Request) -> Result<Completion> {
        self.complete_streamed(request, |_| ()).await
    }

    /// Completes a prompt as [`Lm::complete`] does. Calls `on_text` on an engine thread with each
    /// new piece of text, valid UTF-8; the pieces concatenated are the completion's text.
    ///
    /// # Errors
    /// As [`Lm::complete`].
    pub async fn complete_streamed(
        &self,
        request: Request,
        on_text: impl FnMut(&str) + Send + 'static,
    ) -> Result<Completion> {
        let Request { prompt, sampling, max_tokens, stop, end_token, constraint } = request;
        let prompts = vec![prompt];
        let (rules, guard) = (Vec::new(), None);
        let writing =
            Writing { prompts, rules, sampling, max_tokens, stop, end_token, constraint, guard };
        self.write(writing, Box::new(on_text)).await
    }

    /// Completes several prompts with one text. For every token the rule combines the prompts'
    /// log-probabilities, one token is sampled from the result, and it is appended to all prompts.
    /// `prompt_tokens` of the completion is the total of all prompts.
    ///
    /// # Errors
    /// As [`Lm::complete`]; also if there are no prompts or the rule's scores are no distribution.
    pub async fn complete_steered(&self, request: SteeredRequest) -> Result<Completion> {
        self.complete_steered_streamed(request, |_| ()).await
    }

    /// Completes several prompts as [`Lm::complete_steered`] does, with `on_text` as in
    /// [`Lm::complete_streamed`].
    ///
    /// # Errors
    /// As [`Lm::complete_steered`].
    pub async fn complete_steered_streamed(
        &self,
        request: SteeredRequest,
        on_text: impl FnMut(&str) + Send + 'static,
    ) -> Result<Completion> {
        let SteeredRequest { prompts, sampling, max_tokens, stop, constraint, guard, .. } = request;
        let rule: Box<dyn Rule> = match request.ending {
            Some(ending) => {
                let ends = self.shared.tokenizer.ends().collect();
                Box::new(EndingRule { rule: request.rule, ending, ends })
            }
            None => request.rule,
        };
        let (rules, end_token) = (vec![rule], EndToken::Ends);
        let writing =
            Writing { prompts, rules, sampling, max_tokens, stop, end_token, constraint, guard };
        self.write(writing, Box::new(on_text)).await
    }

    /// Scores `continuation`: log-probability of each of its tokens after `prompt`. Prompt and
    /// continuation are tokenized separately. An empty prompt is replaced by the model's BOS token,
    /// or by its EOS token if it has no BOS.
    ///
    /// # Errors
    /// A text cannot be tokenized, prompt and continuation do not fit the context window or the KV
    /// budget, the prompt is empty and the model has neither token, or its logits are no
    /// distribution.
    pub async fn score(&self, prompt: Prompt, continuation: String) -> Result<Score> {
        let scores = self.look_up(&[prompt], Vec::new(), &continuation).await?;
        Ok(scores.into_iter().next().unwrap_or_default())
    }

    /// Scores `continuation` once per rule. Each rule combines the distributions after the prompts;
    /// the prompts are run once.
    ///
    /// # Errors
    /// As [`Lm::score`]; also if there are no prompts or no rules, or a rule's scores are no
    /// distribution.
    pub async fn score_steered(
        &self,
        prompts: &[Prompt],
        rules: Vec<Box<dyn Rule>>,
        continuation: String,
    ) -> Result<Vec<Score>> {
        if rules.is_empty() {
            return Err(Error::NoRules);
        }
        self.look_up(prompts, rules, &continuation).await
    }

    async fn write(&self, writing: Writing, on_text: TextSink) -> Result<Completion> {
        let Writing { prompts, rules, sampling, max_tokens, stop, end_token, constraint, guard } =
            writing;
        let prompts = self.begin_all(&prompts)?;
        let prompt_tokens = prompts.iter().map(Vec::len).sum();
        let mut sampler =
            Sampler::new(&sampling, Arc::clone(&self.shared.vocabulary), self.shared.isa)?;
        if end_token == EndToken::Masked {
            sampler = sampler.never(self.shared.tokenizer.ends().collect());
        }
        let constraint = match &constraint {
            Some(constraint) => Some(self.constrain(constraint, max_tokens, &stop, end_token)?),
            None => None,
        };
        let sequences = self.sequences(&prompts, &[], max_tokens)?;
        let recording = self.shared.recorder.as_ref().map(|recorder| {
            let verb = if rules.is_empty() { Verb::Complete } else { Verb::CompleteSteered };
            let asked = Recorded::new(verb, prompts);
            recorder.begin(Recorded {
                sampling: Some(sampling),
                stop: stop.clone(),
                max_tokens,
                ..asked
            })
        });
        let (reply, answer) = oneshot::channel();
        let stop = StopStream::new(&stop);
        let completing =
            Completing::new(sampler, constraint, stop, on_text, max_tokens, prompt_tokens, reply)
                .guarded(guard);
        let work = Work::Complete(Box::new(completing));
        let answer = self.ask(SequenceGroup { sequences, rules, work }, answer).await;
        if let Some(recording) = recording {
            recording.end(answer.as_ref().ok().map(|answer| answer.completion_tokens))?;
        }
        answer
    }

    async fn look_up(
        &self,
        prompts: &[Prompt],
        rules: Vec<Box<dyn Rule>>,
        continuation: &str,
    ) -> Result<Vec<Score>> {
        let prompts = self.begin_all(prompts)?;
        let continuation = self.tokenize(continuation)?;
        // No token follows the last one, so its row is not needed.
        let run = continuation.split_last().map_or(&[][..], |(_, others)| others);
        let sequences = self.sequences(&prompts, run, usize::from(!continuation.is_empty()))?;
        if continuation.is_empty() {
            return Ok(vec![Score::default(); rules.len().max(1)]);
        }
        let recording = self.shared.recorder.as_ref().map(|recorder| {
            let asked = Recorded::new(Verb::Score, prompts);
            recorder.begin(Recorded { continuation: continuation.clone(), ..asked })
        });
        let (reply, answer) = oneshot::channel();
        let n_tokens = continuation.len();
        let work = Work::Score(Scoring::new(continuation, rules.len().max(1), reply));
        let answer = self.ask(SequenceGroup { sequences, rules, work }, answer).await;
        if let Some(recording) = recording {
            recording.end(answer.as_ref().ok().map(|_| n_tokens))?;
        }
        answer
    }

    fn constrain(
        &self,
        constraint: &Constraint,
        max_tokens: usize,
        stop: &[String],
        end_token: EndToken,
    ) -> Result<Constrained> {
        if !stop.is_empty() {
            let what = "stop texts cannot be combined with a constraint; leave one of them out";
            return Err(Error::Constraint(what.to_owned()));
        }
        if end_token == EndToken::Masked {
            let what = "a constrained text ends where it must; do not mask the end tokens";
            return Err(Error::Constraint(what.to_owned()));
        }
        let grammars =
            self.shared.grammars.get_or_init(|| Grammars::new(&self.shared.tokenizer)).as_ref();
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
    ) -> Result<Vec<Sequence>> {
        let n_text = text.len().saturating_add(n_more);
        let mut n_blocks: usize = 0;
        let mut sequences = Vec::with_capacity(prompts.len());
        for prompt in prompts {
            self.check_window(prompt.len(), n_text)?;
            let max_len = prompt.len() + n_text;
            n_blocks += max_len.div_ceil(self.shared.block_size);
            sequences.push(Sequence::new([prompt, text].concat(), prompt.len(), max_len));
        }
        let needed = n_blocks.saturating_mul(self.shared.block_bytes);
        let budget = self.shared.kv_budget;
        if needed > budget {
            let tokens = sequences.iter().map(|sequence| sequence.max_len).sum();
            return Err(Error::Budget { tokens, needed, budget });
        }
        Ok(sequences)
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
                Err(Error::Engine(format!("of {} ended unasked", self.shared.path.display())))
            }
        }
    }

    fn begin_all(&self, prompts: &[Prompt]) -> Result<Vec<Vec<u32>>> {
        if prompts.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        prompts.iter().map(|prompt| self.begin(prompt)).collect()
    }

    fn check_window(&self, prompt: usize, max_tokens: usize) -> Result<()> {
        let context = self.shared.context;
        match prompt.checked_add(max_tokens) {
            Some(total) if total <= context => Ok(()),
            _ => Err(Error::TooLong { prompt, max_tokens, context }),
        }
    }
}
