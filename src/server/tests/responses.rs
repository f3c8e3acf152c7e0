//! `/v1/responses`.

use serde_json::{Value, json};

use super::{World, merged};

#[test]
fn a_response_is_the_chats_answer() {
    let world = World::new();
    // The route takes no seed: the choice is greedy.
    let chat = world.chat(&json!({
        "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": "Say it" },
        ],
        "temperature": 0,
    }));
    let base = json!({
        "model": "tiny", "instructions": "Be brief.", "temperature": 0, "max_output_tokens": 20,
    });
    let items = json!([{
        "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "Say it" }],
    }]);
    for input in [json!("Say it"), items] {
        let body = merged(base.clone(), &json!({ "input": input }));
        let answer = world.ask("/v1/responses", &body);
        let content = &answer["output"][0]["content"][0];
        assert_eq!(content["text"], chat["choices"][0]["message"]["content"]);
        assert_eq!(content["type"], "output_text");
        assert_eq!(answer["usage"]["input_tokens"], chat["usage"]["prompt_tokens"]);
        let is_cut = chat["choices"][0]["finish_reason"] == "length";
        assert_eq!(answer["status"], if is_cut { "incomplete" } else { "completed" });
        assert_eq!(answer["store"], false);

        let stream = merged(body, &json!({ "stream": true }));
        let mut messages = world.post("/v1/responses", &stream).messages();
        assert_eq!(messages.pop().unwrap().1, "[DONE]");
        let names: Vec<&str> = messages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names[..4],
            [
                "response.created",
                "response.in_progress",
                "response.output_item.added",
                "response.content_part.added",
            ]
        );
        let n = names.len();
        assert_eq!(
            names[n - 4..n - 1],
            [
                "response.output_text.done",
                "response.content_part.done",
                "response.output_item.done",
            ]
        );
        let last = if is_cut { "response.incomplete" } else { "response.completed" };
        assert_eq!(names[n - 1], last);
        for (index, (name, data)) in messages.iter().enumerate() {
            assert_eq!(data["type"], **name);
            assert_eq!(data["sequence_number"], index);
        }
        let deltas = messages.iter().filter(|(name, _)| name == "response.output_text.delta");
        let text: String = deltas.map(|(_, data)| data["delta"].as_str().unwrap()).collect();
        assert_eq!(Value::from(text), content["text"]);
        let whole = &messages[n - 1].1["response"];
        assert_eq!(whole["output"][0]["content"], answer["output"][0]["content"]);
    }
}
