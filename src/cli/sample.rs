//! The sample corpus, compiled into the program.

use anyhow::Context as _;
use idiolect::corpus::import::{
    ColumnMap, Delimiter, FileEncoding, Import, ImportFormat, ImportOptions, ImportSource,
    OnMalformed, PersonNames,
};
use idiolect::corpus::{Counts, KeptReviews, Store, StoredReview, Target};
use idiolect::progress::Progress;

const REVIEWS: &str = include_str!("../../data/sample/reviews.jsonl");
const ITEMS: &str = include_str!("../../data/sample/items.jsonl");
const COLUMNS: &str = "user=user,item=item,text=text,rating=rating,title=title,time=time";

/// User whose newest review `bench` writes.
pub(crate) const USER: &str = "mina";
/// Maximum numbers of tokens of a text, and of each difference and the profile, for short runs;
/// `write` uses the values of the task.
pub(crate) const TEXT_TOKENS: usize = 160;
pub(crate) const PROFILE_TOKENS: usize = 120;

/// Imports the sample into the store; rows that are already there are left unchanged.
pub(crate) fn import(store: &Store, progress: &dyn Progress) -> anyhow::Result<Counts> {
    let folder = tempfile::tempdir().context("a folder for the sample")?;
    let place = |name: &str, text: &str| -> anyhow::Result<Option<ImportSource>> {
        let path = folder.path().join(name);
        std::fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        Ok(Some(ImportSource::File(path)))
    };
    let import = Import::open(&ImportOptions {
        format: ImportFormat::Table(Box::new(ColumnMap::parse(COLUMNS)?)),
        reviews: place("reviews.jsonl", REVIEWS)?,
        items: place("items.jsonl", ITEMS)?,
        kept: KeptReviews::All,
        on_malformed: OnMalformed::Stop,
        encoding: FileEncoding::default(),
        delimiter: Delimiter::default(),
        people: PersonNames::default(),
    })?;
    Ok(import.run(store, progress)?.1)
}

/// Target of a held-out review: user, item, rating and title, as DPL gets them.
pub(crate) fn target(store: &Store, held_out: &StoredReview) -> anyhow::Result<Target> {
    Ok(held_out.as_target(store.item(&held_out.review.item)?))
}
