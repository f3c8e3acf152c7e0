//! `idiolect completions`.

use clap::CommandFactory;

use super::context::Context;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Shell that the completion script is for
    shell: clap_complete::Shell,
}

pub(crate) fn run(args: Args, _context: &Context) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "idiolect", &mut script);
    super::output::raw(&script)
}
