//! `forget` leaves nothing of a user in any file of the store's folder; `export` gives all that is held.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use candle_core::Device;
use idiolect::corpus::{Key, ReviewId, Store};
use idiolect::encoder::Encoder;
use idiolect::model::EncoderFiles;
use idiolect::peers::{BuildOptions, build_index};
use idiolect::progress::Silent;
use idiolect_engine::encoder::testing::write_tiny_encoder;
use serde_json::{Value, json};

use crate::common::{Run, Sandbox, test_models_present};

/// Name of the user, and parts of their texts, which occur nowhere else.
const CANARIES: [&str; 4] =
    ["zephyrine-q7", "the copper samovar whistles", "Samovärkritik", "wobbled when quaffled"];

/// A store of four users on five items with texts of the user in every place that holds any.
fn store(sandbox: &Sandbox) -> Store {
    let mut rows = String::new();
    for user in ["zephyrine-q7", "bo", "cy", "di"] {
        for n in 0..5 {
            let text = match user {
                "zephyrine-q7" => format!("{}, {} ({n})", CANARIES[1], CANARIES[3]),
                user => format!("the kettle sings and leaks, says somebody {n} {user}x"),
            };
            let title = if user == "zephyrine-q7" { "Samovärkritik" } else { "kettle" };
            rows.push_str(
                &json!({"user": user, "item": format!("i{n}"), "text": text, "title": title, "time": n + 1})
                    .to_string(),
            );
            rows.push('\n');
        }
    }
    // Others answer the user: a stored text, a text that only the answer has, and one by nobody known; the
    // chat is titled by the user's name.
    for (n, answer) in [
        json!({"answers": "z1"}),
        json!({"answered_text": CANARIES[3], "answered_user": CANARIES[0]}),
        json!({"answered_text": format!("she said it {}", CANARIES[3])}),
        json!({"answers": "gone", "answered_text": format!("{} wrote", CANARIES[0]), "answered_user": "di"}),
    ]
    .into_iter()
    .enumerate()
    {
        let mut row = json!({"user": "bo", "item": "i5", "text": format!("an answer {n}"), "id": format!("b{n}"), "item_title": format!("{}, May", CANARIES[0])});
        row.as_object_mut().unwrap().extend(answer.as_object().unwrap().clone());
        rows.push_str(&format!("{row}\n"));
    }
    rows.push_str(&format!("{}\n", json!({"user": CANARIES[0], "item": "i5", "text": CANARIES[1], "id": "z1"})));
    // An item that only the user wrote about, named after a text of theirs.
    rows.push_str(&json!({"user": "zephyrine-q7", "item": "wobbled when quaffled", "text": "x", "item_title": "Samovärkritik"}).to_string());
    sandbox.write("import/r.jsonl", rows);
    let import = ["import", "--format", "table", "--reviews", "import/r.jsonl"];
    run(sandbox, &import).ok();
    run(sandbox, &["split", "--preset", "none"]).ok();
    let store = Store::open_existing(&sandbox.path("store/s.sqlite")).unwrap();
    let ids = store.review_ids().unwrap();
    let key = |name: &str| Key::of("test").with("name", name).finish();
    let quote = format!("{{\"text\": \"as {} says: {}\"}}", CANARIES[0], CANARIES[1]);
    store.put_derived("answer", &key("own"), &quote, &ids[..2]).unwrap();
    store.put_derived("answer", &key("of a peer"), &quote, &ids[7..8]).unwrap();
    store.put_derived("non-perso", &key("without sources"), "\"Samov\\u00e4r\"", &[]).unwrap();
    store.put_derived("answer", &key("other"), "\"kettle\"", &ids[7..8]).unwrap();
    store.put_profile_edit(CANARIES[0], 0, &format!("{{\"add\": \"{}\"}}", CANARIES[3])).unwrap();
    store
}

/// A folder with the store in a folder of its own.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    for folder in ["import", "store"] {
        std::fs::create_dir(sandbox.path(folder)).unwrap();
    }
    sandbox
}

fn index(sandbox: &Sandbox, store: &Store) {
    write_tiny_encoder(&sandbox.path("encoder"));
    let files = EncoderFiles {
        name: "encoder".to_owned(),
        dir: sandbox.path("encoder"),
        pooling: None,
        max_tokens: None,
        prompt: None,
        sha256: String::new(),
    };
    let encoder = Encoder::load(&files, &Device::Cpu).unwrap();
    build_index(store, &encoder, &BuildOptions::default(), &Silent).unwrap();
}

/// All places of `folder` that hold a canary, as UTF-8, UTF-16 of both byte orders, or JSON.
fn found(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(self::found(&path));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for canary in CANARIES {
            let escaped = json!(canary).to_string().replace('ä', "\\u00e4");
            let forms = [
                canary.as_bytes().to_vec(),
                canary.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                canary.encode_utf16().flat_map(u16::to_be_bytes).collect(),
                escaped.trim_matches('"').as_bytes().to_vec(),
            ];
            for form in forms {
                if bytes.windows(form.len()).any(|window| window == form) {
                    found.push(format!("{canary} in {}", path.display()));
                }
            }
        }
    }
    found
}

/// Runs the program on the store.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    sandbox.run(&[&["--store", "store/s.sqlite"], arguments].concat())
}

