//! Synonyms from WordNet's database files.

use std::collections::HashMap;

use rayon::prelude::*;

use super::Error;
use super::language_data::DataPlace;

/// Parts of speech with their rules of detachment: suffix and replacement. A suffix can have more
/// than one replacement.
const PARTS: [(&str, &[(&str, &str)]); 4] = [
    (
        "noun",
        &[
            ("s", ""),
            ("ses", "s"),
            ("ves", "f"),
            ("xes", "x"),
            ("zes", "z"),
            ("ches", "ch"),
            ("shes", "sh"),
            ("men", "man"),
            ("ies", "y"),
        ],
    ),
    (
        "verb",
        &[
            ("s", ""),
            ("ies", "y"),
            ("es", "e"),
            ("es", ""),
            ("ed", "e"),
            ("ed", ""),
            ("ing", "e"),
            ("ing", ""),
        ],
    ),
    ("adj", &[("er", ""), ("est", ""), ("er", "e"), ("est", "e")]),
    ("adv", &[]),
];

/// WordNet's lemmas, synonym sets and irregular forms (Fellbaum 1998; file formats as in the manual
/// page `wndb(5WN)`).
#[derive(Debug)]
pub(super) struct WordNet {
    parts: Vec<WordNetPart>,
}

/// One part of speech.
#[derive(Debug)]
struct WordNetPart {
    rules: &'static [(&'static str, &'static str)],
    /// Irregular form to its lemmas.
    exceptions: HashMap<String, Vec<String>>,
    /// Text of `index.*`.
    index: String,
    /// Start of each line of `index`, by ascending lemma, and the index of its first entry in
    /// `offsets`.
    lemmas: Vec<(usize, usize)>,
    /// Byte offsets of synonym sets in `data`.
    offsets: Vec<usize>,
    /// Text of `data.*`.
    data: String,
}

impl WordNet {
    /// Reads `index.*`, `data.*` and `*.exc` of all parts of speech. Checks every line of the index
    /// and every synonym set it refers to.
    pub(super) fn read(place: &DataPlace) -> Result<Self, Error> {
        let parts = PARTS
            .par_iter()
            .map(|(name, rules)| WordNetPart::read(place, name, rules))
            .collect::<Result<_, _>>()?;
        Ok(Self { parts })
    }

    /// Words (no phrases) of every synonym set that contains `word` or a form that NLTK's `_morphy`
    /// derives from it; possibly with repetitions. `word` is in lower case.
    pub(super) fn synonyms(&self, word: &str) -> Vec<&str> {
        let mut found = Vec::new();
        for part in &self.parts {
            for lemma in part.lemmas_of(word) {
                for &offset in part.sets_of(&lemma) {
                    found.extend(part.members(offset).filter(|member| !member.contains('_')));
                }
            }
        }
        found
    }
}

impl WordNetPart {
    fn read(
        place: &DataPlace,
        name: &str,
        rules: &'static [(&'static str, &'static str)],
    ) -> Result<Self, Error> {
        let exceptions = place
            .read(&format!("{name}.exc"))?
            .lines()
            .filter_map(|line| {
                let mut words = line.split_whitespace().map(str::to_owned);
                Some((words.next()?, words.collect()))
            })
            .collect();
        let (index_name, data_name) = (format!("index.{name}"), format!("data.{name}"));
        let index = place.read(&index_name)?;
        let data = place.read(&data_name)?;
        let mut part =
            Self { rules, exceptions, index, lemmas: Vec::new(), offsets: Vec::new(), data };
        let mut start = 0;
        for (line, number) in part.index.split_inclusive('\n').zip(1..) {
            if !line.starts_with(' ') {
                let malformed = |reason| place.malformed(&index_name, number, reason);
                let offsets = offsets_of(line)
                    .ok_or_else(|| malformed("expected a lemma, counts and offsets"))?;
                part.lemmas.push((start, part.offsets.len()));
                for offset in offsets {
                    let offset = offset.parse().map_err(|_| malformed("expected offsets"))?;
                    if !is_set(&part.data, offset) {
                        return Err(malformed("an offset is not that of a line of the data file"));
                    }
                    part.offsets.push(offset);
                }
            }
            start += line.len();
        }
        let Self { lemmas, index, .. } = &mut part;
        // The files of Debian and NLTK are already in this order.
        lemmas.sort_by(|a, b| lemma_at(index, a.0).cmp(lemma_at(index, b.0)));
        Ok(part)
    }

