//! A method on one held-out text.

use super::{Bench, Bits, Cost, Outcome};
use crate::measures::Measure;
use crate::plan::{Case, Plan};
use crate::{Error, Result};
use idiolect_core::corpus::{Target, View};
use idiolect_core::methods::{self, Given, History, Method, MethodInputs, PreparedPrompt};
use idiolect_engine::progress::Progress;

impl Bench<'_> {
    /// Runs a method on one held-out text.
    ///
    /// # Errors
    /// Any error of the method, the store or the language model. If the user has no past text, this
    /// is not an error: the outcome then has no texts and no values.
    pub async fn case(
        &self,
        plan: &Plan,
        method: Method,
        case: &Case,
        progress: &dyn Progress,
    ) -> Result<Outcome> {
        let trial = CaseTrial { bench: self, plan, method, case, progress };
        trial.run().await.map_err(|source| match source {
            Fault::Method(methods::Error::Stopped) => Error::Stopped,
            Fault::Method(source) => Error::Method {
                method: method.name(),
                user: case.review.review.user.clone(),
                item: case.item.id.clone(),
                source: Box::new(source),
            },
            Fault::Other(error) => error,
        })
    }
}

/// Keeps a method's own errors apart, so that they can be reported with the user and item of the
/// text.
enum Fault {
    Method(methods::Error),
    Other(Error),
}

impl From<methods::Error> for Fault {
    fn from(error: methods::Error) -> Self {
        Self::Method(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

struct CaseTrial<'t, 'a> {
    bench: &'t Bench<'a>,
    plan: &'t Plan,
    method: Method,
    case: &'t Case,
    progress: &'t dyn Progress,
}

impl CaseTrial<'_, '_> {
    async fn run(&self) -> std::result::Result<Outcome, Fault> {
        let measures = self.bench.measures;
        let mut outcome = Outcome::default();
        let titled = self.target(true);
        if measures.writes() || measures.has(Measure::Likelihood) {
            let Some(right) = self.prepare(&titled, History::Own).await? else {
                return Ok(outcome);
            };
            if measures.has(Measure::Likelihood) {
                outcome.right = Some(self.score(&right, History::Own).await?);
                outcome.wrong = self.wrong(&titled).await?;
                if let Some(nobody) = self.prepare(&titled, History::None).await? {
                    outcome.none = Some(self.score(&nobody, History::None).await?);
                }
            }
            if measures.writes() {
                (outcome.texts, outcome.cost) = self.write(&right, &History::Own).await?;
            }
        }
        if measures.has(Measure::Judge) {
            outcome.judged = self.bench.rate(self.case, &outcome.texts).await?;
        }
        if let (true, Some(other)) = (measures.has(Measure::WrongUser), self.case.wrong.first()) {
            let history = History::Of(other.user.clone());
            if let Some(wrong) = self.prepare(&titled, history.clone()).await? {
                (outcome.wrong_texts, _) = self.write(&wrong, &history).await?;
            }
        }
        if measures.has(Measure::NeutralTitle) {
            let untitled = self.target(false);
            if let Some(right) = self.prepare(&untitled, History::Own).await? {
                outcome.neutral_right = Some(self.score(&right, History::Own).await?);
                outcome.neutral_wrong = self.wrong(&untitled).await?;
                if measures.has(Measure::Lexical) {
                    (outcome.neutral_texts, _) = self.write(&right, &History::Own).await?;
                }
            }
        }
        Ok(outcome)
    }

    fn target(&self, with_title: bool) -> Target {
        let review = &self.case.review.review;
        let title = (with_title && !review.title.is_empty()).then(|| review.title.clone());
        Target {
            user: review.user.clone(),
            item: self.case.item.clone(),
            rating: review.rating,
            title,
        }
    }

    fn material(&self, history: &History) -> MethodInputs<'_> {
        let review = &self.case.review.review;
        let view = View::all(self.bench.store).without_all(self.case.hidden.iter().copied());
        let view = match (self.plan.options.peers_any_time, history) {
            (true, _) => view,
            (false, History::Of(other)) => view.others_before(review.time, &[&review.user, other]),
            (false, _) => view.others_before(review.time, &[&review.user]),
        };
        self.bench.material(view, self.progress)
    }

    /// `None` if the requested history is empty.
    async fn prepare(
        &self,
        target: &Target,
        history: History,
    ) -> std::result::Result<Option<PreparedPrompt>, Fault> {
        let material = self.material(&history);
        let options = self.bench.options(history, self.bench.options.seed);
        match self.method.prepare(&material, target, &options).await {
            Ok(prepared) => Ok(Some(prepared)),
            Err(methods::Error::NoHistory { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn score(
        &self,
        prepared: &PreparedPrompt,
        history: History,
    ) -> std::result::Result<Bits, Fault> {
        let material = self.material(&history);
        let options = self.bench.options(history, self.bench.options.seed);
        let scored = prepared.score(&material, &options, Given::from(&self.case.review)).await?;
        Ok(Bits { bits: scored.bits(), n_tokens: scored.n_tokens })
    }

    /// Bits of the real text with the wrong users' histories.
    async fn wrong(&self, target: &Target) -> std::result::Result<Vec<Bits>, Fault> {
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
    ) -> std::result::Result<(Vec<String>, Vec<Cost>), Fault> {
        let material = self.material(history);
        let (mut texts, mut costs) = (Vec::new(), Vec::new());
        for seed in self.bench.seeds() {
            let options = self.bench.options(history.clone(), seed);
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
