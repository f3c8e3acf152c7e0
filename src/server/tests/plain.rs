//! The plain model and the encoder.

use futures::executor::block_on;
use idiolect_engine::encoder::testing::tiny_encoder;
use idiolect_engine::lm::{
    Chat, Prompt, Request, Role, Sampling, Score, ScoreRequest, TextToScore,
};
use serde_json::{Value, json};

use super::{World, chat_body, merged};

fn choice_text(answer: &Value) -> &str {
    answer["choices"][0]["text"].as_str().unwrap()
}

fn chat_text(answer: &Value) -> &str {
    answer["choices"][0]["message"]["content"].as_str().unwrap()
}

#[test]
fn a_chat_is_the_engines_answer() {
    let world = World::new();
    let chat = Chat::default().with(Role::System, "Be brief.").with(Role::User, "Say it");
    let sampling = Sampling { temperature: 0.8, top_p: 0.9, seed: 7, ..Sampling::default() };
    let request = Request { sampling, ..Request::new(Prompt::Chat(chat), 20) };
    let want = block_on(world.lm.generate(request)).unwrap();
    let asked = json!({
        "messages": [
            { "role": "developer", "content": "Be brief." },
            { "role": "user", "content": [{ "type": "text", "text": "Say it" }] },
        ],
        "temperature": 0.8, "top_p": 0.9, "seed": 7,
    });
    let raw = world.post("/v1/chat/completions", &chat_body(&asked));
    assert_eq!(raw.header("x-idiolect"), Some("seed=7"));
    let answer = raw.ok();
    assert_eq!(chat_text(&answer), want.text);
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["model"], "tiny");
    assert_eq!(answer["choices"][0]["message"]["role"], "assistant");
    let usage = &answer["usage"];
    assert_eq!(usage["prompt_tokens"], want.prompt_tokens);
    assert_eq!(usage["completion_tokens"], want.completion_tokens);
    assert_eq!(usage["total_tokens"], want.prompt_tokens + want.completion_tokens);
    // The engine itself has computed the prompt before.
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], want.prompt_tokens - 1);
}

#[test]
fn a_stream_is_the_answer_in_pieces() {
    let world = World::new();
    let whole = world.chat(&json!({ "logprobs": true, "top_logprobs": 2 }));
    for include_usage in [false, true] {
        let asked = json!({
            "stream": true, "logprobs": true, "top_logprobs": 2,
            "stream_options": { "include_usage": include_usage },
        });
        let answer = world.post("/v1/chat/completions", &chat_body(&asked));
        assert_eq!(answer.header("x-idiolect"), Some("seed=3"));
        let mut chunks = answer.chunks();
        if include_usage {
            let last = chunks.pop().unwrap();
            assert_eq!(last["choices"], json!([]));
            assert_eq!(last["usage"]["completion_tokens"], whole["usage"]["completion_tokens"]);
            assert!(chunks.iter().all(|chunk| chunk["usage"].is_null()));
        } else {
            assert!(chunks.iter().all(|chunk| chunk.get("usage").is_none()));
        }
        let first = &chunks[0]["choices"][0];
        assert_eq!(first["delta"], json!({ "role": "assistant", "content": "" }));
        let finishes: Vec<&Value> =
            chunks.iter().map(|chunk| &chunk["choices"][0]["finish_reason"]).collect();
        assert_eq!(*finishes.last().unwrap(), &whole["choices"][0]["finish_reason"]);
        assert!(finishes[..finishes.len() - 1].iter().all(|finish| finish.is_null()));
        let pieces =
            chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"].get("content")?.as_str());
        assert_eq!(pieces.collect::<String>(), chat_text(&whole));
        let tokens: Vec<Value> = chunks
            .iter()
            .filter_map(|chunk| chunk["choices"][0]["logprobs"]["content"].as_array())
            .flatten()
            .cloned()
            .collect();
        assert_eq!(Value::Array(tokens), whole["choices"][0]["logprobs"]["content"]);
        let ids: Vec<&Value> = chunks.iter().map(|chunk| &chunk["id"]).collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
    }
}

