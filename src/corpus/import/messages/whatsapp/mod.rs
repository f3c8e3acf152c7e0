//! Chats exported by WhatsApp: a text file for each chat, alone or in a zip archive with its media.
//!
//! The format has no specification, and it differs between Android, iOS, languages and regions. A message
//! begins with a line that has a date and a time (see [`head`]); the following lines without them belong to
//! it. A file is read twice: first for the order of its dates and the names of its authors, then for the
//! messages.

mod head;
mod phrases;

use std::collections::HashMap;
use std::path::Path;

use head::{DateOrder, HeadTime, MARKS, OrderEvidence};

use super::archive::ExportFiles;
use super::chat_text::{self, DELETED, EMPTY, ONLY_LINKS, ONLY_MEDIA, SYSTEM};
use super::{ByteCount, Conversation, ExportMessage, ExportReader, Found, MessageAuthor, OnFound};
use crate::Result;
use crate::import::lines::Lines;

/// Longest message that is read, in bytes. WhatsApp's own limit is 65,536 characters.
const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// Number of names of one chat that are told from lines of the system.
const MAX_AUTHORS: usize = 5000;
/// Number of first lines by which a chat is recognized.
const LINES_TO_RECOGNIZE: usize = 20;

/// Names of exported files up to the name of the chat, in lower case.
const FILE_NAMES: [&str; 18] = [
    "whatsapp chat with ",
    "whatsapp chat - ",
    "whatsapp-chat mit ",
    "whatsapp chat mit ",
    "chat de whatsapp con ",
    "chat whatsapp con ",
    "conversa do whatsapp com ",
    "conversa no whatsapp com ",
    "discussion whatsapp avec ",
    "whatsapp-chat met ",
    "whatsapp-chat med ",
    "whatsapp-chatt med ",
    "czat whatsapp z ",
    "чат whatsapp с контактом ",
    "чат whatsapp с ",
    "чат whatsapp з ",
    "chat whatsapp s uživatelem ",
    "whatsapp chat ",
];

/// Kinds of messages that are no words, by a link or a capital heading.
const LOCATION: &str = "://maps.google.com/?q=";

