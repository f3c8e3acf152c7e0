//! Synthetic items, authors and reviews.

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::rules::StyleRules;
use super::vocabulary::{BAD, GOOD, KINDS, PARTS};
use crate::seed::seed_for;
use idiolect_core::corpus::{self, Item, Review, Store};

/// Size and seed of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorldOptions {
    /// Number of authors.
    pub n_authors: usize,
    /// Number of authors without rules.
    pub n_without_rules: usize,
    /// Number of items.
    pub n_items: usize,
    /// Number of reviews per author, each of another item; at most the number of items.
    pub n_reviews: usize,
    /// Seed of all draws.
    pub seed: u64,
}

/// A synthetic author.
#[derive(Debug, Clone, PartialEq)]
pub struct Author {
    /// Name of the user: `author-` and a number.
    pub name: String,
    /// Style rules; `None` draws new rules for each text.
    pub rules: Option<StyleRules>,
}

/// Synthetic items, authors and reviews.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    /// The items; their descriptions name their parts.
    pub items: Vec<Item>,
    /// The authors; those without rules come last.
    pub authors: Vec<Author>,
    /// Their reviews, author by author, oldest first.
    pub reviews: Vec<Review>,
    facts: Vec<WorldFacts>,
    seed: u64,
}

/// Facts of an item, shared by all reviews of it.
#[derive(Debug, Clone, PartialEq)]
struct WorldFacts {
    /// Rating that the item deserves, from 2 to 5 stars.
    deserves: f32,
    /// Parts, each with a word of praise and a word of criticism.
    parts: Vec<(&'static str, &'static str, &'static str)>,
}

/// Number of parts per item, which is also the most statements of a text.
const N_PARTS: usize = 6;
/// 2020-01-01, seconds since the epoch, and a day.
const BEGINNING: i64 = 1_577_836_800;
const DAY: i64 = 86_400;

impl World {
    /// Makes a world. The same options make the same world.
    #[must_use]
    pub fn new(options: &WorldOptions) -> Self {
        let WorldOptions { n_authors, n_without_rules, n_items, n_reviews, seed } = *options;
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (items, facts) = (0..n_items).map(|i| item(i, &mut random)).unzip();
        let authors = (0..n_authors)
            .map(|i| {
                let rules = StyleRules::drawn(&mut random);
                let rules = (i + n_without_rules < n_authors).then_some(rules);
                Author { name: format!("author-{i:03}"), rules }
            })
            .collect();
        let mut world = Self { items, authors, reviews: Vec::new(), facts, seed };
        let mut reviews = Vec::new();
        for author in &world.authors {
            let mut about: Vec<usize> = (0..n_items).collect();
            about.shuffle(&mut random);
            about.truncate(n_reviews);
            let days = (0..).map(|day| BEGINNING + DAY * day);
            let written = about.iter().zip(days);
            reviews.extend(
                written.map(|(&item, time)| Review { time, ..world.write(author, item, 0) }),
            );
        }
        world.reviews = reviews;
        world
    }

    /// Review of the item at index `item` by an author. Each `draw` gives another text in the same
    /// style; draw 0 is in [`World::reviews`]. The time is 0.
    ///
    /// The text is empty if there is no such item.
    #[must_use]
    pub fn write(&self, author: &Author, item: usize, draw: u64) -> Review {
        let (Some(about), Some(facts)) = (self.items.get(item), self.facts.get(item)) else {
            let [item, title, text] = [(); 3].map(|()| String::new());
            return Review { user: author.name.clone(), item, rating: None, title, text, time: 0 };
        };
        let what = [author.name.as_str(), &about.id, &draw.to_string()];
        let mut random = ChaCha8Rng::seed_from_u64(seed_for(self.seed, &what));
        let rules = match &author.rules {
            Some(rules) => rules.clone(),
            None => StyleRules::drawn(&mut random),
        };
        let noise: f32 = random.random_range(-0.7..0.7);
        let rating = (facts.deserves + rules.bias + noise).round().clamp(1.0, 5.0);
        let mut parts = facts.parts.clone();
        parts.shuffle(&mut random);
        parts.truncate(random.random_range(rules.fewest..=rules.most));
        let liking = f64::from((rating - 1.0) / 4.0);
        let statements: Vec<(&str, &str)> = parts
            .iter()
            .map(|&(part, good, bad)| (part, if random.random_bool(liking) { good } else { bad }))
            .collect();
        let title = statements.first().map(|(part, word)| format!("{part}: {word}"));
        Review {
            user: author.name.clone(),
            item: about.id.clone(),
            rating: Some(rating),
            title: title.unwrap_or_default(),
            text: rules.put(&statements, &mut random),
            time: 0,
        }
    }

    /// An author without rules who is not in the world: stands for an unpersonalized method.
    #[must_use]
    pub fn stranger() -> Author {
        Author { name: "stranger".to_owned(), rules: None }
    }

    /// Writes the items and reviews to a store.
    ///
    /// # Errors
    /// Error if the store cannot be written.
    pub fn put(&self, store: &Store) -> corpus::Result<()> {
        store.put_items(&self.items)?;
        store.put_reviews(&self.reviews).map(drop)
    }
}

fn item(i: usize, random: &mut ChaCha8Rng) -> (Item, WorldFacts) {
    let (category, kinds) = KINDS[random.random_range(0..KINDS.len())];
    let kind = kinds[random.random_range(0..kinds.len())];
    let mut parts = PARTS;
    parts.shuffle(random);
    let parts = parts[..N_PARTS].iter().map(|&part| {
        let said = random.random_range(0..GOOD.len());
        (part, GOOD[said], BAD[said])
    });
    let parts: Vec<_> = parts.collect();
    let named: Vec<&str> = parts.iter().map(|(part, ..)| *part).collect();
    let item = Item {
        id: format!("item-{i:03}"),
        title: format!("{kind} no. {i}"),
        description: format!("A {kind} for the {category}, with {}.", named.join(", ")),
        categories: vec![category.to_owned(), kind.to_owned()],
    };
    (item, WorldFacts { deserves: random.random_range(2.0..5.0), parts })
}
