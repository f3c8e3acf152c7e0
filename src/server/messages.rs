//! Messages of a request as a conversation.

use idiolect_engine::lm::{Chat, Message, Role};
use serde_json::{Map, Value};

use crate::error::ApiError;

/// Keys of a message that are taken and not used.
const UNUSED: &[&str] =
    &["name", "refusal", "annotations", "id", "status", "phase", "type", "reasoning_content"];

/// Reads a list of messages. `param` is the name of the field that holds it.
///
/// # Errors
/// 400 that names the message and the key that is wrong.
pub(crate) fn conversation(param: &str, messages: &[Value]) -> Result<Chat, ApiError> {
    if messages.is_empty() {
        return Err(ApiError::field(param, format!("`{param}` is empty")));
    }
    let read = |(index, value)| message(&format!("{param}[{index}]"), value);
    let messages = messages.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    Ok(Chat { messages, answer_start: String::new() })
}

/// The conversation with its last message, which must be the assistant's, as the beginning of the
/// answer.
///
/// # Errors
/// 400 if the last message is not the assistant's.
pub(crate) fn continued(mut chat: Chat) -> Result<Chat, ApiError> {
    match chat.messages.pop() {
        Some(Message { role: Role::Assistant, content }) => {
            Ok(Chat { answer_start: content, ..chat })
        }
        _ => {
            let message = "`continue_final_message` needs an assistant's message last";
            Err(ApiError::field("continue_final_message", message))
        }
    }
}

fn message(place: &str, value: &Value) -> Result<Message, ApiError> {
    let wrong = |key: &str, what: &str| {
        let param = if key.is_empty() { place.to_owned() } else { format!("{place}.{key}") };
        ApiError::field(param.clone(), format!("`{param}` {what}"))
    };
    let Some(fields) = value.as_object() else { return Err(wrong("", "is no object")) };
    for (key, value) in fields {
        let is_empty = value.is_null() || *value == Value::Array(Vec::new());
        match key.as_str() {
            "role" | "content" => {}
            key if UNUSED.contains(&key) => {}
            "tool_calls" | "function_call" | "audio" | "tool_call_id" if is_empty => {}
            key => return Err(wrong(key, "is not supported")),
        }
    }
    if fields.get("type").is_some_and(|kind| kind != "message") {
        return Err(wrong("type", "is not supported; only messages are"));
    }
    let role = match fields.get("role").and_then(Value::as_str) {
        Some("system" | "developer") => Role::System,
        Some("user") => Role::User,
        Some("assistant") => Role::Assistant,
        Some("tool" | "function") => {
            return Err(wrong("role", "is a tool's: tools are not supported"));
        }
        _ => return Err(wrong("role", "is not one of system, developer, user, assistant")),
    };
    let content = match fields.get("content") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => {
            let texts = parts.iter().enumerate().map(|(index, part)| {
                part.as_object().and_then(part_text).ok_or_else(|| {
                    wrong(&format!("content[{index}]"), "is no text; only texts are supported")
                })
            });
            texts.collect::<Result<Vec<_>, _>>()?.join("\n")
        }
        Some(_) => return Err(wrong("content", "is no text and no list of parts")),
    };
    Ok(Message { role, content })
}

/// The text of a part.
fn part_text(part: &Map<String, Value>) -> Option<&str> {
    match part.get("type")?.as_str()? {
        "text" | "input_text" | "output_text" => part.get("text")?.as_str(),
        "refusal" => part.get("refusal")?.as_str(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn roles_and_contents_of_all_clients_are_read() {
        let messages = json!([
            { "role": "developer", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "input_text", "text": "b" }] },
            { "role": "assistant", "content": null, "refusal": null, "tool_calls": [] },
            { "role": "user", "content": "", "name": "ann" },
        ]);
        let chat = conversation("messages", messages.as_array().unwrap()).unwrap();
        let want = Chat::default()
            .with(Role::System, "Be brief.")
            .with(Role::User, "a\nb")
            .with(Role::Assistant, "")
            .with(Role::User, "");
        assert_eq!(chat, want);
    }

    #[test]
    fn other_messages_are_refused_by_their_place() {
        for (message, param) in [
            (json!("hi"), "messages[1]"),
            (json!({ "content": "a" }), "messages[1].role"),
            (json!({ "role": "tool", "content": "a" }), "messages[1].role"),
            (json!({ "role": "user", "content": 3 }), "messages[1].content"),
            (
                json!({ "role": "user", "content": [{ "type": "image_url", "image_url": {} }] }),
                "messages[1].content[0]",
            ),
            (json!({ "role": "assistant", "tool_calls": [{}] }), "messages[1].tool_calls"),
            (json!({ "role": "user", "content": "a", "bogus": 1 }), "messages[1].bogus"),
        ] {
            let messages = [json!({ "role": "user", "content": "a" }), message.clone()];
            let error = conversation("messages", &messages).unwrap_err();
            assert_eq!(error.to_json()["error"]["param"], param, "{message}");
        }
        assert!(conversation("messages", &[]).is_err());
    }

    #[test]
    fn the_last_answer_is_continued() {
        let chat = Chat::default().with(Role::User, "Go").with(Role::Assistant, "Well");
        let continued_chat = continued(chat).unwrap();
        assert_eq!((continued_chat.messages.len(), &*continued_chat.answer_start), (1, "Well"));
        assert!(continued(Chat::default().with(Role::User, "Go")).is_err());
    }
}
