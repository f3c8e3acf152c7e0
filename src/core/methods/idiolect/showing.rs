//! Which of the user's past texts a prompt shows, and in which order.

use super::Texts;
use super::occasions::{newest, occasions};
use crate::corpus::Target;
use crate::difference::{Calls, Profile, Trial, gain};
use crate::methods::select::{most_recent, most_relevant};
use crate::methods::{Error, Material, Options, Past, Result, told};
use crate::task::{Block, Draft, Part, Stage};

/// How past texts are shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Showing {
    /// The most relevant to the target instead of the newest.
    relevant: bool,
    /// Half as many.
    half: bool,
    /// The newest, or most relevant, first; in a conversation it is last otherwise.
    turned: bool,
    /// What the model sums up of the older texts, among the notes.
    pub(super) summary: Option<Profile>,
}

impl Showing {
    /// As it is where nothing is tried.
    pub(super) fn of(texts: Texts) -> Self {
        Self { relevant: texts == Texts::Relevant, ..Self::default() }
    }

    /// The past texts that the prompt gets, in its order.
    pub(super) fn past(
        &self,
        material: &Material<'_>,
        target: &Target,
        history: &[Past],
        options: &Options,
    ) -> Vec<Past> {
        let n = if self.half { options.n.div_ceil(2) } else { options.n };
        let mut past = match self.relevant {
            true => most_relevant(material.task, target, history, n),
            false => most_recent(history, n),
        };
        let last_counts_most = options.idiolect.form.stage() == Stage::Idiolect;
        if last_counts_most != self.turned {
            past.reverse();
        }
        past
    }

    /// The prompt that shows them.
    pub(super) fn draft(&self, target: &Target, past: &[Past]) -> Draft {
        let notes = self.summary.iter().map(|summary| Block::of_note(&summary.summary));
        Draft::new()
            .with_all(Part::Past, told::blocks(past))
            .with_all(Part::Notes, notes)
            .with(Part::Target, Block::of_target(target))
    }
}

/// Own texts that ways of showing are tried on, the newest.
const OCCASIONS: usize = 3;
/// Tokens of each that count.
const TOKENS: usize = 100;

/// The way that makes the user's newest texts likelier, each written from all the others, and others'
/// texts on the same items less so: one change of the newest after the other is tried and
/// kept if it gains by more than its standard error, as statements are. With fewer than two texts to
/// try on nothing is changed.
pub(super) async fn chosen(
    material: &Material<'_>,
    calls: &Calls<'_>,
    author: &str,
    history: &[Past],
    options: &Options,
) -> Result<Showing> {
    let tried = newest(history, OCCASIONS);
    let mut best = Showing::default();
    if tried.len() < 2 {
        return Ok(best);
    }
    let stage = options.idiolect.form.stage();
    let trial = Trial { stage, tokens: TOKENS, max_tokens: options.max_tokens };
    let gains = async |best: &Showing, other: &Showing| -> Result<bool> {
        if material.progress.stop_requested() {
            return Err(Error::Stopped);
        }
        let bare = occasions(material, history, &tried, options, best)?;
        let shown = occasions(material, history, &tried, options, other)?;
        let gain = gain(calls, trial, &bare, &shown).await?;
        Ok(gain.own > 0.0 && gain.specific > 0.0)
    };
    let changes: [fn(&mut Showing); 3] = [
        |showing| showing.relevant = true,
        |showing| showing.half = true,
        |showing| {
            showing.turned = true;
        },
    ];
    for change in changes {
        let mut other = best.clone();
        change(&mut other);
        if gains(&best, &other).await? {
            best = other;
        }
    }
    let older = &history[..history.len() - tried.len()];
    if !older.is_empty() {
        let past = most_recent(older, usize::MAX);
        let stage = Stage::IntsumSummary;
        let summary = told::of_past(material, calls, options, stage, author, &past).await?;
        let other = Showing { summary: Some(summary), ..best.clone() };
        if gains(&best, &other).await? {
            best = other;
        }
    }
    Ok(best)
}
