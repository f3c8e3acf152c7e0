//! Word tokenization of a sentence, as NLTK does it.

use super::python::{
    is_digit, is_space, is_word_of_re, is_word_of_regex, pad, replace_pairs, split,
};

/// Clitics: an apostrophe before one of these is not separated as an opening quote.
const CLITICS: [&str; 8] = ["re", "ve", "ll", "m", "t", "s", "d", "n"];

/// Endings that are cut off before a space, unless an apostrophe or a space precedes them.
const SHORT_ENDINGS: [&str; 7] = ["'s", "'S", "'m", "'M", "'d", "'D", "'"];
const LONG_ENDINGS: [&str; 8] = ["'ll", "'LL", "'re", "'RE", "'ve", "'VE", "n't", "N'T"];

/// Contractions that are split into two words. `wanna` is split only before white space.
const CONTRACTIONS: [(&str, &str); 8] = [
    ("can", "not"),
    ("d", "'ye"),
    ("gim", "me"),
    ("gon", "na"),
    ("got", "ta"),
    ("lem", "me"),
    ("more", "'n"),
    ("wan", "na"),
];

/// Tokens of one sentence, as NLTK's `NLTKWordTokenizer` 3.10 produces them: Penn Treebank
/// conventions with Unicode quotes and dashes; double quotes become two backquotes or two
/// apostrophes.
pub(super) fn sentence_words(sentence: &str) -> Vec<String> {
    let text = opening_quotes(sentence);
    let text = punctuation(text);
    let text = format!(" {text} ");
    let text = closing_quotes(text);
    let text = tis_and_twas(contractions(&text));
    split(&text).map(str::to_owned).collect()
}

fn opening_quotes(sentence: &str) -> String {
    let mut text = String::with_capacity(sentence.len() + 16);
    let mut chars = sentence.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '«' | '“' | '‘' | '„' => text.extend([' ', c, ' ']),
            '`' => {
                text.push_str(" `");
                while chars.next_if_eq(&'`').is_some() {
                    text.push('`');
                }
                text.push(' ');
            }
            _ => text.push(c),
        }
    }
    if text.starts_with('"') {
        text.replace_range(..1, "``");
    }
    if text.contains("``") {
        text = text.replace("``", " `` ");
    }
    if text.contains('"') || text.contains("''") {
        text = quotes_after_openers(&text);
    }
    if text.contains('\'') { apostrophes_before_words(&text) } else { text }
}

/// Marks double quotes after a space or an opening bracket as opening quotes.
fn quotes_after_openers(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        out.push(c);
        rest = &rest[c.len_utf8()..];
        if matches!(c, ' ' | '(' | '[' | '{' | '<')
            && let Some(after) = rest.strip_prefix('"').or_else(|| rest.strip_prefix("''"))
        {
            out.push_str(" `` ");
            rest = after;
        }
    }
    out
}

/// Separates an apostrophe from the word after it, unless that word is a clitic.
fn apostrophes_before_words(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut before = None;
    for (at, c) in text.char_indices() {
        out.push(c);
        if c == '\''
            && !before.is_some_and(is_word_of_regex)
            && text[at + 1..].chars().next().is_some_and(is_word_of_regex)
            && !is_clitic(&text[at + 1..])
        {
            out.push(' ');
        }
        before = Some(c);
    }
    out
}

/// Whether a text begins with a clitic that is a whole word.
fn is_clitic(text: &str) -> bool {
    CLITICS.iter().any(|clitic| {
        after_ignoring_case(text, clitic)
            .is_some_and(|rest| !rest.chars().next().is_some_and(is_word_of_regex))
    })
}

fn punctuation(text: String) -> String {
    let mut text = text;
    let spaced_closers =
        |c| matches!(c, ']' | ')' | '}' | '>' | '"' | '\'' | '»' | '”' | '’' | ' ');
    if let Some((before, closers)) = last_period(&text, spaced_closers) {
        text = format!("{before} . {closers} ");
    }
    if text.contains([':', ',']) {
        text = replace_pairs(
            &text,
            |c, after| matches!(c, ':' | ',') && !is_digit(after),
            |out, c, after| out.extend([' ', c, ' ', after]),
        );
        if let Some(c) = text.chars().next_back().filter(|c| matches!(c, ':' | ',')) {
            text.pop();
            text.extend([' ', c, ' ']);
        }
    }
    if text.contains("..") {
        text = pad_runs_of_periods(&text);
    }
    text = pad(&text, |c| matches!(c, ';' | '@' | '#' | '$' | '%' | '&' | '\u{2012}'..='\u{2015}'));
    if let Some((before, closers)) =
        last_period(&text, |c| spaced_closers(c) && c.is_ascii() && c != ' ')
    {
        text = format!("{before} .{closers} ");
    }
    text = pad(&text, |c| matches!(c, '?' | '!'));
    text = cut_before_spaces(&text, |c| c != '\'', &["'"]);
    text = pad(&text, |c| matches!(c, '*' | '[' | ']' | '(' | ')' | '{' | '}' | '<' | '>'));
    if text.contains("--") { text.replace("--", " -- ") } else { text }
}

