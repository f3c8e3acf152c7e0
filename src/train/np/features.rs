//! The style vector of a text: what is counted in it, in standard deviations over the training texts.

use std::collections::HashMap;

use idiolect_core::difference::measured::{language_of, style_names, style_values};
use idiolect_metrics::text::{for_each_word, stands_alone};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Number of the most frequent words and marks whose rates are in a vector.
const N_WORDS: usize = 120;

/// Values are cut off at this number of standard deviations.
const CLIP: f32 = 4.0;

/// Names of the values that are counted here, besides those of `difference::measured`.
const PLAIN: [&str; 11] = [
    "capital letters",
    "digits",
    "letters beyond ASCII",
    "line breaks",
    "double blanks",
    "exclamation marks",
    "curly quotes",
    "blanks before marks",
    "marks without a blank",
    "words in lower case",
    "begins in lower case",
];

/// Values that grow with the length of a text.
const OF_LENGTH: [&str; 3] = ["words", "paragraphs", "lists"];

/// Maps texts to style vectors. Fitted to the texts of training users.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StyleFeatures {
    /// Language whose word lists are used, if it has any.
    language: Option<String>,
    /// Names of the values before the words.
    names: Vec<String>,
    /// Indices of the values that are used, of those before the words.
    used: Vec<usize>,
    /// The most frequent words and marks.
    words: Vec<String>,
    /// Mean of each value over the texts.
    means: Vec<f32>,
    /// Standard deviation of each value over the texts.
    deviations: Vec<f32>,
}

impl StyleFeatures {
    /// Fits the words, means and deviations to texts. Without `length`, values that grow with the
    /// length of a text are left out.
    ///
    /// # Errors
    /// [`Error::TooLittle`] if there are fewer than two texts.
    pub fn fit(texts: &[&str], length: bool) -> Result<Self> {
        if texts.len() < 2 {
            let (operation, what) = ("fit style features", "texts");
            return Err(Error::TooLittle { operation, what, got: texts.len(), needed: 2 });
        }
        let language = language_of(texts.iter().copied());
        let mut names: Vec<String> = style_names(language);
        names.extend(PLAIN.map(str::to_owned));
        let is_used = |name: &str| length || !OF_LENGTH.contains(&name);
        let used = (0..names.len()).filter(|i| is_used(&names[*i])).collect();
        let mut features = Self {
            language: language.map(str::to_owned),
            names,
            used,
            words: most_frequent(texts),
            means: Vec::new(),
            deviations: Vec::new(),
        };
        let index = features.index();
        let raw: Vec<Vec<f64>> = texts.par_iter().map(|text| features.raw(text, &index)).collect();
        let n = features.used.len() + features.words.len();
        for at in 0..n {
            let finite = || raw.iter().map(|values| values[at]).filter(|x| x.is_finite());
            let count = finite().count().max(1) as f64;
            let mean = finite().sum::<f64>() / count;
            let variance = finite().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
            features.means.push(mean as f32);
            features.deviations.push(variance.sqrt() as f32);
        }
        Ok(features)
    }

    /// Number of values of a vector.
    #[must_use]
    pub fn n_values(&self) -> usize {
        self.means.len()
    }

    /// Names of the values of a vector, in their order.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let measured = self.used.iter().map(|i| self.names[*i].as_str());
        measured.chain(self.words.iter().map(String::as_str)).collect()
    }

    /// The vectors of texts, in their order: values in standard deviations from the mean, -4 to 4; 0
    /// if a text does not have the value.
    #[must_use]
    pub fn vectors(&self, texts: &[&str]) -> Vec<Vec<f32>> {
        let index = self.index();
        texts.par_iter().map(|text| self.scaled(&self.raw(text, &index))).collect()
    }

    fn scaled(&self, raw: &[f64]) -> Vec<f32> {
        let spread = self.means.iter().zip(&self.deviations);
        let scale = |(value, (mean, deviation)): (&f64, (&f32, &f32))| {
            let z = (*value as f32 - mean) / deviation;
            if z.is_finite() { z.clamp(-CLIP, CLIP) } else { 0.0 }
        };
        raw.iter().zip(spread).map(scale).collect()
    }

    fn index(&self) -> HashMap<&str, usize> {
        self.words.iter().enumerate().map(|(i, word)| (word.as_str(), i)).collect()
    }

    fn raw(&self, text: &str, index: &HashMap<&str, usize>) -> Vec<f64> {
        let mut all = style_values(text, self.language.as_deref());
        all.extend(plain_values(text));
        let mut counts = vec![0.0_f64; self.words.len()];
        let mut n = 0.0_f64;
        for_each_token(text, |token| {
            n += 1.0;
            if let Some(at) = index.get(token) {
                counts[*at] += 1.0;
            }
        });
        // The root makes the variance of a rare word's rate no greater than a frequent one's.
        let rates = counts.into_iter().map(|count| (count / n.max(1.0)).sqrt());
        self.used.iter().map(|i| all[*i]).chain(rates).collect()
    }
}

/// Number of words of a text in any script.
pub(super) fn n_words(text: &str) -> usize {
    let mut n = 0;
    for_each_token(text, |token| n += usize::from(token.starts_with(char::is_alphanumeric)));
    n
}

