//! Golden values, and coverage of intervals and false positive rates of tests on simulated data.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::bootstrap::bca;
use super::*;
use crate::Error;

#[derive(serde::Deserialize)]
struct Golden {
    bca: Vec<Bca>,
    permutation: Vec<Permutation>,
    monte_carlo: Vec<Permutation>,
    holm: Vec<Family>,
}

#[derive(serde::Deserialize)]
struct Bca {
    sample: Vec<f64>,
    level: f64,
    resampled: Vec<f64>,
    low: f64,
    high: f64,
}

#[derive(serde::Deserialize)]
struct Permutation {
    differences: Vec<f64>,
    p: f64,
}

#[derive(serde::Deserialize)]
struct Family {
    p: Vec<f64>,
    corrected: Vec<f64>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/golden/statistics.json")).unwrap()
}

fn few() -> Settings {
    Settings { resamples: 599, flips: 599, ..Settings::default() }
}

/// Approximately normal variate: the sum of twelve uniform numbers minus 6.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

#[test]
fn intervals_are_scipys_on_the_same_resamples() {
    for Bca { sample, level, resampled, low, high } in golden().bca {
        let mean_of = |left_out: usize| {
            let others = sample.iter().enumerate().filter(|(i, _)| *i != left_out);
            others.map(|(_, x)| x).sum::<f64>() / (sample.len() - 1) as f64
        };
        let jackknife: Vec<f64> = (0..sample.len()).map(mean_of).collect();
        let mean = sample.iter().sum::<f64>() / sample.len() as f64;
        let ours = bca(resampled, mean, &jackknife, level);
        assert!((ours.low - low).abs() < 1e-9, "{ours:?}, scipy has {low}");
        assert!((ours.high - high).abs() < 1e-9, "{ours:?}, scipy has {high}");
    }
}

#[test]
fn intervals_of_our_own_resamples_come_near_scipys() {
    for Bca { sample, level, low, high, .. } in golden().bca {
        let settings = Settings { level, resamples: 20_000, ..Settings::default() };
        let ours = bootstrap::mean(&sample, &settings).unwrap().interval.unwrap();
        // Interval ends are themselves uncertain: scipy was given only a few hundred resamples.
        let near = 0.2 * (high - low);
        assert!((ours.low - low).abs() < near && (ours.high - high).abs() < near, "{ours:?}");
    }
}

#[test]
fn exact_p_values_are_scipys() {
    for Permutation { differences, p } in golden().permutation {
        let ours = sign_flip_p(&differences, &Settings::default()).unwrap();
        assert!((ours - p).abs() < 1e-12, "{differences:?}: {ours}, scipy has {p}");
    }
}

#[test]
fn random_p_values_come_near_scipys() {
    for Permutation { differences, p } in golden().monte_carlo {
        let ours = sign_flip_p(&differences, &Settings::default()).unwrap();
        let error = (p * (1.0 - p) / 9_999.0).sqrt();
        assert!((ours - p).abs() < 4.0 * error, "{ours}, scipy has {p}");
    }
}

#[test]
fn corrections_are_statsmodels() {
    for Family { p, corrected } in golden().holm {
        for (ours, theirs) in holm(&p).iter().zip(&corrected) {
            assert!((ours - theirs).abs() < 1e-12, "{p:?}: {ours}, statsmodels has {theirs}");
        }
    }
}

#[test]
fn intervals_hold_the_true_mean_as_often_as_they_say() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let n_worlds: u32 = 600;
    let mut held = [0_u32; 2];
    for seed in 0..u64::from(n_worlds) {
        let settings = Settings { seed, ..few() };
        // A skewed distribution with mean 1, and a normal one with mean 0.
        let skewed: Vec<f64> = (0..40).map(|_| -random.random::<f64>().max(1e-12).ln()).collect();
        let even: Vec<f64> = (0..40).map(|_| normal(&mut random)).collect();
        for (held, (sample, mean)) in held.iter_mut().zip([(skewed, 1.0), (even, 0.0)]) {
            let interval = bootstrap::mean(&sample, &settings).unwrap().interval.unwrap();
            *held += u32::from(interval.holds(mean));
        }
    }
    for share in held.map(|n| f64::from(n) / f64::from(n_worlds)) {
        assert!((0.91..0.975).contains(&share), "{held:?} of {n_worlds}");
    }
}

