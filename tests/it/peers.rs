//! `index`, `representatives` and `embed` on the command line, with the real encoder.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::io::Write as _;
use std::process::Stdio;

use crate::common::{Run, Sandbox};

/// Value for `--encoder`; `None`, with a message, if there is no encoder.
fn encoder(sandbox: &Sandbox) -> Option<String> {
    if let Ok(folder) = std::env::var("IDIOLECT_TEST_ENCODER") {
        return Some(folder);
    }
    let name = "all-minilm-l6-v2";
    if sandbox.run(&["models", "path", name, "--json"]).code == Some(0) {
        return Some(name.to_owned());
    }
    eprintln!("skipped: neither IDIOLECT_TEST_ENCODER nor the default encoder is there");
    None
}

const REVIEWS: &str = "\
user,item,text,time,rating
ann,kettle,It boils fast and the handle stays cool. I love it.,1,5
bob,kettle,Quick to boil and the grip never gets hot. Wonderful.,2,5
cid,kettle,\"Leaked after a week, all over the counter. Avoid.\",3,1
dee,kettle,\"Mine leaks too: the seam drips, and the counter is always wet.\",4,1
eve,kettle,The blue is exactly the blue of my grandmother's kitchen.,5,4
fay,kettle,\"Pretty colour, it matches the tiles in my kitchen.\",6,4
gus,kettle,Too expensive. I paid half for my last one.,7,2
hal,kettle,\"Not worth the price, the cheap one does the same.\",8,2
ann,lamp,\"Warm light, and the switch is where my hand expects it. I love it.\",9,5
bob,lamp,\"Soft, warm light. Wonderful beside the bed.\",10,5
cid,lamp,The bulb burned out in three days. Avoid.,11,1
dee,lamp,It flickers and hums all evening.,12,2
ann,toaster,\"Even toast, every time. I love it.\",13,5
cid,toaster,It burned one side and left the other white. Avoid.,14,1
gus,toaster,Too expensive for two slices.,15,2
";

const ITEMS: &str = "\
item,item_title,item_description
kettle,Kettle,A kettle of 1.7 litres that boils water fast
lamp,Lamp,A small lamp for the bedside
toaster,Toaster,A toaster for two slices of bread
kettle-2,Travel kettle,A small kettle that boils half a litre of water
";

fn with_reviews() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("reviews.csv", REVIEWS);
    sandbox.write("items.csv", ITEMS);
    let import =
        ["import", "--format", "table", "--reviews", "reviews.csv", "--items", "items.csv"];
    sandbox.run(&import).ok();
    sandbox
}

