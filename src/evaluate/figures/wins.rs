//! Which of two methods comes nearer to the real texts, in a judge's eyes.

use super::Rows;
use crate::Result;
use crate::plan::Plan;
use crate::run::Outcomes;
use idiolect_metrics::statistics::PerUser;

/// Name of the measure: share of the others' texts that a method's come nearer than, ties by half.
pub const WINS: &str = "judge_wins";

/// Every comparison: the two methods, the user, and the first one's share.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wins(Vec<(&'static str, &'static str, String, f64)>);

impl Wins {
    /// What a judge said of every two methods.
    #[must_use]
    pub fn of(plan: &Plan, outcomes: &Outcomes) -> Self {
        let of_two = outcomes.preferences.iter().flat_map(|preferences| {
            let (a, b) = (preferences.a.name(), preferences.b.name());
            plan.cases.iter().zip(&preferences.cases).filter_map(move |(case, share)| {
                Some((a, b, case.review.review.user.clone(), (*share)?))
            })
        });
        Self(of_two.collect())
    }

    /// A method's share against all others, by user.
    pub(crate) fn rows(&self, method: &str, rows: &mut Rows) {
        for (a, b, user, share) in &self.0 {
            if *a == method {
                rows.push(WINS, user, *share);
            } else if *b == method {
                rows.push(WINS, user, 1.0 - share);
            }
        }
    }

    /// The shares of two methods against each other; `None` where they were not compared.
    ///
    /// # Errors
    /// A share that is not finite.
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
