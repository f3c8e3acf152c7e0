//! Reads files of WordNet and of NLTK from folders or from NLTK's zip archives.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::Error;

/// A data folder, unpacked or inside a zip archive.
#[derive(Debug)]
pub(super) enum DataPlace {
    /// A folder.
    Folder(PathBuf),
    /// A zip archive, and the folder inside it with a trailing `/`.
    Archive(PathBuf, &'static str),
}

impl DataPlace {
    /// The folder if it exists, else the archive if it exists.
    pub(super) fn find(folder: PathBuf, archive: PathBuf, inside: &'static str) -> Option<Self> {
        if folder.is_dir() {
            return Some(Self::Folder(folder));
        }
        archive.is_file().then_some(Self::Archive(archive, inside))
    }

    /// Text of a file.
    pub(super) fn read(&self, name: &str) -> Result<String, Error> {
        let text = match self {
            Self::Folder(folder) => fs::read_to_string(folder.join(name)),
            Self::Archive(archive, inside) => read_archived(archive, &format!("{inside}{name}")),
        };
        text.map_err(|source| Error::Read {
            what: name.to_owned(),
            place: self.path().to_owned(),
            source,
        })
    }

    /// [`Error::Malformed`] for a line of a file.
    pub(super) fn malformed(&self, name: &str, line: usize, reason: &'static str) -> Error {
        Error::Malformed { what: name.to_owned(), place: self.path().to_owned(), line, reason }
    }

    fn path(&self) -> &Path {
        match self {
            Self::Folder(path) | Self::Archive(path, _) => path,
        }
    }
}

fn read_archived(archive: &Path, name: &str) -> io::Result<String> {
    let mut archive =
        zip::ZipArchive::new(BufReader::new(File::open(archive)?)).map_err(io::Error::other)?;
    let mut text = String::new();
    archive.by_name(name).map_err(io::Error::other)?.read_to_string(&mut text)?;
    Ok(text)
}
