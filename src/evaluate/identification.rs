//! Authorship identification: the rank of the true user among candidates by closeness of a text to
//! their own texts.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{Result, seed::seed_for};
use idiolect_metrics::statistics::{Estimate, PerUser, Settings};
use idiolect_metrics::stylometry::{StyleProfile, StyleSpace};

/// Parameters of identification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct IdentifyOptions {
    /// Number of candidates including the true user; fewer if there are not as many users.
    pub(crate) n_candidates: usize,
    /// Number of texts that are profiled together; a single text carries little information.
    pub(crate) together: usize,
    /// Seed of the choice of candidates.
    pub(crate) seed: u64,
}

impl Default for IdentifyOptions {
    fn default() -> Self {
        Self { n_candidates: 50, together: 1, seed: 0 }
    }
}

/// A text, or several profiled together, compared with the candidates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct IdentificationTrial {
    /// User that the text was generated for.
    pub(crate) user: String,
    /// Closeness to that user's own texts; higher is closer.
    pub(crate) to_user: f64,
    /// Closeness to each other candidate's own texts.
    pub(crate) to_others: Vec<f64>,
}

impl IdentificationTrial {
    /// Number of other candidates that are closer, and number that are equally close.
    fn ahead(&self) -> (usize, usize) {
        let closer = self.to_others.iter().filter(|other| **other > self.to_user).count();
        let alike = self.to_others.iter().filter(|other| **other == self.to_user).count();
        (closer, alike)
    }

    /// Reciprocal rank of the user, averaged over the ranks that tied candidates share.
    #[must_use]
    pub(crate) fn reciprocal_rank(&self) -> f64 {
        let (closer, alike) = self.ahead();
        let ranks = closer + 1..=closer + 1 + alike;
        ranks.map(|rank| 1.0 / rank as f64).sum::<f64>() / (1 + alike) as f64
    }

    /// Probability that the user ranks first, with ties broken at random.
    #[must_use]
    pub(crate) fn recall_at_1(&self) -> f64 {
        match self.ahead() {
            (0, alike) => 1.0 / (1 + alike) as f64,
            _ => 0.0,
        }
    }

    /// Share of the other candidates that are less close, a tie counted as half; 0.5 if there are
    /// no others.
    #[must_use]
    pub(crate) fn auc(&self) -> f64 {
        let (closer, alike) = self.ahead();
        match self.to_others.len() {
            0 => 0.5,
            n => 1.0 - (closer as f64 + 0.5 * alike as f64) / n as f64,
        }
    }
}

/// Result of identification.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Identification {
    /// Reciprocal rank, mean over users.
    pub(crate) mrr: Estimate,
    /// Share of trials in which the user ranks first, mean over users.
    pub(crate) recall_at_1: Estimate,
    /// AUC: probability that the user is closer than another candidate, mean over users.
    pub(crate) auc: Estimate,
    /// Expected values of random guessing.
    pub(crate) chance: Chance,
    /// Number of trials.
    pub(crate) n_trials: usize,
    /// Smallest number of candidates of a trial.
    pub(crate) n_candidates: usize,
}

/// Expected values of random guessing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Chance {
    /// Mean reciprocal rank: `(1 + 1/2 + ... + 1/n) / n`.
    pub(crate) mrr: f64,
    /// `1 / n`.
    pub(crate) recall_at_1: f64,
    /// A half.
    pub(crate) auc: f64,
}

impl Chance {
    /// Chance among `n` candidates, including the true user.
    #[must_use]
    pub(crate) fn among(n: usize) -> Self {
        let equal = IdentificationTrial {
            user: String::new(),
            to_user: 0.0,
            to_others: vec![0.0; n.max(1) - 1],
        };
        Self { mrr: equal.reciprocal_rank(), recall_at_1: equal.recall_at_1(), auc: equal.auc() }
    }
}

/// Compares texts generated for users with the users' own texts.
///
/// `own` has the profile of every user's own texts, preferably of texts that no method saw.
/// `written` has the texts for each user, in order; a remainder smaller than `options.together` is
/// left out. The upper bound is the same on real texts that are not in `own`, the lower bound on
/// texts that do not depend on the user.
///
/// # Errors
/// [`TooFew`](idiolect_metrics::Error::TooFew) if a user of `written` has no own texts.
pub(crate) fn trials(
    space: &dyn StyleSpace,
    written: &BTreeMap<&str, Vec<&str>>,
    own: &BTreeMap<&str, StyleProfile>,
    options: &IdentifyOptions,
) -> Result<Vec<IdentificationTrial>> {
    let mut trials = Vec::new();
    for (user, texts) in written {
        let Some(to_user) = own.get(user) else {
            let operation = "identify a user";
            return Err(idiolect_metrics::Error::TooFew {
                operation,
                what: "own texts",
                got: 0,
                needed: 1,
            }
            .into());
        };
        let others = candidates(user, own, options);
        for texts in texts.chunks_exact(options.together.max(1)) {
            let text = space.profile(texts);
            trials.push(IdentificationTrial {
                user: (*user).to_owned(),
                to_user: space.similarity(&text, to_user),
                to_others: others.iter().map(|other| space.similarity(&text, other)).collect(),
            });
        }
    }
    Ok(trials)
}

/// Other candidates for a user: the same for all of the user's texts, drawn independently of other
/// users.
fn candidates<'a>(
    user: &str,
    own: &'a BTreeMap<&str, StyleProfile>,
    options: &IdentifyOptions,
) -> Vec<&'a StyleProfile> {
    let mut others: Vec<&StyleProfile> =
        own.iter().filter(|(other, _)| **other != user).map(|(_, profile)| profile).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed_for(options.seed, &[user]));
    others.shuffle(&mut random);
    others.truncate(options.n_candidates.saturating_sub(1));
    others
}

