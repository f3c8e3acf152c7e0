//! The METEOR metric.

use std::collections::HashMap;
use std::path::Path;

use super::Error;
use super::language_data::DataPlace;
use super::nltk_words::sentence_words;
use super::porter::stem;
use super::punkt::Punkt;
use super::wordnet::WordNet;

/// Weight of recall in the harmonic mean of precision and recall.
const ALPHA: f64 = 0.9;
/// Exponent of the fragmentation (chunks per match).
const BETA: f64 = 3.0;
/// Greatest fragmentation penalty.
const GAMMA: f64 = 0.5;

/// METEOR (Lavie and Agarwal 2007) as NLTK 3.10 computes it: `single_meteor_score` over
/// `word_tokenize`, with alpha 0.9, beta 3, gamma 0.5.
///
/// Words match if they are equal, if their stems are equal, or if the reference's stem is a synonym
/// of the prediction's. These are three passes over the words still unmatched. Each pass goes from
/// the end of the prediction to its beginning and takes the last unmatched word of the reference
/// that fits.
#[derive(Debug, Default)]
pub struct Meteor {
    wordnet: Option<WordNet>,
    punkt: Option<Punkt>,
    untrained: Punkt,
}

/// Data that a [`Meteor`] has. Values of different variants are not comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum MeteorVariant {
    /// All data that NLTK uses: WordNet, and Punkt's English parameters for sentence boundaries.
    #[serde(rename = "meteor")]
    Full,
    /// WordNet without Punkt's parameters: an abbreviation within a text ends a sentence, and its
    /// period becomes a separate word.
    #[serde(rename = "meteor_no_punkt")]
    NoPunkt,
    /// Neither WordNet nor Punkt's parameters: synonyms do not match.
    #[serde(rename = "meteor_exact_stem")]
    ExactStem,
}

impl MeteorVariant {
    /// Name of the metric in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "meteor",
            Self::NoPunkt => "meteor_no_punkt",
            Self::ExactStem => "meteor_exact_stem",
        }
    }
}

impl Meteor {
    /// A METEOR without data: [`MeteorVariant::ExactStem`].
    #[must_use]
    pub fn exact_stem() -> Self {
        Self::default()
    }

    /// Reads WordNet from its folder (the one with `index.noun`), or WordNet and Punkt's English
    /// parameters from NLTK's data folder (`corpora/wordnet`, `tokenizers/punkt_tab`, as folders or
    /// zip archives; Punkt may be absent).
    ///
    /// # Errors
    ///
    /// Error if the folder has no WordNet, or a file of WordNet or Punkt cannot be read.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        if folder.join("index.noun").is_file() {
            let wordnet = WordNet::read(&DataPlace::Folder(folder.to_owned()))?;
            return Ok(Self { wordnet: Some(wordnet), ..Self::default() });
        }
        let corpora = folder.join("corpora");
        let wordnet =
            DataPlace::find(corpora.join("wordnet"), corpora.join("wordnet.zip"), "wordnet/")
                .ok_or(Error::NoWordNet {
                    folder: folder.to_owned(),
                    expected: "`index.noun`, `corpora/wordnet` and `corpora/wordnet.zip`",
                })?;
        let tokenizers = folder.join("tokenizers");
        let punkt = DataPlace::find(
            tokenizers.join("punkt_tab").join("english"),
            tokenizers.join("punkt_tab.zip"),
            "punkt_tab/english/",
        );
        Ok(Self {
            wordnet: Some(WordNet::read(&wordnet)?),
            punkt: punkt.map(|place| read_punkt(&place)).transpose()?,
            ..Self::default()
        })
    }

    /// Variant that the loaded data allows.
    #[must_use]
    pub fn variant(&self) -> MeteorVariant {
        match (&self.wordnet, &self.punkt) {
            (Some(_), Some(_)) => MeteorVariant::Full,
            (Some(_), None) => MeteorVariant::NoPunkt,
            (None, _) => MeteorVariant::ExactStem,
        }
    }

    /// Scores a prediction against its reference, 0 to 1; 0 if no word matches.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn score(&self, prediction: &str, reference: &str) -> f64 {
        let (predicted, expected) = (self.words(prediction), self.words(reference));
        let matches = self.alignment(&predicted, &expected);
        let n = matches.len() as f64;
        if matches.is_empty() {
            return 0.0;
        }
        let (precision, recall) = (n / predicted.len() as f64, n / expected.len() as f64);
        let mean = (precision * recall) / (ALPHA * precision + (1.0 - ALPHA) * recall);
        let penalty = GAMMA * (n_chunks(&matches) as f64 / n).powf(BETA);
        (1.0 - penalty) * mean
    }

    /// Words of a text in lower case, tokenized sentence by sentence.
    fn words(&self, text: &str) -> Vec<String> {
        let sentences = self.punkt.as_ref().unwrap_or(&self.untrained).sentences(text);
        let words = sentences.into_iter().flat_map(sentence_words);
        words.map(|word| word.to_lowercase()).collect()
    }

    /// Positions of matching words in the prediction and in the reference, in the prediction's
    /// order.
    fn alignment(&self, predicted: &[String], expected: &[String]) -> Vec<(usize, usize)> {
        let mut matches = Vec::new();
        let of = |words: &[String]| words.iter().cloned().enumerate().collect::<Vec<_>>();
        let (mut predicted, mut expected) = (of(predicted), of(expected));
        match_words(&mut predicted, &mut expected, &mut matches, |_| Vec::new());
        for (_, word) in predicted.iter_mut().chain(&mut expected) {
            *word = stem(word);
        }
        match_words(&mut predicted, &mut expected, &mut matches, |_| Vec::new());
        if let Some(wordnet) = &self.wordnet {
            match_words(&mut predicted, &mut expected, &mut matches, |stem| wordnet.synonyms(stem));
        }
        matches.sort_unstable();
        matches
    }
}

