//! Importers of messages: mails, chats, posts and notes, in the formats in which programs and services
//! export them.
//!
//! A reader takes one format apart and finds [`ExportMessage`]s, each with its author, its conversation and
//! what it answers. What is common to all formats is done once: persons with several names
//! (`people`), short messages that belong together (`turns`), reviews of messages (`reviews`).

mod archive;
mod attribution;
mod chat_text;
mod discord;
mod export_rows;
mod files;
mod flowed;
mod front_matter;
mod given;
mod goodreads;
mod google;
mod html;
mod json_stream;
mod letterboxd;
mod mail;
mod mail_files;
#[cfg(test)]
mod mail_tests;
mod mail_text;
mod markdown;
mod markdown_text;
mod mastodon;
mod mbox;
mod people;
mod quotes;
mod reddit;
mod reviews;
mod signatures;
mod slack;
mod subject;
mod telegram;
#[cfg(test)]
mod testing;
mod threads;
mod turns;
mod whatsapp;

use std::path::Path;

use crate::Result;

pub(super) use files::ByteCount;
pub use given::GivenMessage;
pub(super) use people::People;
pub use people::{MergedPerson, PersonNames};
pub(super) use reviews::MessageReviews;

/// The person who wrote a message, as the export names them. At least one of the two is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct MessageAuthor {
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

/// The message that a message answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Answered {
    /// Nothing that the export tells.
    #[default]
    Nothing,
    /// The message with this [`ExportMessage::id`], before or after it in the export, or in another one.
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
        author: Option<MessageAuthor>,
    },
}

/// A text that a person wrote in a conversation, as a reader of a format finds it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ExportMessage {
    /// Identity, the same in a later export. Unique within the format: where ids count within a chat, the
    /// reader puts the chat's own before it.
    pub(super) id: Option<String>,
    /// Who wrote it.
    pub(super) author: MessageAuthor,
    /// The conversation that it belongs to.
    pub(super) conversation: Conversation,
    /// Seconds since the Unix epoch, in UTC.
    pub(super) time: Option<i64>,
    /// The person's own words: no quoted text, no signature, no line of the system.
    pub(super) text: String,
    /// The message that it answers.
    pub(super) answers: Answered,
    /// Its own title.
    pub(super) title: Option<String>,
    /// Rating, 1 to 5.
    pub(super) rating: Option<f64>,
}

/// One thing found in an export.
#[allow(clippy::large_enum_variant)] // There is one at a time.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    /// A message.
    Message(ExportMessage),
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
pub(super) trait ExportReader {
    /// Hands everything found to `on`, in the order of the export, until the end or until `on` returns
    /// false.
    ///
    /// # Errors
    /// A file cannot be read, or an error of `on`.
    fn read(&mut self, on: &mut OnFound<'_>) -> Result<()>;

    /// Count of the bytes that are read, before decompression, for progress; it goes on while
    /// [`ExportReader::read`] works.
    fn bytes_read(&self) -> Option<ByteCount> {
        None
    }

    /// Number of bytes to read, if known.
    fn size(&self) -> Option<u64> {
        None
    }
}

/// A format of messages. A new one is a file of this folder, a variant here, and a line in
/// [`MessageFormat::ALL`] and in `facts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageFormat {
    /// Mails in one file (Thunderbird, Apple Mail, mutt, Google Takeout, archives of mailing lists).
    Mbox,
    /// Mails in a folder with `cur` and `new`.
    Maildir,
    /// A mail, or a folder of mails, in files `.eml`.
    Eml,
    /// Chats of WhatsApp, text files or the zip archives of them.
    WhatsApp,
    /// Chats of Telegram Desktop in JSON, one or those of an account.
    Telegram,
    /// A workspace of Slack.
    Slack,
    /// A data package of Discord, or files of DiscordChatExporter in JSON.
    Discord,
    /// Posts and comments of Reddit, the data of an account or JSON lines.
    Reddit,
    /// The archive of a Mastodon account.
    Mastodon,
    /// The library of Goodreads, for its reviews.
    Goodreads,
    /// The reviews of Letterboxd.
    Letterboxd,
    /// Reviews of Google Maps and the Play Store in a Takeout.
    GoogleReviews,
    /// Notes and posts in Markdown.
    Markdown,
}

/// Facts of a format.
struct FormatFacts {
    /// Name on the command line.
    name: &'static str,
    /// Prefix of identifiers; formats of the same messages share it.
    family: &'static str,
    /// Whether short messages of a person are joined, see [`turns`].
    is_chat: bool,
    /// Opens an export.
    open: fn(&Path) -> Result<Box<dyn ExportReader>>,
    /// Whether a file or folder is an export of the format, by its first bytes (up to
    /// [`HEAD_BYTES`], after decompression; none of a folder).
    looks_like: fn(&Path, &[u8]) -> bool,
}

