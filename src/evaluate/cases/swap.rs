//! A method on two users and one item, without rating and title.

use super::{EvalContext, SwapResult, method_error};
use crate::Result;
use crate::metric_groups::MetricGroup;
use crate::plan::{Plan, SwapCase};
use idiolect_core::corpus::{ReviewId, StoredReview, Target, View};
use idiolect_core::methods::{self, Given, History, Method};
use idiolect_engine::progress::Progress;

impl<'a> EvalContext<'a> {
    /// Runs a method on one pair of users; `None` if one of them has no past text.
    ///
    /// # Errors
    /// As [`EvalContext::case`].
    pub(crate) async fn swap(
        &self,
        plan: &Plan,
        method: Method,
        swap: &SwapCase,
        progress: &dyn Progress,
    ) -> Result<Option<SwapResult>> {
        let users = format!("{} and {}", swap.pair.a, swap.pair.b);
        let fail = |source| method_error(method, &users, &swap.item, source);
        let view = self.swap_view(plan, swap)?;
        let material = self.material(view, progress);
        let mut written: [Vec<String>; 2] = Default::default();
        for (user, texts) in [&swap.pair.a, &swap.pair.b].into_iter().zip(&mut written) {
            let target = neutral(user, swap);
            let options = self.options(History::Own, self.options.seed);
            let prepared = match method.prepare(&material, &target, &options).await {
                Ok(prepared) => prepared,
                Err(methods::Error::NoHistory { .. }) => return Ok(None),
                Err(error) => return Err(fail(error)),
            };
            for seed in self.seeds() {
                let options = self.options(History::Own, seed);
                let done = prepared.clone().write(&material, &options, None).await.map_err(fail)?;
                texts.push(done.text);
            }
        }
        let [of_a, of_b] = written;
        let texts: Vec<[String; 2]> = of_a.into_iter().zip(of_b).map(|(a, b)| [a, b]).collect();
        let mut closeness = Vec::new();
        if self.metrics.has(MetricGroup::Swap) {
            for [a, b] in &texts {
                closeness.push(
                    self.crossed(plan, swap, [a.as_str().into(), b.as_str().into()], progress)
                        .await?,
                );
            }
        }
        Ok(Some(SwapResult { texts, closeness }))
    }

    /// Likelihood-based closeness of the two users' real texts, for the swap test.
    ///
    /// # Errors
    /// As [`EvalContext::case`].
    pub(crate) async fn real_swap(
        &self,
        plan: &Plan,
        swap: &SwapCase,
        progress: &dyn Progress,
    ) -> Result<[[f64; 2]; 2]> {
        let [a, b] = &swap.real;
        self.crossed(plan, swap, [Given::from(a), Given::from(b)], progress).await
    }

    /// Mean log-probability per token of each text, conditioned on the held-out texts of each user
    /// as the assistant's answers in a conversation: `[writer][reader]`. 0 for an empty text.
    async fn crossed(
        &self,
        plan: &Plan,
        swap: &SwapCase,
        texts: [Given<'_>; 2],
        progress: &dyn Progress,
    ) -> Result<[[f64; 2]; 2]> {
        let mut closeness = [[0.0; 2]; 2];
        for (reader, user) in [&swap.pair.a, &swap.pair.b].into_iter().enumerate() {
            let read = self.read_by(plan, swap, user, &texts, progress).await?;
            for (writer, value) in read.into_iter().enumerate() {
                closeness[writer][reader] = value;
            }
        }
        Ok(closeness)
    }

    /// Mean log-probability per token of texts on the item of a pair, conditioned on the held-out texts
    /// of one of its users as the assistant's answers in a conversation. 0 for an empty text.
    pub(crate) async fn read_by(
        &self,
        plan: &Plan,
        swap: &SwapCase,
        user: &str,
        texts: &[Given<'_>],
        progress: &dyn Progress,
    ) -> Result<Vec<f64>> {
        let own: Vec<ReviewId> = own_texts(plan, user).iter().map(|r| r.id).collect();
        let written = self.store.history(user)?;
        let others = written.iter().map(|r| r.id).filter(|id| !own.contains(id));
        let material = self.material(View::all(self.store).without_all(others), progress);
        let options = self.options(History::Own, self.options.seed);
        let target = neutral(user, swap);
        let fail = |source| method_error(Method::SCP, user, &swap.item, source);
        let prepared = Method::SCP.prepare(&material, &target, &options).await.map_err(fail)?;
        let mut read = Vec::with_capacity(texts.len());
        for text in texts {
            let scored = prepared.score(&material, &options, *text).await.map_err(fail)?;
            read.push(scored.log_probability / scored.n_tokens.max(1) as f64);
        }
        Ok(read)
    }

    /// View of the store without both users' texts about the item and all their held-out texts.
    /// Other users' texts must be older than the earlier of the two real texts, unless the plan
    /// allows any time.
    pub(crate) fn swap_view(&self, plan: &Plan, swap: &SwapCase) -> Result<View<'a>> {
        let mut view = View::all(self.store);
        for user in [&swap.pair.a, &swap.pair.b] {
            view = view.without_text(user, &swap.item.id)?;
            view = view.without_all(own_texts(plan, user).iter().map(|r| r.id));
        }
        let [a, b] = &swap.real;
        let first = a.review.time.min(b.review.time);
        Ok(match plan.options.peers_any_time {
            true => view,
            false => view.others_before(first, &[&swap.pair.a, &swap.pair.b]),
        })
    }
}

/// Target without rating and title, which would reveal the user.
pub(crate) fn neutral(user: &str, swap: &SwapCase) -> Target {
    Target {
        user: user.to_owned(),
        item: swap.item.clone(),
        rating: None,
        title: None,
        context: None,
    }
}

fn own_texts<'p>(plan: &'p Plan, user: &str) -> &'p [StoredReview] {
    plan.own.get(user).map_or(&[], Vec::as_slice)
}
