//! The import: reads rows or messages, commits them in batches and counts the outcomes.

mod messages_run;

use std::io::{self, Read};

use super::encoding::{EncodedFile, FileEncoding};
use super::input::{ImportInput, ImportSource};
use super::notes::{self, DefaultedField, DroppedRows, RowNotes};
use super::records::{FileSettings, ImportRecord, Records};
use super::{ImportFormat, ImportOptions, MergedPerson, OnMalformed};
use crate::{
    Counts, Error, ImportSession, Item, KeptReviews, Result, SourceReview, Store, UpsertOutcome,
};
use serde_json::Value;

use idiolect_engine::progress::{Progress, ProgressStage};

/// A batch is committed when it reaches this number of rows or of bytes of text: large enough that
/// waiting for the disk costs little, small enough that an interruption loses little.
const ROWS_IN_BATCH: usize = 2000;
const BYTES_IN_BATCH: usize = 4 << 20;

/// Number of malformed lines per file that are kept for display; all are counted.
const MAX_SHOWN_PER_FILE: usize = 10;

/// A line, or a message, that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MalformedLine {
    /// The file; of a message also its place in the file.
    pub file: String,
    /// Number of the line, from 1; 0 of a message.
    pub line: u64,
    /// Reason why it could not be read.
    pub reason: String,
}

/// Counts of an import's rows by outcome. Every review that was read is counted once: as new, updated,
/// unchanged, outdated, duplicate, or, if its identifier is taken, as malformed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Number of reviews read, duplicates included, malformed lines not.
    pub reviews_read: u64,
    /// Number of items read.
    pub items_read: u64,
    /// Number of reviews inserted as new.
    pub new: u64,
    /// Number of new reviews of a user who already had one of the item.
    pub further: u64,
    /// Number of reviews that replaced an older version of before this import, or, if only the newest
    /// of a user on an item is kept, an older review.
    pub updated: u64,
    /// Number of reviews that were already in the store.
    pub unchanged: u64,
    /// Number of reviews not stored because the store has a newer version, or, if only the newest of
    /// a user on an item is kept, a newer review.
    pub outdated: u64,
    /// Number of reviews after the first version in this import; if only the newest of a user on an
    /// item is kept, after their first one of the item.
    pub duplicates: u64,
    /// Number of stored reviews that were deleted besides those that were updated: older ones of a
    /// user on an item if only the newest is kept, and versions without the identifier that another
    /// version has.
    pub removed: u64,
    /// Number of malformed lines.
    pub malformed: u64,
    /// The first malformed lines of each file, at most ten per file.
    pub malformed_lines: Vec<MalformedLine>,
    /// Malformed rows by file and reason.
    pub dropped: Vec<DroppedRows>,
    /// Optional values that count as missing, by file, field and reason.
    pub defaulted: Vec<DefaultedField>,
    /// Files whose encoding is not UTF-8.
    pub encoded: Vec<EncodedFile>,
    /// Files with malformed rows and no other ones.
    pub unread_files: Vec<String>,
    /// Number of rows of tables with fewer fields than the header.
    pub short_rows: u64,
    /// Number of items read without a description.
    pub items_without_description: u64,
    /// Messages that are no texts of persons, by file and reason.
    pub left_out: Vec<DroppedRows>,
    /// Authors of messages with several names or addresses.
    pub merged: Vec<MergedPerson>,
    /// Whether the user of the program named themself and no message is theirs.
    pub me_missing: bool,
}

/// An import with open files and checked columns.
pub struct Import {
    format: ImportFormat,
    kept: KeptReviews,
    on_malformed: OnMalformed,
    items: Option<Records>,
    reviews: Option<Records>,
    messages: Option<messages_run::OpenExport>,
}

#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    reviews: Vec<SourceReview>,
    /// Number of the line of each review.
    lines: Vec<u64>,
    /// Optional values that could not be read, by line.
    notes: Vec<(u64, RowNotes)>,
    bytes: usize,
}

/// Adds one row, which stands on the given line, to the batch, or returns the reason why it is malformed.
type Take = fn(&Import, (&Value, u64), &mut Batch) -> Result<(), String>;

