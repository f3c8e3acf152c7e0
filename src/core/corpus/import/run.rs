//! The import: reads rows, commits them in batches and counts the outcomes.

use super::input::ImportSource;
use super::records::{ImportRecord, Records, Syntax};
use super::{ImportFormat, ImportOptions, OnMalformed};
use crate::corpus::{Counts, Error, ImportSession, Item, Result, Review, Store, UpsertOutcome};
use idiolect_engine::progress::{Progress, ProgressStage};

/// A batch is committed when it reaches this number of rows or of bytes of text: large enough that
/// waiting for the disk costs little, small enough that an interruption loses little.
const ROWS_IN_BATCH: usize = 2000;
const BYTES_IN_BATCH: usize = 4 << 20;

/// Number of malformed lines per file that are kept for display; all are counted.
const MAX_SHOWN_PER_FILE: usize = 10;

/// A line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct MalformedLine {
    /// The file.
    pub file: String,
    /// Number of the line, from 1.
    pub line: u64,
    /// Reason why it could not be read.
    pub reason: String,
}

/// Counts of an import's rows by outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// Number of reviews read, duplicates included.
    pub reviews_read: u64,
    /// Number of items read.
    pub items_read: u64,
    /// Number of reviews inserted as new.
    pub new: u64,
    /// Number of reviews that replaced an older one.
    pub replaced: u64,
    /// Number of reviews that were already in the store.
    pub unchanged: u64,
    /// Number of reviews not stored because the store has a newer one of the same user on the same
    /// item, or one with the same time that this import met before.
    pub outdated: u64,
    /// Number of reviews after the first of the same user on the same item in this import.
    pub duplicates: u64,
    /// Number of malformed lines.
    pub malformed: u64,
    /// The first malformed lines of each file, at most ten per file.
    pub malformed_lines: Vec<MalformedLine>,
}

/// An import with open files and checked columns.
pub struct Import {
    format: ImportFormat,
    on_malformed: OnMalformed,
    items: Option<Records>,
    reviews: Option<Records>,
}

#[derive(Default)]
struct Batch {
    items: Vec<Item>,
    reviews: Vec<Review>,
    bytes: usize,
}

/// Adds a row to the batch, or returns its line number and the reason why it is malformed.
type Take = fn(&Import, ImportRecord, &mut Batch) -> Result<(), (u64, String)>;

impl Import {
    /// Opens the files and checks the columns of tables; nothing is stored yet.
    pub fn open(options: &ImportOptions) -> Result<Self> {
        let format = options.format.clone();
        let syntax = match format {
            ImportFormat::Amazon2014 => Syntax::JsonOrPython,
            ImportFormat::Amazon2023 | ImportFormat::Table(_) => Syntax::Json,
        };
        let open = |source: &Option<ImportSource>| {
            source.as_ref().map(|source| Records::open(source, syntax)).transpose()
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
        Ok(Self { format, on_malformed: options.on_malformed, items, reviews })
    }

    /// Imports the items, then the reviews. Rows are committed in batches. Progress counts the
    /// bytes of the files and covers only committed rows. If `progress` requests a stop, the import
    /// commits the rows read so far and returns [`Error::Stopped`].
    pub fn run(mut self, store: &Store, progress: &dyn Progress) -> Result<(ImportReport, Counts)> {
        let (report, session) = (ImportReport::default(), ImportSession::default());
        let mut target = ImportTarget { store, session, report, progress };
        let stages: [(_, _, Take); 2] = [
            (self.items.take(), "reading items", Self::take_item),
            (self.reviews.take(), "reading reviews", Self::take_review),
        ];
        for (records, what, take) in stages {
            let Some(mut records) = records else { continue };
            let _stage = ProgressStage::begin(progress, what, records.size());
            self.file(&mut records, take, &mut target)?;
        }
        Ok((target.report, store.counts()?))
    }

    fn file(&self, records: &mut Records, take: Take, target: &mut ImportTarget<'_>) -> Result<()> {
        let mut batch = Batch::default();
        let mut reported = 0;
        let mut shown = 0;
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
            if let Some(Err((line, reason))) = record.map(|record| take(self, record, &mut batch)) {
                let file = records.source().to_string();
                if self.on_malformed == OnMalformed::Stop {
                    target.commit(&mut batch)?;
                    return Err(Error::Malformed { source_name: file, line, reason });
                }
                target.report.malformed += 1;
                if shown < MAX_SHOWN_PER_FILE {
                    shown += 1;
                    target.report.malformed_lines.push(MalformedLine { file, line, reason });
                }
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

    fn take_item(&self, record: ImportRecord, batch: &mut Batch) -> Result<(), (u64, String)> {
        let item = record.row.and_then(|row| self.format.item(&row));
        batch.take_item(item.map_err(|reason| (record.line, reason))?);
        Ok(())
    }

    fn take_review(&self, record: ImportRecord, batch: &mut Batch) -> Result<(), (u64, String)> {
        let read = record.row.and_then(|row| self.format.review(&row));
        let (review, item) = read.map_err(|reason| (record.line, reason))?;
        if let Some(item) = item {
            batch.take_item(item);
        }
        batch.bytes += review.text.len();
        batch.reviews.push(review);
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
}

impl ImportTarget<'_> {
    /// Stores a batch in one transaction, counts the outcomes and empties the batch.
    fn commit(&mut self, batch: &mut Batch) -> Result<()> {
        let Batch { items, reviews, .. } = std::mem::take(batch);
        let upserts = self.store.put_rows(&mut self.session, &items, &reviews)?;
        let report = &mut self.report;
        report.items_read += items.len() as u64;
        report.reviews_read += reviews.len() as u64;
        for upsert in upserts {
            report.duplicates += u64::from(upsert.duplicate);
            *match upsert.outcome {
                UpsertOutcome::New => &mut report.new,
                UpsertOutcome::Replaced => &mut report.replaced,
                UpsertOutcome::Same => &mut report.unchanged,
                UpsertOutcome::Older | UpsertOutcome::Tied => &mut report.outdated,
            } += 1;
        }
        Ok(())
    }
}

/// Returns the name and the columns of a source with a header; `None` for an empty file.
fn named_header(records: &Records) -> Option<(String, &[String])> {
    let header = records.header().filter(|header| !header.is_empty())?;
    Some((records.source().to_string(), header))
}
