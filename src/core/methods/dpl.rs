//! DPL, Difference-aware Personalization Learning (arXiv 2503.02450).

use futures::future::try_join_all;

use super::select::{comparable, most_recent, most_relevant};
use super::{Error, Material, Method, Options, Past, Prepared, Result, told};
use crate::client::{CachedLm, Usage};
use crate::corpus::{Item, Target};
use crate::difference::{Compared, Difference, Profile, summarize, tell, tell_validated};

/// Prepares DPL, or DRP, which differs in the extractor.
pub(super) async fn prepare(
    method: Method,
    material: &Material<'_>,
    target: &Target,
    options: &Options,
) -> Result<Prepared> {
    // Step 1: the user's texts, and those whose items have enough other reviewers for a comparison.
    let history = material.past(target, options, method)?;
    let author = options.author(target);
    let shared = shared(material, &history, options)?;

    // Step 2: retrieve twice. The lists can differ.
    let past = most_relevant(material.task, target, &history, options.n);
    let compared = most_relevant(material.task, target, &shared, options.n);

    // Steps 3 to 5: representatives, differences, summary.
    let calls = material.calls(options);
    let profile = match history.is_empty() {
        true => None,
        false => {
            let made = make_profile(method, material, &calls, author, &compared, &past, options);
            Some(made.await?)
        }
    };

    // Steps 6 and 7: the text, without its label.
    Ok(told::from_profile(method, target, author, &past, profile, calls.usage()))
}

/// Past reviews that can be compared; empty if differences are turned off.
fn shared(material: &Material<'_>, history: &[Past], options: &Options) -> Result<Vec<Past>> {
    match options.differences {
        true => comparable(&material.view, history, options.choice.k),
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
/// [`Error::NoHistory`] if the view shows no text of the user; otherwise as [`Method::write`].
pub async fn profile(
    material: &Material<'_>,
    user: &str,
    target: Option<&Target>,
    options: &Options,
) -> Result<Profiled> {
    let (method, task) = (Method::Dpl, options.task(material.task)?);
    let material = &Material { task: &task, ..material.clone() };
    let history = material.history_of(user, method)?;
    let shared = shared(material, &history, options)?;
    let choose = |past: &[Past]| match target {
        Some(target) => most_relevant(material.task, target, past, options.n),
        None => most_recent(past, options.n),
    };
    let (past, compared) = (choose(&history), choose(&shared));
    let calls = material.calls(options);
    let profile = make_profile(method, material, &calls, user, &compared, &past, options).await?;
    Ok(Profiled { profile, usage: calls.usage() })
}

async fn make_profile(
    method: Method,
    material: &Material<'_>,
    calls: &CachedLm<'_>,
    user: &str,
    compared: &[Past],
    past: &[Past],
    options: &Options,
) -> Result<Profile> {
    // Steps 3 and 4: the differences do not depend on each other; the scheduler batches them.
    material.progress.begin("telling differences", Some(compared.len() as u64));
    let told = compared.iter().map(|past| difference_on(method, material, calls, past, options));
    let told = try_join_all(told).await;
    material.progress.end();
    let differences: Vec<(Item, Difference)> = told?.into_iter().flatten().collect();

    // Step 5.
    if material.progress.stop_requested() {
        return Err(Error::Stopped);
    }
    let (seed, max_tokens) = (options.profile_seed, options.profile_max_tokens);
    material.progress.begin("summing up", None);
    let profile = summarize(calls, user, differences, past, seed, max_tokens).await;
    material.progress.end();
    Ok(profile?)
}

/// The difference on one item; `None` if all peers write like the user, so that no cluster but the
/// user's own is left.
async fn difference_on(
    method: Method,
    material: &Material<'_>,
    calls: &CachedLm<'_>,
    (own, item): &Past,
    options: &Options,
) -> Result<Option<(Item, Difference)>> {
    if material.progress.stop_requested() {
        return Err(Error::Stopped);
    }
    let peers = material.peers.ok_or(Error::NoPeers { method: method.name() })?;
    let choice = peers.choose(&material.view, &own.review.user, &item.id, &options.choice)?;
    if choice.representatives.is_empty() {
        return Ok(None);
    }
    let compared =
        Compared { item: item.clone(), own: own.clone(), representatives: choice.representatives };
    let (seed, max_tokens) = (options.profile_seed, options.profile_max_tokens);
    let order = options.order;
    let difference = match method {
        Method::Drp => tell_validated(calls, &compared, order, seed, max_tokens).await?,
        _ => tell(calls, &compared, order, options.telling, seed, max_tokens).await?,
    };
    material.progress.advance(1);
    Ok(Some((item.clone(), difference)))
}
