//! Pairs of an own text and a peer's as long, and what a trace of them needs.

use std::collections::BTreeSet;

use candle_core::Tensor;
use idiolect_core::client::Model;
use idiolect_core::corpus::{ReviewId, StoredReview, Target, View};
use idiolect_core::methods::MethodOptions;
use idiolect_core::task::Task;
use idiolect_engine::progress::Progress;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::PadSettings;
use crate::Result;
use crate::np::{NpHead, PeerLength};

use crate::np::StyleTexts;

/// Fewest own texts before one that is in a pair.
const MIN_PAST: usize = 2;

/// Inputs of training and evaluation of a token reward.
#[derive(Clone, Copy)]
pub struct PadInputs<'a> {
    /// The visible texts.
    pub view: &'a View<'a>,
    /// The language model.
    pub model: &'a dyn Model,
    /// Its output head, `[n_vocab, n_embd]`, in f32.
    pub output_head: &'a Tensor,
    /// The task, whose prompt `scp` shows past texts.
    pub task: &'a Task,
    /// Settings of methods; the sampling has no effect.
    pub options: &'a MethodOptions,
    /// Progress.
    pub progress: &'a dyn Progress,
}

/// An own text and a peer's as long on the same item.
#[derive(Debug, Clone)]
pub(super) struct PadPair {
    pub(super) user: String,
    pub(super) own: StoredReview,
    pub(super) peer: StoredReview,
    /// The user's texts that a prompt may not show: this one and the later ones.
    hidden: Vec<ReviewId>,
}

impl PadPair {
    /// The texts that are visible when the own text is written.
    pub(super) fn view<'a>(&self, view: &View<'a>) -> View<'a> {
        view.clone()
            .without_all(self.hidden.iter().copied())
            .others_before(self.own.review.time, &[&self.user])
    }

    /// The target without rating and title, which only the own text has.
    pub(super) fn target(&self, view: &View<'_>) -> Result<Target> {
        let item = view.item(&self.own.review.item)?;
        let user = self.user.clone();
        Ok(Target { user, item, rating: None, title: None, context: None })
    }

    /// A pair of two texts, of which nothing but the ids is read.
    #[cfg(test)]
    pub(super) fn of_ids(user: &str, ids: [i64; 2]) -> Self {
        let stored = |id| StoredReview {
            id: ReviewId(id),
            review: idiolect_core::corpus::Review {
                user: user.to_owned(),
                item: String::new(),
                rating: None,
                title: String::new(),
                text: String::new(),
                time: 0,
            },
            context: None,
        };
        let [own, peer] = ids.map(stored);
        Self { user: user.to_owned(), own, peer, hidden: Vec::new() }
    }

    pub(super) fn reviews(&self) -> [ReviewId; 2] {
        [self.own.id, self.peer.id]
    }
}

/// Up to `n` pairs of users of `among`, drawn at random; of each user at most `most` of the newest texts,
/// each with `peers` peers at most.
pub(super) fn draw_pairs(
    view: &View<'_>,
    texts: &StyleTexts,
    among: &BTreeSet<usize>,
    (n, most, peers): (usize, usize, usize),
    settings: &PadSettings,
) -> Result<Vec<PadPair>> {
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    let mut drawn: Vec<(usize, usize, usize)> = Vec::new();
    for &user in among {
        let own = texts.texts_of(user);
        let old_enough = own.iter().enumerate().skip(MIN_PAST).rev();
        let mut n_texts = 0;
        for (place, &at) in old_enough {
            let mut others = texts.peers(at, PeerLength::Matched, |peer| peer != user);
            if others.is_empty() || n_texts == most {
                continue;
            }
            n_texts += 1;
            others.shuffle(&mut random);
            drawn.extend(others.into_iter().take(peers).map(|peer| (place, at, peer)));
        }
    }
    drawn.shuffle(&mut random);
    drawn.truncate(n);
    let mut pairs = Vec::with_capacity(drawn.len());
    for (place, at, peer) in drawn {
        let user = texts.user_of(at);
        let ids = [texts.id_of(at), texts.id_of(peer)];
        let found: [StoredReview; 2] = match <[_; 2]>::try_from(view.reviews(&ids)?) {
            Ok(found) => found,
            Err(_) => continue,
        };
        let [own, peer] = found;
        let of_user = texts.texts_of(user)[place..].iter().map(|at| texts.id_of(*at));
        let hidden = of_user.collect();
        pairs.push(PadPair { user: texts.name_of(user).to_owned(), own, peer, hidden });
    }
    Ok(pairs)
}

/// z of the user of each pair as it was known before the own text; empty without a head.
pub(super) fn codes(
    view: &View<'_>,
    pairs: &[PadPair],
    np: Option<&NpHead>,
) -> Result<Vec<Vec<f32>>> {
    let Some(np) = np else { return Ok(vec![Vec::new(); pairs.len()]) };
    pairs.iter().map(|pair| np.z_of_user(&pair.view(view), &pair.user)).collect()
}

/// Which text of each pair counts as the own one: the first, or by chance if ownership is shuffled.
pub(super) fn exchanged(n: usize, settings: &PadSettings) -> Vec<bool> {
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    random.set_stream(1);
    (0..n).map(|_| settings.shuffled && random.random_bool(0.5)).collect()
}
