//! `idiolect`: the user's past texts as the assistant's answers, and the difference to others where
//! it acts, in the logits.
//!
//! 1. The prompt is a conversation, as in SCP (arXiv 2509.20805), of the newest past texts: all
//!    prompts of a user begin alike, whatever the target. Which texts it shows, how many and in which
//!    order, is tried on the user's own past, where asked (`showing`).
//! 2. Every token is scored by how much more often the user takes it than others do
//!    (`lexical`), shrunk towards nothing where the user has written little, and how the user goes on
//!    behind the same tokens is mixed in.
//! 3. Where asked, prompts with peers' texts on the same items stand beside it, and what sets the
//!    user's apart from them is made stronger (`beside`), as far as the user is distinct (`distinct`).
//! 4. Where asked, statements about the user that have proved themselves (`statements`) stand
//!    before the target. There, and not in the system turn, all that goes before them is the same
//!    with and without them, and is computed once for all that are tried.
//! 5. How strongly 2 and 3 count, and how many peers, is fitted on the user's own past, where asked
//!    (`fit`).
//! 6. No run of words of a peer's text is written.

mod beside;
pub(super) mod best;
mod distinct;
mod fit;
mod lexical;
mod occasions;
mod options;
mod showing;
mod statements;

pub use options::{Extraction, Form, IdiolectOptions, LexicalOptions, Statements, Texts};
pub use statements::{measured_differences, stated_profile};

use super::{Material, Method, Options, Past, Prepared, Result};
use crate::corpus::Target;
use crate::difference::Steered;
use crate::difference::stated::{Standing, revisions};
use crate::task::{Block, Part};
use fit::Strengths;
use idiolect_engine::lm::{CopyGuard, Ending, Lanes, Steering};
use showing::Showing;

pub(super) async fn prepare(
    material: &Material<'_>,
    target: &Target,
    options: &Options,
) -> Result<Prepared> {
    let settings = &options.idiolect;
    let stage = settings.form.stage();
    let history = material.past(target, options, Method::Idiolect)?;
    if history.is_empty() {
        let draft = Showing::default().draft(target, &[]);
        return Ok(Prepared::of(Method::Idiolect, stage, draft, &[]));
    }
    let author = options.author(target);
    let calls = material.calls(options);
    let showing = match settings.texts {
        Texts::Chosen => showing::chosen(material, &calls, author, &history, options).await?,
        texts => Showing::of(texts),
    };
    let past = showing.past(material, target, &history, options);
    let revisions = revisions(material.view.store(), author)?;
    let profile =
        statements::of_history(material, &calls, author, &history, options, &showing, &revisions)
            .await?;
    let shown = profile.statements.iter().filter(|stated| {
        let unproven = !settings.verify && stated.standing == Standing::Unverified;
        stated.standing.is_shown() || unproven
    });
    let notes = shown.map(|stated| Block::of_note(&stated.statement.text));
    let draft = showing.draft(target, &past).with_all(Part::Notes, notes.collect::<Vec<_>>());
    let prepared = Prepared::of(Method::Idiolect, stage, draft, &past);
    let lexica = lexical::Lexica::read(material, author, options)?;
    let (contrast, compared) = distinct::contrast(material, author, &history, options)?;
    let scaled = IdiolectOptions { contrast, ..settings.clone() };
    let options = &Options { idiolect: scaled, ..options.clone() };
    let settings = &options.idiolect;
    let strengths = match settings.fit {
        true => {
            fit::strengths(material, &calls, author, &lexica, &history, options, &showing).await?
        }
        false => Strengths::given(settings),
    };
    let steering = lexica.steering(&history, strengths.lexical, settings.phrases)?;
    let steering = Steering { contrast: strengths.contrast, ..steering };
    let with_peers = steering.lanes().peers || settings.best_of > 1;
    let lanes = Lanes { peers: with_peers, ..steering.lanes() };
    let mut peers = beside::peers(material, author, &past, target, options, lanes)?;
    peers.beside.peers.truncate(strengths.peers.unwrap_or(usize::MAX));
    let guard =
        (settings.guard_words > 0).then(|| CopyGuard::new(&peers.guarded, settings.guard_words));
    let from_statements = profile.statements.iter().map(|stated| &stated.statement);
    let from_statements = from_statements.flat_map(|s| s.reviews.iter().chain(&s.against));
    let made_from: Vec<_> =
        history.iter().map(|(review, _)| &review.id).chain(from_statements).copied().collect();
    let cut_before = showing.summary.map(|summary| summary.cut).unwrap_or_default();
    let ending = match settings.as_long {
        true => ending(material, &history)?,
        false => None,
    };
    let steered = Steered { beside: peers.beside, steering, guard, ending };
    let prepared =
        Prepared { stated: Some(profile), cut_before, ..prepared.after(None, calls.tally()) };
    Ok(prepared.steered_by(steered, made_from.into_iter().chain(peers.reviews).chain(compared)))
}

/// How long the user's texts are.
fn ending(material: &Material<'_>, history: &[Past]) -> Result<Option<Ending>> {
    let lengths = history.iter().map(|(past, _)| material.model.count_text(&past.review.text));
    Ok(Ending::of_lengths(&lengths.collect::<idiolect_engine::lm::Result<Vec<usize>>>()?))
}
