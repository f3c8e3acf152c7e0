//! How close two hands are, by what writers hardly choose: little words and runs of characters.
//!
//! No method here was made with these measures, so they can judge what was chosen by sentence
//! embeddings. Each is a [`Space`] fitted to a population of texts.

mod delta;
mod ngrams;
#[cfg(test)]
mod tests;
mod tf_idf;

pub use delta::{Delta, Features};
pub use tf_idf::TfIdf;

/// What a space makes of texts: features and their values, by feature.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Profile(Vec<(u64, f64)>);

impl Profile {
    /// From the values of features, each named once.
    #[must_use]
    pub fn new(mut values: Vec<(u64, f64)>) -> Self {
        values.sort_unstable_by_key(|(feature, _)| *feature);
        Self(values)
    }

    /// From a dense vector, an encoder's for instance.
    #[must_use]
    pub fn dense(vector: &[f32]) -> Self {
        Self((0..).zip(vector.iter().map(|x| f64::from(*x))).collect())
    }

    /// Cosine, -1 to 1; 0 where either is empty or vanishes.
    #[must_use]
    pub fn cosine(&self, other: &Self) -> f64 {
        let dot: f64 = self.beside(other).map(|(a, b)| a * b).sum();
        let square = |profile: &Self| profile.0.iter().map(|(_, x)| x * x).sum::<f64>();
        let lengths = (square(self) * square(other)).sqrt();
        if lengths > 0.0 { (dot / lengths).clamp(-1.0, 1.0) } else { 0.0 }
    }

    /// The values of every feature that either has, in order of features; 0 where one lacks it.
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

/// A way to say how close two hands are.
pub trait Space: Send + Sync {
    /// Name in reports.
    fn name(&self) -> &'static str;
    /// What texts of one hand have in common: one text, or all of a user's.
    fn profile(&self, texts: &[&str]) -> Profile;
    /// How close two profiles of this space are; the higher, the closer.
    fn similarity(&self, a: &Profile, b: &Profile) -> f64;
}
