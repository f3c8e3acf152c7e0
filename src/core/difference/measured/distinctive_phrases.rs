//! Distinctive words and phrases, openings and closings, and function words.

use std::collections::HashMap;
use std::ops::Range;

use super::analyzed_text::RatedText;
use super::paired_test::{MIN_ITEMS, PairedDifference, compare, compare_rates};
use super::phrases::{NgramIndex, PhrasePlace};
use crate::task::Measure;

/// Maximum number of reported words or phrases of each kind.
const MAX_PHRASES: usize = 5;
const MAX_AT_ENDS: usize = 2;
const MAX_FUNCTION_WORDS: usize = 5;

/// Minimum z-score of the weighted log-odds of a phrase: two-sided 5 % if it were the only one.
const MIN_Z: f64 = 1.96;

/// Minimum share of a phrase's occurrences that have the same word next to them, for the phrase to
/// grow by that word.
const MIN_GROWTH_SHARE: f64 = 0.9;
/// Maximum number of words to which a phrase grows.
const MAX_WORDS: usize = 8;

/// A word or phrase that sets the user apart.
#[derive(Debug, Clone)]
pub(super) struct DistinctivePhrase {
    pub(super) measure: Measure,
    pub(super) phrase: String,
    pub(super) difference: PairedDifference,
    /// Occurrences in the user's texts: index of the text, span in bytes.
    pub(super) shown: Vec<(usize, Range<usize>)>,
}

/// A compared word or phrase: a member of the family in which discoveries are made.
pub(super) struct PhraseCandidate {
    what: CandidateKind,
    pub(super) difference: PairedDifference,
}

enum CandidateKind {
    Phrase { place: PhrasePlace, words: Vec<u32> },
    FunctionWord(u32),
}

/// Words and phrases of texts.
pub(super) struct DistinctivePhrases<'a, 't> {
    ngrams: NgramIndex<'t>,
    texts: &'a [RatedText<'t>],
    groups: &'a [Range<usize>],
    /// Whether a text is the user's.
    own: Vec<bool>,
}

impl<'a, 't> DistinctivePhrases<'a, 't> {
    pub(super) fn new(texts: &'a [RatedText<'t>], groups: &'a [Range<usize>]) -> Self
    where
        'a: 't,
    {
        let mut own = vec![false; texts.len()];
        for group in groups {
            own[group.start] = true;
        }
        Self { ngrams: NgramIndex::of(texts), texts, groups, own }
    }

    /// Compares every word or phrase that occurs in enough texts, whoever wrote them. Which texts
    /// are the user's does not influence the choice of candidates, so that the p-values stay valid.
    pub(super) fn candidates(&self, uses: impl Fn(Measure) -> bool) -> Vec<PhraseCandidate> {
        let least = MIN_ITEMS.max(self.groups.len() / 2);
        let mut candidates = Vec::new();
        for (place, words, texts) in self.ngrams.frequent(least) {
            let measure = measure_of(place);
            let says_little = place == PhrasePlace::Anywhere
                && words.len() == 1
                && (self.ngrams.is_function(words[0]) || self.ngrams.is_short(words[0]));
            if !uses(measure) || says_little {
                continue;
            }
            let Some(difference) = compare(&self.values(&texts), self.groups) else { continue };
            candidates
                .push(PhraseCandidate { what: CandidateKind::Phrase { place, words }, difference });
        }
        if uses(Measure::FunctionWord) {
            for (word, counts) in self.ngrams.function_words(self.texts.len() / 2) {
                let mut values: Vec<f64> = self.texts.iter().map(no_words_no_value).collect();
                for (text, n) in counts {
                    values[text] = 100.0 * n as f64 / self.texts[text].analyzed.words.len() as f64;
                }
                let Some(difference) = compare_rates(&values, self.groups) else { continue };
                candidates
                    .push(PhraseCandidate { what: CandidateKind::FunctionWord(word), difference });
            }
        }
        candidates
    }

