//! SHA-256 of files, cached so that a start does not read gigabytes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::gguf::split_files;
use super::{Error, Result};
use crate::progress::Progress;

/// Returns a digest in lower-case hexadecimal.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a file and returns its SHA-256. Reports each megabyte to `progress`.
pub fn sha256(path: &Path, progress: &dyn Progress) -> Result<String> {
    let io = |source| Error::Io { operation: "read", path: path.to_owned(), source };
    let mut file = File::open(path).map_err(io)?;
    sha256_of(&mut file, path, progress)
}

/// Returns the SHA-256 of the rest of `bytes`. `path` names them in messages.
pub(crate) fn sha256_of(
    bytes: &mut dyn Read,
    path: &Path,
    progress: &dyn Progress,
) -> Result<String> {
    let io = |source| Error::Io { operation: "read", path: path.to_owned(), source };
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; MEGABYTE];
    let mut megabytes = Megabytes::new(progress);
    loop {
        let n = bytes.read(&mut buffer).map_err(io)?;
        if n == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        if progress.stop_requested() {
            return Err(Error::Stopped);
        }
        hasher.update(&buffer[..n]);
        megabytes.advance(n as u64);
    }
}

const MEGABYTE: usize = 1_000_000;

/// Reports bytes to a `Progress` as whole megabytes.
pub(crate) struct Megabytes<'a> {
    progress: &'a dyn Progress,
    rest: u64,
}

impl<'a> Megabytes<'a> {
    pub(crate) fn new(progress: &'a dyn Progress) -> Self {
        Self { progress, rest: 0 }
    }

    /// Returns a number of bytes in megabytes, rounded up.
    pub(crate) fn of(bytes: u64) -> u64 {
        bytes.div_ceil(MEGABYTE as u64)
    }

    pub(crate) fn advance(&mut self, bytes: u64) {
        self.rest += bytes;
        let whole = self.rest / MEGABYTE as u64;
        if whole > 0 {
            self.progress.advance(whole);
            self.rest %= MEGABYTE as u64;
        }
    }
}

/// Hash of a file, with the size and times that the file had.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct KnownHash {
    size: u64,
    /// Modification time in nanoseconds since 1970.
    modified: u64,
    /// Time of the last change of the file or its metadata, which no program can set, in nanoseconds;
    /// 0 where the system has none.
    #[serde(default)]
    changed: u64,
    sha256: String,
}

/// Size, modification time and time of change of a file, as in [`KnownHash`].
type FileStamp = (u64, u64, u64);

/// Cache of file hashes by path, size and times, in one file of the models folder. If it cannot be
/// read or written, hashes are computed again. The modification time alone would not do: archives
/// and copies set it, and two files may have one.
#[derive(Debug, Clone)]
pub(crate) struct HashMemory {
    path: PathBuf,
}

impl HashMemory {
    pub(crate) fn in_folder(models_dir: &Path) -> Self {
        Self { path: models_dir.join(".hashes.json") }
    }

    /// Returns the file's SHA-256, from the cache if neither its size nor its time has changed.
    pub(crate) fn sha256(&self, file: &Path, progress: &dyn Progress) -> Result<String> {
        let stamp = stamp(file)?;
        let Some((key, stamp)) = key(file).zip(stamp) else { return sha256(file, progress) };
        if let Some(known) = self.read().get(&key)
            && (known.size, known.modified, known.changed) == stamp
        {
            return Ok(known.sha256.clone());
        }
        let sha256 = sha256(file, progress)?;
        self.remember(key, stamp, sha256.clone());
        Ok(sha256)
    }

    /// Returns the hash of a language model given its first file: the file's own, or, if the model
    /// is split into several, the SHA-256 of the files' hashes in order, one per line.
    pub(crate) fn sha256_of_model(&self, gguf: &Path, progress: &dyn Progress) -> Result<String> {
        let files = split_files(gguf);
        if let [file] = &files[..] {
            return self.sha256(file, progress);
        }
        let mut hasher = Sha256::new();
        for file in &files {
            hasher.update(self.sha256(file, progress)?);
            hasher.update("\n");
        }
        Ok(hex(&hasher.finalize()))
    }

