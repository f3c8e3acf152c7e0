//! Reviews of books: the table that Goodreads exports of one's library.

use std::path::Path;

use serde_json::Value;

use super::archive::{self, ExportFiles, OWNER_UNNAMED};
use super::export_rows::{self, OfRow, read_tables};
use super::{ByteCount, Conversation, ExportMessage, ExportReader, MessageAuthor, OnFound, html};
use crate::Result;

/// Columns by which the table is recognized.
const COLUMNS: [&str; 4] = ["Book Id", "Title", "My Rating", "My Review"];
/// Reason for leaving out books without a review.
const NO_REVIEW: &str = "books without a review";

/// Whether a file begins like an exported library, or a folder or an archive has a file of its name.
pub(super) fn looks_like(path: &Path, head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let first = text.lines().next().unwrap_or_default();
    COLUMNS.iter().all(|column| first.contains(column))
        || archive::holds(path, head, |name| name.contains("goodreads_library_export"))
}

/// Opens the table, or a folder or an archive with it.
///
/// # Errors
/// [`crate::Error::Open`].
pub(super) fn open(path: &Path) -> Result<GoodreadsReader> {
    let files = ExportFiles::open(path)?;
    let is_single = path.is_file() && files.names().count() == 1;
    let is_library = |name: &str| name.contains("goodreads") && name.ends_with(".csv");
    let tables = files.named(|name| is_single || is_library(name));
    Ok(GoodreadsReader { files, tables })
}

/// Reads libraries of Goodreads.
pub(super) struct GoodreadsReader {
    files: ExportFiles,
    tables: Vec<String>,
}

impl ExportReader for GoodreadsReader {
    fn read(&mut self, on: &mut OnFound<'_>) -> Result<()> {
        let missing = "no file goodreads_library_export.csv";
        read_tables(&self.files, (&self.tables, &COLUMNS, missing), on, &review)
    }

    fn bytes_read(&self) -> Option<ByteCount> {
        Some(self.files.bytes_read())
    }

    fn size(&self) -> Option<u64> {
        Some(self.files.size_of(&self.tables))
    }
}

fn review(row: &Value) -> OfRow {
    let field = |name: &str| export_rows::text(row, name);
    if row.get("My Review").is_none() {
        return Err("column `My Review` is missing; expected a library of Goodreads".to_owned());
    }
    let text = html::text_of(&field("My Review").unwrap_or_default().replace('\n', "<br>"));
    if text.is_empty() {
        return Ok(Err(NO_REVIEW));
    }
    let title = field("Title");
    let id =
        field("Book Id").or_else(|| title.clone()).ok_or("`Book Id` and `Title` are missing")?;
    // 0 stands for no rating.
    let rating = field("My Rating").and_then(|rating| rating.trim().parse().ok());
    // Without an id: books have the same ones in the libraries of other people.
    Ok(Ok(ExportMessage {
        author: MessageAuthor { name: Some(OWNER_UNNAMED.to_owned()), address: None },
        conversation: Conversation {
            id,
            title,
            description: field("Author").map(|author| format!("by {}", author.trim())),
        },
        time: ["Date Read", "Date Added"].iter().find_map(|name| export_rows::seconds(row, name)),
        text,
        rating: rating.filter(|rating| (1.0..=5.0).contains(rating)),
        ..ExportMessage::default()
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::import::messages::testing::{self, Summary};

    const HEADER: &str = "Book Id,Title,Author,Author l-f,Additional Authors,ISBN,ISBN13,My Rating,Average Rating,Publisher,Binding,Number of Pages,Year Published,Original Publication Year,Date Read,Date Added,Bookshelves,Bookshelves with positions,Exclusive Shelf,My Review,Spoiler,Private Notes,Read Count,Owned Copies";

    fn read(rows: &str) -> Summary {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("goodreads_library_export.csv");
        fs::write(&path, format!("{HEADER}\n{rows}")).unwrap();
        assert!(looks_like(&path, HEADER.as_bytes()) && looks_like(folder.path(), b""));
        testing::summary(&mut open(folder.path()).unwrap())
    }

    #[test]
    fn a_library() {
        let read = read("\
77,\"The Cold Lake (Tamsel, #1)\",Mira Stenmark,\"Stenmark, Mira\",,\"=\"\"0000000001\"\"\",\"=\"\"\"\"\",4,3.91,Heron,Paperback,212,2011,2009,2023/01/13,2022/12/24,\"lakes, cold\",\"lakes (#1)\",read,\"Slow &amp; good.<br/><br/>The <i>end</i> is < the start.\",,mine,1,0
78,Tents,Bo Lind,\"Lind, Bo\",,,,0,3.00,,,,,,,2022/12/25,,,to-read,,,,0,0
79,Poles,Bo Lind,\"Lind, Bo\",,,,9,3.00,,,,,,someday,,,,read,Short.,,,1,0
,,,,,,,3,,,,,,,,,,,read,Nothing,,,,
80,\"Cut
");
        let [lake, poles] = &read.messages[..] else { panic!("{read:?}") };
        assert_eq!(lake.text, "Slow & good.\n\nThe end is < the start.");
        assert_eq!((lake.rating, lake.time), (Some(4.0), Some(1_673_568_000)));
        assert_eq!(lake.conversation.title.as_deref(), Some("The Cold Lake (Tamsel, #1)"));
        assert_eq!(lake.conversation.description.as_deref(), Some("by Mira Stenmark"));
        assert_eq!(
            (lake.conversation.id.as_str(), lake.author.name.as_deref()),
            ("77", Some("me"))
        );
        assert_eq!((poles.rating, poles.time), (None, None));
        assert_eq!(read.left, [(NO_REVIEW, 1)].into());
        assert_eq!(read.malformed.len(), 2, "{:?}", read.malformed);
    }

    #[test]
    fn another_table_is_refused_row_by_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.csv");
        fs::write(&path, "a,b\n1,2\n").unwrap();
        let read = testing::summary(&mut open(&path).unwrap());
        assert!(
            read.malformed[0].1.contains("`My Review` is missing")
                && read.malformed[0].0.ends_with("line 2")
        );
    }

    proptest! {
        #[test]
        fn any_row_is_read(values in prop::collection::vec(crate::import::python_literal_tests::any_json(), 0..6)) {
            let mut row = json!({});
            for (name, value) in ["My Review", "Book Id", "Title", "My Rating", "Date Read", "Author"].iter().zip(&values) {
                row[*name] = value.clone();
            }
            if let Ok(Ok(message)) = review(&row) {
                prop_assert!(!message.text.trim().is_empty());
            }
        }
    }
}
