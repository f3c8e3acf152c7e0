//! Aspects, which are topics of sentences, and the coherence of texts, both from sentence
//! embeddings.

use std::ops::Range;

use super::analyzed_text::RatedText;
use super::lexicon::StyleLexicon;
use super::paired_test::{PairedDifference, compare};
use crate::peers::{self, cluster};
use idiolect_engine::encoder::Encoder;

/// Sentence encoder. [`Encoder`] implements it; tests bring their own.
pub trait SentenceVectors {
    /// Returns a vector for each sentence, all of one dimension.
    ///
    /// # Errors
    /// Error if the encoder fails.
    fn vectors(&self, sentences: &[&str]) -> peers::Result<Vec<Vec<f32>>>;
}

impl SentenceVectors for Encoder {
    fn vectors(&self, sentences: &[&str]) -> peers::Result<Vec<Vec<f32>>> {
        Ok(self.encode(sentences)?.into_iter().map(|embedding| embedding.vector).collect())
    }
}

/// Mean number of sentences per aspect, and maximum number of aspects.
const SENTENCES_PER_ASPECT: usize = 12;
const MAX_ASPECTS: usize = 12;
/// Maximum number of words that name an aspect.
const MAX_NAME_WORDS: usize = 3;
/// Minimum share of an aspect's sentences that contain a word of its name.
const MIN_SHARE: f64 = 0.1;
/// Seed of the clustering. It is fixed, so that the same texts give the same aspects.
const SEED: u64 = 0;

/// A topic that sentences of several texts are about.
pub(super) struct Aspect {
    /// Words that distinguish its sentences, separated by commas.
    pub(super) name: String,
    pub(super) difference: PairedDifference,
    /// Its sentences in the user's texts: index of the text, span in bytes.
    pub(super) shown: Vec<(usize, Range<usize>)>,
}

/// The sentences of texts and their vectors.
pub(super) struct Sentences<'a, 't> {
    texts: &'a [RatedText<'t>],
    groups: &'a [Range<usize>],
    /// Text and sentence of each vector.
    places: Vec<(usize, usize)>,
    vectors: Vec<Vec<f32>>,
}

