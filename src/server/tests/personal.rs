//! Personal models and the routes under `/api`.

use futures::executor::block_on;
use idiolect_core::corpus::{Item, ReviewContext, Store, Target, View};
use idiolect_core::methods::{Generated, Method, MethodInputs, MethodOptions};
use idiolect_engine::encoder::testing::tiny_encoder;
use idiolect_engine::progress::Silent;
use serde_json::{Value, json};

use super::{World, chat_body, fill, merged, personal_settings, settings_of_task};
use crate::{ApiKeys, PersonalSettings, ServerOptions};

/// The text that `idiolect write` writes: the same function on another copy of the store.
fn written(world: &World, user: &str, item: Option<&str>, seed: u64) -> Generated {
    let store = Store::in_memory().unwrap();
    fill(&store);
    let item = match item {
        Some(id) => store.item(id).unwrap(),
        None => Item {
            id: String::new(),
            title: "About a mug".to_owned(),
            description: String::new(),
            categories: Vec::new(),
        },
    };
    let target = Target {
        user: user.to_owned(),
        item,
        rating: Some(2.0),
        title: Some("Flat".to_owned()),
        context: None,
    };
    written_with(world, &store, &target, personal_settings("unused".as_ref()), seed)
}

fn written_with(
    world: &World,
    store: &Store,
    target: &Target,
    settings: PersonalSettings,
    seed: u64,
) -> Generated {
    let view = View::all(store).without_text(&target.user, &target.item.id).unwrap();
    let encoder = tiny_encoder();
    let inputs = MethodInputs {
        view,
        model: &world.lm,
        peers: Some(&encoder),
        task: &settings.task,
        progress: &Silent,
        reward: None,
        held_out: &[],
    };
    let options = MethodOptions { seed, ..settings.options };
    block_on(Method::IDIOLECT.write(&inputs, target, &options, None)).unwrap()
}

fn personal(more: &Value) -> Value {
    let base = json!({
        "model": "tiny+idiolect",
        "messages": [{ "role": "user", "content": "About a mug" }],
        "seed": 5,
        "idiolect": { "item": "kettle", "rating": 2, "title": "Flat" },
    });
    merged(base, more)
}

#[test]
fn a_personal_answer_is_what_write_writes() {
    let world = World::new();
    let want = written(&world, "marta", Some("kettle"), 5);
    assert!(!want.text.is_empty());
    let path = "/v1/chat/completions";
    let raw = world.post(path, &personal(&json!({ "user": "marta" })));
    let header = raw.header("x-idiolect").unwrap().to_owned();
    // The user's own text about the kettle is held out, the other two are shown.
    assert_eq!(header, "method=idiolect; user=marta; seed=5; past=2");
    let answer = raw.ok();
    assert_eq!(answer["choices"][0]["message"]["content"], want.text);
    let usage = &answer["usage"];
    assert_eq!(usage["prompt_tokens"], want.prompt_tokens);
    assert_eq!(usage["completion_tokens"], want.completion_tokens);
    // Once more it comes from the store.
    let again = world.ask(path, &personal(&json!({ "user": "marta" })));
    assert_eq!(again["choices"], answer["choices"]);
    assert_eq!(again["usage"]["prompt_tokens_details"]["cached_tokens"], want.prompt_tokens);
    // All ways of naming the user.
    for more in [
        json!({ "safety_identifier": "marta" }),
        json!({ "model": "tiny+idiolect@marta" }),
        json!({ "model": "tiny+idiolect@bob", "user": "marta" }),
        json!({
            "user": "bob",
            "idiolect": { "user": "marta", "item": "kettle", "rating": 2, "title": "Flat" },
        }),
    ] {
        assert_eq!(world.ask(path, &personal(&more))["choices"], answer["choices"], "{more}");
    }
    let other = world.ask(path, &personal(&json!({ "user": "bob" })));
    assert_eq!(
        other["choices"][0]["message"]["content"],
        written(&world, "bob", Some("kettle"), 5).text
    );
}

