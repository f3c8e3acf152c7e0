//! A hand-made report with all its parts, for tests.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use crate::report::{
    EvalReport, Example, Figure, MeanCost, MethodComparison, MethodReport, Provenance,
};
use idiolect_metrics::statistics::{PerUser, Settings, Verdict};

/// Worst-case content of a user name, an item, a text or a command.
pub(super) const HOSTILE: &str = "</style><script>alert('x')</script> & \"q\" <img src=x>";

/// Measures, each with the means of the four methods.
type SampleRow<'a> = &'a [(&'a str, [f64; 4])];

const METHODS: [&str; 4] = ["non-perso", "rag", "scp", "dpl"];

const MEASURED: SampleRow<'static> = &[
    ("likelihood_lift", [0.0, 0.21, 0.344, 0.29]),
    ("bits_right", [4.31, 4.02, 3.81, 3.9]),
    ("bits_wrong", [4.31, 4.23, 4.154, 4.19]),
    ("bits_none", [4.31, 4.31, 4.31, 4.31]),
    ("rouge1", [0.221, 0.284, 0.279, 0.297]),
    ("rougeL", [0.121, 0.144, 0.142, 0.151]),
    ("meteor", [0.131, 0.182, 0.176, 0.196]),
    ("bleu_sentence", [1.2, 2.9, 2.7, 3.3]),
    ("length_ratio", [0.52, 0.91, 0.84, 1.12]),
    ("copied_from_history", [0.0, 0.031, 0.024, 0.008]),
    ("rouge1_gain", [0.0, 0.011, 0.019, 0.016]),
    ("rougeL_gain", [0.0, 0.006, 0.009, 0.007]),
    ("swap_stylometry", [0.5, 0.58, 0.67, 0.62]),
    ("swap_stylometry_random", [0.5, 0.61, 0.71, 0.66]),
    ("swap_stylometry_nearest", [0.5, 0.55, 0.63, 0.58]),
    ("swap_likelihood", [0.5, 0.66, 0.79, 0.71]),
    ("identified_mrr", [0.09, 0.14, 0.21, 0.17]),
    ("identified_auc", [0.5, 0.57, 0.66, 0.61]),
    ("judge", [0.31, 0.42, 0.41, 0.44]),
    ("likelihood_lift_neutral", [0.0, 0.18, 0.31, 0.25]),
    ("swap_lambda_g", [0.5, 0.6, 0.72, 0.64]),
    ("lambda_g_llr", [-0.2, 0.3, 0.8, 0.5]),
];

/// A report of four methods on all measures, for `n_users` users.
pub(super) fn full(n_users: usize) -> EvalReport {
    let mut methods = BTreeMap::new();
    for (number, name) in METHODS.iter().enumerate() {
        let mut method = of_method(number, n_users);
        if number == 0 {
            method.without_history = 3;
        }
        methods.insert(*name, method);
    }
    let ceiling = [
        ("swap_stylometry", 0.84),
        ("swap_likelihood", 0.93),
        ("identified_mrr", 0.46),
        ("lambda_g_llr", 1.2),
        ("lambda_g_cllr", 0.44),
    ];
    let ceiling = ceiling.map(|(name, mean)| (name.to_owned(), figure(mean, 0.05, 40)));
    EvalReport {
        users: n_users,
        texts: 2 * n_users,
        seeds: 2,
        pairs: 40,
        comparisons: comparisons(&methods),
        methods,
        ceiling: ceiling.into_iter().collect(),
        provenance: provenance(),
        examples: examples(),
        order: METHODS.to_vec(),
    }
}

fn of_method(number: usize, n_users: usize) -> MethodReport {
    let mut figures = BTreeMap::new();
    let mut per_user = BTreeMap::new();
    for (at, (measure, means)) in MEASURED.iter().enumerate() {
        let mean = means[number];
        let spread = if mean == 0.0 { 0.0 } else { 0.12 * mean.abs() + 0.05 };
        let value = |user: usize| mean + spread * wave(user * 31 + at * 7 + number * 3);
        let rows = (0..n_users).map(|user| (name(user), value(user)));
        let values = PerUser::averaged(rows).unwrap();
        let all = values.values();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let sure = 1.4 * spread / (n_users as f64).sqrt();
        let shown = if n_users > 1 {
            figure(mean, sure, n_users)
        } else {
            Figure { mean, low: None, high: None, n: 1, p: None }
        };
        let p = measure.starts_with("swap").then_some(if mean > 0.6 { 0.0004 } else { 0.12 });
        figures.insert((*measure).to_owned(), Figure { p, ..shown });
        per_user.insert((*measure).to_owned(), values);
    }
    figures.insert("bleu".to_owned(), figure(1.1 + number as f64, 0.4, n_users));
    figures.insert(
        "distinct1".to_owned(),
        Figure { mean: 0.11, low: None, high: None, n: 48, p: None },
    );
    let some = |value: f64| Some(value * (number + 1) as f64);
    MethodReport {
        figures,
        cost: MeanCost {
            calls: Some([1.0, 1.0, 1.0, 9.25][number]),
            prompt_tokens: some(1_234.5),
            completion_tokens: some(140.0),
        },
        without_history: 0,
        per_user,
        seconds: [12.3, 190.0, 340.0, 7_800.0][number],
    }
}

fn name(user: usize) -> String {
    if user == 0 { HOSTILE.to_owned() } else { format!("user-{user:02}") }
}

/// A value between -1 and 1 without a visible pattern.
fn wave(n: usize) -> f64 {
    let n = n as f64;
    0.6 * (n * 12.9898).sin() + 0.4 * (n * 78.233).sin()
}

fn figure(mean: f64, sure: f64, n: usize) -> Figure {
    Figure { mean, low: Some(mean - sure), high: Some(mean + sure), n, p: None }
}

fn comparisons(methods: &BTreeMap<&'static str, MethodReport>) -> Vec<MethodComparison> {
    let mut compared = Vec::new();
    for (measure, _) in MEASURED {
        for (at, a) in METHODS.iter().enumerate() {
            for b in &METHODS[at + 1..] {
                let mean = |name: &str| methods[name].figures[*measure];
                let (of_a, of_b) = (mean(a), mean(b));
                let difference = of_a.mean - of_b.mean;
                let sure = of_a.high.map(|high| 1.4 * (high - of_a.mean));
                let apart = sure.is_some_and(|sure| difference.abs() > 2.0 * sure + 0.005);
                let p = if apart { 0.0002 } else { 0.2817 };
                let verdict = match apart {
                    false => Verdict::NoDifferenceShown,
                    true if difference > 0.0 => Verdict::Higher,
                    true => Verdict::Lower,
                };
                compared.push(MethodComparison {
                    a,
                    b,
                    measure: (*measure).to_owned(),
                    difference,
                    low: sure.map(|sure| difference - sure),
                    high: sure.map(|sure| difference + sure),
                    n: of_a.n,
                    p,
                    p_holm: (p * 6.0).min(1.0),
                    verdict,
                });
            }
        }
    }
    compared
}

fn provenance() -> Provenance {
    let hash = "3f1c0a9b7d2e4f5061728394a5b6c7d8e9f00112233445566778899aabbccdde";
    let model = |name: &str| format!("{name} sha256:{hash}");
    Provenance {
        command: format!("idiolect evaluate --method rag --method dpl --task {HOSTILE}"),
        version: "0.1.0",
        models: BTreeMap::from([("lm", model("a-model")), ("encoder", model("an-encoder"))]),
        task: format!("reviews {hash}"),
        split: serde_json::json!({"name": "dpl", "part": "test", "options": {"inputs": 1, "seed": 0}}),
        plan: serde_json::json!({"users": null, "wrong_users": 3, "note": HOSTILE, "seed": 0}),
        settings: serde_json::json!({"n": 4, "idiolect": {"lexical": 0.8}}),
        seed: 7,
        statistics: Settings::default(),
    }
}

fn examples() -> Vec<Example> {
    let real = "I measured this over one week with tap water at 11 degrees. One litre reached a \
                rolling boil in 2 min 38 s, which is within four per cent of what the rating plate \
                would lead one to expect.\n\nMy reservation concerns the lid.";
    let written = |text: &str| -> Vec<(&'static str, String, Option<String>)> {
        let wrong = |name: &str| (name != "scp").then(|| format!("LOVE it!!! {text}"));
        METHODS.iter().map(|name| (*name, format!("{text} ({name})"), wrong(name))).collect()
    };
    let text = "The kettle boils a litre in under three minutes, which I timed twice. The lid is \
                slow, and I wish it were not; the base stays cool.";
    let example = |user: &str, item: &str, real: &str, text: &str| Example {
        user: user.to_owned(),
        item: item.to_owned(),
        real: real.to_owned(),
        written: written(text),
    };
    vec![
        example("harold", "Brisk 15 Electric Kettle, 1.5 litre, brushed steel", real, text),
        example(HOSTILE, HOSTILE, HOSTILE, HOSTILE),
        example(
            "\u{5e9}\u{5e8}\u{5d4}",
            "kettle-02",
            "\u{5e7}\u{5d5}\u{5de}\u{5e7}\u{5d5}\u{5dd}",
            "",
        ),
    ]
}
