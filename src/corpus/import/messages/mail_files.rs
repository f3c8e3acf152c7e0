//! Mails in a file each: maildir folders, and folders of `.eml` files.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::files::{ByteCount, files_below, open_plain};
use super::mail::{MAX_MAIL_BYTES, MailContext, Mails};
use super::{ExportReader, Found, OnFound};
use crate::{Error, Result};

/// Reader of mails in a file each.
pub(super) struct MailFilesReader {
    files: Vec<PathBuf>,
    size: u64,
    bytes: ByteCount,
    mails: Mails,
}

/// Opens a maildir: a folder with `cur` and `new`, and the folders in it, such as `.Sent`.
///
/// # Errors
/// [`Error::Open`] if the folder cannot be read or no folder in it is a maildir.
pub(super) fn open_maildir(path: &Path) -> Result<MailFilesReader> {
    let files = files_below(path, &|file| {
        let folder = file.parent().and_then(Path::file_name);
        let name = file.file_name().map(|name| name.as_encoded_bytes());
        folder.is_some_and(|folder| folder == "cur" || folder == "new")
            && name.is_some_and(|name| !name.starts_with(b"."))
    });
    reader_of(path, files?, "is no maildir: no folder in it has a folder `cur` or `new` with mails")
}

/// Opens a mail, or a folder with files `.eml` (or `.emlx`, of Apple Mail) at any depth.
///
/// # Errors
/// [`Error::Open`] if it cannot be read, or the folder has no such file.
pub(super) fn open_eml(path: &Path) -> Result<MailFilesReader> {
    let files = match path.is_dir() {
        true => files_below(path, &is_eml)?,
        false => vec![path.to_owned()],
    };
    reader_of(path, files, "has no file .eml")
}

/// Whether a folder is a maildir or has one in it.
pub(super) fn looks_like_maildir(path: &Path, _head: &[u8]) -> bool {
    let is_maildir = |folder: &Path| folder.join("cur").is_dir() && folder.join("new").is_dir();
    let folders = || std::fs::read_dir(path).into_iter().flatten().flatten();
    path.is_dir() && (is_maildir(path) || folders().any(|entry| is_maildir(&entry.path())))
}

/// Whether a file is a mail, or a folder has files `.eml`.
pub(super) fn looks_like_eml(path: &Path, head: &[u8]) -> bool {
    match path.is_dir() {
        true => std::fs::read_dir(path).into_iter().flatten().flatten().any(|e| is_eml(&e.path())),
        false => has_mail_headers(head) || (is_eml(path) && !head.is_empty()),
    }
}

/// Whether bytes begin with headers of a mail, two of those that mails have.
pub(in crate::import) fn has_mail_headers(head: &[u8]) -> bool {
    const NAMES: [&str; 9] = [
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "received",
        "return-path",
        "mime-version",
        "delivered-to",
    ];
    let mut n_known = 0;
    for line in head.split(|b| *b == b'\n').take(100) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if line.starts_with(b" ") || line.starts_with(b"\t") {
            continue;
        }
        let Some(colon) = line.iter().position(|b| *b == b':') else { return false };
        let name = String::from_utf8_lossy(&line[..colon]).to_lowercase();
        if name.is_empty() || name.contains(' ') {
            return false;
        }
        n_known += usize::from(NAMES.contains(&name.as_str()));
    }
    n_known >= 2
}

fn is_eml(path: &Path) -> bool {
    let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
    extension.is_some_and(|extension| extension == "eml" || extension == "emlx")
}

fn reader_of(path: &Path, files: Vec<PathBuf>, otherwise: &str) -> Result<MailFilesReader> {
    if files.is_empty() {
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, otherwise);
        return Err(Error::Open { source_name: path.display().to_string(), source });
    }
    let size = |file: &PathBuf| std::fs::metadata(file).map_or(0, |metadata| metadata.len());
    let size = files.iter().map(size).sum();
    Ok(MailFilesReader { files, size, bytes: ByteCount::default(), mails: Mails::default() })
}

impl ExportReader for MailFilesReader {
    fn read(&mut self, on: &mut OnFound<'_>) -> Result<()> {
        for (at, file) in self.files.iter().enumerate() {
            let place = file.display().to_string();
            let mut bytes = Vec::new();
            let read = open_plain(file).and_then(|(input, ..)| {
                let mut input = input.take(MAX_MAIL_BYTES as u64);
                input.read_to_end(&mut bytes).map_err(|source| Error::Read {
                    source_name: place.clone(),
                    line: 0,
                    source,
                })
            });
            self.bytes.add(std::fs::metadata(file).map_or(0, |metadata| metadata.len()));
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            // A maildir marks drafts and deleted mails in the name: `...:2,FLAGS`.
            let flags = name.rsplit_once(":2,").map_or("", |(_, flags)| flags);
            let found = match read {
                Ok(_) => {
                    let context =
                        MailContext { place, number: at as u64 + 1, is_stray: false, flags };
                    self.mails.found(without_length(file, &bytes), &context)
                }
                Err(error) => Found::Malformed { place, reason: error.to_string() },
            };
            if !on(found)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn size(&self) -> Option<u64> {
        Some(self.size)
    }

    fn bytes_read(&self) -> Option<ByteCount> {
        Some(self.bytes.clone())
    }
}

/// The mail in a file of Apple Mail, which begins with its length and ends with a property list.
fn without_length<'a>(file: &Path, bytes: &'a [u8]) -> &'a [u8] {
    if !file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("emlx")) {
        return bytes;
    }
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else { return bytes };
    let length =
        std::str::from_utf8(&bytes[..end]).ok().and_then(|n| n.trim().parse::<usize>().ok());
    let Some(length) = length else { return bytes };
    let rest = &bytes[end + 1..];
    &rest[..length.min(rest.len())]
}
