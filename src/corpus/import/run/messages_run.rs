//! The import of messages: readers hand over what they find, which becomes reviews and counts.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::Path;

use idiolect_engine::progress::ProgressStage;

use super::{Batch, ImportTarget};
use crate::import::messages::{ByteCount, ExportReader, Found, MessageReviews, People};
use crate::import::notes;
use crate::import::{ImportFormat, ImportOptions, ImportSource};
use crate::{Error, Item, Result, SourceReview};

/// An export of messages, opened.
pub(super) struct OpenExport {
    name: String,
    reader: Box<dyn ExportReader>,
    reviews: MessageReviews,
    /// How the user of the program is named.
    me: Option<String>,
}

impl OpenExport {
    /// Opens the export that the options name.
    pub(super) fn open(options: &ImportOptions) -> Result<Self> {
        let refuse = |source_name: String, problem: &str| Error::Open {
            source_name,
            source: io::Error::new(io::ErrorKind::InvalidInput, problem),
        };
        let ImportFormat::Messages(format) = options.format else {
            return Err(refuse("an export".to_owned(), "is in no format of messages"));
        };
        let path: &Path = match (&options.reviews, &options.items) {
            (Some(ImportSource::File(path)), None) => path,
            (_, Some(items)) => {
                return Err(refuse(items.to_string(), "messages have no file of items"));
            }
            _ => {
                let problem = "messages are read from a file or a folder; name it";
                return Err(refuse("standard input".to_owned(), problem));
            }
        };
        Ok(Self {
            name: path.display().to_string(),
            reader: format.open(path)?,
            reviews: MessageReviews::new(format, People::new(&options.people)),
            me: options.people.me.first().cloned(),
        })
    }

    /// Reads the export and commits it in batches.
    ///
    /// # Errors
    /// As [`super::Import::run`].
    pub(super) fn read(mut self, target: &mut ImportTarget<'_>) -> Result<()> {
        let _stage = ProgressStage::begin(target.progress, "reading messages", self.reader.size());
        target.begin(self.name);
        let bytes = self.reader.bytes_read();
        let mut rows = MessageBatch::default();
        let reviews = &mut self.reviews;
        let read = self.reader.read(&mut |found| {
            if target.progress.stop_requested() {
                return Err(Error::Stopped);
            }
            let malformed = match found {
                Found::Message(message) => match reviews.take(message) {
                    Ok(complete) => {
                        rows.take(complete);
                        None
                    }
                    Err(reason) => Some((target.file.clone(), reason)),
                },
                Found::Left { reason } => {
                    target.n_read += 1;
                    notes::add_drop(&mut target.report.left_out, &target.file, reason);
                    None
                }
                Found::Malformed { place, reason } => Some((place, reason)),
            };
            if let Some((place, reason)) = malformed {
                target.note_malformed((place, 0), None, reason)?;
            }
            if rows.batch.is_full() {
                rows.commit(target, bytes.as_ref())?;
            }
            Ok(true)
        });
        // What was read before an error or a stop is kept.
        rows.take(self.reviews.finish());
        rows.commit(target, bytes.as_ref())?;
        read?;
        target.end_counts();
        let people = self.reviews.people();
        target.report.merged = people.merged();
        target.report.me_missing = self.me.is_some_and(|me| !people.knows(&me));
        Ok(())
    }
}

/// A batch of reviews. Each item is stored once.
#[derive(Default)]
struct MessageBatch {
    batch: Batch,
    /// Hashes of the items that were taken.
    items: HashSet<u64>,
    hasher: RandomState,
    /// Number of bytes that were reported as progress.
    reported: u64,
}

impl MessageBatch {
    fn take(&mut self, rows: Vec<(SourceReview, Item)>) {
        for (review, item) in rows {
            if self.items.insert(self.hasher.hash_one(&item.id)) {
                self.batch.take_item(item);
            }
            self.batch.bytes += review.review.text.len() + review.context.text.len();
            self.batch.reviews.push(review);
            self.batch.lines.push(0);
        }
    }

    fn commit(&mut self, target: &mut ImportTarget<'_>, bytes: Option<&ByteCount>) -> Result<()> {
        target.commit(&mut self.batch)?;
        // Threads and chats have no descriptions.
        target.report.items_without_description = 0;
        if let Some(bytes) = bytes.map(ByteCount::get) {
            target.progress.advance(bytes.saturating_sub(self.reported));
            self.reported = bytes;
        }
        Ok(())
    }
}
