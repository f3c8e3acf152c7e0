//! A killed import loses nothing that it had committed, and a rerun completes it.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::Sandbox;
use rand::{RngExt, SeedableRng};
use rusqlite::Connection;

const KILLS: usize = 24;

/// A table with some duplicates, newer and older, and some malformed rows.
fn corpus(rows: usize) -> String {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(7);
    let mut table = String::from("user,item,text,time,rating\n");
    for n in 0..rows {
        let (user, item) = (rng.random_range(0..900), rng.random_range(0..300));
        let words = "some words ".repeat(rng.random_range(1..60));
        let time = rng.random_range(0..1_000_000);
        table.push_str(&format!("user{user},item{item},\"{words}{n}\",{time},{}\n", n % 5 + 1));
        if n % 997 == 0 {
            table.push_str("too,few\n");
        }
    }
    table
}

/// All reviews of the store without their ids, which may differ after a rerun.
fn contents(path: &Path) -> Vec<String> {
    let connection = Connection::open(path).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT user.name || '|' || item.name || '|' || rating || '|' || time || '|' || text
             FROM review JOIN user ON user.id = user JOIN item ON item.id = item ORDER BY 1",
        )
        .unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Checks that a store is intact after a kill and returns its number of reviews.
fn reviews_of_whole(path: &Path) -> i64 {
    let connection = Connection::open(path).unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let check: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    if number("SELECT count(*) FROM sqlite_schema WHERE name = 'review'") == 0 {
        return 0;
    }
    let broken: Option<String> = connection
        .prepare("PRAGMA foreign_key_check")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .next()
        .transpose()
        .unwrap();
    assert_eq!(broken, None);
    number("SELECT count(*) FROM review")
}

#[test]
fn killed_imports_are_whole_and_are_completed_by_a_rerun() {
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", corpus(12_000));
    let arguments = |store: &'static str| {
        let import = ["import", "--format", "table", "--reviews", "t.csv", "--keep", "newest"];
        [&["--store", store, "--quiet", "--json"][..], &import].concat()
    };
    let begin = Instant::now();
    let undisturbed = sandbox.run(&arguments("whole.sqlite")).json();
    let mut window = begin.elapsed();
    let expected = contents(&sandbox.path("whole.sqlite"));

    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(20_261_122);
    let path = sandbox.path("killed.sqlite");
    let (mut held, mut hits) = (0, 0);
    for _ in 0..KILLS * 10 {
        let mut command = sandbox.command(&arguments("killed.sqlite"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(window.mul_f64(rng.random_range(0.0..1.0)));
        let was_running = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        let reviews = if path.exists() { reviews_of_whole(&path) } else { 0 };
        assert!(reviews >= held, "{reviews} reviews where {held} were committed");
        held = reviews;
        if was_running {
            hits += 1;
        } else {
            window = window.mul_f64(0.8);
        }
        if hits == KILLS {
            break;
        }
        if !was_running || hits % 6 == 0 {
            // Start with a new store now and then, so that its creation is interrupted too.
            for end in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(sandbox.path(&format!("killed.sqlite{end}")));
            }
            held = 0;
        }
    }
    assert_eq!(hits, KILLS, "too few kills found it running");

    let rerun = sandbox.run(&arguments("killed.sqlite")).json();
    for total in ["reviews", "users", "items", "read", "malformed"] {
        assert_eq!(rerun[total], undisturbed[total], "{total}");
    }
    assert_eq!(contents(&path), expected);
}

#[cfg(unix)]
#[test]
fn an_interrupted_import_says_so_and_keeps_what_it_read() {
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", corpus(20_000));
    let arguments = ["--json", "import", "--format", "table", "--reviews", "t.csv"];
    let mut command = sandbox.command(&arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let path = sandbox.path("idiolect.sqlite");
    let deadline = Instant::now() + Duration::from_secs(20);
    let committed = || {
        Connection::open(&path)
            .and_then(|c| {
                c.query_row("SELECT count(*) FROM review", [], |row| row.get::<_, i64>(0))
            })
            .unwrap_or(0)
    };
    while Instant::now() < deadline && (!path.exists() || committed() == 0) {
        std::thread::sleep(Duration::from_millis(2));
    }
    let interrupted =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    let said = crate::common::Run::of(child.wait_with_output().unwrap()).fails_with(130);
    assert!(said.contains("what was done is kept"), "{said}");
    let held = reviews_of_whole(&path);
    assert!(held > 0);
    let whole = sandbox.run(&arguments).json();
    assert!(whole["reviews"].as_i64().unwrap() > held);
}
