//! The judge's preferences between methods.

use super::PerUserValues;
use crate::Result;
use crate::plan::Plan;
use crate::run::PlanResults;
use idiolect_metrics::statistics::PerUser;

/// Name of the measure: share of pairs with other methods' texts that the judge decides for a
/// method's text, a tie counted as half.
pub(crate) const WINS: &str = "judge_wins";

/// All comparisons: the two methods, the user, and the first method's share.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wins(Vec<(&'static str, &'static str, String, f64)>);

impl Wins {
    /// Collects the judge's preferences for every two methods.
    #[must_use]
    pub(crate) fn of(plan: &Plan, results: &PlanResults) -> Self {
        let of_two = results.preferences.iter().flat_map(|preferences| {
            let (a, b) = (preferences.a.name(), preferences.b.name());
            plan.cases.iter().zip(&preferences.cases).filter_map(move |(case, share)| {
                Some((a, b, case.review.review.user.clone(), (*share)?))
            })
        });
        Self(of_two.collect())
    }

    /// Adds a method's shares against all other methods, by user.
    pub(crate) fn add_to(&self, method: &str, values: &mut PerUserValues) {
        for (a, b, user, share) in &self.0 {
            if *a == method {
                values.push(WINS, user, *share);
            } else if *b == method {
                values.push(WINS, user, 1.0 - share);
            }
        }
    }

    /// Shares of two methods against each other, by user; `None` if they were not compared.
    ///
    /// # Errors
    /// Error if a share is not finite.
    pub(crate) fn of_two(&self, first: &str, second: &str) -> Result<Option<(PerUser, PerUser)>> {
        let found: Vec<(&str, f64)> = self
            .0
            .iter()
            .filter(|(a, b, ..)| (*a, *b) == (first, second))
            .map(|(.., user, share)| (user.as_str(), *share))
            .collect();
        if found.is_empty() {
            return Ok(None);
        }
        let other = found.iter().map(|(user, share)| (*user, 1.0 - share));
        Ok(Some((PerUser::averaged(found.iter().copied())?, PerUser::averaged(other)?)))
    }
}
