//! Messages of Discord: the data package that Discord sends on request, which has one's own messages only,
//! and the JSON files of DiscordChatExporter, which have everybody's.
//!
//! A package has, for each channel, a folder `Messages/c1234` with `channel.json` and `messages.json`, or
//! `messages.csv` until 2024. DiscordChatExporter writes a file for each channel.

use std::path::Path;

use serde_json::Value;

use super::archive::{self, ExportFiles, OWNER_UNNAMED};
use super::chat_text::{
    self, BOTS, EMPTY, FORWARDED, NO_OWN_WORDS, ONLY_LINKS, ONLY_MEDIA, SYSTEM,
};
use super::export_rows::{self, document, is_true, malformed, rows, small_document};
use super::json_stream::{JsonVisitor, JsonWant};
use super::{
    Answered, ByteCount, Conversation, ExportMessage, ExportReader, Found, MessageAuthor, OnFound,
};
use crate::Result;

/// Kinds of messages that people write, by name or by number; all others are lines of the system.
const BY_PEOPLE: [&str; 4] = ["Default", "Reply", "0", "19"];
/// Number of first bytes by which a file of DiscordChatExporter is recognized.
const HEAD_BYTES: usize = 2048;

/// Whether a file begins like one of DiscordChatExporter, or a folder or an archive is a data package.
pub(super) fn looks_like(path: &Path, head: &[u8]) -> bool {
    is_exported(head) || archive::holds(path, head, is_of_package)
}

/// Opens a package or the folder of a channel, a file of DiscordChatExporter, or a folder of these.
///
/// # Errors
/// [`crate::Error::Open`].
pub(super) fn open(path: &Path) -> Result<DiscordReader> {
    let files = ExportFiles::open(path)?;
    let is_single = path.is_file() && files.names().count() == 1;
    let own = files
        .named(|name| is_of_package(name) || name == "messages.json" || name == "messages.csv");
    let mut exported = Vec::new();
    if own.is_empty() {
        for name in files.named(|name| name.ends_with(".json")) {
            if is_single || files.input(&name).is_ok_and(|mut input| begins(&mut input.reader)) {
                exported.push(name);
            }
        }
    }
    Ok(DiscordReader { files, own, exported })
}

fn begins(reader: &mut dyn std::io::BufRead) -> bool {
    let mut head = Vec::new();
    let read =
        std::io::Read::read_to_end(&mut std::io::Read::take(reader, HEAD_BYTES as u64), &mut head);
    read.is_ok() && is_exported(&head)
}

fn is_exported(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&head[..head.len().min(HEAD_BYTES)]);
    text.trim_start().starts_with('{')
        && ["\"guild\"", "\"channel\""].iter().all(|name| text.contains(name))
}

