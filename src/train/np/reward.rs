//! Scores of drafts for a user, by a trained head.

use idiolect_core::corpus::{StoredReview, View};
use idiolect_core::methods::{RewardError, TextReward};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::choices::draft_choices;
use super::draws::MAX_CONTEXT;
use super::features::n_words;
use super::head::NpHead;
use super::texts::SAME_LENGTH;
use super::{PeerLength, StyleFeatures};
use crate::Result;

/// Texts of others that are looked at for one to stand beside an own text on whose item nobody else
/// wrote.
const STRANGERS: usize = 32;

impl TextReward for NpHead {
    /// The user is known by up to eight pairs: choices between drafts, the newest first, and own texts
    /// against others' on the same items, the newest first; half of each where there are enough. An own
    /// text on whose item nobody else wrote stands against a text as long on another item.
    fn rewards(
        &self,
        view: &View<'_>,
        user: &str,
        texts: &[&str],
    ) -> Result<Vec<f32>, RewardError> {
        let pairs = self.known_pairs(view, user)?;
        let pairs: Vec<Vec<f32>> = pairs.iter().map(|pair| vector(&self.features, pair)).collect();
        Ok(self.scores_of(&pairs, &self.features.vectors(texts))?)
    }
}

/// A preferred text and another.
type KnownPair = [String; 2];

fn vector(features: &StyleFeatures, pair: &KnownPair) -> Vec<f32> {
    features.vectors(&[&pair[0], &pair[1]]).concat()
}

impl NpHead {
    /// Number of pairs by which a user is known in a view, up to eight.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn n_known_pairs(&self, view: &View<'_>, user: &str) -> Result<usize> {
        Ok(self.known_pairs(view, user)?.len())
    }

    /// z of a user as a view shows them.
    pub(crate) fn z_of_user(&self, view: &View<'_>, user: &str) -> Result<Vec<f32>> {
        let pairs = self.known_pairs(view, user)?;
        let pairs: Vec<Vec<f32>> = pairs.iter().map(|pair| vector(&self.features, pair)).collect();
        self.z_of(&pairs)
    }

    fn known_pairs(&self, view: &View<'_>, user: &str) -> Result<Vec<KnownPair>> {
        let mut chosen: Vec<KnownPair> = draft_choices(view, user)?
            .into_iter()
            .rev()
            .map(|choice| [choice.chosen, choice.rejected])
            .collect();
        chosen.truncate(MAX_CONTEXT);
        let own = self.own_pairs(view, user)?;
        let n_own = own.len().min(MAX_CONTEXT - chosen.len().min(MAX_CONTEXT / 2));
        chosen.truncate(MAX_CONTEXT - n_own);
        chosen.extend(own.into_iter().take(n_own));
        Ok(chosen)
    }

    /// Own texts against others', of the newest texts first; a text comes again, with another peer
    /// drawn, where there are fewer texts.
    fn own_pairs(&self, view: &View<'_>, user: &str) -> Result<Vec<KnownPair>> {
        let mut compared = Vec::new();
        for own in view.history(user)?.into_iter().rev() {
            if compared.len() == MAX_CONTEXT {
                break;
            }
            if n_words(&own.review.text) == 0 {
                continue;
            }
            let on_item = view.reviews_of(&own.review.item)?;
            let mut peers = self.peers(&own, on_item);
            if peers.is_empty() {
                peers = nearest(&own, strangers(view, &own)?);
            }
            if !peers.is_empty() {
                compared.push((own, peers));
            }
        }
        let pair = |(number, (own, peers)): (usize, &(StoredReview, Vec<String>))| {
            // The draw for a text does not depend on other texts.
            let round = (number / compared.len()) as u64;
            let mut random = ChaCha8Rng::seed_from_u64(self.settings().seed.wrapping_add(round));
            random.set_stream(own.id.0.unsigned_abs());
            [own.review.text.clone(), peers[random.random_range(0..peers.len())].clone()]
        };
        Ok(compared.iter().cycle().take(MAX_CONTEXT).enumerate().map(pair).collect())
    }

    /// Others' texts beside which an own text may stand, one a user.
    fn peers(&self, own: &StoredReview, others: Vec<StoredReview>) -> Vec<String> {
        let n = n_words(&own.review.text) as f64;
        let mut seen = std::collections::BTreeSet::from([own.review.user.clone()]);
        let fits = |other: &StoredReview| {
            let m = n_words(&other.review.text) as f64;
            let is_matched = n.max(m) <= SAME_LENGTH * n.min(m);
            m > 0.0 && (self.settings().peers == PeerLength::Any || is_matched)
        };
        let others = others.into_iter().filter(|other| {
            fits(other)
                && other.review.text != own.review.text
                && seen.insert(other.review.user.clone())
        });
        others.map(|other| other.review.text).collect()
    }
}

/// Texts by others on other items, drawn by the own text's id.
fn strangers(view: &View<'_>, own: &StoredReview) -> Result<Vec<StoredReview>> {
    let ids = view.store().review_ids()?;
    let mut random = ChaCha8Rng::seed_from_u64(own.id.0.unsigned_abs());
    let drawn: Vec<_> = (0..STRANGERS).map(|_| ids[random.random_range(0..ids.len())]).collect();
    let mut found = view.reviews(&drawn)?;
    found.retain(|other| other.review.user != own.review.user && n_words(&other.review.text) > 0);
    Ok(found)
}

/// The text that is most nearly as long as the own one.
fn nearest(own: &StoredReview, others: Vec<StoredReview>) -> Vec<String> {
    let n = n_words(&own.review.text) as f64;
    let distance = |other: &StoredReview| (n_words(&other.review.text) as f64 / n).ln().abs();
    let best = others.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    best.map(|other| other.review.text).into_iter().collect()
}
