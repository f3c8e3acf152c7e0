//! Files of exports: opening, decompression, folders.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use crate::{Error, Result};

const BUFFER: usize = 128 * 1024;

/// Levels of folders that are searched for files.
const MAX_DEPTH: usize = 32;

/// Number of bytes read so far, before decompression, shared with who shows it.
#[derive(Debug, Clone, Default)]
pub(in crate::import) struct ByteCount(Arc<AtomicU64>);

impl ByteCount {
    /// The number so far.
    pub(in crate::import) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Adds bytes that were read.
    pub(super) fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
}

/// A reader that counts what passes it.
pub(super) struct CountedReader<R> {
    pub(super) inner: R,
    pub(super) count: ByteCount,
}

impl<R: Read> Read for CountedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.count.add(n as u64);
        Ok(n)
    }
}

/// Opens a file and decompresses it, if it is gzipped. Returns its bytes, its size on disk, and the count
/// of bytes that are read from disk.
///
/// # Errors
/// [`Error::Open`] if it cannot be opened or is a folder.
pub(super) fn open_plain(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>, ByteCount)> {
    let fail = |source| Error::Open { source_name: path.display().to_string(), source };
    let file = File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if metadata.is_dir() {
        return Err(fail(io::Error::other("is a folder, expected a file")));
    }
    let size = metadata.is_file().then_some(metadata.len());
    let count = ByteCount::default();
    let counted = CountedReader { inner: file, count: count.clone() };
    let mut packed = BufReader::with_capacity(BUFFER, counted);
    let is_gzip = packed.fill_buf().map_err(fail)?.starts_with(&[0x1f, 0x8b]);
    let plain: Box<dyn BufRead> = match is_gzip {
        true => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(packed))),
        false => Box::new(packed),
    };
    Ok((plain, size, count))
}

/// Returns the first bytes of a file, up to `n`, after decompression; none of a folder or of a file that
/// cannot be read.
pub(super) fn head(path: &Path, n: usize) -> Vec<u8> {
    let mut head = Vec::new();
    if path.is_file()
        && let Ok((input, ..)) = open_plain(path)
    {
        // What was read before an error is enough to tell a format.
        let _ = input.take(n as u64).read_to_end(&mut head);
    }
    head
}

/// Returns the files below a folder that `wanted` takes, sorted by path. Links to folders are not followed.
///
/// # Errors
/// [`Error::Open`] if a folder cannot be read.
pub(super) fn files_below(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    collect(folder, wanted, MAX_DEPTH, &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(
    folder: &Path,
    wanted: &dyn Fn(&Path) -> bool,
    depth: usize,
    found: &mut Vec<PathBuf>,
) -> Result<()> {
    let fail = |source| Error::Open { source_name: folder.display().to_string(), source };
    for entry in std::fs::read_dir(folder).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let path = entry.path();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && depth > 0 {
            collect(&path, wanted, depth - 1, found)?;
        } else if !is_folder && wanted(&path) && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}
