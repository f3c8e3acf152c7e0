//! Servers that are busy, hang up, or answer by half: nothing is lost, and nothing comes twice.

use std::collections::BTreeSet;
use std::sync::mpsc::channel;

use futures::executor::block_on;
use futures::future::join_all;
use idiolect_core::client::Model;
use idiolect_engine::lm::{Prompt, Request, ScoreRequest};

use super::fake::{FakeServer, Trouble};
use super::{connect, connect_with};
use crate::{RemoteLm, ServerKind};

const TROUBLES: [Trouble; 6] = [
    Trouble::Status(429),
    Trouble::Status(500),
    Trouble::Status(503),
    Trouble::HangUp,
    Trouble::Half,
    Trouble::ErrorEvent,
];

fn connected() -> (FakeServer, RemoteLm) {
    let server = FakeServer::new(ServerKind::Vllm);
    let lm = connect(&server.address()).unwrap();
    server.take_requests();
    (server, lm)
}

fn request(text: &str) -> Request {
    Request::new(Prompt::Text(text.to_owned()), 30)
}

/// The text that a stream showed, and its answer.
fn streamed(lm: &RemoteLm, text: &str) -> (String, Result<String, String>) {
    let (send, pieces) = channel();
    let on_text = Box::new(move |piece: &str| send.send(piece.to_owned()).unwrap());
    let answer = block_on(lm.generate(Request { on_text: Some(on_text), ..request(text) }));
    let answer = answer.map(|answer| answer.text).map_err(|error| error.to_string());
    (pieces.iter().collect(), answer)
}

#[test]
fn each_trouble_is_overcome_once() {
    let (server, lm) = connected();
    let want = block_on(lm.generate(request("Hello"))).unwrap();
    let score = || ScoreRequest::new(Prompt::Text("abc".to_owned()), "xyz");
    let want_score = block_on(lm.score(score())).unwrap();
    server.take_requests();
    for trouble in TROUBLES {
        server.take_requests();
        server.fail_next(&[trouble]);
        assert_eq!(block_on(lm.generate(request("Hello"))).unwrap(), want, "{trouble:?}");
        assert_eq!(server.take_requests().len(), 2, "{trouble:?}");
        server.fail_next(&[trouble, trouble]);
        let (shown, answer) = streamed(&lm, "Hello");
        assert_eq!((shown, answer), (want.text.clone(), Ok(want.text.clone())), "{trouble:?}");
        assert_eq!(server.take_requests().len(), 3, "{trouble:?}");
        server.fail_next(&[trouble]);
        assert_eq!(block_on(lm.score(score())).unwrap(), want_score, "{trouble:?}");
    }
    server.take_requests();
    server.fail_next(&TROUBLES[..5]);
    assert_eq!(block_on(lm.generate(request("Hello"))).unwrap(), want);
    assert_eq!(server.take_requests().len(), 6);
}

#[test]
fn a_server_that_never_recovers_is_told_with_the_number_of_tries() {
    let (server, lm) = connected();
    server.fail_next(&[Trouble::Status(503); 99]);
    let error = block_on(lm.generate(request("Hello"))).unwrap_err().to_string();
    assert!(error.ends_with("HTTP 503: not now (tried 6 times)"), "{error}");
    assert_eq!(server.take_requests().len(), 6);
}

#[test]
fn a_refused_request_is_not_repeated() {
    let (server, lm) = connected();
    for status in [400, 401, 404, 413, 422, 307] {
        server.fail_next(&[Trouble::Status(status)]);
        let error = block_on(lm.generate(request("Hello"))).unwrap_err().to_string();
        assert!(error.contains(&format!("HTTP {status}: not now")), "{error}");
        assert_eq!(server.take_requests().len(), 1);
    }
}