#[test]
fn streams_completions_and_several_texts_are_the_same_text() {
    let world = World::new();
    let texts = [5, 6].map(|seed| written(&world, "cyd", Some("lamp"), seed).text);
    let own = json!({ "user": "cyd", "item": "lamp", "rating": 2, "title": "Flat" });
    let asked = personal(&json!({ "idiolect": own, "n": 2, "stream": true }));
    let chunks = world.post("/v1/chat/completions", &asked).chunks();
    for (index, text) in texts.iter().enumerate() {
        let pieces = chunks.iter().filter_map(|chunk| {
            let choice = chunk["choices"].get(0).filter(|choice| choice["index"] == index)?;
            choice["delta"].get("content")?.as_str()
        });
        assert_eq!(pieces.collect::<String>(), *text);
    }
    let completion = json!({
        "model": "tiny+idiolect", "prompt": "unused", "idiolect": own, "seed": 6,
    });
    assert_eq!(world.ask("/v1/completions", &completion)["choices"][0]["text"], texts[1]);
}

#[test]
fn without_an_item_the_last_message_is_the_subject() {
    let world = World::new();
    let want = written(&world, "marta", None, 5).text;
    let own = json!({ "rating": 2, "title": "Flat" });
    let asked = personal(&json!({ "user": "marta", "idiolect": own }));
    let answer = world.ask("/v1/chat/completions", &asked);
    assert_eq!(answer["choices"][0]["message"]["content"], want);
}

#[test]
fn a_reply_answers_the_message_given_or_the_newest_text() {
    let world = World::with_task(ServerOptions::default(), "reply");
    let store = Store::in_memory().unwrap();
    fill(&store);
    let reply_to = |context: ReviewContext, item: Item| {
        let context = Some(context);
        let user = "marta".to_owned();
        let target = Target { user, item, rating: None, title: None, context };
        written_with(&world, &store, &target, settings_of_task("unused".as_ref(), "reply"), 5).text
    };
    let kettle = || store.item("kettle").unwrap();
    let given = || ReviewContext::given("Does it leak?".to_owned());
    let own = |more: &Value| {
        let base = json!({ "user": "marta", "item": "kettle" });
        json!({ "idiolect": merged(base, more) })
    };
    let chat = |content: &str, own: &Value| {
        let message = json!({ "messages": [{ "role": "user", "content": content }] });
        let answer = world.ask("/v1/chat/completions", &merged(personal(&message), own));
        answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    };
    let mail = "From: Bo <bo@example.org>\nSubject: Re: Tea\n\nDoes it leak?\n\n> I have one.\n";
    let want = reply_to(given(), kettle());
    assert_eq!(chat("Does it leak?", &own(&json!({}))), want);
    assert_eq!(chat(mail, &own(&json!({}))), want);
    assert_eq!(chat("unused", &own(&json!({ "context": "Does it leak?" }))), want);
    // A message without an item; a mail's subject is what it is about.
    for (message, title) in [("Does it leak?", ""), (mail, "Tea")] {
        let item = Item {
            id: String::new(),
            title: title.to_owned(),
            description: String::new(),
            categories: Vec::new(),
        };
        let own = json!({ "idiolect": { "user": "marta" } });
        assert_eq!(chat(message, &own), reply_to(given(), item), "{title}");
    }
    // Without a message the newest text on the item by somebody else is answered.
    let newest = View::all(&store).newest_by_another("kettle", "marta").unwrap().unwrap();
    assert_eq!(newest.review.user, "cyd");
    let body = json!({ "user": "marta", "item": "kettle", "seed": 5 });
    let text = |body: &Value| {
        let events = world.post("/api/write", body).messages();
        let pieces = events.iter().filter(|(name, _)| name == "text");
        pieces.map(|(_, data)| data["piece"].as_str().unwrap()).collect::<String>()
    };
    assert_eq!(text(&body), reply_to(newest.into(), kettle()));
    assert_eq!(text(&merged(body, &json!({ "context": "Does it leak?" }))), want);
}

#[test]
fn a_message_to_answer_is_refused_where_the_task_shows_none() {
    let world = World::new();
    let body = json!({ "user": "marta", "item": "kettle", "context": "Does it leak?" });
    let error = world.post("/api/write", &body).error(400);
    assert!(error["message"].as_str().unwrap().contains("--task reply"), "{error}");
    let own = json!({ "user": "marta", "item": "kettle", "context": "Does it leak?" });
    let asked = personal(&json!({ "idiolect": own }));
    let error = world.post("/v1/chat/completions", &asked).error(400);
    assert_eq!(error["param"], "idiolect.context");
}

