//! Own routes beside texts: the corpus, the map, scores, comparisons, guesses, evaluations.

use idiolect_core::corpus::{EvaluationSummary, Review, RunningEvaluation, Store};
use serde_json::{Value, json};

use super::{World, merged};
use crate::{ApiKeys, ServerOptions};

/// A world with a fourth text of each user, long enough for a question.
pub(super) fn talkative() -> World {
    let world = World::new();
    let store = Store::open_existing(&world.store()).unwrap();
    let mut reviews = Vec::new();
    for user in ["marta", "bob", "cyd"] {
        for item in ["kettle", "lamp", "spade", "mug", "rug"] {
            reviews.push(Review {
                user: user.to_owned(),
                item: item.to_owned(),
                rating: Some(3.0),
                title: String::new(),
                text: format!("{user} has a {item} and tells what is good and bad about it"),
                time: 1_700_000_000,
            });
        }
    }
    store.put_reviews(&reviews).unwrap();
    world
}

/// A world with a key for everybody and one for bob, and clients with these keys.
fn with_keys(world: impl Fn(ServerOptions) -> World) -> (World, [super::client::Client; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.txt");
    std::fs::write(&file, "everybody-0123456789\nonly-bob-0123456789 users=bob\n").unwrap();
    let keys = ApiKeys::read(&file).unwrap();
    let world = world(ServerOptions { keys, ..ServerOptions::default() });
    let clients = ["everybody-0123456789", "only-bob-0123456789"];
    let clients = clients.map(|key| world.client.with_key(key));
    (world, clients)
}

#[test]
fn about_tells_what_is_served_and_no_folder() {
    let world = World::new();
    let raw = world.client.get("/api/about");
    assert!(!raw.body.contains(world.store().parent().unwrap().to_str().unwrap()), "{}", raw.body);
    let about = raw.ok();
    assert_eq!(about["lm"], "tiny");
    let store = json!({
        "name": "store.sqlite", "users": 3, "items": 3, "reviews": 9, "read_only": false,
    });
    assert_eq!(about["store"], store);
    assert_eq!(about["task"]["name"], "review");
    assert_eq!(about["rating"], json!({ "min": 1.0, "max": 5.0 }));
    assert_eq!(about["default_method"], "idiolect");
    let methods = about["methods"].as_array().unwrap();
    assert!(methods.iter().any(|method| method["name"] == "scp"));
    assert!(methods.iter().all(|method| method["about"].is_string()));
    assert!(about["dimensions"].as_array().unwrap().iter().all(|d| d["key"].is_string()));
}

#[test]
fn users_and_items_are_found_by_a_part_of_the_name() {
    let world = World::new();
    let names = |path: &str, list: &str, name: &str| -> Vec<String> {
        let found = world.client.get(path).ok();
        let list = found[list].as_array().unwrap().clone();
        assert_eq!(found["total"], list.len(), "{path}");
        list.iter().map(|entry| entry[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("/api/users?query=MART", "users", "user"), ["marta"]);
    assert_eq!(names("/api/users?query=", "users", "user").len(), 3);
    assert!(names("/api/users?query=%25", "users", "user").is_empty());
    assert_eq!(names("/api/items?query=a%20lam", "items", "item"), ["lamp"]);
    assert_eq!(
        world.client.get("/api/users?query=a&limit=1").ok()["users"].as_array().unwrap().len(),
        1
    );
    let marta = world.client.get("/api/users/marta").ok();
    assert_eq!(marta["reviews"][0]["item_title"], "A kettle");
}

#[test]
fn clusters_hold_every_candidate_once() {
    let world = World::new();
    let told = world.client.get("/api/representatives?user=marta&item=kettle&k=1").ok();
    let clusters = told["clusters"].as_array().unwrap();
    let mut members: Vec<&str> = clusters
        .iter()
        .flat_map(|cluster| cluster["members"].as_array().unwrap())
        .map(|user| user.as_str().unwrap())
        .collect();
    members.sort_unstable();
    assert_eq!(members, ["bob", "cyd"]);
    for cluster in clusters {
        assert_eq!(cluster["size"], cluster["members"].as_array().unwrap().len());
        assert_eq!(cluster["representative"].is_null(), cluster["own"] == json!(true));
    }
    let standing: Vec<&Value> = clusters.iter().map(|c| &c["representative"]).collect();
    for representative in told["representatives"].as_array().unwrap() {
        assert!(standing.contains(&&representative["user"]), "{told}");
        assert!(representative["similarity"].is_number());
    }
}

#[test]
fn the_map_has_a_place_for_each_user_and_is_the_same_again() {
    let (_world, [everybody, bob]) = with_keys(World::with);
    let map = everybody.made_map("/api/map").ok();
    assert_eq!(map["users"], json!(["bob", "cyd", "marta"]));
    assert_eq!(map["n"], json!([3, 3, 3]));
    assert_eq!((&map["total_users"], &map["cells"]), (&json!(3), &Value::Null));
    for column in ["x", "y"] {
        let column = map[column].as_array().unwrap();
        assert_eq!(column.len(), 3);
        assert!(column.iter().all(|x| (0.0..=1.0).contains(&x.as_f64().unwrap())));
    }
    // From the store, so that even the time is the same.
    assert_eq!(everybody.made_map("/api/map").ok(), map);
    assert_eq!(everybody.made_map("/api/map?cell=0").error(404)["code"], "not_found");
    everybody.get("/api/map?cell=-1").error(400);
    assert_eq!(bob.get("/api/map").error(403)["code"], "user_not_allowed");
}

fn kettle(more: &Value) -> Value {
    let base = json!({
        "user": "marta", "item": "kettle", "rating": 2, "title": "Flat", "seed": 5,
    });
    merged(base, more)
}

#[test]
fn strength_scales_the_steering_and_one_is_the_text_of_before() {
    let world = World::new();
    let why = |strength: f64| {
        let body = kettle(&json!({ "strength": strength, "why": true }));
        let messages = world.post("/api/write", &body).messages();
        let why = messages.iter().find(|(name, _)| name == "why").unwrap().1["tokens"].clone();
        (messages.last().unwrap().1["text"].clone(), why)
    };
    let plain = world.post("/api/write", &kettle(&json!({}))).messages();
    let (text, tokens) = why(1.0);
    assert_eq!(text, plain.last().unwrap().1["text"]);
    let tokens = tokens.as_array().unwrap();
    assert!(tokens.iter().any(|token| token["steer"].as_f64().unwrap() != 0.0));
    for token in tokens {
        assert!(token["alternatives"].as_array().unwrap().len() == 3, "{token}");
        assert!(token["logprob"].as_f64().unwrap() <= 0.0);
    }
    let (_, unsteered) = why(0.0);
    for token in unsteered.as_array().unwrap() {
        assert!(token["steer"].as_f64().unwrap().abs() < 1e-3, "{token}");
    }
    let body = kettle(&json!({ "strength": 3.5 }));
    assert_eq!(world.post("/api/write", &body).error(400)["param"], "strength");
}

/// Bytes of tokens as attributions tell them.
fn bytes_of(tokens: &[Value]) -> Vec<u8> {
    let bytes = |token: &Value| -> Vec<u8> {
        match token["bytes"].as_array() {
            Some(bytes) => bytes.iter().map(|byte| byte.as_u64().unwrap() as u8).collect(),
            None => token["text"].as_str().unwrap().as_bytes().to_vec(),
        }
    };
    tokens.iter().flat_map(bytes).collect()
}

#[test]
fn tokens_come_with_their_attribution_while_a_text_is_written() {
    let world = World::new();
    for method in ["idiolect", "scp", "non-perso"] {
        let mut n_compared = 0;
        // The first token depends most on the prompt, and a title changes it.
        let asked = |seed: u64| {
            let title = format!("Title {seed}");
            kettle(&json!({ "method": method, "why": true, "seed": seed, "title": title }))
        };
        // Past texts are read once, which counts tokens too.
        world.post("/api/write", &asked(24));
        for seed in 0..24 {
            let body = asked(seed);
            let messages = world.post("/api/write", &body).messages();
            let place = |name: &str| messages.iter().position(|(known, _)| known == name).unwrap();
            assert!(place("tokens") < place("text") && place("text") < place("why"));
            let of = |name: &str| -> Vec<Value> {
                let of_name = messages.iter().filter(|(known, _)| known == name);
                of_name.flat_map(|(_, data)| data["tokens"].as_array().unwrap().clone()).collect()
            };
            let (live, whole) = (of("tokens"), of("why"));
            let text = messages.last().unwrap().1["text"].as_str().unwrap();
            assert_eq!(String::from_utf8_lossy(&bytes_of(&live)).trim(), text);
            // A score is of the text without white space before it, which is written and not told.
            if messages.last().unwrap().1["completion_tokens"].as_u64() != Some(live.len() as u64) {
                continue;
            }
            // A random model writes bytes that are no characters; the text has others in their place.
            let both = live.iter().zip(&whole).take_while(|(l, w)| l["text"] == w["text"]);
            for (live, whole) in both.take_while(|(live, _)| live["bytes"].is_null()) {
                n_compared += 1;
                for number in ["logprob", "user", "steer"] {
                    let both = live[number].as_f64().zip(whole[number].as_f64());
                    assert_eq!(both.is_none(), whole[number].is_null(), "{live} {whole}");
                    assert!(both.is_none_or(|(a, b)| (a - b).abs() < 1e-3), "{live} {whole}");
                }
                assert_eq!(live["alternatives"][0]["text"], whole["alternatives"][0]["text"]);
            }
        }
        // A score of `non-perso` places the text after a label, which no random model writes.
        assert!(n_compared > 8 || method == "non-perso", "{method}: {n_compared}");
        // From the store the text comes at once, and without a wish there are no tokens.
        let again = world.post("/api/write", &asked(0)).messages();
        assert!(again.iter().all(|(name, _)| name != "tokens"));
        let body = kettle(&json!({ "method": method, "seed": 9 }));
        let plain = world.post("/api/write", &body).messages();
        assert!(plain.iter().all(|(name, _)| !matches!(name.as_str(), "tokens" | "why")));
    }
}

#[test]
fn a_score_is_the_attribution_of_a_given_text() {
    let world = World::new();
    let body = json!({
        "user": "marta", "item": "kettle", "rating": 2, "title": "Flat", "text": "It is fine, people!!",
    });
    let told = world.ask("/api/score", &body);
    let tokens = told["tokens"].as_array().unwrap();
    assert_eq!(told["n_tokens"], tokens.len());
    let text: String = tokens.iter().map(|token| token["text"].as_str().unwrap()).collect();
    assert_eq!(text.trim(), "It is fine, people!!");
    let total: f64 = tokens.iter().map(|token| token["logprob"].as_f64().unwrap()).sum();
    let bits = told["bits"].as_f64().unwrap();
    assert!((bits + total / std::f64::consts::LN_2).abs() < 1e-3 && bits > 0.0);
    assert!((told["bits_per_token"].as_f64().unwrap() * tokens.len() as f64 - bits).abs() < 1e-6);
    // The phrase stands in both other texts of marta.
    let last = tokens.iter().rev().find_map(|token| token["source"].as_object()).unwrap();
    assert_eq!(last["phrase"], "is fine, people");
    assert_eq!(last["title"], "A spade");
    assert_eq!(world.ask("/api/score", &body), told);
    let without = json!({ "user": "marta", "item": "kettle", "text": " " });
    assert_eq!(world.post("/api/score", &without).error(400)["param"], "text");
    let (_keyed, [_, bob]) = with_keys(World::with);
    assert_eq!(bob.post("/api/score", &body).error(403)["code"], "user_not_allowed");
}

#[test]
fn columns_are_the_texts_of_write_and_the_real_text_is_held_out() {
    let world = World::new();
    let columns = json!([{ "method": "scp", "user": "marta" }, { "user": "bob" }]);
    let body = json!({ "columns": columns, "item": "kettle", "seed": 5 });
    let messages = world.post("/api/compare", &body).messages();
    assert_eq!(messages[0].0, "begin");
    assert_eq!(messages.last().unwrap(), &("end".to_owned(), json!({})));
    for (index, (method, user)) in [("scp", "marta"), ("idiolect", "bob")].iter().enumerate() {
        let alone = json!({ "method": method, "user": user, "item": "kettle", "seed": 5 });
        let alone = world.post("/api/write", &alone).messages().last().unwrap().1["text"].clone();
        let of_column = |(_, data): &&(String, Value)| data["column"] == index;
        let own: Vec<_> = messages.iter().filter(of_column).collect();
        let done = &own.iter().find(|(name, _)| name == "done").unwrap().1;
        assert_eq!((&done["text"], &done["user"]), (&alone, &json!(user)));
        let pieces = own.iter().filter(|(name, _)| name == "text");
        let text: String = pieces.map(|(_, data)| data["piece"].as_str().unwrap()).collect();
        assert_eq!(text.trim(), alone.as_str().unwrap().trim());
    }
    let real = &messages.iter().find(|(name, _)| name == "real").unwrap().1;
    assert_eq!(
        (&real["user"], &real["text"]),
        (&json!("marta"), &json!("Fine!! LOVE it. The kettle is fine, people!!"))
    );
    let scores = real["columns"].as_array().unwrap();
    assert_eq!(scores.len(), 2);
    // The first column's prompt is that of a score of the same text.
    let given = json!({
        "method": "scp", "user": "marta", "item": "kettle", "text": real["text"],
    });
    let alone = world.ask("/api/score", &given);
    let difference = scores[0]["bits"].as_f64().unwrap() - alone["bits"].as_f64().unwrap();
    assert!(difference.abs() < 1e-3, "{scores:?} {alone}");
    // An item that neither has written about has no real text.
    let (store, item) = (Store::open_existing(&world.store()).unwrap(), "unknown-to-both");
    let review = Review {
        user: "cyd".to_owned(),
        item: item.to_owned(),
        rating: None,
        title: String::new(),
        text: "meh".to_owned(),
        time: 1,
    };
    store.put_reviews(&[review]).unwrap();
    let messages =
        world.post("/api/compare", &merged(body.clone(), &json!({ "item": item }))).messages();
    assert!(messages.iter().all(|(name, _)| name != "real" && name != "error"));
    for (more, param) in [
        (json!({ "columns": [{ "user": "bob" }] }), "columns"),
        (json!({ "columns": [{ "user": "bob" }, { "user": "cyd", "seed": 1 }] }), "columns"),
        (json!({ "columns": [{ "user": "bob" }, { "user": "cyd", "method": "none" }] }), "method"),
        (json!({ "columns": [{ "user": "bob" }, { "user": "nobody" }] }), "user"),
        (json!({ "item": "nothing" }), "idiolect.item"),
    ] {
        let wrong = merged(body.clone(), &more);
        assert_eq!(world.post("/api/compare", &wrong).error(400)["param"], param, "{more}");
    }
}

#[test]
fn a_guess_is_judged_once_and_its_id_tells_nothing() {
    let world = talkative();
    let asked = |seed: u64| world.client.get(&format!("/api/guess?seed={seed}")).ok();
    let store = Store::open_existing(&world.store()).unwrap();
    let mut places = Vec::new();
    for seed in 0..24 {
        let question = asked(seed);
        let again = asked(seed);
        assert_ne!(question["id"], again["id"]);
        assert_eq!((&question["texts"], &question["people"]), (&again["texts"], &again["people"]));
        let people = question["people"].as_array().unwrap();
        assert!(people.iter().all(|person| person["texts"].as_array().unwrap().len() == 3));
        let own = store.history(people[0]["user"].as_str().unwrap()).unwrap();
        let is_own = |text: &Value| own.iter().any(|stored| text["text"] == stored.review.text);
        let place = question["texts"].as_array().unwrap().iter().position(is_own);
        places.push(place.unwrap());
        let answer = json!({ "id": question["id"], "answer": place.unwrap() });
        let judged = world.ask("/api/guess", &answer);
        assert_eq!((&judged["right"], &judged["truth"]), (&json!(true), &json!(place.unwrap())));
        let figure = &judged["machine_figure"];
        assert!(figure["right"].as_u64().unwrap() <= figure["of"].as_u64().unwrap());
        let (low, high) = (figure["low"].as_f64().unwrap(), figure["high"].as_f64().unwrap());
        let share = figure["right"].as_f64().unwrap() / figure["of"].as_f64().unwrap().max(1.0);
        assert!(low <= share && share <= high, "{judged}");
        assert_eq!(world.post("/api/guess", &answer).error(400)["code"], "guess_unknown");
        // The other question is the same, so that it does not count again.
        let wrong = json!({ "id": again["id"], "answer": 1 - place.unwrap() });
        let judged_again = world.ask("/api/guess", &wrong);
        assert_eq!(judged_again["right"], false);
        assert_eq!(judged_again["machine_figure"], judged["machine_figure"]);
    }
    assert!(places.contains(&0) && places.contains(&1), "{places:?}");
    for wrong in [json!({ "id": "x", "answer": 0 }), json!({ "id": "x", "answer": 2 }), json!({})] {
        world.post("/api/guess", &wrong).error(400);
    }
    // Short texts are no question, nor are those of one user.
    let few = World::new();
    assert_eq!(few.client.get("/api/guess").error(404)["code"], "no_question");
    let (_keyed, [_, bob]) = with_keys(World::with);
    bob.get("/api/guess").error(404);
}

#[test]
fn reports_of_evaluations_are_listed_and_shown_in_a_sandbox() {
    let (world, [everybody, bob]) = with_keys(World::with);
    let store = Store::open_existing(&world.store()).unwrap();
    let summary = EvaluationSummary {
        id: "1f".to_owned(),
        name: "Evaluation of rag".to_owned(),
        time: 5,
        methods: vec!["rag".to_owned()],
        users: 3,
        texts: 3,
    };
    let ids = store.review_ids().unwrap();
    store.put_evaluation(&summary, "<!DOCTYPE html><p>figures", &ids).unwrap();
    let run = RunningEvaluation {
        id: "run-1".to_owned(),
        done: 2,
        of: 9,
        methods: vec!["scp".to_owned()],
        started: 1,
    };
    store.put_running_evaluation(&run).unwrap();
    let told = everybody.get("/api/evaluations").ok();
    assert_eq!(told["reports"], json!([summary]));
    assert_eq!(told["running"], json!([run]));
    let report = everybody.get("/api/evaluations/1f/report");
    assert_eq!((report.status, report.body.as_str()), (200, "<!DOCTYPE html><p>figures"));
    assert_eq!(report.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = report.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("sandbox allow-scripts"));
    assert!(!policy.contains("allow-same-origin"));
    everybody.get("/api/evaluations/nothing/report").error(404);
    everybody.get("/api/evaluations/..%2F..%2Fetc%2Fpasswd/report").error(404);
    for path in ["/api/evaluations", "/api/evaluations/1f/report"] {
        assert_eq!(bob.get(path).error(403)["code"], "user_not_allowed");
    }
    // A frame cannot send a key; a ticket opens the report once.
    let address = "/api/evaluations/1f/ticket";
    assert_eq!(bob.post(address, &json!({})).error(403)["code"], "user_not_allowed");
    world.client.post(address, &json!({})).error(401);
    everybody.post("/api/evaluations/nothing/ticket", &json!({})).error(404);
    let ticket = everybody.post(address, &json!({})).ok();
    assert_eq!(ticket["seconds"], 60);
    let shown = ticket["address"].as_str().unwrap();
    for (method, path) in [
        ("GET", "/api/evaluations/1f/report".to_owned()),
        ("GET", shown.replace("/1f/report", "")),
        ("DELETE", shown.to_owned()),
    ] {
        world.client.send(method, &path, &[], "").error(401);
    }
    assert_eq!(world.client.get(shown).body, "<!DOCTYPE html><p>figures");
    world.client.get(shown).error(401);
}