#[test]
fn several_answers_have_the_seeds_that_follow() {
    let world = World::new();
    let three = world.chat(&json!({ "n": 3 }));
    let texts: Vec<&Value> = (0..3).map(|i| &three["choices"][i]["message"]["content"]).collect();
    for (i, text) in texts.iter().enumerate() {
        let one = world.chat(&json!({ "seed": 3 + i }));
        assert_eq!(one["choices"][0]["message"]["content"], **text);
    }
    assert!(texts[0] != texts[1] && texts[1] != texts[2]);
    assert_eq!(three["usage"]["prompt_tokens"], world.chat(&json!({}))["usage"]["prompt_tokens"]);
    let asked = json!({ "n": 3, "stream": true, "stream_options": { "include_usage": true } });
    let chunks = world.post("/v1/chat/completions", &chat_body(&asked)).chunks();
    for (index, text) in texts.iter().enumerate() {
        let pieces = chunks.iter().filter_map(|chunk| {
            let choice = chunk["choices"].get(0).filter(|choice| choice["index"] == index)?;
            choice["delta"].get("content")?.as_str()
        });
        assert_eq!(pieces.collect::<String>(), text.as_str().unwrap());
    }
    assert_eq!(chunks.last().unwrap()["usage"]["prompt_tokens"], three["usage"]["prompt_tokens"]);
}

fn bits(logprobs: &Value) -> Vec<Option<u32>> {
    let list = logprobs.as_array().unwrap().iter();
    list.map(|logprob| logprob.as_f64().map(|logprob| (logprob as f32).to_bits())).collect()
}

fn bits_of(score: &Score) -> Vec<Option<u32>> {
    score.logprobs.iter().map(|logprob| Some(logprob.to_bits())).collect()
}

#[test]
fn echo_scores_are_those_of_the_engine_to_the_bit() {
    let world = World::new();
    let text = "The kettle whistles, but flat.";
    // `idiolect lm score` of a text alone puts the model's token of begin before it.
    let score = ScoreRequest::new(Prompt::Text(String::new()), text);
    let want = block_on(world.lm.score(score)).unwrap().remove(0);
    let start = world.lm.start_token().unwrap();
    let ids: Vec<u32> = [vec![start], world.lm.tokenize(text).unwrap()].concat();
    let asked = json!({ "prompt": ids, "echo": true, "logprobs": 1, "max_tokens": 0 });
    let answer = world.complete(&asked);
    let logprobs = &answer["choices"][0]["logprobs"];
    let got = bits(&logprobs["token_logprobs"]);
    assert_eq!(got[0], None);
    assert_eq!(got[1..], bits_of(&want)[..]);
    assert_eq!(choice_text(&answer), text);
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(logprobs["tokens"].as_array().unwrap().len(), ids.len());
    assert_eq!(logprobs["top_logprobs"][0], Value::Null);
    // A prompt before it: what `lm score` says of the rest.
    let prompt = "About the kettle: ";
    let score = ScoreRequest::new(Prompt::Text(prompt.to_owned()), text);
    let want = block_on(world.lm.score(score)).unwrap().remove(0);
    let whole = format!("{prompt}{text}");
    let asked = json!({ "prompt": whole, "echo": true, "logprobs": 0, "max_tokens": 1 });
    let answer = world.complete(&asked);
    let got = bits(&answer["choices"][0]["logprobs"]["token_logprobs"]);
    let n_prompt = prompt.len();
    assert_eq!(got[n_prompt..n_prompt + text.len()], bits_of(&want)[..]);
    assert_eq!(got.len(), n_prompt + text.len() + 1);
    assert!(choice_text(&answer).starts_with(&whole));
}

#[test]
fn prompts_that_begin_alike_are_scored_from_where_they_differ() {
    let world = World::new();
    let context = "The kettle whistles. ".repeat(20);
    let ask = |world: &World, ending: &str| {
        let prompt = format!("{context}{ending}");
        let asked = json!({ "prompt": prompt, "echo": true, "logprobs": 2, "max_tokens": 0 });
        world.complete(&asked)["choices"][0]["logprobs"].clone()
    };
    ask(&world, "It is loud.");
    let rows = world.lm.stats().logit_rows;
    let second = ask(&world, "It is blue.");
    assert!(world.lm.stats().logit_rows - rows < 12);
    // A server that has scored nothing before gives the same bits.
    assert_eq!(second, ask(&World::new(), "It is blue."));
}

