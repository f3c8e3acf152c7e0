//! Record of sizes and hashes at the first fetch, which later fetches must match.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::model::{Error, Result};

/// Sizes and hashes from the first fetch of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FetchRecord {
    /// By file name.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, RecordedFile>,
}

/// Size and hash of one file at its first fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordedFile {
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

impl FetchRecord {
    /// Reads the model's record; empty if it was never fetched.
    pub(crate) fn read(models_dir: &Path, model: &str) -> Result<Self> {
        let path = file(models_dir, model);
        match std::fs::read_to_string(&path) {
            Ok(text) => toml::from_str(&text).map_err(|why| Error::Malformed {
                path,
                what: format!("{why}; delete the file to record anew what the next fetch finds"),
            }),
            // No record, also if the folder cannot be read: then only the catalog's hashes apply.
            Err(_) => Ok(Self::default()),
        }
    }

    /// Writes the record durably, by replacing the file.
    pub(crate) fn write(&self, models_dir: &Path, model: &str) -> Result<()> {
        let path = file(models_dir, model);
        let io = |source| Error::Io { operation: "write", path: path.clone(), source };
        let folder = path.parent().unwrap_or(models_dir);
        std::fs::create_dir_all(folder).map_err(io)?;
        let mut text =
            "# Written by `idiolect models fetch`: later files must be these.\n".to_owned();
        text.push_str(&toml::to_string(self).map_err(|why| io(std::io::Error::other(why)))?);
        let mut new = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
        new.write_all(text.as_bytes()).and_then(|()| new.as_file().sync_all()).map_err(io)?;
        new.persist(&path).map_err(|error| io(error.error))?;
        Ok(())
    }

    /// Returns the entry with sizes and hashes added from the record. Those of the catalog take
    /// precedence.
    pub(crate) fn complete(&self, entry: &Entry) -> Entry {
        let mut entry = entry.clone();
        for file in &mut entry.files {
            let Some(recorded) = self.files.get(&file.name) else { continue };
            if file.sha256.is_none() {
                file.sha256 = Some(recorded.sha256.clone());
                file.size = file.size.or(Some(recorded.size));
            }
        }
        entry
    }
}

fn file(models_dir: &Path, model: &str) -> PathBuf {
    models_dir.join(".recorded").join(format!("{model}.toml"))
}
