//! Attacks that must not harm the server: foreign pages, wrong keys, bodies that are too large or do not end,
//! clients that hang up or do not read.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use serde_json::json;

use super::client::{Answer, Client};
use super::{World, chat_body, eventually};
use crate::{ApiKeys, Server, ServerOptions};

const CHAT: &str = "/v1/chat/completions";

#[test]
fn other_hosts_are_refused() {
    let world = World::with(ServerOptions {
        allowed_hosts: vec!["box.example".to_owned()],
        ..ServerOptions::default()
    });
    let port = world.client.host().split(':').nth(1).unwrap().to_owned();
    for path in ["/v1/models", "/health", "/metrics", "/api/users", "/nothing"] {
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "", "a@localhost"]
        {
            let answer = world.client.send("GET", path, &[("Host", host)], "");
            assert!(matches!(answer.status, 400 | 403), "{path} {host}: {}", answer.status);
            assert!(!answer.body.contains("tiny"), "{}", answer.body);
        }
    }
    let named = [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
        "localhost".to_owned(),
        "BOX.example:1".to_owned(),
    ];
    for host in &named {
        assert_eq!(
            world.client.send("GET", "/v1/models", &[("Host", host)], "").status,
            200,
            "{host}"
        );
    }
    // Two different hosts in one request.
    let mut stream = world.client.connect();
    let both = format!(
        "GET http://evil.example/v1/models HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
        world.client.host()
    );
    stream.write_all(both.as_bytes()).unwrap();
    assert_eq!(Answer::read(&mut stream).status, 403);
}

#[test]
fn pages_of_other_origins_are_refused_unless_allowed() {
    let world = World::with(ServerOptions {
        cors_origins: vec!["https://chat.example".to_owned()],
        ..ServerOptions::default()
    });
    let own = format!("http://{}", world.client.host());
    let body = chat_body(&json!({ "max_tokens": 2 })).to_string();
    let answer = |origin: &str| world.client.send("POST", CHAT, &[("Origin", origin)], &body);
    for origin in ["http://evil.example", "null", "https://chat.example.evil", "http://localhost:1"]
    {
        let refused = answer(origin);
        assert_eq!(refused.error(403)["code"], "origin_not_allowed", "{origin}");
        assert_eq!(refused.header("access-control-allow-origin"), None);
    }
    let same = answer(&own);
    assert_eq!((same.status, same.header("access-control-allow-origin")), (200, None));
    let allowed = answer("https://chat.example");
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://chat.example"));
    let preflight = |origin: &str| {
        let headers = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
        world.client.send("OPTIONS", CHAT, &headers, "")
    };
    assert_eq!(preflight("https://chat.example").status, 204);
    assert_eq!(preflight("http://evil.example").status, 403);
    assert_eq!(world.client.send("OPTIONS", CHAT, &[], "").status, 405);
}

#[test]
fn every_route_but_health_needs_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.txt");
    std::fs::write(&file, "the-right-key-0123456789\n").unwrap();
    let keys = ApiKeys::read(&file).unwrap();
    let world = World::with(ServerOptions { keys, ..ServerOptions::default() });
    let right = world.client.with_key("the-right-key-0123456789");
    let document = right.get("/v1/openapi.json").ok();
    let mut n_routes = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "tiny");
        for method in methods.as_object().unwrap().keys() {
            n_routes += 1;
            let wrong = world.client.with_key("the-wrong-key-0123456789");
            for client in [&world.client, &wrong] {
                let answer = client.send(&method.to_uppercase(), &path, &[], "{}");
                if path == "/health" {
                    assert_eq!(answer.status, 200);
                    continue;
                }
                assert_eq!(answer.error(401)["code"], "invalid_api_key", "{path}");
                assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            }
        }
    }
    assert!(n_routes > 18, "{n_routes}");
    assert_eq!(world.client.get("/nothing").status, 401);
    right.get("/v1/models").ok();
    right.get("/nothing").error(404);
}

#[test]
fn addresses_of_other_machines_need_a_key() {
    let bind = |options| Server::bind("0.0.0.0:0".parse().unwrap(), options);
    let error = bind(ServerOptions::default()).err().unwrap().to_string();
    assert!(error.contains("--api-key-file"), "{error}");
    let user_header = Some("X-User".to_owned());
    let options = ServerOptions { user_header, ..ServerOptions::default() };
    assert!(Server::bind("127.0.0.1:0".parse().unwrap(), options).is_err());
}

