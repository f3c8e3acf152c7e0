//! Log of the requests sent to the model: one JSON line per request, in the order in which the
//! requests end.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use super::{Error, Result, Sampling};

/// A request as it was sent to the model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Kind of the request.
    pub verb: Verb,
    /// Index of its start among all starts and ends, from 0.
    pub started: u64,
    /// Index of its end among all starts and ends. A request that started after this index may have
    /// depended on the answer; one that started before it did not.
    pub ended: u64,
    /// Token ids of its prompts, without soft tokens of an adapter; more than one only if their distributions
    /// are combined.
    pub prompts: Vec<Vec<u32>>,
    /// Token ids of the text to score.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub continuation: Vec<u32>,
    /// Sampling settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampling: Option<Sampling>,
    /// Stop texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Maximum number of tokens to generate.
    pub max_tokens: usize,
    /// Number of tokens generated or scored.
    pub completion_tokens: usize,
    /// Outcome of the request.
    pub outcome: Outcome,
}

/// Kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Complete a prompt.
    Complete,
    /// Score a given text.
    Score,
    /// Complete several prompts with one text.
    CompleteSteered,
}

/// Outcome of a recorded request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was answered.
    Answered,
    /// It failed, and the caller received the error.
    Failed,
    /// The caller dropped it before the answer.
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
    /// The file cannot be read, or a line is not a recorded request; the error gives the line
    /// number.
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

/// A running request. If dropped before [`Recording::end`], it is recorded as dropped.
pub(super) struct Recording<'a> {
    recorder: &'a Recorder,
    request: Option<Recorded>,
}

impl Recorder {
    /// Creates the file; an existing file is replaced.
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
        // Taken under the lock, so that the lines are in the order of the ends.
        let ended = self.events.fetch_add(1, Ordering::SeqCst);
        let mut line =
            serde_json::to_vec(&Recorded { ended, ..request }).map_err(|why| error(why.into()))?;
        line.push(b'\n');
        file.write_all(&line).map_err(error)
    }
}

impl Recording<'_> {
    /// Records the end of the request: with this number of tokens, or `None` after an error.
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
            // No caller is left to receive an error.
            drop(self.recorder.end(request));
        }
    }
}
