//! The files of an export: a folder, a zip archive as services offer it, or one file.
//!
//! Nothing is unpacked. A file of an archive is read from its place there, so that an archive of many
//! gigabytes needs neither memory nor disk.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::Crc;
use flate2::read::DeflateDecoder;
use zip::{CompressionMethod, ZipArchive};

use super::files::{ByteCount, CountedReader};
use crate::import::encoding::FileEncoding;
use crate::import::input::ImportInput;
use crate::{Error, Result};

/// Name of the author of an export that does not name its owner.
pub(super) const OWNER_UNNAMED: &str = "me";

/// Whether `path` is a folder or an archive in which a file has a name, in lower case, that `is_wanted`
/// picks. `head` has the first bytes of a file.
pub(super) fn holds(path: &Path, head: &[u8], is_wanted: impl Fn(&str) -> bool) -> bool {
    (path.is_dir() || head.starts_with(ZIP))
        && ExportFiles::open(path).is_ok_and(|files| !files.named(is_wanted).is_empty())
}

/// Depth of folders from which on nothing is read.
const MAX_DEPTH: usize = 16;
/// First bytes of a zip archive.
const ZIP: &[u8] = b"PK\x03\x04";

/// The files of an export, sorted by name.
pub(super) struct ExportFiles {
    root: PathBuf,
    files: Vec<ExportFile>,
    /// Number of bytes read so far, before decompression.
    read: ByteCount,
}

struct ExportFile {
    /// Path within the export, with `/`.
    name: String,
    /// Number of bytes on disk.
    size: u64,
    place: FilePlace,
}

enum FilePlace {
    /// A file of its own.
    Disk(PathBuf),
    /// A file of the archive.
    Packed { start: u64, method: CompressionMethod, encrypted: bool, size: u64, crc: u32 },
}

impl ExportFiles {
    /// Lists the files of a folder or an archive; of a file only itself.
    ///
    /// # Errors
    /// [`Error::Open`] if `path` cannot be opened, or is an archive that cannot be read.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let fail = |source| Error::Open { source_name: path.display().to_string(), source };
        let metadata = fs::metadata(path).map_err(fail)?;
        let mut files = Vec::new();
        if !metadata.is_dir() && !metadata.is_file() {
            // It is read more than once.
            let what = "it is neither a file nor a folder; save what it gives in a file first";
            return Err(fail(io::Error::other(what)));
        }
        if metadata.is_dir() {
            list_folder(path, "", MAX_DEPTH, &mut files).map_err(fail)?;
        } else {
            let mut head = Vec::new();
            File::open(path).map_err(fail)?.take(512).read_to_end(&mut head).map_err(fail)?;
            if head.starts_with(ZIP) {
                list_archive(path, &mut files).map_err(fail)?;
            } else if is_tar(path, &head) {
                return Err(fail(io::Error::other("it is a tar archive; unpack it first")));
            } else {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let place = FilePlace::Disk(path.to_owned());
                files.push(ExportFile { name, size: metadata.len(), place });
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { root: path.to_owned(), files, read: ByteCount::default() })
    }

    /// The path that was opened.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Paths of all files within the export, with `/`, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// Paths of the files that `is_wanted` picks, which takes the lower-case path.
    pub(super) fn named(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let is_wanted = |name: &&str| is_wanted(&name.to_lowercase());
        self.names().filter(is_wanted).map(str::to_owned).collect()
    }

    /// Name of a file for messages.
    pub(super) fn shown(&self, name: &str) -> String {
        match self.found(name).map(|file| &file.place) {
            Some(FilePlace::Disk(path)) => path.display().to_string(),
            _ => self.root.join(name).display().to_string(),
        }
    }

