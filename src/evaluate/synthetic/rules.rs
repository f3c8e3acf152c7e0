//! Style rules, and texts that follow them.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::vocabulary::{CLOSERS, ENDINGS, FRAMES, HEDGES, INTENSIFIERS, OPENERS};

/// Capitalization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Casing {
    /// Capitals for the first letter of a sentence and for "I".
    Sentence,
    /// No capitals.
    Lower,
    /// As `Sentence`, with the intensifier and the word after it in capitals.
    Shouted,
}

/// Separator between two statements of one sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClauseJoin {
    /// No separator: each statement is a sentence.
    Apart,
    /// `, and`
    And,
    /// `;`
    Semicolon,
    /// ` - `
    Dash,
}

/// Style rules of an author.
#[derive(Debug, Clone, PartialEq)]
pub struct StyleRules {
    /// Capitalization.
    pub casing: Casing,
    /// End of each sentence.
    pub ending: &'static str,
    /// Separator between statements.
    pub join: ClauseJoin,
    /// Least number of statements per text.
    pub fewest: usize,
    /// Most statements per text.
    pub most: usize,
    /// Hedge put before a statement, and its probability, 0 to 1.
    pub hedge: (&'static str, f64),
    /// Intensifier put before a word, and its probability, 0 to 1.
    pub intensifier: (&'static str, f64),
    /// Preferred sentence frames; the first one is chosen more often.
    pub frames: [&'static str; 2],
    /// Opening phrase of a text.
    pub opener: Option<&'static str>,
    /// Closing phrase of a text.
    pub closer: Option<&'static str>,
    /// Whether contractions such as `it's` are used instead of the long forms.
    pub contracts: bool,
    /// Offset added to the rating that an item deserves, in stars.
    pub bias: f32,
}

impl StyleRules {
    /// Draws rules as they are distributed in the population.
    pub(super) fn drawn(random: &mut ChaCha8Rng) -> Self {
        let fewest = random.random_range(2..5);
        let pick = |from: &[&'static str], random: &mut ChaCha8Rng| {
            from.choose(random).copied().unwrap_or_default()
        };
        let often = |random: &mut ChaCha8Rng| [0.0, 0.3, 0.9][random.random_range(0..3)];
        let first = random.random_range(0..FRAMES.len());
        let second = (first + random.random_range(1..FRAMES.len())) % FRAMES.len();
        Self {
            casing: [Casing::Sentence, Casing::Lower, Casing::Shouted][random.random_range(0..3)],
            ending: pick(&ENDINGS, random),
            join: [ClauseJoin::Apart, ClauseJoin::And, ClauseJoin::Semicolon, ClauseJoin::Dash]
                [random.random_range(0..4)],
            fewest,
            most: fewest + random.random_range(0..3),
            hedge: (pick(&HEDGES, random), often(random)),
            intensifier: (pick(&INTENSIFIERS, random), often(random)),
            frames: [FRAMES[first], FRAMES[second]],
            opener: random.random_bool(0.5).then(|| pick(&OPENERS, random)),
            closer: random.random_bool(0.5).then(|| pick(&CLOSERS, random)),
            contracts: random.random_bool(0.5),
            bias: [-1.5, -0.5, 0.0, 0.5][random.random_range(0..4)],
        }
    }

    /// Turns statements, given as (part, word), into sentences.
    pub(super) fn put(&self, statements: &[(&str, &str)], random: &mut ChaCha8Rng) -> String {
        let clauses: Vec<String> = statements.iter().map(|s| self.clause(*s, random)).collect();
        let between = match self.join {
            ClauseJoin::Apart => None,
            ClauseJoin::And => Some(", and "),
            ClauseJoin::Semicolon => Some("; "),
            ClauseJoin::Dash => Some(" - "),
        };
        let body: Vec<String> = match between {
            None => clauses,
            // Two statements per sentence.
            Some(between) => clauses.chunks(2).map(|two| two.join(between)).collect(),
        };
        let opener = self.opener.map(str::to_owned);
        let closer = self.closer.map(str::to_owned);
        let sentences = opener.into_iter().chain(body).chain(closer);
        sentences.map(|sentence| self.finished(&sentence)).collect::<Vec<_>>().join(" ")
    }

    fn clause(&self, (part, word): (&str, &str), random: &mut ChaCha8Rng) -> String {
        let frame = if random.random_bool(0.7) { self.frames[0] } else { self.frames[1] };
        let word = match random.random_bool(self.intensifier.1) {
            true if self.casing == Casing::Shouted => {
                format!("{} {}", self.intensifier.0, word).to_uppercase()
            }
            true => format!("{} {word}", self.intensifier.0),
            false => word.to_owned(),
        };
        let clause = frame.replace("{part}", part).replace("{word}", &word);
        match random.random_bool(self.hedge.1) {
            true => format!("{} {clause}", self.hedge.0),
            false => clause,
        }
    }

    fn finished(&self, sentence: &str) -> String {
        let mut sentence = sentence.to_owned();
        if self.contracts {
            for (long, short) in [("it is", "it's"), ("i would", "i'd"), ("i am", "i'm")] {
                sentence = sentence.replace(long, short);
            }
        }
        if self.casing != Casing::Lower {
            let words = sentence.split(' ').map(|word| match word {
                "i" | "i'd" | "i'm" => format!("I{}", &word[1..]),
                word => word.to_owned(),
            });
            sentence = words.collect::<Vec<_>>().join(" ");
            let mut letters = sentence.chars();
            let first = letters.next().map(|letter| letter.to_uppercase().to_string());
            sentence = first.unwrap_or_default() + letters.as_str();
        }
        let ending = if sentence.ends_with('?') { "" } else { self.ending };
        format!("{sentence}{ending}")
    }
}