#[test]
fn intervals_over_pairs_know_who_is_in_several() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let users: Vec<String> = (0..30).map(|i| format!("u{i}")).collect();
    let n_worlds = 300;
    let (mut held, mut held_by_plain) = (0, 0);
    for seed in 0..n_worlds {
        let settings = Settings { seed, ..few() };
        let of_users: Vec<f64> = users.iter().map(|_| normal(&mut random)).collect();
        let mut world = |steps: &[usize]| -> Vec<(usize, usize, f64)> {
            let pairs = steps.iter().flat_map(|step| (0..30).map(move |a| (a, (a + step) % 30)));
            pairs.map(|(a, b)| (a, b, of_users[a] + of_users[b] + normal(&mut random))).collect()
        };
        let named = |pairs: &[(usize, usize, f64)]| {
            let name = |(a, b, value): &(usize, usize, f64)| {
                (users[*a].as_str(), users[*b].as_str(), *value)
            };
            let pairs: Vec<_> = pairs.iter().map(name).collect();
            mean_of_pairs(&pairs, &settings).unwrap().interval.unwrap()
        };
        // Every user is in six pairs.
        let pairs = world(&[1, 5, 11]);
        held += u32::from(named(&pairs).holds(0.0));
        let values: Vec<f64> = pairs.iter().map(|p| p.2).collect();
        let plain = bootstrap::mean(&values, &settings).unwrap().interval.unwrap();
        held_by_plain += u32::from(plain.holds(0.0));
        // No user is in two pairs.
        let alone: Vec<_> = world(&[15]).into_iter().take(15).collect();
        let values: Vec<f64> = alone.iter().map(|p| p.2).collect();
        let plain = bootstrap::mean(&values, &settings).unwrap().interval.unwrap();
        let widened = named(&alone);
        assert!((widened.low - plain.low).abs() + (widened.high - plain.high).abs() < 1e-9);
    }
    assert!(f64::from(held) > 0.9 * n_worlds as f64, "{held} of {n_worlds}");
    assert!(f64::from(held_by_plain) < 0.8 * n_worlds as f64, "{held_by_plain} of {n_worlds}");
}

#[test]
fn where_nothing_differs_every_p_value_is_as_likely() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let n_worlds = 1_500_usize;
    for n in [12, 30] {
        let mut p: Vec<f64> = (0..n_worlds)
            .map(|seed| {
                let differences: Vec<f64> = (0..n).map(|_| normal(&mut random)).collect();
                let settings = Settings { seed: seed as u64, flips: 499, ..few() };
                sign_flip_p(&differences, &settings).unwrap()
            })
            .collect();
        p.sort_unstable_by(f64::total_cmp);
        let apart = p.iter().enumerate().map(|(i, p)| (p - i as f64 / n_worlds as f64).abs());
        let farthest = apart.fold(0.0, f64::max);
        // Kolmogorov's 99.9 % bound.
        assert!(farthest < 1.95 / (n_worlds as f64).sqrt(), "n {n}: {farthest}");
    }
}

#[test]
fn seeds_are_averaged_before_users_are_compared() {
    let a = PerUser::averaged([("u", 1.0), ("v", 5.0), ("u", 3.0)]).unwrap();
    assert_eq!((a.get("u"), a.get("v"), a.len()), (Some(2.0), Some(5.0), 2));
    let b = PerUser::averaged([("v", 4.0), ("u", 4.0)]).unwrap();
    assert_eq!(a.minus(&b).unwrap().values(), [-2.0, 1.0]);
    let c = PerUser::averaged([("v", 4.0)]).unwrap();
    for (one, other) in [(&a, &c), (&c, &a)] {
        let error = compare(&[(one, other)], &few()).unwrap_err();
        assert!(matches!(&error, Error::Unpaired { user } if user == "u"), "{error}");
    }
    let error = PerUser::averaged([("v", f64::NAN)]).unwrap_err().to_string();
    assert!(error.contains("`v` is NaN"), "{error}");
}

