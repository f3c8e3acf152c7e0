//! Messages as reviews: the person is the user, the conversation the item.

use idiolect_engine::key::Key;

use super::people::People;
use super::turns::Turns;
use super::{Answered, Conversation, ExportMessage, MessageAuthor, MessageFormat};
use crate::{Item, Review, SourceContext, SourceReview};

/// Number of letters of an item's identifier that is made of a hash.
const ID_LETTERS: usize = 12;

/// Number of letters of a message's identifier in the store. No two of a billion messages share one.
const NAME_LETTERS: usize = 32;

/// Makes reviews of the messages of one format.
#[derive(Debug)]
pub(in crate::import) struct MessageReviews {
    format: MessageFormat,
    people: People,
    /// For chats.
    turns: Option<Turns>,
}

impl MessageReviews {
    pub(in crate::import) fn new(format: MessageFormat, people: People) -> Self {
        Self { format, people, turns: format.is_chat().then(Turns::default) }
    }

    /// Takes a message. Returns the reviews, with their items, that are complete by now; an error is the
    /// reason why the message gives none.
    pub(in crate::import) fn take(
        &mut self,
        message: ExportMessage,
    ) -> Result<Vec<(SourceReview, Item)>, String> {
        if message.text.trim().is_empty() {
            return Err("a message without text".to_owned());
        }
        let MessageAuthor { name, address } = &message.author;
        if [name, address].into_iter().flatten().all(|text| text.trim().is_empty()) {
            return Err("a message without author".to_owned());
        }
        let message = identified(message);
        let ended = match &mut self.turns {
            Some(turns) => turns.take(message),
            None => vec![message],
        };
        Ok(ended.into_iter().filter_map(|message| self.review(message)).collect())
    }

    /// Returns the reviews of turns that are still open.
    pub(in crate::import) fn finish(&mut self) -> Vec<(SourceReview, Item)> {
        let ended = self.turns.as_mut().map(Turns::finish).unwrap_or_default();
        ended.into_iter().filter_map(|message| self.review(message)).collect()
    }

    /// The persons so far.
    pub(in crate::import) fn people(&self) -> &People {
        &self.people
    }

    fn review(&mut self, message: ExportMessage) -> Option<(SourceReview, Item)> {
        let user = self.people.user(&message.author)?;
        let item = self.item(message.conversation);
        let context = match message.answers {
            Answered::Nothing => SourceContext::default(),
            Answered::Id(id) => {
                SourceContext { id: Some(self.name(&id)), ..SourceContext::default() }
            }
            Answered::Text(text) => SourceContext { text, ..SourceContext::default() },
            Answered::Quoted { id, text, author } => SourceContext {
                id: Some(self.name(&id)),
                text,
                user: author.and_then(|author| self.people.user(&author)),
            },
        };
        let id = message.id.as_deref().map(|id| self.name(id));
        #[allow(clippy::cast_possible_truncation)] // Ratings have few digits.
        let review = Review {
            user,
            item: item.id.clone(),
            rating: message.rating.filter(|rating| rating.is_finite()).map(|rating| rating as f32),
            title: message.title.unwrap_or_default(),
            text: message.text,
            time: message.time.unwrap_or(0),
        };
        Some((SourceReview { id, review, context }, item))
    }

    /// Identifier of a message in the store. It is a hash, since addresses and names are in many ids.
    fn name(&self, id: &str) -> String {
        let key = Key::of("message").with("format", self.format.family()).with("id", id).finish();
        format!("{}:{}", self.format.family(), &key.as_str()[..NAME_LETTERS])
    }

    /// The item of a conversation. Of chats the identifier is a hash too; of books, films and notes it is
    /// readable.
    fn item(&self, conversation: Conversation) -> Item {
        let Conversation { id, title, description } = conversation;
        let family = self.format.family();
        let id = match (self.format.is_mail(), self.format.is_chat()) {
            (true, _) => id,
            (false, true) => {
                let key = Key::of("conversation").with("format", family).with("id", &id).finish();
                format!("{family}-{}", &key.as_str()[..ID_LETTERS])
            }
            (false, false) => format!("{family}:{id}"),
        };
        let (title, description) = (title.unwrap_or_default(), description.unwrap_or_default());
        Item { id, title, description, categories: Vec::new() }
    }
}

/// The message with an identifier: without one, that of its author, conversation, time and text.
fn identified(mut message: ExportMessage) -> ExportMessage {
    if message.id.is_none() {
        let MessageAuthor { name, address } = &message.author;
        let author = address.as_deref().or(name.as_deref()).unwrap_or_default();
        let key = Key::of("message")
            .with("by", author)
            .with("in", &message.conversation.id)
            .with("at", message.time.unwrap_or(0).to_string())
            .with("title", message.title.as_deref().unwrap_or_default())
            .with("text", &message.text);
        message.id = Some(key.finish().as_str().to_owned());
    }
    message
}
