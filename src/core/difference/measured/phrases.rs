//! Index of the word n-grams that occur in each text.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::analyzed_text::RatedText;

/// Maximum number of words of an n-gram, anywhere in a text (`MAX_WORDS_ANYWHERE`) and at its ends
/// (`MAX_WORDS_AT_ENDS`).
const MAX_WORDS_ANYWHERE: usize = 3;
const MAX_WORDS_AT_ENDS: usize = 4;

/// Position of an n-gram in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum PhrasePlace {
    Anywhere,
    /// At the start of its text.
    Opening,
    /// At the end of its text.
    Closing,
}

/// An n-gram: its position and the numbers of its words, padded with 0.
type PlacedNgram = (PhrasePlace, [u32; MAX_WORDS_AT_ENDS]);

/// Texts as sequences of word numbers.
pub(super) struct NgramIndex<'t> {
    /// Words by number, from 1, and whether each is a function word.
    words: Vec<(&'t str, bool)>,
    texts: Vec<Vec<u32>>,
    /// Index of the sentence of each word.
    sentences: Vec<Vec<u32>>,
}

impl<'t> NgramIndex<'t> {
    pub(super) fn of(texts: &'t [RatedText<'_>]) -> Self {
        let mut numbers: HashMap<&'t str, u32> = HashMap::new();
        let mut corpus =
            Self { words: vec![("", false)], texts: Vec::new(), sentences: Vec::new() };
        for text in texts {
            let analyzed = &text.analyzed;
            let mut numbered = Vec::with_capacity(analyzed.words.len());
            for (i, word) in analyzed.words.iter().enumerate() {
                let next = corpus.words.len() as u32;
                let number = *numbers.entry(analyzed.lower(i)).or_insert(next);
                if number == next {
                    corpus.words.push((analyzed.lower(i), word.function));
                }
                numbered.push(number);
            }
            let mut sentences = vec![0; numbered.len()];
            for (i, sentence) in analyzed.sentences.iter().enumerate() {
                sentences[sentence.words.clone()].fill(i as u32);
            }
            corpus.texts.push(numbered);
            corpus.sentences.push(sentences);
        }
        corpus
    }

    pub(super) fn is_function(&self, word: u32) -> bool {
        self.words[word as usize].1
    }

    /// Whether it is a single character or a number, which says nothing by itself.
    pub(super) fn is_short(&self, word: u32) -> bool {
        let word = self.words[word as usize].0;
        word.chars().count() < 2 || word.chars().all(|c| c.is_ascii_digit())
    }

    /// N-grams within sentences that occur in at least `least` texts, each with the indices of
    /// these texts.
    pub(super) fn frequent(&self, least: usize) -> Vec<(PhrasePlace, Vec<u32>, Vec<usize>)> {
        // Number of texts with the n-gram, and the last of them.
        let mut seen: HashMap<PlacedNgram, (u32, u32)> = HashMap::new();
        for text in 0..self.texts.len() {
            self.runs(text, |run| {
                let (n, last) = seen.entry(run).or_insert((0, u32::MAX));
                if *last != text as u32 {
                    (*n, *last) = (*n + 1, text as u32);
                }
            });
        }
        seen.retain(|_, (n, _)| *n as usize >= least);
        let mut texts: HashMap<PlacedNgram, Vec<usize>> = HashMap::new();
        for text in 0..self.texts.len() {
            self.runs(text, |run| {
                if seen.contains_key(&run) {
                    let texts = texts.entry(run).or_default();
                    if texts.last() != Some(&text) {
                        texts.push(text);
                    }
                }
            });
        }
        let mut frequent: Vec<(PhrasePlace, Vec<u32>, Vec<usize>)> = texts
            .into_iter()
            .map(|((place, words), texts)| {
                (place, words.into_iter().take_while(|word| *word > 0).collect(), texts)
            })
            .collect();
        frequent.sort_unstable();
        frequent
    }

    fn runs(&self, text: usize, mut visit: impl FnMut(PlacedNgram)) {
        let (words, sentences) = (&self.texts[text], &self.sentences[text]);
        for start in 0..words.len() {
            let mut run = [0; MAX_WORDS_AT_ENDS];
            let place = if start == 0 { PhrasePlace::Opening } else { PhrasePlace::Anywhere };
            let most = if start == 0 { MAX_WORDS_AT_ENDS } else { MAX_WORDS_ANYWHERE };
            for (i, slot) in (start..words.len()).zip(0..most) {
                if sentences[i] != sentences[start] {
                    break;
                }
                run[slot] = words[i];
                if slot < MAX_WORDS_ANYWHERE {
                    visit((PhrasePlace::Anywhere, run));
                }
                if place == PhrasePlace::Opening {
                    visit((PhrasePlace::Opening, run));
                }
            }
        }
        let n = words.len();
        for length in 1..=MAX_WORDS_AT_ENDS.min(n) {
            if sentences[n - length] == sentences[n - 1] {
                let mut run = [0; MAX_WORDS_AT_ENDS];
                run[..length].copy_from_slice(&words[n - length..]);
                visit((PhrasePlace::Closing, run));
            }
        }
    }

    /// Function words that occur in at least `least` texts, each with its count in every text that
    /// has it.
    pub(super) fn function_words(&self, least: usize) -> Vec<(u32, Vec<(usize, usize)>)> {
        let mut counts: Vec<Vec<(usize, usize)>> = vec![Vec::new(); self.words.len()];
        for (text, words) in self.texts.iter().enumerate() {
            for &word in words.iter().filter(|word| self.is_function(**word)) {
                let counts = &mut counts[word as usize];
                match counts.last_mut() {
                    Some((last, n)) if *last == text => *n += 1,
                    _ => counts.push((text, 1)),
                }
            }
        }
        let frequent = (0..).zip(counts).filter(|(_, texts)| texts.len() >= least.max(1));
        frequent.collect()
    }

    /// Text and first word of every occurrence of an n-gram within a sentence.
    pub(super) fn find(&self, words: &[u32], place: PhrasePlace) -> Vec<(usize, usize)> {
        let Some(first) = words.first() else { return Vec::new() };
        let mut found = Vec::new();
        for (text, of_text) in self.texts.iter().enumerate() {
            let Some(last) = of_text.len().checked_sub(words.len()) else { continue };
            let starts = match place {
                PhrasePlace::Anywhere => 0..last + 1,
                PhrasePlace::Opening => 0..1,
                PhrasePlace::Closing => last..last + 1,
            };
            for start in starts.filter(|&start| of_text[start] == *first) {
                let end = start + words.len();
                let within = self.sentences[text][start] == self.sentences[text][end - 1];
                if within && of_text[start..end] == *words {
                    found.push((text, start));
                }
            }
        }
        found
    }

    /// The word at index `at`, if it is in the same sentence as the word `of`.
    pub(super) fn beside(&self, text: usize, at: usize, of: usize) -> Option<u32> {
        let sentences = &self.sentences[text];
        (sentences.get(at)? == sentences.get(of)?).then(|| self.texts[text][at])
    }

    /// The most common word and its count; of several, the alphabetically first.
    pub(super) fn most_common(&self, words: impl Iterator<Item = u32>) -> Option<(u32, usize)> {
        let mut counts: HashMap<u32, usize> = HashMap::new();
        for word in words {
            *counts.entry(word).or_default() += 1;
        }
        counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then_with(|| self.compare(&[b.0], &[a.0])))
    }

    /// Alphabetical order of two n-grams.
    pub(super) fn compare(&self, a: &[u32], b: &[u32]) -> Ordering {
        let words =
            |run: &[u32]| run.iter().map(|word| self.words[*word as usize].0).collect::<Vec<_>>();
        words(a).cmp(&words(b))
    }

    /// The words in lower case, separated by spaces.
    pub(super) fn joined(&self, run: &[u32]) -> String {
        run.iter().map(|word| self.words[*word as usize].0).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::difference::measured::analyzed_text::AnalyzedText;

    #[test]
    fn runs_stay_within_sentences_and_know_their_place() {
        let texts = ["Well then. A lid, well then", "Well then. No lid"]
            .map(|text| RatedText { analyzed: AnalyzedText::of(text, None), rating: None });
        let corpus = NgramIndex::of(&texts);
        let frequent: Vec<(PhrasePlace, String, Vec<usize>)> = corpus
            .frequent(2)
            .into_iter()
            .map(|(place, words, texts)| (place, corpus.joined(&words), texts))
            .collect();
        let both = vec![0, 1];
        let expected = [
            (PhrasePlace::Anywhere, "well", both.clone()),
            (PhrasePlace::Anywhere, "well then", both.clone()),
            (PhrasePlace::Anywhere, "then", both.clone()),
            (PhrasePlace::Anywhere, "lid", both.clone()),
            (PhrasePlace::Opening, "well", both.clone()),
            (PhrasePlace::Opening, "well then", both),
        ];
        assert_eq!(
            frequent,
            expected.map(|(place, words, texts)| (place, words.to_owned(), texts))
        );
        let well_then = corpus.frequent(2)[1].1.clone();
        assert_eq!(corpus.find(&well_then, PhrasePlace::Anywhere), [(0, 0), (0, 4), (1, 0)]);
        assert_eq!(corpus.find(&well_then, PhrasePlace::Closing), [(0, 4)]);
    }
}
