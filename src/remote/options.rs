//! Settings of a connection.

use std::path::PathBuf;
use std::time::Duration;

use crate::RetryPolicy;

/// Settings of a connection to a language model besides its address.
#[derive(Debug, Clone)]
pub struct RemoteOptions {
    /// GGUF file with the model's vocabulary and chat template; it needs no weights.
    pub tokenizer: PathBuf,
    /// Name of the weights, under which results are stored: change it if the server serves others
    /// under the same name.
    pub stamp: String,
    /// Key for the servers, sent as a bearer token.
    pub key: Option<String>,
    /// Maximum number of requests at once.
    pub parallel: usize,
    /// Maximum time of one attempt.
    pub timeout: Duration,
    /// Repetition of failed requests.
    pub retry: RetryPolicy,
}

impl RemoteOptions {
    /// Default of [`RemoteOptions::parallel`].
    pub const PARALLEL: usize = 64;

    /// The defaults, with a vocabulary.
    #[must_use]
    pub fn new(tokenizer: impl Into<PathBuf>) -> Self {
        Self {
            tokenizer: tokenizer.into(),
            stamp: String::new(),
            key: None,
            parallel: Self::PARALLEL,
            timeout: Duration::from_secs(600),
            retry: RetryPolicy::default(),
        }
    }
}
