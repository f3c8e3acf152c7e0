#![allow(clippy::unwrap_used)]

use std::collections::HashSet;

use super::*;
use idiolect_core::corpus::Store;

fn options() -> WorldOptions {
    WorldOptions { n_authors: 8, n_without_rules: 3, n_items: 10, n_reviews: 6, seed: 1 }
}

#[test]
fn a_world_is_made_by_its_options_and_nothing_else() {
    let world = World::new(&options());
    assert_eq!(world, World::new(&options()));
    assert_ne!(world.reviews, World::new(&WorldOptions { seed: 2, ..options() }).reviews);
    assert_eq!((world.items.len(), world.authors.len(), world.reviews.len()), (10, 8, 48));
    assert_eq!(world.authors.iter().filter(|author| author.rules.is_none()).count(), 3);
    let texts: HashSet<&str> = world.reviews.iter().map(|review| review.text.as_str()).collect();
    assert_eq!(texts.len(), 48);
}

#[test]
fn an_author_keeps_to_the_rules_in_every_text() {
    let world = World::new(&WorldOptions { n_authors: 40, n_without_rules: 0, ..options() });
    for review in &world.reviews {
        let author = world.authors.iter().find(|author| author.name == review.user).unwrap();
        let rules = author.rules.as_ref().unwrap();
        let text = &review.text;
        let lower = text.to_lowercase();
        let short = |phrase: &str| match rules.contracts {
            true => phrase.replace("i would", "i'd").replace("it is", "it's"),
            false => phrase.to_owned(),
        };
        assert!(rules.opener.is_none_or(|opener| lower.starts_with(&short(opener))), "{text}");
        let end = text.trim_end_matches(rules.ending).to_lowercase();
        assert!(rules.closer.is_none_or(|closer| end.ends_with(&short(closer))), "{text}");
        assert!(text.ends_with(rules.ending) || text.ends_with('?'), "{text}");
        let has_capitals = text.chars().any(char::is_uppercase);
        assert_eq!(has_capitals, rules.casing != Casing::Lower, "{text}");
        assert!(!rules.contracts || !lower.contains("it is"), "{text}");
        assert_eq!(lower.contains("; "), rules.join == ClauseJoin::Semicolon, "{text}");
        assert!((1.0..=5.0).contains(&review.rating.unwrap()));
    }
}

#[test]
fn another_draw_is_another_text_in_the_same_style() {
    let world = World::new(&options());
    let author = &world.authors[0];
    let draws: HashSet<String> = (0..5).map(|draw| world.write(author, 3, draw).text).collect();
    assert_eq!(draws.len(), 5);
    assert_eq!(world.write(author, 3, 4), world.write(author, 3, 4));
    assert_eq!(world.write(author, 99, 0).text, "");
}

#[test]
fn a_world_goes_into_a_store() {
    let world = World::new(&options());
    let store = Store::in_memory().unwrap();
    world.put(&store).unwrap();
    let counts = store.counts().unwrap();
    assert_eq!((counts.reviews, counts.users, counts.items), (48, 8, 10));
    let history = store.history("author-000").unwrap();
    let reviews: Vec<_> = history.into_iter().map(|stored| stored.review).collect();
    assert_eq!(reviews, world.reviews[..6]);
}
