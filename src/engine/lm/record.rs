//! What goes to the model, written down as it happens: a JSON line a request, in the order in which
//! they end.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Error, Result, Sampling};

/// A request as it went to the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// What was asked.
    pub verb: Verb,
    /// Place of its start among all starts and ends, from 0.
    pub started: u64,
    /// Place of its end among all starts and ends. Whatever started later may have depended on its
    /// answer; whatever started earlier ran beside it.
    pub ended: u64,
    /// Token ids of its prompts; more than one only where several are advanced together.
    pub prompts: Vec<Vec<u32>>,
    /// Token ids of the text that was to be scored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continuation: Vec<u32>,
    /// How tokens were to be chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// Texts that were to end it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Most tokens to write.
    pub max_tokens: usize,
    /// Tokens written, or tokens scored.
    pub completion_tokens: usize,
    /// How it ended.
    pub outcome: Outcome,
}

/// What can be asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Text was to be written.
    Complete,
    /// A given text was to be scored.
    Score,
    /// Several prompts were to be advanced together.
    CompleteSteered,
}

/// How a recorded request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// It failed, and whoever asked was told why.
    Failed,
    /// Whoever asked went away before the answer.
    Dropped,
}

impl Recorded {
    /// A request that has not started.
    #[must_use]
    pub fn new(verb: Verb, prompts: Vec<Vec<u32>>) -> Self {
        Self {
            verb,
            started: 0,
            ended: 0,
            prompts,
            continuation: Vec::new(),
            sampling: None,
            stop: Vec::new(),
            max_tokens: 0,
            completion_tokens: 0,
            outcome: Outcome::Dropped,
        }
    }

    /// Reads a file of recorded requests.
    ///
    /// # Errors
    /// The file cannot be read, or a line, which is named, is no recorded request.
    pub fn read(path: &Path) -> Result<Vec<Self>> {
        let error = |what: String| Error::Record { operation: "read", path: path.to_owned(), what };
        let text = std::fs::read_to_string(path).map_err(|why| error(why.to_string()))?;
        text.lines()
            .enumerate()
            .map(|(number, line)| {
                serde_json::from_str(line)
                    .map_err(|why| error(format!("line {} is no request: {why}", number + 1)))
            })
            .collect()
    }
}

/// Writes requests to a file.
pub(super) struct Recorder {
    path: PathBuf,
    file: Mutex<File>,
    /// Starts and ends so far.
    events: AtomicU64,
}

/// A request that is under way. Dropped before its end, it is recorded as dropped.
pub(super) struct Recording<'a> {
    recorder: &'a Recorder,
    request: Option<Recorded>,
}

impl Recorder {
    /// Begins a file; one that is there is replaced.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|why| Error::Record {
            operation: "write",
            path: path.to_owned(),
            what: why.to_string(),
        })?;
        let (path, file) = (path.to_owned(), Mutex::new(file));
        Ok(Self { path, file, events: AtomicU64::new(0) })
    }

    pub(super) fn begin(&self, request: Recorded) -> Recording<'_> {
        let started = self.events.fetch_add(1, Ordering::SeqCst);
        Recording { recorder: self, request: Some(Recorded { started, ..request }) }
    }

    fn end(&self, request: Recorded) -> Result<()> {
        let error = |why: std::io::Error| Error::Record {
            operation: "write",
            path: self.path.clone(),
            what: why.to_string(),
        };
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // Taken under the lock, so that lines stand in the order of their ends.
        let ended = self.events.fetch_add(1, Ordering::SeqCst);
        let mut line =
            serde_json::to_vec(&Recorded { ended, ..request }).map_err(|why| error(why.into()))?;
        line.push(b'\n');
        file.write_all(&line).map_err(error)
    }
}

impl Recording<'_> {
    /// The request has ended: with so many tokens, or with an error.
    pub(super) fn end(mut self, completion_tokens: Option<usize>) -> Result<()> {
        let Some(request) = self.request.take() else { return Ok(()) };
        let outcome = completion_tokens.map_or(Outcome::Failed, |_| Outcome::Answered);
        let completion_tokens = completion_tokens.unwrap_or(0);
        self.recorder.end(Recorded { outcome, completion_tokens, ..request })
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            // Nobody is left who could be told of an error.
            drop(self.recorder.end(request));
        }
    }
}
