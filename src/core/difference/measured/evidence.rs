//! Quotes that show a difference.

use std::ops::Range;

use super::analyzed_text::RatedText;
use crate::corpus::ReviewId;
use crate::difference::{Evidence, PeerQuote};
use crate::task::Direction;

/// Maximum number of quotes per statement, each from another review.
const MAX_QUOTES: usize = 3;

/// Approximate maximum length of a quote, bytes.
const MAX_QUOTE_BYTES: usize = 160;

/// All texts and their review ids, in groups about the same item; the first of each group is the
/// user's own.
pub(super) struct Quoted<'a, 't> {
    pub(super) texts: &'a [RatedText<'t>],
    pub(super) ids: &'a [ReviewId],
    pub(super) groups: &'a [Range<usize>],
}

impl Quoted<'_, '_> {
    /// Index and review of each of the user's texts.
    pub(super) fn own(&self) -> impl Iterator<Item = (usize, ReviewId)> {
        self.groups.iter().map(|group| (group.start, self.ids[group.start]))
    }

    /// Adds to each quote of the user a sentence on the same item by the representative whose value
    /// is furthest in the opposite direction.
    ///
    /// `values` are the measured values by text; `shown` gives the spans of a text that show the
    /// measure. If the user has less, one of the representative's spans is quoted. If the user has
    /// more and has spans, the representative's first sentence is quoted. Otherwise it is the
    /// longest or shortest sentence, opposite to [`Quoted::extreme`].
    pub(super) fn beside_others(
        &self,
        evidence: Vec<Evidence>,
        values: &[f64],
        shown: impl Fn(usize) -> Vec<Range<usize>>,
        direction: Direction,
    ) -> Vec<Evidence> {
        let other = |review: ReviewId| {
            let group = self.groups.iter().find(|group| self.ids[group.start] == review)?;
            let sign = if direction == Direction::More { 1.0 } else { -1.0 };
            let peer = (group.start + 1..group.end)
                .filter(|&text| values[text].is_finite())
                .min_by(|&a, &b| (sign * values[a]).total_cmp(&(sign * values[b])))?;
            let opposite =
                if direction == Direction::More { Direction::Less } else { Direction::More };
            let span = match (direction, shown(group.start).first(), shown(peer).first()) {
                (Direction::Less, _, Some(span)) => span.clone(),
                (Direction::More, Some(_), _) => {
                    let first = &self.texts[peer].analyzed.sentences.first()?.span;
                    first.start..first.start
                }
                _ => self.extreme_sentence(peer, opposite)?,
            };
            Some(PeerQuote { review: self.ids[peer], quote: around(&self.texts[peer], &span) })
        };
        let beside = |own: Evidence| Evidence { other: other(own.review), ..own };
        evidence.into_iter().map(beside).collect()
    }

    /// Quotes around spans, from the reviews with the most spans.
    pub(super) fn around(&self, spans: &[(usize, Range<usize>)]) -> Vec<Evidence> {
        let of = |text: usize| spans.iter().filter(move |(t, _)| *t == text);
        let mut reviews: Vec<(usize, ReviewId)> = self.own().collect();
        reviews.retain(|(text, _)| of(*text).next().is_some());
        reviews.sort_by_key(|(text, review)| (std::cmp::Reverse(of(*text).count()), *review));
        let quote = |(text, review): (usize, ReviewId)| {
            let (_, span) = of(text).next()?;
            let quote = around(&self.texts[text], span);
            Some(Evidence { review, quote, other: None })
        };
        reviews.into_iter().filter_map(quote).take(MAX_QUOTES).collect()
    }

