use std::path::PathBuf;

/// What can go wrong with the data that METEOR reads.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder is not one of WordNet or NLTK.
    #[error(
        "{folder} holds no WordNet: looked for {expected}; name the folder with `index.noun` (Debian's `wordnet-base` has it in /usr/share/wordnet) or the `nltk_data` folder",
        folder = folder.display()
    )]
    NoWordNet {
        /// The folder named.
        folder: PathBuf,
        /// What was looked for in it.
        expected: &'static str,
    },
    /// A file is missing or cannot be read.
    #[error("reading {what} in {place}: {source}; install the data again", place = place.display())]
    Read {
        /// The file.
        what: String,
        /// The folder or archive.
        place: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// A line that WordNet's or Punkt's files do not have.
    #[error(
        "{what} in {place}, line {line}: {reason}; install the data again",
        place = place.display()
    )]
    Malformed {
        /// The file.
        what: String,
        /// The folder or archive.
        place: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong, and what was expected.
        reason: &'static str,
    },
}
