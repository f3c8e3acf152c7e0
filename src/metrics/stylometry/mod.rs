//! Similarity of writing style, by function words and character n-grams, which writers hardly
//! choose on purpose.
//!
//! No generation method uses these measures, so they can also judge methods that select texts by
//! sentence embeddings. Each measure is a [`StyleSpace`] fitted to a population of texts.

mod delta;
mod ngrams;
#[cfg(test)]
mod tests;
mod tf_idf;

pub use delta::{Delta, Features};
pub use tf_idf::TfIdf;

/// Feature vector of one or more texts in a [`StyleSpace`]: feature ids and their values, by
/// ascending id.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StyleProfile(Vec<(u64, f64)>);

impl StyleProfile {
    /// A profile of these features and values; each feature must occur once.
    #[must_use]
    pub fn new(mut values: Vec<(u64, f64)>) -> Self {
        values.sort_unstable_by_key(|(feature, _)| *feature);
        Self(values)
    }

    /// A profile of a dense vector, for instance an encoder's.
    #[must_use]
    pub fn dense(vector: &[f32]) -> Self {
        Self((0..).zip(vector.iter().map(|x| f64::from(*x))).collect())
    }

    /// Cosine, -1 to 1; 0 if either profile is empty or all zeros.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> f64 {
        let dot: f64 = self.beside(other).map(|(a, b)| a * b).sum();
        let square = |profile: &Self| profile.0.iter().map(|(_, x)| x * x).sum::<f64>();
        let lengths = (square(self) * square(other)).sqrt();
        if lengths > 0.0 { (dot / lengths).clamp(-1.0, 1.0) } else { 0.0 }
    }

    /// Pairs of values for every feature of either profile, by ascending feature; 0 for a missing
    /// one.
    fn beside<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (f64, f64)> + 'a {
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        std::iter::from_fn(move || {
            let next = match (a.peek(), b.peek()) {
                (Some((i, _)), Some((j, _))) => *i.min(j),
                (Some((i, _)), None) | (None, Some((i, _))) => *i,
                (None, None) => return None,
            };
            let x = a.next_if(|(i, _)| *i == next).map_or(0.0, |(_, x)| *x);
            let y = b.next_if(|(i, _)| *i == next).map_or(0.0, |(_, y)| *y);
            Some((x, y))
        })
    }
}

/// A measure of stylistic similarity.
pub trait StyleSpace: Send + Sync {
    /// Name in reports.
    fn name(&self) -> &'static str;
    /// Style profile of one text, or of several texts of one author together.
    fn profile(&self, texts: &[&str]) -> StyleProfile;
    /// Similarity of two profiles of this space; higher is more similar.
    fn similarity(&self, a: &StyleProfile, b: &StyleProfile) -> f64;
}
