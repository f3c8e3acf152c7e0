//! A method on one held-out text.

use super::{Bits, CaseResult, Cost, EvalContext, method_error};
use crate::metric_groups::MetricGroup;
use crate::plan::{Case, Plan};
use crate::{Error, Result};
use idiolect_core::corpus::{Target, View};
use idiolect_core::methods::{self, Given, History, Method, MethodInputs, PreparedPrompt};
use idiolect_engine::progress::Progress;

impl EvalContext<'_> {
    /// Runs a method on one held-out text.
    ///
    /// # Errors
    /// Any error of the method, the store or the language model. If the user has no past text, this
    /// is not an error: the result then has no texts and no values.
    pub(crate) async fn case(
        &self,
        plan: &Plan,
        method: Method,
        case: &Case,
        progress: &dyn Progress,
    ) -> Result<CaseResult> {
        let run = CaseRun { context: self, plan, method, case, progress };
        run.run().await.map_err(|source| match source {
            CaseError::Method(source) => {
                method_error(method, &case.review.review.user, &case.item, source)
            }
            CaseError::Other(error) => error,
        })
    }
}

/// Keeps a method's own errors apart, so that they can be reported with the user and item of the
/// text.
enum CaseError {
    Method(methods::Error),
    Other(Error),
}

impl From<methods::Error> for CaseError {
    fn from(error: methods::Error) -> Self {
        Self::Method(error)
    }
}

impl From<Error> for CaseError {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

struct CaseRun<'t, 'a> {
    context: &'t EvalContext<'a>,
    plan: &'t Plan,
    method: Method,
    case: &'t Case,
    progress: &'t dyn Progress,
}

impl CaseRun<'_, '_> {
    async fn run(&self) -> std::result::Result<CaseResult, CaseError> {
        let metrics = self.context.metrics;
        let mut result = CaseResult::default();
        let titled = self.target(true);
        if metrics.writes() || metrics.has(MetricGroup::Likelihood) {
            let Some(right) = self.prepare(&titled, History::Own).await? else {
                return Ok(result);
            };
            if metrics.has(MetricGroup::Likelihood) {
                result.right = Some(self.score(&right, History::Own).await?);
                result.wrong = self.wrong(&titled).await?;
                if let Some(nobody) = self.prepare(&titled, History::None).await? {
                    result.none = Some(self.score(&nobody, History::None).await?);
                }
            }
            if metrics.writes() {
                (result.texts, result.cost) = self.write(&right, &History::Own).await?;
                result.sources = right.sources;
            }
        }
        if metrics.has(MetricGroup::Judge) {
            result.judged = self.context.rate(self.case, &result).await?;
        }
        if let (true, Some(other)) = (metrics.has(MetricGroup::WrongUser), self.case.wrong.first())
        {
            let history = History::Of(other.user.clone());
            if let Some(wrong) = self.prepare(&titled, history.clone()).await? {
                (result.wrong_texts, _) = self.write(&wrong, &history).await?;
            }
        }
        if metrics.has(MetricGroup::NeutralTitle) {
            let untitled = self.target(false);
            if let Some(right) = self.prepare(&untitled, History::Own).await? {
                result.neutral_right = Some(self.score(&right, History::Own).await?);
                result.neutral_wrong = self.wrong(&untitled).await?;
                if metrics.has(MetricGroup::Lexical) {
                    (result.neutral_texts, _) = self.write(&right, &History::Own).await?;
                }
            }
        }
        Ok(result)
    }

    fn target(&self, with_title: bool) -> Target {
        let mut target = self.case.review.as_target(self.case.item.clone());
        target.title = target.title.filter(|_| with_title);
        target
    }

    fn material(&self, history: &History) -> MethodInputs<'_> {
        let review = &self.case.review.review;
        let view = View::all(self.context.store).without_all(self.case.hidden.iter().copied());
        let view = match (self.plan.options.peers_any_time, history) {
            (true, _) => view,
            (false, History::Of(other)) => view.others_before(review.time, &[&review.user, other]),
            (false, _) => view.others_before(review.time, &[&review.user]),
        };
        self.context.material(view, self.progress)
    }

    /// `None` if the requested history is empty.
    async fn prepare(
        &self,
        target: &Target,
        history: History,
    ) -> std::result::Result<Option<PreparedPrompt>, CaseError> {
        let material = self.material(&history);
        let options = self.context.options(history, self.context.options.seed);
        match self.method.prepare(&material, target, &options).await {
            Ok(mut prepared) => {
                // The target has the rating and the title of the held-out text: what is made from it
                // is deleted with that text.
                prepared.sources.push(self.case.review.id);
                Ok(Some(prepared))
            }
            Err(methods::Error::NoHistory { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn score(
        &self,
        prepared: &PreparedPrompt,
        history: History,
    ) -> std::result::Result<Bits, CaseError> {
        let material = self.material(&history);
        let options = self.context.options(history, self.context.options.seed);
        let scored = prepared.score(&material, &options, Given::from(&self.case.review)).await?;
        Ok(Bits { bits: scored.bits(), n_tokens: scored.n_tokens })
    }

    /// Bits of the real text with the wrong users' histories.
    async fn wrong(&self, target: &Target) -> std::result::Result<Vec<Bits>, CaseError> {
        let mut bits = Vec::new();
        for other in &self.case.wrong {
            let history = History::Of(other.user.clone());
            if let Some(prepared) = self.prepare(target, history.clone()).await? {
                bits.push(self.score(&prepared, history).await?);
            }
        }
        Ok(bits)
    }

    async fn write(
        &self,
        prepared: &PreparedPrompt,
        history: &History,
    ) -> std::result::Result<(Vec<String>, Vec<Cost>), CaseError> {
        let material = self.material(history);
        let (mut texts, mut costs) = (Vec::new(), Vec::new());
        for seed in self.context.seeds() {
            let options = self.context.options(history.clone(), seed);
            let written = prepared.clone().write(&material, &options, None).await?;
            let usage = written.usage();
            let (prompt_tokens, completion_tokens) = usage.tokens_when_cold();
            let calls = usage.computed + usage.reused;
            costs.push(Cost { calls, prompt_tokens, completion_tokens });
            texts.push(written.text);
        }
        Ok((texts, costs))
    }
}