#[test]
fn who_is_unknown_or_not_named_is_told() {
    let world = World::new();
    let path = "/v1/chat/completions";
    for (more, code, part) in [
        (json!({}), "user_unknown", "needs a user"),
        (json!({ "user": "martha" }), "user_unknown", "near it: `marta`"),
        (
            json!({ "user": "marta", "idiolect": { "item": "kettl" } }),
            "item_unknown",
            "near it: `kettle`",
        ),
        (json!({ "user": "marta", "stop": ["a"] }), "unsupported_parameter", "stop"),
        (json!({ "user": "marta", "logprobs": true }), "unsupported_parameter", "logprobs"),
    ] {
        for stream in [false, true] {
            let error =
                world.post(path, &personal(&merged(more.clone(), &json!({ "stream": stream }))));
            let error = error.error(400);
            assert_eq!(error["code"], code, "{error}");
            assert!(error["message"].as_str().unwrap().contains(part), "{error}");
        }
    }
    let no_method = personal(&json!({ "model": "tiny+nonsense", "user": "marta" }));
    assert_eq!(world.post(path, &no_method).error(404)["code"], "model_not_found");
    // A plain model takes a user and does not use it.
    let plain = world.chat(&json!({ "user": "nobody" }));
    assert_eq!(plain["choices"], world.chat(&json!({}))["choices"]);
}

#[test]
fn a_key_restricts_whom_it_reads_and_writes_as() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.txt");
    std::fs::write(&file, "everybody-0123456789\nonly-bob-0123456789 users=bob\n").unwrap();
    let keys = ApiKeys::read(&file).unwrap();
    let user_header = Some("X-OpenWebUI-User-Id".to_owned());
    let world = World::with(ServerOptions { keys, user_header, ..ServerOptions::default() });
    let everybody = world.client.with_key("everybody-0123456789");
    let bob = world.client.with_key("only-bob-0123456789");
    let path = "/v1/chat/completions";
    let as_marta = personal(&json!({ "user": "marta" }));
    everybody.post(path, &as_marta).ok();
    assert_eq!(bob.post(path, &as_marta).error(403)["code"], "user_not_allowed");
    bob.post(path, &personal(&json!({ "user": "bob" }))).ok();
    assert_eq!(bob.get("/api/users").ok()["users"].as_array().unwrap().len(), 1);
    assert_eq!(everybody.get("/api/users").ok()["total"], 3);
    assert_eq!(bob.get("/api/users/marta").error(403)["code"], "user_not_allowed");
    assert_eq!(bob.get("/api/users/bob").ok()["reviews"].as_array().unwrap().len(), 3);
    assert_eq!(bob.get("/api/items/kettle").ok()["reviews"].as_array().unwrap().len(), 1);
    bob.get("/api/users/bob/neighbours").error(403);
    // Names of other users are not suggested to such a key.
    let own = json!({ "user": "bob", "item": "kettel" });
    let error = bob.post(path, &personal(&json!({ "idiolect": own }))).error(400);
    assert!(!error["message"].as_str().unwrap().contains("kettle`"), "{error}");
    let headers = [("X-OpenWebUI-User-Id", "marta")];
    let body = personal(&json!({})).to_string();
    let of_header = everybody.send("POST", path, &headers, &body);
    assert!(of_header.header("x-idiolect").unwrap().contains("user=marta"));
    assert_eq!(bob.send("POST", path, &headers, &body).status, 403);
    // Without the option the header has no effect.
    let plain = World::new();
    assert_eq!(plain.client.send("POST", path, &headers, &body).error(400)["code"], "user_unknown");
}

