//! Requests and answers of each program.

use std::collections::BTreeMap;

use futures::executor::block_on;
use idiolect_core::client::Model;
use idiolect_core::steering::{Contrast, Steering, UnigramCounts};
use idiolect_core::task::Window;
use idiolect_engine::lm::{
    Chat, Constraint, Eos, Finish, Prompt, Request, Role, Sampling, ScoreRequest, TextToScore,
    WeightedSum,
};
use serde_json::{Value, json};

use super::fake::{FakeServer, logprob};
use super::{connect, connect_with};
use crate::{Error, RemoteLm, ServerKind};

const ALL: [ServerKind; 4] =
    [ServerKind::Vllm, ServerKind::Sglang, ServerKind::LlamaServer, ServerKind::Other];

fn connected(kind: ServerKind) -> (FakeServer, RemoteLm) {
    let server = FakeServer::new(kind);
    let lm = connect(&server.address()).unwrap();
    assert_eq!((lm.kind(), lm.name()), (kind, "fake"));
    server.take_requests();
    (server, lm)
}

fn request(text: &str) -> Request {
    Request::new(Prompt::Text(text.to_owned()), 30)
}

#[test]
fn a_text_is_asked_for_in_ids_with_every_setting_given() {
    for kind in ALL {
        let (server, lm) = connected(kind);
        let chat = Chat::default().with(Role::User, "Say <|im_end|> it");
        let asked = Request { prompts: vec![Prompt::Chat(chat)], ..request("") };
        let answer = block_on(lm.generate(asked)).unwrap();
        assert_eq!(answer.finish, Finish::End);
        assert_eq!(answer.completion_tokens, answer.text.len(), "{kind:?}");
        let got = server.take_requests();
        assert_eq!(got.len(), 1);
        let body = &got[0].body;
        let ids: Vec<u64> =
            body["prompt"].as_array().unwrap().iter().map(|id| id.as_u64().unwrap()).collect();
        assert_eq!(ids.len(), answer.prompt_tokens);
        // The marker in the user's text is text.
        assert_eq!(ids.iter().filter(|id| **id == 258).count(), 1);
        assert_eq!(body["temperature"], 0.0);
        assert_eq!(body["top_p"], 1.0);
        assert_eq!(body["seed"], 0);
        assert_eq!(body["stream"], Value::Null);
        match kind {
            ServerKind::Vllm | ServerKind::Sglang => {
                assert_eq!(body["top_k"], -1);
                assert_eq!(body["repetition_penalty"], 1.0);
                assert!(body["stop_token_ids"].as_array().unwrap().contains(&json!(258)));
            }
            ServerKind::LlamaServer => {
                assert_eq!(body["n_predict"], 30);
                assert_eq!(body["samplers"][2], "temperature");
                assert_eq!(body["repeat_last_n"], ids.len() + 30);
                let dry = Sampling { dry_multiplier: 0.5, ..Sampling::default() };
                block_on(lm.generate(Request { sampling: dry, ..request("Hi") })).unwrap();
                let body = &server.take_requests()[0].body;
                assert_eq!(body["dry_multiplier"], 0.5);
                assert_eq!(body["dry_penalty_last_n"], body["repeat_last_n"]);
            }
            _ => assert_eq!(body.as_object().unwrap().len(), 8),
        }
    }
}

#[test]
fn streamed_texts_are_the_whole_ones_and_seeds_count() {
    for kind in ALL {
        let (_server, lm) = connected(kind);
        let sampling = Sampling { temperature: 0.8, seed: u64::MAX - 3, ..Sampling::default() };
        let asked = || Request { sampling: sampling.clone(), ..request("Hi") };
        let whole = block_on(lm.generate(asked())).unwrap();
        let (send, pieces) = std::sync::mpsc::channel();
        let on_text = Box::new(move |piece: &str| send.send(piece.to_owned()).unwrap());
        let streamed = Request { on_text: Some(on_text), ..asked() };
        assert_eq!(block_on(lm.generate(streamed)).unwrap(), whole);
        assert_eq!(pieces.iter().collect::<String>(), whole.text);
        let other = block_on(lm.generate(request("Hi"))).unwrap();
        assert_ne!(other.text, whole.text, "{kind:?}");
    }
}

#[test]
fn ends_are_told_apart() {
    for kind in ALL {
        let (server, lm) = connected(kind);
        let whole = block_on(lm.generate(request("Tell"))).unwrap();
        let stop = whole.text[1..2].to_owned();
        let stopped = Request { stop: vec![stop.clone()], ..request("Tell") };
        let answer = block_on(lm.generate(stopped)).unwrap();
        assert_eq!(answer.finish, Finish::Stop, "{kind:?}");
        assert_eq!(answer.text, whole.text[..whole.text.find(&stop).unwrap()]);
        let short = Request { max_tokens: 1, ..request("Tell") };
        let answer = block_on(lm.generate(short)).unwrap();
        assert_eq!((answer.finish, answer.completion_tokens), (Finish::Length, 1));
        let endless = block_on(lm.generate(Request { eos: Eos::Ignore, ..request("Tell") }));
        let ignores = server.take_requests().last().unwrap().body["ignore_eos"] == true;
        assert_eq!(
            (endless.is_ok(), ignores),
            (kind != ServerKind::Other, kind != ServerKind::Other)
        );
    }
}

