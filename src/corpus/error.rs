use std::path::PathBuf;

use super::ReviewId;

/// Errors of the store and the importers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// SQLite returned an error.
    #[error("store {path}: {source}", path = path.display())]
    Sqlite {
        /// File of the store.
        path: PathBuf,
        /// SQLite's own error.
        source: rusqlite::Error,
    },
    /// The file is not an SQLite database, or it is corrupt.
    #[error(
        "store {path} is damaged ({source}); restore a copy, or write what can be read to a new store with \
         `idiolect recover --into FILE`",
        path = path.display()
    )]
    Damaged {
        /// File of the store.
        path: PathBuf,
        /// SQLite's own error.
        source: rusqlite::Error,
    },
    /// The store, or the folder in which it keeps its log, may only be read.
    #[error(
        "store {path} cannot be written; allow writing to it and to its folder, or work on a copy",
        path = path.display()
    )]
    ReadOnly {
        /// File of the store.
        path: PathBuf,
    },
    /// The store may only be read, and its schema is older than this program's.
    #[error(
        "store {path} has schema version {found}, this program needs {known}, and the store cannot be \
         written; open it once where it can, or work on a copy",
        path = path.display()
    )]
    OldAndReadOnly {
        /// File of the store.
        path: PathBuf,
        /// Version in the file.
        found: usize,
        /// Version this program needs.
        known: usize,
    },
    /// There is no room left for the store.
    #[error(
        "store {path}: the disk is full; what was committed is kept. Make room and run the command again",
        path = path.display()
    )]
    DiskFull {
        /// File of the store.
        path: PathBuf,
    },
    /// The file was moved, deleted or replaced while it was in use.
    #[error(
        "store {path} was moved or deleted while it was in use, so nothing more is written to it; put it \
         back and run the command again",
        path = path.display()
    )]
    Moved {
        /// Path at which the store was opened.
        path: PathBuf,
    },
    /// A file is there that would be overwritten.
    #[error("{path} exists already; name a file that does not", path = path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A check found damaged pages.
    #[error(
        "store {path} is damaged ({reason}); restore a copy, or write what can be read to a new store with \
         `idiolect recover --into FILE`",
        path = path.display()
    )]
    Broken {
        /// File of the store.
        path: PathBuf,
        /// The first problems that the check found.
        reason: String,
    },
    /// The path is a folder or a database of another program.
    #[error("{path} is {what}, not a store of this program; name another file with --store", path = path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// Description of what it is instead.
        what: &'static str,
    },
    /// The store was written by a later version of the program.
    #[error(
        "store {path} has schema version {found}, this program knows versions up to {known}; use a newer idiolect",
        path = path.display()
    )]
    NewerSchema {
        /// File of the store.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Newest version this program reads.
        known: i64,
    },
    /// There is no store at this path.
    #[error(
        "there is no store at {path}; `idiolect import` makes one, --store names another",
        path = path.display()
    )]
    NoStore {
        /// The path that was tried.
        path: PathBuf,
    },
    /// Two stores to be joined do not hold the same reviews.
    #[error(
        "stores {path} and {other} do not hold the same reviews; join copies of one store, made \
         after `idiolect import`",
        path = path.display(), other = other.display()
    )]
    OtherReviews {
        /// File of the store to copy into.
        path: PathBuf,
        /// File of the store to copy from.
        other: PathBuf,
    },
    /// The user is not in the store.
    #[error("user `{user}` is not in the store{hint}; `idiolect users` lists those that are")]
    UnknownUser {
        /// The requested user.
        user: String,
        /// ` (near it: ...)`, or empty.
        hint: String,
    },
    /// The item is not in the store.
    #[error("item `{item}` is not in the store{hint}; import the items' metadata or check the id")]
    UnknownItem {
        /// The requested item.
        item: String,
        /// ` (near it: ...)`, or empty.
        hint: String,
    },
    /// The user has no review in the scope of a deletion.
    #[error(
        "`{user}` has no such text; `idiolect export {user}` lists the texts with their ids and items"
    )]
    NothingToForget {
        /// The user.
        user: String,
    },
    /// Rows are deleted, but their bytes may still be in the file.
    #[error(
        "store {path}: the rows are deleted, but another process uses the store, so its file could not be \
         rewritten; end the other process and run `idiolect forget --scrub`",
        path = path.display()
    )]
    Unscrubbed {
        /// File of the store.
        path: PathBuf,
    },
    /// A profile was edited after the version that this edit refers to.
    #[error(
        "the profile of `{user}` has version {found} by now, not {seen} as when it was read; look at \
         it again with `idiolect profile {user}` and repeat the change"
    )]
    EditedMeanwhile {
        /// The user.
        user: String,
        /// Version that the edit refers to.
        seen: u32,
        /// Version in the store.
        found: u32,
    },
    /// A vector that cannot be stored, or a stored vector that is damaged.
    #[error("vector of review {review} under `{fingerprint}`: {reason}", review = review.0)]
    BadVector {
        /// The review it belongs to.
        review: ReviewId,
        /// Fingerprint of the encoder.
        fingerprint: String,
        /// The problem and the expected value.
        reason: String,
    },
    /// A file that holds what was deleted could not be overwritten and removed.
    #[error("cannot overwrite and remove {path}: {source}")]
    Overwrite {
        /// The file, or the folder with it.
        path: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// An import file could not be opened.
    #[error("cannot open {source_name}: {source}")]
    Open {
        /// The file.
        source_name: String,
        /// The system's own error.
        source: std::io::Error,
    },
    /// An import file could not be read to its end.
    #[error("reading {source_name} after line {line}: {source}; what was read before is kept")]
    Read {
        /// The file.
        source_name: String,
        /// Number of the last line that was read.
        line: u64,
        /// The system's own error.
        source: std::io::Error,
    },
    /// An import row could not be read, and the import stops at such rows.
    #[error("{source_name}, line {line}: {reason}")]
    Malformed {
        /// The file.
        source_name: String,
        /// Number of the line, from 1.
        line: u64,
        /// The problem.
        reason: String,
    },
    /// A message could not be read, and the import stops at such messages.
    #[error("{place}: {reason}")]
    MalformedMessage {
        /// The file, and the line or the number of the message.
        place: String,
        /// The problem.
        reason: String,
    },
    /// A column of the column map is not in the file.
    #[error(
        "{source_name} has no column `{column}` (it has {present}); name the columns with --map \
         user=...,item=...,text=..., or their delimiter with --delimiter"
    )]
    NoColumn {
        /// The file.
        source_name: String,
        /// The missing column.
        column: String,
        /// The columns of the file.
        present: String,
    },
    /// The column map cannot be parsed.
    #[error("column map: {reason}")]
    BadMap {
        /// The problem and the expected form.
        reason: String,
    },
    /// A column that is used occurs twice in the header.
    #[error("{source_name} has column `{column}` twice; rename one, or name another with --map")]
    ColumnTwice {
        /// The file.
        source_name: String,
        /// The column.
        column: String,
    },
    /// There is no encoding of this name.
    #[error(
        "there is no encoding `{name}`; expected auto, utf-8, utf-16, latin-1, windows-1252, or another \
         label of the Encoding Standard"
    )]
    UnknownEncoding {
        /// The requested encoding.
        name: String,
    },
    /// A delimiter is not one ASCII character.
    #[error("delimiter `{name}`: expected auto, tab, or one ASCII character other than a quote")]
    BadDelimiter {
        /// The requested delimiter.
        name: String,
    },
    /// The split is not in the store.
    #[error(
        "there is no split `{name}` in the store{present}; `idiolect split --name {name}` makes it"
    )]
    UnknownSplit {
        /// The requested split.
        name: String,
        /// ` (it has ...)`, or empty.
        present: String,
    },
    /// Reviews of a split have been replaced since it was made.
    #[error(
        "split `{name}` has lost {lost} of its {size} reviews to newer versions; make it again with `idiolect split --name {name}`"
    )]
    StaleSplit {
        /// The split.
        name: String,
        /// Number of reviews that no longer exist.
        lost: u64,
        /// Number of reviews it was made with.
        size: u64,
    },
    /// No user passes the filters of a split.
    #[error("the filters leave no user: {funnel}; loosen them, or take --preset small or none")]
    EmptySplit {
        /// Numbers of users and reviews after each filter.
        funnel: String,
    },
    /// The split parameters contradict each other.
    #[error("split: {reason}")]
    BadSplit {
        /// The problem and the expected value.
        reason: String,
    },
    /// A stored value is not in a form that this program writes.
    #[error("store {path}: {what} cannot be read: {reason}", path = path.display())]
    Unreadable {
        /// File of the store.
        path: PathBuf,
        /// Description of the value.
        what: String,
        /// The reason.
        reason: String,
    },
    /// Stopped on request; completed work is kept.
    #[error("stopped; what was done is kept")]
    Stopped,
}
