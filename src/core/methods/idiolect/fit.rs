//! Strengths fitted to a user by the likelihood of their own past texts, leaving one out at a time.
//!
//! Two strengths are fitted, each with the other one as given: that of the user's choice of words,
//! and that of the contrast prompts together with the number of peers. The candidates of each form
//! a bounded grid around the given strength; those that read the same prompts are scored in one
//! pass over a text.

use super::lexical::Lexica;
use super::occasions::{newest, occasions, without};
use super::showing::Showing;
use super::{IdiolectOptions, LexicalOptions, beside};
use crate::client::{CachedLm, ContrastPrompts, ScoreCall, Scored};
use crate::methods::{Error, Material, Options, Past, Result};
use crate::steering::{Contrast, PeerContrast, Steering};

/// Maximum number of past texts that are left out in turn, the newest.
const MOST_TEXTS: usize = 4;
/// Number of tokens of each text that count.
const TOKENS: usize = 100;
/// Candidate strengths, as multiples of the given one; gains are measured from the first.
const MULTIPLES: [f32; 6] = [0.0, 0.4, 0.8, 1.0, 1.4, 2.0];
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
    /// Weight of the user's choice of words.
    pub(super) lexical: Option<LexicalOptions>,
    /// Contrast with the other prompts.
    pub(super) contrast: Contrast,
    /// Maximum number of prompts with peers' texts; `None` takes one for each representative.
    pub(super) peers: Option<usize>,
}

impl Strengths {
    /// The strengths that the options give.
    pub(super) fn given(settings: &IdiolectOptions) -> Self {
        Self { lexical: settings.lexical, contrast: settings.contrast, peers: None }
    }
}

/// A candidate, and its gains in bits per token, summed over texts.
struct Tried<T> {
    what: T,
    own: f64,
    specific: f64,
}

