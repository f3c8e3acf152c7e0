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

use super::retrieval::most_recent;
use super::summaries::{blocks, prompt_with_notes};
use super::{MethodContext, MethodInfo, MethodSpec, PastReview, PreparedPrompt, Result, ids};
use crate::difference::Profile;
use crate::task::{Block, Draft, Part, Stage};

/// Number of near users.
const NEIGHBOURS: usize = 3;

/// Extracts a structured persona from past texts.
const EXTRACT: Stage = Stage::new("persona-extract", &[Part::Past]);
/// Infers further attributes of the persona.
const REFINE: Stage = Stage::new("persona-refine", &[Part::Notes, Part::Past]);
/// Generates from the persona, past texts, and the personas and texts of similar users.
const STAGE: Stage =
    Stage::new("persona-db", &[Part::Target, Part::Notes, Part::Past, Part::Others]);

pub(super) static PERSONA_DB: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "persona-db",
        about: "past texts, a structured persona, and those of similar users",
        source: "arXiv 2402.11060",
        stages: &[EXTRACT, REFINE, STAGE],
        needs_history: true,
        needs_peers: |_| true,
        extracts_differences: false,
        own_unconditional: false,
    },
    prepare: |context| Box::pin(prepare(context)),
};

async fn prepare(context: &MethodContext<'_>) -> Result<PreparedPrompt> {
    let history = context.history()?;
    let past = context.relevant(&history, context.options.n);
    if history.is_empty() {
        return Ok(prompt_with_notes(context, STAGE, &past, [], None));
    }

    // Stages 1 and 2, of the user and of the neighbours.
    let mut neighbours = Vec::new();
    for user in context.peers()?.nearest(&context.view, context.author, NEIGHBOURS)? {
        let texts = context.history_of(&user)?;
        if !texts.is_empty() {
            neighbours.push((user, texts));
        }
    }
    let own = (context.author.to_owned(), history);
    let everybody = std::iter::once(&own).chain(&neighbours);
    let personas = everybody.map(|(user, texts)| persona(context, user, texts));
    let mut personas = try_join_all(personas).await?.into_iter();
    let own_persona = personas.next();

    // Stage 3.
    let mut others = Vec::new();
    let (mut sources, mut cut) = (Vec::new(), Vec::new());
    for ((_, texts), persona) in neighbours.iter().zip(personas) {
        for (review, item) in context.relevant(texts, 1) {
            others.push(Block::of_review(&review, &item).against(&persona.summary));
        }
        sources.extend(persona.reviews);
        cut.extend(persona.cut);
    }
    let mut prepared = prompt_with_notes(context, STAGE, &past, blocks(&past), own_persona);
    prepared.draft = prepared.draft.with_all(Part::Others, others);
    prepared.sources.extend(sources);
    prepared.cut_before.extend(cut);
    Ok(prepared)
}

/// Extracts a persona, then refines it; both answers are joined into one text.
async fn persona(context: &MethodContext<'_>, user: &str, texts: &[PastReview]) -> Result<Profile> {
    let all = most_recent(texts, usize::MAX);
    let draft = Draft::new().with_all(Part::Past, blocks(&all));
    let shown = ids(&all);
    let extracted = context.ask(EXTRACT, draft.clone(), &shown).await?;
    let draft = draft.with(Part::Notes, Block::of_note(&extracted.text));
    let mut refined = context.ask(REFINE, draft, &shown).await?;
    refined.text = format!("{}\n{}", extracted.text, refined.text).trim().to_owned();
    Ok(Profile::of_answers(user, vec![extracted, refined], shown))
}
