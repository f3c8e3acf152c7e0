//! The archive of a Mastodon account: `outbox.json` with all posts as ActivityPub activities, and
//! `actor.json` with the account.

use std::path::Path;

use serde_json::Value;

use super::archive::{self, ExportFiles, OWNER_UNNAMED};
use super::chat_text::{self, EMPTY, NO_OWN_WORDS, ONLY_LINKS, ONLY_MEDIA};
use super::export_rows::{self, document, malformed, small_document};
use super::json_stream::{JsonVisitor, JsonWant};
use super::{
    Answered, ByteCount, Conversation, ExportMessage, ExportReader, Found, MessageAuthor, OnFound,
    html,
};
use crate::Result;

/// Reason for leaving out posts of others that were shared.
const BOOSTS: &str = "boosts";
/// Reason for leaving out activities that are no posts.
const NO_POST: &str = "activities other than posts";

/// Whether a file begins like an outbox, or a folder or an archive has one.
pub(super) fn looks_like(path: &Path, head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let is_outbox = text.contains("\"OrderedCollection\"") && text.contains("\"orderedItems\"");
    is_outbox || archive::holds(path, head, is_outbox_name)
}

fn is_outbox_name(name: &str) -> bool {
    name == "outbox.json" || name.ends_with("/outbox.json")
}

/// Opens `outbox.json`, or a folder or an archive with it.
///
/// # Errors
/// [`crate::Error::Open`].
pub(super) fn open(path: &Path) -> Result<MastodonReader> {
    let files = ExportFiles::open(path)?;
    let is_single = path.is_file() && files.names().count() == 1;
    let outboxes = files.named(|name| is_single || is_outbox_name(name));
    Ok(MastodonReader { files, outboxes })
}

/// Reads archives of Mastodon accounts.
pub(super) struct MastodonReader {
    files: ExportFiles,
    outboxes: Vec<String>,
}

impl ExportReader for MastodonReader {
    fn read(&mut self, on: &mut OnFound<'_>) -> Result<()> {
        if self.outboxes.is_empty() {
            let place = self.files.root().display().to_string();
            on(Found::Malformed { place, reason: "no file outbox.json".to_owned() })?;
        }
        let is_actor = |name: &str| name == "actor.json" || name.ends_with("/actor.json");
        let actor = small_document(self.files.companion(is_actor)).unwrap_or_default();
        for name in &self.outboxes {
            let file = self.files.shown(name);
            let mut outbox =
                OutboxVisitor { file: &file, actor: &actor, has_list: false, is_bad: false, on };
            if !document(&self.files, name, &mut outbox)? {
                break;
            }
            if !outbox.has_list && !outbox.is_bad {
                let reason = "no list `orderedItems`; expected outbox.json".to_owned();
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
        Some(self.files.size_of(&self.outboxes))
    }
}

struct OutboxVisitor<'a, 'b> {
    file: &'a str,
    actor: &'a Value,
    has_list: bool,
    is_bad: bool,
    on: &'a mut OnFound<'b>,
}

impl JsonVisitor for OutboxVisitor<'_, '_> {
    fn wants(&mut self, path: &str) -> JsonWant {
        match path {
            "" | "orderedItems" => JsonWant::Enter,
            "orderedItems[]" => JsonWant::Take,
            _ => JsonWant::Skip,
        }
    }

    fn enter(&mut self, path: &str) {
        self.has_list |= path == "orderedItems";
    }

    fn take(&mut self, _path: &str, line: u64, value: Result<Value, String>) -> Result<bool> {
        let found = match value.and_then(|activity| post(&activity, self.actor)) {
            Ok(Ok(message)) => Found::Message(message),
            Ok(Err(reason)) => Found::Left { reason },
            Err(reason) => {
                self.is_bad = true;
                malformed(self.file, line, reason)
            }
        };
        (self.on)(found)
    }
}

/// Returns the post of an activity, or the reason to leave it out, or the reason why it cannot be read.
fn post(activity: &Value, actor: &Value) -> Result<Result<ExportMessage, &'static str>, String> {
    if !activity.is_object() {
        return Err("no object where an activity was expected".to_owned());
    }
    match export_rows::text(activity, "type").as_deref() {
        Some("Announce") => return Ok(Err(BOOSTS)),
        Some("Create" | "Update") => {}
        Some(_) => return Ok(Err(NO_POST)),
        None => return Err("field `type` is missing".to_owned()),
    }
    let field = |name: &str| export_rows::text(activity, &format!("object.{name}"));
    let Some(content) = field("content").or_else(|| first_of_map(activity)) else {
        return Ok(Err(without_words(activity)));
    };
    let text = html::text_of(&content);
    // A quoted post begins with its address.
    let text = match text.strip_prefix("RE: http").and_then(|text| text.split_once('\n')) {
        Some((_, own)) => own,
        None => &text,
    };
    let own = chat_text::own_words(text);
    let own = chat_text::without_addressees(&own);
    if own.is_empty() {
        let has_text = !text.trim().is_empty();
        return Ok(Err(if has_text { NO_OWN_WORDS } else { without_words(activity) }));
    }
    if chat_text::is_only_links(own) {
        return Ok(Err(ONLY_LINKS));
    }
    let (id, answered) = (field("id"), field("inReplyTo"));
    let thread = field("conversation").or_else(|| field("context"));
    let conversation = thread.or_else(|| answered.clone()).or_else(|| id.clone());
    Ok(Ok(ExportMessage {
        author: author(activity, actor),
        conversation: Conversation {
            id: conversation.ok_or("field `object.id` is missing")?,
            title: None,
            description: None,
        },
        id,
        time: export_rows::seconds(activity, "object.published")
            .or_else(|| export_rows::seconds(activity, "published")),
        text: own.to_owned(),
        answers: answered.map_or(Answered::Nothing, Answered::Id),
        // The content warning.
        title: field("summary").map(|summary| html::text_of(&summary)),
        rating: None,
    }))
}

fn without_words(activity: &Value) -> &'static str {
    let files = activity.pointer("/object/attachment").and_then(Value::as_array);
    if files.is_some_and(|files| !files.is_empty()) { ONLY_MEDIA } else { EMPTY }
}

