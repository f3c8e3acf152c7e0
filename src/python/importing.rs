//! Imports of files and of rows.

use std::io::Read;
use std::path::PathBuf;

use idiolect_core::corpus::KeptReviews;
use idiolect_core::corpus::import::{
    ColumnMap, DayOrder, Delimiter, FileEncoding, Import, ImportFormat, ImportOptions,
    ImportSource, ImportSummary, MalformedLine, OnMalformed, PersonNames,
};
use idiolect_engine::progress::Progress;
use serde::{Deserialize, Serialize};

use crate::failure::{CallFailure, Result};
use crate::parts::EngineParts;
use crate::settings::named;

/// Name of rows that are in no file, in messages.
const ROWS: &str = "the table";

/// The options of `idiolect import`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportArgs {
    path: Option<PathBuf>,
    items: Option<PathBuf>,
    format: Option<String>,
    map: Option<String>,
    keep: Option<String>,
    encoding: String,
    delimiter: String,
    date_order: Option<String>,
    me: Vec<String>,
    /// User and further name.
    alias: Vec<(String, String)>,
    by_address: bool,
    strict: bool,
}

/// Counts of an import, and the first rows that could not be read.
#[derive(Serialize)]
struct ImportTold<'a> {
    imported: ImportSummary<'a>,
    bad: &'a [MalformedLine],
}

/// Given rows that are in no file, with their columns if they all have the same.
pub(crate) struct GivenRows {
    pub(crate) columns: Option<Vec<String>>,
    pub(crate) rows: Box<dyn Read>,
}

/// Imports files.
pub(crate) fn import_files(
    work: &EngineParts,
    args: &ImportArgs,
    progress: &dyn Progress,
) -> Result<String> {
    let options = options(args)?;
    // The files are opened first, so that a wrong name does not create an empty store.
    run(work, Import::open(&options)?, progress)
}

/// Imports rows.
pub(crate) fn import_rows(
    work: &EngineParts,
    args: &ImportArgs,
    given: GivenRows,
    progress: &dyn Progress,
) -> Result<String> {
    let options = options(args)?;
    let import = Import::of_rows(&options, ROWS, given.columns.as_deref(), given.rows)?;
    run(work, import, progress)
}

fn run(work: &EngineParts, import: Import, progress: &dyn Progress) -> Result<String> {
    let store = work.store_to_fill()?;
    let (report, counts) = import.run(&store, progress)?;
    if !report.unread_files.is_empty() {
        let files = report.unread_files.join(" and of ");
        let reason = report.malformed_lines.first().map(|line| format!(": {}", line.reason));
        let message = format!("no row could be read of {files}{}", reason.unwrap_or_default());
        return Err(CallFailure::Told { exception: "DataError", message });
    }
    let told =
        ImportTold { imported: ImportSummary::new(&report, counts), bad: &report.malformed_lines };
    Ok(serde_json::to_string(&told)?)
}

fn options(args: &ImportArgs) -> Result<ImportOptions> {
    let format = format(args)?;
    let names_people = !args.me.is_empty() || !args.alias.is_empty() || args.by_address;
    if names_people && !matches!(format, ImportFormat::Messages(_)) {
        return Err(CallFailure::argument(
            "me, alias and by_address are for formats of messages; a table has its users",
        ));
    }
    let kept: Option<KeptReviews> =
        args.keep.as_deref().map(|name| named("keep", name)).transpose()?;
    let (me, by_address) = (args.me.clone(), args.by_address);
    Ok(ImportOptions {
        kept: kept.unwrap_or_else(|| format.kept_by_default()),
        format,
        reviews: args.path.as_ref().map(ImportSource::of),
        items: args.items.as_ref().map(ImportSource::of),
        on_malformed: if args.strict { OnMalformed::Stop } else { OnMalformed::Skip },
        encoding: FileEncoding::of(&args.encoding)?,
        delimiter: Delimiter::of(&args.delimiter)?,
        people: PersonNames { me, aliases: args.alias.clone(), by_address },
    })
}

/// The format that is named, else that of the file; rows that are in no file are a table.
fn format(args: &ImportArgs) -> Result<ImportFormat> {
    let format = match (&args.format, &args.map) {
        (Some(name), None) => ImportFormat::named(name)
            .ok_or_else(|| CallFailure::argument(format!("there is no format `{name}`")))?,
        (None, Some(map)) => ImportFormat::Table(Box::new(ColumnMap::parse(map)?)),
        (Some(name), Some(map)) if name == "table" => {
            ImportFormat::Table(Box::new(ColumnMap::parse(map)?))
        }
        (Some(_), Some(_)) => {
            return Err(CallFailure::argument(
                "map needs format=\"table\"; the other formats have fixed fields",
            ));
        }
        (None, None) => match args.path.as_ref().or(args.items.as_ref()) {
            Some(path) => {
                // A file that cannot be opened is told as such.
                std::fs::metadata(path).map_err(|error| CallFailure::Told {
                    exception: "DataError",
                    message: format!("open {}: {error}", path.display()),
                })?;
                ImportFormat::detect(path).ok_or_else(|| CallFailure::Told {
                    exception: "DataError",
                    message: format!(
                        "the format of {} is not known; name it with format=",
                        path.display()
                    ),
                })?
            }
            None => ImportFormat::Table(Box::default()),
        },
    };
    let order: Option<DayOrder> =
        args.date_order.as_deref().map(|name| named("date_order", name)).transpose()?;
    match (format, order) {
        (ImportFormat::Table(map), order) => {
            Ok(ImportFormat::Table(Box::new(map.with_date_order(order))))
        }
        (_, Some(_)) => Err(CallFailure::argument("date_order needs a table")),
        (format, None) => Ok(format),
    }
}