/// Returns the strengths with the largest specific gain: they make the user's own past texts more
/// likely, and more so than peers' texts on the same items. Candidates that make the own texts less
/// likely are excluded. The result is shrunk towards the given strengths according to the number of
/// texts; with fewer than two it is the given strengths. Every score is stored.
pub(super) async fn strengths(
    material: &Material<'_>,
    calls: &CachedLm<'_>,
    author: &str,
    lexica: &Lexica<'_>,
    history: &[Past],
    options: &Options,
    showing: &Showing,
) -> Result<Strengths> {
    let settings = &options.idiolect;
    let given = Strengths::given(settings);
    let mut of_lexical = tried(match given.lexical {
        Some(_) => MULTIPLES.to_vec(),
        None => Vec::new(),
    });
    let ways = ways(given.contrast);
    let mut of_contrast = tried(
        ways.iter().flat_map(|way| way.rules.iter().map(|rule| (*rule, way.peers))).collect(),
    );
    let mut n_texts = 0.0;
    let left_out = newest(history, MOST_TEXTS);
    let occasions = occasions(material, history, &left_out, options, showing)?;
    for (left_out, occasion) in left_out.iter().zip(&occasions) {
        if material.progress.stop_requested() {
            return Err(Error::Stopped);
        }
        let (target, others) = without(history, left_out);
        if others.is_empty() {
            break;
        }
        let whole = lexica.steering(&others, given.lexical, settings.phrases)?;
        let whole = Steering { contrast: given.contrast, ..whole };
        let past = showing.past(material, &target, &others, options);
        let peers = beside::peers(material, author, &past, &target, options, whole.lanes())?;
        let mut sources: Vec<_> = history.iter().map(|(review, _)| review.id).collect();
        sources.extend(&peers.reviews);
        let lexical = of_lexical.iter().map(|Tried { what, .. }| {
            let scaled = whole.lexical.clone().filter(|_| *what > 0.0);
            let scaled = scaled.map(|(strength, bias)| (what * strength, bias));
            Steering { lexical: scaled, ..whole.clone() }
        });
        let lexical: Vec<Steering> = lexical.collect();
        let score = async |text: &str, beside: &ContrastPrompts, steerings: &[Steering]| {
            let call = ScoreCall {
                stage: settings.form.stage(),
                draft: occasion.draft.clone(),
                sources: &sources,
                text,
                limit: Some(TOKENS),
                max_tokens: options.max_tokens,
            };
            let scores = calls.score_steered(call, beside, steerings).await?;
            Ok::<_, Error>(scores.iter().filter_map(Scored::bits_per_token).collect::<Vec<f64>>())
        };
        let gains = async |beside: &ContrastPrompts, steerings: &[Steering]| {
            let own = score(&occasion.own.review.text, beside, steerings).await?;
            let others = match occasion.others.first() {
                Some(peer) => score(&peer.review.text, beside, steerings).await?,
                None => Vec::new(),
            };
            let gain = |bits: &[f64], i: usize| bits.get(i).map_or(0.0, |of| bits[0] - of);
            let gains = (0..own.len()).map(|i| (gain(&own, i), gain(&own, i) - gain(&others, i)));
            Ok::<_, Error>(gains.collect::<Vec<(f64, f64)>>())
        };
        let of_words = gains(&peers.beside, &lexical).await?;
        let mut of_prompts = Vec::new();
        for way in &ways {
            let mut beside = peers.beside.clone();
            beside.peers.truncate(way.peers.unwrap_or(usize::MAX));
            let steerings =
                way.rules.iter().map(|rule| Steering { contrast: *rule, ..whole.clone() });
            of_prompts.extend(gains(&beside, &steerings.collect::<Vec<_>>()).await?);
        }
        n_texts += 1.0;
        add(&mut of_lexical, &of_words);
        add(&mut of_contrast, &of_prompts);
    }
    if n_texts < 2.0 {
        return Ok(given);
    }
    let share = n_texts / (n_texts + PRIOR_TEXTS);
    let multiple = best(&of_lexical).copied().unwrap_or(1.0);
    let (contrast, peers) = best(&of_contrast).copied().unwrap_or((given.contrast, None));
    let lexical = given.lexical.map(|lexical| LexicalOptions {
        strength: between(lexical.strength, multiple * lexical.strength, share),
        ..lexical
    });
    Ok(Strengths { lexical, contrast: drawn(given.contrast, contrast, share), peers })
}

fn tried<T>(all: Vec<T>) -> Vec<Tried<T>> {
    all.into_iter().map(|what| Tried { what, own: 0.0, specific: 0.0 }).collect()
}

fn add<T>(tried: &mut [Tried<T>], gains: &[(f64, f64)]) {
    for (tried, (own, specific)) in tried.iter_mut().zip(gains) {
        tried.own += own;
        tried.specific += specific;
    }
}

/// The candidate with the largest specific gain among those whose own gain is not negative; of
/// equals the first.
fn best<T>(tried: &[Tried<T>]) -> Option<&T> {
    let fair = tried.iter().rev().filter(|tried| tried.own >= 0.0);
    fair.max_by(|a, b| a.specific.total_cmp(&b.specific)).map(|tried| &tried.what)
}

/// Rules that are tried with the same contrast prompts; the first is the user's prompt alone.
struct GridPoint {
    rules: Vec<Contrast>,
    peers: Option<usize>,
}

/// The grid around a rule's strengths with all prompts, and the given rule with the prompt of one
/// peer; empty if the rule reads no contrast prompt.
fn ways(given: Contrast) -> Vec<GridPoint> {
    let grid: Vec<Contrast> = match given {
        Contrast::None => return Vec::new(),
        Contrast::ContextSteering { strength } => {
            MULTIPLES.map(|m| Contrast::ContextSteering { strength: m * strength }).to_vec()
        }
        Contrast::Plausible { strength, plausible, outside } => {
            let of = |m: f32| Contrast::Plausible { strength: m * strength, plausible, outside };
            MULTIPLES.map(of).to_vec()
        }
        Contrast::TopK { k, weight, outside } => {
            MULTIPLES.map(|m| Contrast::TopK { k, weight: m * weight, outside }).to_vec()
        }
        Contrast::Peers(given) => AGAINST_NONE
            .into_iter()
            .flat_map(|more| AGAINST_PEERS.map(|m| (given.a + more, m * given.b)))
            .map(|(a, b)| Contrast::Peers(PeerContrast { a, b, ..given }))
            .collect(),
    };
    let rules = std::iter::once(Contrast::None).chain(grid).collect();
    let mut ways = vec![GridPoint { rules, peers: None }];
    if let Contrast::Peers(_) = given {
        ways.push(GridPoint { rules: vec![Contrast::None, given], peers: Some(1) });
    }
    ways
}

