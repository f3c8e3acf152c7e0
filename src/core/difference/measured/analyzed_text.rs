//! Analysis of one text: its words, its sentences and the marks that are counted in them.

use std::ops::Range;

use super::lexicon::{LexiconEntry, Sense, StyleLexicon, flag};
use super::sentences::{SentenceEnd, Sign, scan};
use idiolect_metrics::text::for_each_word;

/// Kind of a mark, which is what measures count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Sign(Sign),
    Sense(Sense),
    /// A word in capitals.
    Capitals,
    /// `i` for `I`.
    LowerI,
    Number,
    Name,
    FirstPerson,
    Item,
    Positive,
    Negative,
    /// Two words that could be contracted.
    Contractible,
    /// A line of a list.
    ListLine,
}

/// A word.
#[derive(Debug, Clone)]
pub(super) struct Word {
    /// Span in the text, bytes.
    pub(super) span: Range<usize>,
    /// Span in [`AnalyzedText::lower`], bytes.
    lower: Range<usize>,
    /// Whether it is a function word.
    pub(super) function: bool,
}

/// A sentence.
#[derive(Debug, Clone)]
pub(super) struct Sentence {
    /// Span in the text, bytes.
    pub(super) span: Range<usize>,
    /// Indices of its words.
    pub(super) words: Range<usize>,
    /// Kind of its end.
    pub(super) ending: SentenceEnd,
    /// Whether its first letter or digit is a lower-case letter; `None` if that character has no
    /// case.
    pub(super) lower_start: Option<bool>,
    /// Number of words of praise and of blame.
    pub(super) tone: (u32, u32),
}

/// An analyzed text.
#[derive(Debug)]
pub(super) struct AnalyzedText<'t> {
    pub(super) text: &'t str,
    /// The words in lower case, concatenated.
    lower: String,
    pub(super) words: Vec<Word>,
    /// The sentences that contain words.
    pub(super) sentences: Vec<Sentence>,
    /// Every mark and its span in the text, bytes.
    pub(super) marks: Vec<(Mark, Range<usize>)>,
    /// Number of paragraphs: groups of lines without a blank line in between. Two consecutive
    /// `<br />` count as a blank line.
    pub(super) paragraphs: usize,
}

/// An analyzed text and its rating.
#[derive(Debug)]
pub(super) struct RatedText<'t> {
    pub(super) analyzed: AnalyzedText<'t>,
    pub(super) rating: Option<f32>,
}

impl<'t> AnalyzedText<'t> {
    /// Analyzes a text; without a lexicon, marks that need word lists are left out.
    pub(super) fn of(text: &'t str, lexicon: Option<&StyleLexicon>) -> Self {
        let scanned = scan(text);
        let mut analyzed = Self {
            text,
            lower: String::with_capacity(text.len()),
            words: Vec::with_capacity(text.len() / 5),
            sentences: Vec::with_capacity(scanned.sentences.len()),
            marks: scanned.signs.into_iter().map(|(sign, at)| (Mark::Sign(sign), at)).collect(),
            paragraphs: 0,
        };
        for_each_word(text, |span, word| {
            let start = analyzed.lower.len();
            analyzed.lower.push_str(word);
            let lower = start..analyzed.lower.len();
            let function = lexicon.is_some_and(|lexicon| lexicon.is_function(word));
            analyzed.words.push(Word { span, lower, function });
        });
        let mut next = 0;
        for (span, ending) in scanned.sentences {
            let behind = |word: &Word| word.span.start < span.end;
            let n = analyzed.words[next..].iter().take_while(|word| behind(word)).count();
            let words = next..next + n;
            next += n;
            if n > 0 {
                let first = text[span.clone()].chars().find(|c| c.is_alphanumeric());
                let cased = first.filter(|c| c.is_lowercase() || c.is_uppercase());
                let lower_start = cased.map(char::is_lowercase);
                let sentence = Sentence { span, words, ending, lower_start, tone: (0, 0) };
                analyzed.sentences.push(sentence);
            }
        }
        analyzed.lines();
        for sentence in 0..analyzed.sentences.len() {
            analyzed.mark_words(sentence, lexicon);
        }
        analyzed
    }

