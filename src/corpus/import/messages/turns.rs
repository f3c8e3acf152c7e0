//! Turns of chats: what a person writes in several short messages is one text, and a chat of years is
//! many conversations.

use std::collections::{HashMap, VecDeque};

use super::{Answered, ExportMessage, MessageAuthor};
use crate::date;

/// Longest pause between two messages of one turn, in seconds. People write a thought in messages that
/// follow within a minute or two; after ten minutes it is another thought.
pub(super) const TURN_PAUSE: i64 = 10 * 60;

/// Longest pause within a conversation, in seconds. Four hours keep an evening together and separate it
/// from the next morning.
pub(super) const CONVERSATION_PAUSE: i64 = 4 * 60 * 60;

/// Maximum size of a turn, in bytes: many pasted messages are no thought.
const MAX_TURN_BYTES: usize = 16 << 10;

/// Maximum number of chats whose last turn is open; of more, the ones that began first are ended.
const MAX_OPEN: usize = 256;

/// Number of messages within turns that are remembered, so that answers to them are answers to the turn.
const MAX_REMEMBERED: usize = 100_000;

/// Joins messages of chats to turns. Messages of a chat come in the order in which they were written.
#[derive(Debug, Default)]
pub(super) struct Turns {
    chats: HashMap<String, OpenChat>,
    /// Chats in the order in which they began.
    begun: VecDeque<String>,
    /// First message of the turn, by later messages of it.
    first_of: HashMap<String, String>,
    /// Keys of `first_of`, oldest first.
    remembered: VecDeque<String>,
}

/// A chat being read.
#[derive(Debug)]
struct OpenChat {
    /// Time of the first message of the conversation.
    started: Option<i64>,
    turn: ExportMessage,
    /// Time of the last message of the turn.
    last: Option<i64>,
    /// The turn before, by another person, if it is in the conversation.
    before: Option<String>,
}

impl Turns {
    /// Takes the next message, which has an id. Returns a turn if one has ended.
    pub(super) fn take(&mut self, message: ExportMessage) -> Vec<ExportMessage> {
        let mut ended = Vec::new();
        let chat_id = message.conversation.id.clone();
        let Some(mut chat) = self.chats.remove(&chat_id) else {
            if self.begun.len() >= MAX_OPEN
                && let Some(oldest) = self.begun.pop_front()
                && let Some(chat) = self.chats.remove(&oldest)
            {
                ended.push(chat.turn);
            }
            self.begun.push_back(chat_id.clone());
            let chat = self.begin(message, None, None);
            self.chats.insert(chat_id, chat);
            return ended;
        };
        let pause = match (chat.last, message.time) {
            (Some(last), Some(time)) => Some(time - last),
            _ => None,
        };
        let is_same = is_same(&chat.turn.author, &message.author);
        // An answer to a certain message begins a turn of its own.
        let is_plain = message.answers == Answered::Nothing;
        let size = chat.turn.text.len() + message.text.len();
        if is_same
            && is_plain
            && pause.is_none_or(|pause| (-TURN_PAUSE..=TURN_PAUSE).contains(&pause))
            && size <= MAX_TURN_BYTES
            && chat.turn.title == message.title
        {
            chat.turn.text.push('\n');
            chat.turn.text.push_str(&message.text);
            chat.last = message.time.or(chat.last);
            if let (Some(id), Some(first)) = (message.id, &chat.turn.id) {
                self.remember(id, first.clone());
            }
        } else {
            let goes_on = pause.is_none_or(|pause| pause <= CONVERSATION_PAUSE);
            let before = match is_same {
                true => chat.before.take(),
                false => chat.turn.id.clone(),
            };
            let started = if goes_on { chat.started } else { None };
            ended.push(chat.turn);
            chat = self.begin(message, started, before.filter(|_| goes_on));
        }
        self.chats.insert(chat_id, chat);
        ended
    }

    /// Ends all turns, in the order in which their chats began.
    pub(super) fn finish(&mut self) -> Vec<ExportMessage> {
        let begun = std::mem::take(&mut self.begun);
        begun.into_iter().filter_map(|id| self.chats.remove(&id)).map(|chat| chat.turn).collect()
    }