#[test]
fn representatives_stand_for_the_opinions_on_an_item() {
    let sandbox = with_reviews();
    let Some(encoder) = encoder(&sandbox) else { return };
    let run = |arguments: &[&str]| {
        let all: Vec<&str> = ["--encoder", &encoder, "--quiet"]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        sandbox.run(&all)
    };
    let index = run(&["index", "--json"]).json();
    assert_eq!(index["reviews"], 15);
    assert_eq!(index["embedded"], 15);
    assert_eq!(index["truncated"], 0);
    assert_eq!(index["users"], 8);
    assert_eq!(index["dimension"], 384);
    assert_eq!(index["index"], "exact");
    let again = run(&["index", "--json"]).json();
    assert_eq!((&again["embedded"], &again["stamp"]), (&0.into(), &index["stamp"]));

    let choice = run(&["representatives", "ann", "kettle", "--k", "3", "--json"]).json();
    assert_eq!(choice["candidates"], 7);
    let chosen = choice["representatives"].as_array().unwrap();
    assert!(!chosen.is_empty() && chosen.len() <= 3);
    for one in chosen {
        assert!(one["user"] != "ann" && one["from"] == "same-item" && one["item"] == "kettle");
        assert!(one["cluster"].is_u64() && one["text"].as_str().unwrap().len() > 10);
    }
    let members: u64 = chosen.iter().map(|one| one["cluster_size"].as_u64().unwrap()).sum();
    assert_eq!(members + choice["dropped"].as_u64().unwrap(), 7);
    let same = run(&["representatives", "ann", "kettle", "--k", "3", "--json"]).json();
    assert_eq!(same, choice);
    let least =
        run(&["representatives", "ann", "kettle", "--k", "2", "--selector", "farthest", "--json"])
            .json();
    let similarity =
        |of: &serde_json::Value, i: usize| of["representatives"][i]["similarity"].as_f64().unwrap();
    assert!(similarity(&least, 0) <= similarity(&least, 1));
    assert!(similarity(&least, 1) < 0.5, "not bob, who says the same as ann");

    let few = run(&["representatives", "gus", "toaster", "--k", "4", "--json"]).json();
    let near = few["representatives"].as_array().unwrap();
    assert_eq!(near.len(), 4);
    assert!(near.iter().any(|one| one["from"] == "near-item" && one["item"] != "toaster"));
    let nobody = run(&["representatives", "ann", "kettle-2", "--k", "2", "--json"]).json();
    assert_eq!(nobody["compared_with"], "own-mean");
    assert!(
        nobody["representatives"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| { one["from"] == "near-item" && one["item_similarity"].is_f64() })
    );

    sandbox.write("names.txt", "bob\n\ngus\n");
    let near =
        run(&["neighbours", "ann", "--users-from", "names.txt", "--k", "3", "--json"]).json();
    let rows = near["users"].as_array().unwrap();
    let users: Vec<&str> = rows.iter().filter_map(|row| row["user"].as_str()).collect();
    assert_eq!(users, ["ann", "bob", "gus"]);
    for row in rows {
        let near = row["neighbours"].as_array().unwrap();
        let cosines: Vec<f64> = near.iter().filter_map(|one| one["cosine"].as_f64()).collect();
        assert!(near.len() == 3 && near.iter().all(|one| one["user"] != row["user"]));
        assert!(cosines.is_sorted_by(|a, b| a >= b) && cosines.iter().all(|x| x.abs() <= 1.0));
    }
    assert_eq!(rows[0]["neighbours"][0]["user"], "bob", "who says the same");
    assert!(run(&["neighbours", "gus"]).ok().stdout.contains("hal"));
    let said = run(&["neighbours", "amn"]).fails_with(1);
    assert!(said.contains("`amn`"), "{said}");

    let told = run(&["representatives", "ann", "kettle"]).ok().stdout;
    assert!(told.contains("ann on Kettle") && told.contains("similarity"), "{told}");

    let said = run(&["representatives", "ann", "kettel"]).fails_with(1);
    assert!(said.contains("`kettel`"), "{said}");
    let said = run(&["representatives", "amn", "kettle"]).fails_with(1);
    assert!(said.contains("`amn`"), "{said}");

    // After one more review the index is out of date.
    sandbox.write("more.csv", "user,item,text,time,rating\nivo,lamp,Dim.,16,2\n");
    run(&["import", "--format", "table", "--reviews", "more.csv"]).ok();
    let said = run(&["representatives", "gus", "toaster", "--k", "4"]).fails_with(1);
    assert!(said.contains("idiolect index"), "{said}");
    let said = run(&["neighbours", "gus"]).fails_with(1);
    assert!(said.contains("idiolect index"), "{said}");
    assert_eq!(run(&["index", "--json"]).json()["users"], 9);
    run(&["representatives", "gus", "toaster", "--k", "4"]).ok();
}