#[test]
fn bodies_are_bounded_and_must_be_json() {
    let world = World::new();
    let large = format!("{{\"model\": \"{}\"}}", "x".repeat(2 << 20));
    assert_eq!(world.client.send("POST", CHAT, &[], &large).status, 413);
    for wrong in ["", "nonsense", "[1]", "\"a\"", "{\"a\":", &"[".repeat(10_000)] {
        let error = world.client.send("POST", CHAT, &[], wrong).error(400);
        assert!(!error["message"].as_str().unwrap().contains("nonsense"), "{error}");
    }
    // Half a body, then the end of the connection.
    let mut stream = world.client.connect();
    let request = world.client.request("POST", CHAT, &[], &chat_body(&json!({})).to_string());
    stream.write_all(&request.as_bytes()[..request.len() - 10]).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let status = Answer::read(&mut stream).status;
    assert!(matches!(status, 0 | 400), "{status}");
    assert_eq!(world.client.get("/v1/completions").status, 405);
    assert_eq!(world.client.get("/api/tags").error(404)["code"], "not_found");
    let ollama = world.client.get("/api/version").error(404);
    assert!(ollama["message"].as_str().unwrap().contains("/v1"), "{ollama}");
}

#[test]
fn a_connection_stays_usable_after_an_error() {
    let world = World::new();
    let mut stream = world.client.connect();
    let host = world.client.host();
    let large = "x".repeat(2 << 20);
    for (path, body, status) in [
        ("/v1/responses/compact", "{}", "404"),
        (CHAT, "nonsense", "400"),
        (CHAT, large.as_str(), "413"),
        ("/v1/models", "{}", "405"),
        ("/tokenize", "{\"prompt\": \"a\"}", "200"),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        let mut buffer = [0; 4096];
        // The head, then as many bytes as it announces.
        loop {
            let n = stream.read(&mut buffer).unwrap();
            assert!(n > 0, "{path}: the connection ended: {answer}");
            answer.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
            let Some((head, body)) = answer.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.unwrap().parse().unwrap() {
                break;
            }
        }
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{path}: {answer}");
    }
}

/// A request for a text that takes long.
fn long_stream(client: &Client) -> String {
    let more = json!({ "stream": true, "ignore_eos": true, "max_tokens": 15_000 });
    client.request("POST", CHAT, &[], &chat_body(&more).to_string())
}

#[test]
fn hanging_up_frees_the_row() {
    let world = World::new();
    let mut stream = world.client.connect();
    stream.write_all(long_stream(&world.client).as_bytes()).unwrap();
    let mut first = [0; 200];
    stream.read_exact(&mut first).unwrap();
    assert_eq!(world.lm.stats().running, 1);
    drop(stream);
    eventually("the row is free", || world.lm.stats().running == 0);
    // An answer that is not streamed.
    let more = json!({ "ignore_eos": true, "max_tokens": 15_000 });
    let request = world.client.request("POST", CHAT, &[], &chat_body(&more).to_string());
    let mut stream = world.client.connect();
    stream.write_all(request.as_bytes()).unwrap();
    eventually("it runs", || world.lm.stats().running == 1);
    drop(stream);
    eventually("the row is free", || world.lm.stats().running == 0);
}

#[test]
fn a_full_queue_answers_429_and_empties() {
    let world = World::with(ServerOptions { max_queue: 2, ..ServerOptions::default() });
    let mut streams: Vec<_> = (0..2).map(|_| world.client.connect()).collect();
    for stream in &mut streams {
        stream.write_all(long_stream(&world.client).as_bytes()).unwrap();
    }
    eventually("both run", || world.lm.stats().running == 2);
    let refused = world.post(CHAT, &chat_body(&json!({})));
    assert_eq!(refused.error(429)["code"], "queue_full");
    assert_eq!(refused.header("retry-after"), Some("1"));
    // Routes that compute nothing still answer.
    world.client.get("/health").ok();
    drop(streams);
    eventually("there is room", || world.post(CHAT, &chat_body(&json!({}))).status == 200);
}