#[test]
fn generated_tokens_are_scored_as_the_echo_of_them() {
    let world = World::new();
    let asked = json!({
        "prompt": "Say", "max_tokens": 12, "logprobs": 2, "return_token_ids": true,
        "temperature": 1, "presence_penalty": 0.4, "ignore_eos": true,
    });
    let answer = world.complete(&asked);
    let choice = &answer["choices"][0];
    let ids = |name: &str| -> Vec<u32> { serde_json::from_value(choice[name].clone()).unwrap() };
    let all = [ids("prompt_token_ids"), ids("token_ids")].concat();
    assert_eq!(all.len(), 15);
    let echo = json!({ "prompt": all, "echo": true, "logprobs": 2, "max_tokens": 0 });
    let echo = world.complete(&echo);
    let of_echo = &echo["choices"][0]["logprobs"];
    assert_eq!(bits(&choice["logprobs"]["token_logprobs"]), bits(&of_echo["token_logprobs"])[3..],);
    let top = choice["logprobs"]["top_logprobs"].as_array().unwrap();
    assert_eq!(top[..], of_echo["top_logprobs"].as_array().unwrap()[3..]);
    assert!(top.iter().all(|top| (2..=3).contains(&top.as_object().unwrap().len())));
}

#[test]
fn prompt_logprobs_have_the_rank_of_each_token() {
    let world = World::new();
    let asked = json!({ "prompt": "Say it", "prompt_logprobs": 3, "max_tokens": 1 });
    let answer = world.complete(&asked);
    let told = answer["choices"][0]["prompt_logprobs"].as_array().unwrap();
    let ids = world.lm.tokenize("Say it").unwrap();
    assert_eq!(told.len(), ids.len());
    assert!(told[0].is_null());
    let score = ScoreRequest {
        top: Some(3),
        ..ScoreRequest::new(
            Prompt::Tokens(ids[..1].to_vec()),
            TextToScore::Tokens(ids[1..].to_vec()),
        )
    };
    let want = block_on(world.lm.score(score)).unwrap().remove(0);
    for (position, want) in told[1..].iter().zip(&want.details) {
        let own = &position[want.id.to_string()];
        assert_eq!(own["rank"], want.rank);
        assert_eq!(own["logprob"].as_f64().unwrap() as f32, want.logprob);
        for (rank, (id, logprob)) in want.top.iter().enumerate() {
            let other = &position[id.to_string()];
            assert_eq!(other["rank"], rank + 1);
            assert_eq!(other["logprob"].as_f64().unwrap() as f32, *logprob);
        }
    }
    assert!(answer["choices"][0]["logprobs"].is_null());
}

#[test]
fn prompt_logprobs_begin_where_they_are_asked_for() {
    let world = World::new();
    let ids = world.lm.tokenize("Say it again").unwrap();
    let asked = |start: usize| {
        json!({
            "prompt": ids, "prompt_logprobs": 0, "prompt_logprobs_start": start, "max_tokens": 0,
        })
    };
    let whole = world.complete(&asked(1))["choices"][0]["prompt_logprobs"].clone();
    let whole = whole.as_array().unwrap();
    for start in [1, 4, ids.len()] {
        let told = world.complete(&asked(start))["choices"][0]["prompt_logprobs"].clone();
        let told = told.as_array().unwrap();
        assert_eq!(told.len(), ids.len());
        assert!(told[..start].iter().all(Value::is_null));
        assert_eq!(told[start..], whole[start..]);
    }
    let body = |more: Value| merged(asked(4), &merged(json!({ "model": "tiny" }), &more));
    let refused = |more| world.post("/v1/completions", &body(more)).error(400)["param"].clone();
    assert_eq!(refused(json!({ "prompt_logprobs_start": ids.len() + 1 })), "prompt_logprobs_start");
    assert_eq!(refused(json!({ "echo": true })), "prompt_logprobs_start");
    let without = json!({ "prompt_logprobs": null, "max_tokens": 1 });
    assert_eq!(refused(without), "prompt_logprobs_start");
}

