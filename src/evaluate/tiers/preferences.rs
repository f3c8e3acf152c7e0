//! Preferences about a text that a program can check.

/// A preference and its opposite, in words, and the check that tells which of the two a text keeps.
pub(super) struct TierPreference {
    /// Name in reports.
    pub(super) name: &'static str,
    /// The preference.
    pub(super) wanted: &'static str,
    /// Its opposite.
    pub(super) opposite: &'static str,
    check: fn(&Written<'_>) -> bool,
}

/// A text and the title of the item that it is about.
struct Written<'a> {
    text: &'a str,
    title: &'a str,
}

impl TierPreference {
    /// Whether a text about an item of this title keeps to the preference; otherwise it keeps to the
    /// opposite.
    pub(super) fn is_kept(&self, text: &str, title: &str) -> bool {
        (self.check)(&Written { text: text.trim(), title })
    }
}

const FIRST_PERSON: &[&str] = &["i", "me", "my", "mine", "myself", "we", "us", "our", "ours"];
const SECOND_PERSON: &[&str] = &["you", "your", "yours", "yourself"];
const GERMAN: &[&str] = &[
    "und", "der", "die", "das", "ist", "ein", "eine", "ich", "nicht", "mit", "für", "auf", "sehr",
    "es", "zu", "den", "von", "dem", "aber", "auch", "wie", "sich",
];
const ENGLISH: &[&str] = &[
    "the", "and", "is", "a", "of", "to", "it", "this", "in", "that", "for", "with", "was", "but",
    "on", "are", "not",
];

/// Maximum number of words of a short text.
const FEW: usize = 40;

/// The preferences. Each is asked for in one sentence that names nothing else that is checked.
pub(super) const PREFERENCES: [TierPreference; 16] = [
    TierPreference {
        name: "short",
        wanted: "Write at most 40 words.",
        opposite: "Write at least 60 words.",
        check: |written| words(written.text).len() <= FEW,
    },
    TierPreference {
        name: "no capitals",
        wanted: "Use no capital letters at all, not even at the start of a sentence.",
        opposite: "Begin every sentence with a capital letter.",
        check: |written| !written.text.chars().any(char::is_uppercase),
    },
    TierPreference {
        name: "no exclamation",
        wanted: "Never use an exclamation mark.",
        opposite: "Use at least one exclamation mark.",
        check: |written| !written.text.contains('!'),
    },
    TierPreference {
        name: "question at the end",
        wanted: "End the text with a question.",
        opposite: "Never ask a question.",
        check: |written| written.text.trim_end_matches(['"', '\'', ')']).ends_with('?'),
    },
    TierPreference {
        name: "names the item",
        wanted: "Mention the title of the item.",
        opposite: "Never mention the title of the item.",
        check: names_the_item,
    },
    TierPreference {
        name: "German",
        wanted: "Write in German.",
        opposite: "Write in English.",
        check: |written| count(written.text, GERMAN) > count(written.text, ENGLISH),
    },
    TierPreference {
        name: "no first person",
        wanted: "Never write in the first person: no I, no my, no we.",
        opposite: "Write in the first person.",
        check: |written| {
            let is_first = |word: &String| {
                let stem = word.split('\'').next().unwrap_or_default();
                FIRST_PERSON.contains(&stem)
            };
            !words(written.text).iter().any(is_first)
        },
    },
    TierPreference {
        name: "starts with Well",
        wanted: "Begin the text with the word Well.",
        opposite: "Never begin the text with the word Well.",
        check: |written| words(written.text).first().is_some_and(|word| word == "well"),
    },
    TierPreference {
        name: "list",
        wanted: "Write a list of points, each on a line that begins with a hyphen.",
        opposite: "Write one paragraph without any list.",
        check: |written| {
            let is_point = |line: &&str| line.trim_start().starts_with(['-', '*', '•']);
            written.text.lines().filter(is_point).count() >= 2
        },
    },
    TierPreference {
        name: "a number",
        wanted: "Give at least one number in digits.",
        opposite: "Use no digits.",
        check: |written| written.text.chars().any(|c| c.is_ascii_digit()),
    },
    TierPreference {
        name: "no commas",
        wanted: "Use no commas.",
        opposite: "Use several commas.",
        check: |written| !written.text.contains(','),
    },
    TierPreference {
        name: "brackets",
        wanted: "Put an aside in round brackets.",
        opposite: "Use no brackets.",
        check: |written| written.text.contains('(') && written.text.contains(')'),
    },
    TierPreference {
        name: "one sentence",
        wanted: "Write a single sentence.",
        opposite: "Write at least three sentences.",
        check: |written| n_sentences(written.text) <= 1,
    },
    TierPreference {
        name: "quotation",
        wanted: "Put at least one word in quotation marks.",
        opposite: "Use no quotation marks.",
        check: |written| written.text.contains(['"', '“', '”', '„', '«', '»']),
    },
    TierPreference {
        name: "speaks to the reader",
        wanted: "Speak to the reader as you.",
        opposite: "Never speak to the reader: no you, no your.",
        check: |written| {
            let is_second = |word: &String| {
                let stem = word.split('\'').next().unwrap_or_default();
                SECOND_PERSON.contains(&stem)
            };
            words(written.text).iter().any(is_second)
        },
    },
    TierPreference {
        name: "ends with Cheers",
        wanted: "Make Cheers the last word of the text.",
        opposite: "Never write the word Cheers.",
        check: |written| words(written.text).last().is_some_and(|word| word == "cheers"),
    },
];

