//! `idiolect recover`.

use std::path::PathBuf;

use idiolect::corpus::{RecoveredTable, Store};

use super::context::Context;
use super::output;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Write what can be read of a damaged store to a new store\n\n\
        Reads every row of --store that no damaged page holds and writes it to a new file, with its id. The \
        damaged store stays as it is. Users and items whose own rows are lost get names like \
        `recovered-7`, so that no text is lost for the sake of a name. Answers and scores are left out \
        if reviews that they were made from are lost; they are computed again when they are needed.",
    after_help = AFTER_HELP
)]
pub(crate) struct Args {
    /// File of the new store; it must not exist
    #[arg(long, value_name = "FILE")]
    into: PathBuf,
}

const AFTER_HELP: &str = "\
A store whose first page is damaged cannot be recovered. Run `idiolect index` on the new store afterwards.

Example:
  idiolect --store damaged.sqlite recover --into new.sqlite";

/// JSON object that the command prints.
#[derive(serde::Serialize)]
struct RecoverJson<'a> {
    tables: &'a [RecoveredTable],
}

pub(crate) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let tables = Store::recover(&context.globals.store, &args.into, context)?;
    if context.globals.json {
        return output::json(&RecoverJson { tables: &tables });
    }
    for RecoveredTable { table, rows, lost, altered, renamed } in &tables {
        let lost = match lost {
            Some(0) => String::new(),
            Some(n) => format!(", {n} lost"),
            None => ", an unknown number lost".to_owned(),
        };
        let renamed = match renamed {
            0 => String::new(),
            n => format!(", {n} of them with less than was in their rows"),
        };
        let altered = match altered {
            0 => String::new(),
            n => format!(", {n} of them changed by the damage"),
        };
        output::line(&format!("{table}: {rows} rows{renamed}{altered}{lost}"))?;
    }
    let is_whole = tables
        .iter()
        .all(|outcome| outcome.lost == Some(0) && outcome.altered == 0 && outcome.renamed == 0);
    output::line(match is_whole {
        true => "nothing is lost",
        false => "some rows are lost or changed; the others are as they were",
    })
}
