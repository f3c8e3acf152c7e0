//! Constrained completions of models with random weights: only the constraint gives them their
//! form.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::time::{Duration, Instant};

use fancy_regex::Regex;
use futures::executor::block_on;
use futures::future::join_all;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::lm::tiny;
use crate::lm::{Completion, Eos, Lm, Prompt, Request, Sampling};
use crate::model::gguf::Gguf;

fn lm() -> Lm {
    tiny::lm("llama")
}

fn request(constraint: Constraint, max_tokens: usize, seed: u64) -> Request {
    Request {
        sampling: Sampling { temperature: 1.0, seed, ..Sampling::default() },
        constraint: Some(constraint),
        ..Request::new(Prompt::Text(format!("Prompt {seed}")), max_tokens)
    }
}

fn complete(lm: &Lm, request: Request) -> Result<Completion> {
    let max_tokens = request.max_tokens;
    let answer = block_on(lm.generate(request));
    if let Ok(completion) = &answer {
        assert!(completion.completion_tokens <= max_tokens, "{completion:?}");
    }
    answer
}

fn error_of(lm: &Lm, request: Request) -> String {
    complete(lm, request).unwrap_err().to_string()
}

/// A schema whose values are easy to check.
#[derive(Debug, Clone)]
enum Shape {
    Text { least: usize, most: usize },
    Choice(Vec<String>),
    Integer { least: i64, most: i64 },
    Boolean,
    Null,
    Either(Vec<Shape>),
    List { of: Box<Shape>, least: usize, most: usize },
    Record(Vec<(String, Shape, bool)>),
}

impl Shape {
    fn schema(&self) -> Value {
        match self {
            Self::Text { least, most } => {
                json!({ "type": "string", "minLength": least, "maxLength": most })
            }
            Self::Choice(texts) => json!({ "enum": texts }),
            Self::Integer { least, most } => {
                json!({ "type": "integer", "minimum": least, "maximum": most })
            }
            Self::Boolean => json!({ "type": "boolean" }),
            Self::Null => json!({ "type": "null" }),
            Self::Either(shapes) => {
                json!({ "anyOf": shapes.iter().map(Self::schema).collect::<Vec<_>>() })
            }
            Self::List { of, least, most } => json!({
                "type": "array", "items": of.schema(), "minItems": least, "maxItems": most,
            }),
            Self::Record(fields) => {
                let properties: serde_json::Map<_, _> =
                    fields.iter().map(|(name, shape, _)| (name.clone(), shape.schema())).collect();
                let required: Vec<_> =
                    fields.iter().filter(|field| field.2).map(|field| &field.0).collect();
                json!({
                    "type": "object", "properties": properties, "required": required,
                    "additionalProperties": false,
                })
            }
        }
    }

    fn accepts(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text { least, most }, Value::String(text)) => {
                (*least..=*most).contains(&text.chars().count())
            }
            (Self::Choice(texts), Value::String(text)) => texts.contains(text),
            (Self::Integer { least, most }, Value::Number(number)) => {
                number.as_i64().is_some_and(|number| (*least..=*most).contains(&number))
            }
            (Self::Boolean, Value::Bool(_)) | (Self::Null, Value::Null) => true,
            (Self::Either(shapes), value) => shapes.iter().any(|shape| shape.accepts(value)),
            (Self::List { of, least, most }, Value::Array(values)) => {
                (*least..=*most).contains(&values.len()) && values.iter().all(|v| of.accepts(v))
            }
            (Self::Record(fields), Value::Object(object)) => {
                let known = |name: &String| fields.iter().any(|field| field.0 == *name);
                object.keys().all(known)
                    && fields.iter().all(|(name, shape, required)| match object.get(name) {
                        Some(value) => shape.accepts(value),
                        None => !required,
                    })
            }
            _ => false,
        }
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    let leaf = prop_oneof![
        (0..4usize, 0..20usize).prop_map(|(least, more)| Shape::Text { least, most: least + more }),
        prop::collection::vec("[a-z\"\\\\ é]{0,6}", 1..4).prop_map(Shape::Choice),
        (-1500..1500i64, 0..400i64)
            .prop_map(|(least, more)| Shape::Integer { least, most: least + more }),
        Just(Shape::Boolean),
        Just(Shape::Null),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..3).prop_map(Shape::Either),
            (inner.clone(), 0..3usize, 0..3usize).prop_map(|(of, least, more)| Shape::List {
                of: Box::new(of),
                least,
                most: least + more
            }),
            prop::collection::btree_map("[a-z\"é ]{1,5}", (inner, any::<bool>()), 0..4).prop_map(
                |fields| Shape::Record(
                    fields.into_iter().map(|(name, (shape, must))| (name, shape, must)).collect()
                )
            ),
        ]
    })
}

