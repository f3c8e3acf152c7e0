//! Past texts of a user that have a phrase of another text.

use std::collections::HashMap;
use std::ops::Range;

use serde::Serialize;

use crate::corpus::{ReviewId, StoredReview};
use idiolect_metrics::text::for_each_word;

/// Minimum number of words of a phrase.
const MIN_WORDS: usize = 3;

/// Maximum number of words of a phrase.
const MAX_WORDS: usize = 40;

/// A phrase in a past text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhraseSource {
    /// The past text.
    pub review_id: ReviewId,
    /// Its item.
    pub item: String,
    /// Title of the item, or its id if it has none.
    pub title: String,
    /// The phrase, as the past text has it.
    pub phrase: String,
    /// Character (Unicode scalar value) of the past text at which the phrase begins, from 0.
    pub start: usize,
    /// Character after the phrase.
    pub end: usize,
}

/// Words of a text, in lower case, with their bytes.
struct Words {
    words: Vec<String>,
    spans: Vec<Range<usize>>,
}

impl Words {
    fn of(text: &str) -> Self {
        let (mut words, mut spans) = (Vec::new(), Vec::new());
        for_each_word(text, |span, word| {
            words.push(word.to_owned());
            spans.push(span);
        });
        Self { words, spans }
    }
}

/// Returns for each word of `text` that ends a phrase of at least three words of a past text: the byte
/// after the word, and the past text with the longest such phrase. Of equally long ones a text in
/// `shown` counts first, then the last in `past`. Case and punctuation are not compared.
pub(super) fn phrase_sources(
    text: &str,
    past: &[StoredReview],
    shown: &[ReviewId],
) -> Vec<(usize, PhraseSource)> {
    let text = Words::of(text);
    let past_words: Vec<Words> = past.iter().map(|stored| Words::of(&stored.review.text)).collect();
    let mut places: HashMap<&[String], Vec<(usize, usize)>> = HashMap::new();
    for (review, words) in past_words.iter().enumerate() {
        for (at, phrase) in words.words.windows(MIN_WORDS).enumerate() {
            places.entry(phrase).or_default().push((review, at));
        }
    }
    let found = text.words.windows(MIN_WORDS).enumerate().filter_map(|(at, phrase)| {
        let length = |&(review, place): &(usize, usize)| {
            let before = past_words[review].words[..place].iter().rev();
            let same = text.words[..at].iter().rev().zip(before).take_while(|(a, b)| a == b);
            (MIN_WORDS + same.count()).min(MAX_WORDS)
        };
        let is_shown = |review: usize| shown.contains(&past[review].id);
        let best = places
            .get(phrase)?
            .iter()
            .max_by_key(|&place| (length(place), is_shown(place.0), place.0))?;
        let (review, n_words) = (best.0, length(best));
        let last = best.1 + MIN_WORDS - 1;
        let spans = &past_words[review].spans;
        let bytes = spans[last + 1 - n_words].start..spans[last].end;
        let StoredReview { id, review, .. } = &past[review];
        let start = review.text[..bytes.start].chars().count();
        let phrase = &review.text[bytes];
        let source = PhraseSource {
            review_id: *id,
            item: review.item.clone(),
            title: review.item.clone(),
            phrase: phrase.to_owned(),
            start,
            end: start + phrase.chars().count(),
        };
        Some((text.spans[at + MIN_WORDS - 1].end, source))
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::corpus::Review;

    fn past(texts: &[&str]) -> Vec<StoredReview> {
        let stored = |(index, text): (usize, &&str)| StoredReview {
            id: ReviewId(index as i64),
            review: Review {
                user: "ann".to_owned(),
                item: format!("i{index}"),
                rating: None,
                title: String::new(),
                text: (*text).to_owned(),
                time: 0,
            },
            context: None,
        };
        texts.iter().enumerate().map(stored).collect()
    }

    #[test]
    fn the_longest_phrase_is_named_with_its_place() {
        let past = past(&["Ünd so, it sings LOUD and it leaks.", "it sings loud enough", "sings!"]);
        let text = "I say it sings loud, and it boils";
        let found = phrase_sources(text, &past, &[]);
        let told: Vec<(&str, &str, i64)> = found
            .iter()
            .map(|(end, source)| (&text[..*end], source.phrase.as_str(), source.review_id.0))
            .collect();
        assert_eq!(
            told,
            [
                // Both have it; the later text counts.
                ("I say it sings loud", "it sings loud", 1),
                ("I say it sings loud, and", "it sings LOUD and", 0),
                ("I say it sings loud, and it", "it sings LOUD and it", 0),
            ]
        );
        let source = &found[1].1;
        let chars: Vec<char> = past[0].review.text.chars().collect();
        let phrase: String = chars[source.start..source.end].iter().collect();
        assert_eq!(phrase, source.phrase);
        let shown = phrase_sources(text, &past, &[ReviewId(0)]);
        assert_eq!(shown[0].1.review_id, ReviewId(0));
    }

    #[test]
    fn two_words_are_no_phrase() {
        assert!(phrase_sources("it sings", &past(&["it sings"]), &[]).is_empty());
        assert!(phrase_sources("", &past(&["it sings loud"]), &[]).is_empty());
        assert!(phrase_sources("it sings loud", &[], &[]).is_empty());
    }
}
