//! The user's choice of words compared with everybody else's, and the user's n-gram cache.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::client::Model;
use crate::corpus::StoredReview;
use crate::methods::{LexicalOptions, MethodContext, PastReview, Result};
use crate::steering::{NgramCache, Steering, UnigramCounts};

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
    /// suffices, drawn with the profile seed.
    pub(super) fn read(context: &MethodContext<'a>) -> Result<Self> {
        let mut ids = context.view.store().review_ids()?;
        if ids.len() > MAX_OTHERS {
            let mut random = ChaCha8Rng::seed_from_u64(context.options.profile_seed);
            ids = ids.partial_shuffle(&mut random, MAX_OTHERS).0.to_vec();
        }
        let reviews = context.view.reviews(&ids)?;
        let others = reviews.iter().filter(|stored| stored.review.user != context.author);
        let others = UnigramCounts::of(context.model.vocabulary()?, others.map(text_of))?;
        Ok(Self { model: context.model, others })
    }

    /// Makes the steering from the texts of a history, without a contrast.
    pub(super) fn steering(
        &self,
        history: &[PastReview],
        lexical: Option<LexicalOptions>,
        phrases: f32,
    ) -> Result<Steering> {
        let own = history.iter().map(|(review, _)| text_of(review));
        let lexical = match lexical {
            Some(LexicalOptions { strength, prior }) => {
                let own = UnigramCounts::of(self.model.vocabulary()?, own.clone())?;
                Some((strength, own.against(&self.others, prior)))
            }
            None => None,
        };
        let phrases = match phrases > 0.0 {
            true => Some((phrases, NgramCache::of(self.model.vocabulary()?, own)?)),
            false => None,
        };
        Ok(Steering { lexical, phrases, ..Steering::default() })
    }
}

fn text_of(stored: &StoredReview) -> &str {
    &stored.review.text
}