/// Text before a final period, and the characters of a class right after the period. `None` unless
/// only white space follows these; the period must not be the first character nor follow another
/// period.
fn last_period(text: &str, is_closer: impl Fn(char) -> bool) -> Option<(&str, &str)> {
    let at = text.rfind('.')?;
    let before = &text[..at];
    let tail = &text[at + 1..];
    let n = tail.find(|c| !is_closer(c)).unwrap_or(tail.len());
    let ends = tail[n..].chars().all(char::is_whitespace);
    (ends && !before.is_empty() && !before.ends_with('.')).then_some((before, &tail[..n]))
}

fn pad_runs_of_periods(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(at) = rest.find("..") {
        let n = rest[at..].find(|c| c != '.').unwrap_or(rest.len() - at);
        out.push_str(&rest[..at]);
        out.extend([" ", &rest[at..at + n], " "]);
        rest = &rest[at + n..];
    }
    out.push_str(rest);
    out
}

fn closing_quotes(text: String) -> String {
    let mut text = pad(&text, |c| matches!(c, '»' | '”' | '’'));
    if text.contains("''") || text.contains('"') {
        text = text.replace("''", " '' ").replace('"', " '' ");
    }
    let text = single_spaces(&text);
    if !text.contains('\'') {
        return text;
    }
    let text = cut_before_spaces(&text, |c| c != '\'' && c != ' ', &SHORT_ENDINGS);
    cut_before_spaces(&text, |c| c != '\'' && c != ' ', &LONG_ENDINGS)
}

fn single_spaces(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut after_space = false;
    for c in text.chars() {
        let is_space = c.is_whitespace();
        if !(is_space && after_space) {
            out.push(if is_space { ' ' } else { c });
        }
        after_space = is_space;
    }
    out
}

/// Cuts off the first of `endings` that precedes a space, if the character before the ending is in
/// `class`.
fn cut_before_spaces(text: &str, class: impl Fn(char) -> bool, endings: &[&str]) -> String {
    if !text.contains('\'') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        out.push(c);
        rest = &rest[c.len_utf8()..];
        let found = endings
            .iter()
            .find_map(|ending| Some((ending, rest.strip_prefix(ending)?.strip_prefix(' ')?)));
        if class(c)
            && let Some((ending, after)) = found
        {
            out.extend([" ", ending, " "]);
            rest = after;
        }
    }
    out
}

fn contractions(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    let mut in_word = false;
    while let Some(c) = rest.chars().next() {
        let may_begin =
            !in_word && matches!(c.to_ascii_lowercase(), 'c' | 'd' | 'g' | 'l' | 'm' | 'w');
        if may_begin && let Some((first, second, after)) = contraction(rest) {
            out.extend([" ", first, " ", second, " "]);
            rest = after;
            in_word = true;
            continue;
        }
        out.push(c);
        in_word = is_word_of_re(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

/// Splits `'tis` and `'twas` after a space. They reach this step whole only right after a
/// contraction: elsewhere the apostrophe was separated as an opening quote.
fn tis_and_twas(text: String) -> String {
    if !text.contains(" 't") && !text.contains(" 'T") {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text.as_str();
    while let Some(c) = rest.chars().next() {
        let verb = after_ignoring_case(rest, " 't");
        let after = verb.and_then(|verb| {
            let after = ["is", "was"].iter().find_map(|word| after_ignoring_case(verb, word));
            after.filter(|after| !after.chars().next().is_some_and(is_word_of_re))
        });
        if let (Some(verb), Some(after)) = (verb, after) {
            let (n_first, n_both) = (rest.len() - verb.len(), rest.len() - after.len());
            out.extend([&rest[..n_first], " ", &rest[n_first..n_both], " "]);
            rest = after;
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// Two words of a contraction at the beginning of a text, and the text after it.
fn contraction(text: &str) -> Option<(&str, &str, &str)> {
    CONTRACTIONS.iter().find_map(|(first, second)| {
        let middle = after_ignoring_case(text, first)?;
        let rest = after_ignoring_case(middle, second)?;
        let next = rest.chars().next();
        let ends = match *first {
            "wan" => next.is_some_and(is_space),
            _ => !next.is_some_and(is_word_of_re),
        };
        let n_first = text.len() - middle.len();
        let n_both = text.len() - rest.len();
        ends.then(|| (&text[..n_first], &text[n_first..n_both], rest))
    })
}

/// Text after a lower-case prefix, ignoring case as Python does: some non-ASCII letters equal ASCII
/// ones.
fn after_ignoring_case<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let mut rest = text.chars();
    for expected in prefix.chars() {
        let c = rest.next()?;
        let same = c.to_ascii_lowercase() == expected
            || matches!((expected, c), ('s', 'ſ') | ('i', 'İ' | 'ı'));
        if !same {
            return None;
        }
    }
    Some(rest.as_str())
}
