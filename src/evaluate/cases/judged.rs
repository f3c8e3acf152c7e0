//! Judging of generated texts.

use super::{CaseResult, EvalContext};
use crate::Result;
use crate::judge::{self, JudgedText, Reference, Winner};
use crate::plan::Case;
use idiolect_core::client::CachedLm;

impl EvalContext<'_> {
    /// Judge's rating of each of the result's texts, 0 to 1.
    pub(super) async fn rate(&self, case: &Case, result: &CaseResult) -> Result<Vec<f64>> {
        let calls = self.judging();
        let mut shares = Vec::new();
        for text in judged(result) {
            shares.push(judge::rate(&calls, &reference(case), &text).await?.share());
        }
        Ok(shares)
    }

    /// Share of one method's texts that the judge prefers to the other method's text of the same
    /// seed, a tie counted as half; `None` if either method generated nothing.
    ///
    /// # Errors
    /// Errors of [`judge::prefer`].
    pub(crate) async fn prefer(
        &self,
        case: &Case,
        first: &CaseResult,
        second: &CaseResult,
    ) -> Result<Option<f64>> {
        let calls = self.judging();
        let (mut won, mut n) = (0.0, 0.0);
        for ((first, second), seed) in judged(first).zip(judged(second)).zip(self.seeds()) {
            let preference = judge::prefer(&calls, &reference(case), &first, &second, seed).await?;
            n += 1.0;
            won += match preference.winner {
                Winner::First => 1.0,
                Winner::Second => 0.0,
                Winner::Tie => 0.5,
            };
        }
        Ok((n > 0.0).then(|| won / n))
    }

    fn judging(&self) -> CachedLm<'_> {
        let model = self.judge.unwrap_or(self.model);
        CachedLm::new(self.store, model, self.task, self.options.reuse)
    }
}

fn reference(case: &Case) -> Reference<'_> {
    Reference { item: &case.item, review: &case.review }
}

/// The texts of a result with their sources, so that a judgement is deleted with any of them.
fn judged(result: &CaseResult) -> impl Iterator<Item = JudgedText<'_>> {
    result.texts.iter().map(|text| JudgedText { text, sources: &result.sources })
}
