//! Selection and order of the user's past texts in a prompt.

use super::Texts;
use super::occasions::{newest, occasions};
use crate::client::CachedLm;
use crate::corpus::Target;
use crate::difference::{Profile, Trial, gain};
use crate::methods::select::{most_recent, most_relevant};
use crate::methods::{Error, Material, Options, Past, Result, told};
use crate::task::{Block, Draft, Part, Stage};

/// Selection and order of past texts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Showing {
    /// The most relevant to the target instead of the newest.
    relevant: bool,
    /// Half as many texts.
    half: bool,
    /// Reversed order: the newest or most relevant text first in a conversation, last in a flat
    /// prompt.
    turned: bool,
    /// The model's summary of the older texts, shown among the notes.
    pub(super) summary: Option<Profile>,
}

impl Showing {
    /// Selection without validation.
    pub(super) fn of(texts: Texts) -> Self {
        Self { relevant: texts == Texts::Relevant, ..Self::default() }
    }

    /// The past texts of the prompt, in its order.
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

    /// The prompt with these past texts.
    pub(super) fn draft(&self, target: &Target, past: &[Past]) -> Draft {
        let notes = self.summary.iter().map(|summary| Block::of_note(&summary.summary));
        Draft::new()
            .with_all(Part::Past, told::blocks(past))
            .with_all(Part::Notes, notes)
            .with(Part::Target, Block::of_target(target))
    }
}

/// Number of own texts on which selections are validated, the newest.
const OCCASIONS: usize = 3;
/// Number of tokens of each text that count.
const TOKENS: usize = 100;

/// Chooses a selection by validation on the user's newest texts, each scored under a prompt with
/// all the others. Starting from the newest texts, one change after the other is tried. A change is
/// kept if it makes the user's texts more likely, and more so than others' texts on the same items
/// by more than one standard error, as for statements. With fewer than two texts to validate on,
/// nothing is changed.
pub(super) async fn chosen(
    material: &Material<'_>,
    calls: &CachedLm<'_>,
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
