//! Per-user values of all measures, computed from texts and scores.

mod controls;
mod grammar;
mod lexical;
mod likelihood;
mod wins;

use std::collections::BTreeMap;

pub(crate) use controls::{StyleSpaces, SwapScoresByTest};
pub(crate) use grammar::{GrammarScores, Population};
pub(crate) use lexical::CopySources;
pub(crate) use lexical::add_lexical;
pub(crate) use likelihood::add_likelihood;
pub(crate) use wins::{WINS, Wins};

use super::Result;
use idiolect_metrics::statistics::PerUser;

/// Values by measure, each with its user; several values of one user are averaged.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PerUserValues(BTreeMap<String, Vec<(String, f64)>>);

impl PerUserValues {
    /// Adds a value.
    pub(super) fn push(&mut self, measure: &str, user: &str, value: f64) {
        self.0.entry(measure.to_owned()).or_default().push((user.to_owned(), value));
    }

    /// Per-user values of each measure.
    ///
    /// # Errors
    /// Error if a value is not finite.
    pub(crate) fn per_user(self) -> Result<BTreeMap<String, PerUser>> {
        let averaged = |(measure, rows)| Ok((measure, PerUser::averaged::<String>(rows)?));
        self.0.into_iter().map(averaged).collect()
    }
}