    /// The discoveries among the candidates, extended to the phrases that they are part of; the
    /// most distinctive of each kind.
    pub(super) fn chosen(
        &self,
        candidates: &[PhraseCandidate],
        discovered: &[usize],
    ) -> Vec<DistinctivePhrase> {
        let mut phrases: Vec<(PhrasePlace, &[u32], f64)> = Vec::new();
        let mut little: Vec<(u32, PairedDifference)> = Vec::new();
        for candidate in discovered.iter().map(|&i| &candidates[i]) {
            match &candidate.what {
                CandidateKind::Phrase { place, words } => {
                    let z = self.log_odds(words, *place);
                    if candidate.difference.effect > 0.0 && z >= MIN_Z {
                        phrases.push((*place, words, z));
                    }
                }
                CandidateKind::FunctionWord(word) => little.push((*word, candidate.difference)),
            }
        }
        // Openings and closings come first: they say more about the same words than that they
        // occur.
        let by_place = |place: PhrasePlace| place == PhrasePlace::Anywhere;
        phrases.sort_by(|a, b| {
            let by_z = b.2.total_cmp(&a.2);
            by_place(a.0).cmp(&by_place(b.0)).then(by_z).then_with(|| self.ngrams.compare(a.1, b.1))
        });
        let mut grown: Vec<(PhrasePlace, Vec<u32>)> = Vec::new();
        for (place, words, _) in phrases {
            let words = self.grow(place, words);
            let known = grown.iter().any(|(known_place, known)| {
                contains(known, &words) || known_place == &place && contains(&words, known)
            });
            let most = if place == PhrasePlace::Anywhere { MAX_PHRASES } else { MAX_AT_ENDS };
            if !known && grown.iter().filter(|(p, _)| *p == place).count() < most {
                grown.push((place, words));
            }
        }
        little.retain(|(word, _)| !grown.iter().any(|(_, words)| words.contains(word)));
        little.sort_by(|a, b| {
            let by_effect = b.1.effect.abs().total_cmp(&a.1.effect.abs());
            by_effect.then_with(|| self.ngrams.compare(&[a.0], &[b.0]))
        });
        little.truncate(MAX_FUNCTION_WORDS);
        let phrases = grown.iter().filter_map(|(place, words)| self.phrase(*place, words));
        phrases
            .chain(little.iter().map(|(word, difference)| self.little(*word, *difference)))
            .collect()
    }

    fn phrase(&self, place: PhrasePlace, words: &[u32]) -> Option<DistinctivePhrase> {
        let found = self.ngrams.find(words, place);
        let mut texts: Vec<usize> = found.iter().map(|(text, _)| *text).collect();
        texts.dedup();
        let difference = compare(&self.values(&texts), self.groups)?;
        let shown = self.shown(&found, words.len());
        Some(DistinctivePhrase {
            measure: measure_of(place),
            phrase: self.written(&shown),
            difference,
            shown,
        })
    }

    fn little(&self, word: u32, difference: PairedDifference) -> DistinctivePhrase {
        let shown = self.shown(&self.ngrams.find(&[word], PhrasePlace::Anywhere), 1);
        let phrase = self.ngrams.joined(&[word]);
        DistinctivePhrase { measure: Measure::FunctionWord, phrase, difference, shown }
    }

    /// Spans of occurrences in the user's texts.
    fn shown(&self, found: &[(usize, usize)], n: usize) -> Vec<(usize, Range<usize>)> {
        let own = found.iter().filter(|(text, _)| self.own[*text]);
        own.map(|&(text, word)| {
            let words = &self.texts[text].analyzed.words;
            (text, words[word].span.start..words[word + n - 1].span.end)
        })
        .collect()
    }

    /// The phrase as the user writes it most often, in lower case and with the punctuation between
    /// its words; of several, the alphabetically first.
    fn written(&self, shown: &[(usize, Range<usize>)]) -> String {
        let mut ways: HashMap<String, usize> = HashMap::new();
        for (text, span) in shown {
            let words = self.texts[*text].analyzed.text[span.clone()].split_whitespace();
            *ways.entry(words.collect::<Vec<_>>().join(" ").to_lowercase()).or_default() += 1;
        }
        let mut ways: Vec<(String, usize)> = ways.into_iter().collect();
        ways.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        ways.into_iter().next().map(|(phrase, _)| phrase).unwrap_or_default()
    }

    /// Value of each text: 1 if it has the phrase, 0 if not, NaN if it has no words.
    fn values(&self, texts: &[usize]) -> Vec<f64> {
        let mut values: Vec<f64> = self.texts.iter().map(no_words_no_value).collect();
        for &text in texts {
            values[text] = 1.0;
        }
        values
    }