    /// A word in lower case.
    pub(super) fn lower(&self, word: usize) -> &str {
        self.words.get(word).map_or("", |word| &self.lower[word.lower.clone()])
    }

    /// Number of occurrences of a mark.
    pub(super) fn count(&self, mark: Mark) -> usize {
        self.marks.iter().filter(|(m, _)| *m == mark).count()
    }

    fn lines(&mut self) {
        let mut blank = true;
        let mut at = 0;
        for line in self.text.split_inclusive('\n') {
            let trimmed = line.trim();
            if trimmed.is_empty() {
                blank = true;
            } else {
                self.paragraphs += usize::from(blank);
                // Two consecutive breaks make a blank line.
                self.paragraphs += trimmed.matches("<br /><br />").count();
                blank = false;
                let marked = trimmed.trim_start_matches(|c: char| c.is_ascii_digit());
                let numbered = marked.len() < trimmed.len() && marked.starts_with([')', '.']);
                let bulleted = ["- ", "* ", "• ", "-- "].iter().any(|b| trimmed.starts_with(b));
                let is_item = bulleted || numbered && marked[1..].starts_with(' ');
                if is_item && self.text.trim().contains('\n') {
                    self.marks.push((Mark::ListLine, at..at + line.trim_end().len()));
                }
            }
            at += line.len();
        }
    }

    fn mark_words(&mut self, sentence: usize, lexicon: Option<&StyleLexicon>) {
        let words = self.sentences[sentence].words.clone();
        let mut tone = (0, 0);
        // Words before this index belong to a phrase that is already marked.
        let mut taken = words.start;
        for i in words.clone() {
            let span = self.words[i].span.clone();
            let written = &self.text[span.clone()];
            let entry = lexicon.and_then(|lexicon| lexicon.entry(self.lower(i)));
            let flags = entry.map_or(0, |entry| entry.flags);
            let known = flags & flag::ACRONYM != 0;
            let mut marks: Vec<Mark> = Vec::new();
            if written.starts_with(|c: char| c.is_ascii_digit()) {
                marks.push(Mark::Number);
            }
            if is_shouted(written) && !known {
                marks.push(Mark::Capitals);
            } else if i > words.start
                && is_name(written)
                && lexicon.is_some_and(|l| l.language == "en")
            {
                marks.push(Mark::Name);
            }
            if flags & flag::FIRST_PERSON != 0 {
                marks.push(Mark::FirstPerson);
            }
            let english = lexicon.is_some_and(|lexicon| lexicon.language == "en");
            if english && (written == "i" || written.starts_with("i'") || written.starts_with("i’"))
            {
                marks.push(Mark::LowerI);
            }
            if flags & flag::ITEM != 0 {
                marks.push(Mark::Item);
            }
            if flags & (flag::POSITIVE | flag::NEGATIVE) != 0 {
                let negated = (i.saturating_sub(3).max(words.start)..i).any(|before| {
                    let entry = lexicon.and_then(|lexicon| lexicon.entry(self.lower(before)));
                    entry.is_some_and(|entry| entry.flags & flag::NEGATION != 0)
                });
                if (flags & flag::POSITIVE != 0) == negated {
                    tone.1 += 1;
                    marks.push(Mark::Negative);
                } else {
                    tone.0 += 1;
                    marks.push(Mark::Positive);
                }
            }
            if lexicon.is_some() && is_drawn_out(self.lower(i)) {
                marks.push(Mark::Sense(Sense::Spelling));
            }
            self.marks.extend(marks.into_iter().map(|mark| (mark, span.clone())));
            let Some(entry) = entry else { continue };
            if i + 1 < words.end && self.is_contractible(i, entry, lexicon) {
                self.marks.push((Mark::Contractible, span.start..self.words[i + 1].span.end));
            }
            if i >= taken
                && let Some((n, sense)) = self.phrase(i, words.end, entry)
            {
                taken = i + n;
                self.marks.push((Mark::Sense(sense), span.start..self.words[i + n - 1].span.end));
            }
        }
        self.sentences[sentence].tone = tone;
    }

