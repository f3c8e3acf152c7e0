//! `models recommend` on the command line, with measurements too short to be good ones.
#![allow(clippy::unwrap_used)]

use idiolect::lm::tiny::Tiny;
use serde_json::Value;

use crate::common::{Run, Sandbox};

/// A sandbox in which no model is found but those that a test puts into `models`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("models")).unwrap();
    sandbox
}

fn recommend(sandbox: &Sandbox, more: &[&str]) -> Run {
    let asked = ["--device", "cpu", "--quiet", "models", "recommend", "--seconds", "0.1"];
    run(sandbox, &[&asked[..], more].concat())
}

fn run(sandbox: &Sandbox, arguments: &[&str]) -> Run {
    let mut command = sandbox.command(arguments);
    command
        .env("IDIOLECT_MODELS", sandbox.path("models"))
        .env("HF_HOME", sandbox.path("hf"))
        .env("XDG_CONFIG_HOME", sandbox.path("config"))
        .env_remove("HF_HUB_CACHE")
        .env_remove("IDIOLECT_LM")
        .env_remove("IDIOLECT_ENCODER");
    Run::of(command.output().unwrap())
}

/// Catalog entry of a model in the folder `models`.
fn entry(name: &str, parameters: &str, size: usize, shape: &str) -> String {
    format!(
        "name = \"{name}\"\nkind = \"lm\"\narchitecture = \"llama\"\nparameters = \"{parameters}\"\n\
         quantization = \"Q4_1\"\nlicence = \"MIT\"\ncontext = 1024\n{shape}\n[[files]]\n\
         name = \"{name}.gguf\"\nsize = {size}\n[[sources]]\nkind = \"folder\"\npath = \".\"\n"
    )
}

const TINY: &str = "[shape]\nn_layers = 2\nn_embd = 64\nn_ff = 96\nn_heads = 4\nn_kv_heads = 2\n\
                    head_dim = 16\nn_vocab = 288\ntied = true\n";

fn models(report: &Value) -> &[Value] {
    report["models"].as_array().unwrap()
}

fn row<'a>(report: &'a Value, name: &str) -> &'a Value {
    models(report).iter().find(|row| row["name"] == name).unwrap()
}

#[test]
fn the_table_has_every_language_model_and_ends_with_the_next_command() {
    // A budget of 1 MiB, so that some model fits on any machine that runs the tests.
    let said = recommend(&sandbox(), &["--kv-budget", "1"]).ok().stdout;
    for name in ["smollm2-135m-instruct", "qwen2.5-coder-1.5b-instruct", "qwen2.5-7b-instruct"] {
        assert!(said.contains(name), "{said}");
    }
    let (table, _) = said.split_once("\n\n").unwrap().1.split_once("\n\n").unwrap();
    assert!(table.contains("smollm2") && !table.contains("minilm"), "{said}");
    assert!(said.contains("reads 2016 tokens and writes 190, dpl 11995 and 859"), "{said}");
    let (_, best) = said.split_once("\nrecommended: ").unwrap();
    let (name, _) = best.split_once(':').unwrap();
    let next = format!("\nnext: idiolect models fetch {name} all-minilm-l6-v2\n");
    assert!(said.ends_with(&next), "{said}");
}

#[test]
fn larger_models_need_more_and_take_longer() {
    let report = recommend(&sandbox(), &["--json"]).json();
    let seconds = |name: &str| {
        let row = row(&report, name);
        assert_eq!(row["seconds"]["basis"], "estimated", "{row}");
        assert_eq!((&row["installed"], &row["open_licence"]), (&false.into(), &true.into()));
        let [idiolect, dpl] = ["idiolect", "dpl"].map(|m| row["seconds"][m].as_f64().unwrap());
        assert!(idiolect > 0.0 && dpl > 2.0 * idiolect, "{row}");
        (row["memory_bytes"].as_u64().unwrap(), idiolect)
    };
    // A short measurement errs, but not by the factor between these sizes.
    let (small, large) = (seconds("smollm2-135m-instruct"), seconds("qwen2.5-7b-instruct"));
    assert!(large.0 > small.0 && large.1 > small.1, "{report}");
    assert_eq!(small.0, 98_362_432 + (1 << 30) + 250_000_000);
    assert_eq!(row(&report, "llama-3.2-1b-instruct")["open_licence"], false);
    let kernels = report["machine"]["kernels"].as_array().unwrap();
    for format in ["Q4_K", "Q6_K", "Q8_0"] {
        assert!(kernels.iter().any(|kernel| kernel["format"] == format), "{report}");
    }
}

