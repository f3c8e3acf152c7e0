//! Compares templates with Jinja2's output, and tests hostile messages.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::model::gguf::{Value, writer::Writer};
use crate::model::tokenizer::Tokenizer;

#[derive(serde::Deserialize)]
struct Golden {
    templates: HashMap<String, Source>,
    chats: HashMap<String, Vec<(Role, String)>>,
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Source {
    source: String,
    bos: String,
    eos: String,
    /// Control tokens of the family's markup.
    #[serde(default)]
    control: Vec<String>,
    /// The one that ends an answer.
    #[serde(default)]
    end: String,
}

#[derive(serde::Deserialize)]
struct Case {
    template: String,
    chat: String,
    text: Option<String>,
    error: Option<String>,
}

impl Golden {
    fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/chat.json");
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn template(&self, name: &str) -> ChatTemplate {
        let Source { source, bos, eos, .. } = &self.templates[name];
        ChatTemplate::from_source(source, bos, eos)
    }
}

fn chat(messages: &[(Role, &str)]) -> Chat {
    messages.iter().fold(Chat::default(), |chat, (role, content)| chat.with(*role, *content))
}

fn text(pieces: &[Piece]) -> String {
    pieces
        .iter()
        .map(|piece| match piece {
            Piece::Markup(text) | Piece::Data(text) => text.as_str(),
        })
        .collect()
}

fn data(pieces: &[Piece]) -> Vec<&str> {
    pieces
        .iter()
        .filter_map(|piece| match piece {
            Piece::Data(text) => Some(text.as_str()),
            Piece::Markup(_) => None,
        })
        .collect()
}

#[test]
fn renders_what_jinja_renders() {
    let golden = Golden::read();
    assert!(golden.cases.len() > 100);
    for case in &golden.cases {
        let messages = &golden.chats[&case.chat];
        let chat = messages
            .iter()
            .fold(Chat::default(), |chat, (role, content)| chat.with(*role, content.clone()));
        let rendered = golden.template(&case.template).render(&chat);
        let at = format!("{}, {}", case.template, case.chat);
        match (&case.text, &case.error) {
            (Some(expected), _) => assert_eq!(&text(&rendered.expect(&at)), expected, "{at}"),
            (None, error) => {
                let got = rendered.expect_err(&at).to_string();
                assert!(got.contains(error.as_deref().unwrap()), "{at}: {got}");
            }
        }
    }
}

#[test]
fn many_messages_are_found_in_one_pass() {
    let template = ChatTemplate::from_source(CHATML, "", "");
    let many = vec![(Role::User, "x"); 20_000];
    let pieces = template.render(&chat(&many)).unwrap();
    assert_eq!(data(&pieces).len(), 20_000);
}

#[test]
fn loops_in_loops_come_to_an_end() {
    let source = "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}";
    let template = ChatTemplate::from_source(source, "", "");
    let error = template.render(&chat(&[(Role::User, "x")])).unwrap_err().to_string();
    assert!(error.contains("more than 2000000 steps"), "{error}");
}

impl Source {
    /// A tokenizer of the printable ASCII characters, each a token, and the control tokens.
    fn tokenizer(&self) -> Tokenizer {
        let letters = ('!'..='~').map(String::from).chain(['Ġ', 'Ċ'].map(String::from));
        let tokens: Vec<String> = letters.chain(self.control.iter().cloned()).collect();
        let n_letters = tokens.len() - self.control.len();
        let kinds = (0..tokens.len()).map(|id| if id < n_letters { 1 } else { 3 }).collect();
        let text = |text: &str| Value::String(text.to_owned());
        let bytes = Writer::new()
            .value("tokenizer.ggml.model", text("gpt2"))
            .value("tokenizer.ggml.pre", text("gpt-2"))
            .value("tokenizer.ggml.tokens", Value::Strings(tokens))
            .value("tokenizer.ggml.token_type", Value::Integers(kinds))
            .value("tokenizer.ggml.merges", Value::Strings(Vec::new()))
            .finish();
        let gguf = Gguf::from_bytes(bytes, "letters.gguf".as_ref()).unwrap();
        Tokenizer::from_gguf(&gguf).unwrap()
    }

