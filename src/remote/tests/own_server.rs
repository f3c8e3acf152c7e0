//! `idiolect serve` as the server: texts and scores equal those of the engine, bit for bit.

use futures::executor::block_on;
use futures::future::join_all;
use idiolect_core::client::Model;
use idiolect_core::steering::{Steering, UnigramCounts};
use idiolect_core::task::Window;
use idiolect_engine::lm::{
    Chat, Completion, Constraint, Eos, Lm, Prompt, Request, Role, Sampling, Score, ScoreRequest,
    TextToScore,
};
use idiolect_server::{ServedModels, Server, ServerOptions};
use serde_json::json;

use super::{connect, tiny};
use crate::RemoteLm;

/// The engine, the server with the same weights in an engine of its own, and the client.
struct OwnServer {
    lm: Lm,
    remote: RemoteLm,
    _server: Server,
}

fn own_server() -> OwnServer {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), ServerOptions::default()).unwrap();
    server.serve(ServedModels::new(tiny().lm()));
    let remote = connect(&format!("http://{}/v1#tiny", server.address())).unwrap();
    OwnServer { lm: tiny().lm(), remote, _server: server }
}

fn chat(text: &str) -> Prompt {
    let chat = Chat::default().with(Role::System, "Write as <|im_end|> Ann.");
    Prompt::Chat(chat.with(Role::User, text))
}

/// Requests that use every field that the server takes.
fn requests() -> Vec<Request> {
    let sampled = |seed| Sampling { temperature: 0.9, top_p: 0.95, seed, ..Sampling::default() };
    let penalised = Sampling {
        top_k: 30,
        min_p: 0.02,
        repetition_penalty: 1.2,
        dry_multiplier: 0.8,
        dry_allowed_length: 1,
        penalty_window: 12,
        frequency_penalty: 0.3,
        presence_penalty: 0.2,
        logit_bias: [(101, 3.25), (32, -1.5)].into(),
        ..sampled(u64::MAX - 9)
    };
    let long = |text: &str| Request::new(chat(text), 60);
    let constraint = json!({
        "type": "object",
        "properties": { "b": { "type": "integer" }, "a": { "type": "boolean" } },
        "required": ["b", "a"],
    });
    vec![
        long("Say it"),
        Request { sampling: sampled(7), ..long("Say it") },
        Request { sampling: penalised, ..long("Äpfel und 日本") },
        Request {
            sampling: sampled(3),
            stop: vec!["e".to_owned(), "\n\n".to_owned()],
            ..Request::new(Prompt::Text("A document about kettles:".to_owned()), 80)
        },
        Request { eos: Eos::Ignore, ..long("On and on") },
        Request { constraint: Some(Constraint::JsonSchema(constraint)), ..long("A value") },
    ]
}

#[test]
fn texts_are_equal() {
    let OwnServer { lm, remote, _server } = own_server();
    assert_eq!(remote.context(), lm.context());
    assert_eq!(remote.count(&chat("Say it")).unwrap(), lm.count(&chat("Say it")).unwrap());
    let want: Vec<Completion> = requests()
        .into_iter()
        .map(|request| block_on(Lm::generate(&lm, request)).unwrap())
        .collect();
    let got = block_on(join_all(requests().into_iter().map(|request| remote.generate(request))));
    let got: Vec<Completion> = got.into_iter().map(Result::unwrap).collect();
    assert_eq!(got, want);
    for (request, want) in requests().into_iter().zip(&want) {
        let (send, pieces) = std::sync::mpsc::channel();
        let on_text = Box::new(move |piece: &str| send.send(piece.to_owned()).unwrap());
        let streamed = block_on(remote.generate(Request { on_text: Some(on_text), ..request }));
        assert_eq!(&streamed.unwrap(), want);
        assert_eq!(pieces.iter().collect::<String>(), want.text);
    }
}

#[test]
fn scores_are_equal() {
    let OwnServer { lm, remote, _server } = own_server();
    let long = "It whistles. ".repeat(30);
    for (prompt, text) in [("Say it", "no"), ("Say it", &long), (&long, "Äpfel <|im_end|>")] {
        for top in [None, Some(0), Some(3)] {
            let asked = || ScoreRequest { top, ..ScoreRequest::new(chat(prompt), text) };
            let want: Vec<Score> = block_on(Lm::score(&lm, asked())).unwrap();
            let got = block_on(remote.score(asked())).unwrap();
            assert_eq!(got, want, "{prompt:?} {text:?} {top:?}");
            assert_eq!(got[0].total().to_bits(), want[0].total().to_bits());
        }
    }
    let asked = || ScoreRequest::new(Prompt::Text(String::new()), "from the start token");
    let want = block_on(Lm::score(&lm, asked())).unwrap();
    assert_eq!(block_on(remote.score(asked())).unwrap(), want);
    let undivided = || (chat("Say it"), TextToScore::Text(long.clone()));
    let (prompt, text) = undivided();
    let want = block_on(Lm::score_undivided(&lm, prompt, text)).unwrap();
    let (prompt, text) = undivided();
    let got = block_on(remote.score_undivided(prompt, text)).unwrap();
    assert_eq!((got.tokens, got.logprobs), (want.tokens, want.logprobs));
}

#[test]
fn a_users_words_steer_alike() {
    let OwnServer { lm, remote, _server } = own_server();
    let counts = |text: &str| UnigramCounts::of(&lm, [text].into_iter()).unwrap();
    let bias = counts("zzz! yy zz!").against(&counts("an ordinary text"), 4.0);
    let steering = Steering { lexical: Some((2.0, bias)), ..Steering::default() };
    let sampling = Sampling { temperature: 0.7, seed: 5, ..Sampling::default() };
    let asked = || Request {
        combine: Some(steering.rule()),
        sampling: sampling.clone(),
        ..Request::new(chat("Say it"), 80)
    };
    let want = block_on(Lm::generate(&lm, asked())).unwrap();
    assert!(want.text.matches('z').count() > 3, "{want:?}");
    assert_eq!(block_on(remote.generate(asked())).unwrap(), want);
}
