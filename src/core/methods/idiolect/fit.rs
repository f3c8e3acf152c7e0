//! Strengths fitted to a user by the likelihood of their own past texts, leaving one out at a time.
//!
//! Two strengths are fitted, each with the other one as given: a factor of the scores of words, and that
//! of the contrast prompts together with the number of peers. The candidates of each form
//! a bounded grid around the given strength; those that read the same prompts are scored in one
//! pass over a text.

use super::contrast_prompts::PeerPrompts;
use super::example_selection::ExampleSelection;
use super::expectation::ReadTexts;
use super::leave_one_out::{held_out_examples, newest, without};
use super::lexical::{Lexica, on_item};
use super::rule::Rule;
use crate::client::{ContrastPrompts, ScoreCall, Scored};
use crate::corpus::ReviewId;
use crate::difference::HeldOutExample;
use crate::methods::{MethodContext, PastReview, Result};
use crate::steering::{Contrast, ExpectedCounts, LogitBias, PeerContrast, Steering};

/// Maximum number of past texts that are left out in turn, the newest.
const MAX_TEXTS: usize = 4;
/// Number of tokens of each text that count.
const TOKENS: usize = 100;
/// Candidates, as multiples of the given one; gains are measured from the first.
const SCALE_GRID: [f32; 6] = [0.0, 0.4, 0.8, 1.0, 1.4, 2.0];
/// Candidates for `a`, the strength of the user's texts against none, as offsets from the given
/// one.
const AGAINST_NONE: [f32; 3] = [0.0, -0.2, 0.2];
/// Candidates for `b`, the strength against peers' texts, as multiples of the given one.
const AGAINST_PEERS: [f32; 4] = [0.0, 0.5, 1.0, 2.0];
/// Weight of the given strengths, in texts, when the fitted ones are shrunk towards them.
const PRIOR_TEXTS: f64 = 4.0;

/// Strengths, given or fitted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Strengths {
    /// Strengths of the rules.
    pub(super) rule: Rule,
    /// Factor of the scores of words: of [`Steering::lexical`] and [`Steering::expected`].
    pub(super) words: f32,
    /// Contrast with the other prompts.
    pub(super) contrast: Contrast,
    /// Maximum number of prompts with peers' texts; `None` takes one for each representative.
    pub(super) peers: Option<usize>,
}

/// A candidate, and its gains in bits per token, summed over texts.
struct FitCandidate<T> {
    value: T,
    own: f64,
    specific: f64,
}

/// Gains of a candidate on one held-out text, in bits per token.
#[derive(Debug, Clone, Copy, PartialEq)]
struct TextGain {
    /// On the user's own text.
    own: f64,
    /// On the own text minus on a peer's text about the same item.
    specific: f64,
}