impl Import {
    /// Opens the files and checks the columns of tables; nothing is stored yet.
    pub fn open(options: &ImportOptions) -> Result<Self> {
        let format = options.format.clone();
        let (kept, on_malformed) = (options.kept, options.on_malformed);
        if let ImportFormat::Messages(_) = format {
            let messages = Some(messages_run::OpenExport::open(options)?);
            return Ok(Self { format, kept, on_malformed, items: None, reviews: None, messages });
        }
        // Files of items may have columns of these plain names.
        let mut columns = format.columns();
        columns.extend(["description", "categories"].map(str::to_owned));
        let settings =
            FileSettings { encoding: options.encoding, delimiter: options.delimiter, columns };
        let open = |source: &Option<ImportSource>| {
            source.as_ref().map(|source| Records::open(source, &settings)).transpose()
        };
        let (items, reviews) = (open(&options.items)?, open(&options.reviews)?);
        if let ImportFormat::Table(map) = &format {
            if let Some((name, header)) = reviews.as_ref().and_then(named_header) {
                map.check_reviews(&name, header, items.is_some())?;
            }
            if let Some((name, header)) = items.as_ref().and_then(named_header) {
                map.check_items(&name, header)?;
            }
        }
        Ok(Self { format, kept, on_malformed, items, reviews, messages: None })
    }

    /// Opens an import of reviews that are in no file: `rows` reads one JSON object a line, and messages call
    /// them `name`. If all rows have the same `columns`, these are checked like a header. Items may come
    /// from a file of the options.
    ///
    /// # Errors
    /// As [`Import::open`]; the format is one of messages, which are read from files only.
    pub fn of_rows(
        options: &ImportOptions,
        name: &str,
        columns: Option<&[String]>,
        rows: Box<dyn Read>,
    ) -> Result<Self> {
        if let ImportFormat::Messages(_) = options.format {
            let source = io::Error::other("messages are read from files and folders only");
            return Err(Error::Open { source_name: name.to_owned(), source });
        }
        let import = Self::open(&ImportOptions { reviews: None, ..options.clone() })?;
        if let (ImportFormat::Table(map), Some(columns)) = (&import.format, columns) {
            map.check_reviews(name, columns, import.items.is_some())?;
        }
        let source = ImportSource::File(name.into());
        let input = ImportInput::of_reader(name, rows, FileEncoding::default())?;
        let reviews = Records::of_input(&source, input, &FileSettings::default())?;
        Ok(Self { reviews: Some(reviews), ..import })
    }

    /// Imports the items, then the reviews. Rows are committed in batches. Progress counts the
    /// bytes of the files and covers only committed rows. If `progress` requests a stop, the import
    /// commits the rows read so far and returns [`Error::Stopped`].
    pub fn run(mut self, store: &Store, progress: &dyn Progress) -> Result<(ImportReport, Counts)> {
        let session = ImportSession::keeping(self.kept);
        let session = match self.on_malformed {
            OnMalformed::Stop => session.stopping_at_taken_ids(),
            OnMalformed::Skip => session,
        };
        let mut target = ImportTarget {
            store,
            session,
            report: ImportReport::default(),
            progress,
            on_malformed: self.on_malformed,
            file: String::new(),
            n_shown: 0,
            n_read: 0,
            n_malformed: 0,
        };
        if let Some(messages) = self.messages.take() {
            // Authors may be named otherwise than in an earlier import.
            target.session = target.session.renaming_users();
            messages.read(&mut target)?;
        }
        let stages: [(_, _, Take); 2] = [
            (self.items.take(), "reading items", Self::take_item),
            (self.reviews.take(), "reading reviews", Self::take_review),
        ];
        for (records, what, take) in stages {
            let Some(mut records) = records else { continue };
            let _stage = ProgressStage::begin(progress, what, records.size());
            target.begin(records.source().to_string());
            self.file(&mut records, take, &mut target)?;
            target.end(&records);
            // Taken ids are found when a batch is stored, after malformed lines behind them.
            let lines = &mut target.report.malformed_lines;
            let start = lines.len() - target.n_shown;
            lines[start..].sort_by_key(|malformed| malformed.line);
        }
        Ok((target.report, store.counts()?))
    }

