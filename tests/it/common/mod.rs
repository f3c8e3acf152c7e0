//! Runs the program in a temporary folder.

// Some test modules are compiled only on Unix or with a feature, so not everything is always used.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use idiolect::model::catalog::{Catalog, DEFAULT_ENCODER, SMALL_LM, default_models_dir};
use idiolect::model::{EncoderFiles, LmFiles};

/// For each model: the variable that names another model for the tests, the variable that names the
/// model for the program, and the default model of the tests.
const TEST_MODELS: [(&str, &str, &str); 2] = [
    ("IDIOLECT_TEST_LM", "IDIOLECT_LM", SMALL_LM),
    ("IDIOLECT_TEST_ENCODER", "IDIOLECT_ENCODER", DEFAULT_ENCODER),
];

/// A temporary folder in which the program runs; deleted on drop.
pub struct Sandbox {
    folder: tempfile::TempDir,
}

/// Result of a run of the program.
#[derive(Debug)]
pub struct Run {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Sandbox {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Returns the path of `name` in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder and returns its path.
    pub fn write(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// Returns the program with `arguments`, ready to run or spawn. The store is `idiolect.sqlite`
    /// in the folder unless `--store` is given; `IDIOLECT_*` variables of the caller are removed.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_idiolect"));
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("IDIOLECT_") && !name_text.starts_with("IDIOLECT_TEST_") {
                command.env_remove(name);
            }
        }
        for (test, name, model) in TEST_MODELS {
            command.env(name, named(test, model));
        }
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs the program and waits for its end.
    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }
}

impl Run {
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Returns the run if it ended with 0; otherwise fails the test and prints its output.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Returns stderr if the run ended with `code`; a panic fails the test in any case.
    #[track_caller]
    pub fn fails_with(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        self.stderr
    }

    /// Returns stdout as one JSON value; fails the test if it is anything else.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let run = self.ok();
        serde_json::from_str(&run.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\nstderr: {}", run.stdout, run.stderr))
    }
}

/// Folder of a real data set next to the checkout; `None`, with a message, if it is absent.
pub fn real_data(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if !folder.is_dir() {
        eprintln!("skipped: the data set {name} is not beside the checkout");
        return None;
    }
    Some(folder)
}

/// Language model of the tests: `IDIOLECT_TEST_LM`, else the small model of the catalog if it was
/// fetched; `None`, with a message, if it is absent.
pub fn test_lm() -> Option<LmFiles> {
    let name = named("IDIOLECT_TEST_LM", SMALL_LM);
    found(&name, catalog().and_then(|catalog| catalog.lm(&name).ok()))
}

/// Encoder of the tests; see [`test_lm`].
pub fn test_encoder() -> Option<EncoderFiles> {
    let name = named("IDIOLECT_TEST_ENCODER", DEFAULT_ENCODER);
    found(&name, catalog().and_then(|catalog| catalog.encoder(&name).ok()))
}

/// Whether the models of the tests are on this machine.
pub fn test_models_present() -> bool {
    test_lm().is_some() && test_encoder().is_some()
}

fn named(variable: &str, name: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| name.to_owned())
}

fn catalog() -> Option<Catalog> {
    Catalog::load(&default_models_dir().ok()?).ok()
}

fn found<T>(name: &str, model: Option<T>) -> Option<T> {
    if model.is_none() {
        eprintln!("skipped: {name} is not on this machine; `scripts/test` fetches the models");
    }
    model
}
