//! Chat templates. No other module knows their format.
//!
//! A template is a program by the model's authors; messages are untrusted data. The template is
//! therefore run with a placeholder instead of each message's text, and its output is split at the
//! placeholders. Any message, whatever it contains, comes out as [`Piece::Data`] and yields no
//! control token. As a consequence a template cannot inspect a message: one that strips `<think>`
//! sections from earlier answers finds none.

use minijinja::{Environment, context};
use sha2::{Digest, Sha256};

use self::placeholder::Placeholders;
use super::{Error, Result, gguf::Gguf, hash::hex, template, tokenizer::Piece};

mod environment;
mod placeholder;
#[cfg(test)]
mod tests;

/// Role of a message's author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Instructions for the whole conversation.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// The name that templates use.
    const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Message {
    /// Role of the author.
    pub role: Role,
    /// Text of the message: data, whatever it contains.
    pub content: String,
}

/// A conversation that the model continues as the assistant.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Chat {
    /// The messages so far, oldest first.
    pub messages: Vec<Message>,
    /// First words of the assistant's answer, which the model continues; may be empty.
    pub answer_start: String,
}

impl Chat {
    /// Appends a message.
    #[must_use]
    pub fn with(mut self, role: Role, content: impl Into<String>) -> Self {
        self.messages.push(Message { role, content: content.into() });
        self
    }
}

/// A model's chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    /// The compiled template, or the reason there is none.
    environment: std::result::Result<Environment<'static>, Unusable>,
    bos: String,
    eos: String,
    fingerprint: String,
}

/// Form in which a template gets the text of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ContentForm {
    /// A string.
    Text,
    /// A list with one part, `{"type": "text", "text": ...}`.
    Parts,
}

/// Reason why there is no compiled template.
#[derive(Debug)]
enum Unusable {
    /// The file has none.
    Missing(String),
    /// It cannot be parsed.
    Malformed(String),
}

/// ChatML, for models that know `<|im_start|>` but have no template.
const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + \
                      message['content'] + '<|im_end|>\n' }}{% endfor %}{% if \
                      add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

const NAME: &str = "chat";

impl ChatTemplate {
    /// Reads `tokenizer.chat_template`. If the file has none, but its vocabulary has
    /// `<|im_start|>`, uses ChatML. A file with neither, or with a template that cannot be parsed,
    /// can still complete plain text; then only [`ChatTemplate::render`] fails.
    ///
    /// # Errors
    /// The metadata have a wrong type.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self> {
        let tokens: &[String] = match gguf.value("tokenizer.ggml.tokens") {
            Some(_) => gguf.strings("tokenizer.ggml.tokens")?,
            None => &[],
        };
        let special = |name: &str| {
            let id = gguf.value(&format!("tokenizer.ggml.{name}_token_id"))?.as_u64()?;
            tokens.get(usize::try_from(id).ok()?).cloned()
        };
        let bos = special("bos").unwrap_or_default();
        let eos = special("eos").unwrap_or_default();
        if gguf.value("tokenizer.chat_template").is_some() {
            return Ok(Self::from_source(gguf.string("tokenizer.chat_template")?, &bos, &eos));
        }
        if tokens.iter().any(|token| token == "<|im_start|>") {
            return Ok(Self::from_source(CHATML, &bos, &eos));
        }
        let mut template = Self::from_source("", &bos, &eos);
        template.environment = Err(Unusable::Missing(format!(
            "{} has no `tokenizer.chat_template` and no `<|im_start|>` in its vocabulary. Hint: use \
             an instruction-tuned model, or complete plain text",
            gguf.path().display()
        )));
        Ok(template)
    }

    /// Creates a template from Jinja source and the texts of the special tokens that it may use.
    #[must_use]
    pub fn from_source(source: &str, bos: &str, eos: &str) -> Self {
        let mut hash = Sha256::new();
        for part in ["chat template 1", source, bos, eos] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self {
            environment: environment::build(NAME, source)
                .map_err(|error| environment::describe(&error))
                .map_err(|why| Unusable::Malformed(format!("cannot be parsed: {why}"))),
            bos: bos.to_owned(),
            eos: eos.to_owned(),
            fingerprint: hex(&hash.finalize()),
        }
    }

    /// Renders a conversation, up to the point at which the assistant's answer continues.
    ///
    /// The concatenated text of all pieces is the template's output for the conversation, followed
    /// by [`Chat::answer_start`]. Thinking is disabled if the template supports that. The date, if
    /// the template uses one, is a constant, so that the same conversation always gives the same
    /// text. If the template rejects or drops a system message, its text is put before the first
    /// user message. If it then still drops texts, they are offered as lists of parts, which templates of
    /// models that also see expect.
    ///
    /// # Errors
    /// There is no template, it rejects the conversation (its own message is passed on), or its
    /// output does not contain each message exactly once.
    pub fn render(&self, chat: &Chat) -> Result<Vec<Piece>> {
        let folded = with_system_folded(&chat.messages);
        let mut pieces =
            self.render_messages(&chat.messages, ContentForm::Text).or_else(|error| {
                let folded = folded.as_deref();
                let others = [
                    folded.map(|messages| (messages, ContentForm::Text)),
                    Some((chat.messages.as_slice(), ContentForm::Parts)),
                    folded.map(|messages| (messages, ContentForm::Parts)),
                ];
                let mut others = others.into_iter().flatten();
                // If nothing helps, the error for the conversation as it is says the most.
                others
                    .find_map(|(messages, form)| self.render_messages(messages, form).ok())
                    .ok_or(error)
            })?;
        if !chat.answer_start.is_empty() {
            pieces.push(Piece::Data(chat.answer_start.clone()));
        }
        Ok(pieces)
    }

    /// Returns the hash of everything that determines how a conversation is rendered: SHA-256,
    /// lower-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    fn render_messages(&self, messages: &[Message], form: ContentForm) -> Result<Vec<Piece>> {
        let environment = self.environment.as_ref().map_err(|why| match why {
            Unusable::Missing(why) => Error::NoTemplate(why.clone()),
            Unusable::Malformed(why) => Error::Chat(why.clone()),
        })?;
        let placeholders = Placeholders::new(&self.fingerprint, messages);
        let shown: Vec<_> = messages
            .iter()
            .enumerate()
            .map(|(index, message)| {
                let text = placeholders.shown(index);
                let content = match form {
                    ContentForm::Text => minijinja::Value::from(text),
                    ContentForm::Parts => {
                        minijinja::Value::from(vec![context! { type => "text", text => text }])
                    }
                };
                context! { role => message.role.name(), content => content }
            })
            .collect();
        let rendered = environment
            .get_template(NAME)
            .and_then(|compiled| {
                let context = context! {
                    messages => shown,
                    add_generation_prompt => true,
                    bos_token => self.bos.as_str(),
                    eos_token => self.eos.as_str(),
                    tools => (),
                    documents => (),
                    enable_thinking => false,
                };
                template::render(&compiled, context)
            })
            .map_err(|error| Error::Chat(environment::describe(&error)))?;
        placeholders.split(&rendered)
    }
}

/// Returns the conversation with a leading system message put before the first user message's text.
fn with_system_folded(messages: &[Message]) -> Option<Vec<Message>> {
    let (system, rest) = messages.split_first()?;
    let first_user = rest.iter().position(|message| message.role == Role::User)?;
    if system.role != Role::System {
        return None;
    }
    let mut folded = rest.to_vec();
    let user = &mut folded[first_user];
    user.content = format!("{}\n\n{}", system.content, user.content);
    Some(folded)
}
