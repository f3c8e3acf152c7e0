//! Counters for Prometheus. Names are vLLM's with another prefix if the meaning is the same.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use idiolect_engine::lm::Lm;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds of times, seconds.
const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Counters of a server.
pub(crate) struct Metrics {
    registry: Registry,
    prompt_tokens: Counter,
    generation_tokens: Counter,
    prefix_queries: Counter,
    prefix_hits: Counter,
    drafted: Counter,
    accepted: Counter,
    requests: Family<Vec<(String, String)>, Counter>,
    running: Gauge,
    waiting: Gauge,
    kv_usage: Gauge<f64, AtomicU64>,
    first_token: Histogram,
    next_token: Histogram,
    whole: Histogram,
}

/// Times of one text as it is generated.
#[derive(Clone)]
pub(crate) struct TextTimes {
    first_token: Histogram,
    next_token: Histogram,
    start: Instant,
    last: Option<Instant>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let seconds = || Histogram::new(SECONDS);
        let mut metrics = Self {
            registry: Registry::default(),
            prompt_tokens: Counter::default(),
            generation_tokens: Counter::default(),
            prefix_queries: Counter::default(),
            prefix_hits: Counter::default(),
            drafted: Counter::default(),
            accepted: Counter::default(),
            requests: Family::default(),
            running: Gauge::default(),
            waiting: Gauge::default(),
            kv_usage: Gauge::default(),
            first_token: seconds(),
            next_token: seconds(),
            whole: seconds(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let counters = [
            ("prompt_tokens", "Prompt tokens of answered requests", &self.prompt_tokens),
            ("generation_tokens", "Generated tokens", &self.generation_tokens),
            ("prefix_cache_queries", "Prompt tokens looked up", &self.prefix_queries),
            ("prefix_cache_hits", "Prompt tokens whose KV blocks were reused", &self.prefix_hits),
            ("spec_decode_num_draft_tokens", "Drafted tokens", &self.drafted),
            ("spec_decode_num_accepted_tokens", "Drafted tokens that were chosen", &self.accepted),
        ];
        for (name, help, counter) in counters {
            registry.register(format!("idiolect:{name}"), help, counter.clone());
        }
        let help = "Answered requests by route and status";
        registry.register("idiolect:http_requests", help, self.requests.clone());
        let help = "Requests that are computed";
        registry.register("idiolect:num_requests_running", help, self.running.clone());
        let help = "Requests that wait for memory or a place";
        registry.register("idiolect:num_requests_waiting", help, self.waiting.clone());
        let help = "Used part of the KV budget, 0 to 1";
        registry.register("idiolect:kv_cache_usage_perc", help, self.kv_usage.clone());
        let histograms = [
            ("time_to_first_token", "Time until the first piece of a text", &self.first_token),
            ("inter_token_latency", "Time between pieces of a text", &self.next_token),
            ("e2e_request_latency", "Time of whole answers", &self.whole),
        ];
        for (name, help, histogram) in histograms {
            registry.register(format!("idiolect:{name}_seconds"), help, histogram.clone());
        }
    }

    /// Counts an answer.
    pub(crate) fn count_request(&self, route: &str, status: u16) {
        let labels =
            vec![("route".to_owned(), route.to_owned()), ("status".to_owned(), status.to_string())];
        self.requests.get_or_create(&labels).inc();
    }

    /// Counts the tokens of an answer and its time.
    pub(crate) fn count_answer(&self, usage: super::answer::TokenUsage, time: Duration) {
        self.prompt_tokens.inc_by(usage.prompt as u64);
        self.prefix_queries.inc_by(usage.prompt as u64);
        self.prefix_hits.inc_by(usage.cached as u64);
        self.generation_tokens.inc_by(usage.completion as u64);
        self.whole.observe(time.as_secs_f64());
    }

    /// Begins the times of a text.
    pub(crate) fn text_times(&self) -> TextTimes {
        let (first_token, next_token) = (self.first_token.clone(), self.next_token.clone());
        TextTimes { first_token, next_token, start: Instant::now(), last: None }
    }

    /// All values as text. The model gives the state of the engine, if it is loaded.
    pub(crate) fn text(&self, lm: Option<&Lm>) -> String {
        if let Some(lm) = lm {
            let stats = lm.stats();
            self.running.set(stats.running as i64);
            self.waiting.set(stats.waiting as i64);
            // The engine counts them; a scrape beside this one may have read a later count.
            self.drafted.inner().fetch_max(stats.drafted_tokens, Ordering::Relaxed);
            self.accepted.inner().fetch_max(stats.accepted_tokens, Ordering::Relaxed);
            self.kv_usage.set(stats.kv_bytes as f64 / lm.kv_budget().max(1) as f64);
        }
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &self.registry) {
            tracing::error!(%error, "encode the metrics");
        }
        text
    }
}

impl TextTimes {
    /// A piece of the text has come.
    pub(crate) fn piece(&mut self) {
        let now = Instant::now();
        match self.last.replace(now) {
            None => self.first_token.observe((now - self.start).as_secs_f64()),
            Some(last) => self.next_token.observe((now - last).as_secs_f64()),
        }
    }
}