#[test]
fn what_is_short_is_named_and_nothing_is_recommended_then() {
    let sandbox = sandbox();
    let huge = ["--kv-budget", "16777216"];
    let report = recommend(&sandbox, &[&huge[..], &["--json"]].concat()).json();
    assert!(report["recommended"].is_null(), "{report}");
    for row in models(&report) {
        assert_eq!(row["fits"], false, "{row}");
        assert!(row["reason"].as_str().unwrap().contains("of memory"), "{row}");
    }
    let said = recommend(&sandbox, &huge).ok().stdout;
    assert!(said.contains("recommended: none"), "{said}");
}

#[test]
fn if_nothing_is_fast_enough_the_fastest_is_named() {
    let asked = ["--kv-budget", "1", "--within", "0.0001", "--json"];
    let report = recommend(&sandbox(), &asked).json();
    let best = &report["recommended"];
    assert!(best["reason"].as_str().unwrap().starts_with("no model"), "{best}");
    let fastest = models(&report).iter().filter(|row| row["fits"] == true).min_by(|a, b| {
        let seconds = |row: &Value| row["seconds"]["idiolect"].as_f64().unwrap();
        seconds(a).total_cmp(&seconds(b))
    });
    assert_eq!(best["name"], fastest.unwrap()["name"]);
}

#[test]
fn an_installed_model_is_measured_and_corrects_those_of_similar_size() {
    let sandbox = sandbox();
    let gguf = Tiny::new("llama").bytes();
    sandbox.write("models/mine.toml", entry("mine", "0.1M", gguf.len(), TINY));
    sandbox.write("models/thrice.toml", entry("thrice", "0.3M", 3 * gguf.len(), TINY));
    sandbox.write("models/mine.gguf", gguf);
    let asked = ["--device", "cpu", "--quiet", "--kv-budget", "1", "models", "recommend"];
    let report = run(&sandbox, &[&asked[..], &["--seconds", "1.9", "--json"]].concat()).json();
    let mine = row(&report, "mine");
    assert_eq!((&mine["installed"], &mine["fits"]), (&true.into(), &true.into()), "{mine}");
    assert_eq!(mine["seconds"]["basis"], "measured", "{mine}");
    for (name, basis) in [("thrice", "corrected"), ("smollm2-135m-instruct", "estimated")] {
        let other = row(&report, name);
        assert_eq!(other["seconds"]["basis"], basis, "{other}");
    }
}

#[test]
fn an_entry_without_shape_is_listed_and_not_recommended() {
    let sandbox = sandbox();
    sandbox.write("models/vague.toml", entry("vague", "900B", 1000, ""));
    let report = recommend(&sandbox, &["--kv-budget", "1", "--json"]).json();
    let vague = row(&report, "vague");
    assert!(vague["seconds"].is_null(), "{vague}");
    assert!(vague["reason"].as_str().unwrap().contains("lacks `shape`"), "{vague}");
    assert_ne!(report["recommended"]["name"], "vague");
    sandbox.write("models/vague.toml", entry("vague", "9B", 10, &TINY.replace("= 2\n", "= 0\n")));
    let said = recommend(&sandbox, &[]).fails_with(1);
    assert!(said.contains("vague.toml") && said.contains("shape.n_layers is 0"), "{said}");
}

#[test]
fn wrong_numbers_and_devices_are_refused() {
    let sandbox = sandbox();
    for seconds in ["0", "-1", "NaN", "inf", "many", "3601", ""] {
        for option in ["--seconds", "--within"] {
            let said = run(&sandbox, &["models", "recommend", &format!("{option}={seconds}")]);
            let said = said.fails_with(2);
            assert!(said.contains("a number of seconds above 0"), "{said}");
        }
    }
    let said = run(&sandbox, &["--device", "abacus", "models", "recommend"]).fails_with(1);
    assert!(said.contains("`abacus`") && said.contains("expected `auto`"), "{said}");
}
