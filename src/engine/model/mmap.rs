//! Memory-mapped files. No other module maps files.

#![allow(unsafe_code)]

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::{Error, Result};

/// Bytes of a file: mapped, or owned if they were never a file.
#[derive(Debug)]
pub(crate) enum FileBytes {
    /// A mapped file, kept open so that its current length can be read.
    Mapped {
        /// The map.
        map: memmap2::Mmap,
        /// The mapped file.
        file: File,
        /// Path for messages.
        path: PathBuf,
    },
    /// Plain memory.
    Owned(Vec<u8>),
}

impl FileBytes {
    /// Maps a file for reading. An empty file gives an empty slice; a folder is an error.
    pub(crate) fn map(path: &Path) -> Result<Self> {
        let io = |operation, source| Error::Io { operation, path: path.to_owned(), source };
        let file = File::open(path).map_err(|source| io("open", source))?;
        let metadata = file.metadata().map_err(|source| io("read the size of", source))?;
        if metadata.is_dir() {
            let what = "is a folder, expected a file".to_owned();
            return Err(Error::Malformed { path: path.to_owned(), what });
        }
        if metadata.len() == 0 {
            return Ok(Self::Owned(Vec::new()));
        }
        // SAFETY: the map is read-only and private to this process. Another process that writes to
        // the file in place could change the bytes; model files are only ever replaced by renaming
        // a finished file over them, which leaves this map on the old contents, and `check` is
        // called before bulk reads so that a truncated file is found before its missing pages are
        // touched. Only plain bytes are read through the map: no bit pattern is invalid.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|source| io("map", source))?;
        Ok(Self::Mapped { map, file, path: path.to_owned() })
    }

    /// Error if the file is no longer as long as when it was mapped. Touching pages of a truncated
    /// file kills the process, so this is called before each bulk read.
    pub(crate) fn check(&self) -> Result<()> {
        let Self::Mapped { map, file, path } = self else { return Ok(()) };
        let now = file
            .metadata()
            .map_err(|source| Error::Io {
                operation: "read the size of",
                path: path.clone(),
                source,
            })?
            .len();
        if now >= map.len() as u64 {
            return Ok(());
        }
        let what = format!(
            "changed while in use: it is {now} bytes now and was {} when opened",
            map.len()
        );
        Err(Error::Malformed { path: path.clone(), what })
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped { map, .. } => map,
            Self::Owned(bytes) => bytes,
        }
    }
}
