//! `idiolect evaluate merge`.

use std::path::PathBuf;

use idiolect::corpus::Store;

use super::super::context::Context;
use super::super::output;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Copies of the store in which other machines evaluated parts
    #[arg(required = true, value_name = "STORE", value_delimiter = ',')]
    stores: Vec<PathBuf>,
}

pub(super) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let store = context.store()?;
    let mut taken = Vec::new();
    for path in &args.stores {
        taken.push((path.display().to_string(), store.take_derived(&Store::open_existing(path)?)?));
    }
    if context.globals.json {
        let taken: serde_json::Map<_, _> =
            taken.into_iter().map(|(path, n)| (path, n.into())).collect();
        return output::json(&serde_json::json!({ "taken": taken }));
    }
    for (path, n) in taken {
        output::line(&format!("{n} answers and scores copied from {path}"))?;
    }
    Ok(())
}