    /// Stores a hash that was computed while the file was written.
    pub(crate) fn learn(&self, file: &Path, sha256: &str) -> Result<()> {
        let stamp = stamp(file)?;
        if let Some((key, stamp)) = key(file).zip(stamp) {
            self.remember(key, stamp, sha256.to_owned());
        }
        Ok(())
    }

    fn read(&self) -> BTreeMap<String, KnownHash> {
        std::fs::read(&self.path)
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default()
    }

    fn remember(&self, key: String, (size, modified, changed): FileStamp, sha256: String) {
        // Read again, since another process may have written meanwhile. The last writer may drop
        // another's entry, which is then computed again.
        let mut all = self.read();
        all.retain(|path, _| Path::new(path).exists());
        all.insert(key, KnownHash { size, modified, changed, sha256 });
        let write = || -> std::io::Result<()> {
            let folder = self.path.parent().unwrap_or(Path::new("."));
            std::fs::create_dir_all(folder)?;
            let file = tempfile::NamedTempFile::new_in(folder)?;
            serde_json::to_writer_pretty(&file, &all)?;
            file.persist(&self.path)?;
            Ok(())
        };
        if let Err(error) = write() {
            tracing::debug!("hashes are not remembered in {}: {error}", self.path.display());
        }
    }
}

fn key(file: &Path) -> Option<String> {
    file.canonicalize().ok()?.to_str().map(str::to_owned)
}

fn stamp(file: &Path) -> Result<Option<FileStamp>> {
    let io = |source| Error::Io { operation: "read", path: file.to_owned(), source };
    let metadata = std::fs::metadata(file).map_err(io)?;
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = modified.and_then(|since| u64::try_from(since.as_nanos()).ok());
    Ok(modified.map(|modified| (metadata.len(), modified, changed(&metadata))))
}

#[cfg(unix)]
fn changed(metadata: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let nanoseconds =
        i128::from(metadata.ctime()) * 1_000_000_000 + i128::from(metadata.ctime_nsec());
    u64::try_from(nanoseconds).unwrap_or_default()
}

#[cfg(not(unix))]
fn changed(_: &std::fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::progress::Silent;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_hash_is_remembered_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "abc").unwrap();
        let memory = HashMemory::in_folder(&folder.path().join("models"));
        assert_eq!(memory.sha256(&file, &Silent).unwrap(), ABC);
        // The cached hash is returned ...
        let mut all = memory.read();
        all.values_mut().next().unwrap().sha256 = "remembered".into();
        std::fs::write(&memory.path, serde_json::to_vec(&all).unwrap()).unwrap();
        assert_eq!(memory.sha256(&file, &Silent).unwrap(), "remembered");
        // ... until the file changes.
        std::fs::write(&file, "abcd").unwrap();
        std::fs::write(&file, "abc").unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        File::options().write(true).open(&file).unwrap().set_modified(later).unwrap();
        assert_eq!(memory.sha256(&file, &Silent).unwrap(), ABC);
    }

    #[cfg(unix)]
    #[test]
    fn another_file_of_the_same_size_and_time_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        let memory = HashMemory::in_folder(&folder.path().join("models"));
        let moment = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let mut hashes = Vec::new();
        for contents in ["abc", "abd"] {
            std::fs::write(&file, contents).unwrap();
            File::options().write(true).open(&file).unwrap().set_modified(moment).unwrap();
            hashes.push(memory.sha256(&file, &Silent).unwrap());
            // The times of some file systems advance in steps of some milliseconds.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert_ne!(hashes[0], hashes[1]);
    }

    #[test]
    fn a_memory_that_cannot_be_kept_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "abc").unwrap();
        // A file has the path of the folder.
        let memory = HashMemory::in_folder(&file);
        assert_eq!(memory.sha256(&file, &Silent).unwrap(), ABC);
        let gone = memory.sha256(&folder.path().join("gone"), &Silent).unwrap_err();
        assert!(gone.to_string().contains("gone"), "{gone}");
    }
}