/// Number of bytes of a file by which its format is told.
pub(super) const HEAD_BYTES: usize = 4096;

impl MessageFormat {
    /// All formats, in the order in which [`MessageFormat::detect`] asks them.
    pub const ALL: &[Self] = &[
        Self::Mbox,
        Self::Maildir,
        Self::Eml,
        Self::WhatsApp,
        Self::Telegram,
        Self::Slack,
        Self::Discord,
        Self::Reddit,
        Self::Mastodon,
        Self::Goodreads,
        Self::Letterboxd,
        Self::GoogleReviews,
        // Many folders have such files beside others.
        Self::Markdown,
    ];

    fn facts(self) -> FormatFacts {
        match self {
            Self::Mbox => FormatFacts {
                name: "mbox",
                family: "mail",
                is_chat: false,
                open: |path| Ok(Box::new(mbox::open(path)?)),
                looks_like: mbox::looks_like,
            },
            Self::Maildir => FormatFacts {
                name: "maildir",
                family: "mail",
                is_chat: false,
                open: |path| Ok(Box::new(mail_files::open_maildir(path)?)),
                looks_like: mail_files::looks_like_maildir,
            },
            Self::Eml => FormatFacts {
                name: "eml",
                family: "mail",
                is_chat: false,
                open: |path| Ok(Box::new(mail_files::open_eml(path)?)),
                looks_like: mail_files::looks_like_eml,
            },
            Self::WhatsApp => FormatFacts {
                name: "whatsapp",
                family: "whatsapp",
                is_chat: true,
                open: |path| Ok(Box::new(whatsapp::open(path)?)),
                looks_like: whatsapp::looks_like,
            },
            Self::Telegram => FormatFacts {
                name: "telegram",
                family: "telegram",
                is_chat: true,
                open: |path| Ok(Box::new(telegram::open(path)?)),
                looks_like: telegram::looks_like,
            },
            Self::Slack => FormatFacts {
                name: "slack",
                family: "slack",
                is_chat: true,
                open: |path| Ok(Box::new(slack::open(path)?)),
                looks_like: slack::looks_like,
            },
            Self::Discord => FormatFacts {
                name: "discord",
                family: "discord",
                is_chat: true,
                open: |path| Ok(Box::new(discord::open(path)?)),
                looks_like: discord::looks_like,
            },
            Self::Reddit => FormatFacts {
                name: "reddit",
                family: "reddit",
                is_chat: false,
                open: |path| Ok(Box::new(reddit::open(path)?)),
                looks_like: reddit::looks_like,
            },
            Self::Mastodon => FormatFacts {
                name: "mastodon",
                family: "mastodon",
                is_chat: false,
                open: |path| Ok(Box::new(mastodon::open(path)?)),
                looks_like: mastodon::looks_like,
            },
            Self::Goodreads => FormatFacts {
                name: "goodreads",
                family: "goodreads",
                is_chat: false,
                open: |path| Ok(Box::new(goodreads::open(path)?)),
                looks_like: goodreads::looks_like,
            },
            Self::Letterboxd => FormatFacts {
                name: "letterboxd",
                family: "letterboxd",
                is_chat: false,
                open: |path| Ok(Box::new(letterboxd::open(path)?)),
                looks_like: letterboxd::looks_like,
            },
            Self::GoogleReviews => FormatFacts {
                name: "google-reviews",
                family: "google",
                is_chat: false,
                open: |path| Ok(Box::new(google::open(path)?)),
                looks_like: google::looks_like,
            },
            Self::Markdown => FormatFacts {
                name: "markdown",
                family: "markdown",
                is_chat: false,
                open: |path| Ok(Box::new(markdown::open(path)?)),
                looks_like: markdown::looks_like,
            },
        }
    }

    /// Name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Returns the format of a file or folder by its content; `None` if it is no export of messages.
    #[must_use]
    pub fn detect(path: &Path) -> Option<Self> {
        let head = files::head(path, HEAD_BYTES);
        Self::ALL.iter().copied().find(|format| (format.facts().looks_like)(path, &head))
    }

    /// Opens an export.
    pub(super) fn open(self, path: &Path) -> Result<Box<dyn ExportReader>> {
        (self.facts().open)(path)
    }

    fn family(self) -> &'static str {
        self.facts().family
    }

    fn is_chat(self) -> bool {
        self.facts().is_chat
    }

    /// Name of the built-in task that writes such texts.
    pub(super) fn task(self) -> &'static str {
        match self {
            Self::Mastodon | Self::Markdown => "post",
            Self::Goodreads | Self::Letterboxd | Self::GoogleReviews => "review",
            _ => "reply",
        }
    }

    fn is_mail(self) -> bool {
        self.family() == "mail"
    }
}
