//! Tests that measured differences find the style rules of synthetic authors, and nothing for
//! authors without rules.
#![allow(clippy::unwrap_used)]

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::synthetic::{Author, Casing, ClauseJoin, StyleRules, World, WorldOptions};
use idiolect_core::corpus::{ReviewId, StoredReview};
use idiolect_core::difference::{Compared, MeasuredDifferences, Statement, measure};
use idiolect_core::peers::{Origin, Representative};
use idiolect_core::task::Task;

/// Number of representatives per item.
const K: usize = 4;

fn world(seed: u64) -> World {
    let (n_authors, n_without_rules) = (80, 40);
    World::new(&WorldOptions { n_authors, n_without_rules, n_items: 50, n_reviews: 20, seed })
}

/// Comparisons of an author's reviews with K random other reviews of each item.
fn compared(world: &World, author: &Author, seed: u64) -> Vec<Compared> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let stored: Vec<StoredReview> = (0..)
        .zip(&world.reviews)
        .map(|(id, review)| StoredReview { id: ReviewId(id), review: review.clone(), context: None })
        .collect();
    let own = stored.iter().filter(|stored| stored.review.user == author.name);
    own.map(|own| {
        let mut others: Vec<&StoredReview> = stored
            .iter()
            .filter(|other| other.review.item == own.review.item && other.id != own.id)
            .collect();
        others.shuffle(&mut random);
        let representatives = others.into_iter().take(K).map(|other| Representative {
            review: other.clone(),
            cluster: None,
            cluster_size: 1,
            similarity: 0.0,
            origin: Origin::SameItem,
        });
        let item = world.items.iter().find(|item| item.id == own.review.item).unwrap().clone();
        Compared { item, own: own.clone(), representatives: representatives.collect() }
    })
    .collect()
}

/// Rules of the peers that an author is compared with, one entry per text. Peers without rules are
/// left out: they draw from the same population, so on average they have the other peers' rules.
fn rules_of_peers<'w>(world: &'w World, compared: &[Compared]) -> Vec<&'w StyleRules> {
    let peers = compared.iter().flat_map(|c| &c.representatives);
    let author = |name: &str| world.authors.iter().find(|a| a.name == name);
    peers.filter_map(|peer| author(&peer.review.review.user)?.rules.as_ref()).collect()
}

/// A planted rule that sets its author apart from these peers, and the statements that count as
/// finding it.
struct Planted {
    rule: String,
    found_by: Box<dyn Fn(&Statement) -> bool>,
}

impl Planted {
    fn is_found_by(&self, statement: &Statement) -> bool {
        (self.found_by)(statement)
    }
}

fn by(rule: &str, ways: &'static [(&'static str, bool)]) -> Planted {
    let found_by = move |statement: &Statement| {
        let more = statement.effect.unwrap() > 0.0;
        ways.iter().any(|&(key, way)| {
            (statement.key == key || statement.key.starts_with(&format!("{key}:"))) && way == more
        })
    };
    Planted { rule: rule.to_owned(), found_by: Box::new(found_by) }
}

/// Accepts a statement about a phrase of these words, under one of these keys.
fn by_phrase(
    rule: &str,
    phrase: &str,
    contracts: bool,
    places: &'static [&'static str],
) -> Planted {
    let mut words = phrase.to_owned();
    if contracts {
        words = words.replace("it is", "it's").replace("i would", "i'd").replace("i am", "i'm");
    }
    let plain = |text: &str| text.replace([',', '?'], "");
    let words = format!(" {} ", plain(&words));
    let found_by = move |statement: &Statement| {
        let Some((place, said)) = statement.key.split_once(':') else { return false };
        let said = format!(" {} ", plain(said));
        let same = said.contains(&words) || words.contains(&said);
        places.contains(&place) && statement.effect.unwrap() > 0.0 && same
    };
    Planted { rule: format!("{rule} `{phrase}`"), found_by: Box::new(found_by) }
}