/// Whether a file begins like a chat, or a folder or an archive has the name of one.
pub(super) fn looks_like(path: &Path, head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let is_message =
        |line: &str| head::split(line).is_some_and(|(_, rest)| author_of(rest).is_some());
    if text.lines().take(LINES_TO_RECOGNIZE).any(is_message) {
        return true;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let is_packed = path.is_dir() || head.starts_with(b"PK\x03\x04");
    is_packed && (name.contains("whatsapp") || path.join("_chat.txt").is_file())
}

/// Opens a chat, or a folder or a zip archive of chats.
///
/// # Errors
/// [`crate::Error::Open`].
pub(super) fn open(path: &Path) -> Result<WhatsAppReader> {
    let files = ExportFiles::open(path)?;
    let is_single = path.is_file() && files.names().count() == 1;
    let chats = files.named(|name| is_single || name.ends_with(".txt"));
    Ok(WhatsAppReader { files, chats })
}

/// Reads chats of WhatsApp.
pub(super) struct WhatsAppReader {
    files: ExportFiles,
    chats: Vec<String>,
}

impl ExportReader for WhatsAppReader {
    fn read(&mut self, on: &mut OnFound<'_>) -> Result<()> {
        for name in &self.chats {
            let survey = ChatSurvey::of(&self.files, name)?;
            if survey.evidence.n() == 0 {
                // A folder may hold other texts, such as documents that were sent.
                if self.chats.len() == 1 {
                    let place = format!("{} line 1", self.files.shown(name));
                    let reason =
                        "no line begins with a date and a time as WhatsApp writes them".to_owned();
                    on(Found::Malformed { place, reason })?;
                }
                continue;
            }
            let title = title_of(&self.files, name);
            if !read_chat(&self.files, name, (&survey, title), on)? {
                break;
            }
        }
        Ok(())
    }

    fn bytes_read(&self) -> Option<ByteCount> {
        Some(self.files.bytes_read())
    }

    fn size(&self) -> Option<u64> {
        Some(2 * self.files.size_of(&self.chats))
    }
}

/// Results of the first reading of a chat.
struct ChatSurvey {
    evidence: OrderEvidence,
    /// Number of lines that begin with each name.
    authors: HashMap<String, u64>,
}

impl ChatSurvey {
    fn of(files: &ExportFiles, name: &str) -> Result<Self> {
        let mut survey = Self { evidence: OrderEvidence::default(), authors: HashMap::new() };
        let mut input = files.input(name)?;
        let mut lines = Lines::default();
        // An error shows again when the messages are read.
        while let Ok(Some(piece)) = lines.next(input.reader.as_mut()) {
            let Ok(bytes) = piece.bytes else { continue };
            let line = String::from_utf8_lossy(&bytes);
            let Some((time, rest)) = head::split(&line) else { continue };
            survey.evidence.add(&time);
            if let Some((author, _)) = author_of(rest)
                && (survey.authors.len() < MAX_AUTHORS || survey.authors.contains_key(&author))
            {
                *survey.authors.entry(author).or_default() += 1;
            }
        }
        Ok(survey)
    }

    /// Whether a name is the beginning of a line of the system that has a colon: `Ann changed the subject
    /// from "Trip: Rome"`. Such a name occurs seldom and begins with one that occurs often.
    fn is_system(&self, name: &str) -> bool {
        let n = self.authors.get(name).copied().unwrap_or(0);
        let begins_with_another = || {
            let mut begins = name.match_indices(' ').map(|(at, _)| &name[..at]);
            begins.any(|other| self.authors.get(other).is_some_and(|n_other| *n_other > n))
        };
        name.contains(['"', '“', '”', '„', '«', '»'])
            || name.chars().count() > 80
            || n <= 2 && begins_with_another()
    }
}

/// Splits the part of a line behind its time into the name of the author, without marks, and the text.
fn author_of(rest: &str) -> Option<(String, &str)> {
    let (name, text) = match rest.split_once(": ") {
        Some(parts) => parts,
        None => (rest.strip_suffix(':')?, ""),
    };
    let name: String = name.chars().filter(|c| !MARKS.contains(c)).collect();
    // People who are not in the address book have `~` before the name that they chose.
    let name = name.trim().trim_start_matches('~').replace(['\u{a0}', '\u{202f}'], " ");
    let name = name.trim();
    (!name.is_empty()).then(|| (name.to_owned(), text))
}

/// A message whose lines are being read.
struct OpenMessage {
    time: HeadTime,
    line: u64,
    /// Name of the author; `None` for a line of the system.
    author: Option<String>,
    text: String,
    is_too_long: bool,
}

fn read_chat(
    files: &ExportFiles,
    name: &str,
    (survey, title): (&ChatSurvey, String),
    on: &mut OnFound<'_>,
) -> Result<bool> {
    let shown = files.shown(name);
    let malformed = |line: u64, reason: &str| Found::Malformed {
        place: format!("{shown} line {line}"),
        reason: reason.to_owned(),
    };
    let chat = ChatReading { order: survey.evidence.order(), title };
    let mut input = files.input(name)?;
    let mut lines = Lines::default();
    let mut open: Option<OpenMessage> = None;
    loop {
        let piece = match lines.next(input.reader.as_mut()) {
            Ok(Some(piece)) => piece,
            Ok(None) => break,
            Err(error) => {
                let goes_on = on(malformed(lines.line() + 1, &error.to_string()))?;
                if !goes_on {
                    return Ok(false);
                }
                break;
            }
        };
        let line = match &piece.bytes {
            Ok(bytes) => String::from_utf8_lossy(bytes),
            Err(reason) => {
                if !on(malformed(piece.line, reason))? {
                    return Ok(false);
                }
                continue;
            }
        };
        if let Some((time, rest)) = head::split(&line) {
            let named = author_of(rest).filter(|(author, _)| !survey.is_system(author));
            let (author, text) = match named {
                Some((author, text)) => (Some(author), text.to_owned()),
                None => (None, String::new()),
            };
            let next = OpenMessage { time, line: piece.line, author, text, is_too_long: false };
            if let Some(done) = open.replace(next)
                && !on(chat.found(done, &malformed))?
            {
                return Ok(false);
            }
        } else if let Some(open) = &mut open {
            if open.text.len() + line.len() < MAX_MESSAGE_BYTES {
                open.text.push('\n');
                open.text.push_str(&line);
            } else {
                open.is_too_long = true;
            }
        } else if !line.trim().is_empty() {
            let reason = "no date and time, and no message before it";
            if !on(malformed(piece.line, reason))? {
                return Ok(false);
            }
        }
    }
    match open {
        Some(done) => on(chat.found(done, &malformed)),
        None => Ok(true),
    }
}

/// Facts that the messages of a chat share.
struct ChatReading {
    order: DateOrder,
    title: String,
}

impl ChatReading {
    fn found(&self, open: OpenMessage, malformed: &dyn Fn(u64, &str) -> Found) -> Found {
        let Some(author) = open.author else { return Found::Left { reason: SYSTEM } };
        if open.is_too_long {
            return malformed(open.line, "the message is longer than 1 MiB");
        }
        let text = match own_text(&open.text) {
            Ok(text) => text,
            Err(reason) => return Found::Left { reason },
        };
        let conversation = Conversation {
            id: self.title.clone(),
            title: Some(self.title.clone()),
            description: None,
        };
        Found::Message(ExportMessage {
            author: MessageAuthor { address: phone_number(&author), name: Some(author) },
            conversation,
            time: open.time.seconds(self.order),
            text,
            ..ExportMessage::default()
        })
    }
}

/// Returns the person's words of a message, or the reason why it has none.
fn own_text(text: &str) -> std::result::Result<String, &'static str> {
    let by_program = text.starts_with('\u{200e}');
    let text = phrases::without_edited(text);
    let plain = |text: &str| -> String {
        text.chars().filter(|c| !MARKS.contains(c) || *c == '\u{200f}').collect()
    };
    let whole = plain(text);
    if phrases::is_deleted(&whole) {
        return Err(DELETED);
    }
    if phrases::is_remark(&whole) {
        return Err(SYSTEM);
    }
    let (mut lines, mut n_media) = (Vec::new(), 0);
    for line in text.lines() {
        // Of `Caption <mark><attached: ...>` the caption is the person's.
        let (before, marked) = line.split_once('\u{200e}').unwrap_or((line, ""));
        if phrases::is_media(&plain(line), line.starts_with('\u{200e}')) {
            n_media += 1;
        } else if !marked.is_empty() && is_marked_media(marked, &plain) {
            n_media += 1;
            lines.push(plain(before).trim_end_matches([' ', '•']).to_owned());
        } else {
            lines.push(plain(line));
        }
    }
    if n_media > 0 && lines.len() == 1 && phrases::has_extension(lines[0].trim()) {
        // The name of a document that was not exported.
        lines.clear();
    }
    let own = chat_text::trimmed_lines(&lines);
    match own.is_empty() {
        true if n_media > 0 => Err(ONLY_MEDIA),
        true => Err(EMPTY),
        // Exports of iOS mark what the program wrote: polls, calls, contacts, remarks.
        false if by_program && n_media == 0 => Err(SYSTEM),
        false if own.contains(LOCATION) || is_poll(&own) => Err(ONLY_MEDIA),
        false if chat_text::is_only_links(&own) => Err(ONLY_LINKS),
        false => Ok(own),
    }
}

