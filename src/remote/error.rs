//! The error of connecting to a server.

use idiolect_engine::lm;

/// Error of connecting to a language model on a server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address is malformed.
    #[error("`{got}` is no address of a language model: {why}; expected http://HOST:PORT/v1#MODEL")]
    Address {
        /// The address.
        got: String,
        /// Its fault.
        why: &'static str,
    },
    /// The vocabulary of the model cannot be read.
    #[error("read the vocabulary of the language model")]
    Tokenizer(#[source] lm::Error),
    /// The server cannot be reached or does not answer as expected.
    #[error("language model at {server}: {what}")]
    Server {
        /// Address of the server.
        server: String,
        /// The cause, and what to do.
        what: String,
    },
    /// The server does not serve the model.
    #[error("{server} serves no model `{got}`; it serves {served}")]
    NoModel {
        /// Address of the server.
        server: String,
        /// Name that was asked for.
        got: String,
        /// Names of its models.
        served: String,
    },
    /// The server's model has another vocabulary.
    #[error(
        "the vocabulary of `{model}` at {server} is not that of {tokenizer}: {what}; give the GGUF \
         file of the same model as --lm-tokenizer"
    )]
    Vocabulary {
        /// Address of the server.
        server: String,
        /// Name of the model.
        model: String,
        /// The file whose vocabulary was expected.
        tokenizer: String,
        /// The first difference.
        what: String,
    },
    /// Two of the servers are different programs, whose results must not be mixed.
    #[error("{one} is {kind}, {other} is {other_kind}: results of different servers are not mixed")]
    MixedServers {
        /// Address of the first server.
        one: String,
        /// Its program.
        kind: &'static str,
        /// Address of the other.
        other: String,
        /// Its program.
        other_kind: &'static str,
    },
    /// No thread can be started.
    #[error("start a thread for requests")]
    Thread(#[source] std::io::Error),
}
