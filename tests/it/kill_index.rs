//! A killed index run loses no stored vector, leaves the index intact or absent, and is completed
//! by a rerun.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Instant;

use crate::common::Sandbox;
use candle_core::Device;
use idiolect::corpus::Store;
use idiolect::encoder::Encoder;
use idiolect::model::EncoderFiles;
use idiolect::peers::{Error, PeerIndex, index_folder};
use idiolect_engine::encoder::testing::{tiny_text, write_tiny_encoder};
use rand::{RngExt, SeedableRng};

const KILLS: usize = 24;
const USERS: usize = 400;

/// A table in which each user reviews three of sixty items.
fn table() -> String {
    let mut table = String::from("user,item,text,time\n");
    for n in 0..3 * USERS {
        let (user, item) = (n % USERS, (n * 7 + n / USERS) % 60);
        table.push_str(&format!("user{user},item{item},{},{n}\n", tiny_text(n * 31 % 1296)));
    }
    table
}

/// Vectors with the stamp of the encoder, as bits, by user and item (row ids differ between
/// stores).
fn vectors(store: &Store, encoder: &Encoder) -> BTreeMap<(String, String), Vec<u32>> {
    let ids = store.review_ids().unwrap();
    let mut vectors = store.vectors(encoder.stamp(), &ids).unwrap();
    let rows = store.reviews(&ids).unwrap();
    rows.into_iter()
        .filter_map(|row| {
            let bits = vectors.remove(&row.id)?.into_iter().map(f32::to_bits).collect();
            Some(((row.review.user, row.review.item), bits))
        })
        .collect()
}

fn copy_store(sandbox: &Sandbox, from: &str, to: &str) {
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(sandbox.path(&format!("{to}{end}")));
    }
    let _ = std::fs::remove_dir_all(index_folder(&sandbox.path(to)));
    std::fs::copy(sandbox.path(from), sandbox.path(to)).unwrap();
}

/// Files of the index of a store, by name.
fn index_files(store: &Path, index: &PeerIndex) -> BTreeMap<String, Vec<u8>> {
    let folder = index_folder(store).join(&index.manifest().generation);
    let read = |name: &String| (name.clone(), std::fs::read(folder.join(name)).unwrap());
    index.manifest().files.keys().map(read).collect()
}

#[test]
fn killed_index_runs_lose_nothing_and_are_completed_by_a_rerun() {
    let sandbox = Sandbox::new();
    write_tiny_encoder(&sandbox.path("encoder"));
    let encoder = {
        let files = EncoderFiles {
            name: "encoder".to_owned(),
            dir: sandbox.path("encoder"),
            pooling: None,
            max_tokens: None,
            prompt: None,
            sha256: String::new(),
        };
        Encoder::load(&files, &Device::Cpu).unwrap()
    };
    sandbox.write("t.csv", table());
    let import = ["--store", "base.sqlite", "import", "--format", "table", "--reviews", "t.csv"];
    sandbox.run(&import).ok();

    // Ask for the graph, so that building and writing it are interrupted too.
    let arguments = |store: &'static str| {
        [
            "--store",
            store,
            "--encoder",
            "./encoder",
            "--quiet",
            "--json",
            "index",
            "--exact-below",
            "0",
        ]
    };
    copy_store(&sandbox, "base.sqlite", "whole.sqlite");
    let begin = Instant::now();
    let undisturbed = sandbox.run(&arguments("whole.sqlite")).json();
    let mut window = begin.elapsed();
    assert_eq!(undisturbed["embedded"], 3 * USERS);
    assert_eq!(undisturbed["index"], "hnsw");
    let whole = Store::open(&sandbox.path("whole.sqlite")).unwrap();
    let expected = vectors(&whole, &encoder);

    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(20_261_122);
    let path = sandbox.path("killed.sqlite");
    copy_store(&sandbox, "base.sqlite", "killed.sqlite");
    let (mut hits, mut amid, mut held) = (0, 0, 0);
    for _ in 0..10 * KILLS {
        let mut command = sandbox.command(&arguments("killed.sqlite"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(window.mul_f64(random.random_range(0.0..1.0)));
        let was_running = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();

        let store = Store::open(&path).unwrap();
        let kept = vectors(&store, &encoder);
        assert!(kept.len() >= held, "{} vectors where {held} were stored", kept.len());
        assert!(kept.iter().all(|(of, bits)| expected[of] == *bits));
        match PeerIndex::open(&store, &encoder) {
            Ok(index) => assert_eq!(index.len(), USERS),
            Err(error) => assert!(matches!(error, Error::NoIndex { .. }), "{error}"),
        }
        amid += usize::from(was_running && kept.len() > held && kept.len() < expected.len());
        held = kept.len();
        hits += usize::from(was_running);
        if hits == KILLS {
            break;
        }
        if !was_running {
            window = window.mul_f64(0.8);
        }
        if held == expected.len() {
            drop(store);
            copy_store(&sandbox, "base.sqlite", "killed.sqlite");
            held = 0;
        }
    }
    assert_eq!(hits, KILLS, "too few kills found it running");
    assert!(amid > 0, "no kill fell between two batches");

    let rerun = sandbox.run(&arguments("killed.sqlite")).json();
    assert_eq!(rerun["embedded"], expected.len() - held, "what is stored is not made again");
    for what in ["reviews", "users", "dimension", "index", "stamp"] {
        assert_eq!(rerun[what], undisturbed[what], "{what}");
    }
    let store = Store::open(&path).unwrap();
    assert_eq!(vectors(&store, &encoder), expected);
    let index = PeerIndex::open(&store, &encoder).unwrap();
    let of_whole = PeerIndex::open(&whole, &encoder).unwrap();
    let files = |path: &Path, index| {
        let mut files = index_files(path, index);
        // The files of the graph differ only in the order of equal entries.
        files.retain(|name, _| !name.contains("hnsw"));
        files
    };
    assert_eq!(files(&path, &index), files(whole.path(), &of_whole));
    for user in (0..USERS).step_by(37) {
        let query = of_whole.embedding(&format!("user{user}")).unwrap();
        assert_eq!(index.near(query, 5).unwrap(), of_whole.near(query, 5).unwrap());
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_index_run_says_so_and_goes_on_later() {
    let sandbox = Sandbox::new();
    write_tiny_encoder(&sandbox.path("encoder"));
    sandbox.write("t.csv", table());
    sandbox.run(&["import", "--format", "table", "--reviews", "t.csv"]).ok();
    let arguments = ["--encoder", "./encoder", "--json", "index"];
    let mut command = sandbox.command(&arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let connection = rusqlite::Connection::open(sandbox.path("idiolect.sqlite")).unwrap();
    let stored = || {
        let count = "SELECT count(*) FROM vector";
        connection.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap_or(0)
    };
    let begin = Instant::now();
    while stored() == 0 && begin.elapsed().as_secs() < 20 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let pid = child.id().to_string();
    let interrupted = std::process::Command::new("kill").args(["-INT", &pid]).status();
    assert!(interrupted.unwrap().success());
    let run = crate::common::Run::of(child.wait_with_output().unwrap());
    let held = stored();
    // A fast machine may be done before the signal arrives; the test is that a rerun continues.
    if run.code != Some(0) {
        let said = run.fails_with(130);
        assert!(said.contains("what was done is kept"), "{said}");
    }
    let done = sandbox.run(&arguments).json();
    assert_eq!(done["embedded"].as_i64().unwrap(), 3 * USERS as i64 - held);
}
