//! The Porter stemmer with NLTK's extensions.

use std::iter::successors;

/// Irregular words and their stems.
const IRREGULAR: [(&str, &str); 16] = [
    ("sky", "sky"),
    ("skies", "sky"),
    ("dying", "die"),
    ("lying", "lie"),
    ("tying", "tie"),
    ("news", "news"),
    ("innings", "inning"),
    ("inning", "inning"),
    ("outings", "outing"),
    ("outing", "outing"),
    ("cannings", "canning"),
    ("canning", "canning"),
    ("howe", "howe"),
    ("proceed", "proceed"),
    ("exceed", "exceed"),
    ("succeed", "succeed"),
];

const STEP_1A: [(&str, &str); 4] = [("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", "")];

const STEP_2: [(&str, &str); 21] = [
    ("ational", "ate"),
    ("tional", "tion"),
    ("enci", "ence"),
    ("anci", "ance"),
    ("izer", "ize"),
    ("bli", "ble"),
    ("alli", "al"),
    ("entli", "ent"),
    ("eli", "e"),
    ("ousli", "ous"),
    ("ization", "ize"),
    ("ation", "ate"),
    ("ator", "ate"),
    ("alism", "al"),
    ("iveness", "ive"),
    ("fulness", "ful"),
    ("ousness", "ous"),
    ("aliti", "al"),
    ("iviti", "ive"),
    ("biliti", "ble"),
    ("fulli", "ful"),
];

const STEP_3: [(&str, &str); 7] = [
    ("icate", "ic"),
    ("ative", ""),
    ("alize", "al"),
    ("iciti", "ic"),
    ("ical", "ic"),
    ("ful", ""),
    ("ness", ""),
];

const STEP_4: [(&str, &str); 19] = [
    ("al", ""),
    ("ance", ""),
    ("ence", ""),
    ("er", ""),
    ("ic", ""),
    ("able", ""),
    ("ible", ""),
    ("ant", ""),
    ("ement", ""),
    ("ment", ""),
    ("ent", ""),
    ("ion", ""),
    ("ou", ""),
    ("ism", ""),
    ("ate", ""),
    ("iti", ""),
    ("ous", ""),
    ("ive", ""),
    ("ize", ""),
];

/// Stem of a word in lower case (Porter 1980, "An algorithm for suffix stripping", with the changes
/// of NLTK's `PorterStemmer` in its mode `NLTK_EXTENSIONS`: irregular words, words of two letters
/// unchanged, `ie` kept in words of four letters, `y` to `i` after any consonant except the first
/// letter, more suffixes in step 2).
pub(super) fn stem(word: &str) -> String {
    if let Some((_, stem)) = IRREGULAR.iter().find(|(irregular, _)| *irregular == word) {
        return (*stem).to_owned();
    }
    if word.chars().nth(2).is_none() {
        return word.to_owned();
    }
    let mut word = word.to_owned();
    step_1a(&mut word);
    step_1b(&mut word);
    step_1c(&mut word);
    step_2(&mut word);
    replace_first(&mut word, &STEP_3, |stem, _| measure(stem) > 0);
    replace_first(&mut word, &STEP_4, |stem, suffix| {
        measure(stem) > 1 && (suffix != "ion" || stem.ends_with(['s', 't']))
    });
    step_5(&mut word);
    word
}

fn step_1a(word: &mut String) {
    if word.ends_with("ies") && word.chars().count() == 4 {
        word.pop();
    } else {
        replace_first(word, &STEP_1A, |_, _| true);
    }
}

