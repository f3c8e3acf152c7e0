//! `idiolect import`.

use std::ffi::{OsStr, OsString};

use anyhow::{Context as _, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use idiolect::corpus::import::{
    ColumnMap, DayOrder, DefaultedField, Delimiter, DroppedRows, EncodedFile, FileEncoding, Import,
    ImportFormat, ImportOptions, ImportReport, ImportSource, ImportSummary, MergedPerson,
    MessageFormat, OnMalformed, PersonNames,
};
use idiolect::corpus::{Counts, KeptReviews, Store};

use super::context::{Context, note_log_damage};
use super::{output, values};

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// File or folder of messages, or file of reviews: .json, .jsonl, .csv or .tsv, plain or .gz; `-` is
    /// standard input
    #[arg(value_name = "PATH", conflicts_with = "reviews", required_unless_present_any = ["reviews", "items"])]
    path: Option<OsString>,
    /// Format: reviews of Amazon (amazon-2014, amazon-2023), any CSV or JSON lines (table, see --map), or
    /// messages, as IMPORT.md describes [default: told by the content]
    #[arg(long, value_name = "NAME", value_parser = format_parser())]
    format: Option<FormatName>,
    /// File of reviews, as PATH
    #[arg(long, value_name = "FILE")]
    reviews: Option<OsString>,
    /// File of items with titles, descriptions and categories; without it, they are taken from the
    /// file of reviews if it has them
    #[arg(long, value_name = "FILE")]
    items: Option<OsString>,
    /// Columns of a table, if their names differ from the fields. Fields: user, item, text, id,
    /// rating, title, time, item_title, item_description, item_categories; answers (id of the text that is
    /// answered), answered_text, answered_user; in the file of items also title, description, categories. In JSON a column may be a path (`author.name`); of a list
    /// (`reviews.text`) each element is a row. Times are numbers (seconds to nanoseconds) or dates as
    /// in tables, mails and web services; ratings are numbers, or fractions (`8/10` is 4 of 5). `id=`
    /// ignores a column named id
    #[arg(long, value_name = "FIELD=COLUMN,...")]
    map: Option<String>,
    /// Reviews to keep if a user has several of an item: all, or newest, which suits sites where a
    /// review is edited in place [default: newest for the Amazon formats, all for tables]
    #[arg(long, value_name = "WHICH", value_parser = values::named::<KeptReviews>())]
    keep: Option<KeptReviews>,
    /// Encoding of the files, such as utf-8, utf-16, latin-1, windows-1251 or shift_jis; auto reads UTF-8,
    /// UTF-16 with its mark, and guesses another if a file is neither, which is told
    #[arg(long, value_name = "NAME", default_value = "auto", value_parser = FileEncoding::of)]
    encoding: FileEncoding,
    /// Delimiter of a table: one character, or tab; auto finds comma, semicolon, tab or bar in the
    /// header
    #[arg(long, value_name = "CHAR", default_value = "auto", value_parser = Delimiter::of)]
    delimiter: Delimiter,
    /// Order of day and month in dates of a table such as 03/02/2022: day-first or month-first. Without it
    /// they count as missing unless only one order is possible
    #[arg(long, value_name = "ORDER", value_parser = values::named::<DayOrder>())]
    date_order: Option<DayOrder>,
    /// Who you are in messages: names and addresses, one each. Your texts get the first one as user;
    /// without it, authors keep their own names and addresses
    #[arg(long, value_name = "NAME|ADDRESS", allow_hyphen_values = true)]
    me: Vec<String>,
    /// Further names or addresses of other authors of messages
    #[arg(
        long,
        value_name = "USER=NAME|ADDRESS,...",
        value_delimiter = ',',
        value_parser = alias,
        allow_hyphen_values = true
    )]
    alias: Vec<(String, String)>,
    /// Take each address for a person of its own; otherwise addresses with the same full name are one
    /// person
    #[arg(long)]
    by_address: bool,
    /// Stop at the first malformed line instead of skipping it; use it to check a new file
    #[arg(long)]
    strict: bool,
}

const AFTER_HELP: &str = "\
Run an interrupted import again: nothing is stored twice. A row with the id of a stored review
replaces it, unless the stored one is newer. A row without an id is skipped if its text by the same
user on the same item at the same time is stored. A row is dropped only if user, item or text
cannot be read; other values then count as missing. Both are counted by reason. A file with rows
of which none could be read is a failure (exit code 1).

Of messages, threads and chats are the items. What no person wrote is left out (automatic mails,
newsletters, lines of the system), and so is quoted text; it is kept as what a mail answers, for
`write --task reply`. IMPORT.md has a section for each format.

