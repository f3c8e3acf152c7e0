//! Prompts and their gains in likelihood on own texts and on peers' texts.

use futures::future::try_join_all;
use serde::Serialize;

use super::STAGE;
use crate::client::ScoreCall;
use crate::corpus::{ReviewId, StoredReview, Target};
use crate::methods::{MethodContext, PastReview, Result};
use crate::peers::one_per_user;
use crate::task::{Block, Draft, Part};

/// Number of tokens of each text that count.
const TOKENS: usize = 100;

/// An own text, and a peer's on its item if there is one.
pub(super) struct FermiText {
    pub(super) own: PastReview,
    peer: Option<StoredReview>,
}

impl FermiText {
    pub(super) fn of(context: &MethodContext<'_>, past: Vec<PastReview>) -> Result<Vec<Self>> {
        let with_peer = past.into_iter().map(|own| {
            let (review, item) = &own;
            let mut others = context.view.reviews_of(&item.id)?;
            others.retain(|other| {
                other.review.user != review.review.user && !other.review.text.trim().is_empty()
            });
            let mut others = one_per_user(others, Some(review.review.time));
            // A draw that depends on nothing else, so that no user is the peer of all texts.
            let drawn = review.id.0.unsigned_abs() as usize % others.len().max(1);
            let peer = (drawn < others.len()).then(|| others.swap_remove(drawn));
            Ok(Self { own, peer })
        });
        with_peer.collect()
    }

    /// The reviews whose texts are scored.
    pub(super) fn reviews(&self) -> impl Iterator<Item = ReviewId> {
        let peer = self.peer.as_ref().map(|peer| peer.id);
        std::iter::once(self.own.0.id).chain(peer)
    }

    pub(super) fn target(&self) -> Target {
        let (review, item) = &self.own;
        review.as_target(item.clone())
    }
}

/// Bits per token of an own text and of a peer's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TextPairBits {
    own: f64,
    peer: Option<f64>,
}

/// By how many bits a token an own text and a peer's become likelier.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TextPairGain {
    pub(super) own: f64,
    pub(super) peer: Option<f64>,
}

/// Gain over the task's own prompt, in bits per token.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FermiGain {
    /// Mean over own texts.
    pub own: f64,
    /// Mean over peers' texts on the same items; 0 if there are none.
    pub peers: f64,
    /// Number of own texts.
    pub texts: usize,
}

impl FermiGain {
    pub(super) fn of(gains: &[TextPairGain]) -> Self {
        let mean = |values: Vec<f64>| match values.len() {
            0 => 0.0,
            n => values.iter().sum::<f64>() / n as f64,
        };
        Self {
            own: mean(gains.iter().map(|gain| gain.own).collect()),
            peers: mean(gains.iter().filter_map(|gain| gain.peer).collect()),
            texts: gains.len(),
        }
    }

    /// The gain of own texts beyond that of peers' texts.
    #[must_use]
    pub fn specific(&self) -> f64 {
        self.own - self.peers
    }

    /// Whether own texts become likelier, and more so than peers' texts.
    #[must_use]
    pub fn helps(&self) -> bool {
        self.own > 0.0 && self.specific() > 0.0
    }
}

/// An instruction and its gains by text.
#[derive(Debug, Clone)]
pub(super) struct TriedPrompt {
    pub(super) lines: Vec<String>,
    pub(super) improve: Vec<TextPairGain>,
    /// Empty before the search has ended.
    pub(super) choose: Vec<TextPairGain>,
}

impl TriedPrompt {
    /// The task's own prompt, on a number of texts.
    pub(super) fn seed(n_texts: usize) -> Self {
        let nothing = TextPairGain { own: 0.0, peer: Some(0.0) };
        Self { lines: Vec::new(), improve: vec![nothing; n_texts], choose: Vec::new() }
    }

    /// The specific gain; what makes own texts less likely is below the task's own prompt, whatever it
    /// does to peers' texts.
    pub(super) fn fitness(&self) -> f64 {
        let gain = FermiGain::of(&self.improve);
        match gain.own < 0.0 {
            true => gain.own.min(gain.specific()),
            false => gain.specific(),
        }
    }
}

/// The prompt of a target with an instruction.
pub(super) fn draft(lines: &[String], target: Option<&Target>) -> Draft {
    let notes = lines.iter().map(|line| Block::of_instruction(line));
    Draft::new().with_all(Part::Notes, notes).with_all(Part::Target, target.map(Block::of_target))
}

/// Bits of the texts under the task's own prompt.
pub(super) async fn seed_bits(
    context: &MethodContext<'_>,
    texts: &[FermiText],
) -> Result<Vec<TextPairBits>> {
    bits(context, &[], texts).await
}

/// Gains of an instruction over the bits of the task's own prompt.
pub(super) async fn gains(
    context: &MethodContext<'_>,
    lines: &[String],
    texts: &[FermiText],
    seed: &[TextPairBits],
) -> Result<Vec<TextPairGain>> {
    let bits = bits(context, lines, texts).await?;
    let gain = |(with, without): (&TextPairBits, &TextPairBits)| TextPairGain {
        own: without.own - with.own,
        peer: without.peer.zip(with.peer).map(|(without, with)| without - with),
    };
    Ok(bits.iter().zip(seed).map(gain).collect())
}

async fn bits(
    context: &MethodContext<'_>,
    lines: &[String],
    texts: &[FermiText],
) -> Result<Vec<TextPairBits>> {
    let scored = texts.iter().map(async |text| -> Result<TextPairBits> {
        let target = text.target();
        let score = async |review: &StoredReview| -> Result<f64> {
            // The rating and the title in the prompt are those of the own text.
            let sources = [text.own.0.id, review.id];
            let call = ScoreCall {
                stage: STAGE,
                draft: draft(lines, Some(&target)),
                sources: &sources,
                text: &review.review.text,
                limit: Some(TOKENS),
                max_tokens: context.options.max_tokens,
                top: 0,
            };
            Ok(context.calls.score(call).await?.bits_per_token().unwrap_or(0.0))
        };
        let own = score(&text.own.0).await?;
        let peer = match &text.peer {
            Some(peer) => Some(score(peer).await?),
            None => None,
        };
        Ok(TextPairBits { own, peer })
    });
    try_join_all(scored.collect::<Vec<_>>()).await
}
