//! `idiolect`: the user's past texts as the assistant's answers, and the difference to others where
//! it acts, in the logits.
//!
//! 1. The prompt is a conversation, as in SCP (arXiv 2509.20805).
//! 2. Every token is scored by how much more often the user takes it than others do
//!    ([`lexical`](self::lexical)), shrunk towards nothing where the user has written little.
//! 3. Where asked, prompts with peers' texts on the same items stand beside it, and what sets the
//!    user's apart from them is made stronger ([`beside`](self::beside)).
//! 4. Statements about the user that have proved themselves stand in the system turn.
//! 5. How strongly 2 counts is fitted on the user's own past, where asked ([`fit`](self::fit)).
//! 6. No run of words of a peer's text is written.

mod beside;
mod fit;
mod lexical;
mod options;

pub use options::{Form, IdiolectOptions, LexicalOptions};

use super::select::most_relevant;
use super::{Material, Method, Options, Past, Prepared, Result};
use crate::corpus::Target;
use crate::difference::Steered;
use crate::lm::{CopyGuard, Steering};
use crate::task::{Block, Draft, Part};

pub(super) async fn prepare(
    material: &Material<'_>,
    target: &Target,
    options: &Options,
) -> Result<Prepared> {
    let settings = &options.idiolect;
    let stage = settings.form.stage();
    let history = material.past(target, options, Method::Idiolect)?;
    let past = chosen(material, target, &history, options);
    let draft = draft(target, &past);
    let prepared = Prepared::of(Method::Idiolect, stage, draft, &past);
    if history.is_empty() {
        return Ok(prepared);
    }
    let author = options.author(target);
    let lexica = lexical::Lexica::read(material, author, options)?;
    let calls = material.calls(options);
    let mut steering = Steering { contrast: settings.contrast, lexical: None };
    if let Some(lexical) = settings.lexical {
        let strength = match settings.fit {
            true => fit::strength(material, &calls, &lexica, &history, options, lexical).await?,
            false => lexical.strength,
        };
        steering.lexical = Some((strength, lexica.bias(&history, lexical.prior)?));
    }
    let peers = beside::peers(material, author, &past, target, options, steering.lanes())?;
    let guard =
        (settings.guard_words > 0).then(|| CopyGuard::new(&peers.guarded, settings.guard_words));
    let made_from: Vec<_> = history.iter().map(|(review, _)| review.id).collect();
    let steered = Steered { beside: peers.beside, steering, guard };
    let prepared = prepared.after(None, calls.tally());
    Ok(prepared.steered_by(steered, made_from.into_iter().chain(peers.reviews)))
}

/// The past texts that a prompt gets, the least relevant first.
fn chosen(
    material: &Material<'_>,
    target: &Target,
    history: &[Past],
    options: &Options,
) -> Vec<Past> {
    let mut past = most_relevant(material.task, target, history, options.n);
    if options.idiolect.form == Form::Conversation {
        past.reverse();
    }
    past
}

fn draft(target: &Target, past: &[Past]) -> Draft {
    Draft::new()
        .with_all(Part::Past, past.iter().map(|(review, item)| Block::of_review(review, item)))
        .with(Part::Target, Block::of_target(target))
}
