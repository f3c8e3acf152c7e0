//! Memory-mapped files, and what happens when a page of one is lost. No other module maps files.

#![allow(unsafe_code)]

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Error, Result};

/// Bytes of a file: mapped, or owned if they were never a file.
#[derive(Debug)]
pub(crate) enum FileBytes {
    /// A mapped file, kept open so that its current length and time can be read.
    Mapped {
        /// The map.
        map: memmap2::Mmap,
        /// The mapped file.
        file: File,
        /// Time of the last write to the file when it was mapped, if the system has one.
        modified: Option<SystemTime>,
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
        // touched; in the moment between them the system ends the process (`exit_on_lost_pages`).
        // Only plain bytes are read through the map: no bit pattern is invalid.
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(|source| io("map", source))?;
        let modified = metadata.modified().ok();
        Ok(Self::Mapped { map, file, modified, path: path.to_owned() })
    }

    /// Error if the file is no longer as long as when it was mapped, or was written to since. Touching
    /// pages of a truncated file kills the process, so this is called before each bulk read.
    pub(crate) fn check(&self) -> Result<()> {
        let Self::Mapped { map, file, modified, path } = self else { return Ok(()) };
        let now = file.metadata().map_err(|source| Error::Io {
            operation: "read the size of",
            path: path.clone(),
            source,
        })?;
        let (now, written) = (now.len(), now.modified().ok() != *modified);
        let what = match now >= map.len() as u64 {
            true if !written => return Ok(()),
            true => "changed while in use: it was written to after it was opened".to_owned(),
            false => format!(
                "changed while in use: it is {now} bytes now and was {} when opened",
                map.len()
            ),
        };
        Err(Error::Malformed { path: path.clone(), what })
    }
}

/// Little-endian f32 numbers of a file, mapped, so that only those that are used are read.
#[derive(Debug)]
pub struct MappedFloats(FileBytes);

impl MappedFloats {
    /// Maps a file.
    ///
    /// # Errors
    /// The file cannot be mapped, or its length is no multiple of four.
    pub fn open(path: &Path) -> Result<Self> {
        let bytes = FileBytes::map(path)?;
        match bytes.len().is_multiple_of(size_of::<f32>()) {
            true => Ok(Self(bytes)),
            false => Err(Error::Malformed {
                path: path.to_owned(),
                what: format!("has {} bytes, expected a multiple of 4", bytes.len()),
            }),
        }
    }
}

impl Deref for MappedFloats {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        const { assert!(cfg!(target_endian = "little")) };
        let bytes: &[u8] = &self.0;
        // SAFETY: every pattern of four bytes is an f32. A map begins at a page, so that no number is
        // cut off at either end.
        let (before, floats, after) = unsafe { bytes.align_to::<f32>() };
        debug_assert!(before.is_empty() && after.is_empty());
        floats
    }
}

/// Makes the process print `message` to stderr and end with exit code 1 if it touches a page of a
/// mapped file that the file no longer has, because another program truncated it or its disk failed.
/// Otherwise the system ends the process by SIGBUS, without a word. For programs, which may decide
/// this for the whole process. Only on Linux; elsewhere the signal also tells of other things.
pub fn exit_on_lost_pages(message: &'static str) {
    #[cfg(target_os = "linux")]
    linux::exit_on_lost_pages(message);
    #[cfg(not(target_os = "linux"))]
    let _ = message;
}

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::OnceLock;

    static MESSAGE: OnceLock<&str> = OnceLock::new();

    pub(super) fn exit_on_lost_pages(message: &'static str) {
        // The first message stays.
        let _ = MESSAGE.set(message);
        // SAFETY: `sigaction` is plain data, of which zeros are a valid value, and is filled before
        // the call. The handler has the signature that the kernel calls without SA_SIGINFO.
        // SA_ONSTACK runs it on the thread's alternate stack, if it has one.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = lost_page as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut());
        }
    }

    extern "C" fn lost_page(_signal: libc::c_int) {
        // An atomic load and nothing else: the message was set before the handler was installed.
        let message = MESSAGE.get().copied().unwrap_or_default();
        // SAFETY: `write` and `_exit` are safe in a signal handler (POSIX.1, signal-safety(7)), and the
        // message is static. `_exit` runs no destructors, which might need what the thread holds.
        unsafe {
            libc::write(libc::STDERR_FILENO, message.as_ptr().cast(), message.len());
            libc::_exit(1);
        }
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
