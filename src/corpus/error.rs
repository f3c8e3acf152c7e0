use std::path::PathBuf;

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
    /// No such user.
    #[error("user `{user}` is not in the store; `idiolect users` lists those that are")]
    UnknownUser {
        /// The user asked for.
        user: String,
    },
    /// No such item.
    #[error("item `{item}` is not in the store; import the items' metadata or check the id")]
    UnknownItem {
        /// The item asked for.
        item: String,
    },
    /// Stopped on request; what was done is kept.
    #[error("stopped; what was done is kept")]
    Stopped,
}
