//! The folder of saved prefixes beside a store, `STORE.prefixes`: keys and values of prompts, so that the next
//! text of a user starts at once. They were computed from texts of the store, so [`Store::forget`] removes
//! all of them.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::{Error, Result, Store};

impl Store {
    /// The folder of the store's saved prefixes; `None` for a store in memory.
    #[must_use]
    pub fn prefix_folder(&self) -> Option<PathBuf> {
        if self.path() == Path::new(":memory:") {
            return None;
        }
        let mut name = self.path().as_os_str().to_owned();
        name.push(".prefixes");
        Some(PathBuf::from(name))
    }

    /// Number of files in [`Store::prefix_folder`].
    pub(super) fn count_prefixes(&self) -> u64 {
        let files = self.prefix_folder().and_then(|folder| fs::read_dir(folder).ok());
        files.map_or(0, |files| files.count() as u64)
    }

    /// Overwrites and removes the saved prefixes; returns their number.
    pub(super) fn remove_prefixes(&self) -> Result<u64> {
        let n = self.count_prefixes();
        match self.prefix_folder() {
            Some(folder) if folder.is_dir() => remove_overwritten(&folder).map(|()| n),
            _ => Ok(n),
        }
    }

    /// Changes whenever another connection has changed the store.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn data_version(&self) -> Result<i64> {
        self.read(|connection| connection.query_row("PRAGMA data_version", [], |row| row.get(0)))
    }
}

/// Removes a file or a folder with all that is in it; files are overwritten with zeros first. Of a link
/// only the link is removed.
///
/// # Errors
/// A file cannot be overwritten or removed.
pub fn remove_overwritten(path: &Path) -> Result<()> {
    remove(path).map_err(|source| Error::Overwrite { path: path.to_owned(), source })
}

fn remove(path: &Path) -> io::Result<()> {
    if path.is_symlink() {
        return fs::remove_file(path);
    }
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            remove(&entry?.path())?;
        }
        return fs::remove_dir(path);
    }
    let file = File::options().write(true).open(path)?;
    let size = file.metadata()?.len();
    io::copy(&mut io::repeat(0).take(size), &mut &file)?;
    file.sync_all()?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn folders_go_with_all_files() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("c"), "secret").unwrap();
        let outside = folder.path().join("outside");
        fs::write(&outside, "stays").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(&outside, inner.join("link")).unwrap();
        // A second name of the file shows what became of its bytes.
        fs::hard_link(inner.join("c"), folder.path().join("second")).unwrap();
        remove_overwritten(&folder.path().join("a")).unwrap();
        assert!(!folder.path().join("a").exists());
        assert_eq!(fs::read(folder.path().join("second")).unwrap(), [0; 6]);
        assert_eq!(fs::read(&outside).unwrap(), b"stays");
        assert!(remove_overwritten(&folder.path().join("a")).is_err());
    }
}
