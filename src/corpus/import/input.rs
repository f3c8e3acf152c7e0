//! Reads bytes from a file or standard input, decompresses them and counts the bytes read.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::encoding::{FileEncoding, FoundEncoding, Utf8Reader};
use crate::{Error, Result};

const BUFFER: usize = 128 * 1024;

/// First bytes of formats that are often taken for tables, and what to do.
const NO_TEXT: [(&[u8], &str); 7] = [
    (b"\xff\xfe\0\0", "it is in UTF-32; save it as UTF-8"),
    (b"\0\0\xfe\xff", "it is in UTF-32; save it as UTF-8"),
    (b"PK\x03\x04", "it is a zip archive, such as an Excel workbook; save the table as CSV"),
    (b"PAR1", "it is a Parquet file; build with the feature `parquet`, or convert it to CSV"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd; unpack it first"),
    (b"\xfd7zXZ", "it is compressed with xz; unpack it first"),
    (b"BZh", "it is compressed with bzip2; unpack it first"),
];

/// Source of rows to import.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportSource {
    /// A file, compressed with gzip or plain.
    File(PathBuf),
    /// Standard input, compressed with gzip or plain.
    Stdin,
}

impl ImportSource {
    /// Returns the source called `name`: `-` is standard input, anything else a file.
    #[must_use]
    pub fn of(name: impl AsRef<OsStr>) -> Self {
        match name.as_ref() {
            name if name == "-" => ImportSource::Stdin,
            name => ImportSource::File(name.into()),
        }
    }

    /// Returns the file name's extension without `.gz`, in lower case; it indicates the format.
    pub(super) fn extension(&self) -> String {
        let ImportSource::File(path) = self else {
            return String::new();
        };
        let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        name.rsplit_once('.').map(|(_, end)| end.to_owned()).unwrap_or_default()
    }
}

impl fmt::Display for ImportSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ImportSource::File(path) => path.display().fmt(f),
            ImportSource::Stdin => f.write_str("standard input"),
        }
    }
}

/// An open source.
pub(super) struct ImportInput {
    pub(super) reader: Box<dyn BufRead>,
    /// First bytes after decompression and decoding, up to 64; `reader` still returns them too.
    pub(super) head: Vec<u8>,
    /// Encoding of the file, as soon as it is known; `reader` returns UTF-8.
    pub(super) encoding: FoundEncoding,
    /// Size of the file on disk, in bytes.
    pub(super) size: Option<u64>,
    read: Arc<AtomicU64>,
}

impl ImportInput {
    pub(super) fn open(source: &ImportSource, encoding: FileEncoding) -> Result<Self> {
        let fail = |error| Error::Open { source_name: source.to_string(), source: error };
        #[cfg(feature = "parquet")]
        if let ImportSource::File(path) = source
            && idiolect_tables::is_parquet(path)
        {
            let rows = idiolect_tables::ParquetRows::open(path);
            let lines =
                idiolect_tables::JsonLines::of(rows.map_err(io::Error::other).map_err(fail)?);
            return Self::decoded(&source.to_string(), lines, FileEncoding::default());
        }
        let read = Arc::new(AtomicU64::new(0));
        let (raw, size): (Box<dyn Read>, _) = match source {
            ImportSource::Stdin => (Box::new(io::stdin()), None),
            ImportSource::File(path) => {
                let file = File::open(path).map_err(fail)?;
                let metadata = file.metadata().map_err(fail)?;
                if metadata.is_dir() {
                    return Err(fail(io::Error::other("is a folder, expected a file")));
                }
                let size = metadata.is_file().then_some(metadata.len());
                (Box::new(file), size)
            }
        };
        let counted = Counted { inner: raw, read: Arc::clone(&read) };
        let mut input = Self::decoded(&source.to_string(), counted, encoding)?;
        input.size = size;
        input.read = read;
        Ok(input)
    }

    /// Opens what `raw` reads, which messages call `name`.
    pub(super) fn of_reader(
        name: &str,
        raw: Box<dyn Read>,
        encoding: FileEncoding,
    ) -> Result<Self> {
        Self::decoded(name, raw, encoding)
    }

    /// Decompresses and decodes; the number of bytes read is not counted.
    fn decoded(name: &str, raw: impl Read + 'static, encoding: FileEncoding) -> Result<Self> {
        let fail = |error| Error::Open { source_name: name.to_owned(), source: error };
        let (magic, packed) = peek(BufReader::with_capacity(BUFFER, raw), 2).map_err(fail)?;
        let plain: Box<dyn BufRead> = if magic == [0x1f, 0x8b] {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(packed)))
        } else {
            Box::new(packed)
        };
        let (head, plain) = peek(plain, 64).map_err(fail)?;
        if let Some((_, what)) = NO_TEXT.iter().find(|(magic, _)| head.starts_with(magic)) {
            return Err(fail(io::Error::other(*what)));
        }
        let decoded = Utf8Reader::new(plain, &head, encoding).map_err(fail)?;
        let encoding = decoded.found();
        let mut decoded = BufReader::with_capacity(BUFFER, decoded);
        let ends_in_cr = ends_in_cr(decoded.fill_buf().map_err(fail)?);
        let ended = BufReader::with_capacity(BUFFER, LineEnds { inner: decoded, ends_in_cr });
        let (head, reader) = peek(ended, 64).map_err(fail)?;
        let read = Arc::default();
        Ok(Self { reader: Box::new(reader), head, encoding, size: None, read })
    }

    /// Number of bytes read so far, before decompression.
    pub(super) fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// Returns up to `n` first bytes, and a reader that still returns them.
fn peek<R: BufRead>(mut reader: R, n: u64) -> io::Result<(Vec<u8>, impl BufRead + use<R>)> {
    let mut head = Vec::new();
    reader.by_ref().take(n).read_to_end(&mut head)?;
    Ok((head.clone(), Cursor::new(head).chain(reader)))
}

/// Whether lines end in CR alone, as on old Macs: there are such ends and no others in the first bytes.
fn ends_in_cr(first: &[u8]) -> bool {
    first.windows(2).any(|pair| pair[0] == b'\r') && !first.contains(&b'\n')
}

/// Reads lines that end in CR alone as lines that end in LF.
struct LineEnds<R> {
    inner: R,
    ends_in_cr: bool,
}

impl<R: Read> Read for LineEnds<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if self.ends_in_cr {
            buffer[..n].iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        }
        Ok(n)
    }
}

struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
