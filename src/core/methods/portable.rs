//! A user's profile for other programs: a system prompt, the messages of a conversation, or a logit
//! bias for servers with the same vocabulary.

use idiolect_engine::lm::{Message, Prompt, Role};

use super::idiolect::{portable_parts, stated_profile};
use super::{Method, MethodContext, MethodInputs, MethodOptions, Result};
use crate::difference::statements::{Revision, StatementProfile};
use crate::steering::SparseBias;
use crate::task::{Block, Draft, Part, Stage};

/// The profile as a system prompt. It is rendered, and never sent to the language model.
pub(super) const STAGE: Stage = Stage::new("portable", &[Part::Past, Part::Notes]);

/// Maximum number of tokens of a bias for other programs: vLLM takes no more on a GPU.
const MAX_BIASED: usize = 1024;

/// A user's profile for programs that take a prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct PortableProfile {
    /// The profile whose shown statements the prompts state.
    pub profile: StatementProfile,
    /// Number of the user's texts in the prompts.
    pub n_texts: usize,
    /// Everything in one text: instructions, statements and the user's newest texts.
    pub system_prompt: String,
    /// The same as a conversation: a system message with instructions and statements, then for each
    /// of the user's texts the message that asks for it and the text as the assistant's answer. A
    /// program appends the message that asks for a new text.
    pub messages: Vec<Message>,
}

/// Makes the profile of a user for programs that take a prompt, with the user's newest texts, at
/// most [`MethodOptions::n`].
///
/// # Errors
/// As [`stated_profile`]; [`Error::NoStage`](crate::task::Error::NoStage) if the task has no prompt
/// `portable`.
pub async fn portable_profile(
    inputs: &MethodInputs<'_>,
    user: &str,
    options: &MethodOptions,
    revisions: &[Revision],
) -> Result<PortableProfile> {
    let profile = stated_profile(inputs, user, options, revisions).await?;
    let task = options.task(inputs.task)?;
    let inputs = inputs.with_task(&task);
    let context = MethodContext::of_user(Method::IDIOLECT, &inputs, user, options);
    let parts = portable_parts(&context)?;
    let notes = || profile.shown().map(|shown| Block::of_note(&shown.statement.text));
    let with_texts = Draft::new().with_all(Part::Past, parts.past.clone());
    let whole = with_texts.clone().with_all(Part::Notes, notes());
    let system_prompt = system_of(task.render(STAGE, &whole)?.prompt);
    let alone = Draft::new().with_all(Part::Notes, notes());
    let system = system_of(task.render(STAGE, &alone)?.prompt);
    let turns = match task.render(parts.conversation, &with_texts)?.prompt {
        Prompt::Chat(chat) => chat.messages,
        _ => Vec::new(),
    };
    let turns = turns.into_iter().filter(|message| message.role != Role::System);
    let system = Message { role: Role::System, content: system };
    let messages = std::iter::once(system).chain(turns).collect();
    Ok(PortableProfile { n_texts: parts.past.len(), profile, system_prompt, messages })
}

/// Makes the bias of a user's choice of words, as `idiolect` adds it to the logits, with at most
/// 1,024 tokens: those whose bias is largest.
///
/// # Errors
/// [`Error::NoHistory`](super::Error::NoHistory) if the view shows no text of the user; otherwise
/// an error of the store or the tokenizer.
pub async fn portable_bias(
    inputs: &MethodInputs<'_>,
    user: &str,
    options: &MethodOptions,
) -> Result<SparseBias> {
    let task = options.task(inputs.task)?;
    let inputs = inputs.with_task(&task);
    let context = MethodContext::of_user(Method::IDIOLECT, &inputs, user, options);
    let lexical = super::idiolect::lexical_bias(&context).await?;
    Ok(lexical.map(|(strength, bias)| bias.sparse(strength, MAX_BIASED)).unwrap_or_default())
}

/// The text of the system message.
fn system_of(prompt: Prompt) -> String {
    let Prompt::Chat(chat) = prompt else { return String::new() };
    let mut messages = chat.messages.into_iter();
    let system = messages.find(|message| message.role == Role::System);
    system.map(|message| message.content).unwrap_or_default()
}