/// The words of a text in lower case, apostrophes inside included.
fn words(text: &str) -> Vec<String> {
    let text = text.replace('’', "'");
    let words = text.split(|c: char| !(c.is_alphanumeric() || c == '\''));
    let words = words.map(|word| word.trim_matches('\'').to_lowercase());
    words.filter(|word| !word.is_empty()).collect()
}

fn count(text: &str, among: &[&str]) -> usize {
    words(text).iter().filter(|word| among.contains(&word.as_str())).count()
}

/// Number of sentences: runs of closing marks that end the text or stand before white space, and a rest
/// without one.
fn n_sentences(text: &str) -> usize {
    let (mut n, mut is_open, mut ends) = (0, false, false);
    for c in text.chars() {
        if c.is_whitespace() && ends {
            (n, is_open) = (n + 1, false);
        }
        ends = matches!(c, '.' | '!' | '?') || (ends && matches!(c, '"' | '\'' | ')'));
        is_open |= c.is_alphanumeric();
    }
    n + usize::from(is_open)
}

/// Whether the first words of the title, up to four, occur in a row.
fn names_the_item(written: &Written<'_>) -> bool {
    let mut title = words(written.title);
    title.truncate(4);
    !title.is_empty() && words(written.text).windows(title.len()).any(|run| run == title)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(name: &str, text: &str) -> bool {
        let found = PREFERENCES.iter().find(|preference| preference.name == name);
        found
            .is_some_and(|preference| preference.is_kept(text, "Blue Train: The Complete Sessions"))
    }

    #[test]
    fn each_preference_has_a_text_that_keeps_it_and_one_that_does_not() {
        let long = "word ".repeat(41);
        let texts = [
            ("short", "Fine.", long.as_str()),
            ("no capitals", "fine, really.", "fine, Really."),
            ("no exclamation", "Fine.", "Fine! Really."),
            ("question at the end", "Fine. Is it not?", "Is it? Yes."),
            ("names the item", "blue train, the complete one", "The train is blue."),
            ("German", "Das ist sehr gut und nicht teuer.", "It is good and not in the way."),
            ("no first person", "It works. Mice like it.", "It works, I'm sure."),
            ("starts with Well", "Well, it works.", "It works well."),
            ("list", "- one\n- two", "- one and two"),
            ("a number", "It took 3 days.", "It took three days."),
            ("no commas", "Good and cheap.", "Good, cheap."),
            ("brackets", "Good (and cheap).", "Good."),
            ("one sentence", "Good and cheap \"so far.\" ", "Good. Cheap."),
            ("quotation", "A \"good\" one.", "A good one."),
            ("speaks to the reader", "You'll like it.", "All like it."),
            ("ends with Cheers", "It works. Cheers!", "Cheers to it."),
        ];
        assert_eq!(texts.len(), PREFERENCES.len());
        for (name, keeps, breaks) in texts {
            assert!(kept(name, keeps), "{name}: {keeps}");
            assert!(!kept(name, breaks), "{name}: {breaks}");
        }
    }

    #[test]
    fn sentences_are_counted_by_their_ends() {
        for (text, n) in [("", 0), ("One", 1), ("One.", 1), ("One... two? 3.5 (x.) y", 4)] {
            assert_eq!(n_sentences(text), n, "{text}");
        }
    }
}
