//! Persona-DB (COLING 2025, arXiv 2402.11060): a structured persona, refined, and the personas of
//! near users.
//!
//! Stage 1 extracts a structured persona from the history. Stage 2 infers what the extraction does
//! not yet say. Stage 3 is collaborative: it adds the three nearest users. The paper finds them by
//! their personas; here they are the nearest by user embedding. Each comes with persona and most
//! relevant text, which keeps about the paper's ratio of three own texts to one of a neighbour. The
//! last prompt has the paper's order: request, persona, own texts, neighbours, with the remark that
//! neighbours are of doubtful help. The paper's fields of politics (ideologies, issues, moral
//! foundations) do not apply to reviews and are left out of the tasks' prompts.

use futures::future::try_join_all;

use super::select::{most_recent, most_relevant};
use super::{Error, Material, Method, Options, Past, Prepared, Result, ids, told};
use crate::client::CachedLm;
use crate::corpus::Target;
use crate::difference::Profile;
use crate::task::{Block, Draft, Part, Stage};

/// Number of near users.
const NEIGHBOURS: usize = 3;

pub(super) async fn prepare(
    material: &Material<'_>,
    target: &Target,
    options: &Options,
) -> Result<Prepared> {
    let method = Method::PersonaDb;
    let history = material.past(target, options, method)?;
    let (author, calls) = (options.author(target), material.calls(options));
    let past = most_relevant(material.task, target, &history, options.n);
    if history.is_empty() {
        let (stage, usage) = (Stage::PersonaDb, calls.usage());
        return Ok(told::from_notes(method, stage, target, [], &past, None, usage));
    }

    // Stages 1 and 2, of the user and of the neighbours.
    let peers = material.peers.ok_or(Error::NoPeers { method: method.name() })?;
    let mut beside = Vec::new();
    for user in peers.nearest(&material.view, author, NEIGHBOURS)? {
        let texts = material.history(&user)?;
        if !texts.is_empty() {
            beside.push((user, texts));
        }
    }
    let own = (author.to_owned(), history);
    let everybody = std::iter::once(&own).chain(&beside);
    let personas = everybody.map(|(user, texts)| persona(material, &calls, user, texts, options));
    let mut personas = try_join_all(personas).await?.into_iter();
    let own_persona = personas.next();

    // Stage 3.
    let mut others = Vec::new();
    let (mut sources, mut cut) = (Vec::new(), Vec::new());
    for ((_, texts), persona) in beside.iter().zip(personas) {
        for (review, item) in most_relevant(material.task, target, texts, 1) {
            others.push(Block::of_review(&review, &item).against(&persona.summary));
        }
        sources.extend(persona.reviews);
        cut.extend(persona.cut);
    }
    let (blocks, usage) = (told::blocks(&past), calls.usage());
    let stage = Stage::PersonaDb;
    let mut prepared = told::from_notes(method, stage, target, blocks, &past, own_persona, usage);
    prepared.draft = prepared.draft.with_all(Part::Others, others);
    prepared.sources.extend(sources);
    prepared.cut_before.extend(cut);
    Ok(prepared)
}

/// Extracts a persona, then refines it; both answers are joined into one text.
async fn persona(
    material: &Material<'_>,
    calls: &CachedLm<'_>,
    user: &str,
    texts: &[Past],
    options: &Options,
) -> Result<Profile> {
    let all = most_recent(texts, usize::MAX);
    let draft = Draft::new().with_all(Part::Past, told::blocks(&all));
    let shown = ids(&all);
    let stage = Stage::PersonaExtract;
    let extracted = told::ask(material, calls, options, stage, draft.clone(), &shown).await?;
    let draft = draft.with(Part::Notes, Block::of_note(&extracted.text));
    let stage = Stage::PersonaRefine;
    let mut refined = told::ask(material, calls, options, stage, draft, &shown).await?;
    refined.text = format!("{}\n{}", extracted.text, refined.text).trim().to_owned();
    Ok(Profile::of_answers(user, vec![extracted, refined], shown))
}