#[test]
fn lines_are_embedded_as_they_come() {
    let sandbox = Sandbox::new();
    let Some(encoder) = encoder(&sandbox) else { return };
    let long = "It hums and hums. ".repeat(200);
    let lines = format!("A quiet lamp.\n\n\u{1F600}\u{1F600}\r\n{long}\nA quiet lamp.");
    sandbox.write("lines.txt", &lines);
    let run = sandbox.run(&["--encoder", &encoder, "embed", "--file", "lines.txt", "--json"]).ok();
    let vectors: Vec<Vec<f32>> =
        run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(vectors.len(), 5, "blank lines too");
    assert!(vectors.iter().all(|vector| vector.len() == 384));
    assert_eq!(vectors[0], vectors[4]);
    assert!(
        run.stderr.contains("line 4 has") && run.stderr.contains("first 256"),
        "{}",
        run.stderr
    );

    let mut command = sandbox.command(&["--encoder", &encoder, "-q", "embed", "--file", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"one\nnot \xff UTF-8\n").unwrap();
    let run = Run::of(child.wait_with_output().unwrap()).ok();
    assert_eq!(run.stdout.lines().count(), 2);
    assert!(run.stdout.starts_with("1: 3 tokens; 384 numbers:"), "{}", run.stdout);
    assert!(run.stderr.contains("line 2 is not UTF-8"), "{}", run.stderr);

    sandbox.write("empty.txt", "");
    let run = sandbox.run(&["--encoder", &encoder, "embed", "--file", "empty.txt", "--json"]).ok();
    assert_eq!(run.stdout, "");
    let said = sandbox.run(&["--encoder", &encoder, "embed", "--file", "no.txt"]).fails_with(1);
    assert!(said.contains("no.txt"), "{said}");
}

#[test]
fn wrong_folders_and_stores_are_told_apart() {
    let sandbox = with_reviews();
    sandbox.write("config.json", "{\"model_type\": \"mamba\"}");
    let said = sandbox.run(&["--encoder", "./no-such-folder", "index"]).fails_with(1);
    assert!(said.contains("no-such-folder"), "{said}");
    let said = sandbox.run(&["--store", "absent.sqlite", "index"]).fails_with(1);
    assert!(said.contains("absent.sqlite"), "{said}");
    assert!(!sandbox.path("absent.sqlite").exists());
}

/// Without a database: refusals come before anything is deleted. `scripts/test-pgvector` has one.
#[cfg(feature = "postgres")]
#[test]
fn a_database_that_is_forbidden_or_absent_is_told_before_anything_is_deleted() {
    let sandbox = with_reviews();
    // Nothing listens on port 1.
    let peers = ["--peers", "postgres://me:s3cret@127.0.0.1:1/corpus"];
    let run = |arguments: &[&str]| sandbox.run(&[arguments, &peers[..]].concat()).fails_with(1);
    let forbidden = run(&["--offline", "forget", "ann", "--yes"]);
    assert!(forbidden.contains("forbids connections"), "{forbidden}");
    let absent = run(&["forget", "ann", "--yes"]);
    assert!(absent.contains("connect to the database"), "{absent}");
    assert!(!forbidden.contains("s3cret") && !absent.contains("s3cret"));
    assert!(sandbox.run(&["users"]).ok().stdout.contains("ann"));
    let mut help = sandbox.command(&["index", "--help"]);
    help.env("IDIOLECT_PEERS", "postgres://me:s3cret@h/d");
    assert!(!Run::of(help.output().unwrap()).ok().stdout.contains("s3cret"));
}

/// An index written as Parquet is the index of a store with the same reviews.
#[cfg(feature = "parquet")]
#[test]
fn vectors_go_out_as_parquet_and_come_back() {
    let sandbox = with_reviews();
    let Some(encoder) = encoder(&sandbox) else { return };
    let run =
        |arguments: &[&str]| sandbox.run(&[&["--encoder", &encoder, "-q"], arguments].concat());
    let index = run(&["index", "--json"]).json();
    assert_eq!(run(&["export", "--vectors", "out"]).json()["vectors"]["users"], 8);
    let again = run(&["index", "--vectors", "out", "--json"]).json();
    assert_eq!((&again["stamp"], &again["embedded"]), (&index["stamp"], &0.into()));
    sandbox.write("more.csv", "user,item,text,time,rating\nivo,lamp,Dim.,16,2\n");
    run(&["import", "--format", "table", "--reviews", "more.csv"]).ok();
    let said = run(&["index", "--vectors", "out"]).fails_with(1);
    assert!(said.contains("other reviews"), "{said}");
}
