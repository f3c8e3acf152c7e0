//! Per-user values.

use std::collections::BTreeMap;

use super::{Estimate, Settings, bootstrap};
use crate::{Error, Result};

/// One value per user: the mean over the user's texts and seeds.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize)]
#[serde(transparent)]
pub struct PerUser(BTreeMap<String, f64>);

impl PerUser {
    /// Averages the values of each user. The order of the rows does not matter.
    ///
    /// # Errors
    /// [`Error::NotFinite`] if a value is not finite.
    pub fn averaged<S: Into<String>>(rows: impl IntoIterator<Item = (S, f64)>) -> Result<Self> {
        let mut values: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (user, value) in rows {
            let user = user.into();
            if !value.is_finite() {
                return Err(Error::NotFinite { operation: "average a user", of: user, value });
            }
            values.entry(user).or_default().push(value);
        }
        let mean = |mut values: Vec<f64>| {
            values.sort_unstable_by(f64::total_cmp);
            values.iter().sum::<f64>() / values.len() as f64
        };
        Ok(Self(values.into_iter().map(|(user, values)| (user, mean(values))).collect()))
    }

    /// Users and their values, ordered by user name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(user, value)| (user.as_str(), *value))
    }

    /// Value of a user.
    #[must_use]
    pub fn get(&self, user: &str) -> Option<f64> {
        self.0.get(user).copied()
    }

    /// Values, ordered by user name.
    #[must_use]
    pub fn values(&self) -> Vec<f64> {
        self.0.values().copied().collect()
    }

    /// Number of users.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no user.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Mean over users, with its bootstrap interval.
    ///
    /// # Errors
    /// [`Error::TooFew`] if there are no users.
    pub fn mean(&self, settings: &Settings) -> Result<Estimate> {
        bootstrap::mean(&self.values(), settings)
    }

    /// Paired differences: each user's value minus the user's value in `other`.
    ///
    /// # Errors
    /// [`Error::Unpaired`] if a user has a value on one side only.
    pub fn minus(&self, other: &Self) -> Result<Self> {
        let lone = self.0.keys().find(|user| !other.0.contains_key(*user));
        if let Some(user) = lone.or_else(|| other.0.keys().find(|user| !self.0.contains_key(*user)))
        {
            return Err(Error::Unpaired { user: user.clone() });
        }
        let less = |(user, value): (&String, &f64)| (user.clone(), value - other.0[user]);
        Ok(Self(self.0.iter().map(less).collect()))
    }
}

/// One text's contribution to a ratio of sums, for instance its bits and its tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share<'a> {
    /// Author of the text.
    pub user: &'a str,
    /// Addend of the numerator.
    pub numerator: f64,
    /// Addend of the denominator.
    pub denominator: f64,
}

/// Ratio of sums over all texts (for instance bits per token), with a cluster bootstrap interval:
/// each resample draws whole users with all their texts (Davison and Hinkley, "Bootstrap methods
/// and their application", 1997, section 3.8).
///
/// # Errors
/// Error if there are no texts, or a ratio is not finite.
pub fn ratio(shares: &[Share<'_>], settings: &Settings) -> Result<Estimate> {
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for share in shares {
        let (numerator, denominator) = sums.entry(share.user).or_default();
        *numerator += share.numerator;
        *denominator += share.denominator;
    }
    let sums: Vec<(f64, f64)> = sums.into_values().collect();
    let of = |indices: &[usize]| {
        let add = |(n, d): (f64, f64), i: &usize| (n + sums[*i].0, d + sums[*i].1);
        let (numerator, denominator) = indices.iter().fold((0.0, 0.0), add);
        numerator / denominator
    };
    super::bootstrap(sums.len(), of, settings)
}