#[test]
fn a_text_that_changed_after_it_was_shown_in_part_is_an_error() {
    let (server, lm) = connected();
    let whole = block_on(lm.generate(request("Hello there"))).unwrap().text;
    assert!(whole.len() > 3, "{whole}");
    server.fail_next(&[Trouble::Half]);
    // The second attempt writes otherwise.
    let (send, pieces) = channel();
    let other = server.clone();
    let on_text = Box::new(move |piece: &str| {
        other.write_otherwise(77);
        send.send(piece.to_owned()).unwrap();
    });
    let asked = Request { on_text: Some(on_text), ..request("Hello there") };
    let error = block_on(lm.generate(asked)).unwrap_err().to_string();
    let shown: String = pieces.iter().collect();
    assert!(error.contains("another text than the one that was shown"), "{error}");
    assert!(whole.starts_with(&shown) && shown.len() < whole.len(), "{shown}");
}

#[test]
fn a_user_stays_on_one_server_and_all_servers_have_users() {
    let servers = [FakeServer::new(ServerKind::Vllm), FakeServer::new(ServerKind::Vllm)];
    let lm = connect(&format!("{},{}#fake", servers[0].base(), servers[1].base())).unwrap();
    servers.iter().for_each(|server| drop(server.take_requests()));
    let mut of_server: [BTreeSet<String>; 2] = Default::default();
    for text in ["one", "two", "three"] {
        let asked = (1..=20).map(|user| {
            lm.generate(Request { affinity: user, ..request(&format!("{user} {text}")) })
        });
        for answer in block_on(join_all(asked)) {
            answer.unwrap();
        }
        for (server, users) in servers.iter().zip(&mut of_server) {
            for got in server.take_requests() {
                let ids = got.body["prompt"].as_array().unwrap().iter();
                let bytes: Vec<u8> = ids.map(|id| id.as_u64().unwrap() as u8).collect();
                let prompt = String::from_utf8(bytes).unwrap();
                users.insert(prompt.split(' ').next().unwrap().to_owned());
            }
        }
    }
    assert!(of_server[0].is_disjoint(&of_server[1]));
    assert_eq!(of_server[0].len() + of_server[1].len(), 20);
    assert!(of_server.iter().all(|users| users.len() > 3), "{of_server:?}");
}

#[test]
fn a_server_that_hangs_up_is_left_for_the_other() {
    let servers = [FakeServer::new(ServerKind::Vllm), FakeServer::new(ServerKind::Vllm)];
    let lm = connect(&format!("{},{}#fake", servers[0].base(), servers[1].base())).unwrap();
    servers.iter().for_each(|server| drop(server.take_requests()));
    servers[0].fail_next(&[Trouble::HangUp; 99]);
    let asked = (1..=20).map(|user| lm.generate(Request { affinity: user, ..request("Hi") }));
    let answers = block_on(join_all(asked));
    assert!(answers.into_iter().all(|answer| answer.is_ok()));
    // Each text was written once: by the server that stayed.
    assert_eq!(servers[1].take_requests().len(), 20);
}

#[test]
fn many_requests_at_once_are_each_answered_once() {
    let server = FakeServer::new(ServerKind::Vllm);
    let lm = connect_with(&server.address(), |options| {
        options.parallel = 4;
        options.retry.tries = 20;
    })
    .unwrap();
    server.take_requests();
    let one_by_one: Vec<String> = (0..40)
        .map(|i| block_on(lm.generate(request(&format!("text {i}")))).unwrap().text)
        .collect();
    server.take_requests();
    let troubles: Vec<Trouble> = TROUBLES.iter().copied().cycle().take(12).collect();
    server.fail_next(&troubles);
    let asked = (0..40).map(|i| lm.generate(request(&format!("text {i}"))));
    let answers = block_on(join_all(asked)).into_iter().map(|answer| answer.unwrap().text);
    assert_eq!(answers.collect::<Vec<_>>(), one_by_one);
    assert_eq!(server.take_requests().len(), 52);
}

#[test]
fn a_dropped_request_is_not_sent() {
    let (server, lm) = connected();
    drop(lm.generate(request("Never")));
    block_on(lm.generate(request("Then"))).unwrap();
    assert_eq!(server.take_requests().len(), 1);
}