#[test]
fn what_a_random_model_writes_under_a_schema_parses_and_validates() {
    let lm = lm();
    let config = ProptestConfig { cases: 200, ..ProptestConfig::default() };
    let input = (shape(), 0..1000u64, 0..120usize, any::<bool>());
    proptest!(config, |((shape, seed, max_tokens, greedy) in input)| {
        let mut asked = request(Constraint::JsonSchema(shape.schema()), max_tokens, seed);
        if greedy {
            asked.sampling.temperature = 0.0;
        }
        match complete(&lm, asked) {
            Ok(completion) => {
                let value: Value = serde_json::from_str(&completion.text).map_err(|error| {
                    TestCaseError::fail(format!("{error}: {completion:?}"))
                })?;
                prop_assert!(shape.accepts(&value), "{completion:?}");
            }
            // The only allowed error is too few tokens.
            Err(error) => prop_assert!(error.to_string().contains("allow more"), "{error}"),
        }
    });
}

const REGEXES: [&str; 12] = [
    "yes|no|maybe",
    "[a-z]{3,5}-[0-9]{4}",
    "^(19|20)[0-9]{2}-(0[1-9]|1[0-2])$",
    "a*",
    "(ab)+c",
    r"\d+(\.\d{1,3})?",
    r"[\w.]+@[a-z]+\.(com|org)",
    "[^\"\\n]{10,40}",
    "é{2,4}ß?",
    "/path/(to/)*file",
    "(?i:stars): [1-5]",
    r"\p{Greek}{1,6}",
];

#[test]
fn what_a_random_model_writes_under_a_regular_expression_matches() {
    let lm = lm();
    for regex in REGEXES {
        let whole = Regex::new(&format!("^(?:{regex})$")).unwrap();
        for seed in 0..12 {
            for max_tokens in [1, 4, 7, 12, 18, 40] {
                let mut asked = request(Constraint::Regex(regex.to_owned()), max_tokens, seed);
                if seed % 4 == 0 {
                    asked.sampling.temperature = 0.0;
                }
                match complete(&lm, asked) {
                    Ok(completion) => {
                        let matched = whole.is_match(&completion.text).unwrap();
                        assert!(matched, "{regex}: {completion:?}");
                    }
                    Err(error) => {
                        assert!(error.to_string().contains("allow more"), "{regex}: {error}");
                        assert!(max_tokens < 12, "{regex} in {max_tokens}: {error}");
                    }
                }
            }
        }
    }
}

/// Three statements of up to 240 characters.
fn statements() -> Value {
    let field = json!({ "type": "string", "minLength": 1, "maxLength": 240 });
    json!({
        "type": "object",
        "properties": { "writing": field, "emotional": field, "semantic": field },
        "required": ["writing", "emotional", "semantic"],
        "additionalProperties": false,
    })
}

#[test]
fn an_end_is_reached_however_few_tokens_are_left() {
    let lm = lm();
    let needed = {
        let error = error_of(&lm, request(Constraint::JsonSchema(statements()), 5, 0));
        let number = error.split("takes ").nth(1).unwrap().split(' ').next().unwrap();
        number.parse::<usize>().unwrap()
    };
    for more in [0, 1, 2, 3, 5, 8, 13, 21, 60] {
        for seed in 0..6 {
            let asked = request(Constraint::JsonSchema(statements()), needed + more, seed);
            let completion = complete(&lm, asked).unwrap();
            let value: Value = serde_json::from_str(&completion.text).unwrap();
            assert_eq!(value.as_object().unwrap().len(), 3);
            assert_eq!(completion.finish, Finish::Length, "{completion:?}");
        }
    }
    let error = error_of(&lm, request(Constraint::JsonSchema(statements()), needed - 1, 0));
    assert!(error.contains("allow more"), "{error}");
}