Examples:
  idiolect import --format amazon-2023 --reviews Books.jsonl.gz --items meta_Books.jsonl.gz
  idiolect import --format amazon-2014 --reviews reviews_Music_5.json.gz --items meta_Music.json.gz
  idiolect import --format table --reviews mails.csv --map user=from,item=thread,text=body,time=date
  idiolect import --format table --reviews ratings.csv --keep newest
  idiolect import --format mbox Sent.mbox --me me --me ann@example.org --me ann@work.example
  idiolect import --format maildir ~/Maildir --me ann@example.org --alias bo=bo@example.org";

/// Value of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FormatName {
    Amazon2014,
    Amazon2023,
    Table,
    Messages(MessageFormat),
}

/// Formats of rows by their names.
const OF_ROWS: [(&str, FormatName); 3] = [
    ("amazon-2014", FormatName::Amazon2014),
    ("amazon-2023", FormatName::Amazon2023),
    ("table", FormatName::Table),
];

/// Parser of the name of a format.
pub(super) fn format_parser() -> impl TypedValueParser<Value = FormatName> {
    let of_messages = MessageFormat::ALL.iter().map(|format| format.name());
    let names = OF_ROWS.iter().map(|(name, _)| *name).chain(of_messages);
    PossibleValuesParser::new(names).try_map(|name| {
        let of_rows = OF_ROWS.iter().find(|(known, _)| *known == name).map(|(_, format)| *format);
        let of_messages = || MessageFormat::ALL.iter().find(|format| format.name() == name);
        of_rows
            .or_else(|| of_messages().copied().map(FormatName::Messages))
            .ok_or("there is no such format")
    })
}

/// Parses USER=NAME.
fn alias(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((user, name)) if !user.trim().is_empty() && !name.trim().is_empty() => {
            Ok((user.trim().to_owned(), name.trim().to_owned()))
        }
        _ => Err(format!("`{text}` is not USER=NAME")),
    }
}

impl Args {
    /// The arguments of an import of one's own texts. Names of oneself are for messages; the rows of
    /// other formats name their users themselves.
    pub(super) fn of_export(
        path: &OsStr,
        named: Option<FormatName>,
        me: &[String],
    ) -> anyhow::Result<Self> {
        let mut args = Self {
            path: Some(path.to_owned()),
            format: named,
            reviews: None,
            items: None,
            map: None,
            keep: None,
            encoding: FileEncoding::default(),
            delimiter: Delimiter::default(),
            date_order: None,
            me: Vec::new(),
            alias: Vec::new(),
            by_address: false,
            strict: false,
        };
        let of_content = format(&args, Some(&ImportSource::of(path)))?;
        if matches!(of_content, ImportFormat::Messages(_)) {
            args.me = me.to_vec();
        }
        Ok(args)
    }
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let imported = import(args, context)?;
    if context.globals.json {
        output::json(&ImportSummary::new(&imported.report, imported.counts))?;
    }
    imported.check()
}

/// Outcome of an import.
pub(super) struct Imported {
    /// Name of the built-in task that writes such texts.
    pub(super) task: &'static str,
    report: ImportReport,
    counts: Counts,
}

impl Imported {
    /// Fails if no row could be read of a file.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        match &self.report.unread_files[..] {
            [] => Ok(()),
            files => bail!("no row could be read of {}", files.join(" and of ")),
        }
    }
}

/// Imports, and prints what was read unless `--json` is given.
pub(super) fn import(args: Args, context: &Context) -> anyhow::Result<Imported> {
    let source = |name: &Option<OsString>| name.as_ref().map(ImportSource::of);
    let (reviews, items) = (source(&args.path).or(source(&args.reviews)), source(&args.items));
    let format = format(&args, reviews.as_ref().or(items.as_ref()))?;
    let task = format.task();
    let names_people = !args.me.is_empty() || !args.alias.is_empty() || args.by_address;
    if names_people && !matches!(format, ImportFormat::Messages(_)) {
        bail!("--me, --alias and --by-address are for formats of messages; a table has its users");
    }
    if reviews == Some(ImportSource::Stdin) && items == Some(ImportSource::Stdin) {
        bail!("--reviews and --items cannot both be standard input");
    }
    let options = ImportOptions {
        kept: args.keep.unwrap_or_else(|| format.kept_by_default()),
        format,
        reviews,
        items,
        on_malformed: if args.strict { OnMalformed::Stop } else { OnMalformed::Skip },
        encoding: args.encoding,
        delimiter: args.delimiter,
        people: PersonNames { me: args.me, aliases: args.alias, by_address: args.by_address },
    };
    // Open the files first, so that a wrong name does not create an empty store.
    let import = Import::open(&options)?;
    let store = Store::open(&context.globals.store)?;
    note_log_damage(&store);
    store.check_if_small()?;
    let (report, counts) = import.run(&store, context)?;
    note_losses(&report);
    note_mismatch(&report, &store)?;
    if !context.globals.json {
        // Of messages, most are by people who wrote in the thread or chat before.
        let tells_further = !matches!(options.format, ImportFormat::Messages(_));
        print_summary(&report, tells_further, &counts, &store)?;
    }
    Ok(Imported { task, report, counts })
}

