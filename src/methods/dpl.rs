//! DPL, Difference-aware Personalization Learning (arXiv 2503.02450).

use futures::future::try_join_all;

use super::select::{comparable, most_recent, most_relevant};
use super::{Error, Material, Method, Options, Past, Prepared, Result};
use crate::corpus::{Item, Target};
use crate::difference::{Calls, Compared, Difference, Profile, Tally, summarize, tell};
use crate::task::{Block, Draft, Part, Stage};

pub(super) async fn prepare(
    material: &Material<'_>,
    target: &Target,
    options: &Options,
) -> Result<Prepared> {
    // Step 1: the user's texts; whose items have enough other reviewers to compare them with.
    let history = material.past(target, options, Method::Dpl)?;
    let author = options.author(target);
    let shared = comparable(&material.view, &history, options.choice.k)?;

    // Step 2: retrieve twice. The lists can differ.
    let past = most_relevant(material.task, target, &history, options.n);
    let compared = most_relevant(material.task, target, &shared, options.n);

    // Steps 3 to 5: representatives, differences, summary.
    let calls = material.calls(options);
    let profile = match history.is_empty() {
        true => None,
        false => Some(make_profile(material, &calls, author, &compared, &past, options).await?),
    };

    // Steps 6 and 7: the text, without its label.
    let summary = profile.as_ref().map_or("", |profile| profile.summary.as_str());
    let draft = Draft::new()
        .with(Part::Target, Block::of_target(target))
        .with_all(Part::Past, past.iter().map(|(review, item)| Block::of_review(review, item)))
        .with(Part::Profile, Block::of_profile(author, summary));
    let prepared = Prepared::of(Method::Dpl, Stage::Generation, draft, &past);
    Ok(prepared.after(profile, calls.tally()))
}

/// A profile and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Profiled {
    /// The profile.
    pub profile: Profile,
    /// What the calls have cost.
    pub tally: Tally,
}

/// Makes a user's profile by itself: steps 1 to 5 of DPL.
///
/// A profile depends on the target through retrieval; without a target the newest N reviews take
/// the place of the most relevant ones, and the newest N with enough other reviewers are compared.
///
/// # Errors
/// [`Error::NoHistory`] where the view shows no text of the user; otherwise as [`Method::write`].
pub async fn profile(
    material: &Material<'_>,
    user: &str,
    target: Option<&Target>,
    options: &Options,
) -> Result<Profiled> {
    let history = material.history_of(user, Method::Dpl)?;
    let shared = comparable(&material.view, &history, options.choice.k)?;
    let choose = |past: &[Past]| match target {
        Some(target) => most_relevant(material.task, target, past, options.n),
        None => most_recent(past, options.n),
    };
    let (past, compared) = (choose(&history), choose(&shared));
    let calls = material.calls(options);
    let profile = make_profile(material, &calls, user, &compared, &past, options).await?;
    Ok(Profiled { profile, tally: calls.tally() })
}

async fn make_profile(
    material: &Material<'_>,
    calls: &Calls<'_>,
    user: &str,
    compared: &[Past],
    past: &[Past],
    options: &Options,
) -> Result<Profile> {
    // Steps 3 and 4: the differences do not depend on each other; the scheduler batches them.
    material.progress.begin("telling differences", Some(compared.len() as u64));
    let told = compared.iter().map(|past| difference_on(material, calls, past, options));
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

/// The difference on one item; nothing where all peers write like the user, so that no cluster but
/// the user's own is left to choose from.
async fn difference_on(
    material: &Material<'_>,
    calls: &Calls<'_>,
    (own, item): &Past,
    options: &Options,
) -> Result<Option<(Item, Difference)>> {
    if material.progress.stop_requested() {
        return Err(Error::Stopped);
    }
    let peers = material.peers.ok_or(Error::NoPeers { method: Method::Dpl.name() })?;
    let choice = peers.choose(&material.view, &own.review.user, &item.id, &options.choice)?;
    if choice.representatives.is_empty() {
        return Ok(None);
    }
    let compared =
        Compared { item: item.clone(), own: own.clone(), representatives: choice.representatives };
    let (seed, max_tokens) = (options.profile_seed, options.profile_max_tokens);
    let difference =
        tell(calls, &compared, options.order, options.telling, seed, max_tokens).await?;
    material.progress.advance(1);
    Ok(Some((item.clone(), difference)))
}
