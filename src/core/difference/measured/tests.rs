//! Tests of measuring, with fixed and with arbitrary texts.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::corpus::{Item, Review};
use crate::peers::{self, Representative};

fn stored(id: i64, user: &str, text: &str, rating: Option<f32>) -> StoredReview {
    let [user, text] = [user, text].map(str::to_owned);
    let item = "i".to_owned();
    let review = Review { user, item, rating, title: String::new(), text, time: 0 };
    StoredReview { id: ReviewId(id), review, context: None }
}

/// Comparisons of one text each with the texts of others.
fn compared(texts: &[(String, Vec<String>)]) -> Vec<Compared> {
    let mut id = 0;
    let mut next = || {
        id += 1;
        id
    };
    let of = |(own, others): &(String, Vec<String>)| {
        let item = Item {
            id: "i".into(),
            title: "t".into(),
            description: String::new(),
            categories: vec![],
        };
        let own = stored(next(), "me", own, Some(4.0));
        let representatives = others.iter().map(|text| Representative {
            review: stored(next(), "other", text, Some(4.0)),
            cluster: None,
            cluster_size: 1,
            similarity: 0.0,
            origin: Origin::SameItem,
        });
        let representatives = representatives.collect();
        Compared { item, own, representatives }
    };
    texts.iter().map(of).collect()
}

/// Eight items; the user's texts on them differ from those of four others.
fn apart(own: &str, others: &str) -> Vec<Compared> {
    let texts = (0..8).map(|i| {
        let others = (0..4).map(|k| format!("{others} I have had it for {} weeks.", i + k));
        (format!("{own} I have had it for {i} weeks."), others.collect())
    });
    compared(&texts.collect::<Vec<_>>())
}

fn review() -> Task {
    Task::load("review").unwrap()
}

fn said(measured: &MeasuredDifferences) -> Vec<&str> {
    measured.statements.iter().map(|s| s.text.as_str()).collect()
}

#[test]
fn a_text_of_another_is_compared_with_one_own_text_of_the_item() {
    let mut compared = apart("wow, it is loud!!!", "The thing is quiet.");
    let once = measure(&compared, &review(), None).unwrap();
    assert!(!once.statements.is_empty());
    let again: Vec<Compared> = compared
        .iter()
        .map(|compared| {
            let mut again = compared.clone();
            again.own.id = ReviewId(again.own.id.0 + 1000);
            again
        })
        .collect();
    compared.extend(again);
    assert_eq!(measure(&compared, &review(), None).unwrap(), once);
}

#[test]
fn what_sets_a_user_apart_is_said_with_quotes() {
    let compared = apart(
        "wow, this thing is loud!!! so it goes...",
        "The thing is quiet. It works as it should.",
    );
    let measured = measure(&compared, &review(), None).unwrap();
    let by_key = |key: &str| measured.statements.iter().find(|s| s.key == key);
    let runs = by_key("exclamation_runs").unwrap();
    assert!(
        runs.text.starts_with("Ends sentences with several exclamation marks"),
        "{}",
        runs.text
    );
    assert_eq!(runs.dimension, "writing");
    assert_eq!(runs.evidence[0].quote, "wow, this thing is loud!!!");
    let other = runs.evidence[0].other.as_ref().unwrap();
    assert_eq!(other.quote, "The thing is quiet.");
    let opening = measured.statements.iter().find(|s| s.key.starts_with("opening:wow")).unwrap();
    assert_eq!(opening.evidence[0].other.as_ref().unwrap().quote, "The thing is quiet.");
    assert_eq!((runs.reviews.len(), runs.against.len()), (8, 32));
    assert!(runs.effect.unwrap() > 1.0);
    let figures = runs.figures.unwrap();
    assert!(figures.own > figures.others && figures.low > 0.0, "{figures:?}");
    let apart = figures.own - figures.others;
    assert!(figures.low <= apart && apart <= figures.high, "{figures:?}");
    assert!(
        measured.statements.iter().any(|s| s.key.starts_with("opening:wow")),
        "{:?}",
        said(&measured)
    );
    assert!(by_key("exclamations").is_none(), "said twice");
    assert!(
        measured
            .statements
            .windows(2)
            .all(|w| w[0].effect.unwrap().abs() >= w[1].effect.unwrap().abs())
    );
    assert_eq!((measured.n_reviews, measured.n_others, measured.language), (8, 32, Some("en")));
    assert!(!measured.is_like_everybody());
}

#[test]
fn who_writes_like_everybody_gets_nothing_and_that_is_said() {
    let same = "The thing is quiet, I think. It works as it should!";
    let measured = measure(&apart(same, same), &review(), None).unwrap();
    assert!(measured.is_like_everybody(), "{:?}", said(&measured));
    let none = measure(&apart(same, same)[..3], &review(), None).unwrap();
    assert_eq!((none.n_measures, none.is_like_everybody()), (0, false));
}