    /// One sentence from each of the reviews with the most extreme values: the longest if the user
    /// has more, the shortest if the user has less.
    pub(super) fn extreme(&self, values: &[f64], direction: Direction) -> Vec<Evidence> {
        let mut reviews: Vec<(f64, usize, ReviewId)> =
            self.own().map(|(text, review)| (values[text], text, review)).collect();
        reviews.retain(|(value, ..)| value.is_finite());
        reviews.sort_by(|a, b| {
            let by_value = match direction {
                Direction::More => b.0.total_cmp(&a.0),
                Direction::Less => a.0.total_cmp(&b.0),
            };
            by_value.then(a.2.cmp(&b.2))
        });
        let quote = |(_, text, review): (f64, usize, ReviewId)| {
            let start = self.extreme_sentence(text, direction)?;
            let quote = around(&self.texts[text], &start);
            Some(Evidence { review, quote, other: None })
        };
        reviews.into_iter().filter_map(quote).take(MAX_QUOTES).collect()
    }

    /// Start of the longest or shortest sentence of a text, the first of several.
    fn extreme_sentence(&self, text: usize, direction: Direction) -> Option<Range<usize>> {
        let sentences = self.texts[text].analyzed.sentences.iter();
        let sentence = match direction {
            Direction::More => sentences.rev().max_by_key(|s| s.words.len()),
            Direction::Less => sentences.min_by_key(|s| s.words.len()),
        };
        let start = sentence?.span.start;
        Some(start..start)
    }
}

/// The sentence that contains the start of a span, verbatim; a long sentence is cut around the
/// span.
fn around(text: &RatedText<'_>, span: &Range<usize>) -> String {
    let analyzed = &text.analyzed;
    let sentence =
        analyzed.sentences.iter().find(|s| s.span.start <= span.start && span.start < s.span.end);
    let (mut start, mut end) =
        sentence.map_or((span.start, span.end), |s| (s.span.start, s.span.end));
    end = end.max(span.end);
    if end - start > MAX_QUOTE_BYTES {
        let middle = usize::midpoint(span.start, span.end);
        let (first, last) = (start, end);
        start = middle.saturating_sub(MAX_QUOTE_BYTES / 2).clamp(first, span.start);
        end = (start + MAX_QUOTE_BYTES).clamp(span.end, last);
        start = end.saturating_sub(MAX_QUOTE_BYTES).clamp(first, start);
        start = word_start(analyzed.text, start, first..span.start);
        end = word_end(analyzed.text, end, span.end..last);
    }
    analyzed.text.get(start..end).unwrap_or_default().trim().to_owned()
}

/// The first start of a word at or after `at`, within a range; the range's end if there is none.
fn word_start(text: &str, at: usize, within: Range<usize>) -> usize {
    if at <= within.start {
        return within.start;
    }
    let space = |&i: &usize| text.is_char_boundary(i) && text[..i].ends_with(char::is_whitespace);
    (at..=within.end).find(space).unwrap_or(within.end)
}

/// The last end of a word at or before `at`, within a range; the range's start if there is none.
fn word_end(text: &str, at: usize, within: Range<usize>) -> usize {
    if at >= within.end {
        return within.end;
    }
    let space = |&i: &usize| text.is_char_boundary(i) && text[i..].starts_with(char::is_whitespace);
    (within.start..=at).rev().find(space).unwrap_or(within.start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::difference::measured::analyzed_text::AnalyzedText;

    #[test]
    fn long_sentences_are_cut_between_words_around_the_span() {
        let words = "words ".repeat(60) + "here " + &"wörter ".repeat(60);
        let text = RatedText { analyzed: AnalyzedText::of(&words, None), rating: None };
        let at = words.find("here").map_or(0..0, |at| at..at + 4);
        let quote = around(&text, &at);
        assert!(
            words.contains(&quote) && quote.contains("here") && quote.len() <= MAX_QUOTE_BYTES + 1,
            "{quote}"
        );
        assert!(quote.starts_with("words ") && quote.ends_with(" wörter"), "{quote}");
        let short =
            RatedText { analyzed: AnalyzedText::of("One. Two words! Three.", None), rating: None };
        assert_eq!(around(&short, &(9..10)), "Two words!");
    }
}
