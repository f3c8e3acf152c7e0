//! `idiolect man`.

use std::path::PathBuf;

use anyhow::Context as _;

use super::help;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Folder for the pages, `idiolect.1` and one a command
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes the manual pages, which show all options.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let failed = || format!("write manual pages to {}", args.folder.display());
    std::fs::create_dir_all(&args.folder).with_context(failed)?;
    clap_mangen::generate_to(help::whole_command(), &args.folder).with_context(failed)
}
