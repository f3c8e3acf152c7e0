//! Text scanning for Punkt: candidate sentence ends, the words around them, and closing
//! punctuation.

/// A possible end of a sentence.
pub(super) struct CandidateSentence {
    /// Start of the word before the end.
    pub(super) context_start: usize,
    /// End of the context after it: a bracket or quote, or the next word.
    pub(super) context_end: usize,
    /// End of the sentence.
    pub(super) end: usize,
    /// Start of the next sentence.
    pub(super) next_start: usize,
}

/// Possible sentence ends; if a word has several, the last one.
pub(super) fn candidates(text: &str) -> Vec<CandidateSentence> {
    let mut found: Vec<CandidateSentence> = Vec::new();
    let mut previous = (0, 0);
    let mut has_previous = false;
    for (at, _) in text.match_indices(['.', '?', '!']) {
        let after = &text[at + 1..];
        let Some(next) = after.chars().next() else { continue };
        let (context_end, next_start) = if is_non_word(next) {
            (at + 1 + next.len_utf8(), at + 1)
        } else if next.is_whitespace() {
            let word = after.trim_start();
            if word.is_empty() {
                continue;
            }
            let start = text.len() - word.len();
            (start + word.find(char::is_whitespace).unwrap_or(word.len()), start)
        } else {
            continue;
        };
        // NLTK treats a space at position 0 as no space.
        let context_start = match text[previous.1..at].rfind(is_ascii_space) {
            Some(space) if space > 0 => previous.1 + space + 1,
            _ => previous.0,
        };
        if has_previous && previous.1 > context_start {
            found.pop();
        }
        found.push(CandidateSentence { context_start, context_end, end: at + 1, next_start });
        previous = (context_start, at);
        has_previous = true;
    }
    found
}

/// Python's `string.whitespace`.
fn is_ascii_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\u{b}' | '\u{c}')
}

/// Whether a character is never part of a word.
fn is_non_word(c: char) -> bool {
    matches!(c, ')' | '"' | ';' | '}' | ']' | '*' | ':' | '@' | '\'' | '(' | '{' | '[' | '?' | '!')
        || is_quote(c)
}

fn is_quote(c: char) -> bool {
    matches!(c, '\u{2018}' | '\u{2019}' | '\u{201c}' | '\u{201d}' | '«' | '»')
}

/// Words of a line, with punctuation other than periods separated.
pub(super) fn punkt_words(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let n = match run_of_punctuation(rest) {
            Some(n) => n,
            None if begins_word(first) => word_len(rest, first.len_utf8()),
            None => first.len_utf8(),
        };
        let (word, after) = rest.split_at(n);
        rest = after;
        Some(word)
    })
}

fn begins_word(c: char) -> bool {
    !matches!(
        c,
        '(' | '"'
            | '`'
            | '{'
            | '['
            | ':'
            | ';'
            | '&'
            | '#'
            | '*'
            | '@'
            | ')'
            | '}'
            | ']'
            | '-'
            | ','
    )
}

/// Byte length of a word whose first character has `first` bytes.
fn word_len(text: &str, first: usize) -> usize {
    let ends = |rest: &str| {
        rest.chars().next().is_none_or(|c| c.is_whitespace() || is_non_word(c))
            || run_of_punctuation(rest).is_some()
    };
    text[first..]
        .char_indices()
        .map(|(at, c)| (first + at, c))
        .find(|&(at, c)| ends(&text[at..]) || (c == ',' && ends(&text[at + 1..])))
        .map_or(text.len(), |(at, _)| at)
}

/// Byte length of a run of two or more dashes or periods at the beginning of a text, or of three or
/// more periods with one white space character between each two.
fn run_of_punctuation(text: &str) -> Option<usize> {
    let first = text.bytes().next().filter(|b| matches!(b, b'-' | b'.'))?;
    let n = text.bytes().take_while(|&b| b == first).count();
    if n >= 2 {
        return Some(n);
    }
    let mut len = 1;
    let mut n_periods = 1;
    let mut rest = text.strip_prefix('.')?.chars();
    while let Some(space) = rest.next().filter(|c| c.is_whitespace()) {
        if rest.next() != Some('.') {
            break;
        }
        len += space.len_utf8() + 1;
        n_periods += 1;
    }
    (n_periods >= 3).then_some(len)
}

/// Sentences of the slices, with quotes and brackets at the beginning of a slice moved to the one
/// before.
pub(super) fn realigned<'t>(text: &'t str, slices: &[(usize, usize)]) -> Vec<&'t str> {
    let mut sentences = Vec::with_capacity(slices.len());
    let mut taken = 0;
    for (i, &(start, end)) in slices.iter().enumerate() {
        let start = start + taken;
        taken = 0;
        let mut end = end;
        if let Some(&(next_start, next_end)) = slices.get(i + 1) {
            let next = text.get(next_start..next_end).unwrap_or_default();
            if let Some((n_closing, n_taken)) = closing(next) {
                end = next_start + n_closing;
                taken = n_taken;
                sentences.push(text.get(start..end).unwrap_or_default());
                continue;
            }
        }
        if let Some(sentence) = text.get(start..end).filter(|sentence| !sentence.is_empty()) {
            sentences.push(sentence);
        }
    }
    sentences
}

/// Byte length of the closing quotes and brackets that a text begins with, if white space, two
/// dashes or the end of the text follow; and that length including the white space.
fn closing(text: &str) -> Option<(usize, usize)> {
    let is_closing = |c| matches!(c, '"' | '\'' | ')' | ']' | '}') || is_quote(c);
    let n = text.find(|c| !is_closing(c)).unwrap_or(text.len());
    let after = &text[n..];
    let n_space = after.len() - after.trim_start().len();
    let ends = n_space > 0 || after.is_empty() || after.starts_with("--");
    (n > 0 && ends).then_some((n, n + n_space))
}