#[test]
fn sixteen_at_once_are_the_same_as_alone() {
    let lm = lm();
    let asked = |seed: u64| {
        let constraint = match seed % 3 {
            0 => Constraint::Regex("[a-f ]{20,60}!".to_owned()),
            1 => Constraint::JsonSchema(statements()),
            _ => Constraint::JsonSchema(json!({
                "type": "array", "items": { "type": "integer", "minimum": -50 }, "maxItems": 9,
            })),
        };
        request(constraint, 80, seed)
    };
    let together = block_on(join_all((0..16).map(|seed| lm.generate(asked(seed)))));
    for (seed, together) in together.into_iter().enumerate() {
        assert_eq!(complete(&lm, asked(seed as u64)).unwrap(), together.unwrap());
    }
}

#[test]
fn penalties_bring_nothing_back() {
    let lm = lm();
    let asked = |sampling: Sampling| {
        let request = request(Constraint::Regex("(ab){30}".to_owned()), 60, 1);
        Request { sampling, ..request }
    };
    let mut sampling = Sampling { temperature: 1.0, seed: 1, ..Sampling::default() };
    sampling.repetition_penalty = 3.0;
    sampling.dry_multiplier = 5.0;
    assert_eq!(complete(&lm, asked(sampling.clone())).unwrap().text, "ab".repeat(30));
    sampling.temperature = 0.0;
    sampling.repetition_penalty = 0.1;
    let asked = asked(sampling);
    let completion = complete(&lm, asked).unwrap();
    assert_eq!((completion.text, completion.finish), ("ab".repeat(30), Finish::End));
}

#[test]
fn what_streams_is_the_text() {
    let lm = lm();
    let streamed = Arc::new(std::sync::Mutex::new(String::new()));
    let receiver = Arc::clone(&streamed);
    let asked = request(Constraint::JsonSchema(statements()), 120, 5);
    let on_text = move |piece: &str| receiver.lock().unwrap().push_str(piece);
    let answer = lm.generate(Request { on_text: Some(Box::new(on_text)), ..asked });
    assert_eq!(block_on(answer).unwrap().text, *streamed.lock().unwrap());
}

#[test]
fn a_wrong_constraint_is_refused_with_its_reason() {
    let lm = lm();
    let schema = |schema| Constraint::JsonSchema(schema);
    let regex = |regex: &str| Constraint::Regex(regex.to_owned());
    let mut named = Vec::new();
    for (constraint, words) in [
        (schema(json!({ "type": "text" })), "text"),
        (schema(json!({ "type": "object", "properties": { "a": { "not": {} } } })), "not"),
        (schema(json!({ "type": "string", "pattern": "(" })), "unclosed group"),
        (schema(json!({ "$ref": "#/$defs/gone" })), "gone"),
        (schema(json!([1, 2])), "object"),
        (schema(json!(false)), "no text satisfies it"),
        (schema(json!({ "type": "string", "minLength": 3, "maxLength": 2 })), "nsatisf"),
        (schema(json!({ "type": "integer", "minimum": 3, "maximum": 2 })), "m"),
        (schema(json!({ "enum": [] })), "empty"),
        (schema(json!({ "x-guidance": { "lenient": true } })), "x-guidance"),
        (regex("(unclosed"), "unclosed group"),
        (regex("a{3,1}"), "repetition"),
        (regex(r"\bword"), "word"),
        (regex("[^\\s\\S]"), "no text satisfies it"),
        (regex("a[^\\s\\S]"), "no text satisfies it"),
    ] {
        let error = error_of(&lm, request(constraint.clone(), 50, 0));
        assert!(error.starts_with("constraint: "), "{constraint:?}: {error}");
        named.push((constraint, words, error));
    }
    for (_, _, error) in &named {
        eprintln!("{error}\n");
    }
    for (constraint, words, error) in named {
        assert!(error.contains(words), "{constraint:?}: {error}");
    }
}

#[test]
fn other_ways_to_end_are_refused() {
    let lm = lm();
    let asked = request(Constraint::Regex("a+".to_owned()), 9, 0);
    let error = error_of(&lm, Request { stop: vec!["x".to_owned()], ..asked });
    assert!(error.contains("stop texts"), "{error}");
    let asked = request(Constraint::Regex("a+".to_owned()), 9, 0);
    let error = error_of(&lm, Request { eos: Eos::Ignore, ..asked });
    assert!(error.contains("end tokens"), "{error}");
}

