//! Addresses of servers of one model.

use crate::{Error, Result};

/// Addresses of one or several servers of the same model: `http://HOST:PORT/v1#MODEL`, several
/// addresses separated by commas before the `#`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteAddress {
    /// Addresses with `/v1`, without a slash at the end; at least one.
    pub(crate) bases: Vec<String>,
    /// Name of the model; `None` takes the only one that is served.
    pub(crate) model: Option<String>,
}

impl RemoteAddress {
    /// Reads addresses.
    ///
    /// # Errors
    /// [`Error::Address`] if one is malformed or holds a password.
    pub fn parse(text: &str) -> Result<Self> {
        let (bases, model) = match text.split_once('#') {
            Some((bases, model)) => {
                (bases, Some(model.to_owned()).filter(|model| !model.is_empty()))
            }
            None => (text, None),
        };
        let bases: Vec<String> = bases.split(',').map(base).collect::<Result<_>>()?;
        let mut distinct = bases.clone();
        distinct.sort_unstable();
        distinct.dedup();
        match distinct.len() == bases.len() {
            true => Ok(Self { bases, model }),
            false => Err(Error::Address { got: text.to_owned(), why: "a server is named twice" }),
        }
    }
}

fn base(text: &str) -> Result<String> {
    let wrong = |why| Err(Error::Address { got: text.to_owned(), why });
    let base = text.trim().trim_end_matches('/');
    let Some((scheme, rest)) = base.split_once("://") else {
        return wrong("it has no `http://`");
    };
    let host = rest.split('/').next().unwrap_or_default();
    match () {
        () if !matches!(scheme, "http" | "https") => wrong("it has no `http://`"),
        () if host.is_empty() => wrong("it has no host"),
        () if host.contains('@') => wrong("it holds a password; give a key in a file instead"),
        () if rest.contains(['?', ' ', '\t', '\n']) => wrong("it has a `?` or a space"),
        () if !rest.ends_with("/v1") => wrong("it does not end with /v1"),
        () => Ok(base.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn addresses_with_one_or_several_servers_are_read() {
        let one = RemoteAddress::parse("http://[::1]:8000/v1/#org/model").unwrap();
        assert_eq!(one.bases, ["http://[::1]:8000/v1"]);
        assert_eq!(one.model.as_deref(), Some("org/model"));
        let two = RemoteAddress::parse("http://a:1/v1,https://b/x/v1").unwrap();
        assert_eq!((two.bases.len(), two.model), (2, None));
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for wrong in [
            "ftp://a/v1",
            "http:///v1",
            "http://a",
            "http://a/v1?x=1",
            "http://ann:secret@a/v1",
            "http://a/v1,http://a/v1",
            "http://a/v1,",
        ] {
            assert!(RemoteAddress::parse(wrong).is_err(), "{wrong}");
        }
    }
}