fn between(given: f32, fitted: f32, share: f64) -> f32 {
    (f64::from(given) + share * (f64::from(fitted) - f64::from(given))) as f32
}

/// The given rule with strengths interpolated towards the fitted ones by `share`; a fitted `None`
/// is the user's prompt alone.
fn drawn(given: Contrast, fitted: Contrast, share: f64) -> Contrast {
    let between = |given: f32, fitted: f32| between(given, fitted, share);
    match given {
        Contrast::None => given,
        Contrast::ContextSteering { strength } => {
            let fitted = match fitted {
                Contrast::ContextSteering { strength } => strength,
                _ => 0.0,
            };
            Contrast::ContextSteering { strength: between(strength, fitted) }
        }
        Contrast::Plausible { strength, plausible, outside } => {
            let fitted = match fitted {
                Contrast::Plausible { strength, .. } => strength,
                _ => 0.0,
            };
            Contrast::Plausible { strength: between(strength, fitted), plausible, outside }
        }
        Contrast::TopK { k, weight, outside } => {
            let fitted = match fitted {
                Contrast::TopK { weight, .. } => weight,
                _ => 1.0,
            };
            Contrast::TopK { k, weight: between(weight, fitted), outside }
        }
        Contrast::Peers(peers) => {
            let (a, b) = match fitted {
                Contrast::Peers(fitted) => (fitted.a, fitted.b),
                _ => (1.0, 0.0),
            };
            let (a, b) = (between(peers.a, a), between(peers.b, b));
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
        assert!(ways(Contrast::None).is_empty());
        let ways = ways(Contrast::Peers(GIVEN));
        assert_eq!(ways.iter().map(|way| way.peers).collect::<Vec<_>>(), [None, Some(1)]);
        assert!(ways.iter().all(|way| way.rules[0] == Contrast::None));
        let rules: Vec<PeerContrast> = ways[0].rules[1..]
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
        let Contrast::Peers(half) = drawn(Contrast::Peers(GIVEN), fitted, 0.5) else {
            unreachable!()
        };
        assert!((half.a - 1.1).abs() < 1e-6 && (half.b - 0.3).abs() < 1e-6);
        // The user's prompt alone: a = 1, b = 0.
        let given = Contrast::Peers(PeerContrast { a: 1.4, ..GIVEN });
        let Contrast::Peers(half) = drawn(given, Contrast::None, 0.5) else { unreachable!() };
        assert!((half.a - 1.2).abs() < 1e-6 && (half.b - 0.1).abs() < 1e-6);
        let cos = Contrast::ContextSteering { strength: 0.4 };
        assert_eq!(drawn(cos, Contrast::None, 1.0), Contrast::ContextSteering { strength: 0.0 });
        let pad = Contrast::TopK { k: 10, weight: 0.5, outside: None };
        let pad_alone = Contrast::TopK { k: 10, weight: 1.0, outside: None };
        assert_eq!(drawn(pad, Contrast::None, 1.0), pad_alone);
    }

    #[test]
    fn what_hurts_the_own_texts_is_never_best_and_of_equals_the_first_is() {
        let mut tried = tried(vec![0.0_f32, 0.4, 1.0, 1.4, 2.0]);
        let gains = [(0.0, 0.0), (0.2, 0.3), (0.1, 0.5), (0.1, 0.5), (-0.1, 2.0)];
        add(&mut tried, &gains);
        assert_eq!(best(&tried), Some(&1.0));
    }
}
