//! Workspaces exported by Slack: a folder or a zip archive with `users.json`, `channels.json`, and for each
//! channel a folder of JSON files, one a day.
//!
//! Described in Slack's help, "How to read Slack data exports", and in the reference of its API (messages
//! and `mrkdwn` texts).

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value;

use super::archive::{self, ExportFiles};
use super::chat_text::{self, BOTS, DELETED, EMPTY, NO_OWN_WORDS, ONLY_LINKS, ONLY_MEDIA, SYSTEM};
use super::export_rows::{self, document, is_true, malformed, rows};
use super::json_stream::{JsonVisitor, JsonWant};
use super::{
    Answered, ByteCount, Conversation, ExportMessage, ExportReader, Found, MessageAuthor, OnFound,
};
use crate::Result;
use crate::import::entities;

/// Kinds of messages that people write; all others but bots' are lines of the system.
const BY_PEOPLE: [&str; 5] =
    ["me_message", "thread_broadcast", "file_share", "file_comment", "reply_broadcast"];
/// Lists of conversations: public and private channels, groups, direct messages.
const LISTS: [&str; 4] = ["channels.json", "groups.json", "mpims.json", "dms.json"];
/// Id of Slack's own bot.
const SLACKBOT: &str = "USLACKBOT";

/// Whether a folder or an archive is an export of a workspace, or a file is a day of a channel.
pub(super) fn looks_like(path: &Path, head: &[u8]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let text = String::from_utf8_lossy(head);
    let is_day = is_day(&name) && text.contains("\"ts\"");
    is_day
        || archive::holds(path, head, is_day_of_channel)
            && archive::holds(path, head, |name| {
                LISTS.contains(&base(name)) || base(name) == "users.json"
            })
}

/// Opens an export, the folder of a channel, or the file of a day.
///
/// # Errors
/// [`crate::Error::Open`].
pub(super) fn open(path: &Path) -> Result<SlackReader> {
    let files = ExportFiles::open(path)?;
    let is_single = path.is_file() && files.names().count() == 1;
    let days = files.named(|name| is_single || is_day(base(name)));
    Ok(SlackReader { files, days })
}

/// Reads exports of Slack.
pub(super) struct SlackReader {
    files: ExportFiles,
    days: Vec<String>,
}

fn base(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Whether a name is that of a day, `2023-01-13.json`.
fn is_day(name: &str) -> bool {
    let Some(day) = name.strip_suffix(".json") else { return false };
    day.len() == 10
        && day.char_indices().all(|(at, c)| match at {
            4 | 7 => c == '-',
            _ => c.is_ascii_digit(),
        })
}

fn is_day_of_channel(name: &str) -> bool {
    name.contains('/') && is_day(base(name))
}

impl ExportReader for SlackReader {
    fn read(&mut self, on: &mut OnFound<'_>) -> Result<()> {
        if self.days.is_empty() {
            let place = self.files.root().display().to_string();
            let reason = "no file CHANNEL/YYYY-MM-DD.json; expected an export of Slack".to_owned();
            on(Found::Malformed { place, reason })?;
        }
        let workspace = Workspace::read(&self.files);
        for name in &self.days {
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| base(folder));
            let root = self.files.root();
            let folder = match folder {
                // The export is the folder of one channel.
                "" if root.is_dir() => root.file_name().unwrap_or_default().to_string_lossy(),
                "" => root.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy(),
                folder => folder.into(),
            };
            let file = self.files.shown(name);
            let channel = workspace.channel(&folder);
            let mut day = DayVisitor { file: &file, channel, workspace: &workspace, on };
            if !document(&self.files, name, &mut day)? {
                break;
            }
        }
        Ok(())
    }

    fn bytes_read(&self) -> Option<ByteCount> {
        Some(self.files.bytes_read())
    }

    fn size(&self) -> Option<u64> {
        Some(self.files.size_of(&self.days))
    }
}

/// People and channels of a workspace.
#[derive(Default)]
struct Workspace {
    users: HashMap<String, SlackUser>,
    /// Channels by the names of their folders.
    channels: HashMap<String, Conversation>,
}

struct SlackUser {
    name: String,
    mail: Option<String>,
    is_bot: bool,
}

impl SlackUser {
    fn of(user: &Value) -> Option<(String, Self)> {
        let id = export_rows::text(user, "id")?;
        let names = ["profile.display_name", "profile.real_name", "real_name", "name"];
        let name = names.iter().find_map(|name| export_rows::text(user, name))?;
        let mail = export_rows::text(user, "profile.email");
        let is_bot = is_true(user, "is_bot") || id == SLACKBOT;
        Some((id, Self { name, mail, is_bot }))
    }
}

