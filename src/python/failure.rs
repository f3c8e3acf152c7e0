//! Failures of calls, and the Python exceptions that they are raised as.

use std::error::Error as StdError;

use idiolect_core::{client, corpus, difference, methods, peers, task};
use idiolect_engine::{encoder, lm, model};
use idiolect_evaluate as evaluate;
use pyo3::prelude::*;

/// This crate's `Result`.
pub(crate) type Result<T, E = CallFailure> = std::result::Result<T, E>;

/// The reason why a call failed.
#[derive(Debug)]
pub(crate) enum CallFailure {
    /// An error of the engine: the name of its exception in `idiolect._errors`, and its message.
    Told { exception: &'static str, message: String },
    /// An exception of Python.
    Raised(PyErr),
    /// Stopped on request.
    Stopped,
}

impl CallFailure {
    /// A wrong argument.
    pub(crate) fn argument(message: impl Into<String>) -> Self {
        Self::Told { exception: "SettingsError", message: message.into() }
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for CallFailure {
    fn from(error: E) -> Self {
        let error: Box<dyn StdError + Send + Sync> = Box::new(error);
        match error.downcast::<PyErr>() {
            Ok(raised) => Self::Raised(*raised),
            Err(error) => match exception_of(error.as_ref()) {
                Some(exception) => Self::Told { exception, message: message_of(error.as_ref()) },
                None => Self::Stopped,
            },
        }
    }
}

impl From<CallFailure> for PyErr {
    fn from(failure: CallFailure) -> Self {
        let (exception, message) = match failure {
            CallFailure::Raised(raised) => return raised,
            CallFailure::Told { exception, message } => (exception, message),
            CallFailure::Stopped => ("Error", "stopped; what was done is kept".to_owned()),
        };
        Python::attach(|py| {
            let raised = py
                .import("idiolect._errors")
                .and_then(|errors| errors.getattr(exception)?.call1((message,)));
            raised.map_or_else(|error| error, PyErr::from_value)
        })
    }
}

/// The message of an error with its causes on one line, as the program prints it.
fn message_of(error: &(dyn StdError + 'static)) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let told = cause.to_string();
        if !message.contains(&told) {
            message.push_str(": ");
            message.push_str(&told);
        }
        source = cause.source();
    }
    message
}

/// Name of the exception of an error; `None` if the work was stopped on request.
fn exception_of(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<corpus::Error>() {
        return of_corpus(error);
    }
    if let Some(error) = error.downcast_ref::<methods::Error>() {
        return match error {
            methods::Error::Corpus(inner) => of_corpus(inner),
            methods::Error::Peers(inner) => exception_of(inner),
            methods::Error::Client(inner) => exception_of(inner),
            methods::Error::Difference(inner) => exception_of(inner),
            methods::Error::Task(inner) => exception_of(inner),
            methods::Error::Lm(inner) => exception_of(inner),
            methods::Error::NoHistory { .. } => Some("NoHistoryError"),
            methods::Error::NoPeers { .. } | methods::Error::NoReward { .. } => {
                Some("SettingsError")
            }
            methods::Error::Stopped => None,
            _ => Some("Error"),
        };
    }
    if let Some(error) = error.downcast_ref::<evaluate::Error>() {
        return match error {
            evaluate::Error::Corpus(inner) => of_corpus(inner),
            evaluate::Error::Method { source, .. } => exception_of(source.as_ref()),
            evaluate::Error::Client(inner) => exception_of(inner),
            evaluate::Error::Difference(inner) => exception_of(inner),
            evaluate::Error::Encoder(inner) => exception_of(inner.as_ref()),
            evaluate::Error::Stopped => None,
            _ => Some("Error"),
        };
    }
    of_parts(error)
}

/// As [`exception_of`], of the errors below those of methods.
fn of_parts(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<client::Error>() {
        return match error {
            client::Error::Corpus(inner) => of_corpus(inner),
            client::Error::Task(inner) => exception_of(inner),
            client::Error::Lm(inner) => exception_of(inner),
            _ => Some("Error"),
        };
    }
    if let Some(error) = error.downcast_ref::<difference::Error>() {
        return match error {
            difference::Error::Corpus(inner) => of_corpus(inner),
            difference::Error::Peers(inner) => exception_of(inner),
            difference::Error::Task(inner) => exception_of(inner),
            difference::Error::Client(inner) => exception_of(inner),
            difference::Error::Stopped => None,
            _ => Some("Error"),
        };
    }
    if let Some(error) = error.downcast_ref::<peers::Error>() {
        return match error {
            peers::Error::Corpus(inner) => of_corpus(inner),
            peers::Error::Encoder(_) => Some("ModelError"),
            peers::Error::Stopped => None,
            _ => Some("PeerIndexError"),
        };
    }
    if let Some(error) = error.downcast_ref::<model::Error>() {
        return match error {
            model::Error::Stopped => None,
            _ => Some("ModelError"),
        };
    }
    if let Some(error) = error.downcast_ref::<lm::Error>() {
        return match error {
            lm::Error::Sampling { .. } => Some("SettingsError"),
            _ => Some("ModelError"),
        };
    }
    if error.is::<encoder::Error>() {
        return Some("ModelError");
    }
    let is_setting = error.is::<methods::SettingsError>()
        || error.is::<task::Error>()
        || error.is::<serde_json::Error>()
        || error.is::<idiolect_kernels::Error>();
    Some(if is_setting { "SettingsError" } else { "Error" })
}

fn of_corpus(error: &corpus::Error) -> Option<&'static str> {
    use corpus::Error as E;
    match error {
        E::UnknownUser { .. } | E::UnknownItem { .. } | E::UnknownSplit { .. } => {
            Some("NotFoundError")
        }
        E::NothingToForget { .. } => Some("NotFoundError"),
        E::Open { .. }
        | E::Read { .. }
        | E::Malformed { .. }
        | E::MalformedMessage { .. }
        | E::NoColumn { .. }
        | E::BadMap { .. }
        | E::ColumnTwice { .. }
        | E::UnknownEncoding { .. }
        | E::BadDelimiter { .. } => Some("DataError"),
        E::EmptySplit { .. } | E::BadSplit { .. } => Some("SettingsError"),
        E::Stopped => None,
        _ => Some("StoreError"),
    }
}