/// The small model's vocabulary of 49,152 tokens.
#[test]
fn masks_of_a_real_vocabulary_are_quick_and_allow_no_control_token() {
    let Some(path) = std::env::var_os("IDIOLECT_TEST_LM") else {
        eprintln!("skipped: IDIOLECT_TEST_LM is not set");
        return;
    };
    let gguf = Gguf::open(path.as_ref()).unwrap();
    let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
    let start = Instant::now();
    let grammars = Grammars::new(&tokenizer).unwrap();
    eprintln!("{} tokens made a trie in {:?}", tokenizer.n_vocab(), start.elapsed());
    let line = json!({ "type": "string", "pattern": r"^[^\s\x00-\x1F][^\x00-\x1F]{0,239}$" });
    let mut lines = statements();
    for (_, field) in lines["properties"].as_object_mut().unwrap() {
        *field = line.clone();
    }
    for (what, schema) in [("lengths", statements()), ("patterns", lines)] {
        for seed in 0..3 {
            // The steps are the same each time; the fastest measurement has the least disturbance.
            let runs: Vec<Timed> =
                (0..5).map(|_| timed(&grammars, &tokenizer, &schema, seed)).collect();
            let quickest = |times: fn(&Timed) -> &Vec<Duration>| -> Vec<Duration> {
                (0..times(&runs[0]).len())
                    .map(|i| runs.iter().map(|run| times(run)[i]).min().unwrap())
                    .collect()
            };
            let (masks, takes) = (quickest(|run| &run.masks), quickest(|run| &run.takes));
            let mean = |times: &[Duration]| times.iter().sum::<Duration>() / times.len() as u32;
            eprintln!(
                "{what}: {} tokens, mask {:?} on average, at most {:?}; take {:?}, at most {:?}",
                masks.len(),
                mean(&masks),
                masks.iter().max().unwrap(),
                mean(&takes),
                takes.iter().max().unwrap(),
            );
            assert!(mean(&masks) < Duration::from_millis(1), "{masks:?}");
            let value: Value = serde_json::from_str(&runs[0].text).unwrap();
            assert_eq!(value.as_object().unwrap().len(), 3, "{value}");
        }
    }
}

/// Vocabularies of other families: tokens with spaces, bytes with two tokens, marker tokens.
#[test]
fn every_kind_of_vocabulary_can_be_held_to_a_form() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/tokenizers");
    let Ok(entries) = std::fs::read_dir(folder) else {
        eprintln!("skipped: {folder} is not there");
        return;
    };
    let mut n_tried = 0;
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "gguf") {
            continue;
        }
        // Skips families whose tokenizer is not supported.
        let Ok(tokenizer) = Tokenizer::from_gguf(&Gguf::open(&path).unwrap()) else { continue };
        let name = path.file_stem().unwrap().to_str().unwrap();
        let grammars = Grammars::new(&tokenizer).unwrap_or_else(|error| panic!("{name}: {error}"));
        for seed in 0..3 {
            let text = timed(&grammars, &tokenizer, &statements(), seed).text;
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(value.as_object().unwrap().len(), 3, "{name}: {value}");
        }
        n_tried += 1;
    }
    assert!(n_tried >= 5, "{n_tried} vocabularies");
}

/// A text and the durations of its steps.
struct Timed {
    text: String,
    masks: Vec<Duration>,
    takes: Vec<Duration>,
}

/// Generates a text under a schema with equal logits.
fn timed(grammars: &Grammars, tokenizer: &Tokenizer, schema: &Value, seed: u64) -> Timed {
    let mut constrained = grammars.begin(&Constraint::JsonSchema(schema.clone()), 400).unwrap();
    let settings = Sampling { temperature: 1.0, seed, ..Sampling::default() };
    let mut sampler = crate::lm::sampler::Sampler::new(
        &settings,
        Arc::default(),
        idiolect_kernels::Isa::detect(),
    )
    .unwrap();
    let (mut masks, mut takes, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    while constrained.finish().is_none() {
        let mut logits = vec![0.0; tokenizer.n_vocab()];
        let start = Instant::now();
        constrained.mask(&mut logits).unwrap();
        masks.push(start.elapsed());
        for (id, logit) in logits.iter().enumerate() {
            assert!(*logit == f32::NEG_INFINITY || !tokenizer.is_control(id as u32), "{id}");
        }
        let id = sampler.choose(&mut logits, &[]).unwrap();
        let start = Instant::now();
        let id = constrained.take(id).unwrap();
        takes.push(start.elapsed());
        bytes.extend_from_slice(tokenizer.bytes(id));
    }
    Timed { text: String::from_utf8(bytes).unwrap(), masks, takes }
}