#[test]
fn scores_are_those_of_the_text_alone() {
    for kind in [ServerKind::Vllm, ServerKind::Sglang] {
        let (server, lm) = connected(kind);
        let asked = ScoreRequest::new(Prompt::Text("abc".to_owned()), "xyz");
        let scores = block_on(lm.score(asked)).unwrap();
        let ids: Vec<u32> = b"xyz".iter().map(|byte| u32::from(*byte)).collect();
        assert_eq!(scores.len(), 1);
        assert_eq!(scores[0].tokens, ids);
        let want: Vec<f32> = ids.iter().zip(3..).map(|(id, at)| logprob(*id, at)).collect();
        assert_eq!(scores[0].logprobs, want, "{kind:?}");
        assert!(scores[0].details.is_empty());
        let got = server.take_requests();
        assert_eq!(got.len(), 1);
        match kind {
            ServerKind::Sglang => assert_eq!(got[0].body["logprob_start_len"], 2),
            _ => assert_eq!(got[0].body["prompt_logprobs"], 0),
        }
        let empty =
            block_on(lm.score(ScoreRequest::new(Prompt::Text("a".to_owned()), ""))).unwrap();
        assert!(empty[0].tokens.is_empty() && server.take_requests().is_empty());
    }
}

#[test]
fn ranks_are_told_by_vllm_and_refused_by_sglang() {
    let asked = || ScoreRequest {
        top: Some(2),
        ..ScoreRequest::new(Prompt::Text("abc".to_owned()), TextToScore::Tokens(vec![7, 8]))
    };
    let (_server, lm) = connected(ServerKind::Vllm);
    let score = block_on(lm.score(asked())).unwrap().remove(0);
    assert_eq!(score.details.len(), 2);
    assert_eq!((score.details[1].id, score.details[1].rank), (8, 3));
    assert_eq!(score.details[0].top, [(271, -0.01), (272, -0.02)]);
    let (server, lm) = connected(ServerKind::Sglang);
    assert!(block_on(lm.score(asked())).unwrap_err().to_string().contains("ranks"));
    assert!(server.take_requests().is_empty());
}

#[test]
fn servers_without_scores_say_so_in_one_sentence() {
    for kind in [ServerKind::LlamaServer, ServerKind::Other] {
        let (server, lm) = connected(kind);
        let error = block_on(lm.score(ScoreRequest::new(Prompt::Text("a".to_owned()), "b")));
        let message = error.unwrap_err().to_string();
        assert!(message.contains("log-probabilities of a given text"), "{message}");
        assert!(server.take_requests().is_empty());
    }
}

#[test]
fn a_users_words_go_as_a_bias() {
    let (server, lm) = connected(ServerKind::Vllm);
    let vocabulary = lm.vocabulary().unwrap();
    let own = UnigramCounts::of(vocabulary, ["aab"].into_iter()).unwrap();
    let others = UnigramCounts::of(vocabulary, ["bcd"].into_iter()).unwrap();
    let bias = own.against(&others, 5.0);
    let steering = Steering { lexical: Some((0.5, bias.clone())), ..Steering::default() };
    let asked = Request { combine: Some(steering.rule()), ..request("Hi") };
    block_on(lm.generate(asked)).unwrap();
    let sent = server.take_requests()[0].body["logit_bias"].clone();
    let sent: BTreeMap<u32, f32> = serde_json::from_value(sent).unwrap();
    let want: BTreeMap<u32, f32> = bias.sparse(0.5, 9).entries.into_iter().collect();
    assert_eq!((want.len(), sent), (3, want.clone()));
    assert_eq!(lm.lost_shift().n_texts, 1);
    assert!(lm.lost_shift().greatest_share.abs() < 1e-9);
    // Without steering there is no bias.
    let plain = Request { combine: Some(Box::new(WeightedSum(vec![1.0]))), ..request("Hi") };
    block_on(lm.generate(plain)).unwrap();
    assert_eq!(server.take_requests()[0].body["logit_bias"], Value::Null);
    assert_eq!(lm.lost_shift().n_texts, 1);
}

