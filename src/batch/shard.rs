//! A shard: targets, and a store of everything that their texts are made from.

use std::fs;
use std::path::{Path, PathBuf};

use idiolect_core::corpus::import::{
    Delimiter, FileEncoding, Import, ImportFormat, ImportOptions, ImportSource, OnMalformed,
    PersonNames,
};
use idiolect_core::corpus::{KeptReviews, Store};
use idiolect_engine::progress::Progress;
use idiolect_tables::ParquetRows;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// A text to write, as a row of `targets`: user and item, and the given parts of the text.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetRow {
    /// The user.
    pub user: String,
    /// The item.
    pub item: String,
    /// Rating of the text, if given.
    pub rating: Option<f32>,
    /// Title of the text, if given.
    pub title: Option<String>,
}

/// A shard that was imported into a store of its own, which is deleted with it.
pub struct ShardStore {
    store: Store,
    targets: Vec<TargetRow>,
    hash: String,
    /// Folder of the store.
    _folder: tempfile::TempDir,
}

impl ShardStore {
    /// Imports a shard.
    ///
    /// # Errors
    /// A part is missing or malformed, there is no room for the store, or a stop is requested.
    pub fn open(folder: &Path, progress: &dyn Progress) -> Result<Self> {
        let part = |part: &'static str| {
            let missing = || Error::MissingPart { folder: folder.to_owned(), part };
            find_part(folder, part).ok_or_else(missing)
        };
        let (targets_path, reviews, items) =
            (part("targets")?, part("reviews")?, find_part(folder, "items"));
        let targets = read_targets(&targets_path)?;
        let create =
            |source| Error::File { operation: "create", path: std::env::temp_dir(), source };
        let temporary = tempfile::tempdir().map_err(create)?;
        let store = Store::open(&temporary.path().join("shard.sqlite"))?;
        let mut hash = Sha256::new();
        for path in [Some(&targets_path), Some(&reviews), items.as_ref()].into_iter().flatten() {
            add_files(path, &mut hash)?;
        }
        let options = ImportOptions {
            format: ImportFormat::Table(Box::default()),
            reviews: Some(ImportSource::File(reviews)),
            items: items.map(ImportSource::File),
            kept: KeptReviews::All,
            // A program made the rows; one that cannot be read means that it is wrong.
            on_malformed: OnMalformed::Stop,
            encoding: FileEncoding::default(),
            delimiter: Delimiter::default(),
            people: PersonNames::default(),
        };
        Import::open(&options)?.run(&store, progress)?;
        let hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { store, targets, hash, _folder: temporary })
    }

    /// The store of its reviews and items.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The texts to write, in their order.
    #[must_use]
    pub fn targets(&self) -> &[TargetRow] {
        &self.targets
    }

    /// Hash of its files: SHA-256, lower-case hexadecimal.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

/// The file or the folder of a part of a shard.
fn find_part(folder: &Path, part: &str) -> Option<PathBuf> {
    [format!("{part}.parquet"), part.to_owned()]
        .iter()
        .map(|name| folder.join(name))
        .find(|path| idiolect_tables::is_parquet(path))
}

/// Adds a file, or the part files of a folder, to a hash.
fn add_files(path: &Path, hash: &mut Sha256) -> Result<()> {
    let failed = |source| Error::File { operation: "read", path: path.to_owned(), source };
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        let entries: std::io::Result<Vec<PathBuf>> =
            fs::read_dir(path).map_err(failed)?.map(|entry| Ok(entry?.path())).collect();
        files = entries.map_err(failed)?;
        files.retain(|file| file.extension().is_some_and(|end| end == "parquet"));
        files.sort();
    }
    for file in files {
        let bytes = fs::read(&file).map_err(failed)?;
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
    }
    Ok(())
}

/// Reads targets from a Parquet file, a folder of part files, or JSON lines: rows with `user` and `item`,
/// and optionally `rating` and `title`.
///
/// # Errors
/// The file cannot be read, or a row has no user or item.
pub fn read_targets(path: &Path) -> Result<Vec<TargetRow>> {
    let failed = |source| Error::File { operation: "read", path: path.to_owned(), source };
    let rows: Vec<Result<Value>> = match idiolect_tables::is_parquet(path) {
        true => ParquetRows::open(path)?.map(|row| Ok(row?)).collect(),
        false => {
            let text = fs::read_to_string(path).map_err(failed)?;
            let lines = text.lines().filter(|line| !line.trim().is_empty());
            let parsed = |line| serde_json::from_str(line).map_err(std::io::Error::other);
            lines.map(|line| parsed(line).map_err(failed)).collect()
        }
    };
    rows.into_iter()
        .enumerate()
        .map(|(i, row)| {
            let wrong = |what: &str| Error::Target {
                path: path.to_owned(),
                row: i + 1,
                what: what.to_owned(),
            };
            let row = row?;
            let name = |column: &str| match row.get(column) {
                Some(Value::String(text)) if !text.trim().is_empty() => Some(text.clone()),
                Some(Value::Number(number)) => Some(number.to_string()),
                _ => None,
            };
            let rating = match row.get("rating") {
                None | Some(Value::Null) => None,
                Some(value) => {
                    let rating = value.as_f64().ok_or_else(|| wrong("`rating` is no number"))?;
                    Some(rating as f32)
                }
            };
            Ok(TargetRow {
                user: name("user").ok_or_else(|| wrong("it has no `user`"))?,
                item: name("item").ok_or_else(|| wrong("it has no `item`"))?,
                rating,
                title: name("title"),
            })
        })
        .collect()
}