    fn file(&self, records: &mut Records, take: Take, target: &mut ImportTarget<'_>) -> Result<()> {
        let mut batch = Batch::default();
        let mut reported = 0;
        loop {
            if target.progress.stop_requested() {
                target.commit(&mut batch)?;
                return Err(Error::Stopped);
            }
            let record = match records.next() {
                Ok(record) => record,
                Err(error) => {
                    target.commit(&mut batch)?;
                    return Err(error);
                }
            };
            let ended = record.is_none();
            if let Some(record) = record {
                self.record(record, take, (&mut batch, target))?;
            }
            if ended || batch.is_full() {
                target.commit(&mut batch)?;
                target.progress.advance(records.bytes_read() - reported);
                reported = records.bytes_read();
            }
            if ended {
                return Ok(());
            }
        }
    }

    /// Takes the rows of a record.
    fn record(
        &self,
        record: ImportRecord,
        take: Take,
        (batch, target): (&mut Batch, &mut ImportTarget<'_>),
    ) -> Result<()> {
        let line = record.line;
        let rows = match record.row.and_then(|row| self.format.rows(row)) {
            Ok(rows) => rows,
            Err(reason) => return self.malformed(line, reason, (batch, target)),
        };
        for row in &rows {
            if let Err(reason) = take(self, (row, line), batch) {
                self.malformed(line, reason, (batch, target))?;
            }
        }
        Ok(())
    }

    fn malformed(
        &self,
        line: u64,
        reason: String,
        (batch, target): (&mut Batch, &mut ImportTarget<'_>),
    ) -> Result<()> {
        if self.on_malformed == OnMalformed::Stop {
            target.commit(batch)?;
        }
        target.note_malformed((target.file.clone(), line), None, reason)
    }

    fn take_item(&self, (row, line): (&Value, u64), batch: &mut Batch) -> Result<(), String> {
        let mut notes = RowNotes::default();
        let item = self.format.item(row, &mut notes)?;
        batch.take_item(item);
        batch.notes.push((line, notes));
        Ok(())
    }

    fn take_review(&self, (row, line): (&Value, u64), batch: &mut Batch) -> Result<(), String> {
        let mut notes = RowNotes::default();
        let (review, item) = self.format.review(row, &mut notes)?;
        if let Some(item) = item {
            batch.take_item(item);
        }
        batch.bytes += review.review.text.len();
        batch.reviews.push(review);
        batch.lines.push(line);
        batch.notes.push((line, notes));
        Ok(())
    }
}

impl Batch {
    fn take_item(&mut self, item: Item) {
        self.bytes += item.description.len();
        self.items.push(item);
    }

    fn is_full(&self) -> bool {
        self.items.len().max(self.reviews.len()) >= ROWS_IN_BATCH || self.bytes >= BYTES_IN_BATCH
    }
}

/// Destination of an import's rows, with the counts so far.
struct ImportTarget<'a> {
    store: &'a Store,
    session: ImportSession,
    report: ImportReport,
    progress: &'a dyn Progress,
    on_malformed: OnMalformed,
    /// Name of the file that is read.
    file: String,
    /// Number of its malformed lines that are kept for display.
    n_shown: usize,
    /// Number of its rows that were read.
    n_read: u64,
    /// Number of its malformed rows.
    n_malformed: u64,
}

impl ImportTarget<'_> {
    /// Begins a file.
    fn begin(&mut self, file: String) {
        (self.file, self.n_shown, self.n_read, self.n_malformed) = (file, 0, 0, 0);
    }

    /// Ends a file.
    fn end(&mut self, records: &Records) {
        self.report.encoded.extend(records.encoded());
        self.report.short_rows += records.n_short();
        self.end_counts();
    }

    /// Notes a file of which nothing could be read.
    fn end_counts(&mut self) {
        let report = &mut self.report;
        if self.n_read == 0 && self.n_malformed > 0 {
            report.unread_files.push(self.file.clone());
        }
    }