fn step_1b(word: &mut String) {
    if word.ends_with("ied") {
        let n = if word.chars().count() == 4 { 1 } else { 2 };
        word.truncate(word.len() - n);
        return;
    }
    if let Some(stem) = word.strip_suffix("eed") {
        if measure(stem) > 0 {
            word.pop();
        }
        return;
    }
    let stem = word.strip_suffix("ed").or_else(|| word.strip_suffix("ing"));
    let Some(n) = stem.filter(|stem| has_vowel(stem)).map(str::len) else { return };
    word.truncate(n);
    if ["at", "bl", "iz"].iter().any(|end| word.ends_with(end)) {
        word.push('e');
    } else if ends_in_double_consonant(word) {
        if !word.ends_with(['l', 's', 'z']) {
            word.pop();
        }
    } else if measure(word) == 1 && ends_cvc(word) {
        word.push('e');
    }
}

fn step_1c(word: &mut String) {
    let Some(stem) = word.strip_suffix('y') else { return };
    if stem.chars().nth(1).is_some() && letters(stem).last().is_some_and(|(_, is)| is) {
        word.pop();
        word.push('i');
    }
}

fn step_2(word: &mut String) {
    if word.strip_suffix("alli").is_some_and(|stem| measure(stem) > 0) {
        word.truncate(word.len() - 2);
        step_2(word);
    } else if let Some(stem) = word.strip_suffix("ogi").filter(|stem| stem.ends_with('l')) {
        // NLTK's condition applies to the stem including the `l`.
        if measure(stem) > 0 {
            word.pop();
        }
    } else {
        replace_first(word, &STEP_2, |stem, _| measure(stem) > 0);
    }
}

fn step_5(word: &mut String) {
    if let Some(stem) = word.strip_suffix('e') {
        let m = measure(stem);
        if m > 1 || (m == 1 && !ends_cvc(stem)) {
            word.pop();
        }
    }
    if word.ends_with("ll") && measure(&word[..word.len() - 1]) > 1 {
        word.pop();
    }
}

/// Applies the first rule whose suffix the word has, if `holds` is true for the stem and the
/// suffix. Later rules are not tried.
fn replace_first(word: &mut String, rules: &[(&str, &str)], holds: impl Fn(&str, &str) -> bool) {
    let found =
        rules.iter().find_map(|(suffix, new)| Some((word.strip_suffix(suffix)?, suffix, new)));
    let Some((stem, suffix, new)) = found else { return };
    if holds(stem, suffix) {
        let n = stem.len();
        word.truncate(n);
        word.push_str(new);
    }
}

/// Letters of a word, each with whether it is a consonant: not a vowel, and not a `y` after a
/// consonant.
fn letters(word: &str) -> impl Iterator<Item = (char, bool)> {
    let mut chars = word.chars();
    let first = chars.next().map(|c| (c, !is_vowel(c)));
    successors(first, move |&(_, before)| {
        let c = chars.next()?;
        Some((c, if c == 'y' { !before } else { !is_vowel(c) }))
    })
}

fn is_vowel(c: char) -> bool {
    matches!(c, 'a' | 'e' | 'i' | 'o' | 'u')
}

/// Number of vowel-consonant sequences, m in the paper.
fn measure(stem: &str) -> usize {
    letters(stem).zip(letters(stem).skip(1)).filter(|((_, a), (_, b))| !a && *b).count()
}

fn has_vowel(stem: &str) -> bool {
    letters(stem).any(|(_, is_consonant)| !is_consonant)
}

fn ends_in_double_consonant(word: &str) -> bool {
    let mut before = None;
    let mut last = None;
    for letter in letters(word) {
        before = last.replace(letter);
    }
    matches!((before, last), (Some((a, _)), Some((b, true))) if a == b)
}

/// Whether a word ends in consonant, vowel, consonant, the last not `w`, `x` or `y`; or consists of
/// a vowel and a consonant.
fn ends_cvc(word: &str) -> bool {
    let mut last = [None; 3];
    for letter in letters(word) {
        last = [last[1], last[2], Some(letter)];
    }
    match last {
        [Some((_, true)), Some((_, false)), Some((c, true))] => !matches!(c, 'w' | 'x' | 'y'),
        [None, Some((_, false)), Some((_, true))] => true,
        _ => false,
    }
}