/// Rules of an author that are visible in the texts and distinctive: choices that at most 40 % of
/// the peers' texts share, and rates and sizes that are about a standard deviation or more away
/// from the peers' mean.
fn planted(rules: &StyleRules, peers: &[&StyleRules]) -> Vec<Planted> {
    let n = peers.len() as f64;
    let rare = |same: &dyn Fn(&StyleRules) -> bool| {
        peers.iter().filter(|peer| same(peer)).count() as f64 <= 0.4 * n
    };
    let away = |value: &dyn Fn(&StyleRules) -> f64, least: f64| {
        let distance = value(rules) - peers.iter().map(|peer| value(peer)).sum::<f64>() / n;
        (distance.abs() >= least).then_some(distance > 0.0)
    };
    let mut planted = Vec::new();
    if rules.casing == Casing::Lower && rare(&|peer| peer.casing == Casing::Lower) {
        planted.push(by("lower case", &[("lower_starts", true), ("lower_i", true)]));
    }
    let shouts = |rules: &StyleRules| match rules.casing {
        Casing::Shouted => rules.intensifier.1,
        Casing::Sentence | Casing::Lower => 0.0,
    };
    if away(&shouts, 0.35) == Some(true) {
        planted.push(by("shouted", &[("capitals", true)]));
    }
    if rare(&|peer| peer.ending == rules.ending) {
        planted.push(match rules.ending {
            "." => by("ending .", &[("full_stops", true)]),
            "!" => by("ending !", &[("exclamations", true)]),
            "!!!" => by("ending !!!", &[("exclamation_runs", true)]),
            "..." => by("ending ...", &[("ellipses", true)]),
            " :)" => by("ending :)", &[("emoticons", true)]),
            _ => by("ending -", &[("dashes", true), ("bare_endings", true)]),
        });
    }
    // An author who ends sentences with dashes uses dashes too.
    let joins = |peer: &StyleRules| {
        peer.join == rules.join || rules.join == ClauseJoin::Dash && peer.ending == " -"
    };
    if rare(&joins) {
        planted.push(match rules.join {
            ClauseJoin::Apart => by("apart", &[("sentence_words", false)]),
            // The word is found in a phrase if the same word always follows it.
            ClauseJoin::And => Planted {
                found_by: Box::new(|statement| {
                    by_phrase("and", "and", false, &["phrase", "function_word"])
                        .is_found_by(statement)
                        || by("and", &[("commas", true)]).is_found_by(statement)
                }),
                rule: "and".to_owned(),
            },
            ClauseJoin::Semicolon => by("semicolon", &[("semicolons", true)]),
            ClauseJoin::Dash => by("dash", &[("dashes", true)]),
        });
    }
    match away(&|rules| (rules.fewest + rules.most) as f64 / 2.0, 1.0) {
        Some(true) => planted.push(by("long", &[("words", true)])),
        Some(false) => planted.push(by("short", &[("words", false)])),
        None => {}
    }
    match away(&|rules| rules.hedge.1, 0.35) {
        Some(true) => planted.push(by("hedges", &[("hedges", true)])),
        Some(false) => planted.push(by("no hedges", &[("hedges", false)])),
        None => {}
    }
    match away(&|rules| rules.intensifier.1, 0.35) {
        Some(true) => planted.push(by("boosters", &[("boosters", true)])),
        Some(false) => planted.push(by("no boosters", &[("boosters", false)])),
        None => {}
    }
    match away(&|rules| f64::from(rules.bias), 0.75) {
        Some(true) => planted.push(by("kind", &[("rating", true)])),
        Some(false) => planted.push(by("unkind", &[("rating", false)])),
        None => {}
    }
    if rare(&|peer| peer.contracts == rules.contracts) && could_contract(rules) {
        planted.push(match rules.contracts {
            true => by("contracts", &[("contractions", true)]),
            false => by("writes out", &[("contractions", false)]),
        });
    }
    for (rule, phrase, place) in [
        ("opener", rules.opener, &["opening", "phrase"]),
        ("closer", rules.closer, &["closing", "phrase"]),
    ] {
        let Some(phrase) = phrase else { continue };
        if rare(&|peer| peer.opener == Some(phrase) || peer.closer == Some(phrase)) {
            planted.push(by_phrase(rule, phrase, rules.contracts, place));
        }
    }
    if rare(&|peer| peer.frames.contains(&rules.frames[0])) {
        planted.push(by_frame(rules));
    }
    planted
}