impl<'a, 't> Sentences<'a, 't> {
    pub(super) fn new(
        texts: &'a [RatedText<'t>],
        groups: &'a [Range<usize>],
        encoder: &dyn SentenceVectors,
    ) -> peers::Result<Self> {
        let places: Vec<(usize, usize)> = texts
            .iter()
            .enumerate()
            .flat_map(|(t, text)| (0..text.analyzed.sentences.len()).map(move |s| (t, s)))
            .collect();
        let sentence = |&(t, s): &(usize, usize)| {
            let analyzed = &texts[t].analyzed;
            &analyzed.text[analyzed.sentences[s].span.clone()]
        };
        let sentences: Vec<&str> = places.iter().map(sentence).collect();
        let vectors =
            if sentences.is_empty() { Vec::new() } else { encoder.vectors(&sentences)? };
        Ok(Self { texts, groups, places, vectors })
    }

    /// Mean cosine of neighbouring sentences of each text; NaN for texts with fewer than two
    /// sentences.
    pub(super) fn coherence(&self) -> Vec<f64> {
        let mut sums = vec![(0.0, 0.0); self.texts.len()];
        for (places, vectors) in self.places.windows(2).zip(self.vectors.windows(2)) {
            if let ([(a, _), (b, _)], [x, y]) = (places, vectors)
                && a == b
            {
                sums[*a].0 += cosine(x, y);
                sums[*a].1 += 1.0;
            }
        }
        sums.into_iter().map(|(sum, n)| sum / n).collect()
    }

    /// Clusters the sentences of all texts by topic, and returns the aspects that can be compared
    /// and named.
    ///
    /// The mean vector of an item's sentences is subtracted from each of them, so that clusters
    /// reflect what is said about items and not which items they are. The clustering does not
    /// depend on who wrote a sentence.
    pub(super) fn aspects(&self, lexicon: &StyleLexicon) -> Vec<Aspect> {
        let k = (self.vectors.len() / SENTENCES_PER_ASPECT).min(MAX_ASPECTS);
        if k < 2 {
            return Vec::new();
        }
        let centred = self.centred();
        let points: Vec<&[f32]> = centred.iter().map(Vec::as_slice).collect();
        let assignment = cluster(&points, k, SEED);
        (0..k).filter_map(|aspect| self.aspect(&assignment, aspect, lexicon)).collect()
    }

    fn aspect(
        &self,
        assignment: &[usize],
        aspect: usize,
        lexicon: &StyleLexicon,
    ) -> Option<Aspect> {
        let within: Vec<bool> = assignment.iter().map(|a| *a == aspect).collect();
        let mut counts = vec![0.0; self.texts.len()];
        for ((text, _), _) in self.places.iter().zip(&within).filter(|(_, within)| **within) {
            counts[*text] += 1.0;
        }
        let values = counts.iter().zip(self.texts);
        let values: Vec<f64> =
            values.map(|(n, text)| n / text.analyzed.sentences.len() as f64).collect();
        let difference = compare(&values, self.groups)?;
        let mut own = vec![false; self.texts.len()];
        for group in self.groups {
            own[group.start] = true;
        }
        let shown =
            self.places.iter().zip(&within).filter(|((text, _), in_it)| **in_it && own[*text]);
        let shown = shown
            .map(|((text, s), _)| (*text, self.texts[*text].analyzed.sentences[*s].span.clone()))
            .collect();
        Some(Aspect { name: self.name(&within, lexicon)?, difference, shown })
    }

    /// Name of the aspect: the words whose share of its sentences exceeds their share of the other
    /// sentences the most.
    fn name(&self, within: &[bool], lexicon: &StyleLexicon) -> Option<String> {
        let mut counts = std::collections::BTreeMap::<&str, (f64, f64)>::new();
        for (&(t, s), within) in self.places.iter().zip(within) {
            let analyzed = &self.texts[t].analyzed;
            let mut words: Vec<&str> = analyzed.sentences[s]
                .words
                .clone()
                .filter(|word| !analyzed.words[*word].function)
                .map(|word| analyzed.lower(word))
                .filter(|word| word.chars().count() > 2 && !lexicon.is_function(word))
                .collect();
            words.sort_unstable();
            words.dedup();
            for word in words {
                let (inside, outside) = counts.entry(word).or_default();
                *(if *within { inside } else { outside }) += 1.0;
            }
        }
        let n = within.len() as f64;
        let inside = within.iter().filter(|within| **within).count() as f64;
        let score = |(a, b): (f64, f64)| a / inside - b / (n - inside).max(1.0);
        let mut words: Vec<(f64, &str)> = counts
            .into_iter()
            .filter(|(_, (a, _))| *a >= (MIN_SHARE * inside).max(2.0))
            .map(|(word, counts)| (score(counts), word))
            .filter(|(score, _)| *score > 0.0)
            .collect();
        words.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        let names: Vec<&str> =
            words.into_iter().take(MAX_NAME_WORDS).map(|(_, word)| word).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    fn centred(&self) -> Vec<Vec<f32>> {
        let mut item = vec![0; self.texts.len()];
        for (i, group) in self.groups.iter().enumerate() {
            item[group.clone()].fill(i);
        }
        let dimension = self.vectors.first().map_or(0, Vec::len);
        let mut means = vec![(vec![0.0_f64; dimension], 0.0); self.groups.len()];
        for ((text, _), vector) in self.places.iter().zip(&self.vectors) {
            let (mean, n) = &mut means[item[*text]];
            mean.iter_mut().zip(vector).for_each(|(m, x)| *m += f64::from(*x));
            *n += 1.0;
        }
        let centred = |((text, _), vector): (&(usize, usize), &Vec<f32>)| {
            let (mean, n) = &means[item[*text]];
            vector.iter().zip(mean).map(|(x, m)| (f64::from(*x) - m / n) as f32).collect()
        };
        self.places.iter().zip(&self.vectors).map(centred).collect()
    }
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>()
    };
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths > 0.0 { dot(a, b) / lengths } else { 0.0 }
}
