//! Tests of LambdaG on users with known styles: calibrated on some authors, it must tell others
//! apart, and claim nothing where there is no style.
#![allow(clippy::unwrap_used)]

use super::synthetic::{World, WorldOptions};
use idiolect_metrics::lambda_g::{Calibration, LambdaG, Masking, SentenceIndex, c_llr};

/// Texts of each author that the grammar is learnt from; the next one is questioned.
const KNOWN: usize = 8;

/// λ_G of every author's questioned text against the author and against the next one.
fn scores(n_without_rules: usize, measure: &LambdaG) -> Vec<(f64, f64)> {
    let (n_authors, n_reviews) = (48, 12);
    let options = WorldOptions { n_authors, n_without_rules, n_items: 16, n_reviews, seed: 5 };
    let world = World::new(&options);
    let texts: Vec<Vec<&str>> = world
        .reviews
        .chunks(n_reviews)
        .map(|of_author| of_author.iter().map(|review| review.text.as_str()).collect())
        .collect();
    let masking = Masking::of(&texts);
    let mut sentences = Vec::new();
    let mut known: Vec<Vec<usize>> = Vec::new();
    for of_author in &texts {
        let start = sentences.len();
        of_author[..KNOWN].iter().for_each(|text| sentences.extend(masking.sentences(text)));
        known.push((start..sentences.len()).collect());
    }
    let index = SentenceIndex::new(LambdaG::ORDER, &sentences);
    let questioned: Vec<_> = texts
        .iter()
        .map(|of_author| index.questioned(&masking.sentences(of_author[KNOWN])))
        .collect();
    (0..n_authors)
        .map(|author| {
            let other = (author + 1) % n_authors;
            let others = (0..n_authors).filter(|number| ![author, other].contains(number));
            let reference: Vec<usize> = others.flat_map(|number| known[number].clone()).collect();
            let against = |writer: usize| {
                let text = std::slice::from_ref(&questioned[writer]);
                measure.scores(&index, text, &known[author], &reference).unwrap()[0]
            };
            (against(author), against(other))
        })
        .collect()
}

/// Log10 likelihood ratios of the second half of the authors, calibrated on the first.
fn ratios(scores: &[(f64, f64)]) -> (Vec<f64>, Vec<f64>) {
    let (first, second) = scores.split_at(scores.len() / 2);
    let (same, different): (Vec<f64>, Vec<f64>) = first.iter().copied().unzip();
    let fitted = Calibration::fit(&same, &different).unwrap();
    second.iter().map(|(own, other)| (fitted.log10_lr(*own), fitted.log10_lr(*other))).unzip()
}

#[test]
fn held_out_authors_are_told_apart_at_a_low_cost() {
    let found = scores(0, &LambdaG { references: 30, seed: 2 });
    let nearer = found.iter().filter(|(own, other)| own > other).count();
    assert!(nearer * 10 >= found.len() * 9, "{nearer} of {}", found.len());
    let (same, different) = ratios(&found);
    let cost = c_llr(&same, &different).unwrap();
    assert!(cost < 0.5, "{cost}");
    let mean = |ratios: &[f64]| ratios.iter().sum::<f64>() / ratios.len() as f64;
    assert!(mean(&same) > 0.3 && mean(&different) < -0.3, "{same:?} {different:?}");
}

#[test]
fn authors_without_a_style_get_ratios_that_say_nothing() {
    let (same, different) = ratios(&scores(48, &LambdaG { references: 30, seed: 2 }));
    let cost = c_llr(&same, &different).unwrap();
    assert!((0.85..1.3).contains(&cost), "{cost}");
    let largest = same.iter().chain(&different).map(|ratio| ratio.abs()).fold(0.0, f64::max);
    assert!(largest < 1.0, "{largest}");
}
