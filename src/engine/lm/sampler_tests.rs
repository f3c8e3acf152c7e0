#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

/// Log-probabilities of 0.5, 0.25, 0.15, 0.1 for the ids 2, 0, 3, 1.
fn four() -> Vec<f32> {
    [0.25f32, 0.1, 0.5, 0.15].iter().map(|p| p.ln() + 3.0).collect()
}

fn warm() -> Sampling {
    Sampling { temperature: 1.0, ..Sampling::default() }
}

fn assert_distribution(settings: &Sampling, want: &[(u32, f64)]) {
    let got = distribution(&four(), settings, Isa::detect());
    assert_eq!(got.len(), want.len(), "{got:?}");
    for (got, want) in got.iter().zip(want) {
        assert!(got.0 == want.0 && (got.1 - want.1).abs() < 1e-6, "{got:?} {want:?}");
    }
}

fn choose(settings: &Sampling, logits: &[f32], before: &[u32]) -> Result<u32> {
    let text: Vec<&[u8]> = vec![b"x"; logits.len()];
    let vocabulary = Arc::new(TokenKinds::new(text.into_iter()));
    Sampler::new(settings, vocabulary, Isa::detect())?.choose(&mut logits.to_vec(), before)
}

#[test]
fn distributions_worked_out_by_hand() {
    assert_distribution(&warm(), &[(2, 0.5), (0, 0.25), (3, 0.15), (1, 0.1)]);
    // Halving the temperature squares the probabilities: 0.25 + 0.0625 + 0.0225 + 0.01 = 0.345.
    let cool = Sampling { temperature: 0.5, ..warm() };
    assert_distribution(
        &cool,
        &[(2, 0.25 / 0.345), (0, 0.0625 / 0.345), (3, 0.0225 / 0.345), (1, 0.01 / 0.345)],
    );
    let top_k = Sampling { top_k: 2, ..warm() };
    assert_distribution(&top_k, &[(2, 2.0 / 3.0), (0, 1.0 / 3.0)]);
    let top_p = Sampling { top_p: 0.8, ..warm() };
    assert_distribution(&top_p, &[(2, 5.0 / 9.0), (0, 2.5 / 9.0), (3, 1.5 / 9.0)]);
    let min_p = Sampling { min_p: 0.29, ..warm() };
    assert_distribution(&min_p, &[(2, 5.0 / 9.0), (0, 2.5 / 9.0), (3, 1.5 / 9.0)]);
    // Top-p applies to the tokens kept by top-k: 0.5 / 0.75 is below 0.7, so the second token is
    // needed.
    let both = Sampling { top_k: 2, top_p: 0.7, ..warm() };
    assert_distribution(&both, &[(2, 2.0 / 3.0), (0, 1.0 / 3.0)]);
    let none = Sampling { top_p: 0.0, ..warm() };
    assert_distribution(&none, &[(2, 1.0)]);
}

#[test]
fn greedy_takes_the_likeliest_and_the_lowest_of_equals() {
    assert_eq!(choose(&Sampling::default(), &[1.0, 3.0, 3.0, 2.0], &[]).unwrap(), 1);
    assert_eq!(choose(&Sampling::default(), &[f32::NEG_INFINITY, -7.0], &[]).unwrap(), 1);
}

#[test]
fn the_repetition_penalty_divides_positive_and_multiplies_negative_logits() {
    let settings = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
    assert_eq!(choose(&settings, &[3.0, 2.0], &[0, 0]).unwrap(), 1);
    assert_eq!(choose(&settings, &[3.9, 2.0], &[1, 0]).unwrap(), 0);
    assert_eq!(choose(&settings, &[-1.0, -1.5], &[0]).unwrap(), 1);
    let short = Sampling { penalty_window: 1, ..settings };
    assert_eq!(choose(&short, &[3.0, 2.0], &[0, 1]).unwrap(), 0);
}

#[test]
fn control_tokens_are_never_penalised() {
    let tokens: [&[u8]; 2] = [b"", b"x"];
    let vocabulary = Arc::new(TokenKinds::new(tokens.into_iter()));
    let settings = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
    let mut sampler = Sampler::new(&settings, vocabulary, Isa::detect()).unwrap();
    assert_eq!(sampler.choose(&mut [3.0, 2.0], &[0, 0]).unwrap(), 0);
}

