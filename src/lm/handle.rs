//! The handle of a running language model.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use futures::channel::oneshot;
use sha2::{Digest, Sha256};

use super::constraint::{Constrained, Grammars};
use super::decoder::{self, Decoder, Precision};
use super::engine::Engine;
use super::record::{Recorded, Recorder, Verb};
use super::sampler::{Sampler, Vocabulary};
use super::sequence::{Completing, Job, Scoring, Ticket};
use super::stop::StopStream;
use super::{Completion, Constraint, EndToken, Error, Prompt, Request, Result, Score};
use crate::kernels::Tier;
use crate::model::LmFiles;
use crate::model::chat::ChatTemplate;
use crate::model::gguf::Gguf;
use crate::model::tokenizer::{Piece, Tokenizer};

/// Handle of a running language model; cheap to clone, usable from many threads. The engine ends
/// with the last handle.
#[derive(Clone)]
pub struct Lm {
    shared: Arc<Shared>,
}

/// How a model is loaded.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Where it runs.
    pub device: candle_core::Device,
    /// Worker threads on the CPU; 0 means one a core.
    pub threads: usize,
    /// Longest sequence, prompt and completion together; `None` takes the model's own.
    pub context: Option<usize>,
    /// Instruction set of the kernels on the CPU.
    pub tier: Tier,
    /// A file that every request is written to, token by token, as a JSON line ([`Recorded`]); one
    /// that is there is replaced.
    pub record: Option<PathBuf>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            device: candle_core::Device::Cpu,
            threads: 0,
            context: None,
            tier: Tier::detect(),
            record: None,
        }
    }
}

struct Shared {
    name: String,
    fingerprint: String,
    path: PathBuf,
    context: usize,
    /// What stands before the first token where the prompt is empty.
    start_token: Option<u32>,
    tokenizer: Arc<Tokenizer>,
    template: ChatTemplate,
    vocabulary: Arc<Vocabulary>,
    /// What constraints need; made when the first one comes.
    grammars: OnceLock<Result<Grammars, String>>,
    engine: Engine,
    recorder: Option<Recorder>,
}

impl Lm {
    /// Loads the weights and starts the engine.
    ///
    /// # Errors
    /// The file is no GGUF of a known architecture, or its vocabulary, template, metadata and
    /// tensors do not fit each other.
    pub fn load(files: &LmFiles, options: &LoadOptions) -> Result<Self> {
        let gguf = Gguf::open(&files.gguf)?;
        let tokenizer = match &files.tokenizer {
            Some(path) => Tokenizer::from_file(path, &gguf)?,
            None => Tokenizer::from_gguf(&gguf)?,
        };
        let template = ChatTemplate::from_gguf(&gguf)?;
        let decoder = Decoder::load(
            &gguf,
            &decoder::Options {
                device: options.device.clone(),
                precision: Precision::Packed,
                context: options.context,
                threads: options.threads,
                tier: options.tier,
            },
        )?;
        Self::start(files, &gguf, tokenizer, template, decoder, options)
    }