/// Whether what follows a mark within a line is the remark about a file; a document may have several marks
/// (`a.pdf • <mark>2 pages <mark><attached: ...>`).
fn is_marked_media(marked: &str, plain: &dyn Fn(&str) -> String) -> bool {
    marked.split('\u{200e}').any(|part| phrases::is_media(&plain(part), true))
}

/// Whether a text is a poll: a heading in capitals with a colon, a question, and options.
fn is_poll(text: &str) -> bool {
    let is_capital = |word: &str| word.len() >= 4 && !word.chars().any(char::is_lowercase);
    let mut lines = text.lines();
    let heading = lines.next().and_then(|line| line.trim().strip_suffix(':'));
    heading.is_some_and(is_capital)
        && lines.skip(1).any(|line| line.split_once(": ").is_some_and(|(word, _)| is_capital(word)))
}

/// The digits of a name that is a phone number.
fn phone_number(name: &str) -> Option<String> {
    let digits = name.strip_prefix('+')?;
    let is_number = digits.chars().all(|c| c.is_ascii_digit() || " -()\u{2011}".contains(c));
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    (is_number && digits.len() >= 6).then(|| format!("+{digits}"))
}

/// Name of a chat: that in the file's name; iOS packs each chat as `_chat.txt` into an archive of its name.
fn title_of(files: &ExportFiles, name: &str) -> String {
    let root = files.root().file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
    let stem = |name: &str| {
        let end = [".txt", ".zip"].iter().find(|end| name.to_lowercase().ends_with(*end));
        end.map_or(name, |end| &name[..name.len() - end.len()]).to_owned()
    };
    let mut title = stem(file);
    if title == "_chat" {
        let folder = folder.rsplit('/').next().unwrap_or_default();
        let parent = || {
            let parent = files.root().parent().and_then(Path::file_name);
            parent.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
        };
        title = match (folder, files.root().is_file() && root == file) {
            ("", true) => parent(),
            ("", false) => stem(&root),
            (folder, _) => folder.to_owned(),
        };
    }
    let spaced = title.replace('_', " ");
    let lower = spaced.to_lowercase();
    let lead = FILE_NAMES.iter().find(|lead| lower.starts_with(*lead));
    let is_same_length = lower.len() == spaced.len();
    let title =
        lead.filter(|_| is_same_length).map_or(title, |lead| spaced[lead.len()..].to_owned());
    match title.trim() {
        "" => "chat".to_owned(),
        title => title.to_owned(),
    }
}

#[cfg(test)]
mod tests;
