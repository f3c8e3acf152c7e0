//! The only place that knows a chat template.

use super::{Result, gguf::Gguf, tokenizer::Piece};

/// Who speaks in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The rules of the conversation.
    System,
    /// The one who asks.
    User,
    /// The model.
    Assistant,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said: data, whatever it contains.
    pub content: String,
}

/// A conversation that the model continues as the assistant.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Chat {
    /// The messages so far, oldest first.
    pub messages: Vec<Message>,
    /// First words of the assistant's answer, put into its mouth; may be empty.
    pub answer_start: String,
}

impl Chat {
    /// Adds a message.
    #[must_use]
    pub fn with(mut self, role: Role, content: impl Into<String>) -> Self {
        self.messages.push(Message { role, content: content.into() });
        self
    }
}

/// A model's chat template.
pub struct ChatTemplate {}

#[allow(unused_variables)]
impl ChatTemplate {
    /// From `tokenizer.chat_template`; ChatML when the file has none.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self> {
        todo!()
    }
    /// Renders a conversation, up to where the assistant's answer goes on.
    pub fn render(&self, chat: &Chat) -> Result<Vec<Piece>> {
        todo!()
    }
}
