//! `evaluate` on the command line, with the real models and synthetic authors.
#![allow(clippy::unwrap_used)]

use std::process::Stdio;
use std::time::Instant;

use crate::common::{Run, Sandbox, test_encoder, test_lm};
use idiolect::corpus::Store;
use idiolect::evaluate::synthetic::{World, WorldOptions};
use rand::{RngExt, SeedableRng};
use serde_json::Value;

const KILLS: usize = 20;

struct Bench {
    sandbox: Sandbox,
    lm: String,
    encoder: String,
}

impl Bench {
    /// Makes a store of synthetic authors with a split; `None` if a model is missing.
    fn new(n_authors: usize) -> Option<Self> {
        let (lm, encoder) = (test_lm()?, test_encoder()?);
        let bench = Self {
            sandbox: Sandbox::new(),
            lm: lm.gguf.to_str().unwrap().to_owned(),
            encoder: encoder.dir.to_str().unwrap().to_owned(),
        };
        let options =
            WorldOptions { n_authors, n_without_rules: 0, n_items: 10, n_reviews: 9, seed: 1 };
        let store = Store::open(&bench.sandbox.path("idiolect.sqlite")).unwrap();
        World::new(&options).put(&store).unwrap();
        drop(store);
        bench.run(&["split", "--preset", "small"]).ok();
        Some(bench)
    }

    fn arguments<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let models = ["--lm", &self.lm, "--encoder", &self.encoder, "--quiet"];
        [&models[..], arguments].concat()
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.sandbox.run(&self.arguments(arguments))
    }

    fn evaluate(&self, more: &[&str]) -> Run {
        self.run(&[&["evaluate"], more].concat())
    }
}

/// Arguments for short texts: the tests check the flow, not the prose.
const SHORT: [&str; 6] = ["--n", "2", "--max-tokens", "12", "--score-tokens", "24"];

#[test]
fn likelihoods_need_no_written_text_and_no_encoder() {
    let Some(bench) = Bench::new(10) else { return };
    let asked = [
        "--methods",
        "non-perso,scp",
        "--measures",
        "likelihood",
        "--csv",
        "f.csv",
        "--html",
        "r.html",
    ];
    let report = bench.evaluate(&[&asked[..], &SHORT, &["--json"]].concat()).json();
    assert_eq!((report["users"].as_u64(), report["seeds"].as_u64()), (Some(10), Some(1)));
    let scp = &report["methods"]["scp"];
    for measure in ["bits_right", "bits_wrong", "bits_none", "likelihood_lift"] {
        let [mean, low, high] =
            ["mean", "low", "high"].map(|end| scp[measure][end].as_f64().unwrap());
        assert!(low <= mean && mean <= high, "{measure}: {low} {mean} {high}");
    }
    let bits = |measure: &str| scp[measure]["mean"].as_f64().unwrap();
    assert!((0.5..20.0).contains(&bits("bits_right")));
    assert!((bits("bits_wrong") - bits("bits_right") - bits("likelihood_lift")).abs() < 1e-9);
    assert_eq!(report["methods"]["non-perso"]["likelihood_lift"]["mean"], 0.0);
    assert!(scp["rouge1"].is_null() && scp["prompt_tokens"].is_null());
    assert!(!report["comparisons"].as_array().unwrap().is_empty());
    let csv = std::fs::read_to_string(bench.sandbox.path("f.csv")).unwrap();
    assert!(csv.starts_with("method,measure,mean,low,high,n,p\n"), "{csv}");
    let page = std::fs::read_to_string(bench.sandbox.path("r.html")).unwrap();
    assert!(page.starts_with("<!") && page.contains("evaluate --methods non-perso,scp"));

    let text = bench.evaluate(&[&asked[..], &SHORT].concat()).ok().stdout;
    assert!(text.contains("lift") && text.contains("scp"), "{text}");
}

#[test]
fn a_judge_says_which_of_two_methods_comes_nearer() {
    let Some(bench) = Bench::new(10) else { return };
    let asked = ["--methods", "non-perso,scp", "--measures", "judge-pairs", "--users", "3"];
    let report = bench.evaluate(&[&asked[..], &SHORT, &["--json"]].concat()).json();
    let wins = |method: &str| report["methods"][method]["judge_wins"]["mean"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&wins("scp")));
    assert!((wins("scp") + wins("non-perso") - 1.0).abs() < 1e-12);
    let compared = report["comparisons"].as_array().unwrap();
    let compared = compared.iter().find(|c| c["measure"] == "judge_wins").unwrap();
    assert_eq!((&compared["a"], &compared["n"]), (&"non-perso".into(), &3.into()));
    let difference = compared["difference"].as_f64().unwrap();
    assert!((difference - (wins("non-perso") - wins("scp"))).abs() < 1e-12);
}

