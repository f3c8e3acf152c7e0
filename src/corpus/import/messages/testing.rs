//! Helpers that tests of readers share.

use std::collections::BTreeMap;

use super::{ExportMessage, ExportReader, Found};

/// Everything found in an export.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) messages: Vec<ExportMessage>,
    /// Number of things left out, by reason.
    pub(super) left: BTreeMap<&'static str, u64>,
    /// Place and reason of what cannot be read.
    pub(super) malformed: Vec<(String, String)>,
}

/// Reads everything, and checks that the reader stops if it is told to.
pub(super) fn summary(reader: &mut dyn ExportReader) -> Summary {
    let mut summary = Summary::default();
    let read = reader.read(&mut |found| {
        match found {
            Found::Message(message) => summary.messages.push(message),
            Found::Left { reason } => *summary.left.entry(reason).or_default() += 1,
            Found::Malformed { place, reason } => summary.malformed.push((place, reason)),
        }
        Ok(true)
    });
    assert!(read.is_ok(), "{:?}", read.err());
    let mut n = 0;
    let read = reader.read(&mut |_| {
        n += 1;
        Ok(false)
    });
    assert!(read.is_ok() && n <= 1, "{n} things after the stop");
    summary
}