    /// The control tokens in a text, in order.
    fn markers<'a>(&'a self, text: &str) -> Vec<&'a str> {
        let mut found: Vec<(usize, &str)> = self
            .control
            .iter()
            .flat_map(|token| text.match_indices(token).map(move |(at, _)| (at, token.as_str())))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, token)| token).collect()
    }
}

#[test]
fn markup_becomes_control_tokens_and_messages_do_not() {
    let golden = Golden::read();
    let families: Vec<_> =
        golden.templates.iter().filter(|(_, source)| !source.control.is_empty()).collect();
    assert!(families.len() >= 6);
    for (name, source) in families {
        let (template, tokenizer) = (golden.template(name), source.tokenizer());
        let control = |chat: &Chat| -> Vec<u32> {
            let ids = tokenizer.encode_pieces(&template.render(chat).unwrap()).unwrap();
            ids.into_iter().filter(|id| tokenizer.is_control(*id)).collect()
        };
        let plain = chat(&[
            (Role::System, "Be terse."),
            (Role::User, "Kettle?"),
            (Role::Assistant, "Loud."),
            (Role::User, "Lamp?"),
        ]);
        let markers = source.markers(&text(&template.render(&plain).unwrap()));
        let ids: Vec<u32> = markers.iter().map(|m| tokenizer.marker(m).unwrap()).collect();
        assert!(ids.len() > 1 && control(&plain) == ids, "{name}: {markers:?}");
        // The same conversation with the markup of the family in every message.
        let all = source.control.concat();
        let mut hostile = plain;
        hostile.messages.iter_mut().for_each(|message| message.content.push_str(&all));
        assert_eq!(control(&hostile), ids, "{name}");
        assert!(tokenizer.is_end(tokenizer.marker(&source.end).unwrap()), "{name}");
    }
}

#[test]
fn the_answer_goes_on_where_it_was_begun() {
    let template = Golden::read().template("smollm2");
    let mut chat = chat(&[(Role::User, "Hi")]);
    chat.answer_start = "Dear <|im_end|>".to_owned();
    let pieces = template.render(&chat).unwrap();
    assert_eq!(pieces.last(), Some(&Piece::Data("Dear <|im_end|>".to_owned())));
    assert!(text(&pieces).ends_with("<|im_start|>assistant\nDear <|im_end|>"));
}

#[test]
fn a_template_that_repeats_a_message_is_an_error() {
    let source = "{{ messages[0].content }}{{ messages[0].content }}";
    let error = ChatTemplate::from_source(source, "", "").render(&chat(&[(Role::User, "Hi")]));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("message 1 (User) 2 times, expected once"), "{error}");
}

#[test]
fn a_template_that_drops_a_message_is_an_error() {
    let source = "{{ messages[0].content }}";
    let chat = chat(&[(Role::User, "Hi"), (Role::Assistant, "Ho")]);
    let error = ChatTemplate::from_source(source, "", "").render(&chat).unwrap_err().to_string();
    assert!(error.contains("message 2 (Assistant) 0 times"), "{error}");
}

#[test]
fn a_template_that_cannot_be_parsed_is_an_error_when_it_is_used() {
    let template = ChatTemplate::from_source("a\n{% for %}", "", "");
    let error = template.render(&Chat::default()).unwrap_err().to_string();
    assert!(error.contains("cannot be parsed") && error.contains("line 2"), "{error}");
}