/// The format that the command line names, or that of the first file.
fn format(args: &Args, source: Option<&ImportSource>) -> anyhow::Result<ImportFormat> {
    let named = match (args.format, &args.map) {
        (Some(FormatName::Amazon2014), None) => ImportFormat::Amazon2014,
        (Some(FormatName::Amazon2023), None) => ImportFormat::Amazon2023,
        (Some(FormatName::Table), None) => ImportFormat::Table(Box::default()),
        (Some(FormatName::Messages(format)), None) => ImportFormat::Messages(format),
        (Some(FormatName::Table) | None, Some(map)) => {
            ImportFormat::Table(Box::new(ColumnMap::parse(map)?))
        }
        (Some(_), Some(_)) => {
            bail!("--map needs --format table; the other formats have fixed fields")
        }
        (None, None) => match source {
            Some(ImportSource::File(path)) => {
                // A file that cannot be opened is told as such.
                std::fs::metadata(path).with_context(|| format!("open {}", path.display()))?;
                ImportFormat::detect(path).with_context(|| {
                    format!("the format of {} is not known; name it with --format", path.display())
                })?
            }
            _ => bail!("standard input has no name and no beginning to look at; add --format NAME"),
        },
    };
    match (named, args.date_order) {
        (ImportFormat::Table(map), order) => {
            Ok(ImportFormat::Table(Box::new(map.with_date_order(order))))
        }
        (_, Some(_)) => {
            bail!("--date-order needs --format table; the other formats have one order")
        }
        (named, None) => Ok(named),
    }
}

fn print_summary(
    report: &ImportReport,
    tells_further: bool,
    counts: &Counts,
    store: &Store,
) -> anyhow::Result<()> {
    for DroppedRows { reason, rows, .. } in &report.left_out {
        output::line(&format!("left out: {rows} {reason}"))?;
    }
    for MergedPerson { user, known_as } in &report.merged {
        output::line(&format!("one person: `{user}` is {}", known_as.join(", ")))?;
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
    if tells_further && report.further > 0 {
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

/// Says what was left out or guessed.
fn note_losses(report: &ImportReport) {
    for EncodedFile { file, encoding, guessed } in &report.encoded {
        output::note(&match guessed {
            true => format!(
                "{file} is not UTF-8 and seems to be {encoding}; it was read so. Look at some texts; if \
                 they are wrong, name the encoding with --encoding"
            ),
            false => format!("{file} was read as {encoding}"),
        });
    }
    for line in &report.malformed_lines {
        output::note(&match line.line {
            0 => format!("{}: {}", line.file, line.reason),
            n => format!("{}, line {n}: {}", line.file, line.reason),
        });
    }
    let shown = report.malformed_lines.len() as u64;
    if report.malformed > shown {
        output::note(&format!("{} more malformed lines", report.malformed - shown));
    }
    for DroppedRows { file, reason, rows } in &report.dropped {
        output::note(&format!("{file}: dropped {rows} rows: {reason}"));
        if reason.starts_with("invalid UTF-8") {
            output::note(
                "if the file is in Latin-1, Windows-1252 or another encoding, name it with --encoding \
                 and import again",
            );
        }
    }
    for DefaultedField { file, field, reason, values, line, example } in &report.defaulted {
        output::note(&format!(
            "{file}: {values} values of `{field}` count as missing: {reason} (first {example}, line {line})"
        ));
        if *reason == DayOrder::UNKNOWN {
            output::note("name their order with --date-order and import again");
        }
    }
    if report.short_rows > 0 {
        let n = report.short_rows;
        output::note(&format!(
            "{n} rows have fewer fields than the header; the last count as missing"
        ));
    }
    if report.items_read > 0 && report.items_without_description > 0 {
        output::note(&format!(
            "{} of {} items have no description",
            report.items_without_description, report.items_read
        ));
    }
    if report.me_missing {
        output::note(
            "no message is by the names and addresses of --me; `idiolect users` lists authors",
        );
    }
    if report.reviews_read + report.items_read == 0 && report.malformed == 0 {
        output::note(match report.left_out.is_empty() {
            true => "the files have no rows",
            false => "no message is a text that a person wrote",
        });
    }
}

/// Says so if the store has reviews and described items but none of its described items has a review.
fn note_mismatch(report: &ImportReport, store: &Store) -> anyhow::Result<()> {
    if report.items_read > 0 && store.described_items()? == (false, true) {
        output::note(
            "no item with a title or a description has a review: check that the files of reviews and of \
             items spell the ids alike",
        );
    }
    Ok(())
}