#[test]
fn own_routes_tell_users_items_and_what_sets_them_apart() {
    let world = World::new();
    let users = world.client.get("/api/users?min_reviews=3&limit=2").ok();
    assert_eq!((&users["total"], users["users"].as_array().unwrap().len()), (&json!(3), 2));
    let marta = world.client.get("/api/users/marta").ok();
    assert_eq!(marta["reviews"].as_array().unwrap().len(), 3);
    let items = world.client.get("/api/items").ok();
    assert_eq!(items["items"][0], json!({ "item": "kettle", "title": "A kettle", "reviews": 3 }));
    assert_eq!(items["total"], 3);
    let kettle = world.client.get("/api/items/kettle").ok();
    assert_eq!(kettle["item"]["title"], "A kettle");
    assert_eq!(kettle["reviews"].as_array().unwrap().len(), 3);
    let near = world.client.get("/api/users/marta/neighbours?k=1").ok();
    assert_eq!(near["neighbours"].as_array().unwrap().len(), 1);
    let chosen = world.client.get("/api/representatives?user=marta&item=kettle&k=1").ok();
    assert!(chosen["candidates"].as_u64().unwrap() >= 2, "{chosen}");
    let profile = world.client.get("/api/users/marta/profile").ok();
    assert!(profile["statements"].is_array() && profile["abstains"].is_boolean(), "{profile}");
    assert_eq!(profile["versions"], json!([]));
    let quotes: Vec<&Value> = profile["statements"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|stated| stated["evidence"].as_array().unwrap())
        .collect();
    for quote in quotes {
        assert!(quote["user"] == "marta" && quote["item_title"].is_string(), "{quote}");
        assert!(quote.get("other").is_none_or(|other| other["user"] != "marta"), "{quote}");
    }
    world.client.get("/api/users/nobody").error(404);
    world.client.get("/api/items/nothing").error(404);
    world.client.get("/api/users?bogus=1").error(400);
    assert_eq!(world.client.get("/api/items?k=1").error(400)["param"], "k");
    world.client.get("/api/representatives?user=marta").error(400);
}

#[test]
fn a_text_is_told_with_the_attribution_of_its_tokens() {
    let world = World::new();
    let want = written(&world, "marta", Some("kettle"), 5);
    let body = json!({
        "user": "marta", "item": "kettle", "rating": 2, "title": "Flat", "seed": 5, "why": true,
    });
    let messages = world.post("/api/write", &body).messages();
    let pieces = messages.iter().filter(|(name, _)| name == "text");
    let text: String = pieces.map(|(_, data)| data["piece"].as_str().unwrap()).collect();
    assert_eq!(text.trim(), want.text.trim());
    let (name, why) = &messages[messages.len() - 2];
    assert_eq!(name, "why");
    let tokens = why["tokens"].as_array().unwrap();
    // The pieces of a random model are parts of characters; there is one for each token.
    let n_tokens = world.lm.tokenize(want.text.trim()).unwrap().len();
    assert!((n_tokens..n_tokens + 2).contains(&tokens.len()), "{n_tokens}: {why}");
    let (name, done) = messages.last().unwrap();
    assert_eq!(name, "done");
    assert_eq!(done["text"], want.text);
    assert_eq!(done["seed"], 5);
    assert!(tokens.iter().any(|token| token["user"] != json!(0.0)), "{why}");
    assert!(tokens.iter().all(|token| token["steer"].is_number()), "{why}");
    let error = world.post("/api/write", &chat_body(&json!({}))).error(400);
    assert_eq!(error["code"], "unknown_parameter");
    let nothing = json!({ "user": "marta", "item": "nothing" });
    assert_eq!(world.post("/api/write", &nothing).error(400)["code"], "item_unknown");
}

#[test]
fn a_profile_is_edited_and_each_edit_undone() {
    let world = World::new();
    let path = "/api/users/marta/profile";
    let patch = |body: &Value| world.client.send("PATCH", path, &[], &body.to_string());
    let added = json!({ "dimension": "writing", "text": "never uses a semicolon" });
    let before = world.client.get(path).ok();
    let version = &before["version"];
    patch(&json!({ "add": [added], "version": version })).ok();
    let texts = |profile: &Value| -> Vec<String> {
        let statements = profile["statements"].as_array().unwrap().iter();
        statements.map(|stated| stated.to_string()).collect()
    };
    let after = world.client.get(path).ok();
    assert!(texts(&after).iter().any(|text| text.contains("never uses a semicolon")), "{after}");
    // The version that the edit was made from is no longer the newest.
    let late = patch(&json!({ "add": [added], "version": version }));
    assert_eq!(late.error(400)["code"], "version_outdated");
    assert_eq!(after["versions"][0]["version"], 1);
    patch(&json!({ "undo": true })).ok();
    assert_eq!(texts(&world.client.get(path).ok()), texts(&before));
    for (wrong, param) in [
        (json!({ "pin": "nothing" }), "pin"),
        (json!({ "add": [{ "dimension": "none", "text": "a" }] }), "add"),
        (json!({ "undo": true, "pin": "a" }), "undo"),
        (json!({ "bogus": 1 }), "bogus"),
    ] {
        assert_eq!(patch(&wrong).error(400)["param"], param, "{wrong}");
    }
    for empty in [json!({}), json!({ "reword": {}, "add": [], "pin": [], "undo": null })] {
        patch(&empty).error(400);
    }
}