#[test]
fn a_stop_text_is_told_and_penalties_have_a_window() {
    let world = World::new();
    let forced = |more: Value| {
        let base = json!({ "prompt": "Go", "logit_bias": { "65": 100 }, "max_tokens": 9 });
        world.complete(&merged(base, &more))["choices"][0].clone()
    };
    assert_eq!(forced(json!({}))["stop_reason"], Value::Null);
    let stopped = forced(json!({ "stop": "AAA" }));
    assert_eq!(
        (&stopped["finish_reason"], &stopped["stop_reason"]),
        (&json!("stop"), &json!("AAA"))
    );
    assert_eq!(forced(json!({ "stop": ["AAA", "B"] }))["stop_reason"], "stop");
    let stream = json!({
        "prompt": "Go", "logit_bias": { "65": 100 }, "stop": "AAA", "stream": true, "model": "tiny",
    });
    let chunks = world.post("/v1/completions", &stream).chunks();
    let reasons: Vec<&Value> =
        chunks.iter().map(|chunk| &chunk["choices"][0]["stop_reason"]).collect();
    assert_eq!(reasons.last(), Some(&&json!("AAA")));
    assert!(reasons[..reasons.len() - 1].iter().all(|reason| reason.is_null()));
    // A window of one token forgets the repetition that the penalty is for.
    let dry = |window: usize| {
        let more = json!({
            "prompt": "abcabcabc", "dry_multiplier": 50, "dry_allowed_length": 1, "max_tokens": 12,
            "temperature": 0, "penalty_window": window,
        });
        world.complete(&more)["choices"][0]["text"].clone()
    };
    assert_ne!(dry(0), dry(1));
}

#[test]
fn lists_of_prompts_are_completed_in_their_order() {
    let world = World::new();
    let asked = json!({ "prompt": ["One", "Two"], "n": 2, "max_tokens": 6, "echo": true });
    let answer = world.complete(&asked);
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 4);
    for (index, choice) in choices.iter().enumerate() {
        assert_eq!(choice["index"], index);
        let prompt = ["One", "Two"][index / 2];
        assert!(choice["text"].as_str().unwrap().starts_with(prompt));
        let alone =
            json!({ "prompt": prompt, "max_tokens": 6, "echo": true, "seed": 3 + index % 2 });
        assert_eq!(world.complete(&alone)["choices"][0]["text"], choice["text"]);
    }
    assert_eq!(answer["usage"]["prompt_tokens"], 6);
    let stream =
        merged(asked, &json!({ "stream": true, "model": "tiny", "seed": 3, "logprobs": 1 }));
    let chunks = world.post("/v1/completions", &stream).chunks();
    for (index, choice) in choices.iter().enumerate() {
        let of_choice = chunks.iter().filter(|chunk| chunk["choices"][0]["index"] == index);
        let pieces = of_choice.clone().map(|chunk| chunk["choices"][0]["text"].as_str().unwrap());
        assert_eq!(pieces.collect::<String>(), choice["text"].as_str().unwrap());
        let offsets: Vec<u64> = of_choice
            .flat_map(|chunk| chunk["choices"][0]["logprobs"]["text_offset"].as_array().unwrap())
            .map(|offset| offset.as_u64().unwrap())
            .collect();
        assert!(offsets.len() >= 9 && offsets[0] == 0);
        assert!(offsets.windows(2).all(|pair| pair[0] <= pair[1]), "{offsets:?}");
    }
}

