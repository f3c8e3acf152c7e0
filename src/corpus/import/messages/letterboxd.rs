//! Reviews of films: `reviews.csv` of the data that Letterboxd exports.

use std::path::Path;

use serde_json::Value;

use super::archive::{self, ExportFiles, OWNER_UNNAMED};
use super::chat_text::{self, NO_OWN_WORDS};
use super::export_rows::{self, OfRow, read_tables, rows};
use super::{ByteCount, Conversation, ExportMessage, ExportReader, MessageAuthor, OnFound, html};
use crate::Result;

/// Columns by which the table is recognized.
const COLUMNS: [&str; 4] = ["Name", "Year", "Letterboxd URI", "Review"];
/// Reason for leaving out entries without a text.
const NO_REVIEW: &str = "films without a review";

/// Whether a file begins like the table of reviews, or a folder or an archive has it beside that of the
/// profile.
pub(super) fn looks_like(path: &Path, head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    let first = text.lines().next().unwrap_or_default();
    let is_table = first.contains("Letterboxd URI") && first.contains("Review");
    is_table
        || archive::holds(path, head, |name| name.ends_with("reviews.csv"))
            && archive::holds(path, head, |name| {
                name.ends_with("watched.csv") || name.ends_with("diary.csv")
            })
}

/// Opens the table, or a folder or an archive with it.
///
/// # Errors
/// [`crate::Error::Open`].
pub(super) fn open(path: &Path) -> Result<LetterboxdReader> {
    let files = ExportFiles::open(path)?;
    let is_single = path.is_file() && files.names().count() == 1;
    // Folders of the export hold what was deleted or has lost its film.
    let is_table = |name: &str| {
        let folder = name.strip_suffix("reviews.csv").map(|folder| folder.trim_end_matches('/'));
        folder.is_some_and(|folder| !folder.ends_with("deleted") && !folder.ends_with("orphaned"))
    };
    let tables = files.named(|name| is_single || is_table(name));
    Ok(LetterboxdReader { files, tables })
}

/// Reads reviews of Letterboxd.
pub(super) struct LetterboxdReader {
    files: ExportFiles,
    tables: Vec<String>,
}

impl ExportReader for LetterboxdReader {
    fn read(&mut self, on: &mut OnFound<'_>) -> Result<()> {
        let author = self.owner();
        let tables = (&self.tables[..], &COLUMNS[..], "no file reviews.csv");
        read_tables(&self.files, tables, on, &|row| review(row, &author))
    }

    fn bytes_read(&self) -> Option<ByteCount> {
        Some(self.files.bytes_read())
    }

    fn size(&self) -> Option<u64> {
        Some(self.files.size_of(&self.tables))
    }
}

impl LetterboxdReader {
    /// The account, from `profile.csv`.
    fn owner(&self) -> MessageAuthor {
        let mut owner = MessageAuthor { name: Some(OWNER_UNNAMED.to_owned()), address: None };
        let is_profile = |name: &str| name == "profile.csv" || name.ends_with("/profile.csv");
        for name in self.files.named(is_profile) {
            let _ = rows(&self.files, &name, &["Username"], &mut |_, row| {
                let row = row.unwrap_or_default();
                let field = |name: &str| export_rows::text(&row, name);
                if let Some(username) = field("Username") {
                    let names = [field("Given Name"), field("Family Name")];
                    let full = names.into_iter().flatten().collect::<Vec<_>>().join(" ");
                    let name = if full.is_empty() { username.clone() } else { full };
                    owner = MessageAuthor { name: Some(name), address: Some(username) };
                }
                Ok(false)
            });
        }
        owner
    }
}