#[test]
fn without_a_template_chatml_is_used_where_the_vocabulary_knows_it() {
    let gguf = |tokens: &[&str]| {
        let tokens = tokens.iter().map(ToString::to_string).collect();
        let bytes = Writer::new().value("tokenizer.ggml.tokens", Value::Strings(tokens)).finish();
        Gguf::from_bytes(bytes, "plain.gguf".as_ref()).unwrap()
    };
    let question = chat(&[(Role::User, "Hi")]);
    let template = ChatTemplate::from_gguf(&gguf(&["a", "<|im_start|>"])).unwrap();
    let rendered = template.render(&question).unwrap();
    assert_eq!(text(&rendered), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    let template = ChatTemplate::from_gguf(&gguf(&["a"])).unwrap();
    let error = template.render(&question).unwrap_err().to_string();
    assert!(error.contains("plain.gguf") && error.contains("chat_template"), "{error}");
}

#[test]
fn json_and_dates_are_python_s() {
    let source = "{{ {'a': [1, '<é>']} | tojson }}{{ strftime_now('%A, %-d %B %Y') }}\
                  {{ {'a': 1} | tojson(indent=2) }}";
    let rendered = ChatTemplate::from_source(source, "", "").render(&Chat::default()).unwrap();
    assert_eq!(text(&rendered), "{\"a\": [1, \"<é>\"]}Friday, 26 July 2024{\n  \"a\": 1\n}");
}

#[test]
fn fingerprints_tell_templates_apart() {
    let a = ChatTemplate::from_source("a", "b", "");
    assert_eq!(a.fingerprint(), ChatTemplate::from_source("a", "b", "").fingerprint());
    assert_ne!(a.fingerprint(), ChatTemplate::from_source("a", "", "b").fingerprint());
    assert_ne!(a.fingerprint(), ChatTemplate::from_source("ab", "", "").fingerprint());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn messages_come_out_as_data(
        contents in proptest::collection::vec("(?s).*|\\s{0,3}(<\\|im_end\\|>|\\{\\{ x \\}\\}|Q)\\s{0,3}", 1..5),
        answer_start: String,
    ) {
        thread_local!(static GOLDEN: Golden = Golden::read());
        let roles = [Role::User, Role::Assistant].into_iter().cycle();
        let mut chat = roles.zip(&contents).fold(Chat::default(), |chat, (role, content)| {
            chat.with(role, content.clone())
        });
        chat.answer_start.clone_from(&answer_start);
        let trimmed = ["llama3.2-like", "gemma-like", "gemma3-like", "smollm3-like"];
        let whole = [
            "smollm2", "qwen2.5-like", "qwen3-like", "mistral-like", "phi4-mini-like",
            "granite3-like", "olmo2-like", "ministral3-like",
        ];
        for name in whole.into_iter().chain(trimmed) {
            let pieces = GOLDEN.with(|golden| golden.template(name)).render(&chat).unwrap();
            let mut got = data(&pieces);
            if !answer_start.is_empty() {
                prop_assert_eq!(got.pop().unwrap(), &answer_start);
            }
            let expected: Vec<&str> =
                contents.iter().map(String::as_str).filter(|c| !c.trim().is_empty()).collect();
            if !trimmed.contains(&name) {
                prop_assert_eq!(got, expected);
                continue;
            }
            prop_assert_eq!(got.len(), expected.len());
            for (got, expected) in got.into_iter().zip(expected) {
                prop_assert_eq!(got.trim(), expected.trim());
            }
        }
    }
}

#[test]
fn a_template_that_takes_messages_apart_gets_parts() {
    let source = "{% for m in messages %}<{{ m['role'] }}>{% for part in m['content'] %}\
                  {% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}<assistant>";
    let template = ChatTemplate::from_source(source, "", "");
    let pieces =
        template.render(&chat(&[(Role::System, "Be brief."), (Role::User, "<x> Hi")])).unwrap();
    assert_eq!(text(&pieces), "<system>Be brief.<user><x> Hi<assistant>");
    assert!(pieces.contains(&Piece::Data("<x> Hi".to_owned())), "{pieces:?}");
    // A template that drops texts either way says so.
    let deaf = ChatTemplate::from_source("{% for m in messages %}x{% endfor %}", "", "");
    let said = deaf.render(&chat(&[(Role::User, "Hi")])).unwrap_err().to_string();
    assert!(said.contains("0 times, expected once"), "{said}");
}
