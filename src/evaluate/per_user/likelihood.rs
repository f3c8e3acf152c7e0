//! Likelihood measures: how well a method's prompt predicts the user's real text.

use super::PerUserValues;
use crate::cases::Bits;
use crate::plan::Plan;
use crate::run::MethodResults;

/// Adds bits per token with the right history, with wrong users' histories and with none, and the
/// *likelihood lift*: wrong minus right. Values without the title have the suffix `_neutral`.
pub(crate) fn add_likelihood(plan: &Plan, results: &MethodResults, values: &mut PerUserValues) {
    for (case, result) in plan.cases.iter().zip(&results.cases) {
        let Some(result) = result else { continue };
        let user = &case.review.review.user;
        if let Some(none) = result.none.and_then(Bits::per_token) {
            values.push("bits_none", user, none);
        }
        let mut lift = |right: Option<Bits>, wrong: &[Bits], suffix: &str| {
            let Some(right) = right.and_then(Bits::per_token) else { return };
            values.push(&format!("bits_right{suffix}"), user, right);
            let wrong: Vec<f64> = wrong.iter().filter_map(|bits| bits.per_token()).collect();
            if wrong.is_empty() {
                return;
            }
            let wrong = wrong.iter().sum::<f64>() / wrong.len() as f64;
            values.push(&format!("bits_wrong{suffix}"), user, wrong);
            values.push(&format!("likelihood_lift{suffix}"), user, wrong - right);
        };
        lift(result.right, &result.wrong, "");
        lift(result.neutral_right, &result.neutral_wrong, "_neutral");
    }
}
