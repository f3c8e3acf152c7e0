//! Settings of a server.

use std::time::Duration;

use crate::ApiKeys;

/// Settings of a server besides its address and its models.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Keys that clients must give; without any, no key is needed, and the server listens on loopback
    /// addresses only.
    pub keys: ApiKeys,
    /// Values of `Host` that are accepted besides loopback names, without port.
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may read answers, e.g. `https://chat.example`; without any, no CORS header
    /// is sent and requests of foreign pages are refused.
    pub cors_origins: Vec<String>,
    /// Header that names the user to write as, e.g. `X-OpenWebUI-User-Id`; only with keys, since
    /// anybody can send it.
    pub user_header: Option<String>,
    /// Maximum number of requests that are computed or wait; further ones get 429.
    pub max_queue: usize,
    /// Maximum time for a whole answer.
    pub timeout: Duration,
    /// Maximum number of tokens of an answer whose request gives none, tokens.
    pub default_max_tokens: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            keys: ApiKeys::default(),
            allowed_hosts: Vec::new(),
            cors_origins: Vec::new(),
            user_header: None,
            max_queue: 64,
            timeout: Duration::from_secs(600),
            default_max_tokens: 1024,
        }
    }
}
