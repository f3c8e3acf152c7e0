//! Writes a model's files. They are verified while written, and get their names only after all are
//! complete.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::io;
use crate::model::catalog::ModelFile;
use crate::model::hash::{Megabytes, hex};
use crate::model::{Error, Result};
use crate::progress::Progress;

/// Prefix of the names of unfinished files.
const PARTIAL: &str = ".partial-";

/// Files being written into a model's folder. If dropped before [`Installation::finish`], all of
/// them are removed.
pub(super) struct Installation {
    folder: PathBuf,
    ready: Vec<(NamedTempFile, PathBuf)>,
}

impl Installation {
    /// Starts to fill a folder, and removes unfinished files of an earlier attempt that was killed.
    pub(super) fn begin(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|source| io("create", folder, source))?;
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                // A file that cannot be removed only takes space.
                let _ = std::fs::remove_file(entry.path());
            }
        }
        Ok(Self { folder: folder.to_owned(), ready: Vec::new() })
    }

    /// Writes one file from `bytes`, durably, under a temporary name. `what` names the bytes in
    /// messages.
    ///
    /// # Errors
    ///
    /// The bytes cannot be read, or their size or hash is not that of `file`.
    pub(super) fn add(
        &mut self,
        file: &ModelFile,
        bytes: &mut dyn Read,
        what: &str,
        progress: &dyn Progress,
    ) -> Result<()> {
        let target = self.folder.join(&file.name);
        let mut partial = self.partial()?;
        let (size, sha256) = copy(bytes, &mut partial, &target, what, file.size, progress)?;
        if let Some(expected) = file.size.filter(|expected| *expected != size) {
            return Err(Error::Source(format!("{what} is {size} bytes, expected {expected}")));
        }
        if let Some(expected) = file.sha256.as_ref().filter(|expected| **expected != sha256) {
            let remedy = format!(
                "{what} is not the file this catalog names; nothing was kept, fetch again or from \
                 another source"
            );
            return Err(Error::wrong_hash(target, &sha256, expected, &remedy));
        }
        partial.as_file().sync_all().map_err(|source| io("write", &target, source))?;
        self.ready.push((partial, target));
        Ok(())
    }

    /// Renames all files to their final names.
    pub(super) fn finish(self) -> Result<()> {
        for (partial, target) in self.ready {
            create_parent(&target)?;
            partial.persist(&target).map_err(|error| io("write", &target, error.error))?;
        }
        sync_folder(&self.folder);
        Ok(())
    }

    fn partial(&self) -> Result<NamedTempFile> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(PARTIAL);
        // A temporary file is private by default; a model should be as readable as the user's other
        // files.
        #[cfg(unix)]
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        #[cfg(unix)]
        builder.permissions(permissions);
        builder
            .tempfile_in(&self.folder)
            .map_err(|source| io("create a file in", &self.folder, source))
    }
}

/// Renames a verified and durable file to its final name. Both paths must be on one file system.
pub(super) fn place(file: &Path, target: &Path) -> Result<()> {
    create_parent(target)?;
    std::fs::rename(file, target).map_err(|source| io("write", target, source))?;
    target.parent().into_iter().for_each(sync_folder);
    Ok(())
}

fn create_parent(target: &Path) -> Result<()> {
    let Some(parent) = target.parent() else { return Ok(()) };
    std::fs::create_dir_all(parent).map_err(|source| io("create", parent, source))
}

/// Makes the names in a folder durable. Some systems cannot sync a folder.
fn sync_folder(folder: &Path) {
    if let Ok(folder) = std::fs::File::open(folder) {
        let _ = folder.sync_all();
    }
}

/// Copies bytes, and returns their size and hash. Stops one byte after `limit`, which is enough to
/// detect that there are too many.
fn copy(
    from: &mut dyn Read,
    to: &mut NamedTempFile,
    target: &Path,
    what: &str,
    limit: Option<u64>,
    progress: &dyn Progress,
) -> Result<(u64, String)> {
    let mut from = from.take(limit.map_or(u64::MAX, |limit| limit.saturating_add(1)));
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0u64;
    let mut megabytes = Megabytes::new(progress);
    loop {
        let n = match from.read(&mut buffer) {
            Ok(0) => return Ok((size, hex(&hasher.finalize()))),
            Ok(n) => n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::Source(format!("{what} cannot be read: {error}"))),
        };
        if progress.stop_requested() {
            return Err(Error::Stopped);
        }
        hasher.update(&buffer[..n]);
        to.write_all(&buffer[..n]).map_err(|source| io("write", target, source))?;
        size += n as u64;
        megabytes.advance(n as u64);
    }
}