#[test]
fn a_difference_counts_only_if_both_interval_and_corrected_p_say_so() {
    let named = |values: Vec<f64>| {
        PerUser::averaged(values.into_iter().enumerate().map(|(i, x)| (format!("u{i}"), x)))
            .unwrap()
    };
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let base: Vec<f64> = (0..60).map(|_| normal(&mut random)).collect();
    let mut moved =
        |by: f64| named(base.iter().map(|x| x + by + 0.5 * normal(&mut random)).collect());
    let (up, down, same) = (moved(1.0), moved(-1.0), moved(0.0));
    let base = named(base.clone());
    let family = [(&up, &base), (&down, &base), (&same, &base), (&base, &base)];
    let compared = compare(&family, &few()).unwrap();
    let verdicts: Vec<Verdict> = compared.iter().map(|c| c.verdict).collect();
    let none = Verdict::NoDifferenceShown;
    assert_eq!(verdicts, [Verdict::Higher, Verdict::Lower, none, none]);
    assert!(compared.iter().all(|c| c.p_corrected >= c.p && c.difference.n == 60));
    assert!((compared[0].first - compared[0].second - compared[0].difference.value).abs() < 1e-12);
    assert_eq!((compared[3].p, none.to_string().as_str()), (1.0, "no difference shown"));

    // A single p-value of 0.03125 is significant; in a family of two such values neither is.
    let six = named(vec![1.0, 1.1, 0.9, 1.2, 0.8, 1.0]);
    let zero = named(vec![0.0; 6]);
    assert_eq!(compare(&[(&six, &zero)], &few()).unwrap()[0].verdict, Verdict::Higher);
    for twice in compare(&[(&six, &zero), (&six, &zero)], &few()).unwrap() {
        assert_eq!((twice.p, twice.p_corrected, twice.verdict), (0.03125, 0.0625, none));
    }
}

#[test]
fn few_units_and_equal_ones() {
    assert!(matches!(bootstrap::mean(&[], &few()), Err(Error::TooFew { got: 0, .. })));
    assert!(matches!(sign_flip_p(&[], &few()), Err(Error::TooFew { got: 0, .. })));
    assert_eq!(bootstrap::mean(&[3.0], &few()).unwrap().interval, None);
    let equal = bootstrap::mean(&[2.0; 9], &few()).unwrap();
    assert_eq!(equal.interval, Some(Interval { low: 2.0, high: 2.0 }));
    assert!(bootstrap::mean(&[1.0, f64::INFINITY], &few()).is_err());
    assert_eq!(sign_flip_p(&[0.0; 5], &few()).unwrap(), 1.0);
    assert_eq!(sign_flip_p(&[0.0; 25], &few()).unwrap(), 1.0);
}

#[test]
fn a_ratio_draws_users_with_all_their_texts() {
    let share = |user, numerator, denominator| Share { user, numerator, denominator };
    let shares = [share("u", 10.0, 2.0), share("v", 30.0, 10.0), share("u", 2.0, 2.0)];
    let estimate = ratio(&shares, &few()).unwrap();
    assert_eq!((estimate.value, estimate.n), (3.0, 2));
    // Every resample has all bits and tokens of its users, so each ratio is 3: 12/4 for `u`, 30/10
    // for `v`.
    assert_eq!(estimate.interval, Some(Interval { low: 3.0, high: 3.0 }));
    assert!(ratio(&[share("u", 1.0, 0.0), share("v", 1.0, 0.0)], &few()).is_err());
}

proptest! {
    #[test]
    fn intervals_lie_within_the_values_and_depend_on_the_seed_alone(
        values in proptest::collection::vec(-3.0_f64..3.0, 2..20), seed: u64,
    ) {
        let settings = Settings { seed, resamples: 99, ..Settings::default() };
        let estimate = bootstrap::mean(&values, &settings).unwrap();
        let Interval { low, high } = estimate.interval.unwrap();
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        prop_assert!(least - 1e-9 <= low && low <= high && high <= most + 1e-9);
        prop_assert_eq!(estimate, bootstrap::mean(&values, &settings).unwrap());
    }

    #[test]
    fn p_values_know_neither_order_nor_sign_and_are_never_0(
        mut differences in proptest::collection::vec(-2.0_f64..2.0, 1..18),
    ) {
        let p = sign_flip_p(&differences, &few()).unwrap();
        prop_assert!(p > 0.0 && p <= 1.0);
        differences.reverse();
        differences.iter_mut().for_each(|d| *d = -*d);
        prop_assert!((sign_flip_p(&differences, &few()).unwrap() - p).abs() < 1e-12);
    }

    #[test]
    fn corrected_p_values_keep_the_order_and_never_fall(
        p in proptest::collection::vec(0.0_f64..1.0, 0..9),
    ) {
        let corrected = holm(&p);
        for (i, a) in p.iter().enumerate() {
            prop_assert!(corrected[i] >= *a && corrected[i] <= 1.0);
            for (j, b) in p.iter().enumerate() {
                prop_assert!(a > b || corrected[i] <= corrected[j]);
            }
        }
    }
}
