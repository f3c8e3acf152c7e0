//! `idiolect import`.

use anyhow::bail;
use idiolect::corpus::import::{
    ColumnMap, Import, ImportFormat, ImportOptions, ImportReport, ImportSource, OnMalformed,
};
use idiolect::corpus::{KeptReviews, Store};

use super::context::Context;
use super::{output, values};

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Format of the files: Amazon reviews of 2014 (amazon-2014) or 2023 (amazon-2023), or any CSV or
    /// JSON lines (table, see --map)
    #[arg(long, value_name = "NAME", value_parser = values::named::<FormatName>())]
    format: FormatName,
    /// File of reviews: .json, .jsonl, .csv or .tsv, plain or .gz; `-` is standard input
    #[arg(long, value_name = "FILE", required_unless_present = "items")]
    reviews: Option<String>,
    /// File of items with titles, descriptions and categories; without it, they are taken from the
    /// file of reviews if it has them
    #[arg(long, value_name = "FILE")]
    items: Option<String>,
    /// Columns of a table, if their names differ from the fields. Fields: user, item, text, id,
    /// rating, title, time, item_title, item_description, item_categories; in the file of items also
    /// title, description, categories. Times are seconds, milliseconds or dates
    /// (2014-07-06T12:30:00Z). `id=` ignores a column named id
    #[arg(long, value_name = "FIELD=COLUMN,...")]
    map: Option<String>,
    /// Reviews to keep if a user has several of an item: all, or newest, which suits sites where a
    /// review is edited in place [default: newest for the Amazon formats, all for tables]
    #[arg(long, value_name = "WHICH", value_parser = values::named::<KeptReviews>())]
    keep: Option<KeptReviews>,
    /// Stop at the first malformed line instead of skipping it; use it to check a new file
    #[arg(long)]
    strict: bool,
}

const AFTER_HELP: &str = "\
Run an interrupted import again: nothing is stored twice. A row with the id of a stored review
replaces it, unless the stored one is newer. A row without an id is skipped if its text by the same
user on the same item at the same time is stored.

Examples:
  idiolect import --format amazon-2023 --reviews Books.jsonl.gz --items meta_Books.jsonl.gz
  idiolect import --format amazon-2014 --reviews reviews_Music_5.json.gz --items meta_Music.json.gz
  idiolect import --format table --reviews mails.csv --map user=from,item=thread,text=body,time=date
  idiolect import --format table --reviews ratings.csv --keep newest";

/// Value of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FormatName {
    #[serde(rename = "amazon-2014")]
    Amazon2014,
    #[serde(rename = "amazon-2023")]
    Amazon2023,
    Table,
}

/// JSON object that the command prints: contents of the store, then counts of the rows read.
#[derive(serde::Serialize)]
struct ImportJson {
    reviews: u64,
    users: u64,
    items: u64,
    read: u64,
    new: u64,
    further: u64,
    updated: u64,
    unchanged: u64,
    outdated: u64,
    duplicates: u64,
    removed: u64,
    malformed: u64,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let format = match (args.format, &args.map) {
        (FormatName::Amazon2014, None) => ImportFormat::Amazon2014,
        (FormatName::Amazon2023, None) => ImportFormat::Amazon2023,
        (FormatName::Table, None) => ImportFormat::Table(Box::default()),
        (FormatName::Table, Some(map)) => ImportFormat::Table(Box::new(ColumnMap::parse(map)?)),
        (_, Some(_)) => {
            bail!("--map needs --format table; the other formats have fixed fields")
        }
    };
    let source = |name: &Option<String>| name.as_deref().map(ImportSource::of);
    let (reviews, items) = (source(&args.reviews), source(&args.items));
    if reviews == Some(ImportSource::Stdin) && items == Some(ImportSource::Stdin) {
        bail!("--reviews and --items cannot both be standard input");
    }
    let on_malformed = if args.strict { OnMalformed::Stop } else { OnMalformed::Skip };
    // Open the files first, so that a wrong name does not create an empty store.
    let kept = args.keep.unwrap_or_else(|| format.kept_by_default());
    let import = Import::open(&ImportOptions { format, reviews, items, kept, on_malformed })?;
    let store = Store::open(&context.globals.store)?;
    let (report, counts) = import.run(&store, context)?;
    note_malformed(&report);
    if context.globals.json {
        return output::json(&ImportJson {
            reviews: counts.reviews,
            users: counts.users,
            items: counts.items,
            read: report.reviews_read,
            new: report.new,
            further: report.further,
            updated: report.updated,
            unchanged: report.unchanged,
            outdated: report.outdated,
            duplicates: report.duplicates,
            removed: report.removed,
            malformed: report.malformed,
        });
    }
    output::line(&format!(
        "read: {} reviews ({} new, {} updated, {} unchanged, {} outdated, {} duplicates), {} items, {} \
         malformed lines",
        report.reviews_read,
        report.new,
        report.updated,
        report.unchanged,
        report.outdated,
        report.duplicates,
        report.items_read,
        report.malformed,
    ))?;
    if report.further > 0 {
        output::line(&format!(
            "{} of the new ones are by users who already had a review of the item (--keep newest keeps \
             one)",
            report.further
        ))?;
    }
    if report.removed > 0 {
        output::line(&format!(
            "removed: {} older reviews of the same users and items",
            report.removed
        ))?;
    }
    output::line(&format!(
        "{} has {} reviews by {} users of {} items",
        store.path().display(),
        counts.reviews,
        counts.users,
        counts.items
    ))
}

fn note_malformed(report: &ImportReport) {
    for line in &report.malformed_lines {
        output::note(&format!("{}, line {}: {}", line.file, line.line, line.reason));
    }
    let shown = report.malformed_lines.len() as u64;
    if report.malformed > shown {
        output::note(&format!("{} more malformed lines", report.malformed - shown));
    }
    if report.reviews_read + report.items_read == 0 && report.malformed == 0 {
        output::note("the files have no rows");
    }
}
