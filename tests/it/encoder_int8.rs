//! The int8 encoder against f32: the representatives chosen on the sample corpus, and separate
//! storage of their vectors.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::collections::HashSet;
use std::path::Path;

use crate::common::Sandbox;
use candle_core::Device;
use idiolect::corpus::{Store, View};
use idiolect::encoder::{Encoder, EncoderOptions, EncoderPrecision};
use idiolect::kernels::Isa;
use idiolect::peers::{Choice, ChoiceOptions, Selector, choose, ensure_vectors};
use idiolect::progress::Silent;

const K: usize = 4;

fn with_sample() -> Sandbox {
    let sandbox = Sandbox::new();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample");
    let path = |name: &str| sample.join(name).to_string_lossy().into_owned();
    sandbox
        .run(&[
            "import",
            "--format",
            "table",
            "--reviews",
            &path("reviews.jsonl"),
            "--items",
            &path("items.jsonl"),
            "--map",
            "user=user,item=item,text=text,rating=rating,title=title,time=time",
        ])
        .ok();
    sandbox
}

/// Ids of the chosen reviews, in order.
fn chosen(choice: &Choice) -> Vec<i64> {
    choice.representatives.iter().map(|one| one.review.id.0).collect()
}

#[test]
fn int8_chooses_nearly_the_representatives_of_f32() {
    let Some(files) = crate::common::test_encoder() else { return };
    let sandbox = with_sample();
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    let view = View::all(&store);
    let ids = store.review_ids().unwrap();
    let encoders = [EncoderPrecision::F32, EncoderPrecision::Int8].map(|precision| {
        let options =
            EncoderOptions { device: Device::Cpu, precision, threads: 2, isa: Isa::detect() };
        let encoder = Encoder::load_with(&files, &options).unwrap();
        assert_eq!(ensure_vectors(&view, &encoder, &ids, &Silent).unwrap().0, ids.len());
        encoder
    });

    let (mut n_choices, mut n_same, mut n_of) = (0, 0, 0);
    let (mut n_in_order, mut n_pairs, mut worst_similarity) = (0, 0, 0.0_f64);
    for review in store.reviews(&ids).unwrap() {
        let (user, item) = (&review.review.user, &review.review.item);
        let n_others = view.reviews_of(item).unwrap().len() - 1;
        if n_others <= K {
            continue;
        }
        let by = |selector, k| {
            let options = ChoiceOptions { k, selector, seed: 42 };
            encoders.each_ref().map(|e| choose(&view, e, user, item, &options).unwrap())
        };
        let [exact, int8] = by(Selector::Kmeans, K).map(|choice| chosen(&choice));
        let members: HashSet<i64> = exact.iter().copied().collect();
        n_same += int8.iter().filter(|id| members.contains(id)).count();
        n_of += exact.len().max(int8.len());
        n_choices += 1;

        // All other reviews, from the least similar to the most similar.
        let [exact, int8] = by(Selector::Farthest, n_others);
        let order = chosen(&int8);
        let place = |id: i64| order.iter().position(|other| *other == id).unwrap();
        let places: Vec<usize> = chosen(&exact).into_iter().map(place).collect();
        for (i, first) in places.iter().enumerate() {
            n_pairs += places.len() - i - 1;
            n_in_order += places[i + 1..].iter().filter(|second| first < *second).count();
        }
        for one in &exact.representatives {
            let id = one.review.id;
            let other = int8.representatives.iter().find(|other| other.review.id == id).unwrap();
            let apart = (f64::from(one.similarity) - f64::from(other.similarity)).abs();
            worst_similarity = worst_similarity.max(apart);
        }
    }
    let share = |part: usize, of: usize| part as f64 / of as f64;
    let (same, in_order) = (share(n_same, n_of), share(n_in_order, n_pairs));
    eprintln!(
        "{n_choices} choices: {n_same} of {n_of} representatives are the same ({same:.3}); \
         {n_in_order} of {n_pairs} pairs in the same order ({in_order:.4}); similarities differ by \
         at most {worst_similarity:.4}"
    );
    assert!(n_choices > 100);
    assert!(same > 0.9, "{same}");
    assert!(in_order > 0.98, "{in_order}");
    assert!(worst_similarity < 0.03, "{worst_similarity}");
}

#[test]
fn vectors_of_both_precisions_are_kept_apart() {
    if crate::common::test_encoder().is_none() {
        return;
    }
    let sandbox = with_sample();
    let index = |precision: &str| {
        sandbox.run(&["-q", "--encoder-precision", precision, "index", "--json"]).json()
    };
    let [exact, int8, again] = ["f32", "int8", "int8"].map(index);
    assert_eq!(exact["embedded"], exact["reviews"]);
    assert_eq!(int8["embedded"], exact["reviews"], "none is taken over");
    assert_eq!(again["embedded"], 0);
    assert_eq!(again["stamp"], int8["stamp"]);
    let doctor = sandbox.run(&["--encoder-precision", "int8", "doctor", "--json"]).json();
    assert_eq!(doctor["models"]["encoder"]["precision"], "int8");
    let said = sandbox.run(&["--encoder-precision", "int4", "index"]).fails_with(2);
    assert!(said.contains("int8"), "{said}");
}