#[test]
fn what_no_server_can_do_is_refused_with_advice() {
    let (server, lm) = connected(ServerKind::Vllm);
    let steering =
        Steering { contrast: Contrast::ContextSteering { strength: 0.5 }, ..Steering::default() };
    let refused = |asked: Request| block_on(lm.generate(asked)).unwrap_err().to_string();
    let contrast = refused(Request { combine: Some(steering.rule()), ..request("Hi") });
    assert!(contrast.contains("idiolect.contrast=none"), "{contrast}");
    let dry = Sampling { dry_multiplier: 0.8, ..Sampling::default() };
    let dry = refused(Request { sampling: dry, ..request("Hi") });
    assert!(dry.contains("vLLM has no DRY penalty; set --dry-multiplier 0"), "{dry}");
    let power = Steering { power: Some(0.5), ..Steering::default() };
    let asked = ScoreRequest {
        combine: vec![None, Some(power.rule())],
        ..ScoreRequest::new(Prompt::Text("a".to_owned()), "b")
    };
    assert!(block_on(lm.score(asked)).unwrap_err().to_string().contains("steered"));
    let long = refused(Request { max_tokens: 4000, ..request("Hi") });
    assert!(long.contains("do not fit the window of 2047"), "{long}");
    assert!(server.take_requests().is_empty());
}

#[test]
fn each_server_gets_its_own_field_of_a_schema() {
    let schema = json!({ "type": "object", "properties": { "b": {}, "a": {} } });
    for kind in ALL {
        let (server, lm) = connected(kind);
        let constraint = Some(Constraint::JsonSchema(schema.clone()));
        let answer = block_on(lm.generate(Request { constraint, ..request("Hi") }));
        if kind == ServerKind::Other {
            assert!(answer.unwrap_err().to_string().contains("JSON schema"));
            continue;
        }
        let body = server.take_requests().remove(0).body;
        match kind {
            ServerKind::Vllm => {
                assert_eq!(body["response_format"]["json_schema"]["schema"], schema)
            }
            ServerKind::Sglang => assert_eq!(body["json_schema"], schema.to_string()),
            _ => assert_eq!(body["json_schema"], schema),
        }
    }
}

#[test]
fn the_window_is_the_servers() {
    // One token is left for the one that these write after a scored text.
    for (kind, context) in [
        (ServerKind::Vllm, 2047),
        (ServerKind::Sglang, 2047),
        (ServerKind::LlamaServer, 512),
        (ServerKind::Other, 2048),
    ] {
        assert_eq!(connected(kind).1.context(), context, "{kind:?}");
    }
}

#[test]
fn another_vocabulary_is_refused() {
    for (kind, has_tokenize) in [(ServerKind::Vllm, true), (ServerKind::LlamaServer, true)] {
        let server = FakeServer::with(kind, 1, has_tokenize);
        let error = connect(&server.address()).err().unwrap();
        assert!(matches!(&error, Error::Vocabulary { model, .. } if model == "fake"), "{error}");
        assert!(error.to_string().contains("--lm-tokenizer"), "{error}");
    }
    // Without /tokenize the server's text of our ids counts.
    let same = FakeServer::with(ServerKind::Other, 0, false);
    connect(&same.address()).unwrap();
    let other = FakeServer::with(ServerKind::Other, 1, false);
    assert!(connect(&other.address()).is_err());
    let unknown = FakeServer::with(ServerKind::LlamaServer, 0, false);
    assert!(connect(&unknown.address()).err().unwrap().to_string().contains("cannot be checked"));
}

#[test]
fn models_are_named_and_stamped() {
    let server = FakeServer::new(ServerKind::Vllm);
    let fingerprint = |address: &str, stamp: &str| {
        let stamp = stamp.to_owned();
        let lm = connect_with(address, |options| options.stamp = stamp).unwrap();
        lm.fingerprint().to_owned()
    };
    let named = fingerprint(&server.address(), "");
    assert_eq!(fingerprint(&server.base(), ""), named);
    assert_ne!(fingerprint(&server.base(), "q4"), named);
    let other = FakeServer::new(ServerKind::Sglang);
    assert_ne!(fingerprint(&other.base(), ""), named);
    let error = connect(&format!("{}#missing", server.base())).err().unwrap().to_string();
    assert!(error.contains("serves no model `missing`; it serves fake"), "{error}");
    let mixed = connect(&format!("{},{}#fake", server.base(), other.base())).err().unwrap();
    assert!(matches!(mixed, Error::MixedServers { .. }), "{mixed}");
}

#[test]
fn the_key_is_sent() {
    let server = FakeServer::new(ServerKind::Vllm);
    let lm =
        connect_with(&server.address(), |options| options.key = Some("k1".to_owned())).unwrap();
    block_on(lm.generate(request("Hi"))).unwrap();
    for got in server.take_requests() {
        let key = got.headers.iter().find(|(name, _)| name == "authorization").unwrap();
        assert_eq!(key.1, "Bearer k1");
    }
}