/// Returns the strengths with the largest specific gain: they make the user's own past texts more
/// likely, and more so than peers' texts on the same items. Candidates that make the own texts less
/// likely are excluded. The result is shrunk towards the given strengths according to the number of
/// texts; with fewer than two it is the given strengths. Every score is stored.
pub(super) async fn fitted_strengths(
    context: &MethodContext<'_>,
    history: &[PastReview],
    selection: &ExampleSelection,
    (lexica, own_texts, all_words): (&Lexica<'_>, &ReadTexts, &ExpectedCounts),
    given: Strengths,
) -> Result<Strengths> {
    let scores_words = given.rule.lexical.strength > 0.0 || given.rule.reads_expectations();
    let mut of_words = candidates(match scores_words {
        true => SCALE_GRID.to_vec(),
        false => Vec::new(),
    });
    let grid = grid(given.contrast);
    let mut of_contrast = candidates(
        grid.iter().flat_map(|point| point.rules.iter().map(|rule| (*rule, point.peers))).collect(),
    );
    let mut n_texts = 0.0;
    let held_out = newest(history, MAX_TEXTS);
    let examples = held_out_examples(context, history, &held_out, selection)?;
    for (held_out, example) in held_out.iter().zip(&examples) {
        context.check_stop()?;
        let (target, rest) = without(history, held_out);
        if rest.is_empty() {
            break;
        }
        let on_item = on_item(context, Some(&target))?;
        let own = own_texts.without(Some(held_out.0.id));
        let words = (&own.words, all_words);
        let steering = lexica.steering(&rest, words, &on_item, &given.rule)?;
        let steering = Steering { contrast: given.contrast, ..steering };
        let past = selection.past(context, Some(&target), &rest);
        let prompts = PeerPrompts::of(context, &past, Some(&target), steering.needs())?;
        let mut sources: Vec<_> = history.iter().map(|(review, _)| review.id).collect();
        sources.extend(&prompts.reviews);
        let text = HeldOutText { context, example, sources };
        let scaled: Vec<Steering> =
            of_words.iter().map(|candidate| with_words(&steering, candidate.value)).collect();
        add(&mut of_words, &text.gains(&prompts.contrast, &scaled).await?);
        let mut of_prompts = Vec::new();
        for point in &grid {
            let mut contrast = prompts.contrast.clone();
            contrast.peers.truncate(point.peers.unwrap_or(usize::MAX));
            let rules = point.rules.iter();
            let steerings = rules.map(|rule| Steering { contrast: *rule, ..steering.clone() });
            of_prompts.extend(text.gains(&contrast, &steerings.collect::<Vec<_>>()).await?);
        }
        add(&mut of_contrast, &of_prompts);
        n_texts += 1.0;
    }
    if n_texts < 2.0 {
        return Ok(given);
    }
    let share = n_texts / (n_texts + PRIOR_TEXTS);
    let words = best(&of_words).copied().unwrap_or(1.0);
    let (contrast, peers) = best(&of_contrast).copied().unwrap_or((given.contrast, None));
    let words = lerp(given.words, words, share);
    Ok(Strengths { words, contrast: shrink(given.contrast, contrast, share), peers, ..given })
}

/// The steering with the scores of words multiplied by `scale`.
pub(super) fn with_words(steering: &Steering, scale: f32) -> Steering {
    let scaled = |part: &Option<(f32, LogitBias)>| {
        let part = part.clone().filter(|_| scale > 0.0);
        part.map(|(strength, bias)| (scale * strength, bias))
    };
    let (lexical, expected) = (scaled(&steering.lexical), scaled(&steering.expected));
    Steering { lexical, expected, ..steering.clone() }
}

/// A text that is left out of the history and scored under the prompt with the others.
struct HeldOutText<'t, 'c> {
    context: &'t MethodContext<'c>,
    example: &'t HeldOutExample,
    sources: Vec<ReviewId>,
}

impl HeldOutText<'_, '_> {
    /// Gains of each steering over the first one.
    async fn gains(
        &self,
        contrast: &ContrastPrompts,
        steerings: &[Steering],
    ) -> Result<Vec<TextGain>> {
        let own = self.bits(&self.example.own.review.text, contrast, steerings).await?;
        let others = match self.example.others.first() {
            Some(peer) => self.bits(&peer.review.text, contrast, steerings).await?,
            None => Vec::new(),
        };
        let gain = |bits: &[f64], i: usize| bits.get(i).map_or(0.0, |of| bits[0] - of);
        let gains = (0..own.len()).map(|i| {
            let own = gain(&own, i);
            TextGain { own, specific: own - gain(&others, i) }
        });
        Ok(gains.collect())
    }

    /// Bits per token of a text under each steering; empty for an empty text.
    async fn bits(
        &self,
        text: &str,
        contrast: &ContrastPrompts,
        steerings: &[Steering],
    ) -> Result<Vec<f64>> {
        let options = self.context.options;
        let call = ScoreCall {
            stage: options.idiolect.form.stage(),
            draft: self.example.draft.clone(),
            sources: &self.sources,
            text,
            limit: Some(TOKENS),
            max_tokens: options.max_tokens,
            top: 0,
        };
        let scores = self.context.calls.score_steered(call, contrast, steerings).await?;
        Ok(scores.iter().filter_map(Scored::bits_per_token).collect())
    }
}

fn candidates<T>(values: Vec<T>) -> Vec<FitCandidate<T>> {
    values.into_iter().map(|value| FitCandidate { value, own: 0.0, specific: 0.0 }).collect()
}

fn add<T>(candidates: &mut [FitCandidate<T>], gains: &[TextGain]) {
    for (candidate, gain) in candidates.iter_mut().zip(gains) {
        candidate.own += gain.own;
        candidate.specific += gain.specific;
    }
}

/// The candidate with the largest specific gain among those whose own gain is not negative; of
/// equals the first.
fn best<T>(candidates: &[FitCandidate<T>]) -> Option<&T> {
    let fair = candidates.iter().rev().filter(|candidate| candidate.own >= 0.0);
    fair.max_by(|a, b| a.specific.total_cmp(&b.specific)).map(|candidate| &candidate.value)
}

/// Rules that are tried with the same contrast prompts; the first is the user's prompt alone.
struct GridPoint {
    rules: Vec<Contrast>,
    peers: Option<usize>,
}

/// The grid around a rule's strengths with all prompts, and the given rule with the prompt of one
/// peer; empty if the rule reads no contrast prompt.
fn grid(given: Contrast) -> Vec<GridPoint> {
    let strengths: Vec<Contrast> = match given {
        Contrast::None => return Vec::new(),
        Contrast::ContextSteering { strength } => {
            SCALE_GRID.map(|m| Contrast::ContextSteering { strength: m * strength }).to_vec()
        }
        Contrast::Plausible { strength, plausible, outside } => {
            let of = |m: f32| Contrast::Plausible { strength: m * strength, plausible, outside };
            SCALE_GRID.map(of).to_vec()
        }
        Contrast::TopK { k, weight, outside } => {
            SCALE_GRID.map(|m| Contrast::TopK { k, weight: m * weight, outside }).to_vec()
        }
        Contrast::Tier { b, plausible, outside } => {
            SCALE_GRID.map(|m| Contrast::Tier { b: m * b, plausible, outside }).to_vec()
        }
        Contrast::Peers(given) => AGAINST_NONE
            .into_iter()
            .flat_map(|more| AGAINST_PEERS.map(|m| (given.a + more, m * given.b)))
            .map(|(a, b)| Contrast::Peers(PeerContrast { a, b, ..given }))
            .collect(),
    };
    let rules = std::iter::once(Contrast::None).chain(strengths).collect();
    let mut points = vec![GridPoint { rules, peers: None }];
    if let Contrast::Peers(_) = given {
        points.push(GridPoint { rules: vec![Contrast::None, given], peers: Some(1) });
    }
    points
}

/// Linear interpolation from `given` (`share` 0) to `fitted` (`share` 1).
fn lerp(given: f32, fitted: f32, share: f64) -> f32 {
    (f64::from(given) + share * (f64::from(fitted) - f64::from(given))) as f32
}

/// The given rule with strengths interpolated towards the fitted ones by `share`; a fitted `None`
/// is the user's prompt alone.
fn shrink(given: Contrast, fitted: Contrast, share: f64) -> Contrast {
    let lerp = |given: f32, fitted: f32| lerp(given, fitted, share);
    match given {
        Contrast::None => given,
        Contrast::ContextSteering { strength } => {
            let fitted = match fitted {
                Contrast::ContextSteering { strength } => strength,
                _ => 0.0,
            };
            Contrast::ContextSteering { strength: lerp(strength, fitted) }
        }
        Contrast::Plausible { strength, plausible, outside } => {
            let fitted = match fitted {
                Contrast::Plausible { strength, .. } => strength,
                _ => 0.0,
            };
            Contrast::Plausible { strength: lerp(strength, fitted), plausible, outside }
        }
        Contrast::TopK { k, weight, outside } => {
            let fitted = match fitted {
                Contrast::TopK { weight, .. } => weight,
                _ => 1.0,
            };
            Contrast::TopK { k, weight: lerp(weight, fitted), outside }
        }
        Contrast::Tier { b, plausible, outside } => {
            let fitted = match fitted {
                Contrast::Tier { b, .. } => b,
                _ => 0.0,
            };
            Contrast::Tier { b: lerp(b, fitted), plausible, outside }
        }
        Contrast::Peers(peers) => {
            let (a, b) = match fitted {
                Contrast::Peers(fitted) => (fitted.a, fitted.b),
                _ => (1.0, 0.0),
            };
            let (a, b) = (lerp(peers.a, a), lerp(peers.b, b));
            Contrast::Peers(PeerContrast { a, b, ..peers })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: PeerContrast =
        PeerContrast { a: 1.0, b: 0.2, plausible: 0.1, divergence: 0.1, ramp: 0 };

    #[test]
    fn the_grid_is_bounded_around_what_is_given() {
        assert!(grid(Contrast::None).is_empty());
        let grid = grid(Contrast::Peers(GIVEN));
        assert_eq!(grid.iter().map(|point| point.peers).collect::<Vec<_>>(), [None, Some(1)]);
        assert!(grid.iter().all(|point| point.rules[0] == Contrast::None));
        let rules: Vec<PeerContrast> = grid[0].rules[1..]
            .iter()
            .filter_map(|rule| match rule {
                Contrast::Peers(peers) => Some(*peers),
                _ => None,
            })
            .collect();
        assert_eq!(rules.len(), 12);
        assert!(rules.contains(&GIVEN));
        assert!(rules.iter().all(|r| (0.8..=1.2).contains(&r.a) && (0.0..=0.4).contains(&r.b)));
        assert!(rules.iter().all(|rule| PeerContrast { a: 1.0, b: 0.2, ..*rule } == GIVEN));
    }

    #[test]
    fn what_is_fitted_is_drawn_towards_what_is_given() {
        let fitted = Contrast::Peers(PeerContrast { a: 1.2, b: 0.4, ..GIVEN });
        let Contrast::Peers(half) = shrink(Contrast::Peers(GIVEN), fitted, 0.5) else {
            unreachable!()
        };
        assert!((half.a - 1.1).abs() < 1e-6 && (half.b - 0.3).abs() < 1e-6);
        // The user's prompt alone: a = 1, b = 0.
        let given = Contrast::Peers(PeerContrast { a: 1.4, ..GIVEN });
        let Contrast::Peers(half) = shrink(given, Contrast::None, 0.5) else { unreachable!() };
        assert!((half.a - 1.2).abs() < 1e-6 && (half.b - 0.1).abs() < 1e-6);
        let cos = Contrast::ContextSteering { strength: 0.4 };
        assert_eq!(shrink(cos, Contrast::None, 1.0), Contrast::ContextSteering { strength: 0.0 });
        let pad = Contrast::TopK { k: 10, weight: 0.5, outside: None };
        let pad_alone = Contrast::TopK { k: 10, weight: 1.0, outside: None };
        assert_eq!(shrink(pad, Contrast::None, 1.0), pad_alone);
    }

    #[test]
    fn what_hurts_the_own_texts_is_never_best_and_of_equals_the_first_is() {
        let mut candidates = candidates(vec![0.0_f32, 0.4, 1.0, 1.4, 2.0]);
        let gains = [(0.0, 0.0), (0.2, 0.3), (0.1, 0.5), (0.1, 0.5), (-0.1, 2.0)];
        add(&mut candidates, &gains.map(|(own, specific)| TextGain { own, specific }));
        assert_eq!(best(&candidates), Some(&1.0));
    }
}
