//! Finds a model's files on this machine.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::entry::{Entry, ModelFile, ModelSource};
use super::{Catalog, hub_cache, record::FetchRecord};
use crate::model::{Error, Result};
use crate::progress::Progress;

/// Location of a model's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The folder that holds all its files.
    pub folder: PathBuf,
    /// Kind of that folder.
    pub place: FolderKind,
}

/// Kind of a folder that holds a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FolderKind {
    /// The model's own folder inside the models folder.
    Models,
    /// A folder that the catalog names.
    Folder,
    /// The cache of Hugging Face tools.
    HubCache,
}

impl Located {
    /// Returns the path of one of the model's files.
    #[must_use]
    pub fn file(&self, file: &ModelFile) -> PathBuf {
        self.folder.join(&file.name)
    }
}

impl Catalog {
    /// Returns the folder of the model's files: the models folder is tried first, then the folders
    /// and snapshots of its sources. A folder is accepted only if it has every file, and the right
    /// hash of each file whose hash is known.
    ///
    /// # Errors
    ///
    /// A file in the models folder has the wrong size or hash, or `progress` asked to stop.
    pub fn locate(&self, entry: &Entry, progress: &dyn Progress) -> Result<Option<Located>> {
        let entry = FetchRecord::read(&self.models_dir, &entry.name)?.complete(entry);
        for located in self.candidates(&entry) {
            if !is_complete(&located, &entry) {
                if located.place == FolderKind::Models {
                    check_sizes(&located, &entry)?;
                }
                continue;
            }
            match (self.check(&located, &entry, progress), located.place) {
                (Ok(()), _) => return Ok(Some(located)),
                (Err(error @ Error::Stopped), _) | (Err(error), FolderKind::Models) => {
                    return Err(error);
                }
                (Err(error), _) => tracing::warn!("not used: {error}"),
            }
        }
        Ok(None)
    }

    /// Returns the folder that seems to hold the model's files, judged by their existence and
    /// sizes, without hashes.
    #[must_use]
    pub fn glimpse(&self, entry: &Entry) -> Option<Located> {
        let entry = FetchRecord::read(&self.models_dir, &entry.name).ok()?.complete(entry);
        self.candidates(&entry).into_iter().find(|located| is_complete(located, &entry))
    }

    /// Returns the model's own folder inside the models folder.
    #[must_use]
    pub fn own_folder(&self, name: &str) -> PathBuf {
        self.models_dir.join(name)
    }

    fn candidates(&self, entry: &Entry) -> Vec<Located> {
        let all_known = entry.files.iter().all(|file| file.sha256.is_some());
        let own = Located { folder: self.own_folder(&entry.name), place: FolderKind::Models };
        let mut all = vec![own];
        for source in &entry.sources {
            match source {
                ModelSource::Folder { path } => {
                    all.push(Located { folder: path.clone(), place: FolderKind::Folder });
                }
                ModelSource::Hub { repo, revision } => {
                    let Some(cache) = &self.hub_cache else { continue };
                    // Another revision is accepted if every hash is known and can prove it.
                    let snapshots = hub_cache::snapshots(cache, repo, revision).into_iter();
                    all.extend(snapshots.filter(|snapshot| snapshot.is_revision || all_known).map(
                        |snapshot| Located { folder: snapshot.folder, place: FolderKind::HubCache },
                    ));
                }
                ModelSource::PythonPackage { .. } | ModelSource::PythonParts { .. } => {}
            }
        }
        all
    }

    fn check(&self, located: &Located, entry: &Entry, progress: &dyn Progress) -> Result<()> {
        for file in &entry.files {
            let Some(expected) = &file.sha256 else { continue };
            let path = located.file(file);
            let got = self.hashes.sha256(&path, progress)?;
            if got != *expected {
                let remedy = format!("run `idiolect models fetch {}` to replace it", entry.name);
                return Err(Error::wrong_hash(path, &got, expected, &remedy));
            }
        }
        Ok(())
    }
}

fn is_complete(located: &Located, entry: &Entry) -> bool {
    entry.files.iter().all(|file| is_there(&located.file(file), file.size))
}

/// Error if a file has the wrong size. A missing file is no error here.
fn check_sizes(located: &Located, entry: &Entry) -> Result<()> {
    for file in &entry.files {
        let path = located.file(file);
        let (Some(expected), Ok(found)) = (file.size, std::fs::metadata(&path)) else { continue };
        if found.len() != expected {
            let what = format!(
                "is {} bytes, expected {expected}: run `idiolect models fetch {}` to replace it",
                found.len(),
                entry.name
            );
            return Err(Error::Malformed { path, what });
        }
    }
    Ok(())
}

fn is_there(path: &Path, size: Option<u64>) -> bool {
    std::fs::metadata(path)
        .is_ok_and(|found| found.is_file() && size.is_none_or(|size| size == found.len()))
}
