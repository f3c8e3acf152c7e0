//! Statements about a user, put to the proof on the user's own past.

use futures::future::try_join_all;

use super::occasions::occasions;
use super::options::Statements;
use super::showing::Showing;
use crate::difference::measured::measure;
use crate::difference::stated::{Revision, Stated, StatedProfile};
use crate::difference::{Calls, Compared, Source, Statement, Trial, tell, verify};
use crate::methods::select::comparable;
use crate::methods::{Error, Material, Method, Options, Past, Result};
use crate::task::Telling;

/// Newest own texts that statements are tried on, and so are not made from.
const OCCASIONS: usize = 3;
/// Statements that are put to the proof, the strongest.
const CANDIDATES: usize = 8;
/// Items that differences are told on.
const TOLD_ITEMS: usize = 3;
/// Tokens of each text that count.
const TOKENS: usize = 100;

/// A user's profile in statements: measured and told on the older part of what can be compared, put
/// to the proof on the newer, with a person's changes over it: those of `revisions`, all of them or
/// the first few for an older version.
///
/// # Errors
/// [`Error::NoHistory`] where the view shows no text of the user; otherwise whatever the store, the
/// encoder or the language model fails with.
pub async fn stated_profile(
    material: &Material<'_>,
    user: &str,
    options: &Options,
    revisions: &[Revision],
) -> Result<StatedProfile> {
    let task = options.task(material.task)?;
    let material = &Material { task: &task, ..material.clone() };
    let history = material.history_of(user, Method::Idiolect)?;
    let calls = material.calls(options);
    let showing = Showing::of(options.idiolect.texts);
    of_history(material, &calls, user, &history, options, &showing, revisions).await
}

pub(super) async fn of_history(
    material: &Material<'_>,
    calls: &Calls<'_>,
    user: &str,
    history: &[Past],
    options: &Options,
    showing: &Showing,
    revisions: &[Revision],
) -> Result<StatedProfile> {
    let profile =
        |computed, tried| StatedProfile::new(user, computed, tried, revisions, material.task);
    let wanted = options.idiolect.statements;
    if wanted == Statements::None {
        return Ok(profile(Vec::new(), 0));
    }
    let mut shared = comparable(&material.view, history, 1)?;
    shared.sort_by_key(|(review, _)| (review.review.time, review.id));
    let newest = match options.idiolect.verify {
        true => shared.split_off(shared.len().saturating_sub(OCCASIONS)),
        false => Vec::new(),
    };
    let compared = try_compare(material, &shared, options)?;
    let vectors = material.peers.and_then(|peers| peers.sentence_vectors());
    let measured = match wanted {
        Statements::Told => None,
        _ => Some(measure(&compared, material.task, vectors)?),
    };
    let mut tried = measured.as_ref().map_or(0, |measured| measured.n_measures);
    let mut statements: Vec<Statement> =
        measured.into_iter().flat_map(|m| m.statements).take(CANDIDATES).collect();
    if wanted != Statements::Measured {
        let told = told(material, calls, &compared, options).await?;
        tried += told.len();
        statements.extend(told);
    }
    if material.progress.stop_requested() {
        return Err(Error::Stopped);
    }
    let computed: Vec<Stated> = match options.idiolect.verify {
        true => {
            let occasions = occasions(material, history, &newest, options, showing)?;
            let stage = options.idiolect.form.stage();
            let trial = Trial { stage, tokens: TOKENS, max_tokens: options.max_tokens };
            verify(calls, trial, &occasions, statements).await?
        }
        false => statements.into_iter().map(Stated::unverified).collect(),
    };
    Ok(profile(computed, tried))
}

/// Own texts with representatives' on the same item; those with none are passed by.
fn try_compare(
    material: &Material<'_>,
    shared: &[Past],
    options: &Options,
) -> Result<Vec<Compared>> {
    let peers = material.peers.ok_or(Error::NoPeers { method: Method::Idiolect.name() })?;
    let mut all = Vec::with_capacity(shared.len());
    for (own, item) in shared {
        let choice = peers.choose(&material.view, &own.review.user, &item.id, &options.choice)?;
        if !choice.representatives.is_empty() {
            let representatives = choice.representatives;
            all.push(Compared { item: item.clone(), own: own.clone(), representatives });
        }
    }
    Ok(all)
}

/// What the model tells, dimension by dimension, on the newest items.
async fn told(
    material: &Material<'_>,
    calls: &Calls<'_>,
    compared: &[Compared],
    options: &Options,
) -> Result<Vec<Statement>> {
    let newest = compared.iter().rev().take(TOLD_ITEMS);
    let told = newest.map(async |compared| -> Result<Vec<Statement>> {
        let (seed, max_tokens) = (options.profile_seed, options.profile_max_tokens);
        let difference =
            tell(calls, compared, options.order, Telling::Constrained, seed, max_tokens).await?;
        let item = &difference.item;
        let reviews = compared.reviews();
        let (own, against) =
            reviews.split_first().map_or((None, &[][..]), |(own, others)| (Some(*own), others));
        let statements = difference.dimensions.iter().flatten().map(|told| Statement {
            key: format!("told-{}-{item}", told.dimension),
            dimension: told.dimension.clone(),
            text: told.text.clone(),
            source: Source::Told,
            effect: None,
            reviews: own.into_iter().collect(),
            against: against.to_vec(),
            evidence: Vec::new(),
        });
        Ok(statements.filter(|statement| !statement.text.trim().is_empty()).collect())
    });
    let told: Vec<Vec<Statement>> = try_join_all(told.collect::<Vec<_>>()).await?;
    if material.progress.stop_requested() {
        return Err(Error::Stopped);
    }
    Ok(told.into_iter().flatten().collect())
}