#[test]
fn nothing_of_a_forgotten_user_is_in_any_file() {
    let sandbox = sandbox();
    let store = store(&sandbox);
    index(&sandbox, &store);
    drop(store);
    let folder = sandbox.path("store");
    let before = found(&folder);
    assert!(before.iter().any(|place| place.contains("users.json")), "{before:?}");
    assert!(before.iter().filter(|place| place.contains("s.sqlite")).count() >= 4, "{before:?}");

    let user = CANARIES[0];
    let dry = run(&sandbox, &["forget", user, "--dry-run", "--json"]).json();
    assert_eq!(dry["forgotten"]["reviews"], 7);
    assert_eq!((&dry["forgotten"]["contexts"], &dry["forgotten"]["item_names"]), (&json!(4), &json!(1)));
    assert_eq!(found(&folder).len(), before.len(), "a dry run changes nothing");
    let unasked = run(&sandbox, &["forget", user]).fails_with(1);
    assert!(unasked.contains("--yes") && found(&folder).len() == before.len(), "{unasked}");

    sandbox.write("notes.txt", format!("a report with {}", CANARIES[1]));
    let done = run(&sandbox, &["forget", user, "--yes", "--also", "notes.txt", "--json"]).json();
    let mut told = done["forgotten"].clone();
    assert_eq!(told["derived"], 3, "{told}");
    assert_eq!((&told["profile_versions"], &told["items"]), (&json!(1), &json!(1)));
    assert!(told["split_rows"].as_u64() > Some(0) && told["vectors"] == 7, "{told}");
    assert_eq!(done["index_removed"], true);
    assert!(done["not_reached"].as_array().is_some_and(|places| places.len() > 3));
    assert!(!sandbox.path("notes.txt").exists());
    assert_eq!(found(&folder), [""; 0]);
    told["split_rows"] = dry["forgotten"]["split_rows"].clone();
    assert_eq!(told, dry["forgotten"], "the dry run told what is deleted");

    // The others are whole, and the store works.
    let store = Store::open_existing(&sandbox.path("store/s.sqlite")).unwrap();
    assert_eq!(store.counts().unwrap().reviews, 19);
    assert_eq!(store.derived_values("answer").unwrap(), ["\"kettle\""]);
    assert!(!store.needs_scrub().unwrap());
    drop(store);
    let said = run(&sandbox, &["forget", user, "--yes"]).fails_with(1);
    assert!(said.contains("is not in the store"), "{said}");
}

#[test]
fn an_interrupted_deletion_is_told_and_completed() {
    let sandbox = sandbox();
    let store = store(&sandbox);
    // What a deletion leaves that is killed before the file is rewritten.
    store.put_derived("scrub-pending", &Key::of("x").finish(), "", &[]).unwrap();
    drop(store);
    let users = run(&sandbox, &["users"]).ok();
    assert!(users.stderr.contains("forget --scrub"), "{}", users.stderr);
    run(&sandbox, &["forget", "--scrub"]).ok();
    let users = run(&sandbox, &["users"]).ok();
    assert!(!users.stderr.contains("--scrub"), "{}", users.stderr);
}

#[test]
fn one_item_goes_and_the_rest_stays() {
    let sandbox = sandbox();
    drop(store(&sandbox));
    let exported = run(&sandbox, &["export", CANARIES[0]]).json();
    assert_eq!(exported["reviews"].as_array().unwrap().len(), 7);
    assert_eq!(exported["quoted"][0]["text"], CANARIES[3]);
    assert_eq!(exported["derived"].as_array().unwrap().len(), 1);
    run(&sandbox, &["forget", CANARIES[0], "--item", "i0", "--yes"]).ok();
    let id = run(&sandbox, &["export", CANARIES[0]]).json()["reviews"][0]["id"].to_string();
    run(&sandbox, &["forget", CANARIES[0], "--review", &id, "--yes"]).ok();
    let left: Value = run(&sandbox, &["export", CANARIES[0]]).json();
    assert_eq!(left["reviews"].as_array().unwrap().len(), 5);
    assert_eq!(left["profile_versions"].as_array().unwrap().len(), 1);
    let said = run(&sandbox, &["forget", CANARIES[0], "--item", "i0", "--yes"]).fails_with(1);
    assert!(said.contains("has no such text"), "{said}");
}

#[test]
fn what_an_evaluation_stored_about_a_title_goes_too() {
    if !test_models_present() {
        return;
    }
    let sandbox = sandbox();
    drop(store(&sandbox));
    let evaluate = [
        "evaluate",
        "--methods",
        "non-perso,scp",
        "--measures",
        "lexical,likelihood,wrong-user",
        "--max-tokens",
        "4",
        "--n",
        "2",
        "--wrong-users",
        "1",
    ];
    run(&sandbox, &evaluate).ok();
    let store = Store::open_existing(&sandbox.path("store/s.sqlite")).unwrap();
    let ids: Vec<ReviewId> =
        store.history(CANARIES[0]).unwrap().iter().map(|stored| stored.id).collect();
    assert!(!ids.is_empty());
    drop(store);
    run(&sandbox, &["forget", CANARIES[0], "--yes"]).ok();
    assert_eq!(found(&sandbox.path("store")), [""; 0]);
}
