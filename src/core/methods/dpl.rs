//! DPL, Difference-aware Personalization Learning (arXiv 2503.02450).

use futures::future::try_join_all;

use super::retrieval::{comparable, newest_of_each_item};
use super::summaries::{GENERATION, prompt_with_profile};
use super::{
    Method, MethodContext, MethodInfo, MethodInputs, MethodOptions, MethodSpec, PastReview,
};
use super::{PreparedPrompt, Result};
use crate::client::Usage;
use crate::corpus::{Item, Target};
use crate::difference::{
    Compared, DIFFERENCE, Difference, Profile, SUMMARY, extract_difference, extract_validated,
    summarize,
};
use crate::task::DifferenceFormat;

pub(super) static DPL: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "dpl",
        about: "past texts and a profile of the user's differences",
        source: "arXiv 2503.02450",
        stages: &[DIFFERENCE, SUMMARY, GENERATION],
        needs_history: true,
        needs_peers: |_| true,
        extracts_differences: true,
        own_unconditional: false,
    },
    prepare: |context| {
        let extractor = Extractor::Standard(context.options.difference_format);
        Box::pin(prepare(context, extractor))
    },
};

/// Extractor of the difference on one item.
#[derive(Clone, Copy)]
pub(super) enum Extractor {
    /// Along the standard's dimensions (DPL).
    Standard(DifferenceFormat),
    /// Along the standard and further dimensions that the model proposes and then validates (DRP).
    Validated,
}

impl Extractor {
    /// Extracts a difference with the options' order, profile seed and limit.
    pub(super) async fn extract(
        self,
        context: &MethodContext<'_>,
        compared: &Compared,
    ) -> Result<Difference> {
        let (calls, order) = (&context.calls, context.options.order);
        let settings = context.options.profile_answers();
        Ok(match self {
            Self::Standard(format) => {
                extract_difference(calls, compared, order, format, settings).await?
            }
            Self::Validated => extract_validated(calls, compared, order, settings).await?,
        })
    }
}

/// Prepares DPL with an extractor of differences.
pub(super) async fn prepare(
    context: &MethodContext<'_>,
    extractor: Extractor,
) -> Result<PreparedPrompt> {
    // Step 1: the user's texts, and those whose items have enough other reviewers for a comparison.
    let history = context.history()?;
    let shared = shared(context, &history)?;

    // Step 2: retrieve twice. The lists can differ.
    let past = context.relevant(&history, context.options.n);
    let compared = context.relevant(&shared, context.options.n);

    // Steps 3 to 5: representatives, differences, summary.
    let profile = match history.is_empty() {
        true => None,
        false => Some(make_profile(context, extractor, &compared, &past).await?),
    };

    // Steps 6 and 7: the text, without its label.
    Ok(prompt_with_profile(context, &past, profile))
}

/// Past reviews that can be compared, of several on one item the newest; empty if differences are
/// turned off.
fn shared(context: &MethodContext<'_>, history: &[PastReview]) -> Result<Vec<PastReview>> {
    match context.options.differences {
        true => comparable(&context.view, &newest_of_each_item(history), context.options.k),
        false => Ok(Vec::new()),
    }
}

/// A profile and the cost of making it.
#[derive(Debug, Clone, PartialEq)]
pub struct Profiled {
    /// The profile.
    pub profile: Profile,
    /// Calls and tokens spent.
    pub usage: Usage,
}

/// Makes a user's profile by itself: steps 1 to 5 of DPL.
///
/// A profile depends on the target through retrieval. Without a target, the newest N reviews
/// replace the most relevant ones, and the newest N with enough other reviewers are compared.
///
/// # Errors
/// [`Error::NoHistory`](super::Error::NoHistory) if the view shows no text of the user; otherwise
/// as [`Method::write`].
pub async fn profile(
    inputs: &MethodInputs<'_>,
    user: &str,
    target: Option<&Target>,
    options: &MethodOptions,
) -> Result<Profiled> {
    let task = options.task(inputs.task)?;
    let inputs = inputs.with_task(&task);
    let mut context = MethodContext::of_user(Method::DPL, &inputs, user, options);
    context.target = target;
    let context = &context;
    let history = context.author_history()?;
    let shared = shared(context, &history)?;
    let past = context.relevant(&history, options.n);
    let compared = context.relevant(&shared, options.n);
    let extractor = Extractor::Standard(options.difference_format);
    let profile = make_profile(context, extractor, &compared, &past).await?;
    Ok(Profiled { profile, usage: context.calls.usage() })
}

async fn make_profile(
    context: &MethodContext<'_>,
    extractor: Extractor,
    compared: &[PastReview],
    past: &[PastReview],
) -> Result<Profile> {
    // Steps 3 and 4: the differences do not depend on each other; the scheduler batches them.
    context.progress.begin("extracting differences", Some(compared.len() as u64));
    let extracted = compared.iter().map(|past| difference_on(context, extractor, past));
    let extracted = try_join_all(extracted).await;
    context.progress.end();
    let differences: Vec<(Item, Difference)> = extracted?.into_iter().flatten().collect();

    // Step 5.
    context.check_stop()?;
    let settings = context.options.profile_answers();
    context.progress.begin("summarizing", None);
    let (calls, user) = (&context.calls, context.author);
    let profile = summarize(calls, user, differences, past, settings).await;
    context.progress.end();
    Ok(profile?)
}

/// The difference on one item; `None` if all peers write like the user, so that no cluster but the
/// user's own is left.
async fn difference_on(
    context: &MethodContext<'_>,
    extractor: Extractor,
    past: &PastReview,
) -> Result<Option<(Item, Difference)>> {
    context.check_stop()?;
    let Some(compared) = context.compared(past)? else { return Ok(None) };
    let difference = extractor.extract(context, &compared).await?;
    context.progress.advance(1);
    Ok(Some((compared.item, difference)))
}