/// The content in the first language that it is given in.
fn first_of_map(activity: &Value) -> Option<String> {
    let map = activity.pointer("/object/contentMap")?.as_object()?;
    map.values().find_map(Value::as_str).map(str::to_owned)
}

fn author(activity: &Value, actor: &Value) -> MessageAuthor {
    let address = ["id", "url"].iter().find_map(|name| export_rows::text(actor, name));
    let address = address
        .or_else(|| export_rows::text(activity, "actor"))
        .or_else(|| export_rows::text(activity, "object.attributedTo"));
    let of_address = address.as_deref().and_then(|address| address.rsplit('/').next());
    let user = export_rows::text(actor, "preferredUsername")
        .or_else(|| of_address.map(|user| user.trim_start_matches('@').to_owned()));
    let host = address.as_deref().and_then(|address| address.split('/').nth(2));
    let handle = match (&user, host) {
        (Some(user), Some(host)) => Some(format!("@{user}@{host}")),
        _ => None,
    };
    let name = export_rows::text(actor, "name").or(user);
    MessageAuthor {
        name: Some(name.unwrap_or_else(|| OWNER_UNNAMED.to_owned())),
        address: handle.or(address),
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

    fn read(outbox: &[u8], actor: Option<&str>) -> Summary {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("outbox.json"), outbox).unwrap();
        if let Some(actor) = actor {
            fs::write(folder.path().join("actor.json"), actor).unwrap();
        }
        assert!(looks_like(folder.path(), b""));
        testing::summary(&mut open(folder.path()).unwrap())
    }

    fn outbox() -> Value {
        let note = |id: u64, content: &str| {
            json!({
                "id": format!("https://lake.example/users/anna/statuses/{id}/activity"), "type": "Create",
                "actor": "https://lake.example/users/anna", "published": "2023-01-13T09:01:00Z", "to": ["https://www.w3.org/ns/activitystreams#Public"],
                "object": {
                    "id": format!("https://lake.example/users/anna/statuses/{id}"), "type": "Note", "summary": null, "inReplyTo": null,
                    "published": "2023-01-13T09:01:00Z", "attributedTo": "https://lake.example/users/anna", "sensitive": false,
                    "conversation": format!("tag:lake.example,2023-01-13:objectId={id}:objectType=Conversation"),
                    "content": content, "contentMap": {"en": content}, "attachment": [], "tag": [],
                }
            })
        };
        let mut reply = note(
            2,
            "<p><span class=\"h-card\"><a href=\"https://other.example/@bo\" class=\"u-url mention\">@<span>bo</span></a></span> Yes &amp; no.<br />See <a href=\"https://x.example/a\"><span class=\"invisible\">https://</span><span class=\"\">x.example/a</span><span class=\"invisible\"></span></a></p>",
        );
        reply["object"]["inReplyTo"] = json!("https://other.example/users/bo/statuses/9");
        reply["object"]["conversation"] =
            json!("tag:other.example,2023:objectId=1:objectType=Conversation");
        let mut warned =
            note(3, "<p>It ends well.</p><blockquote><p>a quote</p></blockquote><p>Really.</p>");
        warned["object"]["summary"] = json!("Film &amp; plot");
        let mut picture = note(4, "");
        picture["object"]["attachment"] = json!([{"type": "Document", "mediaType": "image/png"}]);
        let mut bad = note(8, "x");
        bad["object"]["id"] = json!(null);
        bad["object"]["conversation"] = json!(null);
        json!({
            "@context": "https://www.w3.org/ns/activitystreams", "id": "outbox.json", "type": "OrderedCollection", "totalItems": 9,
            "orderedItems": [
                note(1, "<p>First &lt;post&gt;</p><p>on the lake</p>"), reply, warned, picture,
                {"id": "x", "type": "Announce", "actor": "https://lake.example/users/anna", "object": "https://other.example/1"},
                note(5, "<p><a href=\"https://x.example\">https://x.example</a></p>"),
                note(6, "<p>@bo</p>"), note(7, ""), {"type": "Delete"}, bad, null, {"no": "type"},
            ]
        })
    }

    #[test]
    fn an_archive() {
        let actor = r#"{"id": "https://lake.example/users/anna", "type": "Person", "preferredUsername": "anna", "name": "Anna Horvat"}"#;
        let read = read(&serde_json::to_vec_pretty(&outbox()).unwrap(), Some(actor));
        let texts: Vec<&str> = read.messages.iter().map(|m| m.text.as_str()).collect();
        let expected = [
            "First <post>\n\non the lake",
            "Yes & no.\nSee https://x.example/a",
            "It ends well.\n\nReally.",
        ];
        assert_eq!(texts, expected);
        let [first, reply, warned] = &read.messages[..] else { unreachable!() };
        assert_eq!(
            reply.answers,
            Answered::Id("https://other.example/users/bo/statuses/9".to_owned())
        );
        assert!(reply.conversation.id.starts_with("tag:other.example"));
        assert_eq!(first.id.as_deref(), Some("https://lake.example/users/anna/statuses/1"));
        assert_eq!(first.time, Some(1_673_600_460));
        assert_eq!(first.author.name.as_deref(), Some("Anna Horvat"));
        assert_eq!(first.author.address.as_deref(), Some("@anna@lake.example"));
        assert_eq!(warned.title.as_deref(), Some("Film & plot"));
        let left = [
            (BOOSTS, 1),
            (ONLY_MEDIA, 1),
            (ONLY_LINKS, 1),
            (NO_OWN_WORDS, 1),
            (EMPTY, 1),
            (NO_POST, 1),
        ];
        assert_eq!(read.left, left.into());
        assert_eq!(read.malformed.len(), 3, "{:?}", read.malformed);
    }

    #[test]
    fn without_an_actor_and_damaged() {
        let whole = serde_json::to_vec(&outbox()).unwrap();
        let alone = read(&whole, Some("{damaged"));
        assert_eq!(alone.messages[0].author.name.as_deref(), Some("anna"));
        assert_eq!(alone.messages[0].author.address.as_deref(), Some("@anna@lake.example"));
        let at = whole.windows(4).position(|w| w == b"Film").unwrap();
        let cut = read(&whole[..at], None);
        assert_eq!((cut.messages.len(), cut.malformed.len()), (2, 1));
        assert!(read(b"{\"orderedItems\": 5}", None).malformed[0].1.contains("orderedItems"));
    }

    proptest! {
        #[test]
        fn any_activity_is_read(values in prop::collection::vec(crate::import::python_literal_tests::any_json(), 0..7)) {
            let mut object = json!({});
            let names = ["content", "id", "inReplyTo", "conversation", "summary", "attachment", "contentMap"];
            for (name, value) in names.iter().zip(&values) {
                object[*name] = value.clone();
            }
            let activity = json!({"type": "Create", "object": object, "actor": values.first()});
            if let Ok(Ok(message)) = post(&activity, &json!(values)) {
                prop_assert!(!message.text.trim().is_empty());
            }
        }
    }
}
