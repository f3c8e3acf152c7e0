//! `idiolect`: the user's past texts as the assistant's answers, and the difference from others
//! applied to the logits.
//!
//! 1. The prompt is a conversation, as in SCP (arXiv 2509.20805), of the newest past texts, so that
//!    all prompts of a user begin alike, whatever the target. Optionally, the selection, number and
//!    order of the texts are validated on the user's own past (`showing`).
//! 2. Every token is scored by how much more often the user uses it than others do (`lexical`),
//!    shrunk towards zero if the user has written little. The user's continuations of the last one
//!    and two tokens are mixed in.
//! 3. Optionally, contrast prompts with peers' texts on the same items are added, and what sets the
//!    user's texts apart from them is amplified (`beside`), in proportion to how distinct the user
//!    is (`distinct`).
//! 4. Optionally, statements about the user that validation accepted (`statements`) are shown
//!    before the target. There, unlike in the system turn, everything before them is the same with
//!    and without them, and is computed once for all candidates.
//! 5. Optionally, the strengths of 2 and 3 and the number of peers are fitted on the user's own
//!    past (`fit`).
//! 6. No run of `guard_words` words of another user's text on these items is written, unless
//!    `guard_words` is 0.

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
use crate::client::Steered;
use crate::corpus::Target;
use crate::difference::statements::{StatementStatus, revisions};
use crate::steering::{LengthPrior, NeededPrompts, NgramBlocklist, Steering};
use crate::task::{Block, Part};
use fit::Strengths;
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
        let unproven = !settings.verify && stated.status == StatementStatus::Unverified;
        stated.status.is_shown() || unproven
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
    let with_peers = steering.needs().peers || settings.best_of > 1;
    let lanes = NeededPrompts { peers: with_peers, ..steering.needs() };
    let mut peers = beside::peers(material, author, &past, target, options, lanes)?;
    peers.beside.peers.truncate(strengths.peers.unwrap_or(usize::MAX));
    let guard = (settings.guard_words > 0)
        .then(|| NgramBlocklist::new(&peers.guarded, settings.guard_words));
    let from_statements = profile.statements.iter().map(|stated| &stated.statement);
    let from_statements = from_statements.flat_map(|s| s.reviews.iter().chain(&s.against));
    let sources: Vec<_> =
        history.iter().map(|(review, _)| &review.id).chain(from_statements).copied().collect();
    let cut_before = showing.summary.map(|summary| summary.cut).unwrap_or_default();
    let ending = match settings.as_long {
        true => ending(material, &history)?,
        false => None,
    };
    let steered = Steered { contrast: peers.beside, steering, blocklist: guard, length: ending };
    let prepared =
        Prepared { stated: Some(profile), cut_before, ..prepared.after(None, calls.usage()) };
    Ok(prepared.steered_by(steered, sources.into_iter().chain(peers.reviews).chain(compared)))
}

/// Length prior from the lengths of the user's texts.
fn ending(material: &Material<'_>, history: &[Past]) -> Result<Option<LengthPrior>> {
    let lengths = history.iter().map(|(past, _)| material.model.count_text(&past.review.text));
    Ok(LengthPrior::of_lengths(&lengths.collect::<idiolect_engine::lm::Result<Vec<usize>>>()?))
}