#[test]
fn a_german_user_is_described_in_german() {
    let compared = apart(
        "Das Gerät ist sehr laut!!! Ich bin nicht zufrieden.",
        "Das Gerät ist leise. Es ist gut.",
    );
    let measured = measure(&compared, &review(), None).unwrap();
    assert_eq!(measured.language, Some("de"));
    assert!(
        said(&measured).iter().any(|text| text.contains("Ausrufezeichen")),
        "{:?}",
        said(&measured)
    );
}

#[test]
fn only_dimensions_of_the_standard_are_measured() {
    let compared =
        apart("wow, this thing is loud!!!", "The thing is quiet. It works as it should.");
    let task = review().without_dimensions(&["writing".to_owned(), "semantic".to_owned()]).unwrap();
    let measured = measure(&compared, &task, None).unwrap();
    assert!(measured.n_measures > 0);
    assert!(
        measured.statements.iter().all(|s| s.dimension == "emotional"),
        "{:?}",
        said(&measured)
    );
}

#[test]
fn reviews_of_other_items_are_left_out() {
    let mut compared = apart("wow!!!", "The thing is quiet.");
    for representative in compared.iter_mut().flat_map(|c| &mut c.representatives) {
        representative.origin = Origin::NearItem { item: "j".to_owned(), similarity: 0.9 };
    }
    let measured = measure(&compared, &review(), None).unwrap();
    assert_eq!((measured.n_reviews, measured.n_others, measured.n_measures), (0, 0, 0));
}

/// Sentence vectors: sentences that mention the price lie on one axis, all others on another.
struct ByPrice;

impl SentenceVectors for ByPrice {
    fn vectors(&self, sentences: &[&str]) -> peers::Result<Vec<Vec<f32>>> {
        let vector = |sentence: &&str| match sentence.contains("price") {
            true => vec![1.0, 0.0],
            false => vec![0.0, 1.0],
        };
        Ok(sentences.iter().map(vector).collect())
    }
}

#[test]
fn aspects_are_found_by_the_vectors_of_sentences() {
    let compared = apart(
        "The price is fair. It costs a fair price. It is a lamp.",
        "The lamp is bright. It is a lamp for the desk. Some price is on it.",
    );
    let measured = measure(&compared, &review(), Some(&ByPrice)).unwrap();
    let aspect = measured.statements.iter().find(|s| s.key.starts_with("aspect:"));
    let aspect = aspect.unwrap_or_else(|| panic!("{:?}", said(&measured)));
    assert!(aspect.evidence.iter().all(|e| !e.quote.is_empty()), "{aspect:?}");
    assert!(measured.statements.iter().any(|s| s.key.contains("price")), "{:?}", said(&measured));
}

fn any_text() -> impl Strategy<Value = String> {
    let pieces = proptest::sample::select(vec![
        "the ", "is ", "i ", "it's ", "don’t ", "GOOD ", "...", "!!", "? ", ".", ":) ", "👍🏽", "\n",
        "\n\n- ", "(", "\"", "&#34;", "&", "<br />", "<br", " - ", ";", "a", "ß", "é", "\u{301}",
        "好。", "İ", "1. ", "5\"", "e.g. ", "xD ", "\u{200D}", "’", "und ",
    ]);
    prop_oneof![
        3 => proptest::collection::vec(pieces, 0..40).prop_map(|pieces| pieces.concat()),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_measured_quoted_as_it_stands_and_in_any_order(
        texts in proptest::collection::vec((any_text(), proptest::collection::vec(any_text(), 1..4)), 0..9),
        own in any_text(),
        turn in 0_usize..9,
    ) {
        // A constant part makes differences, so that there is something to quote.
        let texts: Vec<(String, Vec<String>)> =
            texts.into_iter().map(|(text, others)| (format!("{text}{own}"), others)).collect();
        let mut compared = compared(&texts);
        let measured = measure(&compared, &review(), Some(&ByPrice)).unwrap();
        for statement in &measured.statements {
            prop_assert!(!statement.text.is_empty() && statement.effect.unwrap().is_finite());
            for evidence in &statement.evidence {
                let review = compared.iter().find(|c| c.own.id == evidence.review).unwrap();
                prop_assert!(review.own.review.text.contains(&evidence.quote), "{evidence:?}");
                let Some(other) = &evidence.other else { continue };
                let mut others = review.representatives.iter().map(|other| &other.review);
                let peer = others.find(|peer| peer.id == other.review);
                prop_assert!(peer.unwrap().review.text.contains(&other.quote), "{evidence:?}");
            }
        }
        let turn = turn % compared.len().max(1);
        compared.rotate_left(turn);
        for compared in &mut compared {
            compared.representatives.reverse();
        }
        prop_assert_eq!(measured, measure(&compared, &review(), Some(&ByPrice)).unwrap());
    }
}