    /// Opens a file.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub(super) fn input(&self, name: &str) -> Result<ImportInput> {
        let fail = |source| Error::Open { source_name: self.shown(name), source };
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let file = self.found(name).ok_or_else(missing).map_err(fail)?;
        let raw = self.raw(&file.place).map_err(fail)?;
        ImportInput::of_reader(&self.shown(name), raw, FileEncoding::Detected)
    }

    /// Opens a small file that tells something about the others: one of the export, or one that lies
    /// beside its only file. `None` if there is none that can be opened.
    pub(super) fn companion(&self, is_wanted: impl Fn(&str) -> bool) -> Option<ImportInput> {
        if let Some(name) = self.named(&is_wanted).first() {
            return self.input(name).ok();
        }
        let [ExportFile { place: FilePlace::Disk(path), .. }] = &self.files[..] else {
            return None;
        };
        let folder = path.parent().filter(|_| *path == self.root)?;
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let mut beside: Vec<PathBuf> =
            fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        beside.sort();
        let path = beside.into_iter().find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
            is_wanted(&name) && path.is_file()
        })?;
        let raw = Box::new(File::open(&path).ok()?);
        ImportInput::of_reader(&path.display().to_string(), raw, FileEncoding::Detected).ok()
    }

    /// Count of the bytes read so far, before decompression.
    pub(super) fn bytes_read(&self) -> ByteCount {
        self.read.clone()
    }

    /// Number of bytes of some files, before decompression. `names` are sorted.
    pub(super) fn size_of(&self, names: &[String]) -> u64 {
        let is_named = |file: &&ExportFile| names.binary_search(&file.name).is_ok();
        self.files.iter().filter(is_named).map(|file| file.size).sum()
    }

    fn found(&self, name: &str) -> Option<&ExportFile> {
        let at = self.files.binary_search_by(|file| file.name.as_str().cmp(name)).ok()?;
        Some(&self.files[at])
    }

    fn raw(&self, place: &FilePlace) -> io::Result<Box<dyn Read>> {
        let counted = |inner| CountedReader { inner, count: self.read.clone() };
        let (start, method, size, crc) = match place {
            FilePlace::Disk(path) => {
                return Ok(Box::new(counted(File::open(path)?.take(u64::MAX))));
            }
            FilePlace::Packed { encrypted: true, .. } => {
                return Err(io::Error::other("it is encrypted; unpack it first"));
            }
            FilePlace::Packed { start, method, size, crc, .. } => (*start, *method, *size, *crc),
        };
        let mut file = File::open(&self.root)?;
        file.seek(SeekFrom::Start(start))?;
        let packed = counted(file.take(size));
        let plain: Box<dyn Read> = match method {
            CompressionMethod::Stored => Box::new(packed),
            CompressionMethod::Deflated => {
                Box::new(DeflateDecoder::new(BufReader::with_capacity(64 * 1024, packed)))
            }
            other => {
                let what = format!("it is compressed with {other}; unpack it first");
                return Err(io::Error::other(what));
            }
        };
        Ok(Box::new(CheckedEntry { inner: plain, crc: Crc::new(), expected: crc }))
    }
}

fn list_folder(
    folder: &Path,
    prefix: &str,
    depth: usize,
    files: &mut Vec<ExportFile>,
) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let (path, kind) = (entry.path(), entry.file_type()?);
        let name = format!("{prefix}{name}");
        // Links to folders could lead in a circle.
        if kind.is_dir() && depth > 0 {
            // A folder that may not be read costs its own files only.
            let _ = list_folder(&path, &format!("{name}/"), depth - 1, files);
        } else if let Ok(metadata) = fs::metadata(&path)
            && metadata.is_file()
        {
            files.push(ExportFile { name, size: metadata.len(), place: FilePlace::Disk(path) });
        }
    }
    Ok(())
}

fn list_archive(path: &Path, files: &mut Vec<ExportFile>) -> io::Result<()> {
    let unreadable =
        |error| io::Error::other(format!("the zip archive is damaged or cut off ({error})"));
    let mut archive = ZipArchive::new(BufReader::new(File::open(path)?)).map_err(unreadable)?;
    for at in 0..archive.len() {
        // An entry whose header is damaged costs only itself.
        let Ok(entry) = archive.by_index_raw(at) else { continue };
        let (Ok(name), Some(start)) = (entry.name(), entry.data_start()) else { continue };
        let name = name.replace('\\', "/");
        // The archiver of macOS adds a hidden file to each one.
        let is_hidden = name.split('/').any(|part| part.starts_with('.') || part == "__MACOSX");
        if entry.is_dir() || is_hidden {
            continue;
        }
        let (method, encrypted) = (entry.compression(), entry.encrypted());
        let (size, crc) = (entry.compressed_size(), entry.crc32());
        let place = FilePlace::Packed { start, method, encrypted, size, crc };
        files.push(ExportFile { name, size, place });
    }
    Ok(())
}

