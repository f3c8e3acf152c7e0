//! Chats exported by Telegram Desktop as JSON: `result.json` of one chat, or of a whole account.
//!
//! Schema: <https://core.telegram.org/import-export>. The file of an account may have gigabytes; only one
//! message at a time is held.

use std::path::Path;

use serde_json::Value;

use super::archive::ExportFiles;
use super::chat_text::{self, BOTS, EMPTY, FORWARDED, ONLY_LINKS, ONLY_MEDIA, SYSTEM};
use super::export_rows::{self, document, malformed};
use super::json_stream::{JsonVisitor, JsonWant};
use super::{
    Answered, ByteCount, Conversation, ExportMessage, ExportReader, Found, MessageAuthor, OnFound,
};
use crate::Result;

/// Members of a message that say that it has a file, a place, a contact or a poll.
const MEDIA: [&str; 11] = [
    "media_type",
    "file",
    "photo",
    "location_information",
    "place_name",
    "contact_information",
    "poll",
    "game_title",
    "invoice_information",
    "sticker_emoji",
    "todo_list",
];
/// Kinds of a part of a text that are not the author's own prose.
const NOT_OWN: [&str; 2] = ["blockquote", "pre"];

/// Whether a file begins like an export, or a folder has one.
pub(super) fn looks_like(path: &Path, head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let is_account = text.contains("\"about\"") && text.contains("Telegram");
    let is_chat = text.contains("\"messages\"") && text.contains("\"date_unixtime\"")
        || text.contains("\"messages\"") && text.contains("\"from_id\"");
    let is_document = text.trim_start().starts_with('{') && (is_account || is_chat);
    is_document || path.join("result.json").is_file()
}

/// Opens `result.json`, or a folder or an archive with it.
///
/// # Errors
/// [`crate::Error::Open`].
pub(super) fn open(path: &Path) -> Result<TelegramReader> {
    let files = ExportFiles::open(path)?;
    let is_single = path.is_file() && files.names().count() == 1;
    let documents =
        files.named(|name| is_single || name == "result.json" || name.ends_with("/result.json"));
    Ok(TelegramReader { files, documents })
}

/// Reads exports of Telegram Desktop.
pub(super) struct TelegramReader {
    files: ExportFiles,
    documents: Vec<String>,
}

