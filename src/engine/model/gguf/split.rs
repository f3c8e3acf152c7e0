//! Models that llama.cpp's `llama-gguf-split` has split into several files.
//!
//! Each file is a complete GGUF with some of the tensors. The first has the model's metadata. The
//! files are named `NAME-00001-of-00003.gguf` and so on. The same numbers are in the metadata, as
//! `split.no`, counted from 0, and `split.count`.

use std::path::{Path, PathBuf};

/// Returns all files of a model, given its first file: those of the split, in order, or only `path`
/// if it is not named as the first file of a split. Does not check whether they exist.
#[must_use]
pub fn split_files(path: &Path) -> Vec<PathBuf> {
    match SplitName::of(path) {
        Some(name) if name.number == 1 => {
            (1..=name.count).map(|number| path.with_file_name(name.file(number))).collect()
        }
        _ => vec![path.to_owned()],
    }
}

/// Whether the file is named as a later file of a split.
#[must_use]
pub(crate) fn is_later_file(path: &Path) -> bool {
    SplitName::of(path).is_some_and(|name| name.number > 1)
}

/// Parsed name of a file of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SplitName {
    stem: String,
    /// Number of the file, counted from 1.
    pub(super) number: usize,
    pub(super) count: usize,
}

impl SplitName {
    /// Parses a file name; `None` if it is not that of a file of a split.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(".gguf")?;
        let (rest, count) = name.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let read = |digits: &str| {
            let plain = digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
            if plain { digits.parse::<usize>().ok() } else { None }
        };
        let (number, count) = (read(number)?, read(count)?);
        let is_of_split = count > 1 && (1..=count).contains(&number);
        is_of_split.then(|| Self { stem: stem.to_owned(), number, count })
    }

    /// Returns the name of another file of the same split; `number` counts from 1.
    pub(super) fn file(&self, number: usize) -> String {
        format!("{}-{number:05}-of-{:05}.gguf", self.stem, self.count)
    }
}
