//! One method on one held-out text, or on one pair of users: every text and every score that the
//! measures ask for.

mod case;
mod judged;
mod swap;

use super::measures::Measures;
use idiolect_core::corpus::{Store, View};
use idiolect_core::difference::{Model, Peers};
use idiolect_core::methods::{History, Material, Options};
use idiolect_core::task::Task;
use idiolect_engine::progress::Progress;

/// What trials are made with.
#[derive(Clone, Copy)]
pub struct Bench<'a> {
    /// The corpus, and where every answer and score is kept.
    pub store: &'a Store,
    /// The language model.
    pub model: &'a dyn Model,
    /// Another one that judges; `None` lets `model` judge itself.
    pub judge: Option<&'a dyn Model>,
    /// Who chooses representatives, for methods that ask.
    pub peers: Option<&'a dyn Peers>,
    /// What is written.
    pub task: &'a Task,
    /// Settings of all methods; history, seed and score limit are the trial's.
    pub options: &'a Options,
    /// Texts are written with the options' seed and those after it, so many.
    pub n_seeds: u64,
    /// Tokens of a real text that count where it is scored; `None` counts all.
    pub score_limit: Option<usize>,
    /// What is measured.
    pub measures: &'a Measures,
}

/// Bits of a text and the tokens they are of.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bits {
    /// Negative base-2 logarithm of the probability of all tokens.
    pub bits: f64,
    /// Tokens.
    pub n_tokens: usize,
}

impl Bits {
    /// Bits a token; `None` for an empty text.
    #[must_use]
    pub fn per_token(self) -> Option<f64> {
        (self.n_tokens > 0).then(|| self.bits / self.n_tokens as f64)
    }
}

/// A method on a held-out text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Outcome {
    /// Written with the user's own history, by seed.
    pub texts: Vec<String>,
    /// The same with the best matching other user's.
    pub wrong_texts: Vec<String>,
    /// With the user's own history and without the title.
    pub neutral_texts: Vec<String>,
    /// The judge's opinion of `texts`, 0 to 1.
    pub judged: Vec<f64>,
    /// Bits of the real text with the user's own history.
    pub right: Option<Bits>,
    /// With other users'.
    pub wrong: Vec<Bits>,
    /// With nobody's.
    pub none: Option<Bits>,
    /// With the user's own, and without the title.
    pub neutral_right: Option<Bits>,
    /// With other users', and without the title.
    pub neutral_wrong: Vec<Bits>,
    /// What writing with the user's own history takes, by seed, as if nothing were in the store.
    pub cost: Vec<Cost>,
}

/// What a text takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Cost {
    /// Calls of the language model.
    pub calls: usize,
    /// Tokens of their prompts.
    pub prompt_tokens: usize,
    /// Tokens of their answers.
    pub completion_tokens: usize,
}

/// A method on a pair of users.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SwapOutcome {
    /// Written as A and as B, by seed.
    pub texts: Vec<[String; 2]>,
    /// For each of them the mean log-probability (nats) of a token after the held-out texts of A and
    /// of B: `[seed][writer][reader]`.
    pub closeness: Vec<[[f64; 2]; 2]>,
}

impl<'a> Bench<'a> {
    fn options(&self, history: History, seed: u64) -> Options {
        let score_limit = self.score_limit;
        Options { history, seed, score_limit, ..self.options.clone() }
    }

    fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.options.seed;
        (0..self.n_seeds).map(move |n| first.wrapping_add(n))
    }

    fn material<'m>(&'m self, view: View<'m>, progress: &'m dyn Progress) -> Material<'m> {
        Material { view, model: self.model, peers: self.peers, task: self.task, progress }
    }
}