    /// The word itself and its base forms, as far as they are lemmas, each once.
    fn lemmas_of(&self, word: &str) -> Vec<String> {
        let mut forms = vec![word.to_owned()];
        match self.exceptions.get(word) {
            Some(lemmas) => forms.extend(lemmas.iter().cloned()),
            None => forms.extend(
                self.rules
                    .iter()
                    .filter_map(|(old, new)| Some(format!("{}{new}", word.strip_suffix(old)?))),
            ),
        }
        let mut lemmas: Vec<String> = Vec::new();
        for form in forms {
            if !self.sets_of(&form).is_empty() && !lemmas.contains(&form) {
                lemmas.push(form);
            }
        }
        lemmas
    }

    /// Offsets of the synonym sets of a lemma.
    fn sets_of(&self, lemma: &str) -> &[usize] {
        let found = self.lemmas.binary_search_by(|&(at, _)| lemma_at(&self.index, at).cmp(lemma));
        let Ok(found) = found else { return &[] };
        let first = self.lemmas[found].1;
        let line = &self.index[self.lemmas[found].0..];
        let n = offsets_of(line.lines().next().unwrap_or_default()).map_or(0, Iterator::count);
        &self.offsets[first..first + n]
    }

    /// Lemmas of a synonym set, without the syntactic markers of adjectives.
    fn members(&self, offset: usize) -> impl Iterator<Item = &str> {
        let mut fields = self.data[offset..].split(' ').skip(3);
        let n = fields.next().and_then(|n| usize::from_str_radix(n, 16).ok()).unwrap_or(0);
        fields.step_by(2).take(n).map(without_mark)
    }
}

fn lemma_at(index: &str, at: usize) -> &str {
    index[at..].split(' ').next().unwrap_or_default()
}

/// Offset fields of an index line.
fn offsets_of(line: &str) -> Option<impl Iterator<Item = &str>> {
    let mut fields = line.split_ascii_whitespace();
    let n_sets: usize = fields.nth(2)?.parse().ok()?;
    let n_pointers: usize = fields.next()?.parse().ok()?;
    // Skipped: pointers, the number of senses, the number of tagged senses.
    let offsets = fields.skip(n_pointers + 2);
    (offsets.clone().count() == n_sets && n_sets > 0).then_some(offsets)
}

/// Whether the line at an offset begins with that offset and has all its lemmas.
fn is_set(data: &str, offset: usize) -> bool {
    let Some(line) = data.get(offset..).and_then(|rest| rest.split('\n').next()) else {
        return false;
    };
    let mut fields = line.split(' ');
    let is_its_own = fields.next() == Some(format!("{offset:08}").as_str());
    let n = fields.nth(2).and_then(|n| usize::from_str_radix(n, 16).ok());
    let has_lemmas = n.is_some_and(|n| fields.by_ref().take(2 * n).count() == 2 * n);
    // The three-digit number of pointers follows the lemmas.
    let is_count = |field: &str| field.len() == 3 && field.bytes().all(|b| b.is_ascii_digit());
    is_its_own && has_lemmas && fields.next().is_some_and(is_count)
}

/// Removes a syntactic marker: `galore(ip)` becomes `galore`.
fn without_mark(lemma: &str) -> &str {
    match lemma.strip_suffix(')').and_then(|rest| rest.rsplit_once('(')) {
        Some((word, mark)) if !mark.contains(')') => word,
        _ => lemma,
    }
}