/// Logits after the penalties; every token has text.
fn penalised(settings: &Sampling, logits: &[f32], before: &[u32], n_prompt: usize) -> Vec<f32> {
    let text: Vec<&[u8]> = vec![b"x"; logits.len()];
    let vocabulary = Arc::new(TokenKinds::new(text.into_iter()));
    let sampler = Sampler::new(settings, vocabulary, Isa::detect()).unwrap().after_prompt(n_prompt);
    let mut logits = logits.to_vec();
    sampler.penalise(&mut logits, before);
    logits
}

proptest! {
    /// The reference is OpenAI's formula, by counting each token of the vocabulary.
    #[test]
    fn frequency_and_presence_penalty_are_the_formula(
        logits in prop::collection::vec(-8f32..8.0, 1..30),
        before in prop::collection::vec(0u32..30, 0..40),
        n_prompt in 0usize..40,
        (frequency, presence, bias) in (-2f32..2.0, -2f32..2.0, -100f32..100.0),
    ) {
        let settings = Sampling {
            frequency_penalty: frequency,
            presence_penalty: presence,
            logit_bias: [(3, bias)].into(),
            ..Sampling::default()
        };
        let got = penalised(&settings, &logits, &before, n_prompt);
        for (id, logit) in logits.iter().enumerate() {
            let written = before.iter().skip(n_prompt).filter(|other| **other as usize == id);
            let count = written.count() as f32;
            let mut want = *logit + if id == 3 { bias } else { 0.0 };
            want -= count * frequency;
            want -= if count > 0.0 { presence } else { 0.0 };
            prop_assert!((got[id] - want).abs() < 1e-3, "{id}: {} {want}", got[id]);
        }
    }
}

#[test]
fn settings_of_0_leave_the_bits_of_the_logits() {
    let logits = [0.1f32, -0.3, f32::NEG_INFINITY, 7.7];
    let bits = |logits: &[f32]| logits.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let got = penalised(&Sampling::default(), &logits, &[0, 1, 1, 3], 1);
    assert_eq!(bits(&got), bits(&logits));
    // A bias lifts no forbidden token.
    let biased = Sampling { logit_bias: [(2, 100.0)].into(), ..Sampling::default() };
    assert_eq!(penalised(&biased, &logits, &[], 0)[2], f32::NEG_INFINITY);
}

#[test]
fn settings_that_are_off_are_not_part_of_keys() {
    let before = r#"{"temperature":0.0,"top_k":0,"top_p":1.0,"min_p":0.0,"repetition_penalty":1.0,"dry_multiplier":0.0,"dry_base":1.75,"dry_allowed_length":2,"penalty_window":0,"seed":0}"#;
    assert_eq!(serde_json::to_string(&Sampling::default()).unwrap(), before);
    for on in [
        Sampling { frequency_penalty: 0.1, ..Sampling::default() },
        Sampling { presence_penalty: 0.1, ..Sampling::default() },
        Sampling { logit_bias: [(1, 0.0)].into(), ..Sampling::default() },
    ] {
        let json = serde_json::to_string(&on).unwrap();
        assert_ne!(json, before);
        assert_eq!(serde_json::from_str::<Sampling>(&json).unwrap(), on);
    }
}

#[test]
fn broken_logits_are_an_error() {
    for logits in [
        vec![0.0, f32::NAN],
        vec![f32::INFINITY, 0.0],
        vec![f32::NEG_INFINITY, f32::NEG_INFINITY],
        vec![],
    ] {
        let error = choose(&warm(), &logits, &[]).unwrap_err();
        assert!(matches!(error, Error::Logits { .. }), "{error}");
    }
}

