#![allow(clippy::unwrap_used)]

use super::*;

/// Logarithms of the weights, normalised to probabilities.
fn logs(weights: [f32; 4]) -> [f32; 4] {
    let total: f32 = weights.iter().sum();
    weights.map(|weight| (weight / total).ln())
}

fn combined(steering: &Steering, prompts: &[&[f32]], position: usize) -> [f32; 4] {
    let mut scores = [9.0; 4];
    steering.rule().combine(&Distributions::new(&vec![0; position], prompts), &mut scores);
    scores
}

fn of(contrast: Contrast) -> Steering {
    Steering { contrast, ..Steering::default() }
}

fn near(a: [f32; 4], b: [f32; 4]) -> bool {
    a.iter().zip(&b).all(|(a, b)| a == b || (a - b).abs() < 1e-5)
}

const U: [f32; 4] = [8.0, 4.0, 2.0, 1.0];
const Z: [f32; 4] = [4.0, 4.0, 4.0, 4.0];
const P: [f32; 4] = [1.0, 8.0, 2.0, 1.0];

#[test]
fn every_rule_is_its_formula() {
    let (u, z, p) = (logs(U), logs(Z), logs(P));
    let by = |f: &dyn Fn(usize) -> f32| [f(0), f(1), f(2), f(3)];
    let cos = of(Contrast::ContextSteering { strength: 0.5 });
    assert!(near(combined(&cos, &[&u, &z], 0), by(&|i| u[i] + 0.5 * (u[i] - z[i]))));
    // Tokens with at least a quarter of the largest probability are plausible: the first three.
    let cope = |outside| of(Contrast::Plausible { strength: 0.1, plausible: 0.25, outside });
    let expected = by(&|i| u[i] - 0.1 * z[i]);
    let masked = [expected[0], expected[1], expected[2], f32::NEG_INFINITY];
    assert!(near(combined(&cope(None), &[&u, &z], 0), masked));
    let softened = [expected[0], expected[1], expected[2], expected[3] - 3.0];
    assert!(near(combined(&cope(Some(3.0)), &[&u, &z], 0), softened));
    let tier = of(Contrast::Tier { b: 2.0, plausible: 0.25, outside: Some(3.0) });
    let expected = by(&|i| if i < 3 { u[i] + 2.0 * (u[i] - z[i]) } else { u[i] - 3.0 });
    assert!(near(combined(&tier, &[&u, &z], 0), expected));
    // The two most likely tokens after P, the base here, are 1 and 2.
    let pad = of(Contrast::TopK { k: 2, weight: 0.8, outside: None });
    let among = |l: [f32; 4], i: usize| l[i] - (l[1].exp() + l[2].exp()).ln();
    let expected = by(&|i| match i {
        1 | 2 => p[i] + 0.8 * (among(u, i) - among(p, i)),
        _ => f32::NEG_INFINITY,
    });
    assert!(near(combined(&pad, &[&u, &p], 0), expected));
}

#[test]
fn peer_contrast_counts_as_far_as_its_gate_is_open() {
    let (u, z, p) = (logs(U), logs(Z), logs(P));
    let settings = PeerContrast { a: 1.2, b: 0.5, plausible: 0.2, divergence: 0.0, ramp: 0 };
    let expected = |strength: f32| {
        [0, 1, 2, 3].map(|i| {
            let contrast = if i < 3 { strength * (u[i] - p[i]) } else { 0.0 };
            z[i] + 1.2 * (u[i] - z[i]) + contrast
        })
    };
    let prompts: [&[f32]; 3] = [&u, &z, &p];
    let scores = |settings| combined(&of(Contrast::Peers(settings)), &prompts, 2);
    assert!(near(scores(settings), expected(0.5)));
    assert!(near(scores(PeerContrast { ramp: 12, ..settings }), expected(0.125)));
    assert!(near(scores(PeerContrast { ramp: 2, ..settings }), expected(0.5)));
    // The log-probabilities of two peers' prompts are averaged.
    let one = combined(&of(Contrast::Peers(settings)), &[&u, &z, &u, &p], 0);
    assert!(near(one, expected(0.25)));
    // If the peers write as the user does, the gate is 0.
    let gated = PeerContrast { divergence: 0.1, ..settings };
    let same = combined(&of(Contrast::Peers(gated)), &[&u, &z, &u], 0);
    assert!(near(same, expected(0.0)));
    assert!(near(scores(PeerContrast { divergence: 1e-6, ..settings }), expected(0.5)));
    assert!(near(combined(&of(Contrast::Peers(settings)), &[&u], 0), u));
}

