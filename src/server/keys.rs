//! Keys that clients must give, and the users that each may write as.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Keys of a server. Only their SHA-256 is kept.
#[derive(Debug, Clone, Default)]
pub struct ApiKeys {
    keys: Vec<ApiKey>,
}

#[derive(Debug, Clone)]
struct ApiKey {
    hash: [u8; 32],
    caller: Caller,
}

/// The sender of a request, by its key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Caller {
    /// Users that it may read and write as; `None` means all.
    pub(crate) users: Option<Vec<String>>,
}

impl Caller {
    /// Whether it may read and write as a user.
    pub(crate) fn may(&self, user: &str) -> bool {
        self.users.as_ref().is_none_or(|users| users.iter().any(|known| known == user))
    }
}

/// Minimum length of a key, bytes.
const MIN_LENGTH: usize = 16;

impl ApiKeys {
    /// Reads a file of keys: one a line, without white space, at least 16 bytes. After a key and a
    /// space, `users=NAME,...` restricts it to these users. Empty lines and lines that begin with
    /// `#` are skipped.
    ///
    /// # Errors
    /// The file cannot be read, has no key, or a line is malformed; the error names the line, not its
    /// text.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::ReadKeys { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let wrong = |line: usize, what| Error::Keys { path: PathBuf::from(path), line, what };
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (key, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            if key.len() < MIN_LENGTH {
                return Err(wrong(index + 1, "the key is shorter than 16 bytes"));
            }
            let users = match rest.trim().split_once('=') {
                None if rest.trim().is_empty() => None,
                Some(("users", names)) if !names.trim().is_empty() => {
                    Some(names.split(',').map(|name| name.trim().to_owned()).collect())
                }
                _ => return Err(wrong(index + 1, "after the key, `users=NAME,...` is expected")),
            };
            keys.push(ApiKey { hash: Sha256::digest(key).into(), caller: Caller { users } });
        }
        match keys.is_empty() {
            true => Err(wrong(text.lines().count(), "the file has no key")),
            false => Ok(Self { keys }),
        }
    }

    /// Whether there are none, so that no key is needed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The caller with this key, if it is known. The time does not depend on how much of a key is
    /// right, nor on which key it is.
    pub(crate) fn caller(&self, key: &str) -> Option<&Caller> {
        let hash: [u8; 32] = Sha256::digest(key).into();
        let mut found = None;
        for known in &self.keys {
            let difference = known.hash.iter().zip(&hash).fold(0, |sum, (a, b)| sum | (a ^ b));
            if std::hint::black_box(difference) == 0 {
                found = Some(&known.caller);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(text: &str) -> Result<ApiKeys> {
        ApiKeys::parse(text, "keys.txt".as_ref())
    }

    #[test]
    fn each_key_has_its_users() {
        let keys =
            parse("# comment\n\nfirst-key-0123456789\nsecond-key-012345678 users=ann, bob\n");
        let keys = keys.unwrap();
        assert!(keys.caller("first-key-0123456789").unwrap().may("cyd"));
        let second = keys.caller("second-key-012345678").unwrap();
        assert!(second.may("ann") && second.may("bob") && !second.may("cyd"));
        for wrong in ["", "first-key-012345678", "first-key-01234567890", "# comment"] {
            assert_eq!(keys.caller(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn malformed_files_are_refused_without_their_text() {
        for (text, line) in [
            ("", 0),
            ("# nothing\n", 1),
            ("a-good-key-0123456\nshort\n", 2),
            ("a-good-key-0123456 ann\n", 1),
            ("a-good-key-0123456 users=\n", 1),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(&format!("line {line}")), "{error}");
            assert!(!error.contains("a-good-key"), "{error}");
        }
    }
}
