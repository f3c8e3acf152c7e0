//! Tells the format of a file of rows by its first bytes.

use std::io::Read;
use std::path::Path;

use super::input::{ImportInput, ImportSource};
use super::{FileEncoding, ImportFormat};

/// Number of bytes by which the format is told.
const HEAD_BYTES: u64 = 4096;

/// Marks of tables between the columns of a header.
const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];

/// Returns the format of a file of reviews: JSON with the fields of a known data set, other JSON objects,
/// or a table with a header. `None` of anything else.
pub(super) fn format_of_rows(path: &Path) -> Option<ImportFormat> {
    let source = ImportSource::File(path.to_owned());
    let input = ImportInput::open(&source, FileEncoding::default()).ok()?;
    let mut head = Vec::new();
    input.reader.take(HEAD_BYTES).read_to_end(&mut head).ok()?;
    format_of(&String::from_utf8_lossy(&head), &source.extension())
}

fn format_of(head: &str, extension: &str) -> Option<ImportFormat> {
    let head = head.trim_start_matches('\u{feff}').trim_start();
    let table = || Some(ImportFormat::Table(Box::default()));
    let has_field =
        |name: &str| head.contains(&format!("\"{name}\"")) || head.contains(&format!("'{name}'"));
    if head.starts_with('{') || head.starts_with('[') {
        if has_field("reviewerID") && has_field("reviewText") {
            return Some(ImportFormat::Amazon2014);
        }
        if has_field("user_id") && has_field("parent_asin") {
            return Some(ImportFormat::Amazon2023);
        }
        return table();
    }
    let header = head.lines().next().unwrap_or_default();
    let has_columns = header.contains(DELIMITERS) && !header.contains('\0');
    let is_named = matches!(extension, "csv" | "tsv" | "tab");
    // A sentence has commas, too; the names of columns are short.
    let are_names = header
        .split(DELIMITERS)
        .all(|name| name.chars().count() <= 40 && name.split_whitespace().count() <= 4);
    (has_columns && (is_named || are_names)).then(table).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_rows_are_told_apart() {
        let of = |head: &str, extension: &str| format_of(head, extension);
        let table = Some(ImportFormat::Table(Box::default()));
        assert_eq!(
            of("{\"reviewerID\": \"u\", \"reviewText\": \"t\"}", "json"),
            Some(ImportFormat::Amazon2014)
        );
        assert_eq!(
            of("{'user_id': 'u', 'parent_asin': 't'}", "jsonl"),
            Some(ImportFormat::Amazon2023)
        );
        assert_eq!(of("{\"user\": \"u\"}", ""), table);
        assert_eq!(of("\u{feff}user;item;text\n", ""), table);
        assert_eq!(
            of("user,item,a very long name of a column that nobody would give it, ever\n", "csv"),
            table
        );
        assert_eq!(
            of("Dear Ann, I write to you because of the tea, which is cold.\n", "txt"),
            None
        );
        assert_eq!(of("plain", "txt"), None);
        assert_eq!(of("", "csv"), None);
    }

    #[test]
    fn what_cannot_be_read_has_no_format() {
        assert_eq!(ImportFormat::detect(Path::new("no such file")), None);
        assert_eq!(ImportFormat::detect(Path::new(".")), None);
    }
}