fn read_punkt(place: &DataPlace) -> Result<Punkt, Error> {
    let contexts = "ortho_context.tab";
    Punkt::parse(
        &place.read("abbrev_types.txt")?,
        &place.read("collocations.tab")?,
        &place.read("sent_starters.txt")?,
        &place.read(contexts)?,
    )
    .map_err(|line| place.malformed(contexts, line, "expected a word, a tab and a number"))
}

/// A word with its position in its text.
type PlacedWord = (usize, String);

/// Matches each predicted word, from the last to the first, with the last unmatched word of the
/// reference that equals it or one of its `others`. Removes matched words from both lists.
fn match_words<'w>(
    predicted: &mut Vec<PlacedWord>,
    expected: &mut Vec<PlacedWord>,
    matches: &mut Vec<(usize, usize)>,
    others: impl Fn(&str) -> Vec<&'w str>,
) {
    let mut free: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, word) in &*expected {
        free.entry(word).or_default().push(*place);
    }
    let first_match = matches.len();
    for (place, word) in predicted.iter().rev() {
        let words = std::iter::once(word.as_str()).chain(others(word));
        let last = words
            .filter_map(|word| Some((*free.get(word)?.last()?, word)))
            .max_by_key(|(place, _)| *place);
        if let Some((matched, word)) = last {
            matches.push((*place, matched));
            if let Some(places) = free.get_mut(word) {
                places.pop();
            }
        }
    }
    let matched = &matches[first_match..];
    let of_predicted: Vec<usize> = matched.iter().rev().map(|(place, _)| *place).collect();
    let mut of_expected: Vec<usize> = matched.iter().map(|(_, place)| *place).collect();
    of_expected.sort_unstable();
    predicted.retain(|(place, _)| of_predicted.binary_search(place).is_err());
    expected.retain(|(place, _)| of_expected.binary_search(place).is_err());
}

/// Number of chunks: maximal runs of matches that are adjacent in both texts.
fn n_chunks(matches: &[(usize, usize)]) -> usize {
    let is_neighbour =
        |pair: &&[(usize, usize)]| pair[1].0 == pair[0].0 + 1 && pair[1].1 == pair[0].1 + 1;
    matches.len() - matches.windows(2).filter(is_neighbour).count()
}
