//! Importers of messages: mails, chats, posts and notes, in the formats in which programs and services
//! export them.
//!
//! A reader takes one format apart and finds [`Message`]s, each with its author, its conversation and
//! what it answers. What is common to all formats is done once: persons with several names
//! (`people`), short messages that belong together (`turns`), reviews of messages (`reviews`).

mod attribution;
mod files;
mod flowed;
mod html;
mod mail;
mod mail_files;
#[cfg(test)]
mod mail_tests;
mod mbox;
mod quotes;
mod signatures;
mod threads;

use std::path::Path;

use crate::corpus::Result;
use files::ByteCount;

/// The person who wrote a message, as the export names them. At least one of the two is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Author {
    /// Name for people to read.
    pub(super) name: Option<String>,
    /// Mail address, user id, handle or phone number: what is unique in the export.
    pub(super) address: Option<String>,
}

/// A thread, a chat, a channel, a book, a film, a folder of notes: what messages are about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Conversation {
    /// Identity, unique within the export and the same in a later export.
    pub(super) id: String,
    /// Title for people to read.
    pub(super) title: Option<String>,
    /// Further description.
    pub(super) description: Option<String>,
}

/// What a message answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Answered {
    /// Nothing that the export tells.
    #[default]
    Nothing,
    /// The message with this [`Message::id`], before or after it in the export, or in another one.
    Id(String),
    /// A message of which the export has only the text.
    Text(String),
    /// The message with this id, which the answer quotes: the text counts if the message itself is not
    /// imported.
    Quoted {
        /// Its id.
        id: String,
        /// The quoted text.
        text: String,
        /// Who wrote it, if the export says so.
        author: Option<Author>,
    },
}

/// A text that a person wrote in a conversation, as a reader of a format finds it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Message {
    /// Identity, the same in a later export. Unique within the format: where ids count within a chat, the
    /// reader puts the chat's own before it.
    pub(super) id: Option<String>,
    /// Who wrote it.
    pub(super) author: Author,
    /// Where it was written.
    pub(super) conversation: Conversation,
    /// Seconds since the Unix epoch, in UTC.
    pub(super) time: Option<i64>,
    /// The person's own words: no quoted text, no signature, no line of the system.
    pub(super) text: String,
    /// What it answers.
    pub(super) answers: Answered,
    /// Its own title.
    pub(super) title: Option<String>,
    /// Rating, 1 to 5.
    pub(super) rating: Option<f64>,
}

/// One thing found in an export.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    /// A message.
    Message(Message),
    /// Something that is no text of a person, left out on purpose. The reason is a plural for reports:
    /// `messages without text`, `automatic mails`, `lines of the system`.
    Left {
        /// The reason.
        reason: &'static str,
    },
    /// Something that cannot be read.
    Malformed {
        /// File and line, or number of the message.
        place: String,
        /// The reason.
        reason: String,
    },
}

/// Takes what a reader finds; returns whether the reader shall go on.
pub(super) type OnFound<'a> = dyn FnMut(Found) -> Result<bool> + 'a;

/// A reader of one export.
pub(super) trait Reader {
    /// Hands everything found to `on`, in the order of the export, until the end or until `on` returns
    /// false.
    ///
    /// # Errors
    /// A file cannot be read, or an error of `on`.
    fn read(&mut self, on: &mut OnFound<'_>) -> Result<()>;

    /// Count of the bytes that are read, before decompression, for progress; it goes on while
    /// [`Reader::read`] works.
    fn bytes_read(&self) -> Option<ByteCount> {
        None
    }

    /// Number of bytes to read, if known.
    fn size(&self) -> Option<u64> {
        None
    }
}

/// Tells whether a file or folder is an export of one format. `head` has the first 4096 bytes of the file,
/// after decompression; it is empty for a folder.
pub(super) type LooksLike = fn(path: &Path, head: &[u8]) -> bool;
