//! Strengths fitted to a user by the likelihood of their own past texts, each left out in turn.

use super::LexicalOptions;
use super::lexical::Lexica;
use super::occasions::{newest, occasions, without};
use super::showing::Showing;
use crate::difference::{Beside, Calls, ScoreCall};
use crate::lm::Steering;
use crate::methods::{Error, Material, Options, Past, Result};

/// Most past texts that are left out in turn, the newest.
const MOST_TEXTS: usize = 4;
/// Tokens of each that count.
const TOKENS: usize = 100;
/// Strengths that are tried, as multiples of the one that is given.
const MULTIPLES: [f32; 6] = [0.0, 0.4, 0.8, 1.0, 1.4, 2.0];
/// Texts that the given strength counts as where the fitted ones are shrunk towards it.
const PRIOR_TEXTS: f64 = 4.0;

/// The strength under which the user's own past texts become likelier by most and peers' texts on the
/// same items by least, as far as the own ones do not become less likely than without it. It is
/// drawn towards the given one by the number of texts; with fewer than two it is the given one.
pub(super) async fn strength(
    material: &Material<'_>,
    calls: &Calls<'_>,
    lexica: &Lexica<'_>,
    history: &[Past],
    options: &Options,
    showing: &Showing,
    lexical: LexicalOptions,
) -> Result<LexicalOptions> {
    let mut gains = vec![(0.0, 0.0); MULTIPLES.len()];
    let mut n_texts = 0.0;
    let tried = newest(history, MOST_TEXTS);
    let occasions = occasions(material, history, &tried, options, showing)?;
    for (tried, occasion) in tried.iter().zip(&occasions) {
        if material.progress.stop_requested() {
            return Err(Error::Stopped);
        }
        let (_, others) = without(history, tried);
        if others.is_empty() {
            break;
        }
        let whole = lexica.steering(&others, Some(lexical), options.idiolect.phrases)?;
        let steerings = MULTIPLES.map(|multiple| {
            let scaled = whole.lexical.clone().filter(|_| multiple > 0.0);
            let scaled = scaled.map(|(strength, bias)| (multiple * strength, bias));
            Steering { lexical: scaled, ..whole.clone() }
        });
        let score = async |text: &str, made_from: &[_]| -> Result<Vec<f64>> {
            let call = ScoreCall {
                stage: options.idiolect.form.stage(),
                draft: occasion.draft.clone(),
                made_from,
                text,
                limit: Some(TOKENS),
                max_tokens: options.max_tokens,
            };
            let scores = calls.score_steered(call, &Beside::default(), &steerings).await?;
            Ok(scores.iter().filter_map(crate::difference::Scored::bits_per_token).collect())
        };
        let made_from: Vec<_> = history.iter().map(|(review, _)| review.id).collect();
        let own_bits = score(&occasion.own.review.text, &made_from).await?;
        let peer_bits = match occasion.others.first() {
            Some(peer) => {
                let made_from: Vec<_> = made_from.iter().copied().chain([peer.id]).collect();
                score(&peer.review.text, &made_from).await?
            }
            None => Vec::new(),
        };
        if own_bits.len() == MULTIPLES.len() {
            n_texts += 1.0;
            for (i, (own_gain, specific)) in gains.iter_mut().enumerate() {
                let own = own_bits[0] - own_bits[i];
                *own_gain += own;
                *specific += own - peer_bits.get(i).map_or(0.0, |bits| peer_bits[0] - bits);
            }
        }
    }
    if n_texts < 2.0 {
        return Ok(lexical);
    }
    let best = gains
        .iter()
        .zip(MULTIPLES)
        .filter(|((own, _), _)| *own >= 0.0)
        .max_by(|((_, a), _), ((_, b), _)| a.total_cmp(b))
        .map_or(0.0, |(_, multiple)| f64::from(multiple));
    let shrunk = (n_texts * best + PRIOR_TEXTS) / (n_texts + PRIOR_TEXTS);
    Ok(LexicalOptions { strength: (shrunk as f32) * lexical.strength, ..lexical })
}