/// Whether a path, in lower case, is that of the messages of a channel of a package.
fn is_of_package(name: &str) -> bool {
    let mut parts = name.rsplit('/');
    let is_messages = matches!(parts.next(), Some("messages.json" | "messages.csv"));
    let folder = parts.next().unwrap_or_default();
    let digits = folder.strip_prefix('c').unwrap_or(folder);
    is_messages && digits.len() >= 5 && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Reads messages of Discord.
pub(super) struct DiscordReader {
    files: ExportFiles,
    /// Files of one's own messages.
    own: Vec<String>,
    /// Files of DiscordChatExporter.
    exported: Vec<String>,
}

impl ExportReader for DiscordReader {
    fn read(&mut self, on: &mut OnFound<'_>) -> Result<()> {
        if self.own.is_empty() && self.exported.is_empty() {
            let place = self.files.root().display().to_string();
            let reason =
                "neither messages/c.../messages.json nor a file of DiscordChatExporter".to_owned();
            on(Found::Malformed { place, reason })?;
        }
        if !self.own.is_empty() && !self.read_package(on)? {
            return Ok(());
        }
        for name in &self.exported {
            let file = self.files.shown(name);
            let mut visitor = ExporterVisitor::new(&file, on);
            if !document(&self.files, name, &mut visitor)? {
                break;
            }
            if !visitor.has_list && !visitor.is_bad {
                let reason =
                    "no list `messages`; expected a file of DiscordChatExporter".to_owned();
                if !on(malformed(&file, 1, reason))? {
                    break;
                }
            }
        }
        Ok(())
    }

    fn bytes_read(&self) -> Option<ByteCount> {
        Some(self.files.bytes_read())
    }

    fn size(&self) -> Option<u64> {
        Some(self.files.size_of(&self.own) + self.files.size_of(&self.exported))
    }
}

impl DiscordReader {
    fn read_package(&self, on: &mut OnFound<'_>) -> Result<bool> {
        let account = |name: &str| name == "user.json" || name.ends_with("/user.json");
        let account = small_document(self.files.companion(account)).unwrap_or_default();
        let author = MessageAuthor {
            name: ["global_name", "username"].iter().find_map(|n| export_rows::text(&account, n)),
            address: export_rows::text(&account, "username")
                .or_else(|| export_rows::text(&account, "id")),
        };
        let author = match author.name {
            Some(_) => author,
            None => MessageAuthor { name: Some(OWNER_UNNAMED.to_owned()), address: author.address },
        };
        let titles = self.own.iter().filter_map(|name| name.rsplitn(3, '/').nth(2));
        let mut titles =
            titles.filter_map(|folder| self.files.input(&format!("{folder}/index.json")).ok());
        let titles = small_document(titles.next()).unwrap_or_default();
        for name in &self.own {
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            let about = match folder {
                "" => self.files.companion(|name| name == "channel.json"),
                folder => self.files.input(&format!("{folder}/channel.json")).ok(),
            };
            let about = small_document(about).unwrap_or_default();
            let channel = channel_of_package(&about, &titles, folder);
            let file = self.files.shown(name);
            let columns = ["ID", "Timestamp", "Contents", "Attachments"];
            let goes_on = rows(&self.files, name, &columns, &mut |line, row| {
                on(match row.and_then(|row| own_message(&row, &author, &channel)) {
                    Ok(Ok(message)) => Found::Message(message),
                    Ok(Err(reason)) => Found::Left { reason },
                    Err(reason) => malformed(&file, line, reason),
                })
            })?;
            if !goes_on {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn channel_of_package(about: &Value, titles: &Value, folder: &str) -> Conversation {
    let folder = folder.rsplit('/').next().unwrap_or(folder);
    let of_folder = folder.trim_start_matches(['c', 'C']);
    let id = export_rows::text(about, "id").unwrap_or_else(|| of_folder.to_owned());
    let name = export_rows::text(about, "name");
    let server = export_rows::text(about, "guild.name");
    let title = match (name, server) {
        (Some(name), Some(server)) => Some(format!("#{name} ({server})")),
        (Some(name), None) => Some(name),
        (None, _) => titles.get(&id).and_then(Value::as_str).map(str::to_owned),
    };
    let id = if id.is_empty() { "channel".to_owned() } else { id };
    Conversation { id, title, description: None }
}

fn own_message(
    row: &Value,
    author: &MessageAuthor,
    channel: &Conversation,
) -> Result<Result<ExportMessage, &'static str>, String> {
    let field = |name: &str| export_rows::text(row, name);
    if row.get("Contents").is_none() {
        return Err("field `Contents` is missing".to_owned());
    }
    let has_file = field("Attachments").is_some();
    let text = match own_text(&field("Contents").unwrap_or_default(), has_file) {
        Ok(text) => text,
        Err(reason) => return Ok(Err(reason)),
    };
    Ok(Ok(ExportMessage {
        id: field("ID"),
        author: author.clone(),
        conversation: channel.clone(),
        time: export_rows::seconds(row, "Timestamp"),
        text,
        ..ExportMessage::default()
    }))
}

/// Returns the person's words of a message, or the reason why it has none.
fn own_text(content: &str, has_file: bool) -> Result<String, &'static str> {
    let plain = plain(content);
    let text = chat_text::own_words(&plain);
    match (text.is_empty(), plain.trim().is_empty()) {
        (true, false) => Err(NO_OWN_WORDS),
        (true, true) if has_file => Err(ONLY_MEDIA),
        (true, true) => Err(EMPTY),
        (false, _) if chat_text::is_only_links(&text) => Err(ONLY_LINKS),
        (false, _) => Ok(text),
    }
}

/// Text without Discord's references: `<:tent:123>` is `:tent:`, and mentions by number, which say nothing,
/// go.
fn plain(content: &str) -> String {
    let mut plain = String::with_capacity(content.len());
    let mut rest = content;
    while let Some(at) = rest.find('<') {
        plain.push_str(&rest[..at]);
        let inner = &rest[at + 1..];
        let end = inner.find(['>', '<', '\n']).filter(|end| inner[*end..].starts_with('>'));
        let read = end.and_then(|end| Some((reference(&inner[..end])?, end)));
        match read {
            Some((shown, end)) => {
                rest = &inner[end + 1..];
                if shown.is_empty() && (plain.is_empty() || plain.ends_with([' ', '\n'])) {
                    rest = rest.strip_prefix(' ').unwrap_or(rest);
                }
                plain.push_str(&shown);
            }
            None => {
                plain.push('<');
                rest = inner;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// Returns the text that a reference shows; `None` if it is none.
fn reference(inner: &str) -> Option<String> {
    let is_id = |id: &str| id.len() >= 5 && id.bytes().all(|b| b.is_ascii_digit());
    if let Some(emoji) = inner.strip_prefix(':').or_else(|| inner.strip_prefix("a:")) {
        let (name, id) = emoji.split_once(':')?;
        return is_id(id).then(|| format!(":{name}:"));
    }
    if let Some(command) = inner.strip_prefix('/') {
        let (name, id) = command.split_once(':')?;
        return is_id(id).then(|| format!("/{name}"));
    }
    if let Some(time) = inner.strip_prefix("t:") {
        let seconds = time.split(':').next()?;
        return is_id(seconds.trim_start_matches('-')).then(String::new);
    }
    if inner.starts_with("http://") || inner.starts_with("https://") {
        return Some(inner.to_owned());
    }
    let id = ["@!", "@&", "@", "#"].iter().find_map(|sign| inner.strip_prefix(sign))?;
    is_id(id).then(String::new)
}

/// Reads a file of DiscordChatExporter.
struct ExporterVisitor<'a, 'b> {
    file: &'a str,
    server: Option<String>,
    channel: Conversation,
    has_list: bool,
    is_bad: bool,
    on: &'a mut OnFound<'b>,
}

impl<'a, 'b> ExporterVisitor<'a, 'b> {
    fn new(file: &'a str, on: &'a mut OnFound<'b>) -> Self {
        let channel = Conversation { id: "channel".to_owned(), title: None, description: None };
        Self { file, server: None, channel, has_list: false, is_bad: false, on }
    }

    fn read(&self, message: &Value) -> Result<Result<ExportMessage, &'static str>, String> {
        let field = |name: &str| export_rows::text(message, name);
        if !message.is_object() {
            return Err("no object where a message was expected".to_owned());
        }
        if field("type").is_some_and(|kind| !BY_PEOPLE.contains(&kind.as_str())) {
            return Ok(Err(SYSTEM));
        }
        if is_true(message, "author.isBot") {
            return Ok(Err(BOTS));
        }
        if message.get("forwardedMessage").is_some_and(|forwarded| !forwarded.is_null())
            || field("reference.type").is_some_and(|kind| kind == "Forward")
        {
            return Ok(Err(FORWARDED));
        }
        let has =
            |name: &str| message.get(name).and_then(Value::as_array).is_some_and(|l| !l.is_empty());
        let has_file = has("attachments") || has("stickers") || has("embeds");
        let text = match own_text(&field("content").unwrap_or_default(), has_file) {
            Ok(text) => text,
            Err(reason) => return Ok(Err(reason)),
        };
        let names = ["author.nickname", "author.name"];
        let author = MessageAuthor {
            name: names.iter().find_map(|name| field(name)),
            address: field("author.name").or_else(|| field("author.id")),
        };
        if author == MessageAuthor::default() {
            return Err("field `author` is missing".to_owned());
        }
        Ok(Ok(ExportMessage {
            id: field("id"),
            author,
            conversation: self.channel.clone(),
            time: export_rows::seconds(message, "timestamp"),
            text,
            answers: field("reference.messageId").map_or(Answered::Nothing, Answered::Id),
            title: None,
            rating: None,
        }))
    }
}

impl JsonVisitor for ExporterVisitor<'_, '_> {
    fn wants(&mut self, path: &str) -> JsonWant {
        match path {
            "" | "messages" => JsonWant::Enter,
            "guild" | "channel" | "messages[]" => JsonWant::Take,
            _ => JsonWant::Skip,
        }
    }

    fn enter(&mut self, path: &str) {
        self.has_list |= path == "messages";
    }

    fn take(&mut self, path: &str, line: u64, value: Result<Value, String>) -> Result<bool> {
        let value = match value {
            Ok(value) => value,
            Err(reason) => {
                self.is_bad = true;
                return (self.on)(malformed(self.file, line, reason));
            }
        };
        let field = |name: &str| export_rows::text(&value, name);
        match path {
            "guild" => self.server = field("name").filter(|name| name != "Direct Messages"),
            "channel" => {
                self.channel.id = field("id").unwrap_or_else(|| "channel".to_owned());
                self.channel.title = match (field("name"), &self.server) {
                    (Some(name), Some(server)) => Some(format!("#{name} ({server})")),
                    (name, _) => name,
                };
                self.channel.description = field("topic");
            }
            _ => {
                let found = match self.read(&value) {
                    Ok(Ok(message)) => Found::Message(message),
                    Ok(Err(reason)) => Found::Left { reason },
                    Err(reason) => malformed(self.file, line, reason),
                };
                return (self.on)(found);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::import::messages::testing::{self, Summary};

    fn read(path: &Path) -> Summary {
        testing::summary(&mut open(path).unwrap())
    }

    fn texts(summary: &Summary) -> Vec<(&str, &str)> {
        let name = |m: &'_ ExportMessage| m.author.name.as_deref().map(str::to_owned);
        assert!(summary.messages.iter().all(|m| name(m).is_some()));
        summary
            .messages
            .iter()
            .map(|m| (m.author.name.as_deref().unwrap(), m.text.as_str()))
            .collect()
    }

    #[test]
    fn a_data_package() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let write = |name: &str, text: &str| {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), text).unwrap();
        };
        write(
            "Account/user.json",
            r#"{"id": "80351110224678912", "username": "anna.h", "global_name": "Anna"}"#,
        );
        write(
            "Messages/index.json",
            r#"{"11111": "general in Lake", "22222": "Direct ExportMessage with bo#0"}"#,
        );
        write(
            "Messages/c11111/channel.json",
            r#"{"id": "11111", "type": "GUILD_TEXT", "name": "general", "guild": {"id": "5", "name": "Lake"}}"#,
        );
        write(
            "Messages/c11111/messages.json",
            r#"[
            {"ID": 1062345678901234567, "Timestamp": "2023-01-13 09:01:00", "Contents": "<@80351110224678912> who has the <:tent:99999> ?", "Attachments": ""},
            {"ID": 1062345678901234568, "Timestamp": "2023-01-13 09:02:00", "Contents": "", "Attachments": "https://cdn.example/a.png"},
            {"ID": 1062345678901234569, "Timestamp": "soon", "Contents": "> quote\nYes <3", "Attachments": ""},
            {"ID": 5}
        ]"#,
        );
        write(
            "Messages/c22222/channel.json",
            r#"{"id": "22222", "type": 1, "recipients": ["1", "2"]}"#,
        );
        write(
            "Messages/c22222/messages.csv",
            "ID,Timestamp,Contents,Attachments\n7,2021-03-01 12:00:00.123000+00:00,\"Two\nlines\",\n8,2021-03-01 12:01:00+00:00,https://a.example,\n",
        );
        write("Activity/reporting/events.json", "{}");
        assert!(looks_like(root, b""));
        let read = read(root);
        let expected =
            [("Anna", "who has the :tent: ?"), ("Anna", "Yes <3"), ("Anna", "Two\nlines")];
        assert_eq!(texts(&read), expected);
        let [first, second, direct] = &read.messages[..] else { unreachable!() };
        assert_eq!(first.id.as_deref(), Some("1062345678901234567"));
        assert_eq!(first.conversation.title.as_deref(), Some("#general (Lake)"));
        assert_eq!(first.author.address.as_deref(), Some("anna.h"));
        assert_eq!(
            (first.time, second.time, direct.time),
            (Some(1_673_600_460), None, Some(1_614_600_000))
        );
        assert_eq!(direct.conversation.title.as_deref(), Some("Direct ExportMessage with bo#0"));
        assert_eq!(read.left, [(ONLY_MEDIA, 1), (ONLY_LINKS, 1)].into());
        assert_eq!(read.malformed.len(), 1, "{:?}", read.malformed);
        let channel = super::tests::read(&root.join("Messages/c22222"));
        assert_eq!(texts(&channel), [("me", "Two\nlines")]);
    }

    fn exported() -> Value {
        let author = |id: &str, name: &str, nickname: &str, bot: bool| json!({"id": id, "name": name, "discriminator": "0000", "nickname": nickname, "isBot": bot, "roles": []});
        let message = |id: &str, kind: &str, content: &str, author: &Value| json!({"id": id, "type": kind, "timestamp": "2023-01-13T10:01:00.123+01:00", "timestampEdited": null, "isPinned": false, "content": content, "author": author, "attachments": [], "embeds": [], "stickers": [], "reactions": [], "mentions": []});
        let (anna, bot) =
            (author("1", "anna.h", "Anna", false), author("2", "helper", "Helper", true));
        let mut reply = message("102", "Reply", "Me.", &anna);
        reply["reference"] = json!({"messageId": "101", "channelId": "9", "guildId": "5"});
        let mut picture = message("105", "Default", "", &anna);
        picture["attachments"] = json!([{"id": "1", "url": "x", "fileName": "a.png"}]);
        let mut forward = message("106", "Default", "look", &anna);
        forward["forwardedMessage"] = json!({"content": "storm"});
        json!({
            "guild": {"id": "5", "name": "Lake", "iconUrl": "x"},
            "channel": {"id": "9", "type": "GuildTextChat", "categoryId": "3", "category": "Talk", "name": "general", "topic": "Trips"},
            "dateRange": {"after": null, "before": null}, "exportedAt": "2024-01-01T00:00:00+00:00",
            "messages": [
                message("100", "GuildMemberJoin", "Joined the server.", &anna),
                message("101", "Default", "Who has the tent? <https://tamsel.example>", &author("3", "bo", "", false)),
                reply, message("103", "Default", "beep", &bot),
                message("104", "Default", "```rust\nfn main() {}\n```", &anna), picture, forward,
                {"id": "107", "type": "Default", "content": "nobody"}, [],
            ],
            "messageCount": 9
        })
    }

    #[test]
    fn files_of_discord_chat_exporter() {
        let folder = tempfile::tempdir().unwrap();
        let text = serde_json::to_vec_pretty(&exported()).unwrap();
        let path = folder.path().join("Lake - general [9].json");
        fs::write(&path, &text).unwrap();
        fs::write(folder.path().join("other.json"), "{}").unwrap();
        assert!(looks_like(&path, &text[..1000]));
        for path in [folder.path(), &path] {
            let read = read(path);
            assert_eq!(
                texts(&read),
                [("bo", "Who has the tent? https://tamsel.example"), ("Anna", "Me.")]
            );
            let reply = &read.messages[1];
            assert_eq!(reply.answers, Answered::Id("101".to_owned()));
            assert_eq!(reply.time, Some(1_673_600_460));
            assert_eq!(reply.author.address.as_deref(), Some("anna.h"));
            assert_eq!(reply.conversation.title.as_deref(), Some("#general (Lake)"));
            let left = [(SYSTEM, 1), (BOTS, 1), (NO_OWN_WORDS, 1), (ONLY_MEDIA, 1), (FORWARDED, 1)];
            assert_eq!(read.left, left.into());
            assert_eq!(read.malformed.len(), 2, "{:?}", read.malformed);
        }
        let at = text.windows(4).position(|w| w == b"beep").unwrap();
        fs::write(&path, &text[..at]).unwrap();
        let cut = read(&path);
        assert_eq!((cut.messages.len(), cut.malformed.len()), (2, 1));
        let other = read(&folder.path().join("other.json"));
        assert!(other.malformed[0].1.contains("DiscordChatExporter"));
    }

    proptest! {
        #[test]
        fn any_content_is_read(content in "(<|>|@|!|#|:|a:|t:|/|12345|tent|> |```| |\n|.)*") {
            let _ = own_text(&content, true);
        }

        #[test]
        fn any_row_is_read(values in prop::collection::vec(crate::import::python_literal_tests::any_json(), 0..8)) {
            let mut row = json!({});
            let names = ["Contents", "ID", "Timestamp", "Attachments", "content", "type", "author", "timestamp"];
            for (name, value) in names.iter().zip(&values) {
                row[*name] = value.clone();
            }
            let _ = own_message(&row, &MessageAuthor::default(), &Conversation::default());
            let mut n = 0;
            let on: &mut OnFound<'_> = &mut |_| { n += 1; Ok(true) };
            let mut visitor = ExporterVisitor::new("f", on);
            visitor.take("channel", 1, Ok(row.clone())).unwrap();
            visitor.take("messages[]", 1, Ok(row)).unwrap();
            prop_assert_eq!(n, 1);
        }
    }
}
