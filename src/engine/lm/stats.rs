//! Counters of the engine's work.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Counts of the engine's work since it was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Stats {
    /// Number of prompt rows computed.
    pub prompt_rows: u64,
    /// Number of prompt tokens not computed, because their KV blocks were reused.
    pub reused_tokens: u64,
    /// Number of positions whose logits were computed: tokens generated and tokens scored. A
    /// request with several prompts counts each position once.
    pub logit_rows: u64,
    /// Number of forward steps of the decoder.
    #[serde(rename = "passes")]
    pub forward_steps: u64,
    /// Number of tokens drafted for forward steps of generated texts.
    pub drafted_tokens: u64,
    /// Number of drafted tokens that were chosen.
    pub accepted_tokens: u64,
    /// Bytes of all KV caches after the last forward step; each KV block is counted once.
    pub kv_bytes: usize,
    /// Largest value that `kv_bytes` has had.
    pub kv_peak_bytes: usize,
    /// Requests that are computed now.
    #[serde(skip)]
    pub running: usize,
    /// Requests that wait for memory or for a place among those that run.
    #[serde(skip)]
    pub waiting: usize,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    prompt_rows: AtomicU64,
    reused_tokens: AtomicU64,
    logit_rows: AtomicU64,
    forward_steps: AtomicU64,
    drafted_tokens: AtomicU64,
    accepted_tokens: AtomicU64,
    kv_bytes: AtomicUsize,
    kv_peak_bytes: AtomicUsize,
    running: AtomicUsize,
    waiting: AtomicUsize,
}

impl Counters {
    pub(super) fn add_prompt_rows(&self, n: usize) {
        self.prompt_rows.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(super) fn add_reused(&self, n: usize) {
        self.reused_tokens.fetch_add(n as u64, Ordering::Relaxed);
    }

    pub(super) fn add_forward_step(&self, logit_rows: usize) {
        self.forward_steps.fetch_add(1, Ordering::Relaxed);
        self.logit_rows.fetch_add(logit_rows as u64, Ordering::Relaxed);
    }

    pub(super) fn add_draft(&self, drafted: usize, accepted: usize) {
        self.drafted_tokens.fetch_add(drafted as u64, Ordering::Relaxed);
        self.accepted_tokens.fetch_add(accepted as u64, Ordering::Relaxed);
    }

    pub(super) fn set_kv_bytes(&self, n: usize) {
        self.kv_bytes.store(n, Ordering::Relaxed);
        self.kv_peak_bytes.fetch_max(n, Ordering::Relaxed);
    }

    pub(super) fn set_requests(&self, running: usize, waiting: usize) {
        self.running.store(running, Ordering::Relaxed);
        self.waiting.store(waiting, Ordering::Relaxed);
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            prompt_rows: self.prompt_rows.load(Ordering::Relaxed),
            reused_tokens: self.reused_tokens.load(Ordering::Relaxed),
            logit_rows: self.logit_rows.load(Ordering::Relaxed),
            forward_steps: self.forward_steps.load(Ordering::Relaxed),
            drafted_tokens: self.drafted_tokens.load(Ordering::Relaxed),
            accepted_tokens: self.accepted_tokens.load(Ordering::Relaxed),
            kv_bytes: self.kv_bytes.load(Ordering::Relaxed),
            kv_peak_bytes: self.kv_peak_bytes.load(Ordering::Relaxed),
            running: self.running.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
        }
    }
}
