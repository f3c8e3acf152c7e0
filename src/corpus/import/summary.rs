//! The JSON object that sums up an import.

use serde::Serialize;

use super::{DefaultedField, DroppedRows, EncodedFile, ImportReport, MergedPerson};
use crate::Counts;

/// Contents of the store after an import, then counts of the rows read: the JSON object of
/// `idiolect import --json` and of the Python package. The fields are described at [`ImportReport`].
#[derive(Debug, Clone, Copy, Serialize)]
pub struct ImportSummary<'a> {
    #[serde(flatten)]
    counts: Counts,
    read: u64,
    new: u64,
    further: u64,
    updated: u64,
    unchanged: u64,
    outdated: u64,
    duplicates: u64,
    removed: u64,
    malformed: u64,
    dropped: &'a [DroppedRows],
    defaulted: &'a [DefaultedField],
    encodings: &'a [EncodedFile],
    short_rows: u64,
    items_without_description: u64,
    left_out: &'a [DroppedRows],
    merged: &'a [MergedPerson],
}

impl<'a> ImportSummary<'a> {
    /// Sums up `report`, after which the store has `counts`.
    #[must_use]
    pub fn new(report: &'a ImportReport, counts: Counts) -> Self {
        Self {
            counts,
            read: report.reviews_read,
            new: report.new,
            further: report.further,
            updated: report.updated,
            unchanged: report.unchanged,
            outdated: report.outdated,
            duplicates: report.duplicates,
            removed: report.removed,
            malformed: report.malformed,
            dropped: &report.dropped,
            defaulted: &report.defaulted,
            encodings: &report.encoded,
            short_rows: report.short_rows,
            items_without_description: report.items_without_description,
            left_out: &report.left_out,
            merged: &report.merged,
        }
    }
}