/// Accepts a statement about the words of the preferred frame around its placeholders: a phrase of
/// two or more words, or a single word.
fn by_frame(rules: &StyleRules) -> Planted {
    let pieces = rules.frames[0].split(['{', '}']).filter(|p| !["part", "word"].contains(p));
    let pieces = pieces.map(|piece| piece.trim_matches([' ', ',']));
    let mut found: Vec<Planted> = Vec::new();
    for piece in pieces.filter(|piece| !piece.is_empty()) {
        if piece.contains(' ') {
            found.push(by_phrase("frame", piece, rules.contracts, &["phrase", "opening"]));
        }
        let words: Vec<String> = piece.split(' ').map(str::to_owned).collect();
        let found_by = move |statement: &Statement| {
            let said = statement.key.split_once(':').map_or("", |(_, said)| said);
            statement.effect.unwrap() > 0.0 && words.iter().any(|word| word == said)
        };
        found.push(Planted { rule: String::new(), found_by: Box::new(found_by) });
    }
    let found_by = move |statement: &Statement| found.iter().any(|by| by.is_found_by(statement));
    Planted { rule: format!("frame `{}`", rules.frames[0]), found_by: Box::new(found_by) }
}

/// Whether the author's most frequent phrases contain a form that could be contracted.
fn could_contract(rules: &StyleRules) -> bool {
    let hedge = if rules.hedge.1 > 0.5 { rules.hedge.0 } else { "" };
    let said = [Some(rules.frames[0]), Some(hedge), rules.opener, rules.closer];
    let places = ["it is", "i would", "i am"];
    said.into_iter().flatten().any(|said| places.iter().any(|place| said.contains(place)))
}

fn measured(compared: &[Compared], task: &Task) -> MeasuredDifferences {
    measure(compared, task, None).unwrap()
}

#[test]
fn planted_rules_are_found() {
    let task = Task::load("review").unwrap();
    let (mut n_planted, mut missed) = (0, Vec::new());
    for seed in 0..3 {
        let world = world(seed);
        for author in &world.authors {
            let Some(rules) = &author.rules else { continue };
            let compared = compared(&world, author, seed);
            let measured = measured(&compared, &task);
            let planted = planted(rules, &rules_of_peers(&world, &compared));
            n_planted += planted.len();
            for planted in planted {
                if !measured.statements.iter().any(|s| planted.is_found_by(s)) {
                    missed.push(planted.rule);
                }
            }
        }
    }
    missed.sort();
    let recall = 1.0 - missed.len() as f64 / n_planted as f64;
    assert!(n_planted > 700 && recall >= 0.9, "{recall} of {n_planted}: {missed:?}");
}

#[test]
fn an_author_without_rules_gets_no_statements() {
    let task = Task::load("review").unwrap();
    let (mut n_tried, mut n_authors, mut n_with_any, mut said) = (0, 0, 0, Vec::new());
    for seed in 0..3 {
        let world = world(seed);
        for author in world.authors.iter().filter(|author| author.rules.is_none()) {
            let measured = measured(&compared(&world, author, seed), &task);
            n_authors += 1;
            n_tried += measured.n_measures;
            n_with_any += usize::from(!measured.is_like_everybody());
            said.extend(measured.statements.into_iter().map(|s| s.text));
        }
    }
    let share = said.len() as f64 / n_tried as f64;
    assert!(n_tried > 30 * n_authors, "{n_tried}");
    assert!(share <= 0.05, "{share} of {n_tried}: {said:?}");
    assert!(n_with_any * 20 <= n_authors, "{n_with_any} of {n_authors}: {said:?}");
}
