//! Golden values of the similarities, and properties that every similarity must have.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::Error;

#[derive(serde::Deserialize)]
struct Golden {
    texts: Vec<String>,
    delta_words: Vec<Vec<f64>>,
    delta_trigrams: Vec<Vec<f64>>,
    tf_idf: Vec<Vec<f64>>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/golden/stylometry.json")).unwrap()
}

fn spaces<S: AsRef<str>>(population: &[S]) -> [Box<dyn StyleSpace>; 3] {
    [
        Box::new(Delta::fit(Features::FunctionWords, population).unwrap()),
        Box::new(Delta::fit(Features::Trigrams(usize::MAX), population).unwrap()),
        Box::new(TfIdf::fit(population).unwrap()),
    ]
}

#[test]
fn similarities_are_those_of_numpy_and_scikit_learn() {
    let Golden { texts, delta_words, delta_trigrams, tf_idf } = golden();
    let negative = |rows: Vec<Vec<f64>>| -> Vec<Vec<f64>> {
        rows.into_iter().map(|row| row.into_iter().map(|x| -x).collect()).collect()
    };
    let expected = [negative(delta_words), negative(delta_trigrams), tf_idf];
    for (space, expected) in spaces(&texts).iter().zip(expected) {
        let profiles: Vec<StyleProfile> = texts.iter().map(|text| space.profile(&[text])).collect();
        for (a, row) in profiles.iter().zip(&expected) {
            for (b, expected) in profiles.iter().zip(row) {
                let ours = space.similarity(a, b);
                assert!((ours - expected).abs() < 1e-9, "{}: {ours} {expected}", space.name());
            }
        }
    }
}

#[test]
fn a_text_is_closest_to_the_hand_that_wrote_it() {
    let shout = ["WOW I LOVE IT!!! you have to get it!!!", "So GOOD!!! i want ten of it!!!"];
    let hedge = [
        "Perhaps one might say that it would have been, on the whole, of some use; or not.",
        "It might perhaps be argued that there are others which would have served as well.",
    ];
    let new =
        "It could perhaps have been said that there might be a use for it; or that there is not.";
    let population = [shout[0], shout[1], hedge[0], hedge[1]];
    for space in spaces(&population) {
        let text = space.profile(&[new]);
        let [own, other] = [hedge, shout].map(|texts| space.profile(&texts));
        let (own, other) = (space.similarity(&text, &own), space.similarity(&text, &other));
        assert!(own > other, "{}: {own} {other}", space.name());
    }
}

#[test]
fn a_profile_of_texts_does_not_depend_on_their_order() {
    let Golden { texts, .. } = golden();
    let mut shown: Vec<&str> = texts.iter().map(String::as_str).collect();
    for space in spaces(&texts) {
        let one = space.profile(&shown);
        shown.reverse();
        let other = space.profile(&shown);
        let apart = one.beside(&other).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-12, "{}: {apart}", space.name());
    }
}

#[test]
fn few_trigrams_are_the_most_frequent_ones() {
    let texts = ["aaaa b", "aaa b c", "aaaaa d"];
    assert_eq!(Delta::fit(Features::Trigrams(2), &texts).unwrap().n_features(), 2);
    let all = Delta::fit(Features::Trigrams(999), &texts).unwrap();
    assert!(all.n_features() > 2);
}

#[test]
fn populations_that_say_nothing_are_refused() {
    let refused = |result: Result<Delta, Error>| matches!(result, Err(Error::TooFew { .. }));
    assert!(refused(Delta::fit(Features::FunctionWords, &["the one"])));
    assert!(refused(Delta::fit(Features::FunctionWords, &["kettle", "drill"])));
    assert!(refused(Delta::fit(Features::Trigrams(9), &["same", "same"])));
    assert!(TfIdf::fit::<&str>(&[]).is_err());
}

proptest! {
    #[test]
    fn any_text_has_a_finite_symmetric_closeness_that_is_greatest_to_itself(
        a in "\\PC{0,40}", b in "\\PC{0,40}",
    ) {
        let population = ["the cat and a dog", "of it, perhaps", a.as_str(), b.as_str()];
        for space in spaces(&population) {
            let [x, y] = [&a, &b].map(|text| space.profile(&[text]));
            let (there, back) = (space.similarity(&x, &y), space.similarity(&y, &x));
            prop_assert!(there.is_finite());
            prop_assert!((there - back).abs() < 1e-12);
            prop_assert!(there <= space.similarity(&x, &x) + 1e-12 || x.0.is_empty());
        }
    }
}