#[test]
fn settings_out_of_range_are_named() {
    for (settings, name) in [
        (Sampling { temperature: -1.0, ..warm() }, "temperature"),
        (Sampling { temperature: f32::NAN, ..warm() }, "temperature"),
        (Sampling { temperature: f32::INFINITY, ..warm() }, "temperature"),
        (Sampling { top_p: 1.5, ..warm() }, "top_p"),
        (Sampling { min_p: -0.1, ..warm() }, "min_p"),
        (Sampling { repetition_penalty: 0.0, ..warm() }, "repetition_penalty"),
        (Sampling { dry_base: 0.5, ..warm() }, "dry_base"),
        (Sampling { frequency_penalty: 2.5, ..warm() }, "frequency_penalty"),
        (Sampling { presence_penalty: f32::NAN, ..warm() }, "presence_penalty"),
        (Sampling { logit_bias: [(0, 101.0)].into(), ..warm() }, "logit_bias"),
    ] {
        let error = settings.check().unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn draws_follow_the_distribution() {
    let vocabulary = Arc::new(TokenKinds::new([b"x".as_slice(); 4].into_iter()));
    let mut sampler = Sampler::new(&warm(), vocabulary, Isa::detect()).unwrap();
    let mut counts = [0f64; 4];
    for _ in 0..20_000 {
        counts[sampler.choose(&mut four(), &[]).unwrap() as usize] += 1.0 / 20_000.0;
    }
    for (got, want) in counts.iter().zip([0.25, 0.1, 0.5, 0.15]) {
        // Three and a half standard errors of the most likely token.
        assert!((got - want).abs() < 0.0125, "{counts:?}");
    }
}

fn logits() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-20f32..20.0, 1..600)
}

fn ids(distribution: &[(u32, f64)]) -> Vec<u32> {
    let mut ids: Vec<u32> = distribution.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    ids
}

proptest! {
    #[test]
    fn what_is_left_sums_to_one_and_falls(
        logits in logits(), temperature in 0.05f32..3.0, top_k in 0usize..50,
        top_p in 0f32..=1.0, min_p in 0f32..=1.0,
    ) {
        let settings = Sampling { temperature, top_k, top_p, min_p, ..warm() };
        let left = distribution(&logits, &settings, Isa::detect());
        let sum: f64 = left.iter().map(|(_, p)| p).sum();
        prop_assert!((sum - 1.0).abs() < 1e-9);
        prop_assert!(left.windows(2).all(|pair| pair[0].1 >= pair[1].1));
        prop_assert!(left.iter().all(|(_, p)| *p > 0.0));
        prop_assert!(top_k == 0 || left.len() <= top_k);
    }

    #[test]
    fn top_p_keeps_the_smallest_set_that_reaches_it(logits in logits(), top_p in 0.01f32..0.99) {
        let all = distribution(&logits, &warm(), Isa::detect());
        let kept = distribution(&logits, &Sampling { top_p, ..warm() }, Isa::detect());
        let mass = |n: usize| all[..n].iter().map(|(_, p)| p).sum::<f64>();
        prop_assert!(mass(kept.len()) >= f64::from(top_p) - 1e-9);
        prop_assert!(mass(kept.len() - 1) < f64::from(top_p) + 1e-9);
        prop_assert_eq!(ids(&kept), ids(&all[..kept.len()]));
    }

    #[test]
    fn tighter_settings_keep_subsets(logits in logits(), k in 1usize..40, p in 0.01f32..0.9) {
        let of = |settings: Sampling| ids(&distribution(&logits, &settings, Isa::detect()));
        let subset = |a: &[u32], b: &[u32]| a.iter().all(|id| b.contains(id));
        let (wide, tight) = (
            of(Sampling { top_k: k + 5, ..warm() }), of(Sampling { top_k: k, ..warm() }));
        prop_assert!(subset(&tight, &wide));
        let (wide, tight) = (
            of(Sampling { min_p: p, ..warm() }), of(Sampling { min_p: p + 0.1, ..warm() }));
        prop_assert!(subset(&tight, &wide));
        let both = of(Sampling { min_p: p, top_k: k, ..warm() });
        prop_assert!(subset(&both, &wide));
    }

    #[test]
    fn the_same_seed_draws_the_same(logits in logits(), seed: u64) {
        let settings = Sampling { top_p: 0.9, seed, ..warm() };
        prop_assert_eq!(
            choose(&settings, &logits, &[]).unwrap(), choose(&settings, &logits, &[]).unwrap());
    }
}
