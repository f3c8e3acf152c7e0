//! A style, and texts in it.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::vocabulary::{CLOSERS, ENDINGS, FRAMES, HEDGES, INTENSIFIERS, OPENERS};

/// How letters are cased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Casing {
    /// The first letter of a sentence, and "I".
    Sentence,
    /// None.
    Lower,
    /// As sentences, the intensifier and the word behind it in capitals.
    Shouted,
}

/// What stands between two statements of one sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// Nothing does: each is a sentence.
    Apart,
    /// `, and`
    And,
    /// `;`
    Semicolon,
    /// ` - `
    Dash,
}

/// What an author keeps to.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// Letters.
    pub casing: Casing,
    /// What sentences end with.
    pub ending: &'static str,
    /// Between statements.
    pub join: Join,
    /// Fewest statements of a text.
    pub fewest: usize,
    /// Most statements of a text.
    pub most: usize,
    /// What statements are softened with, and how often, 0 to 1.
    pub hedge: (&'static str, f64),
    /// What words are made stronger with, and how often, 0 to 1.
    pub intensifier: (&'static str, f64),
    /// Favourite ways to put a statement.
    pub frames: [&'static str; 2],
    /// What a text begins with.
    pub opener: Option<&'static str>,
    /// What a text ends with.
    pub closer: Option<&'static str>,
    /// Apostrophes in `it's` and the like: kept, or the long forms where false.
    pub contracts: bool,
    /// What is added to the rating an item deserves, stars.
    pub bias: f32,
}

impl Rules {
    /// Draws rules as they occur in the population.
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
            join: [Join::Apart, Join::And, Join::Semicolon, Join::Dash][random.random_range(0..4)],
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

    /// Puts statements, each of a part and a word said of it, into sentences.
    pub(super) fn put(&self, statements: &[(&str, &str)], random: &mut ChaCha8Rng) -> String {
        let clauses: Vec<String> = statements.iter().map(|s| self.clause(*s, random)).collect();
        let between = match self.join {
            Join::Apart => None,
            Join::And => Some(", and "),
            Join::Semicolon => Some("; "),
            Join::Dash => Some(" - "),
        };
        let body: Vec<String> = match between {
            None => clauses,
            // Two statements a sentence.
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
