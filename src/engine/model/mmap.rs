//! The one place that maps files into memory.

#![allow(unsafe_code)]

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::{Error, Result};

/// A file's bytes: mapped, or owned where they never were a file.
#[derive(Debug)]
pub(crate) enum Bytes {
    /// A mapped file, kept open so that its length can be asked again.
    Mapped {
        /// The map.
        map: memmap2::Mmap,
        /// The file behind it.
        file: File,
        /// For messages.
        path: PathBuf,
    },
    /// Plain memory.
    Owned(Vec<u8>),
}

impl Bytes {
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
        // the file in place could change the bytes under us; model files are only ever replaced by
        // renaming a finished file over them, which leaves this map on the old contents, and
        // `check` is called before bulk reads so that a file cut short is found before its missing
        // pages are touched. Only plain bytes are read through the map: no bit pattern is invalid.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|source| io("map", source))?;
        Ok(Self::Mapped { map, file, path: path.to_owned() })
    }

    /// Whether the file is still as long as it was when it was mapped. Touching pages of a file
    /// that was cut short kills the process, so this is asked before each bulk read.
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

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped { map, .. } => map,
            Self::Owned(bytes) => bytes,
        }
    }
}