impl Workspace {
    /// Reads the lists beside the channels, as far as they can be read.
    fn read(files: &ExportFiles) -> Self {
        let mut workspace = Self::default();
        for name in files.named(|name| base(name) == "users.json") {
            // What is not known is told by its id.
            let _ = rows(files, &name, &[], &mut |_, user| {
                workspace.users.extend(user.ok().and_then(|user| SlackUser::of(&user)));
                Ok(true)
            });
        }
        for name in files.named(|name| LISTS.contains(&base(name))) {
            let _ = rows(files, &name, &[], &mut |_, channel| {
                let channel = channel.ok().and_then(|channel| workspace.listed(&channel));
                workspace.channels.extend(channel);
                Ok(true)
            });
        }
        workspace
    }

    fn listed(&self, channel: &Value) -> Option<(String, Conversation)> {
        let id = export_rows::text(channel, "id")?;
        let name = export_rows::text(channel, "name");
        let about = ["topic.value", "purpose.value"];
        let about: Vec<String> =
            about.iter().filter_map(|name| export_rows::text(channel, name)).collect();
        let members = channel.get("members").and_then(Value::as_array);
        let names: Vec<String> = members
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(|id| self.name(id))
            .collect();
        // Groups have names made of handles, `mpdm-ann--bo--cy-1`; direct messages have none.
        let title = match &name {
            Some(name) if !name.starts_with("mpdm-") => Some(format!("#{name}")),
            _ if names.is_empty() => None,
            _ => Some(names.join(", ")),
        };
        let description = Some(self.plain(&about.join(" "))).filter(|about| !about.is_empty());
        let folder = name.unwrap_or_else(|| id.clone());
        Some((folder, Conversation { id, title, description }))
    }

    fn channel(&self, folder: &str) -> Conversation {
        self.channels.get(folder).cloned().unwrap_or_else(|| Conversation {
            id: folder.to_owned(),
            title: Some(format!("#{folder}")),
            description: None,
        })
    }

    fn name(&self, id: &str) -> String {
        self.users.get(id).map_or_else(|| id.to_owned(), |user| user.name.clone())
    }

    /// Plain text of `mrkdwn`: names in place of ids, labels in place of links, entities decoded.
    fn plain(&self, text: &str) -> String {
        let mut plain = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            plain.push_str(&rest[..at]);
            let inner = &rest[at + 1..];
            let Some(end) =
                inner.find(['>', '<', '\n']).filter(|end| inner[*end..].starts_with('>'))
            else {
                plain.push('<');
                rest = inner;
                continue;
            };
            self.push_reference(&inner[..end], &mut plain);
            rest = &inner[end + 1..];
        }
        plain.push_str(rest);
        entities::clean(&plain)
    }

    fn push_reference(&self, reference: &str, plain: &mut String) {
        let (target, label) = match reference.split_once('|') {
            Some((target, label)) => (target, Some(label).filter(|label| !label.is_empty())),
            None => (reference, None),
        };
        if let Some(id) = target.strip_prefix('@') {
            plain.push('@');
            match (self.users.get(id), label) {
                (None, Some(label)) => plain.push_str(label.trim_start_matches('@')),
                _ => plain.push_str(&self.name(id)),
            }
        } else if let Some(id) = target.strip_prefix('#') {
            plain.push('#');
            plain.push_str(label.unwrap_or(id));
        } else if let Some(special) = target.strip_prefix('!') {
            // `!here`, `!subteam^S1|@team`, `!date^1392734382^{date}|18 February`.
            let name = format!("@{}", special.split('^').next().unwrap_or_default());
            plain.push_str(label.unwrap_or(&name));
        } else {
            plain.push_str(label.unwrap_or(target).trim_start_matches("mailto:"));
        }
    }
}

/// Reads the messages of a day of a channel.
struct DayVisitor<'a, 'b> {
    file: &'a str,
    channel: Conversation,
    workspace: &'a Workspace,
    on: &'a mut OnFound<'b>,
}

impl JsonVisitor for DayVisitor<'_, '_> {
    fn wants(&mut self, path: &str) -> JsonWant {
        match path {
            "" => JsonWant::Enter,
            "[]" => JsonWant::Take,
            _ => JsonWant::Skip,
        }
    }

    fn take(&mut self, _path: &str, line: u64, value: Result<Value, String>) -> Result<bool> {
        let read = value.and_then(|message| self.read(&message));
        (self.on)(match read {
            Ok(Ok(message)) => Found::Message(message),
            Ok(Err(reason)) => Found::Left { reason },
            Err(reason) => malformed(self.file, line, reason),
        })
    }
}