    fn start(
        files: &LmFiles,
        gguf: &Gguf,
        tokenizer: Tokenizer,
        template: ChatTemplate,
        decoder: Decoder,
        options: &LoadOptions,
    ) -> Result<Self> {
        let n_vocab = decoder.config().n_vocab;
        if tokenizer.n_vocab() > n_vocab {
            return Err(Error::Config {
                path: files.gguf.clone(),
                what: format!(
                    "the vocabulary has {} tokens, the embedding {n_vocab} rows",
                    tokenizer.n_vocab()
                ),
            });
        }
        let vocabulary =
            Vocabulary::new((0..tokenizer.n_vocab() as u32).map(|id| tokenizer.bytes(id)));
        let start_token = ["tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id"]
            .into_iter()
            .find_map(|key| gguf.value(key)?.as_u64())
            .filter(|id| *id < n_vocab as u64)
            .map(|id| id as u32);
        let context = decoder.config().context;
        let fingerprint = {
            let mut hash = Sha256::new();
            hash.update(files.sha256.as_bytes());
            hash.update(tokenizer.fingerprint().as_bytes());
            hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let tokenizer = Arc::new(tokenizer);
        let recorder = options.record.as_deref().map(Recorder::create).transpose()?;
        let engine = Engine::start(decoder, Arc::clone(&tokenizer), options.threads)?;
        Ok(Self {
            shared: Arc::new(Shared {
                name: files.name.clone(),
                fingerprint,
                path: files.gguf.clone(),
                context,
                start_token,
                tokenizer,
                template,
                vocabulary: Arc::new(vocabulary),
                grammars: OnceLock::new(),
                engine,
                recorder,
            }),
        })
    }

    /// Catalog name or file stem.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Hash of weights, tokenizer and template: whatever makes the same request give other bytes.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.shared.fingerprint
    }

    /// Longest sequence in tokens.
    #[must_use]
    pub fn context(&self) -> usize {
        self.shared.context
    }

    /// Number of tokens of a prompt.
    ///
    /// # Errors
    /// The template cannot render the conversation.
    pub fn count(&self, prompt: &Prompt) -> Result<usize> {
        Ok(self.encode(prompt)?.len())
    }

    /// Number of tokens of a text as it would stand inside a prompt.
    ///
    /// # Errors
    /// The tokenizer refuses the text.
    pub fn count_text(&self, text: &str) -> Result<usize> {
        Ok(self.tokenize(text)?.len())
    }