    /// Length in words of the longest listed phrase that begins with this word, and its sense.
    fn phrase(&self, i: usize, end: usize, entry: &LexiconEntry) -> Option<(usize, Sense)> {
        let found = entry.phrases.iter().find(|(rest, _)| {
            i + rest.len() < end
                && rest
                    .iter()
                    .enumerate()
                    .all(|(k, word)| self.lower(i + 1 + k) == word.trim_end_matches(','))
        });
        found.map(|(rest, sense)| (1 + rest.len(), *sense))
    }

    fn is_contractible(
        &self,
        i: usize,
        entry: &LexiconEntry,
        lexicon: Option<&StyleLexicon>,
    ) -> bool {
        let Some(next) = lexicon.and_then(|lexicon| lexicon.entry(self.lower(i + 1))) else {
            return false;
        };
        let both = |first: u16, second: u16| entry.flags & first != 0 && next.flags & second != 0;
        both(flag::SUBJECT, flag::VERB) || both(flag::AUXILIARY, flag::NEGATOR)
    }
}

/// Whether a word is in capitals: two letters or more, all of them capitals, one of them a vowel.
fn is_shouted(word: &str) -> bool {
    word.chars().count() > 1
        && word.chars().all(|c| c.is_uppercase() || c == '\'')
        && word.contains(['A', 'E', 'I', 'O', 'U', 'Y', 'Ä', 'Ö', 'Ü'])
}

/// Whether a letter occurs three times in a row, as in `sooo`.
fn is_drawn_out(word: &str) -> bool {
    let mut run = (' ', 0);
    word.chars().any(|c| {
        run = if run.0 == c { (c, run.1 + 1) } else { (c, 1) };
        run.1 > 2 && c.is_alphabetic() && !word.starts_with("www") && word.contains(|c| c != 'i')
    })
}

fn is_name(word: &str) -> bool {
    let mut letters = word.chars();
    let first = letters.next().is_some_and(char::is_uppercase);
    first && !word.starts_with("I'") && letters.next().is_some_and(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn marked(text: &str) -> Vec<(Mark, &str)> {
        let lexicon = StyleLexicon::of(["the lid is on it and that is it"].into_iter());
        let analyzed = AnalyzedText::of(text, lexicon);
        analyzed.marks.iter().map(|(mark, span)| (*mark, &text[span.clone()])).collect()
    }

    #[test]
    fn marks_stand_where_they_are() {
        let has = |text: &'static str, mark, span| {
            let marked = marked(text);
            assert!(marked.contains(&(mark, span)), "{text}: {marked:?}");
        };
        has("It is, I think, so GOOD", Mark::Sense(Sense::Hedge), "I think");
        has("If I am not mistaken, the lid", Mark::Sense(Sense::Hedge), "If I am not mistaken");
        has("It is, I think, so GOOD", Mark::Capitals, "GOOD");
        has("It is not that good", Mark::Negative, "good");
        has("it is not bad", Mark::Positive, "bad");
        has("It’s so good", Mark::Sense(Sense::Contracted), "It’s");
        has("It is good", Mark::Contractible, "It is");
        has("we do not care", Mark::Contractible, "do not");
        has("i dont know", Mark::Sense(Sense::Dropped), "dont");
        has("i dont know", Mark::LowerI, "i");
        has("Bought 12 at Ikea", Mark::Number, "12");
        has("Bought 12 at Ikea", Mark::Name, "Ikea");
        has("this is sooo good", Mark::Sense(Sense::Spelling), "sooo");
        has("Pros:\n- quiet\n- small", Mark::ListLine, "- quiet");
        assert!(!marked("The DVD and the USB stick").iter().any(|(m, _)| *m == Mark::Capitals));
    }

    #[test]
    fn paragraphs_and_sentences_are_counted() {
        let analyzed = AnalyzedText::of("One. Two\n\nthree words here!\n", None);
        assert_eq!(
            (analyzed.paragraphs, analyzed.sentences.len(), analyzed.words.len()),
            (2, 3, 5)
        );
        let words: Vec<usize> = analyzed.sentences.iter().map(|s| s.words.len()).collect();
        assert_eq!(words, [1, 1, 3]);
        assert_eq!(analyzed.lower(0), "one");
    }
}