/// Aggregates trials: averages per user, then over users.
///
/// # Errors
/// Error if there are no trials, or a closeness is not finite.
pub(crate) fn identify(
    trials: &[IdentificationTrial],
    settings: &Settings,
) -> Result<Identification> {
    let operation = "identify users";
    let Some(n_candidates) = trials.iter().map(|trial| trial.to_others.len() + 1).min() else {
        return Err(idiolect_metrics::Error::TooFew {
            operation,
            what: "trials",
            got: 0,
            needed: 1,
        }
        .into());
    };
    for trial in trials {
        let closeness = trial.to_others.iter().chain([&trial.to_user]);
        if let Some(value) = closeness.copied().find(|closeness| !closeness.is_finite()) {
            return Err(idiolect_metrics::Error::NotFinite {
                operation,
                of: trial.user.clone(),
                value,
            }
            .into());
        }
    }
    let mean = |of: fn(&IdentificationTrial) -> f64| {
        PerUser::averaged(trials.iter().map(|trial| (trial.user.clone(), of(trial))))?
            .mean(settings)
    };
    Ok(Identification {
        mrr: mean(IdentificationTrial::reciprocal_rank)?,
        recall_at_1: mean(IdentificationTrial::recall_at_1)?,
        auc: mean(IdentificationTrial::auc)?,
        chance: Chance::among(n_candidates),
        n_trials: trials.len(),
        n_candidates,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn trial(user: &str, to_user: f64, to_others: &[f64]) -> IdentificationTrial {
        IdentificationTrial { user: user.to_owned(), to_user, to_others: to_others.to_owned() }
    }

    #[test]
    fn ranks_and_ties() {
        let first = trial("u", 0.9, &[0.1, 0.8, 0.3]);
        assert_eq!((first.reciprocal_rank(), first.recall_at_1(), first.auc()), (1.0, 1.0, 1.0));
        let third = trial("u", 0.2, &[0.1, 0.8, 0.3]);
        assert_eq!((third.reciprocal_rank(), third.recall_at_1()), (1.0 / 3.0, 0.0));
        assert!((third.auc() - 1.0 / 3.0).abs() < 1e-12);
        let shared = trial("u", 0.8, &[0.1, 0.8, 0.8]);
        let expected = (1.0 + 0.5 + 1.0 / 3.0) / 3.0;
        assert!((shared.reciprocal_rank() - expected).abs() < 1e-12);
        assert!((shared.recall_at_1() - 1.0 / 3.0).abs() < 1e-12);
        assert!((shared.auc() - 2.0 / 3.0).abs() < 1e-12);
        let fifty = Chance::among(50);
        // The fiftieth harmonic number is 4.499205.
        assert!((fifty.mrr - 4.499_205 / 50.0).abs() < 1e-7);
        assert_eq!((fifty.recall_at_1, fifty.auc), (0.02, 0.5));
    }

    #[test]
    fn trials_are_averaged_by_user_first() {
        let trials = [
            trial("u", 1.0, &[0.0]),
            trial("u", 1.0, &[0.0]),
            trial("u", 1.0, &[0.0]),
            trial("v", 0.0, &[1.0]),
        ];
        let found = identify(&trials, &Settings::default()).unwrap();
        assert_eq!((found.mrr.value, found.recall_at_1.value, found.auc.value), (0.75, 0.5, 0.5));
        assert_eq!((found.n_trials, found.n_candidates, found.auc.n), (4, 2, 2));
        assert!(identify(&[], &Settings::default()).is_err());
        let wrong = [trial("u", f64::NAN, &[0.0])];
        assert!(identify(&wrong, &Settings::default()).is_err());
    }

    #[test]
    fn candidates_are_seeded_and_texts_are_taken_together() {
        struct Length;
        impl StyleSpace for Length {
            fn name(&self) -> &'static str {
                "length"
            }
            fn profile(&self, texts: &[&str]) -> StyleProfile {
                StyleProfile::new(vec![(
                    0,
                    texts.iter().map(|text| text.len()).sum::<usize>() as f64,
                )])
            }
            fn similarity(&self, a: &StyleProfile, b: &StyleProfile) -> f64 {
                if a == b { 1.0 } else { 0.0 }
            }
        }
        let users: Vec<String> = (0..80).map(|i| format!("u{i}")).collect();
        let own: BTreeMap<&str, StyleProfile> = users
            .iter()
            .enumerate()
            .map(|(i, user)| (user.as_str(), StyleProfile::new(vec![(0, 2.0 * i as f64)])))
            .collect();
        let written = BTreeMap::from([("u3", vec!["abc", "def", "gh", "ijkl", "m"])]);
        let options = IdentifyOptions { together: 2, ..IdentifyOptions::default() };
        let trials = trials(&Length, &written, &own, &options).unwrap();
        assert_eq!(trials.iter().map(|t| t.to_others.len()).collect::<Vec<_>>(), [49, 49]);
        assert_eq!(trials.iter().map(|t| t.to_user).collect::<Vec<_>>(), [1.0, 1.0]);
        let of = |seed| {
            let options = IdentifyOptions { seed, ..options };
            candidates("u3", &own, &options).into_iter().cloned().collect::<Vec<_>>()
        };
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        let stranger = BTreeMap::from([("nobody", vec!["abc"])]);
        assert!(super::trials(&Length, &stranger, &own, &options).is_err());
    }
}