    /// Begins a turn. `started` is the time of the conversation that it goes on, `before` the turn of
    /// another person that it answers if it does not say.
    fn begin(
        &self,
        mut turn: ExportMessage,
        started: Option<i64>,
        before: Option<String>,
    ) -> OpenChat {
        let started = started.or(turn.time);
        let last = turn.time;
        turn.answers = match turn.answers {
            Answered::Id(id) => Answered::Id(self.first_of.get(&id).cloned().unwrap_or(id)),
            Answered::Nothing => before.clone().map_or(Answered::Nothing, Answered::Id),
            other => other,
        };
        if let Some(started) = started {
            let conversation = &mut turn.conversation;
            let day = date::of_seconds(started);
            conversation.title = Some(match conversation.title.take() {
                Some(title) => format!("{title}, {day}"),
                None => day,
            });
            conversation.id = format!("{} from {started}", conversation.id);
        }
        OpenChat { started, turn, last, before }
    }

    fn remember(&mut self, id: String, first: String) {
        if self.remembered.len() >= MAX_REMEMBERED
            && let Some(oldest) = self.remembered.pop_front()
        {
            self.first_of.remove(&oldest);
        }
        self.remembered.push_back(id.clone());
        self.first_of.insert(id, first);
    }
}

/// Whether two authors are the same person of the export.
fn is_same(a: &MessageAuthor, b: &MessageAuthor) -> bool {
    match (&a.address, &b.address) {
        (Some(a), Some(b)) => a == b,
        _ => a.name == b.name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::messages::Conversation;

    fn message(chat: &str, author: &str, time: i64, text: &str) -> ExportMessage {
        ExportMessage {
            id: Some(format!("{chat}/{text}")),
            author: MessageAuthor { name: Some(author.to_owned()), address: None },
            conversation: Conversation {
                id: chat.to_owned(),
                title: Some("Tea".to_owned()),
                description: None,
            },
            time: Some(time),
            text: text.to_owned(),
            ..ExportMessage::default()
        }
    }

    fn turns(messages: Vec<ExportMessage>) -> Vec<ExportMessage> {
        let mut turns = Turns::default();
        let mut ended: Vec<ExportMessage> =
            messages.into_iter().flat_map(|message| turns.take(message)).collect();
        ended.extend(turns.finish());
        ended
    }

    #[test]
    fn messages_of_a_person_within_ten_minutes_are_one_text() {
        let read = turns(vec![
            message("c", "ann", 0, "a"),
            message("c", "ann", 600, "b"),
            message("c", "ann", 1201, "c"),
            message("c", "bo", 1202, "d"),
            message("c", "ann", 1203, "e"),
        ]);
        let texts: Vec<&str> = read.iter().map(|turn| turn.text.as_str()).collect();
        assert_eq!(texts, ["a\nb", "c", "d", "e"]);
        let answers: Vec<&Answered> = read.iter().map(|turn| &turn.answers).collect();
        let id = |text: &str| Answered::Id(format!("c/{text}"));
        assert_eq!(answers, [&Answered::Nothing, &Answered::Nothing, &id("c"), &id("d")]);
    }

    #[test]
    fn a_pause_of_hours_begins_a_conversation() {
        let read = turns(vec![
            message("c", "ann", 0, "a"),
            message("c", "bo", CONVERSATION_PAUSE, "b"),
            message("c", "ann", 2 * CONVERSATION_PAUSE + 1, "c"),
        ]);
        assert_eq!(read[0].conversation, read[1].conversation);
        assert_ne!(read[1].conversation.id, read[2].conversation.id);
        assert_eq!(read[2].answers, Answered::Nothing);
        assert_eq!(read[0].conversation.title.as_deref(), Some("Tea, 1970-01-01"));
    }

    #[test]
    fn an_answer_to_a_later_message_of_a_turn_answers_the_turn() {
        let mut answer = message("c", "bo", 5, "d");
        answer.answers = Answered::Id("c/b".to_owned());
        let mut other = message("c", "bo", 6, "e");
        other.answers = Answered::Id("c/zz".to_owned());
        let read = turns(vec![
            message("c", "ann", 0, "a"),
            message("c", "ann", 1, "b"),
            message("c", "cy", 2, "c"),
            answer,
            other,
        ]);
        assert_eq!(read[2].answers, Answered::Id("c/a".to_owned()));
        assert_eq!(read[3].answers, Answered::Id("c/zz".to_owned()));
    }

    #[test]
    fn chats_do_not_mix_and_many_are_bounded() {
        let read = turns(vec![
            message("c", "ann", 0, "a"),
            message("d", "ann", 1, "b"),
            message("c", "ann", 2, "c"),
        ]);
        assert_eq!(read.iter().map(|turn| turn.text.as_str()).collect::<Vec<_>>(), ["a\nc", "b"]);
        let many = (0..1000).map(|n| message(&format!("c{n}"), "ann", n, "x")).collect();
        assert_eq!(turns(many).len(), 1000);
    }
}
