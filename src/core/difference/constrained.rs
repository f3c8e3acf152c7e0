//! Differences in a fixed form: one JSON object with a statement for each dimension.

use serde_json::{Map, Value, json};

use crate::task::{DimensionText, Task};
use idiolect_engine::lm::Constraint;

/// Constraint on an answer: a JSON object whose fields are the names of the dimensions, in their
/// order. Each statement is one line of at most [`Task::statement_characters`] characters that does
/// not begin with white space; white space between fields is fixed. So the length of the answer is
/// bounded.
pub(super) fn constraint(task: &Task) -> Constraint {
    let more = task.statement_characters.saturating_sub(1);
    let line = format!(r"^[^\s\x00-\x1F\x7F][^\x00-\x1F\x7F]{{0,{more}}}$");
    let names: Vec<&str> = task.standard.iter().map(|dimension| dimension.name.as_str()).collect();
    let properties: Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), json!({ "type": "string", "pattern": line })))
        .collect();
    Constraint::JsonSchema(json!({
        "type": "object",
        "properties": properties,
        "required": names,
        "additionalProperties": false,
    }))
}

/// Parses an answer into its statements, in the order of the dimensions; `None` if it does not have
/// the required form or a statement is empty.
pub(super) fn parse(answer: &str, task: &Task) -> Option<Vec<DimensionText>> {
    let fields: Map<String, Value> = serde_json::from_str(answer).ok()?;
    task.standard
        .iter()
        .map(|dimension| {
            let text = fields.get(&dimension.name)?.as_str()?.trim();
            (!text.is_empty())
                .then(|| DimensionText { dimension: dimension.key.clone(), text: text.to_owned() })
        })
        .collect()
}

/// Renders the statements as text for later prompts: one line each, after the name of its
/// dimension.
pub(super) fn in_words(told: &[DimensionText], task: &Task) -> String {
    let name = |key: &str| {
        let dimension = task.standard.iter().find(|dimension| dimension.key == key);
        dimension.map_or(key.to_owned(), |dimension| dimension.name.clone())
    };
    let lines = told.iter().map(|t| format!("{}: {}", name(&t.dimension), t.text));
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures::executor::block_on;

    use super::*;
    use idiolect_engine::lm::{Prompt, Request, Sampling, tiny};

    /// A model with random weights has no tendency towards the required form.
    #[test]
    fn every_answer_parses_whatever_the_model_wants() {
        let lm = tiny::lm("llama");
        for name in ["review", "headline"] {
            let task = Task::load(name).unwrap();
            let constraint = constraint(&task);
            for (seed, temperature) in (0..50).flat_map(|seed| [(seed, 1.0), (seed, 0.0)]) {
                // From barely enough tokens to more than enough.
                let max_tokens = 80 + 16 * seed as usize;
                let asked = Request {
                    sampling: Sampling { temperature, seed, ..Sampling::default() },
                    constraint: Some(constraint.clone()),
                    ..Request::new(Prompt::Text(format!("Reviews {seed}")), max_tokens)
                };
                let answer = block_on(lm.generate(asked)).unwrap();
                let told = parse(&answer.text, &task).unwrap_or_else(|| panic!("{answer:?}"));
                assert_eq!(told.len(), 3, "{answer:?}");
                for (told, dimension) in told.iter().zip(&task.standard) {
                    assert_eq!(told.dimension, dimension.key);
                    assert!(!told.text.is_empty() && !told.text.contains('\n'), "{told:?}");
                    assert!(told.text.chars().count() <= task.statement_characters, "{told:?}");
                }
            }
        }
    }

    #[test]
    fn other_answers_are_not_taken() {
        let task = Task::load("review").unwrap();
        let full = r#"{"Writing style": "a", "Emotional style": " b ", "Semantic style": "c"}"#;
        let told = parse(full, &task).unwrap();
        assert_eq!(
            in_words(&told, &task),
            "Writing style: a\nEmotional style: b\nSemantic style: c"
        );
        for other in [
            "",
            "Writing style: a",
            r#"{"Writing style": "a"}"#,
            r#"{"Writing style": "a", "Emotional style": " ", "Semantic style": "c"}"#,
            r#"{"Writing style": "a", "Emotional style": 1, "Semantic style": "c"}"#,
            &full[..full.len() - 1],
        ] {
            assert_eq!(parse(other, &task), None, "{other}");
        }
    }
}