#[test]
fn hanging_up_ends_all_columns_of_a_comparison() {
    let world = World::new();
    let columns = json!([{ "method": "scp", "user": "marta" }, { "method": "scp", "user": "bob" }]);
    // The text that a seed gives may end before both columns are seen to run.
    let begin = |seed: u64| {
        let body = json!({
            "columns": columns, "item": "kettle", "max_tokens": 15_000, "temperature": 1.5,
            "repetition_penalty": 1, "seed": seed,
        });
        let mut stream = world.client.connect();
        let request = world.client.request("POST", "/api/compare", &[], &body.to_string());
        stream.write_all(request.as_bytes()).unwrap();
        stream
    };
    let both_run = || {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(1) {
            if world.lm.stats().running == 2 {
                return true;
            }
            std::thread::yield_now();
        }
        false
    };
    let stream = (0..60).find_map(|seed| {
        let stream = begin(seed);
        both_run().then_some(stream)
    });
    let stream = stream.expect("both are written");
    drop(stream);
    eventually("the rows are free", || world.lm.stats().running == 0);
    eventually("there is room", || world.post(CHAT, &chat_body(&json!({}))).status == 200);
}

#[test]
fn an_answer_that_takes_too_long_ends() {
    let timeout = Duration::from_millis(300);
    let world = World::with(ServerOptions { timeout, ..ServerOptions::default() });
    let more = json!({ "ignore_eos": true, "max_tokens": 15_000 });
    let slow = world.post(CHAT, &chat_body(&more));
    assert_eq!(slow.error(503)["code"], "timeout");
    let mut stream = world.client.connect();
    stream.write_all(long_stream(&world.client).as_bytes()).unwrap();
    let messages = Answer::read(&mut stream).messages();
    let n = messages.len();
    assert_eq!(messages[n - 1].1, "[DONE]");
    assert_eq!(messages[n - 2].1["error"]["code"], "timeout");
    assert!(messages[0].1["choices"].is_array());
    eventually("the row is free", || world.lm.stats().running == 0);
}

#[test]
fn while_models_load_the_server_says_so() {
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), ServerOptions::default()).unwrap();
    let client = Client::new(server.address());
    for answer in [client.get("/health"), client.post(CHAT, &chat_body(&json!({})))] {
        assert_eq!(answer.error(503)["code"], "loading");
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    let start = Instant::now();
    server.wait(|| true);
    assert!(start.elapsed() < Duration::from_secs(8));
}

#[test]
fn many_connections_and_slow_readers_stop_nobody() {
    let world = World::new();
    let idle: Vec<_> = (0..200).map(|_| world.client.connect()).collect();
    // Clients that send a request and never read.
    let mut slow: Vec<_> = (0..4).map(|_| world.client.connect()).collect();
    for stream in &mut slow {
        stream.write_all(long_stream(&world.client).as_bytes()).unwrap();
    }
    world.post(CHAT, &chat_body(&json!({}))).ok();
    drop(idle);
    drop(slow);
    eventually("the rows are free", || world.lm.stats().running == 0);
}

#[test]
fn many_requests_of_which_some_are_cut_off_leave_nothing() {
    let world = World::new();
    let before = world.chat(&json!({ "max_tokens": 40 }))["choices"].clone();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (client, world) = (&world.client, &world);
            scope.spawn(move || {
                for index in 0..125 {
                    if (thread + index) % 4 == 0 {
                        let mut stream = client.connect();
                        stream.write_all(long_stream(client).as_bytes()).unwrap();
                        let mut first = [0; 20];
                        stream.read_exact(&mut first).unwrap();
                        continue;
                    }
                    let more = json!({ "seed": index, "max_tokens": 6, "stream": index % 2 == 0 });
                    assert_eq!(world.post(CHAT, &chat_body(&more)).status, 200);
                }
            });
        }
    });
    eventually("the rows are free", || world.lm.stats().running == 0);
    let stats = world.lm.stats();
    assert_eq!(stats.waiting, 0);
    assert!(stats.kv_bytes <= world.lm.kv_budget());
    assert_eq!(world.chat(&json!({ "max_tokens": 40 }))["choices"], before);
    // The queue has all its places again: as many requests as it has, at once.
    std::thread::scope(|scope| {
        for index in 0..64 {
            let world = &world;
            scope.spawn(move || {
                let more = json!({ "seed": index, "max_tokens": 2, "stream": true });
                let answer = world.post(CHAT, &chat_body(&more));
                assert!(!answer.chunks().is_empty());
            });
        }
    });
}