impl ExportReader for TelegramReader {
    fn read(&mut self, on: &mut OnFound<'_>) -> Result<()> {
        if self.documents.is_empty() {
            let place = self.files.root().display().to_string();
            let reason = "no file result.json; export in the format JSON".to_owned();
            on(Found::Malformed { place, reason })?;
        }
        for name in &self.documents {
            let file = self.files.shown(name);
            let mut visitor = ExportVisitor {
                file: &file,
                chat: TelegramChat::default(),
                n_lists: 0,
                n_bad: 0,
                on,
            };
            if !document(&self.files, name, &mut visitor)? {
                break;
            }
            if visitor.n_lists == 0 && visitor.n_bad == 0 {
                let reason =
                    "no list `messages`; expected result.json of Telegram Desktop".to_owned();
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
        Some(self.files.size_of(&self.documents))
    }
}

/// The chat whose messages are read.
#[derive(Default)]
struct TelegramChat {
    id: Option<String>,
    name: Option<String>,
    kind: Option<String>,
}

struct ExportVisitor<'a, 'b> {
    file: &'a str,
    chat: TelegramChat,
    /// Number of lists of messages.
    n_lists: u64,
    n_bad: u64,
    on: &'a mut OnFound<'b>,
}

/// The path within a chat; that of an export of one chat is the document.
fn within_chat(path: &str) -> &str {
    let lists = ["chats.list[]", "left_chats.list[]"];
    let within = lists.iter().find_map(|list| path.strip_prefix(list));
    within.map_or(path, |within| within.strip_prefix('.').unwrap_or(within))
}

impl JsonVisitor for ExportVisitor<'_, '_> {
    fn wants(&mut self, path: &str) -> JsonWant {
        match path {
            "chats" | "chats.list" | "left_chats" | "left_chats.list" => return JsonWant::Enter,
            _ => {}
        }
        match within_chat(path) {
            "" | "messages" => JsonWant::Enter,
            "messages[]" | "id" | "name" | "type" => JsonWant::Take,
            _ => JsonWant::Skip,
        }
    }

    fn enter(&mut self, path: &str) {
        match within_chat(path) {
            "" => self.chat = TelegramChat::default(),
            "messages" => self.n_lists += 1,
            _ => {}
        }
    }

    fn take(&mut self, path: &str, line: u64, value: Result<Value, String>) -> Result<bool> {
        let value = match value {
            Ok(value) => value,
            Err(reason) => {
                self.n_bad += 1;
                return (self.on)(malformed(self.file, line, reason));
            }
        };
        let named = match &value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        match within_chat(path) {
            "id" => self.chat.id = named,
            "name" => self.chat.name = named,
            "type" => self.chat.kind = named,
            _ => {
                let found = self.found(line, &value);
                return (self.on)(found);
            }
        }
        Ok(true)
    }
}

impl ExportVisitor<'_, '_> {
    fn found(&self, line: u64, message: &Value) -> Found {
        if !message.is_object() {
            return malformed(self.file, line, "no object where a message was expected".to_owned());
        }
        match self.read(message) {
            Ok(Ok(message)) => Found::Message(message),
            Ok(Err(reason)) => Found::Left { reason },
            Err(reason) => malformed(self.file, line, reason),
        }
    }

    /// Returns the message, or the reason to leave it out, or the reason why it cannot be read.
    fn read(&self, message: &Value) -> Result<Result<ExportMessage, &'static str>, String> {
        let has = |name: &str| message.get(name).is_some_and(|value| !value.is_null());
        if export_rows::text(message, "type").is_some_and(|kind| kind != "message") {
            return Ok(Err(SYSTEM));
        }
        let text = flat_text(message.get("text").unwrap_or(&Value::Null))?;
        // The name of the original author is null if the account is deleted.
        if message.get("forwarded_from").is_some() || has("forwarded_from_id") {
            return Ok(Err(FORWARDED));
        }
        if has("via_bot") || self.chat.kind.as_deref() == Some("bot_chat") {
            return Ok(Err(BOTS));
        }
        if text.own.is_empty() {
            let is_media = MEDIA.iter().any(|name| has(name));
            return Ok(Err(match (is_media, text.has_foreign) {
                (true, _) => ONLY_MEDIA,
                (false, true) => chat_text::NO_OWN_WORDS,
                (false, false) => EMPTY,
            }));
        }
        if chat_text::is_only_links(&text.own) {
            return Ok(Err(ONLY_LINKS));
        }
        let author = MessageAuthor {
            name: export_rows::text(message, "from"),
            address: export_rows::text(message, "from_id"),
        };
        if author == MessageAuthor::default() {
            return Err("fields `from` and `from_id` are missing".to_owned());
        }
        let name = self.chat.name.clone();
        let chat =
            self.chat.id.clone().or_else(|| name.clone()).unwrap_or_else(|| "chat".to_owned());
        let within = |id: String| format!("{chat}/{id}");
        // An answer to a message of another chat has that chat's id, `channel1234` or `user1234`.
        let answered = export_rows::text(message, "reply_to_message_id").map(|id| {
            let peer = export_rows::text(message, "reply_to_peer_id");
            let peer =
                peer.map(|peer| peer.trim_start_matches(|c: char| !c.is_ascii_digit()).to_owned());
            format!("{}/{id}", peer.unwrap_or_else(|| chat.clone()))
        });
        let time = export_rows::seconds(message, "date_unixtime");
        Ok(Ok(ExportMessage {
            id: export_rows::text(message, "id").map(within),
            author,
            time: time.or_else(|| export_rows::seconds(message, "date")),
            text: text.own,
            answers: answered.map_or(Answered::Nothing, Answered::Id),
            conversation: Conversation {
                id: chat.clone(),
                title: name.or_else(|| self.title_by_kind()),
                description: None,
            },
            title: None,
            rating: None,
        }))
    }

    /// Chats with oneself and with deleted accounts have no name.
    fn title_by_kind(&self) -> Option<String> {
        let is_own = self.chat.kind.as_deref() == Some("saved_messages");
        is_own.then(|| "Saved messages".to_owned())
    }
}

#[derive(Default)]
struct FlatText {
    /// The author's own words.
    own: String,
    /// Whether something was quoted or is code.
    has_foreign: bool,
}

/// Joins the parts of a text: it is a string, or a list of strings and of objects with `type` and `text`.
fn flat_text(text: &Value) -> Result<FlatText, String> {
    let parts = match text {
        Value::Null => &[][..],
        Value::Array(parts) => parts.as_slice(),
        whole => std::slice::from_ref(whole),
    };
    let (mut flat, mut has_foreign) = (String::new(), false);
    for part in parts {
        match part {
            Value::String(part) => flat.push_str(part),
            Value::Object(part) => {
                let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
                match part.get("text").and_then(Value::as_str) {
                    Some(_) if NOT_OWN.contains(&kind) => has_foreign = true,
                    Some(text) => flat.push_str(text),
                    None => {}
                }
            }
            Value::Null => {}
            _ => return Err("field `text` is neither a text nor a list of texts".to_owned()),
        }
    }
    let lines: Vec<&str> = flat.lines().map(str::trim_end).collect();
    Ok(FlatText { own: chat_text::trimmed_lines(&lines), has_foreign })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::import::messages::testing::{self, Summary};

    fn read(contents: &[u8]) -> Summary {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("result.json"), contents).unwrap();
        testing::summary(&mut open(folder.path()).unwrap())
    }

