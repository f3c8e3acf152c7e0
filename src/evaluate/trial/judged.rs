//! Judging of generated texts.

use super::Bench;
use crate::Result;
use crate::judge::{self, Judged, Reference, Winner};
use crate::plan::Case;
use idiolect_core::client::CachedLm;

impl Bench<'_> {
    /// Judge's rating of each text, 0 to 1.
    pub(super) async fn rate(&self, case: &Case, texts: &[String]) -> Result<Vec<f64>> {
        let calls = self.judging();
        let mut shares = Vec::new();
        for text in texts {
            shares.push(judge::rate(&calls, &reference(case), &judged(text)).await?.share());
        }
        Ok(shares)
    }

    /// Share of one method's texts that the judge prefers to the other method's text of the same
    /// seed, a tie counted as half; `None` if either method generated nothing.
    ///
    /// # Errors
    /// Errors of [`judge::prefer`].
    pub async fn prefer(
        &self,
        case: &Case,
        first: &[String],
        second: &[String],
    ) -> Result<Option<f64>> {
        let calls = self.judging();
        let (mut won, mut n) = (0.0, 0.0);
        for ((first, second), seed) in first.iter().zip(second).zip(self.seeds()) {
            let (first, second) = (judged(first), judged(second));
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

/// Lists no sources of the text: the judgement is deleted with the real text, and the generated
/// text with its sources.
fn judged(text: &str) -> Judged<'_> {
    Judged { text, sources: &[] }
}