    /// z-score of the weighted log-odds of a phrase in the user's texts against the others', with
    /// an informative Dirichlet prior: all texts together, scaled to the weight of one text
    /// (Monroe, Colaresi and Quinn, "Fightin' words: lexical feature selection and evaluation for
    /// identifying the content of political conflict", 2008, equations 15, 16, 20 and 22).
    fn log_odds(&self, words: &[u32], place: PhrasePlace) -> f64 {
        let (mut own, mut others) = (0.0, 0.0);
        for (text, _) in self.ngrams.find(words, place) {
            *(if self.own[text] { &mut own } else { &mut others }) += 1.0;
        }
        let places = |text: &RatedText<'_>| match place {
            PhrasePlace::Anywhere => text.analyzed.words.len() as f64,
            PhrasePlace::Opening | PhrasePlace::Closing => 1.0,
        };
        let (mut n_own, mut n_others) = (0.0, 0.0);
        for (text, is_own) in self.texts.iter().zip(&self.own) {
            *(if *is_own { &mut n_own } else { &mut n_others }) += places(text);
        }
        let total = (n_own + n_others) / self.texts.len() as f64;
        let prior = total * (own + others) / (n_own + n_others);
        weighted_log_odds((own, n_own), (others, n_others), (prior, total))
    }

    /// Adds the words that nearly always adjoin a phrase in the user's texts.
    fn grow(&self, place: PhrasePlace, words: &[u32]) -> Vec<u32> {
        let mut words = words.to_vec();
        while words.len() < MAX_WORDS {
            let found = self.ngrams.find(&words, place);
            let own: Vec<(usize, usize)> =
                found.into_iter().filter(|(t, _)| self.own[*t]).collect();
            let behind = own.iter().filter_map(|&(t, w)| self.ngrams.beside(t, w + words.len(), w));
            let before =
                own.iter().filter_map(|&(t, w)| self.ngrams.beside(t, w.checked_sub(1)?, w));
            let enough = |n: usize| n as f64 >= MIN_GROWTH_SHARE * own.len() as f64 && n > 0;
            match (self.ngrams.most_common(behind), self.ngrams.most_common(before)) {
                (Some((word, n)), _) if enough(n) && place != PhrasePlace::Closing => {
                    words.push(word)
                }
                (_, Some((word, n))) if enough(n) && place != PhrasePlace::Opening => {
                    words.insert(0, word)
                }
                _ => break,
            }
        }
        words
    }
}

/// Number of distinct measures among the candidates.
pub(super) fn n_measures(candidates: &[PhraseCandidate]) -> usize {
    let mut measures: Vec<Measure> = candidates
        .iter()
        .map(|candidate| match candidate.what {
            CandidateKind::Phrase { place, .. } => measure_of(place),
            CandidateKind::FunctionWord(_) => Measure::FunctionWord,
        })
        .collect();
    measures.sort_unstable();
    measures.dedup();
    measures.len()
}

fn measure_of(place: PhrasePlace) -> Measure {
    match place {
        PhrasePlace::Anywhere => Measure::Phrase,
        PhrasePlace::Opening => Measure::Opening,
        PhrasePlace::Closing => Measure::Closing,
    }
}

fn no_words_no_value(text: &RatedText<'_>) -> f64 {
    if text.analyzed.words.is_empty() { f64::NAN } else { 0.0 }
}

/// Whether `part` is a contiguous part of `whole`.
fn contains(whole: &[u32], part: &[u32]) -> bool {
    whole.windows(part.len().max(1)).any(|run| run == part)
}

/// z-score of the weighted log-odds. Each argument is a number of occurrences and of all positions:
/// of the user, of the others, and of the prior.
fn weighted_log_odds(own: (f64, f64), others: (f64, f64), prior: (f64, f64)) -> f64 {
    let log_odds = |(n, of): (f64, f64)| {
        // At least 0.01 positions: if every text has the phrase, the odds would be infinite.
        ((n + prior.0) / (of + prior.1 - n - prior.0).max(0.01)).ln()
    };
    let variance = 1.0 / (own.0 + prior.0) + 1.0 / (others.0 + prior.0);
    (log_odds(own) - log_odds(others)) / variance.sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_odds_are_those_of_the_paper() {
        // By hand: ln(6 / 104) - ln(3 / 207), variance 1/6 + 1/3.
        let expected = ((6.0_f64 / 104.0).ln() - (3.0_f64 / 207.0).ln()) / 0.5_f64.sqrt();
        let got = weighted_log_odds((5.0, 100.0), (2.0, 200.0), (1.0, 10.0));
        assert!((got - expected).abs() < 1e-12);
        assert_eq!(weighted_log_odds((5.0, 100.0), (5.0, 100.0), (1.0, 10.0)), 0.0);
    }

    #[test]
    fn runs_within_runs() {
        assert!(contains(&[1, 2, 3], &[2, 3]) && contains(&[1], &[1]));
        assert!(!contains(&[1, 2, 3], &[1, 3]) && !contains(&[1], &[1, 2]));
    }
}
