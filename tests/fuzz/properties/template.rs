//! Chat templates with hostile messages: template, BOS, EOS and messages, with a zero byte between.

use idiolect_engine::model::chat::{Chat, ChatTemplate, Message, Role};
use idiolect_engine::model::tokenizer::Piece;

use super::HOSTILE;

pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut parts = text.split('\0');
    let source = parts.next().unwrap_or_default();
    let (bos, eos) = (parts.next().unwrap_or("<s>"), parts.next().unwrap_or("</s>"));
    let mut messages: Vec<&str> = parts.take(8).collect();
    if messages.is_empty() {
        messages.extend(HOSTILE);
    }
    let template = ChatTemplate::from_source(source, bos, eos);
    for first in [Role::System, Role::User] {
        let roles =
            [first, Role::User, Role::Assistant].into_iter().chain(std::iter::repeat(Role::User));
        let chat = messages
            .iter()
            .zip(roles)
            .fold(Chat::default(), |chat, (text, role)| chat.with(role, *text));
        check_rendering(&template, &chat);
    }
}

/// Each message comes out once, as data; the markup does not depend on what messages say.
pub fn check_rendering(template: &ChatTemplate, chat: &Chat) {
    let Ok(pieces) = template.render(chat) else { return };
    assert_eq!(template.render(chat).unwrap(), pieces, "differs from rendering to rendering");
    let mut said = data(&pieces);
    let mut given: Vec<String> = visible(&chat.messages).map(str::to_owned).collect();
    said.sort();
    given.sort();
    if said != given {
        // A system message that the template refuses is put before the first message of the user.
        let folded: String = given.concat();
        let count = |text: &str| text.chars().filter(|c| !c.is_whitespace()).count();
        assert!(
            said.len() + 1 == given.len() && count(&said.concat()) == count(&folded),
            "{said:?} of {given:?}"
        );
    }
}

fn data(pieces: &[Piece]) -> Vec<String> {
    let texts = pieces.iter().filter_map(|piece| match piece {
        Piece::Data(text) if !text.trim().is_empty() => Some(text.trim().to_owned()),
        _ => None,
    });
    texts.collect()
}

fn visible(messages: &[Message]) -> impl Iterator<Item = &str> {
    messages.iter().map(|message| message.content.trim()).filter(|text| !text.is_empty())
}
