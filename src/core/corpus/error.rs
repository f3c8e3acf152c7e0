use std::path::PathBuf;

use super::ReviewId;

/// What can go wrong with the store and the importers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// SQLite refused.
    #[error("store {path}: {source}", path = path.display())]
    Sqlite {
        /// File of the store.
        path: PathBuf,
        /// SQLite's own error.
        source: rusqlite::Error,
    },
    /// The file is no SQLite database, or its pages contradict each other.
    #[error(
        "store {path} is damaged ({source}); restore a copy, or move it away and import again",
        path = path.display()
    )]
    Damaged {
        /// File of the store.
        path: PathBuf,
        /// SQLite's own error.
        source: rusqlite::Error,
    },
    /// The file is something else.
    #[error("{path} is {what}, not a store of this program; name another file with --store", path = path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
        /// What it is instead.
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
    /// There is no store yet.
    #[error(
        "there is no store at {path}; `idiolect import` makes one, --store names another",
        path = path.display()
    )]
    NoStore {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// Two stores that are to be joined are no copies of one.
    #[error(
        "stores {path} and {other} do not hold the same reviews; join copies of one store, made \
         after `idiolect import`",
        path = path.display(), other = other.display()
    )]
    OtherReviews {
        /// File of the one.
        path: PathBuf,
        /// File of the other.
        other: PathBuf,
    },
    /// No such user.
    #[error("user `{user}` is not in the store{hint}; `idiolect users` lists those that are")]
    UnknownUser {
        /// The user asked for.
        user: String,
        /// ` (near it: ...)`, or empty.
        hint: String,
    },
    /// No such item.
    #[error("item `{item}` is not in the store{hint}; import the items' metadata or check the id")]
    UnknownItem {
        /// The item asked for.
        item: String,
        /// ` (near it: ...)`, or empty.
        hint: String,
    },
    /// A profile was changed while somebody else looked at an earlier version of it.
    #[error(
        "the profile of `{user}` has version {found} by now, not {seen} as when it was read; look at \
         it again with `idiolect profile {user}` and repeat the change"
    )]
    EditedMeanwhile {
        /// The user.
        user: String,
        /// Version that the change refers to.
        seen: u32,
        /// Version in the store.
        found: u32,
    },
    /// A vector that cannot be stored or was not stored whole.
    #[error("vector of review {review} under `{stamp}`: {reason}", review = review.0)]
    BadVector {
        /// The review it belongs to.
        review: ReviewId,
        /// The stamp it stands under.
        stamp: String,
        /// What is wrong, and what was expected.
        reason: String,
    },
    /// A file of rows could not be opened.
    #[error("cannot open {source_name}: {source}")]
    Open {
        /// The file.
        source_name: String,
        /// The system's own error.
        source: std::io::Error,
    },
    /// A file of rows could not be read to its end.
    #[error("reading {source_name} after line {line}: {source}; what was read before is kept")]
    Read {
        /// The file.
        source_name: String,
        /// The last line that was read.
        line: u64,
        /// The system's own error.
        source: std::io::Error,
    },
    /// A row that cannot be read, where that ends the import.
    #[error("{source_name}, line {line}: {reason}")]
    Malformed {
        /// The file.
        source_name: String,
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// A column that the map names is not in the file.
    #[error(
        "{source_name} has no column `{column}` (it has {present}); name the columns with --map user=...,item=...,text=..."
    )]
    NoColumn {
        /// The file.
        source_name: String,
        /// The column looked for.
        column: String,
        /// The columns there are.
        present: String,
    },
    /// A column map that cannot be understood.
    #[error("column map: {reason}; expected user=...,item=...,text=...[,{FIELDS}=...]", FIELDS = super::import::OPTIONAL_FIELDS)]
    BadMap {
        /// What is wrong.
        reason: String,
    },
    /// No such split.
    #[error(
        "there is no split `{name}` in the store{present}; `idiolect split --name {name}` makes it"
    )]
    UnknownSplit {
        /// The split asked for.
        name: String,
        /// ` (it has ...)`, or empty.
        present: String,
    },
    /// Reviews of a split have been replaced since it was made.
    #[error(
        "split `{name}` has lost {lost} of its {size} reviews to newer ones; make it again with `idiolect split --name {name}`"
    )]
    StaleSplit {
        /// The split.
        name: String,
        /// Rows that are gone.
        lost: u64,
        /// Rows it was made with.
        size: u64,
    },
    /// Nothing passes the filters of a split.
    #[error("the filters leave no user: {funnel}; loosen them, or take --preset small or none")]
    EmptySplit {
        /// What each filter left.
        funnel: String,
    },
    /// Split parameters that contradict each other.
    #[error("split: {reason}")]
    BadSplit {
        /// What is wrong, and what is expected.
        reason: String,
    },
    /// A stored text that this program did not write like this.
    #[error("store {path}: {what} cannot be read: {reason}", path = path.display())]
    Unreadable {
        /// File of the store.
        path: PathBuf,
        /// What was to be read.
        what: String,
        /// Why it cannot.
        reason: String,
    },
    /// Stopped on request; what was done is kept.
    #[error("stopped; what was done is kept")]
    Stopped,
}
