//! `doctor --self-test`: passes on every instruction set of this machine, tells what is not there, and
//! fails on a damaged model.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::fs;
use std::os::unix::fs::symlink;

use futures::executor::block_on;
use idiolect::kernels::Isa;
use idiolect::lm::{Lm, LoadOptions, Prompt, Request};
use idiolect::model::catalog::{Catalog, DEFAULT_ENCODER, SMALL_LM, default_models_dir};
use serde_json::Value;

use crate::common::{Run, Sandbox};

/// Difference of log-probabilities, in nats, that no other arithmetic of this program reaches.
const FAR: f32 = 1.0;

fn catalog() -> Catalog {
    Catalog::load(&default_models_dir().unwrap()).unwrap()
}

/// Whether both models of the self-test, which no variable replaces, are on this machine.
fn models_present() -> bool {
    let catalog = catalog();
    let present = catalog.lm(SMALL_LM).is_ok() && catalog.encoder(DEFAULT_ENCODER).is_ok();
    if !present {
        eprintln!("skipped: the small models are not on this machine");
    }
    present
}

#[test]
fn every_instruction_set_passes() {
    if !models_present() {
        return;
    }
    let sandbox = Sandbox::new();
    for isa in Isa::available() {
        let test = ["doctor", "--self-test", "--json", "--cpu-isa", isa.name()];
        let report = sandbox.run(&test).json();
        assert_eq!(report["ok"], true, "{report}");
        assert_eq!((&report["cpu_isa"], &report["skipped"]), (&isa.name().into(), &0.into()));
        let checks = report["checks"].as_array().unwrap();
        let names: Vec<&Value> = checks.iter().map(|check| &check["check"]).collect();
        assert_eq!(names, ["embedding", "score", "text"]);
        for check in checks {
            assert_eq!(check["result"], "ok", "{check}");
            assert!(!check["expected"].as_str().unwrap().is_empty(), "{check}");
            // With matrix tiles the bits of a score differ.
            let differs = isa.has_prompt_products() && check["check"] == "score";
            let found = check["found"].as_str().unwrap();
            assert!(differs || found.starts_with("the same"), "{isa}: {found}");
        }
    }
    let told = sandbox.run(&["doctor", "--self-test"]).ok().stdout;
    assert_eq!(told.lines().filter(|line| line.starts_with("  ok: ")).count(), 3, "{told}");
    assert!(told.contains("text of smollm2-135m-instruct: expected \" h i j k"), "{told}");
}

#[test]
fn a_model_that_is_not_there_is_told_and_no_failure() {
    let sandbox = Sandbox::new();
    let run = |arguments: &[&str]| {
        let none = ["doctor", "--self-test", "--models-dir", "none"];
        let mut command = sandbox.command(&[&none[..], arguments].concat());
        command.env("HF_HOME", sandbox.path("none")).env_remove("HF_HUB_CACHE");
        Run::of(command.output().unwrap())
    };
    let report = run(&["--json"]).json();
    assert_eq!((&report["ok"], &report["skipped"]), (&true.into(), &3.into()));
    let told = run(&[]).ok().stdout;
    assert!(told.contains("skipped: embedding of all-minilm-l6-v2: the model is not"), "{told}");
    assert!(told.contains("nothing was computed"), "{told}");
}

#[test]
fn a_damaged_model_fails() {
    if !models_present() {
        return;
    }
    let sandbox = Sandbox::new();
    let intact = catalog().encoder(DEFAULT_ENCODER).unwrap().dir;
    let folder = sandbox.path("models").join(DEFAULT_ENCODER);
    fs::create_dir_all(folder.join("1_Pooling")).unwrap();
    for entry in &catalog().entry(DEFAULT_ENCODER).unwrap().files {
        symlink(intact.join(&entry.name), folder.join(&entry.name)).unwrap();
    }
    let run = || {
        let mut command = sandbox.command(&["doctor", "--self-test", "--models-dir", "models"]);
        command.env("HF_HOME", sandbox.path("none")).env_remove("HF_HUB_CACHE");
        Run::of(command.output().unwrap())
    };
    let told = run().ok().stdout;
    assert!(told.contains("  ok: embedding"), "{told}");
    assert!(told.contains("  skipped: score"), "{told}");
    let tokenizer = folder.join("tokenizer.json");
    let mut bytes = fs::read(&tokenizer).unwrap();
    let last = bytes.len() - 3;
    bytes[last] ^= 1;
    fs::remove_file(&tokenizer).unwrap();
    fs::write(&tokenizer, bytes).unwrap();
    let failed = run();
    assert!(failed.stdout.contains("  FAILED: embedding of all-minilm-l6-v2"), "{failed:?}");
    assert!(failed.stdout.contains("SHA-256"), "{failed:?}");
    assert!(failed.fails_with(1).contains("1 of 3 checks of the self-test failed"));
}

/// The recorded text has to be the same where prompts are computed less exactly.
#[test]
fn no_token_of_the_recorded_text_has_a_near_alternative() {
    if !models_present() {
        return;
    }
    let golden: Value =
        serde_json::from_str(include_str!("../../src/cli/doctor/self_test.json")).unwrap();
    let golden = &golden["text"];
    let lm = Lm::load(&catalog().lm(SMALL_LM).unwrap(), &LoadOptions::default()).unwrap();
    let prompt = Prompt::Text(golden["prompt"].as_str().unwrap().to_owned());
    let max_tokens = golden["max_tokens"].as_u64().unwrap() as usize;
    let request = Request { logprobs: Some(2), ..Request::new(prompt, max_tokens) };
    let written = block_on(lm.generate(request)).unwrap();
    assert_eq!(written.text, golden["text"]);
    assert_eq!(written.tokens.len(), max_tokens);
    for token in &written.tokens {
        let [(id, first), (_, second)] = token.top[..] else { panic!("{token:?}") };
        assert_eq!(id, token.id);
        assert!(first - second > FAR, "{token:?}");
    }
}
