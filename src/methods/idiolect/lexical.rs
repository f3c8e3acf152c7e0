//! The user's choice of words against that of everybody else.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::corpus::StoredReview;
use crate::difference::Model;
use crate::lm::{Bias, Lexicon};
use crate::methods::{Material, Options, Past, Result};

/// Most texts of others that are counted: about two million tokens of reviews, enough for every
/// token that a user takes often.
const MOST_OTHERS: usize = 8192;

/// What others write, and the means to count what the user does.
pub(super) struct Lexica<'a> {
    model: &'a dyn Model,
    others: Lexicon,
}

impl<'a> Lexica<'a> {
    /// Counts the visible texts of everybody but the user; of a large corpus as many as suffice,
    /// drawn by the profile's seed.
    pub(super) fn read(material: &Material<'a>, user: &str, options: &Options) -> Result<Self> {
        let mut ids = material.view.store().review_ids()?;
        if ids.len() > MOST_OTHERS {
            let mut random = ChaCha8Rng::seed_from_u64(options.profile_seed);
            ids = ids.partial_shuffle(&mut random, MOST_OTHERS).0.to_vec();
        }
        let reviews = material.view.reviews(&ids)?;
        let others = reviews.iter().filter(|stored| stored.review.user != user);
        let others = material.model.lexicon(&mut others.map(text_of))?;
        Ok(Self { model: material.model, others })
    }

    /// The score of each token, from the texts of a history.
    pub(super) fn bias(&self, history: &[Past], prior: f64) -> Result<Bias> {
        let own = self.model.lexicon(&mut history.iter().map(|(review, _)| text_of(review)))?;
        Ok(own.against(&self.others, prior))
    }
}

fn text_of(stored: &StoredReview) -> &str {
    &stored.review.text
}