impl DayVisitor<'_, '_> {
    /// Returns the message, or the reason to leave it out, or the reason why it cannot be read.
    fn read(&self, message: &Value) -> Result<Result<ExportMessage, &'static str>, String> {
        if !message.is_object() {
            return Err("no object where a message was expected".to_owned());
        }
        let field = |name: &str| export_rows::text(message, name);
        let kind = field("subtype");
        let user = field("user").or_else(|| field("bot_id"));
        let known = user.as_ref().and_then(|user| self.workspace.users.get(user));
        match kind.as_deref() {
            Some("bot_message") => return Ok(Err(BOTS)),
            Some("tombstone") => return Ok(Err(DELETED)),
            Some(kind) if !BY_PEOPLE.contains(&kind) => return Ok(Err(SYSTEM)),
            _ => {}
        }
        if field("bot_id").is_some() || known.is_some_and(|user| user.is_bot) {
            return Ok(Err(BOTS));
        }
        if field("type").is_some_and(|kind| kind != "message") {
            return Ok(Err(SYSTEM));
        }
        let marked = field("text").unwrap_or_default();
        let plain = self.workspace.plain(&marked);
        let text = chat_text::own_words(&plain);
        if text.is_empty() {
            let has_file = message.get("files").or_else(|| message.get("file")).is_some();
            return Ok(Err(match (has_file, plain.trim().is_empty()) {
                (true, true) => ONLY_MEDIA,
                (false, true) => EMPTY,
                (_, false) => NO_OWN_WORDS,
            }));
        }
        if chat_text::is_only_links(&text) {
            return Ok(Err(ONLY_LINKS));
        }
        let user = user.ok_or("field `user` is missing")?;
        let of_profile = ["user_profile.display_name", "user_profile.real_name", "username"];
        let name = known.map(|user| user.name.clone());
        let name = name.or_else(|| of_profile.iter().find_map(|name| field(name)));
        let mail = known.and_then(|user| user.mail.clone());
        let within = |time: &str| format!("{}/{time}", self.channel.id);
        let (time, thread) = (field("ts"), field("thread_ts"));
        let mut conversation = self.channel.clone();
        let mut answers = Answered::Nothing;
        if let Some(thread) = &thread {
            conversation.id = within(thread);
            if time.as_ref() != Some(thread) {
                answers = Answered::Id(within(thread));
            }
        }
        Ok(Ok(ExportMessage {
            id: time.as_deref().map(within),
            author: MessageAuthor { name, address: mail.or(Some(user)) },
            conversation,
            time: export_rows::seconds(message, "ts"),
            text,
            answers,
            title: None,
            rating: None,
        }))
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

