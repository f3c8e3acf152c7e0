//! Verifies the files of models by reading them completely.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::catalog::record::FetchRecord;
use super::catalog::{Catalog, Entry, ModelFile};
use super::gguf::Gguf;
use super::hash::{Megabytes, sha256};
use super::weights::check_safetensors;
use super::{Error, Result};
use crate::progress::Progress;

/// Result of verifying one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// The model that the file belongs to.
    pub model: String,
    /// The file.
    pub path: PathBuf,
    /// The problem; `None` if the file is intact.
    pub problem: Option<String>,
    /// Expected SHA-256, if known.
    pub expected: Option<String>,
    /// SHA-256 of the file, if it could be read.
    pub got: Option<String>,
}

impl Catalog {
    /// Whether at least one file of the model is in the model's own folder, or all are elsewhere on
    /// this machine.
    #[must_use]
    pub fn is_partly_here(&self, entry: &Entry) -> bool {
        let own = self.own_folder(&entry.name);
        entry.files.iter().any(|file| own.join(&file.name).exists())
            || self.glimpse(entry).is_some()
    }
}

/// Verifies every file of a model: its size and hash, if they are known, and that its contents
/// match its header. A wrong file is part of the report, not an error.
pub fn verify(
    catalog: &Catalog,
    entry: &Entry,
    progress: &dyn Progress,
) -> Result<Vec<FileReport>> {
    let entry = FetchRecord::read(catalog.models_dir(), &entry.name)?.complete(entry);
    let own = catalog.own_folder(&entry.name);
    let folder = catalog.glimpse(&entry).map_or(own, |located| located.folder);
    let bytes = entry.files.iter().filter_map(|file| {
        std::fs::metadata(folder.join(&file.name)).ok().map(|found| found.len())
    });
    progress.begin(&format!("verifying {} (MB)", entry.name), Some(Megabytes::of(bytes.sum())));
    let reports = entry.files.iter().map(|file| report(&entry, &folder, file, progress)).collect();
    progress.end();
    reports
}

fn report(
    entry: &Entry,
    folder: &Path,
    file: &ModelFile,
    progress: &dyn Progress,
) -> Result<FileReport> {
    let path = folder.join(&file.name);
    let (got, problem) = match examine(&path, file, progress) {
        Ok(found) => found,
        Err(Error::Stopped) => return Err(Error::Stopped),
        Err(error) => (None, Some(error.to_string())),
    };
    let model = entry.name.clone();
    Ok(FileReport { model, path, problem, expected: file.sha256.clone(), got })
}

fn examine(
    path: &Path,
    file: &ModelFile,
    progress: &dyn Progress,
) -> Result<(Option<String>, Option<String>)> {
    let io = |source| Error::Io { operation: "read", path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(io)?.len();
    if let Some(expected) = file.size.filter(|expected| *expected != size) {
        return Ok((None, Some(format!("is {size} bytes, expected {expected}"))));
    }
    let got = sha256(path, progress)?;
    if let Some(expected) = file.sha256.as_ref().filter(|expected| **expected != got) {
        let problem = format!("wrong SHA-256: got {got}, expected {expected}");
        return Ok((Some(got), Some(problem)));
    }
    let format = match path.extension().and_then(|extension| extension.to_str()) {
        Some("gguf") => Gguf::open_alone(path).map(|_| ()),
        Some("safetensors") => {
            std::fs::read(path).map_err(io).and_then(|bytes| check_safetensors(&bytes, path))
        }
        _ => Ok(()),
    };
    Ok((Some(got), format.err().map(|error| error.to_string())))
}