#[test]
fn a_bias_is_the_users_share_against_the_others() {
    let (mut own, mut others) = (UnigramCounts::new(4), UnigramCounts::new(4));
    for (id, n_own, n_others) in [(0, 6, 10), (1, 2, 10), (2, 0, 78), (9, 5, 5)] {
        own.add(id, n_own);
        others.add(id, n_others);
    }
    assert_eq!((own.total(), others.total()), (8, 98));
    let p = |n: f64| (n + 0.5) / 100.0;
    let expected = |n_own: f64, n: f64| (((n_own + 20.0 * p(n)) / 28.0) / p(n)).ln() as f32;
    let bias = own.against(&others, 20.0);
    let expected =
        [expected(6.0, 10.0), expected(2.0, 10.0), expected(0.0, 78.0), expected(0.0, 0.0)];
    assert!(bias.values().iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-6));
    assert_ne!(bias.hash(), own.against(&others, 21.0).hash());
    let u = logs(U);
    let steering = Steering { lexical: Some((0.5, bias)), ..Steering::default() };
    assert!(near(combined(&steering, &[&u], 0), [0, 1, 2, 3].map(|i| u[i] + 0.5 * expected[i])));
    assert_ne!(steering.key(), Steering::default().key());
    let phrases = Some((0.1, NgramCache::of_tokens(&[vec![0, 1]])));
    let more = Steering { phrases, ..steering.clone() };
    assert_ne!(more.key(), steering.key());
    // After token 0 the n-gram cache changes the biased distribution; after other tokens it changes
    // nothing.
    let biased = combined(&steering, &[&u], 5);
    let mixed = combined(&more, &[&u], 5);
    assert!(mixed[1] > biased[1] && mixed[0] == biased[0]);
    assert_eq!(combined(&more, &[&u], 0), combined(&steering, &[&u], 0));
    // Without a prior, a token that was never used still has a finite score.
    assert_eq!(own.against(&others, 0.0).values()[3], -20.0);
}

#[test]
fn a_steering_reads_back_as_it_was_written() {
    let peers = PeerContrast { a: 1.0, b: 0.3, plausible: 0.1, divergence: 0.1, ramp: 20 };
    for contrast in [
        Contrast::None,
        Contrast::ContextSteering { strength: 0.3 },
        Contrast::Plausible { strength: 0.1, plausible: 0.1, outside: Some(5.0) },
        Contrast::TopK { k: 10, weight: 0.8, outside: None },
        Contrast::Tier { b: 1.0, plausible: 0.05, outside: Some(5.0) },
        Contrast::Peers(peers),
    ] {
        let text = serde_json::to_string(&contrast).unwrap();
        assert_eq!(serde_json::from_str::<Contrast>(&text).unwrap(), contrast, "{text}");
    }
}

#[test]
fn a_sparse_bias_changes_probabilities_as_the_whole_one_does() {
    let mut own = UnigramCounts::new(6);
    let mut others = UnigramCounts::new(6);
    for (id, n) in [(0, 9), (1, 1), (4, 2)] {
        own.add(id, n);
    }
    for (id, n) in [(0, 20), (1, 40), (2, 30), (3, 5), (5, 1)] {
        others.add(id, n);
    }
    let bias = own.against(&others, 50.0);
    let sparse = bias.sparse(0.5, 9);
    // Tokens that the user never wrote need no entry.
    let mut ids: Vec<u32> = sparse.entries.iter().map(|(id, _)| *id).collect();
    assert!(sparse.entries.is_sorted_by(|(_, a), (_, b)| a >= b), "{sparse:?}");
    ids.sort_unstable();
    assert_eq!((ids, sparse.n_left_out), (vec![0, 1, 4], 0));

    let logits = [1.0_f32, 0.5, -2.0, 0.0, 3.0, -1.0];
    let softmax = |scores: [f32; 6]| {
        let total: f32 = scores.iter().map(|score| score.exp()).sum();
        scores.map(|score| score.exp() / total)
    };
    let mut whole = logits;
    whole.iter_mut().zip(&*bias.values()).for_each(|(score, x)| *score += 0.5 * x);
    let mut few = logits;
    sparse.entries.iter().for_each(|(id, x)| few[*id as usize] += x);
    for (a, b) in softmax(whole).into_iter().zip(softmax(few)) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }
    let cut = bias.sparse(0.5, 1);
    assert_eq!((cut.entries[..].to_vec(), cut.n_left_out), (vec![sparse.entries[0]], 2));
    assert_eq!(bias.sparse(1e6, 1).entries[0].1, 100.0);
}

#[test]
fn a_scaled_steering_goes_from_the_users_prompt_to_the_steering_and_beyond() {
    let (u, z, p) = (logs(U), logs(Z), logs(P));
    let prompts: [&[f32]; 3] = [&u, &z, &p];
    let peers = PeerContrast { a: 1.2, b: 0.5, plausible: 0.0, divergence: 0.0, ramp: 0 };
    for contrast in [
        Contrast::None,
        Contrast::ContextSteering { strength: 0.5 },
        Contrast::Plausible { strength: 0.1, plausible: 0.25, outside: None },
        Contrast::TopK { k: 2, weight: 0.8, outside: None },
        Contrast::Tier { b: 1.0, plausible: 0.05, outside: Some(5.0) },
        Contrast::Peers(peers),
    ] {
        let (mut own, mut others) = (UnigramCounts::new(4), UnigramCounts::new(4));
        own.add(0, 6);
        others.add(1, 7);
        let steering = Steering {
            contrast,
            power: Some(0.5),
            lexical: Some((0.5, own.against(&others, 20.0))),
            phrases: Some((0.4, NgramCache::of_tokens(&[vec![0, 1]]))),
            ..Steering::default()
        };
        assert_eq!(steering.scaled(1.0), steering);
        let none = combined(&steering.scaled(0.0), &prompts, 1);
        let shift = none[0] - u[0];
        assert!(near(none.map(|x| x - shift), u), "{contrast:?}: {none:?}");
        assert_ne!(steering.scaled(2.0).key(), steering.key());
        let most = steering.scaled(3.0);
        assert!(most.phrases.as_ref().is_some_and(|(share, _)| *share == MAX_SHARE));
        assert!(combined(&most, &prompts, 1).iter().all(|score| !score.is_nan()));
    }
}