#[test]
fn what_cannot_be_evaluated_is_told_in_a_line() {
    let Some(bench) = Bench::new(10) else { return };
    let told = bench.evaluate(&["--split-name", "other"]).fails_with(1);
    assert!(told.contains("other") && told.contains("default"), "{told}");
    let told = bench.evaluate(&["--split", "train", "--measures", "likelihood"]).fails_with(1);
    assert!(told.contains("held-out"), "{told}");
    for wrong in
        [["--methods", "magic"], ["--measures", "luck"], ["--shard", "3/2"], ["--seeds", "0"]]
    {
        bench.evaluate(&wrong).fails_with(2);
    }
    let told = bench.evaluate(&["--wordnet", "nowhere"]).fails_with(1);
    assert!(told.contains("nowhere"), "{told}");
    let same = ["--measures", "swap", "--closeness-encoder", &bench.encoder];
    let told = bench.evaluate(&same).fails_with(1);
    assert!(told.contains("chooses peers"), "{told}");
    let told = bench.evaluate(&["merge", "nothing.sqlite"]).fails_with(1);
    assert!(told.contains("nothing.sqlite"), "{told}");
}

/// Arguments that use most parts but no encoder; takes a few seconds.
const WORK: [&str; 8] = [
    "--methods",
    "scp",
    "--measures",
    "lexical,likelihood,wrong-user",
    "--users",
    "3",
    "--wrong-users",
    "1",
];

fn report(bench: &Bench) -> Value {
    bench.evaluate(&[&WORK[..], &SHORT, &["--json"]].concat()).json()
}

#[test]
fn killed_evaluations_end_with_the_bytes_of_an_undisturbed_one() {
    let Some(bench) = Bench::new(10) else { return };
    let Some(undisturbed) = Bench::new(10) else { return };
    let n_derived = |of: &Bench| {
        let connection = rusqlite::Connection::open(of.sandbox.path("idiolect.sqlite")).unwrap();
        let count = "SELECT count(*) FROM derived WHERE kind NOT LIKE 'evaluation%'";
        connection.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let begin = Instant::now();
    let expected = report(&undisturbed);
    let (window, whole) = (begin.elapsed(), n_derived(&undisturbed));
    let arguments = [&["evaluate"], &WORK[..], &SHORT, &["--json"]].concat();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(4);
    let (mut hits, mut amid) = (0, 0);
    for _ in 0..10 * KILLS {
        let arguments = bench.arguments(&arguments);
        let mut command = bench.sandbox.command(&arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(window.mul_f64(random.random_range(0.1..0.6)));
        let was_running = child.try_wait().unwrap().is_none();
        child.kill().unwrap();
        child.wait().unwrap();
        hits += usize::from(was_running);
        let n = n_derived(&bench);
        amid += usize::from(was_running && 0 < n && n < whole);
        if hits == KILLS {
            break;
        }
        if n == whole {
            let connection = rusqlite::Connection::open(bench.sandbox.path("idiolect.sqlite"));
            connection.unwrap().execute("DELETE FROM derived", []).unwrap();
        }
    }
    assert_eq!(hits, KILLS, "too few kills found it running");
    assert!(amid > KILLS / 4, "only {amid} kills fell amid the work");
    assert_eq!(report(&bench).to_string(), expected.to_string());
    assert_eq!(n_derived(&bench), whole);
}

#[test]
fn parts_on_copies_join_to_the_whole() {
    let Some(bench) = Bench::new(10) else { return };
    let store = |name: &str| bench.sandbox.path(name);
    std::fs::copy(store("idiolect.sqlite"), store("copy.sqlite")).unwrap();
    let part = |path: &str, shard: &str| {
        let asked = [&["--store", path, "evaluate", "--shard", shard], &WORK[..], &SHORT].concat();
        bench.run(&asked).ok()
    };
    assert_eq!(part("idiolect.sqlite", "1/2").stdout, "");
    part("copy.sqlite", "2/2");
    let taken = bench.run(&["evaluate", "merge", "copy.sqlite", "--json"]).json();
    assert!(taken["taken"]["copy.sqlite"].as_u64().unwrap() > 0);
    let derived = || {
        let connection = rusqlite::Connection::open(store("idiolect.sqlite")).unwrap();
        let count = "SELECT count(*) FROM derived WHERE kind NOT LIKE 'evaluation%'";
        connection.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = derived();
    let joined = report(&bench);
    assert_eq!(derived(), before, "all was there");
    assert_eq!(joined["methods"]["scp"]["without_history"], 0);
}
