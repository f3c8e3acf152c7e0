//! The user's choice of words compared with everybody else's, and the user's n-gram cache.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::rule::Rule;
use crate::client::Model;
use crate::corpus::{StoredReview, Target, View};
use crate::methods::{MethodContext, PastReview, Result};
use crate::steering::{
    AuthorWords, ExpectedCounts, NgramCache, Steering, UnigramCounts, expected_bias,
};

/// Maximum number of others' texts that are counted: about two million tokens of reviews, enough
/// for every token that a user uses often.
const MAX_OTHERS: usize = 8192;

/// Token counts of others' texts, and the model that counts the user's.
pub(super) struct Lexica<'a> {
    model: &'a dyn Model,
    others: UnigramCounts,
}

impl<'a> Lexica<'a> {
    /// Counts the tokens of the visible texts of all other users; of a large corpus a sample that
    /// suffices, drawn with the profile seed. If the store is a part of a corpus, all texts of the corpus
    /// count but the user's.
    pub(super) fn read(context: &MethodContext<'a>) -> Result<Self> {
        if let Some(background) = context.view.background() {
            let own = context.view.store().history(context.author)?;
            let own = UnigramCounts::of(context.model.vocabulary()?, own.iter().map(text_of))?;
            let others = UnigramCounts::of_counts(background.counts.clone()).without(&own);
            return Ok(Self { model: context.model, others });
        }
        let reviews = sample_of(&context.view, context.options.profile_seed)?;
        let others = others_counts(context.model, &reviews, context.author)?;
        Ok(Self { model: context.model, others })
    }

    /// Makes the steering from the texts of a history, from what the model expected of the user and of
    /// all users, and from others' texts on the item, without a contrast.
    pub(super) fn steering(
        &self,
        history: &[PastReview],
        (own_words, all_words): (&ExpectedCounts, &ExpectedCounts),
        on_item: &[StoredReview],
        rule: &Rule,
    ) -> Result<Steering> {
        let own = || history.iter().map(|(review, _)| text_of(review));
        let item = || on_item.iter().map(text_of);
        let vocabulary = self.model.vocabulary()?;
        let mut steering = Steering {
            power: Some(rule.power).filter(|power| *power != 1.0),
            ..Steering::default()
        };
        if rule.lexical.strength > 0.0 {
            let own = UnigramCounts::of(vocabulary, own())?;
            let bias = own.against(&self.others, rule.lexical.prior);
            steering.lexical = Some((rule.lexical.strength, bias));
        }
        if rule.reads_expectations() {
            let counts = UnigramCounts::of(vocabulary, own())?;
            let own = AuthorWords::of(own_words, &counts, &self.others);
            let (own, all) = ((&rule.expected, &own), (&rule.corpus, all_words));
            steering.expected = Some((1.0, expected_bias(vocabulary.n_tokens(), own, all)));
        }
        if rule.item.strength > 0.0 && !on_item.is_empty() {
            let item = UnigramCounts::of(vocabulary, item())?;
            let bias = item.against(&self.others.without(&item), rule.item.prior);
            steering.item = Some((rule.item.strength, bias));
        }
        if rule.phrases > 0.0 {
            steering.phrases = Some((rule.phrases, NgramCache::of(vocabulary, own())?));
        }
        if rule.item_phrases > 0.0 && !on_item.is_empty() {
            steering.item_phrases = Some((rule.item_phrases, NgramCache::of(vocabulary, item())?));
        }
        Ok(steering)
    }
}

/// The visible reviews; of a large corpus a sample that suffices to count words.
pub(super) fn sample_of(view: &View<'_>, seed: u64) -> Result<Vec<StoredReview>> {
    let mut ids = view.store().review_ids()?;
    if ids.len() > MAX_OTHERS {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        ids = ids.partial_shuffle(&mut random, MAX_OTHERS).0.to_vec();
    }
    Ok(view.reviews(&ids)?)
}

/// Counts of the tokens of all reviews but one user's.
pub(super) fn others_counts(
    model: &dyn Model,
    reviews: &[StoredReview],
    user: &str,
) -> Result<UnigramCounts> {
    let others = reviews.iter().filter(|stored| stored.review.user != user);
    Ok(UnigramCounts::of(model.vocabulary()?, others.map(text_of))?)
}

/// Others' visible texts on an item, oldest first.
pub(super) fn on_item(
    context: &MethodContext<'_>,
    target: Option<&Target>,
) -> Result<Vec<StoredReview>> {
    let Some(target) = target else { return Ok(Vec::new()) };
    let mut reviews = context.view.reviews_of(&target.item.id)?;
    reviews.retain(|other| {
        let user = other.review.user.as_str();
        user != context.author && user != target.user && !other.review.text.trim().is_empty()
    });
    Ok(reviews)
}

fn text_of(stored: &StoredReview) -> &str {
    &stored.review.text
}
