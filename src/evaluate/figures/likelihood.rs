//! Likelihood measures: how well a method's prompt predicts the user's real text.

use super::Rows;
use crate::plan::Plan;
use crate::run::MethodOutcomes;
use crate::trial::Bits;

/// Adds bits per token with the right history, with wrong users' histories and with none, and the
/// *likelihood lift*: wrong minus right. Values without the title have the suffix `_neutral`.
pub(crate) fn rows(plan: &Plan, outcomes: &MethodOutcomes, rows: &mut Rows) {
    for (case, outcome) in plan.cases.iter().zip(&outcomes.cases) {
        let Some(outcome) = outcome else { continue };
        let user = &case.review.review.user;
        if let Some(none) = outcome.none.and_then(Bits::per_token) {
            rows.push("bits_none", user, none);
        }
        let mut lift = |right: Option<Bits>, wrong: &[Bits], suffix: &str| {
            let Some(right) = right.and_then(Bits::per_token) else { return };
            rows.push(&format!("bits_right{suffix}"), user, right);
            let wrong: Vec<f64> = wrong.iter().filter_map(|bits| bits.per_token()).collect();
            if wrong.is_empty() {
                return;
            }
            let wrong = wrong.iter().sum::<f64>() / wrong.len() as f64;
            rows.push(&format!("bits_wrong{suffix}"), user, wrong);
            rows.push(&format!("likelihood_lift{suffix}"), user, wrong - right);
        };
        lift(outcome.right, &outcome.wrong, "");
        lift(outcome.neutral_right, &outcome.neutral_wrong, "_neutral");
    }
}