    /// Stores a batch in one transaction, counts the outcomes and empties the batch.
    fn commit(&mut self, batch: &mut Batch) -> Result<()> {
        let Batch { items, reviews, lines, notes, .. } = std::mem::take(batch);
        self.n_read += (items.len() + reviews.len()) as u64;
        for (line, notes) in notes {
            notes::add_defaults(&mut self.report.defaulted, &self.file, line, notes);
        }
        let undescribed = items.iter().filter(|item| item.description.is_empty()).count();
        self.report.items_without_description += undescribed as u64;
        let upserts = self.store.put_rows(&mut self.session, &items, &reviews)?;
        self.report.items_read += items.len() as u64;
        for ((upsert, stored), line) in upserts.into_iter().zip(&reviews).zip(lines) {
            if let Some((user, item)) = upsert.holder {
                let id = stored.id.as_deref().unwrap_or_default();
                let reason = format!(
                    "id `{id}` belongs to a review by `{user}` of `{item}`; an id must be unique in \
                     the store, or name no column for it with --map id="
                );
                let place = (self.file.clone(), line);
                self.note_malformed(place, Some("an id that belongs to another review"), reason)?;
                continue;
            }
            let report = &mut self.report;
            report.reviews_read += 1;
            report.further += u64::from(upsert.further);
            report.removed += upsert.removed;
            *match upsert.outcome {
                _ if upsert.duplicate => &mut report.duplicates,
                UpsertOutcome::New => &mut report.new,
                UpsertOutcome::Replaced => &mut report.updated,
                UpsertOutcome::Same => &mut report.unchanged,
                UpsertOutcome::Older => &mut report.outdated,
                // Only a version that this import has seen ties; one whose id is taken has a holder.
                UpsertOutcome::Tied | UpsertOutcome::IdTaken => &mut report.duplicates,
            } += 1;
        }
        Ok(())
    }

    /// Counts a malformed line or message, under `kind` or what its reason has in common with others', and
    /// keeps it for display. Of a message the number of the line is 0.
    ///
    /// # Errors
    /// [`Error::Malformed`] or [`Error::MalformedMessage`] if the import stops at such lines.
    fn note_malformed(
        &mut self,
        (file, line): (String, u64),
        kind: Option<&str>,
        reason: String,
    ) -> Result<()> {
        if self.on_malformed == OnMalformed::Stop {
            return Err(match line {
                0 => Error::MalformedMessage { place: file, reason },
                line => Error::Malformed { source_name: file, line, reason },
            });
        }
        self.report.malformed += 1;
        self.n_malformed += 1;
        notes::add_drop(&mut self.report.dropped, &self.file, kind.unwrap_or(&reason));
        if self.n_shown < MAX_SHOWN_PER_FILE {
            self.n_shown += 1;
            self.report.malformed_lines.push(MalformedLine { file, line, reason });
        }
        Ok(())
    }
}

/// Returns the name and the columns of a source with a header; `None` for an empty file.
fn named_header(records: &Records) -> Option<(String, &[String])> {
    let header = records.header().filter(|header| !header.is_empty())?;
    Some((records.name(), header))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::import::{ColumnMap, Delimiter, MessageFormat, PersonNames};
    use idiolect_engine::progress::Silent;

    fn options(format: ImportFormat) -> ImportOptions {
        ImportOptions {
            format,
            reviews: None,
            items: None,
            kept: KeptReviews::All,
            on_malformed: OnMalformed::Skip,
            encoding: FileEncoding::default(),
            delimiter: Delimiter::default(),
            people: PersonNames::default(),
        }
    }

    #[test]
    fn rows_of_no_file_are_imported_like_those_of_one() {
        let map = ColumnMap::parse("user=who,text=body").unwrap();
        let options = options(ImportFormat::Table(Box::new(map)));
        let rows =
            b"{\"who\": \"ann\", \"item\": \"x\", \"body\": \"It hums.\"}\n{\"who\": \"bo\"}\n";
        let store = Store::in_memory().unwrap();
        let import = Import::of_rows(&options, "the table", None, Box::new(&rows[..])).unwrap();
        let (report, counts) = import.run(&store, &Silent).unwrap();
        assert_eq!((report.new, report.malformed, counts.reviews), (1, 1, 1));
        let bad = &report.malformed_lines[0];
        assert_eq!((bad.file.as_str(), bad.line), ("the table", 2));
        assert_eq!(store.history("ann").unwrap()[0].review.text, "It hums.");
    }

    #[test]
    fn fixed_columns_are_checked_before_a_row_is_read() {
        let options_of_table = options(ImportFormat::Table(Box::default()));
        let columns = ["user", "text"].map(str::to_owned);
        let refused =
            Import::of_rows(&options_of_table, "the table", Some(&columns), Box::new(io::empty()));
        assert!(matches!(refused, Err(Error::NoColumn { column, .. }) if column == "item"));
        let mails = options(ImportFormat::Messages(MessageFormat::ALL[0]));
        let refused = Import::of_rows(&mails, "the table", None, Box::new(io::empty()));
        assert!(matches!(refused, Err(Error::Open { .. })));
    }
}