    fn chat() -> Value {
        json!({
            "name": "Lake people", "type": "private_group", "id": 4_211_000_017_u64,
            "messages": [
                {"id": 1, "type": "service", "date": "2023-01-13T09:00:00", "date_unixtime": "1673600400",
                 "actor": "Berta", "actor_id": "user17", "action": "create_group", "text": ""},
                {"id": 2, "type": "message", "date": "2023-01-13T09:01:00", "date_unixtime": "1673600460",
                 "from": "Berta", "from_id": "user17", "text": "Who has the big tent?", "text_entities": []},
                {"id": 3, "type": "message", "date": "2023-01-13T09:02:00", "date_unixtime": "1673600520",
                 "from": "Anna", "from_id": "user18", "reply_to_message_id": 2,
                 "text": ["Me, see ", {"type": "link", "text": "https://tamsel.example"}, " and ask ",
                          {"type": "mention_name", "text": "Bo", "user_id": 19}, "!",
                          {"type": "blockquote", "text": "no refunds"}]},
                {"id": 4, "type": "message", "date_unixtime": "1673600580", "from": "Anna", "from_id": "user18",
                 "file": "(File not included.)", "media_type": "sticker", "sticker_emoji": "x", "text": ""},
                {"id": 5, "type": "message", "date_unixtime": "1673600580", "from": "Anna", "from_id": "user18",
                 "photo": "photos/1.jpg", "text": "The hole"},
                {"id": 6, "type": "message", "date_unixtime": "1673600580", "from": "Anna", "from_id": "user18",
                 "forwarded_from": null, "text": "Storm warning"},
                {"id": 7, "type": "message", "date_unixtime": "1673600580", "from": "Anna", "from_id": "user18",
                 "via_bot": "@gif", "text": "dancing"},
                {"id": 8, "type": "message", "date_unixtime": "1673600580", "from": null, "from_id": "user20",
                 "text": [{"type": "link", "text": "https://tamsel.example"}]},
                {"id": 9, "type": "message", "date": "2023-01-13T09:05:00", "from": null, "from_id": "user20",
                 "text": "Gone since"},
                {"id": 10, "type": "message", "text": "Nobody"},
                {"id": 11, "type": "message", "from": "Anna", "text": {"x": 1}},
                {"id": 12, "type": "message", "from": "Anna", "text": 5},
                null,
                {"id": 13, "type": "message", "from": "Anna", "from_id": "user18", "date_unixtime": "never",
                 "date": "31.31.3131", "text": "Late"},
            ]
        })
    }

