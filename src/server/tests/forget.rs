//! Export and deletion of everything that is held about a user.

use idiolect_core::corpus::{Key, Store};
use idiolect_core::peers::{BuildOptions, build_index, index_folder};
use idiolect_engine::encoder::testing::tiny_encoder;
use idiolect_engine::progress::Silent;
use serde_json::{Value, json};

use super::{World, eventually};
use crate::{ApiKeys, ServerOptions};

fn delete(client: &super::client::Client, path: &str) -> super::client::Answer {
    client.send("DELETE", path, &[], "")
}

#[test]
fn a_user_is_deleted_with_a_receipt_that_the_preview_told() {
    let world = World::new();
    let store = Store::open_existing(&world.store()).unwrap();
    build_index(&store, &tiny_encoder(), &BuildOptions::default(), &Silent).unwrap();
    let key = Key::of("answer").with("n", "1").finish();
    store.put_derived("answer", &key, "\"marta wrote\"", &[]).unwrap();
    world.client.made_map("/api/map").ok();
    let held = world.client.get("/api/users/marta/export");
    let disposition = held.header("content-disposition").unwrap();
    assert!(disposition.starts_with("attachment") && !disposition.contains("marta"));
    assert_eq!(held.ok()["reviews"].as_array().unwrap().len(), 3);

    let planned = world.client.get("/api/users/marta/forget").ok();
    assert_eq!(planned["would_remove"]["reviews"], 3);
    assert_eq!(planned["would_remove"]["index"], 1);
    // The map and the answer.
    assert_eq!(planned["would_remove"]["derived"], 2);
    assert_eq!(world.client.get("/api/users").ok()["total"], 3, "a preview changes nothing");
    let receipt = delete(&world.client, "/api/users/marta").ok();
    assert_eq!(receipt["user"], "marta");
    assert_eq!(receipt["removed"], planned["would_remove"]);
    assert_eq!(receipt["remains"], planned["remains"]);
    assert!(receipt["remains"].as_array().unwrap().len() >= 5 && receipt["took_s"].is_number());
    assert!(!index_folder(&world.store()).exists());
    world.client.get("/api/users/marta").error(404);
    delete(&world.client, "/api/users/marta").error(404);
    world.client.get("/api/users/marta/forget").error(404);
    world.client.get("/api/users/marta/export").error(404);
    // The others stay, and what needs the index works without it.
    assert_eq!(world.client.made_map("/api/map").ok()["users"], json!(["bob", "cyd"]));
    assert_eq!(world.client.get("/api/users/bob/neighbours").ok()["neighbours"], json!(["cyd"]));
    let file = std::fs::read(world.store()).unwrap();
    assert!(!file.windows(5).any(|bytes| bytes == b"marta"), "the file still has the name");
}

#[test]
fn nothing_of_earlier_prompts_stays_in_memory() {
    let world = World::new();
    let body = json!({ "user": "marta", "item": "kettle", "seed": 5 });
    world.post("/api/write", &body).messages();
    eventually("the prompts are kept", || world.lm.stats().kv_bytes > 0);
    delete(&world.client, "/api/users/marta").ok();
    eventually("the prompts are dropped", || world.lm.stats().kv_bytes == 0);
}

#[test]
fn a_key_deletes_and_exports_only_its_users() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.txt");
    std::fs::write(&file, "everybody-0123456789\nonly-bob-0123456789 users=bob\n").unwrap();
    let keys = ApiKeys::read(&file).unwrap();
    let world = World::with(ServerOptions { keys, ..ServerOptions::default() });
    let bob = world.client.with_key("only-bob-0123456789");
    let refused: [(&str, &str); 3] = [
        ("DELETE", "/api/users/marta"),
        ("GET", "/api/users/marta/forget"),
        ("GET", "/api/users/marta/export"),
    ];
    for (method, path) in refused {
        let error = bob.send(method, path, &[], "").error(403);
        assert_eq!(error["code"], "user_not_allowed", "{path}");
        assert_eq!(world.client.send(method, path, &[], "").status, 401);
    }
    // Whether another user exists is not told either.
    delete(&bob, "/api/users/nobody").error(403);
    let headers = [("Origin", "http://evil.example")];
    let everybody = world.client.with_key("everybody-0123456789");
    assert_eq!(everybody.send("DELETE", "/api/users/marta", &headers, "").status, 403);
    assert_eq!(everybody.get("/api/users").ok()["total"], 3);
    delete(&bob, "/api/users/bob").ok();
    assert_eq!(everybody.get("/api/users").ok()["total"], 2);
}

#[test]
fn names_that_look_like_paths_and_queries_are_names() {
    let world = World::new();
    for name in ["..%2f..%2fstore.sqlite", "%27%20OR%201%3D1", "marta%00", "*", "%25"] {
        delete(&world.client, &format!("/api/users/{name}")).error(404);
    }
    assert_eq!(world.client.get("/api/users").ok()["total"], 3);
}

#[test]
fn guesses_about_a_deleted_user_are_gone() {
    let world = super::own_routes::talkative();
    let question = world.client.get("/api/guess?seed=3").ok();
    let user = question["people"][1]["user"].as_str().unwrap();
    delete(&world.client, &format!("/api/users/{user}")).ok();
    let answer: Value = json!({ "id": question["id"], "answer": 0 });
    assert_eq!(world.post("/api/guess", &answer).error(400)["code"], "guess_unknown");
}
