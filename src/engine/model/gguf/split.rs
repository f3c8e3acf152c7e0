//! Models that llama.cpp's `llama-gguf-split` has cut into several files.
//!
//! Each file is a whole GGUF with some of the tensors. The first carries the model's metadata. The
//! files are named `NAME-00001-of-00003.gguf` and so on, and `split.no`, counted from 0, and
//! `split.count` say the same inside.

use std::path::{Path, PathBuf};

/// All files of a model, given its first one: those of the split, in order, or `path` alone if it is
/// not named as the first file of a split. Whether they exist is not checked.
#[must_use]
pub fn split_files(path: &Path) -> Vec<PathBuf> {
    match SplitName::of(path) {
        Some(name) if name.number == 1 => {
            (1..=name.count).map(|number| path.with_file_name(name.file(number))).collect()
        }
        _ => vec![path.to_owned()],
    }
}

/// Whether the file is named as one of a split, but not as the first.
#[must_use]
pub(crate) fn is_later_file(path: &Path) -> bool {
    SplitName::of(path).is_some_and(|name| name.number > 1)
}

/// The name of a file of a split, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SplitName {
    stem: String,
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) count: usize,
}

impl SplitName {
    /// `None` if the file is not named as one of a split.
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

    /// Name of another file of the same split; `number` counts from 1.
    pub(super) fn file(&self, number: usize) -> String {
        format!("{}-{number:05}-of-{:05}.gguf", self.stem, self.count)
    }
}