fn review(row: &Value, author: &MessageAuthor) -> OfRow {
    let field = |name: &str| export_rows::text(row, name);
    if row.get("Review").is_none() {
        return Err("column `Review` is missing; expected reviews.csv of Letterboxd".to_owned());
    }
    let marked = html::text_of(&field("Review").unwrap_or_default().replace('\n', "<br>"));
    let text = chat_text::own_words(&marked);
    if text.is_empty() {
        return Ok(Err(if marked.is_empty() { NO_REVIEW } else { NO_OWN_WORDS }));
    }
    let name = field("Name").ok_or("`Name` is missing")?;
    let title = match field("Year") {
        Some(year) => format!("{name} ({year})"),
        None => name,
    };
    let rating = field("Rating").and_then(|rating| rating.trim().parse().ok());
    Ok(Ok(ExportMessage {
        // The address is that of the review; a film that was seen again has several.
        id: field("Letterboxd URI"),
        author: author.clone(),
        conversation: Conversation { id: title.clone(), title: Some(title), description: None },
        time: ["Date", "Watched Date"].iter().find_map(|name| export_rows::seconds(row, name)),
        text,
        rating: rating.filter(|rating| (0.5..=5.0).contains(rating)),
        ..ExportMessage::default()
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs::File;
    use std::io::Write;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::import::messages::testing;

    const REVIEWS: &str = "\
Date,Name,Year,Letterboxd URI,Rating,Rewatch,Review,Tags,Watched Date\r
2023-01-13,\"Lake, Cold\",2009,https://boxd.it/aaaaa,4.5,Yes,\"Slow & <i>good</i>.\r

<blockquote>a line of it</blockquote>The \"\"end\"\".\",cold,2023-01-12\r
2023-01-14,Tents,2010,https://boxd.it/bbbbb,,,,,\r
2023-01-15,Poles,,https://boxd.it/ccccc,7,,Short,,\r
2023-01-16,,,https://boxd.it/ddddd,1,,No film,,\r
";

    #[test]
    fn an_archive_and_its_table() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("letterboxd-anna.zip");
        let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
        for (name, text) in [
            ("reviews.csv", REVIEWS),
            ("deleted/reviews.csv", REVIEWS),
            ("watched.csv", "Date,Name,Year,Letterboxd URI\r\n"),
            (
                "profile.csv",
                "Date Joined,Username,Given Name,Family Name,Email Address\r\n2020-01-01,anna_h,Anna,Horvat,a@x.example\r\n",
            ),
        ] {
            writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap();
        assert!(looks_like(&path, b"PK\x03\x04"));
        let read = testing::summary(&mut open(&path).unwrap());
        let [lake, poles] = &read.messages[..] else { panic!("{read:?}") };
        assert_eq!(lake.text, "Slow & good.\n\nThe \"end\".");
        assert_eq!((lake.rating, lake.time), (Some(4.5), Some(1_673_568_000)));
        assert_eq!(lake.conversation.id, "Lake, Cold (2009)");
        assert_eq!(lake.id.as_deref(), Some("https://boxd.it/aaaaa"));
        let anna =
            MessageAuthor { name: Some("Anna Horvat".into()), address: Some("anna_h".into()) };
        assert_eq!(lake.author, anna);
        assert_eq!((poles.rating, poles.conversation.id.as_str()), (None, "Poles"));
        assert_eq!(read.left, [(NO_REVIEW, 1)].into());
        assert_eq!(read.malformed.len(), 1, "{:?}", read.malformed);

        let alone = folder.path().join("reviews.csv");
        std::fs::write(&alone, &REVIEWS[..REVIEWS.find("The \"\"").unwrap()]).unwrap();
        let cut = testing::summary(&mut open(&alone).unwrap());
        assert_eq!((cut.messages.len(), cut.malformed.is_empty()), (0, false));
    }

    proptest! {
        #[test]
        fn any_row_is_read(values in prop::collection::vec(crate::import::python_literal_tests::any_json(), 0..6)) {
            let mut row = json!({});
            for (name, value) in ["Review", "Name", "Year", "Rating", "Date", "Letterboxd URI"].iter().zip(&values) {
                row[*name] = value.clone();
            }
            if let Ok(Ok(message)) = review(&row, &MessageAuthor::default()) {
                prop_assert!(!message.text.trim().is_empty());
            }
        }
    }
}
