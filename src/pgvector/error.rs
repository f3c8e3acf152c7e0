/// This crate's `Result`.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Error of the database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be read. It is not shown, since it may have a password.
    #[error(
        "the address of the database cannot be read ({what}); expected \
         postgres://USER@HOST/DATABASE or `host=/run/postgresql dbname=DATABASE`"
    )]
    Address {
        /// The cause.
        what: String,
    },
    /// The database cannot be reached, or refuses a statement.
    #[error("{operation}: {what}")]
    Database {
        /// The operation.
        operation: &'static str,
        /// The server's message with the cause.
        what: String,
    },
    /// The database has no vectors of users.
    #[error("the database has no vectors of users; write them with `idiolect index --peers`")]
    NoVectors,
    /// The vectors in the database were made by something else.
    #[error(
        "the vectors in the database were made by {got}, expected {expected}; use another database, or \
         drop the schema `idiolect` there and run `idiolect index --peers` again"
    )]
    OtherStamp {
        /// Maker of the vectors in the database.
        got: String,
        /// Maker of the caller's vectors.
        expected: String,
    },
    /// A name or a vector cannot be stored or searched for.
    #[error("the vector of `{user}` {what}")]
    BadVector {
        /// The user; empty for a query.
        user: String,
        /// Its fault.
        what: String,
    },
}

impl Error {
    /// An error of the client in an operation, with its causes.
    pub(crate) fn in_operation(operation: &'static str) -> impl Fn(postgres::Error) -> Self {
        move |error| {
            // The client's own message leaves out what the server said.
            let mut what = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                let text = cause.to_string();
                if !what.contains(&text) {
                    what = format!("{what}: {text}");
                }
                source = cause.source();
            }
            Self::Database { operation, what }
        }
    }
}
