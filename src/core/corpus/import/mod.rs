//! Importers: from the files that reviews come in to rows of the store.
//!
//! Everything streams. Rows are committed in batches, so an import that is interrupted keeps what it
//! had committed, and one that is run again changes nothing that is there already.

mod amazon_2014;
mod amazon_2023;
mod csv_row;
mod entities;
mod fields;
mod input;
mod lines;
mod python_literal;
#[cfg(test)]
mod python_literal_tests;
mod records;
mod run;
mod table;
mod time;

pub use input::Source;
pub use run::{Import, MalformedLine, Report};
pub use table::{ColumnMap, OPTIONAL_FIELDS};

use serde_json::Value;

use super::{Item, Review};

/// What the files hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// Amazon reviews of 2014 (`reviewerID`, `asin`, `reviewText`, ...); metadata lines are Python
    /// literals or JSON.
    Amazon2014,
    /// Amazon Reviews 2023 (`user_id`, `parent_asin`, `text`, ...; times in milliseconds).
    Amazon2023,
    /// Any table or JSON lines whose columns the map names.
    Table(Box<ColumnMap>),
}

/// What to import.
#[derive(Debug, Clone)]
pub struct ImportOptions {
    /// What the files hold.
    pub format: Format,
    /// The reviews.
    pub reviews: Option<Source>,
    /// Titles, descriptions and categories of the items.
    pub items: Option<Source>,
    /// What a malformed line does.
    pub on_malformed: OnMalformed,
}

/// What a malformed line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnMalformed {
    /// It is counted and reported, and the rest goes on.
    Skip,
    /// It ends the import with an error; what was read before it is kept.
    Stop,
}

impl Format {
    /// A review, and what the row says of its item if it says anything.
    fn review(&self, row: &Value) -> Result<(Review, Option<Item>), String> {
        match self {
            Format::Amazon2014 => amazon_2014::review(row).map(|review| (review, None)),
            Format::Amazon2023 => amazon_2023::review(row).map(|review| (review, None)),
            Format::Table(map) => map.review(row),
        }
    }

    fn item(&self, row: &Value) -> Result<Item, String> {
        match self {
            Format::Amazon2014 => amazon_2014::item(row),
            Format::Amazon2023 => amazon_2023::item(row),
            Format::Table(map) => map.item(row),
        }
    }
}