#[test]
fn bias_stop_schema_and_continuation_are_applied() {
    let world = World::new();
    let forced = world.chat(&json!({ "logit_bias": { "65": 100 } }));
    assert_eq!(chat_text(&forced), "A".repeat(20));
    let stopped = world.chat(&json!({ "logit_bias": { "65": 100 }, "stop": "AAA" }));
    assert_eq!(chat_text(&stopped), "");
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    let schema = json!({
        "type": "object", "properties": { "stars": { "enum": [1, 2, 3] } },
        "required": ["stars"], "additionalProperties": false,
    });
    let format = json!({
        "type": "json_schema", "json_schema": { "name": "r", "strict": true, "schema": schema },
    });
    let told = world.chat(&json!({ "response_format": format, "max_tokens": 60 }));
    let told: Value = serde_json::from_str(chat_text(&told)).unwrap();
    assert!((1..=3).contains(&told["stars"].as_i64().unwrap()), "{told}");
    let object =
        world.chat(&json!({ "response_format": { "type": "json_object" }, "max_tokens": 40 }));
    assert!(serde_json::from_str::<Value>(chat_text(&object)).unwrap().is_object());
    let nonsense =
        json!({ "type": "json_schema", "json_schema": { "schema": { "type": "nonsense" } } });
    let refused =
        world.post("/v1/chat/completions", &chat_body(&json!({ "response_format": nonsense })));
    assert_eq!(refused.error(400)["param"], "response_format");

    let chat = Chat::default().with(Role::User, "Say it");
    let chat = Chat { answer_start: "Well, ".to_owned(), ..chat };
    let sampling = Sampling { temperature: 1.0, seed: 3, ..Sampling::default() };
    let request = Request { sampling, ..Request::new(Prompt::Chat(chat), 20) };
    let want = block_on(world.lm.generate(request)).unwrap().text;
    let continued = world.chat(&json!({
        "messages": [
            { "role": "user", "content": "Say it" },
            { "role": "assistant", "content": "Well, " },
        ],
        "continue_final_message": true, "add_generation_prompt": false,
    }));
    assert_eq!(chat_text(&continued), want);
}

#[test]
fn prompts_that_do_not_fit_have_openais_code() {
    let world = World::new();
    for more in [
        json!({ "max_tokens": 16_384 }),
        json!({ "messages": [{ "role": "user", "content": "x".repeat(17_000) }] }),
    ] {
        for stream in [false, true] {
            let body = merged(chat_body(&more), &json!({ "stream": stream }));
            let error = world.post("/v1/chat/completions", &body).error(400);
            assert_eq!(error["code"], "context_length_exceeded", "{error}");
        }
    }
}

#[test]
fn fields_are_refused_by_name() {
    let world = World::new();
    for (path, body, param) in [
        ("/v1/chat/completions", chat_body(&json!({ "bogus": 1 })), "bogus"),
        ("/v1/chat/completions", chat_body(&json!({ "tools": [{}] })), "tools"),
        ("/v1/chat/completions", chat_body(&json!({ "temperature": 3 })), "temperature"),
        ("/v1/chat/completions", chat_body(&json!({ "messages": [] })), "messages"),
        ("/v1/chat/completions", json!({ "messages": [] }), "model"),
        ("/v1/chat/completions", chat_body(&json!({ "logit_bias": { "x": 1 } })), "logit_bias"),
        ("/v1/chat/completions", chat_body(&json!({ "top_logprobs": 2 })), "top_logprobs"),
        (
            "/v1/chat/completions",
            chat_body(&json!({ "idiolect": { "user": "marta" } })),
            "idiolect",
        ),
        ("/v1/completions", json!({ "model": "tiny", "prompt": "a", "suffix": "b" }), "suffix"),
        ("/v1/completions", json!({ "model": "tiny", "prompt": [] }), "prompt"),
        (
            "/v1/responses",
            json!({ "model": "tiny", "input": "a", "previous_response_id": "r" }),
            "previous_response_id",
        ),
        ("/v1/embeddings", json!({ "model": "tiny", "input": "a" }), "model"),
        ("/tokenize", json!({}), "prompt"),
    ] {
        let error = world.post(path, &body).error(400);
        assert_eq!(error["param"], param, "{path} {body}: {error}");
    }
    let unknown = chat_body(&json!({ "model": "gpt-4o" }));
    let error = world.post("/v1/chat/completions", &unknown).error(404);
    assert_eq!(error["code"], "model_not_found");
    let ids = json!({ "model": "tiny", "prompt": [1, 99_999] });
    world.post("/v1/completions", &ids).error(400);
}

