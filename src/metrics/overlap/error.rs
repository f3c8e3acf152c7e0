use std::path::PathBuf;

/// Error of the data files that METEOR reads.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder contains neither a WordNet nor NLTK's data.
    #[error(
        "{folder} holds no WordNet: looked for {expected}; name the folder with `index.noun` (Debian's `wordnet-base` has it in /usr/share/wordnet) or the `nltk_data` folder",
        folder = folder.display()
    )]
    NoWordNet {
        /// Folder that was searched.
        folder: PathBuf,
        /// File and folder names that were searched for.
        expected: &'static str,
    },
    /// A file is missing or cannot be read.
    #[error("reading {what} in {place}: {source}; install the data again", place = place.display())]
    Read {
        /// Name of the file.
        what: String,
        /// Folder or archive of the file.
        place: PathBuf,
        /// Error of the operating system or the archive reader.
        source: std::io::Error,
    },
    /// A line of a WordNet or Punkt file does not have the expected format.
    #[error(
        "{what} in {place}, line {line}: {reason}; install the data again",
        place = place.display()
    )]
    Malformed {
        /// Name of the file.
        what: String,
        /// Folder or archive of the file.
        place: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// Reason, with the expected format.
        reason: &'static str,
    },
}
