//! Validation of statements on held-out reviews: does showing a statement make the user's own texts
//! more likely, and more so than others' texts about the same items?
//!
//! A statement is shown at the position that it has when a text is generated, after the user's past
//! texts, and is validated on reviews of the user that it was not made from. Its own gain is how
//! much more likely they become, in bits per token; its peer gain is the same for others' texts. A
//! statement that makes everybody's texts more likely is no difference, so the specific gain
//! counts: own gain minus peer gain, shrunk towards zero by its standard error. A statement that
//! makes the user's own texts less likely is not kept, even if it lowers others' more. Statements
//! are then combined greedily, as long as each one raises the specific gain of the set.
//!
//! All prompts of a held-out review begin alike up to the statement, so that the engine computes
//! this common prefix once.

use futures::future::try_join_all;

use super::statements::{Gain, ProfileStatement, StatementStatus};
use super::{Result, Statement};
use crate::client::{CachedLm, ScoreCall, Scored};
use crate::corpus::{ReviewId, StoredReview};
use crate::task::{Block, Draft, Part, Stage};

/// A held-out review of the user on which statements are validated, with others' reviews of the
/// same item.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOutExample {
    /// The prompt from which the review would be generated, without any statement.
    pub draft: Draft,
    /// The held-out review; no statement was made from it.
    pub own: StoredReview,
    /// Others' reviews of its item.
    pub others: Vec<StoredReview>,
    /// Reviews that the prompt was made from.
    pub sources: Vec<ReviewId>,
}

/// Settings of a validation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ValidationSettings {
    /// Stage whose prompt the texts are scored under; it shows statements as notes.
    pub stage: Stage,
    /// Number of tokens of each text that count, from its first.
    pub tokens: usize,
    /// Number of tokens that the prompt leaves free; `None` takes the task's limit.
    pub max_tokens: Option<usize>,
}

/// Minimum number of held-out reviews for a conclusion.
const MIN_EXAMPLES: usize = 2;

/// Validates statements on held-out reviews and marks each as accepted or rejected. With fewer than
/// two held-out reviews nothing can be concluded, and all remain unverified. Every score is stored
/// under the hash of what determines it, so repeating a validation costs no computation.
///
/// # Errors
/// As [`CachedLm::score`].
pub async fn validate(
    calls: &CachedLm<'_>,
    settings: ValidationSettings,
    examples: &[HeldOutExample],
    statements: Vec<Statement>,
) -> Result<Vec<ProfileStatement>> {
    if examples.len() < MIN_EXAMPLES || statements.is_empty() {
        return Ok(statements.into_iter().map(ProfileStatement::unverified).collect());
    }
    let validation = Validation {
        calls,
        settings,
        examples,
        without: scores(calls, settings, examples, &[]).await?,
    };
    let alone = statements.iter().map(|statement| validation.gain(vec![statement]));
    let gains = try_join_all(alone.collect::<Vec<_>>()).await?;

    let gains_own = |gain: &Gain| gain.own > 0.0 && gain.specific > 0.0;
    let mut order: Vec<usize> = (0..statements.len()).filter(|&i| gains_own(&gains[i])).collect();
    order.sort_by(|a, b| gains[*b].specific.total_cmp(&gains[*a].specific));
    let mut kept: Vec<usize> = Vec::new();
    let mut best = 0.0;
    for candidate in order {
        let set: Vec<&Statement> =
            kept.iter().chain([&candidate]).map(|&i| &statements[i]).collect();
        let gain = match set.as_slice() {
            [_] => gains[candidate],
            _ => validation.gain(set).await?,
        };
        if gain.own > 0.0 && gain.specific > best {
            best = gain.specific;
            kept.push(candidate);
        }
    }
    let stated = statements.into_iter().zip(gains).enumerate().map(|(i, (statement, gain))| {
        let status =
            if kept.contains(&i) { StatementStatus::Accepted } else { StatementStatus::Rejected };
        ProfileStatement { statement, gain: Some(gain), status }
    });
    Ok(stated.collect())
}

/// Bits per token of the user's and of others' texts of a held-out review.
struct TextBits {
    own: f64,
    others: Vec<f64>,
}

struct Validation<'p, 'a> {
    calls: &'p CachedLm<'a>,
    settings: ValidationSettings,
    examples: &'p [HeldOutExample],
    without: Vec<TextBits>,
}

impl Validation<'_, '_> {
    async fn gain(&self, set: Vec<&Statement>) -> Result<Gain> {
        let with = scores(self.calls, self.settings, self.examples, &set).await?;
        Ok(gain_of(&self.without, &with))
    }
}