    /// Token ids of a text encoded as data.
    ///
    /// # Errors
    /// The tokenizer refuses the text.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.shared.tokenizer.encode(text)?)
    }

    /// Completes a prompt. Dropping the future cancels it.
    ///
    /// # Errors
    /// Prompt and `max_tokens` do not fit the window, a sampling setting is out of its range, the
    /// constraint is wrong or cannot be satisfied, or the model computes no distribution.
    pub async fn complete(&self, request: Request) -> Result<Completion> {
        self.complete_streamed(request, |_| ()).await
    }

    /// As [`Lm::complete`]; `on_text` gets whole UTF-8 pieces as they come, on the engine's thread.
    /// Together they are the completion's text.
    ///
    /// # Errors
    /// As [`Lm::complete`].
    pub async fn complete_streamed(
        &self,
        request: Request,
        on_text: impl FnMut(&str) + Send + 'static,
    ) -> Result<Completion> {
        let tokens = self.begin(&request.prompt)?;
        self.check_window(tokens.len(), request.max_tokens)?;
        let mut sampler = Sampler::new(&request.sampling, Arc::clone(&self.shared.vocabulary))?;
        if request.end_token == EndToken::Masked {
            sampler = sampler.never(self.shared.tokenizer.ends().collect());
        }
        let constraint = match &request.constraint {
            Some(constraint) => Some(self.constrain(constraint, &request)?),
            None => None,
        };
        let recording = self.shared.recorder.as_ref().map(|recorder| {
            recorder.begin(Recorded {
                sampling: Some(request.sampling.clone()),
                stop: request.stop.clone(),
                max_tokens: request.max_tokens,
                ..Recorded::new(Verb::Complete, vec![tokens.clone()])
            })
        });
        let (reply, answer) = oneshot::channel();
        let job = Completing::new(
            sampler,
            constraint,
            StopStream::new(&request.stop),
            Box::new(on_text),
            request.max_tokens,
            tokens.len(),
            reply,
        );
        let answer = self.ask(tokens, Job::Complete(Box::new(job)), answer).await;
        if let Some(recording) = recording {
            recording.end(answer.as_ref().ok().map(|answer| answer.completion_tokens))?;
        }
        answer
    }

    /// Log-probability of every token of `continuation` after `prompt`. Prompt and continuation are
    /// encoded apart. After an empty prompt the text stands behind the model's BOS.
    ///
    /// # Errors
    /// Both together do not fit the window, or the model computes no distribution.
    pub async fn score(&self, prompt: Prompt, continuation: String) -> Result<Score> {
        let mut tokens = self.begin(&prompt)?;
        let continuation = self.tokenize(&continuation)?;
        self.check_window(tokens.len(), continuation.len())?;
        if continuation.is_empty() {
            return Ok(Score { tokens: continuation, logprobs: Vec::new() });
        }
        let n_prompt = tokens.len();
        let recording = self.shared.recorder.as_ref().map(|recorder| {
            recorder.begin(Recorded {
                continuation: continuation.clone(),
                ..Recorded::new(Verb::Score, vec![tokens.clone()])
            })
        });
        // Nothing stands behind the last token, so it need not be run.
        tokens.extend_from_slice(&continuation[..continuation.len() - 1]);
        let (reply, answer) = oneshot::channel();
        let job = Scoring::new(n_prompt, continuation, reply);
        let answer = self.ask(tokens, Job::Score(job), answer).await;
        if let Some(recording) = recording {
            recording.end(answer.as_ref().ok().map(|answer| answer.tokens.len()))?;
        }
        answer
    }

    fn constrain(&self, constraint: &Constraint, request: &Request) -> Result<Constrained> {
        if !request.stop.is_empty() {
            let what = "stop texts cannot be combined with a constraint; leave one of them out";
            return Err(Error::Constraint(what.to_owned()));
        }
        if request.end_token == EndToken::Masked {
            let what = "a constrained text ends where it must; do not mask the end tokens";
            return Err(Error::Constraint(what.to_owned()));
        }
        let grammars =
            self.shared.grammars.get_or_init(|| Grammars::new(&self.shared.tokenizer)).as_ref();
        let grammars = grammars.map_err(|what| Error::Constraint(what.clone()))?;
        grammars.begin(constraint, request.max_tokens)
    }

    async fn ask<T>(
        &self,
        tokens: Vec<u32>,
        job: Job,
        answer: oneshot::Receiver<Result<T>>,
    ) -> Result<T> {
        self.shared.engine.send(Ticket { tokens, job })?;
        match answer.await {
            Ok(answer) => answer,
            Err(oneshot::Canceled) => {
                Err(Error::Engine(format!("of {} ended unasked", self.shared.path.display())))
            }
        }
    }

    /// The prompt's tokens; never none, since there must be something to go on from.
    fn begin(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let tokens = self.encode(prompt)?;
        if !tokens.is_empty() {
            return Ok(tokens);
        }
        self.shared.start_token.map(|id| vec![id]).ok_or(Error::EmptyPrompt)
    }

    fn encode(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        let pieces = match prompt {
            Prompt::Chat(chat) => self.shared.template.render(chat)?,
            Prompt::Text(text) => vec![Piece::Data(text.clone())],
            Prompt::Markup(text) => vec![Piece::Markup(text.clone())],
            Prompt::Tokens(ids) => return self.known(ids),
        };
        Ok(self.shared.tokenizer.encode_pieces(&pieces)?)
    }

    /// The ids, if all are the tokenizer's.
    fn known(&self, ids: &[u32]) -> Result<Vec<u32>> {
        let n_vocab = self.shared.tokenizer.n_vocab();
        match ids.iter().find(|id| **id as usize >= n_vocab) {
            Some(id) => Err(Error::Token { id: *id, n_vocab }),
            None => Ok(ids.to_vec()),
        }
    }

    fn check_window(&self, prompt: usize, max_tokens: usize) -> Result<()> {
        let context = self.shared.context;
        match prompt.checked_add(max_tokens) {
            Some(total) if total <= context => Ok(()),
            _ => Err(Error::TooLong { prompt, max_tokens, context }),
        }
    }
}

#[cfg(test)]
#[path = "handle_tests.rs"]
mod tests;