    #[test]
    fn one_chat() {
        let read = read(&serde_json::to_vec_pretty(&chat()).unwrap());
        let texts: Vec<&str> = read.messages.iter().map(|m| m.text.as_str()).collect();
        let expected = [
            "Who has the big tent?",
            "Me, see https://tamsel.example and ask Bo!",
            "The hole",
            "Gone since",
            "Late",
        ];
        assert_eq!(texts, expected);
        let answer = &read.messages[1];
        assert_eq!(answer.answers, Answered::Id("4211000017/2".to_owned()));
        assert_eq!(read.messages[0].id.as_deref(), Some("4211000017/2"));
        assert_eq!(answer.time, Some(1_673_600_520));
        assert_eq!(answer.conversation.title.as_deref(), Some("Lake people"));
        assert_eq!(read.messages[3].author.address.as_deref(), Some("user20"));
        assert_eq!(read.messages[3].time, Some(1_673_600_700));
        assert_eq!(read.messages[4].time, None);
        let left =
            [(SYSTEM, 1), (ONLY_MEDIA, 1), (FORWARDED, 1), (BOTS, 1), (ONLY_LINKS, 1), (EMPTY, 1)];
        assert_eq!(read.left, left.into());
        assert_eq!(read.malformed.len(), 3, "{:?}", read.malformed);
    }

    #[test]
    fn an_account_with_several_chats() {
        let mut bot = chat();
        bot["type"] = json!("bot_chat");
        bot["messages"] = json!([{"id": 1, "type": "message", "from": "B", "text": "beep"}]);
        let own = json!({"type": "saved_messages", "id": 5, "messages": [
            {"id": 1, "type": "message", "from": "Anna", "from_id": "user18", "text": "Note"}]});
        let account = json!({
            "about": "Here is the data you requested.", "personal_information": {"user_id": 18, "name": "x"},
            "contacts": {"list": [{"name": "no chat"}]},
            "chats": {"about": "...", "list": [chat(), bot, own]},
            "left_chats": {"list": [{"name": null, "id": 6, "messages": [
                {"id": 1, "type": "message", "from": "Anna", "from_id": "user18", "text": "Bye"}]}]},
        });
        let text = serde_json::to_vec(&account).unwrap();
        assert!(looks_like(
            Path::new("result.json"),
            br#"{"about": "Here is the data from Telegram"#
        ));
        let read = read(&text);
        let last: Vec<(&str, &str, Option<&str>)> = read.messages[5..]
            .iter()
            .map(|m| (m.text.as_str(), m.conversation.id.as_str(), m.conversation.title.as_deref()))
            .collect();
        assert_eq!(last, [("Note", "5", Some("Saved messages")), ("Bye", "6", None)]);
        assert_eq!(read.left[BOTS], 2);
    }

    #[test]
    fn damaged_exports() {
        let whole = serde_json::to_vec_pretty(&chat()).unwrap();
        let at = whole.windows(8).position(|w| w == b"The hole").unwrap();
        let cut = read(&whole[..at]);
        assert_eq!(cut.messages.len(), 2);
        assert_eq!(cut.malformed.len(), 1);
        assert!(cut.malformed[0].1.contains("ends within"), "{:?}", cut.malformed);
        assert!(cut.malformed[0].0.contains("result.json line "));
        let other = read(b"{\"users\": []}");
        assert!(other.malformed[0].1.contains("`messages`"));
        assert_eq!(read(b"<html>").malformed.len(), 1);
        let folder = tempfile::tempdir().unwrap();
        let none = testing::summary(&mut open(folder.path()).unwrap());
        assert!(none.malformed[0].1.contains("result.json"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_message_is_read(values in prop::collection::vec(crate::import::python_literal_tests::any_json(), 0..6)) {
            let mut message = json!({"type": "message", "from": "Anna"});
            let names = ["text", "type", "from", "id", "date_unixtime", "reply_to_message_id"];
            for (name, value) in names.iter().zip(&values) {
                message[*name] = value.clone();
            }
            let document = json!({"id": values.first(), "messages": [message, values]});
            let read = read(&serde_json::to_vec(&document).unwrap());
            prop_assert!(read.messages.iter().all(|m| !m.text.trim().is_empty()));
        }
    }
}