/// Gain of one set of prompts over another on the same texts: `without` and `with` are the same
/// held-out reviews with different drafts.
///
/// # Errors
/// As [`CachedLm::score`].
pub async fn gain(
    calls: &CachedLm<'_>,
    settings: ValidationSettings,
    without: &[HeldOutExample],
    with: &[HeldOutExample],
) -> Result<Gain> {
    let without = scores(calls, settings, without, &[]).await?;
    Ok(gain_of(&without, &scores(calls, settings, with, &[]).await?))
}

/// The mean gain over held-out reviews, and the standard error of the specific gain.
fn gain_of(without: &[TextBits], with: &[TextBits]) -> Gain {
    let mean = |values: &[f64]| match values.len() {
        0 => 0.0,
        n => values.iter().sum::<f64>() / n as f64,
    };
    let (mut own, mut peers) = (Vec::new(), Vec::new());
    for (without, with) in without.iter().zip(with) {
        own.push(without.own - with.own);
        let others: Vec<f64> =
            without.others.iter().zip(&with.others).map(|(without, with)| without - with).collect();
        peers.push(mean(&others));
    }
    let specific: Vec<f64> = own.iter().zip(&peers).map(|(own, peers)| own - peers).collect();
    let (middle, n) = (mean(&specific), specific.len());
    let squares: f64 = specific.iter().map(|x| (x - middle).powi(2)).sum();
    let standard_error = match n {
        0 | 1 => 0.0,
        n => (squares / ((n - 1) * n) as f64).sqrt(),
    };
    // Shrunk towards zero by one standard error, and no further.
    let shrunk = middle.signum() * (middle.abs() - standard_error).max(0.0);
    Gain { own: mean(&own), peers: mean(&peers), specific: shrunk, standard_error, reviews: n }
}

async fn scores(
    calls: &CachedLm<'_>,
    settings: ValidationSettings,
    examples: &[HeldOutExample],
    set: &[&Statement],
) -> Result<Vec<TextBits>> {
    let each = examples.iter().map(async |example| -> Result<TextBits> {
        let notes = set.iter().map(|statement| Block::of_note(&statement.text));
        let draft = example.draft.clone().with_all(Part::Notes, notes);
        let from_statements = set.iter().flat_map(|s| s.reviews.iter().chain(&s.against));
        let sources: Vec<ReviewId> =
            example.sources.iter().chain(from_statements).copied().collect();
        let texts = std::iter::once(&example.own).chain(&example.others);
        let scored = texts.map(async |stored| -> Result<f64> {
            let sources: Vec<ReviewId> = sources.iter().copied().chain([stored.id]).collect();
            let call = ScoreCall {
                stage: settings.stage,
                draft: draft.clone(),
                sources: &sources,
                text: &stored.review.text,
                limit: Some(settings.tokens),
                max_tokens: settings.max_tokens,
                top: 0,
            };
            let scored: Scored = calls.score(call).await?;
            Ok(scored.bits_per_token().unwrap_or(0.0))
        });
        let mut bits = try_join_all(scored.collect::<Vec<_>>()).await?;
        let others = bits.split_off(1);
        Ok(TextBits { own: bits.first().copied().unwrap_or(0.0), others })
    });
    try_join_all(each.collect::<Vec<_>>()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(own: f64, others: &[f64]) -> TextBits {
        TextBits { own, others: others.to_vec() }
    }

    #[test]
    fn a_gain_is_the_own_texts_less_the_others() {
        let without = [bits(5.0, &[4.0, 6.0]), bits(4.0, &[5.0]), bits(6.0, &[])];
        let with = [bits(4.0, &[4.0, 5.0]), bits(3.4, &[4.8]), bits(5.5, &[])];
        // Own 1.0, 0.6, 0.5; others 0.5, 0.2, 0: specific 0.5, 0.4, 0.5.
        let gain = gain_of(&without, &with);
        assert!((gain.own - 0.7).abs() < 1e-12 && (gain.peers - 0.7 / 3.0).abs() < 1e-12);
        let error = (2.0 / 3.0 * 0.01_f64 / 6.0).sqrt();
        assert!((gain.standard_error - error).abs() < 1e-12, "{}", gain.standard_error);
        assert!((gain.specific - (1.4 / 3.0 - error)).abs() < 1e-12);
        // A gain smaller than its standard error becomes 0; a loss stays a loss.
        let noisy = gain_of(&[bits(1.0, &[]), bits(1.0, &[])], &[bits(0.0, &[]), bits(1.9, &[])]);
        assert!(noisy.specific.abs() < 1e-12);
        assert!(gain_of(&with, &without).specific < 0.0);
    }
}
