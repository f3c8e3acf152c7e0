//! One file a method, each readable as its paper's algorithm.
//!
//! A method sees users, items and texts, puts fields into prompts and awaits the answers; it never
//! sees a tensor, a token id or a template. It reads the corpus through a [`View`], so that no text
//! that is held out can reach a prompt.

mod bm25;
mod dpl;
mod error;
mod non_perso;
mod options;
mod rag;
mod scp;
mod select;
#[cfg(test)]
mod tests;

pub use bm25::Bm25;
pub use dpl::{Profiled, profile};
pub use error::Error;
pub use options::{Options, SamplingOverrides};

use serde::Serialize;

use crate::corpus::{Item, ReviewId, StoredReview, Target, View};
use crate::difference::{Answer, Call, Calls, Model, OnText, Peers, Profile};
use crate::lm::{Finish, Sampling};
use crate::progress::Progress;
use crate::task::{Cut, Draft, Stage, Task};

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A way to write as a user would.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// From the item alone; the user plays no part.
    NonPerso,
    /// From the user's past texts on the most similar items, in one prompt.
    Rag,
    /// From a conversation in which the user's past texts are the assistant's answers.
    Scp,
    /// From past texts and a profile of what sets the user apart from others.
    Dpl,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 4] = [Self::NonPerso, Self::Rag, Self::Scp, Self::Dpl];

    /// Name on the command line and in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NonPerso => "non-perso",
            Self::Rag => "rag",
            Self::Scp => "scp",
            Self::Dpl => "dpl",
        }
    }

    /// Whether it compares the user with peers, and so needs a sentence encoder.
    #[must_use]
    pub fn needs_peers(self) -> bool {
        self == Self::Dpl
    }

    /// Writes the target. The same material, options and seeds give the same text.
    ///
    /// `on_text`, if given, gets the text as it comes.
    ///
    /// # Errors
    /// [`Error::NoHistory`] where the method needs past texts and the view shows none; otherwise
    /// whatever the store, the encoder or the language model fails with.
    pub async fn write(
        self,
        material: &Material<'_>,
        target: &Target,
        options: &Options,
        on_text: Option<OnText>,
    ) -> Result<Written> {
        match self {
            Self::NonPerso => non_perso::write(material, target, options, on_text).await,
            Self::Rag => rag::write(material, target, options, on_text).await,
            Self::Scp => scp::write(material, target, options, on_text).await,
            Self::Dpl => dpl::write(material, target, options, on_text).await,
        }
    }
}

/// What a method works with.
#[derive(Clone, Copy)]
pub struct Material<'a> {
    /// What may be seen of the corpus.
    pub view: View<'a>,
    /// The language model.
    pub model: &'a dyn Model,
    /// Who chooses representatives; only methods that [need peers](Method::needs_peers) ask.
    pub peers: Option<&'a dyn Peers>,
    /// What is written and how it is asked for.
    pub task: &'a Task,
    /// Told how far the work is.
    pub progress: &'a dyn Progress,
}

/// A text written as a user would, and what it took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Written {
    /// The text, without the task's label.
    pub text: String,
    /// The method.
    pub method: Method,
    /// What prompts left out, in the order in which they were made.
    pub cut: Vec<Cut>,
    /// Tokens of the prompts of all answers that were computed.
    pub prompt_tokens: usize,
    /// Tokens of all answers that were computed.
    pub completion_tokens: usize,
    /// Answers (differences, summary, text) taken from the store.
    pub reused: usize,
    /// Answers computed.
    pub computed: usize,
    /// Tokens that the answers from the store had cost.
    pub saved_tokens: usize,
    /// Why the text ended.
    pub finish: Finish,
    /// The user's past reviews that the prompt was given, as the prompt orders them.
    pub past: Vec<ReviewId>,
    /// The profile, for methods that make one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
}

impl Written {
    fn new(method: Method, answer: Answer, calls: &Calls<'_>, past: &[Past]) -> Self {
        let tally = calls.tally();
        Self {
            text: answer.text,
            method,
            cut: answer.cut,
            prompt_tokens: tally.prompt_tokens,
            completion_tokens: tally.completion_tokens,
            reused: tally.reused,
            computed: tally.computed,
            saved_tokens: tally.saved_tokens,
            finish: answer.finish,
            past: ids(past),
            profile: None,
        }
    }
}

/// A past review of the user and what it is about.
pub(crate) type Past = (StoredReview, Item);

impl<'a> Material<'a> {
    fn calls(&self, options: &Options) -> Calls<'a> {
        Calls::new(self.view.store(), self.model, self.task, options.reuse)
    }

    /// The user's visible reviews with their items, oldest first; those without text are passed by.
    fn history(&self, user: &str) -> Result<Vec<Past>> {
        let mut past = Vec::new();
        for review in self.view.history(user)? {
            if !review.review.text.trim().is_empty() {
                let item = self.view.item(&review.review.item)?;
                past.push((review, item));
            }
        }
        Ok(past)
    }

    /// As [`Material::history`], where there must be some.
    fn some_history(&self, user: &str, method: Method) -> Result<Vec<Past>> {
        let past = self.history(user)?;
        if past.is_empty() {
            return Err(Error::NoHistory { user: user.to_owned(), method: method.name() });
        }
        Ok(past)
    }
}

/// The last call of every method: the text itself.
async fn write_text(
    material: &Material<'_>,
    calls: &Calls<'_>,
    stage: Stage,
    draft: Draft,
    made_from: &[ReviewId],
    options: &Options,
    on_text: Option<OnText>,
) -> Result<Answer> {
    let sampling = options.sampling.over(&calls.task().stage(stage).sampling);
    let sampling = Sampling { seed: options.seed, ..sampling };
    let max_tokens = options.max_tokens;
    // A text that is shown as it comes is its own progress.
    let silent = on_text.is_none();
    if silent {
        material.progress.begin("writing", None);
    }
    let constraint = None;
    let call = Call { stage, draft, made_from, sampling, max_tokens, constraint, on_text };
    let answer = calls.answer(call).await;
    if silent {
        material.progress.end();
    }
    Ok(answer?)
}

fn ids(past: &[Past]) -> Vec<ReviewId> {
    past.iter().map(|(review, _)| review.id).collect()
}
