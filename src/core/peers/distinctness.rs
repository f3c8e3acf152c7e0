//! Distinctness: how well a user's texts can be told apart from others' on the same items.

use std::collections::HashMap;

use super::Result;
use super::linear::{dot, mean};
use super::vectors::vectors_of;
use crate::corpus::{ReviewId, View};
use idiolect_engine::encoder::Encoder;

/// A user's review and the others' reviews of the same item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnItem {
    /// The user's review.
    pub own: ReviewId,
    /// The others' reviews.
    pub others: Vec<ReviewId>,
}

/// Returns how distinct a user is, 0 (like everybody) to 1.
///
/// For each item, a classifier is built from the other items and tested on this one (leave one
/// out). Its direction is the sum of (own vector − mean of the others' vectors) over the other
/// items; it attributes to the user the text with the largest projection on this direction. Let α
/// be the share of others' texts with a larger projection than the user's own text (ties count
/// half), averaged over the items and shrunk towards 1/2 by one item won and one lost (rule of
/// succession). The result is `1 − 2α`, or 0 if that is negative. The overlap α is that of C-BPO
/// (arXiv 2605.10043), with a classifier that needs no training.
///
/// Items without others' texts are skipped; with fewer than two items the result is 0. Missing
/// vectors are computed.
///
/// # Errors
///
/// The encoder or the store fails.
pub fn distinctness(view: &View<'_>, encoder: &Encoder, items: &[OnItem]) -> Result<f32> {
    let ids = items.iter().flat_map(|item| item.others.iter().chain([&item.own]));
    let vectors = vectors_of(view, encoder, &ids.copied().collect::<Vec<_>>())?;
    Ok(of_vectors(items, &vectors))
}

struct ItemVectors<'a> {
    own: &'a [f32],
    others: Vec<&'a [f32]>,
    difference: Vec<f32>,
}

fn of_vectors(items: &[OnItem], vectors: &HashMap<ReviewId, Vec<f32>>) -> f32 {
    let vector = |id: &ReviewId| vectors.get(id).map(Vec::as_slice);
    let items: Vec<ItemVectors<'_>> = items
        .iter()
        .filter_map(|item| {
            let own = vector(&item.own)?;
            let others: Vec<&[f32]> = item.others.iter().filter_map(vector).collect();
            let mean = mean(others.iter().copied(), own.len())?;
            let difference = own.iter().zip(&mean).map(|(x, m)| x - m).collect();
            Some(ItemVectors { own, others, difference })
        })
        .collect();
    let n = items.len();
    if n < 2 {
        return 0.0;
    }
    let taken: f64 = (0..n).map(|left_out| taken_for_the_user(&items, left_out)).sum();
    let overlap = (taken + 1.0) / (n as f64 + 2.0);
    (1.0 - 2.0 * overlap).max(0.0) as f32
}

/// Returns the share of others' texts on the item `left_out` that have a larger projection than the
/// user's own text on the direction from the other items; ties count half.
fn taken_for_the_user(items: &[ItemVectors<'_>], left_out: usize) -> f64 {
    let ItemVectors { own, others, .. } = &items[left_out];
    let mut direction = vec![0.0; own.len()];
    for (_, item) in items.iter().enumerate().filter(|(i, _)| *i != left_out) {
        direction.iter_mut().zip(&item.difference).for_each(|(sum, x)| *sum += x);
    }
    let bar = dot(own, &direction);
    let taken = others.iter().map(|other| match dot(other, &direction) {
        x if x > bar => 1.0,
        x if x < bar => 0.0,
        _ => 0.5,
    });
    taken.sum::<f64>() / others.len() as f64
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Distinctness over `n` items with three others' texts each. Vectors are noise; one component
    /// of the user's vectors is shifted by `shift`.
    fn of_user(n: i64, shift: f32, seed: u64) -> f32 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut vectors = HashMap::new();
        let mut items = Vec::new();
        for item in 0..n {
            let ids: Vec<ReviewId> = (4 * item..4 * item + 4).map(ReviewId).collect();
            for id in &ids {
                let noise = (0..16).map(|_| random.random_range(-1.0_f32..1.0));
                vectors.insert(*id, noise.collect::<Vec<f32>>());
            }
            if let Some(own) = vectors.get_mut(&ids[0]) {
                own[3] += shift;
            }
            items.push(OnItem { own: ids[0], others: ids[1..].to_vec() });
        }
        of_vectors(&items, &vectors)
    }

    #[test]
    fn who_is_like_everybody_is_not_distinct_and_who_is_not_is() {
        let mean = |shift: f32| (0..40).map(|seed| of_user(12, shift, seed)).sum::<f32>() / 40.0;
        let (alike, apart, far) = (mean(0.0), mean(2.0), mean(20.0));
        assert!(alike < 0.15, "{alike}");
        assert!(apart > alike + 0.3, "{apart}");
        // Every comparison is won; only the shrinkage remains: 12 of 14.
        assert!((far - 12.0 / 14.0).abs() < 1e-6, "{far}");
    }

    #[test]
    fn little_says_little() {
        assert_eq!(of_user(0, 20.0, 1), 0.0);
        assert_eq!(of_user(1, 20.0, 1), 0.0);
        assert!((of_user(2, 20.0, 1) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn the_same_words_as_everybodys_are_no_one_s() {
        let ids: Vec<ReviewId> = (0..6).map(ReviewId).collect();
        let vectors = ids.iter().map(|id| (*id, vec![0.5, -0.5])).collect();
        let items = ids.chunks(2).map(|pair| OnItem { own: pair[0], others: vec![pair[1]] });
        assert_eq!(of_vectors(&items.collect::<Vec<_>>(), &vectors), 0.0);
    }
}