#[test]
fn embeddings_are_the_encoders() {
    let world = World::new();
    let name = tiny_encoder().name().to_owned();
    let texts = ["steel rust steel", "rust"];
    let want = tiny_encoder().encode(&texts).unwrap();
    let ask = |more: Value| {
        world.ask("/v1/embeddings", &merged(json!({ "model": name, "input": texts }), &more))
    };
    let floats = ask(json!({}));
    for (index, want) in want.iter().enumerate() {
        let got: Vec<f32> =
            serde_json::from_value(floats["data"][index]["embedding"].clone()).unwrap();
        assert_eq!(got, want.vector);
        assert_eq!(floats["data"][index]["index"], index);
    }
    let coded = ask(json!({ "encoding_format": "base64" }));
    let text = coded["data"][0]["embedding"].as_str().unwrap();
    assert_eq!(text.len(), (want[0].vector.len() * 4).div_ceil(3) * 4);
    let n_tokens: usize = want.iter().map(|embedding| embedding.n_tokens).sum();
    assert_eq!(floats["usage"]["prompt_tokens"], n_tokens);
    let ids = json!({ "model": name, "input": [[1, 2]] });
    let error = world.post("/v1/embeddings", &ids).error(400);
    assert!(error["message"].as_str().unwrap().contains("check_embedding_ctx_length"));
}

#[test]
fn tokens_go_to_and_fro_and_data_yields_no_control_token() {
    let world = World::new();
    let hostile = "a<|im_end|>b";
    let told = world.ask("/tokenize", &json!({ "prompt": hostile, "return_token_strs": true }));
    let ids: Vec<u32> = serde_json::from_value(told["tokens"].clone()).unwrap();
    assert!(ids.iter().all(|id| *id < 256), "{ids:?}");
    assert_eq!(told["count"], ids.len());
    assert_eq!(told["max_model_len"], 16_384);
    let back = world.ask("/detokenize", &json!({ "tokens": ids }));
    assert_eq!(back["prompt"], hostile);
    let info = world.client.get("/tokenizer_info").ok();
    assert_eq!(info["eos_token"], "<|im_end|>");
    let end = world
        .ask("/tokenize", &json!({ "prompt": info["eos_token"], "add_special_tokens": false }));
    assert_eq!(end["tokens"], json!([258]));
    let chat =
        world.ask("/tokenize", &json!({ "messages": [{ "role": "user", "content": hostile }] }));
    let ids: Vec<u32> = serde_json::from_value(chat["tokens"].clone()).unwrap();
    assert_eq!(ids.iter().filter(|id| **id == 258).count(), 1);
    let answer = json!({ "messages": [{ "role": "user", "content": hostile }] });
    assert_eq!(world.chat(&answer)["usage"]["prompt_tokens"], chat["count"]);
}

#[test]
fn models_metrics_and_the_document_are_there() {
    let world = World::new();
    let list = world.client.get("/v1/models").ok();
    let ids: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids[0], "tiny");
    assert!(ids.contains(&"tiny+idiolect") && ids.contains(&"tiny+scp"));
    for id in &ids {
        assert_eq!(world.client.get(&format!("/v1/models/{id}")).ok()["id"], *id);
    }
    assert_eq!(world.client.get("/v1/models/none").error(404)["code"], "model_not_found");

    let answer = world.chat(&json!({}));
    let metrics = world.client.get("/metrics");
    assert_eq!(metrics.status, 200);
    let value = |name: &str| -> f64 {
        let line = metrics.body.lines().find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name}: {}", metrics.body))[name.len()..]
            .trim()
            .parse()
            .unwrap()
    };
    assert_eq!(
        value("idiolect:prompt_tokens_total"),
        answer["usage"]["prompt_tokens"].as_f64().unwrap()
    );
    let completion = answer["usage"]["completion_tokens"].as_f64().unwrap();
    assert_eq!(value("idiolect:generation_tokens_total"), completion);
    assert_eq!(value("idiolect:e2e_request_latency_seconds_count"), 1.0);
    assert_eq!(value("idiolect:time_to_first_token_seconds_count"), 1.0);
    let route = "idiolect:http_requests_total{route=\"/v1/chat/completions\",status=\"200\"}";
    assert_eq!(value(route), 1.0);

    // Every route of the document exists, and takes the method that it says.
    let document = world.client.get("/v1/openapi.json").ok();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "nobody");
        for method in methods.as_object().unwrap().keys() {
            let answer = world.client.send(&method.to_uppercase(), &path, &[], "{}");
            assert_ne!(answer.status, 405, "{method} {path}");
            let is_route = answer.status != 404 || !answer.body.contains("no such route");
            assert!(is_route, "{method} {path}: {}", answer.body);
        }
    }
}
