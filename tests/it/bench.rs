//! `idiolect bench` on the command line, with small sizes.

#![allow(clippy::unwrap_used)]

use crate::common::Sandbox;

/// Arguments with small sizes.
const SMALL: [&str; 9] =
    ["bench", "--runs", "1", "--prompt", "24,40", "--sequences", "3", "--tokens", "2"];

#[test]
fn the_language_model_is_measured() {
    if crate::common::test_lm().is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let only = ["--only", "prefill,decode", "--only", "batched-decode"];
    let arguments = [&SMALL[..], &only, &["--depth", "0,30", "--only", "score"]].concat();
    let report = sandbox.run(&[&arguments[..], &["--json", "--threads", "2"]].concat()).json();
    let machine = &report["machine"];
    assert_eq!(machine["threads"], 2);
    assert!(machine["tier"].is_string() && machine["lm"]["bytes"].as_u64().unwrap() > 1000);
    let results = report["results"].as_array().unwrap();
    let of = |name: &str, field: &str| -> Vec<u64> {
        let of_name = results.iter().filter(|result| result["name"] == name);
        of_name.map(|result| result[field].as_u64().unwrap()).collect()
    };
    assert_eq!(of("prefill", "n_tokens"), [24, 40]);
    assert_eq!(of("decode", "depth"), [0, 30]);
    assert_eq!((of("decode", "n_seq"), of("decode", "n_tokens")), (vec![1, 1], vec![2, 2]));
    let batched = (of("batched-decode", "n_seq"), of("batched-decode", "n_tokens"));
    assert_eq!(batched, (vec![3, 3], vec![6, 6]));
    assert_eq!(of("score", "n_tokens"), [512]);
    for result in results {
        let [median, min, max] = ["median", "min", "max"].map(|key| result[key].as_f64().unwrap());
        assert!(0.0 < min && min <= median && median <= max, "{result}");
        assert_eq!(result["unit"], "tokens/s");
    }
    let table = sandbox.run(&["bench", "--runs", "1", "--only", "prefill", "--prompt", "8"]).ok();
    assert!(table.stdout.contains("prefill") && table.stdout.contains("tokens/s"));
}

#[test]
fn recorded_requests_are_sent_again_at_their_lengths() {
    if crate::common::test_lm().is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let (one, two) = (sandbox.path("one.jsonl"), sandbox.path("two.jsonl"));
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    let write = ["lm", "complete", "--chat", "--prompt", "Name a tea.", "--max-tokens", "9"];
    let mut tokens = 0;
    for path in [one, two] {
        let run = [&write[..], &["--json", "--record-requests", path]].concat();
        let written = sandbox.run(&run).json();
        tokens += written["completion_tokens"].as_u64().unwrap();
    }
    let replay = ["bench", "--only", "replay", "--requests", one, "--requests", two, "--json"];
    let run = [&replay[..], &["--runs", "2", "--jobs", "2", "--keep-cache"]].concat();
    let report = sandbox.run(&run).json();
    let result = &report["results"][0];
    assert_eq!((&result["name"], &result["n_seq"]), (&"replay".into(), &2.into()));
    assert_eq!(result["completion_tokens"].as_u64().unwrap(), tokens);
    assert_eq!(result["seconds"].as_array().unwrap().len(), 2);

    sandbox.run(&["bench", "--only", "replay"]).fails_with(2);
    let other = sandbox.write("other.jsonl", "{\"verb\": \"sing\"}\n");
    let other = ["bench", "--only", "replay", "--requests", other.to_str().unwrap()];
    assert!(sandbox.run(&other).fails_with(1).contains("line 1"));
}

#[test]
fn the_sample_corpus_is_embedded_and_indexed_beside_the_users_store() {
    if crate::common::test_encoder().is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let report = sandbox.run(&["bench", "--runs", "1", "--only", "index", "--json"]).json();
    let result = &report["results"][0];
    assert_eq!((&result["n_seq"], &result["unit"]), (&172.into(), &"reviews/s".into()));
    assert!(!sandbox.path("idiolect.sqlite").exists());
}