fn is_tar(path: &Path, head: &[u8]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    head.get(257..262) == Some(b"ustar") || name.ends_with(".tar.gz") || name.ends_with(".tgz")
}

/// Compares the checksum at the end of a file of an archive.
struct CheckedEntry {
    inner: Box<dyn Read>,
    crc: Crc,
    expected: u32,
}

impl Read for CheckedEntry {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.crc.update(&buffer[..n]);
        if n == 0 && !buffer.is_empty() && self.crc.sum() != self.expected {
            let what = "the archive is damaged: the checksum of this file differs";
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io::Write;

    use super::*;

    fn text(files: &ExportFiles, name: &str) -> io::Result<String> {
        let mut text = String::new();
        let mut input = files.input(name).map_err(io::Error::other)?;
        input.reader.read_to_string(&mut text)?;
        Ok(text)
    }

    fn archive(path: &Path) {
        let mut writer = zip::ZipWriter::new(File::create(path).unwrap());
        let packed = zip::write::SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated);
        let stored = packed.compression_method(CompressionMethod::Stored);
        writer.start_file("b/two.txt", packed).unwrap();
        writer.write_all("zwei ".repeat(1000).as_bytes()).unwrap();
        writer.start_file("one.txt", stored).unwrap();
        writer.write_all(b"eins").unwrap();
        writer.start_file("__MACOSX/._one.txt", stored).unwrap();
        writer.finish().unwrap();
    }

    #[test]
    fn a_folder_an_archive_and_a_file_are_read_alike() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("export");
        fs::create_dir_all(root.join("b")).unwrap();
        fs::create_dir_all(root.join(".hidden")).unwrap();
        fs::write(root.join("one.txt"), "eins").unwrap();
        fs::write(root.join("b/two.txt"), "zwei ".repeat(1000)).unwrap();
        fs::write(root.join(".hidden/three.txt"), "drei").unwrap();
        let packed = folder.path().join("export.zip");
        archive(&packed);
        for path in [root.clone(), packed] {
            let files = ExportFiles::open(&path).unwrap();
            assert_eq!(files.names().collect::<Vec<_>>(), ["b/two.txt", "one.txt"]);
            assert_eq!(text(&files, "one.txt").unwrap(), "eins");
            assert_eq!(text(&files, "b/two.txt").unwrap().len(), 5000);
            assert!(files.bytes_read().get() > 4);
            assert!(text(&files, "three.txt").is_err());
        }
        let files = ExportFiles::open(&root.join("one.txt")).unwrap();
        assert_eq!(files.names().collect::<Vec<_>>(), ["one.txt"]);
        fs::write(root.join("Other.json"), "{}").unwrap();
        assert!(files.companion(|name| name == "other.json").is_some());
        assert!(files.companion(|name| name == "absent.json").is_none());
    }

    #[test]
    fn damaged_archives_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("export.zip");
        archive(&path);
        let whole = fs::read(&path).unwrap();
        let damaged = [&whole[..50], b"\xff\xff", &whole[52..]].concat();
        fs::write(&path, damaged).unwrap();
        let files = ExportFiles::open(&path).unwrap();
        assert!(text(&files, "b/two.txt").is_err());
        assert_eq!(text(&files, "one.txt").unwrap(), "eins");
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let error = ExportFiles::open(&path).err().unwrap();
        assert!(error.to_string().contains("damaged or cut off"), "{error}");
        fs::write(folder.path().join("a.tgz"), "x").unwrap();
        let error = ExportFiles::open(&folder.path().join("a.tgz")).err().unwrap();
        assert!(error.to_string().contains("unpack it first"), "{error}");
    }
}