/// The words and marks that occur most often; equals are ordered by their bytes.
fn most_frequent(texts: &[&str]) -> Vec<String> {
    let mut counts: HashMap<String, usize> = HashMap::new();
    for text in texts {
        for_each_token(text, |token| match counts.get_mut(token) {
            Some(count) => *count += 1,
            None => drop(counts.insert(token.to_owned(), 1)),
        });
    }
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_unstable_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
    counts.into_iter().take(N_WORDS).map(|(word, _)| word).collect()
}

/// Calls `visit` for each word in lower case, each character that is a word by itself, and each mark.
fn for_each_token(text: &str, mut visit: impl FnMut(&str)) {
    for_each_word(text, |_, word| {
        if word.contains(stands_alone) {
            let mut bytes = [0; 4];
            word.chars().for_each(|c| visit(c.encode_utf8(&mut bytes)));
        } else {
            visit(word);
        }
    });
    let mut bytes = [0; 4];
    let is_mark = |c: &char| !c.is_alphanumeric() && !c.is_whitespace();
    text.chars().filter(is_mark).for_each(|c| visit(c.encode_utf8(&mut bytes)));
}

/// Values by the names of [`PLAIN`]: shares, and logarithms of rates in a hundred words.
fn plain_values(text: &str) -> [f64; PLAIN.len()] {
    let (mut letters, mut capitals, mut digits, mut beyond) = (0.0_f64, 0.0, 0.0, 0.0);
    let (mut breaks, mut doubles, mut loud, mut curly, mut before, mut glued) =
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut last, mut before_last) = ('\n', '\n');
    for c in text.chars() {
        if c.is_alphabetic() {
            letters += 1.0;
            capitals += f64::from(u8::from(c.is_uppercase()));
            beyond += f64::from(u8::from(!c.is_ascii()));
            let stop = matches!(last, ',' | '.' | '!' | '?' | ';') && before_last.is_alphabetic();
            glued += f64::from(u8::from(stop));
        }
        digits += f64::from(u8::from(c.is_numeric()));
        breaks += f64::from(u8::from(c == '\n'));
        doubles += f64::from(u8::from(c == ' ' && last == ' '));
        loud += f64::from(u8::from(matches!(c, '!' | '！')));
        curly += f64::from(u8::from(matches!(c, '’' | '‘' | '“' | '”')));
        before += f64::from(u8::from(last == ' ' && matches!(c, ',' | '!' | '?' | ';')));
        (before_last, last) = (last, c);
    }
    let (mut n, mut lower) = (0.0_f64, 0.0);
    for_each_word(text, |span, _| {
        n += 1.0;
        lower += f64::from(u8::from(text[span].starts_with(char::is_lowercase)));
    });
    let share = |n: f64, of: f64| if of > 0.0 { n / of } else { f64::NAN };
    let rate = |count: f64| (100.0 * share(count, n)).ln_1p();
    let first = text.chars().find(|c| c.is_alphabetic());
    let begins = first.map_or(f64::NAN, |c| f64::from(u8::from(c.is_lowercase())));
    [
        share(capitals, letters),
        share(digits, letters + digits),
        share(beyond, letters),
        rate(breaks),
        rate(doubles),
        rate(loud),
        rate(curly),
        rate(before),
        rate(glued),
        share(lower, n),
        begins,
    ]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn vectors_are_in_standard_deviations_and_have_names() {
        let texts = [
            "The lid is on it, and that is it. It is fine.",
            "so the lid is off !! and it sings",
            "It is what it is. The lid is good, the rest is not.",
        ];
        let features = StyleFeatures::fit(&texts, true).unwrap();
        let vectors = features.vectors(&texts);
        let names = features.names();
        assert_eq!((names.len(), vectors[0].len()), (features.n_values(), features.n_values()));
        let of =
            |name: &str, text: usize| vectors[text][names.iter().position(|n| *n == name).unwrap()];
        assert!(of("begins in lower case", 1) > 1.0 && of("begins in lower case", 0) < 0.0);
        assert!(of("blanks before marks", 1) > 1.0);
        assert!(of("is", 2) > of("is", 1));
        for at in 0..features.n_values() {
            let sum: f32 = vectors.iter().map(|v| v[at]).sum();
            assert!(sum.abs() < 1e-3 || vectors.iter().any(|v| v[at] == 0.0), "{}", names[at]);
        }
        let shorter = StyleFeatures::fit(&texts, false).unwrap();
        assert!(!shorter.names().contains(&"words") && names.contains(&"words"));
        assert!(StyleFeatures::fit(&texts[..1], true).is_err());
    }

    #[test]
    fn scripts_without_blanks_have_words() {
        assert_eq!(n_words("好书！很好。"), 4);
        assert_eq!(n_words("It is, I'd say, good :)"), 5);
        let features = StyleFeatures::fit(&["好书！很好。", "不好。", "好"], true).unwrap();
        assert!(features.names().contains(&"好") && features.names().contains(&"。"));
        let vectors = features.vectors(&["好", ""]);
        assert!(vectors.iter().flatten().all(|x| x.is_finite()));
    }
}