    fn export(folder: &Path) {
        let write = |name: &str, value: &Value| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, serde_json::to_vec_pretty(value).unwrap()).unwrap();
        };
        write(
            "users.json",
            &json!([
                {"id": "U1", "name": "anna", "real_name": "Anna Horvat",
                 "profile": {"display_name": "", "real_name": "Anna Horvat", "email": "anna@tamsel.example"}},
                {"id": "U2", "name": "bo", "profile": {"display_name": "bo"}},
                {"id": "U3", "name": "helper", "is_bot": true, "profile": {"display_name": "Helper"}},
                null, {"name": "no id"},
            ]),
        );
        write(
            "channels.json",
            &json!([
                {"id": "C1", "name": "lake", "topic": {"value": "Trips &amp; tents"}, "purpose": {"value": ""}},
            ]),
        );
        write("dms.json", &json!([{"id": "D1", "members": ["U1", "U2"]}]));
        write(
            "lake/2023-01-13.json",
            &json!([
                {"type": "message", "subtype": "channel_join", "user": "U1", "text": "<@U1> has joined the channel", "ts": "1673600400.000100"},
                {"type": "message", "user": "U2", "text": "Who has the <https://tamsel.example/tent|big tent>? &lt;3 <!here> <#C2|food>",
                 "ts": "1673600460.000200", "thread_ts": "1673600460.000200", "reply_count": 1, "client_msg_id": "x"},
                {"type": "message", "user": "U1", "text": "&gt; big tent\nMe, ask <@U2> or <@U9>\n```\nlet x = 5;\n```", "ts": "1673600520.000300",
                 "thread_ts": "1673600460.000200", "parent_user_id": "U2"},
                {"type": "message", "subtype": "bot_message", "bot_id": "B1", "text": "beep", "ts": "1673600530.000100"},
                {"type": "message", "user": "U3", "text": "I am a bot", "ts": "1673600530.000200"},
                {"type": "message", "user": "U1", "text": "", "files": [{"id": "F1"}], "ts": "1673600540.000100"},
                {"type": "message", "user": "U1", "text": "<https://tamsel.example>", "ts": "1673600550.000100"},
                {"type": "message", "user": "U1", "text": "&gt; only a quote", "ts": "1673600560.000100"},
                {"type": "message", "subtype": "tombstone", "user": "USLACKBOT", "text": "This message was deleted.", "ts": "1673600570.000100"},
                {"type": "message", "text": "nobody", "ts": "1673600580.000100"},
                {"type": "message", "user": "U8", "user_profile": {"display_name": "Guest"}, "text": "Hi all", "ts": "yesterday"},
                7,
            ]),
        );
        write(
            "D1/2023-01-14.json",
            &json!([
                {"type": "message", "user": "U1", "text": "Just us", "ts": "1673690000.000100"},
            ]),
        );
        fs::write(
            folder.join("lake/2023-01-15.json"),
            "[{\"type\": \"message\", \"user\": \"U1\", \"te",
        )
        .unwrap();
    }

    fn read(path: &Path) -> Summary {
        testing::summary(&mut open(path).unwrap())
    }

    #[test]
    fn a_workspace() {
        let folder = tempfile::tempdir().unwrap();
        export(folder.path());
        assert!(looks_like(folder.path(), b""));
        let read = read(folder.path());
        let found: Vec<(&str, &str, &str)> = read
            .messages
            .iter()
            .map(|m| {
                (m.author.name.as_deref().unwrap(), m.conversation.id.as_str(), m.text.as_str())
            })
            .collect();
        let expected = [
            ("Anna Horvat", "D1", "Just us"),
            ("bo", "C1/1673600460.000200", "Who has the big tent? <3 @here #food"),
            ("Anna Horvat", "C1/1673600460.000200", "Me, ask @bo or @U9"),
            ("Guest", "C1", "Hi all"),
        ];
        assert_eq!(found, expected);
        let (question, answer) = (&read.messages[1], &read.messages[2]);
        assert_eq!(answer.answers, Answered::Id(question.id.clone().unwrap()));
        assert_eq!(question.answers, Answered::Nothing);
        assert_eq!(answer.time, Some(1_673_600_520));
        assert_eq!(answer.author.address.as_deref(), Some("anna@tamsel.example"));
        assert_eq!(answer.conversation.title.as_deref(), Some("#lake"));
        assert_eq!(answer.conversation.description.as_deref(), Some("Trips & tents"));
        assert_eq!(read.messages[0].conversation.title.as_deref(), Some("Anna Horvat, bo"));
        assert_eq!(read.messages[3].time, None);
        let left = [
            (SYSTEM, 1),
            (BOTS, 2),
            (ONLY_MEDIA, 1),
            (ONLY_LINKS, 1),
            (NO_OWN_WORDS, 1),
            (DELETED, 1),
        ];
        assert_eq!(read.left, left.into());
        assert_eq!(read.malformed.len(), 3, "{:?}", read.malformed);
    }

    #[test]
    fn a_channel_or_a_day_alone() {
        let folder = tempfile::tempdir().unwrap();
        export(folder.path());
        let channel = read(&folder.path().join("lake"));
        // The list that says who is a bot lies outside.
        assert_eq!(channel.messages.len(), 4);
        assert_eq!(channel.messages[0].conversation.title.as_deref(), Some("#lake"));
        assert_eq!(channel.messages[0].author.address.as_deref(), Some("U2"));
        let day = folder.path().join("D1/2023-01-14.json");
        assert!(looks_like(&day, &fs::read(&day).unwrap()));
        assert_eq!(read(&day).messages[0].conversation.id, "D1");
        assert!(!looks_like(&folder.path().join("users.json"), b"[]"));
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(read(empty.path()).malformed.len(), 1);
    }

    proptest! {
        #[test]
        fn any_mrkdwn_is_read(text in "(<|>|@|#|!|U1|\\||\\^|https://|&gt;|&amp;| |\n|.)*") {
            let workspace = Workspace::default();
            let _ = chat_text::own_words(&workspace.plain(&text));
        }

        #[test]
        fn any_message_is_read(values in prop::collection::vec(crate::import::python_literal_tests::any_json(), 0..6)) {
            let mut message = json!({"type": "message", "user": "U1"});
            let names = ["text", "type", "user", "ts", "thread_ts", "files"];
            for (name, value) in names.iter().zip(&values) {
                message[*name] = value.clone();
            }
            let workspace = Workspace::default();
            let mut n = 0;
            let on: &mut OnFound<'_> = &mut |_| { n += 1; Ok(true) };
            let channel = workspace.channel("lake");
            let mut day = DayVisitor { file: "f", channel, workspace: &workspace, on };
            prop_assert!(day.take("[]", 1, Ok(message)).unwrap());
            prop_assert!(day.take("[]", 1, Ok(json!(values))).unwrap());
            prop_assert_eq!(n, 2);
        }
    }
}
