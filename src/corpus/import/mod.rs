//! Importers of review files, and of mails and other messages, into the store.
//!
//! Files are read as streams. Rows are committed in batches, so an interrupted import keeps what it
//! committed, and a repeated import changes nothing that is already stored. A row is dropped only for
//! want of a required field; an optional value that cannot be read counts as missing. The report
//! counts both by reason.

mod amazon_2014;
mod amazon_2023;
mod civil;
mod csv_row;
mod dates;
mod delimiter;
mod detect;
mod encoding;
mod entities;
mod fields;
mod input;
mod json_lines;
mod json_repair;
mod lines;
mod messages;
mod named_months;
mod nested;
mod notes;
mod python_literal;
#[cfg(test)]
mod python_literal_tests;
mod rating;
mod records;
mod run;
mod summary;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
mod time;

pub use dates::DayOrder;
pub use delimiter::Delimiter;
pub use encoding::{EncodedFile, FileEncoding};
pub use input::ImportSource;
pub use messages::{GivenMessage, MergedPerson, MessageFormat, PersonNames};
pub use notes::{DefaultedField, DroppedRows};
pub use run::{Import, ImportReport, MalformedLine};
pub use summary::ImportSummary;
pub use table::{ColumnMap, OPTIONAL_FIELDS};

use std::path::Path;

use serde_json::Value;

use super::{Item, KeptReviews, SourceReview};
use notes::RowNotes;

/// Format of the files to import.
#[derive(Debug, Clone, PartialEq)]
pub enum ImportFormat {
    /// Amazon reviews of 2014 (`reviewerID`, `asin`, `reviewText`, ...); metadata lines are Python
    /// literals or JSON.
    Amazon2014,
    /// Amazon Reviews 2023 (`user_id`, `parent_asin`, `text`, ...; times in milliseconds).
    Amazon2023,
    /// Any table or JSON lines; the map names the columns.
    Table(Box<ColumnMap>),
    /// Mails, chats, posts and notes: a person is a user, a thread or chat an item, a message a review.
    Messages(MessageFormat),
}

/// Options of an import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// Format of the files.
    pub format: ImportFormat,
    /// Source of the reviews; of messages a file or a folder.
    pub reviews: Option<ImportSource>,
    /// Source of the items' titles, descriptions and categories.
    pub items: Option<ImportSource>,
    /// Reviews of a user on one item that are kept.
    pub kept: KeptReviews,
    /// Reaction to a malformed line.
    pub on_malformed: OnMalformed,
    /// Encoding of the files.
    pub encoding: FileEncoding,
    /// Delimiter of tables.
    pub delimiter: Delimiter,
    /// Who the authors of messages are.
    pub people: PersonNames,
}

/// Reaction to a malformed line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMalformed {
    /// The line is counted and reported, and the import continues.
    Skip,
    /// The import ends with an error; rows before the line are kept.
    Stop,
}

impl ImportFormat {
    /// Reviews to keep unless the user of the program decides otherwise: the newest of the Amazon
    /// formats, of Goodreads and of Google, because a user has one review of a product, book or place
    /// there, which may be edited; all of tables and of other messages.
    #[must_use]
    pub fn kept_by_default(&self) -> KeptReviews {
        match self {
            ImportFormat::Amazon2014 | ImportFormat::Amazon2023 => KeptReviews::Newest,
            ImportFormat::Messages(MessageFormat::Goodreads | MessageFormat::GoogleReviews) => {
                KeptReviews::Newest
            }
            ImportFormat::Table(_) | ImportFormat::Messages(_) => KeptReviews::All,
        }
    }

    /// Returns the format of this name: `amazon-2014`, `amazon-2023`, `table`, or one of messages
    /// ([`MessageFormat::name`]).
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "amazon-2014" => Some(Self::Amazon2014),
            "amazon-2023" => Some(Self::Amazon2023),
            "table" => Some(Self::Table(Box::default())),
            _ => MessageFormat::ALL
                .iter()
                .copied()
                .find(|format| format.name() == name)
                .map(Self::Messages),
        }
    }

    /// Returns the format of a file or folder by its content. `None` if it is none of those that can be
    /// read, or cannot be opened.
    #[must_use]
    pub fn detect(path: &Path) -> Option<Self> {
        MessageFormat::detect(path).map(Self::Messages).or_else(|| detect::format_of_rows(path))
    }

    /// Name of the built-in task that writes texts like those of the format.
    #[must_use]
    pub fn task(&self) -> &'static str {
        match self {
            ImportFormat::Messages(format) => format.task(),
            _ => "review",
        }
    }

    /// Names of the columns that the format reads.
    fn columns(&self) -> Vec<String> {
        match self {
            ImportFormat::Table(map) => map.columns(),
            _ => Vec::new(),
        }
    }

    /// Takes a row apart that holds several.
    fn rows(&self, row: Value) -> Result<Vec<Value>, String> {
        match self {
            ImportFormat::Table(map) => map.rows(row),
            _ => Ok(vec![row]),
        }
    }

    /// Reads a review, and the item's fields if the row has any. The Amazon formats have no
    /// identifiers of reviews.
    fn review(
        &self,
        row: &Value,
        notes: &mut RowNotes,
    ) -> Result<(SourceReview, Option<Item>), String> {
        match self {
            ImportFormat::Amazon2014 => amazon_2014::review(row, notes).map(|r| (r.into(), None)),
            ImportFormat::Amazon2023 => amazon_2023::review(row, notes).map(|r| (r.into(), None)),
            ImportFormat::Table(map) => map.review(row, notes),
            ImportFormat::Messages(_) => Err("messages have no rows".to_owned()),
        }
    }

    fn item(&self, row: &Value, notes: &mut RowNotes) -> Result<Item, String> {
        match self {
            ImportFormat::Amazon2014 => amazon_2014::item(row, notes),
            ImportFormat::Amazon2023 => amazon_2023::item(row, notes),
            ImportFormat::Table(map) => map.item(row, notes),
            ImportFormat::Messages(_) => Err("messages have no rows".to_owned()),
        }
    }
}
