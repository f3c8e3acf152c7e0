//! `idiolect import`.

use anyhow::bail;
use clap::ValueEnum;
use idiolect::corpus::Store;
use idiolect::corpus::import::{
    ColumnMap, Import, ImportFormat, ImportOptions, ImportReport, ImportSource, OnMalformed,
};

use super::context::Context;
use super::output;

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Format of the files
    #[arg(long, value_enum)]
    format: FormatName,
    /// File of reviews: .json, .jsonl, .csv or .tsv, plain or .gz; `-` is standard input
    #[arg(long, value_name = "FILE", required_unless_present = "items")]
    reviews: Option<String>,
    /// File of items with titles, descriptions and categories; without it, they come from the
    /// reviews if those have them
    #[arg(long, value_name = "FILE")]
    items: Option<String>,
    /// Columns of a table as FIELD=COLUMN,...; a field that is not named is read from the column of
    /// the same name. Fields: user, item, text, rating, title, time, item_title, item_description,
    /// item_categories; in the file of items also title, description, categories. Times are
    /// seconds, milliseconds or dates (2014-07-06T12:30:00Z)
    #[arg(long, value_name = "MAP")]
    map: Option<String>,
    /// Stop at the first malformed line instead of skipping it; use it to check a new file
    #[arg(long)]
    strict: bool,
}

const AFTER_HELP: &str = "\
Reviews of one user on one item are one review: the newest. An import that was interrupted can be
run again; what is in the store already is left as it is.

Examples:
  idiolect import --format amazon-2023 --reviews Books.jsonl.gz --items meta_Books.jsonl.gz
  idiolect import --format amazon-2014 --reviews reviews_Music_5.json.gz --items meta_Music.json.gz
  idiolect import --format table --reviews mails.csv --map user=from,item=thread,text=body,time=date";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// Amazon reviews of 2014; metadata lines are Python literals
    #[value(name = "amazon-2014")]
    Amazon2014,
    /// Amazon Reviews 2023
    #[value(name = "amazon-2023")]
    Amazon2023,
    /// Any table or JSON lines; see --map
    Table,
}

#[derive(serde::Serialize)]
struct ImportJson {
    reviews: u64,
    users: u64,
    items: u64,
    duplicates: u64,
    malformed: u64,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let format = match (args.format, &args.map) {
        (FormatName::Amazon2014, None) => ImportFormat::Amazon2014,
        (FormatName::Amazon2023, None) => ImportFormat::Amazon2023,
        (FormatName::Table, None) => ImportFormat::Table(Box::default()),
        (FormatName::Table, Some(map)) => ImportFormat::Table(Box::new(ColumnMap::parse(map)?)),
        (_, Some(_)) => {
            bail!("--map goes with --format table; the other formats have fixed fields")
        }
    };
    let source = |name: &Option<String>| name.as_deref().map(ImportSource::of);
    let (reviews, items) = (source(&args.reviews), source(&args.items));
    if reviews == Some(ImportSource::Stdin) && items == Some(ImportSource::Stdin) {
        bail!("--reviews and --items cannot both be standard input");
    }
    let on_malformed = if args.strict { OnMalformed::Stop } else { OnMalformed::Skip };
    // Open the files first, so that a wrong name does not create an empty store.
    let import = Import::open(&ImportOptions { format, reviews, items, on_malformed })?;
    let store = Store::open(&context.globals.store)?;
    let (report, counts) = import.run(&store, context)?;
    tell_malformed(&report);
    let printed = ImportJson {
        reviews: counts.reviews,
        users: counts.users,
        items: counts.items,
        duplicates: report.duplicates,
        malformed: report.malformed,
    };
    if context.globals.json {
        return output::json(&printed);
    }
    output::line(&format!(
        "read: {} reviews ({} new, {} in place of older ones, {} unchanged, {} outdated; {} \
         duplicates among them), {} items, {} malformed lines",
        report.reviews_read,
        report.new,
        report.replaced,
        report.unchanged,
        report.outdated,
        report.duplicates,
        report.items_read,
        report.malformed,
    ))?;
    output::line(&format!(
        "{} holds {} reviews by {} users of {} items",
        store.path().display(),
        counts.reviews,
        counts.users,
        counts.items
    ))
}

fn tell_malformed(report: &ImportReport) {
    for line in &report.malformed_lines {
        output::note(&format!("{}, line {}: {}", line.file, line.line, line.reason));
    }
    let shown = report.malformed_lines.len() as u64;
    if report.malformed > shown {
        output::note(&format!("{} more malformed lines", report.malformed - shown));
    }
    if report.reviews_read + report.items_read == 0 && report.malformed == 0 {
        output::note("the files hold no rows");
    }
}
