//! Time of the measured differences in microseconds per text, on the sample corpus, without an
//! encoder.
//!
//! `cargo bench --bench measured [-- RUNS]`. One thread. Prints median, minimum and maximum over
//! runs. Each run measures all users, every text against the others' on the same item.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::collections::BTreeMap;
use std::time::Instant;

use idiolect::corpus::{Item, Review, ReviewId, StoredReview};
use idiolect::difference::{Compared, measure};
use idiolect::peers::{Origin, Representative};
use idiolect::task::Task;

const REVIEWS: &str = include_str!("../data/sample/reviews.jsonl");

fn main() {
    let runs = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(15);
    let reviews: Vec<StoredReview> = REVIEWS
        .lines()
        .enumerate()
        .map(|(line, text)| StoredReview { id: ReviewId(line as i64 + 1), review: review(text), context: None })
        .collect();
    let mut users: BTreeMap<&str, Vec<Compared>> = BTreeMap::new();
    for own in &reviews {
        let others = reviews.iter().filter(|other| {
            other.review.item == own.review.item && other.review.user != own.review.user
        });
        let representatives: Vec<Representative> = others.map(representative).collect();
        if !representatives.is_empty() {
            let id = own.review.item.clone();
            let item = Item {
                id,
                title: String::new(),
                description: String::new(),
                categories: Vec::new(),
            };
            let compared = Compared { item, own: own.clone(), representatives };
            users.entry(&own.review.user).or_default().push(compared);
        }
    }
    let task = Task::load("review").unwrap();
    let texts: Vec<&StoredReview> = users
        .values()
        .flatten()
        .flat_map(|c| std::iter::once(&c.own).chain(c.representatives.iter().map(|r| &r.review)))
        .collect();
    let n_words: usize = texts.iter().map(|t| t.review.text.split_whitespace().count()).sum();
    let mut rates = Vec::new();
    let mut n_statements = 0;
    for _ in 0..=runs {
        let start = Instant::now();
        n_statements =
            users.values().map(|c| measure(c, &task, None).unwrap().statements.len()).sum();
        rates.push(start.elapsed().as_secs_f64() * 1e6 / texts.len() as f64);
    }
    // The first run warms up.
    rates.remove(0);
    rates.sort_by(f64::total_cmp);
    println!(
        "{} users, {} texts of {} words, {n_statements} statements",
        users.len(),
        texts.len(),
        n_words / texts.len()
    );
    println!(
        "µs a text: {:.0} ({:.0} to {:.0}) of {runs}",
        rates[rates.len() / 2],
        rates[0],
        rates[rates.len() - 1]
    );
}

fn review(line: &str) -> Review {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    Review {
        user: text("user"),
        item: text("item"),
        rating: value["rating"].as_f64().map(|rating| rating as f32),
        title: text("title"),
        text: text("text"),
        time: 0,
    }
}

fn representative(review: &StoredReview) -> Representative {
    Representative {
        review: review.clone(),
        cluster: None,
        cluster_size: 1,
        similarity: 0.0,
        origin: Origin::SameItem,
    }
}
