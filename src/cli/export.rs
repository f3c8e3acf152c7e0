//! `idiolect export`.

#[cfg(feature = "parquet")]
mod shards;

use super::context::Context;
use super::output;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Print everything that the store holds about a user, as JSON\n\n\
        Prints the user's texts with their ids, the versions of the profile, every stored answer, score \
        and profile that was made from a text of theirs, vectors, and rows of splits.",
    after_help = "Example:\n  idiolect export marta > marta.json"
)]
pub(crate) struct Args {
    /// User to export; write `-- USER` for one that begins with a hyphen
    #[cfg(not(feature = "parquet"))]
    user: String,
    /// User to export; write `-- USER` for one that begins with a hyphen
    #[cfg(feature = "parquet")]
    #[arg(required_unless_present_any = ["parquet", "background", "vectors"])]
    user: Option<String>,
    #[cfg(feature = "parquet")]
    #[command(flatten)]
    shards: shards::ShardArgs,
}

#[cfg(not(feature = "parquet"))]
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    output::json(&context.store()?.export_user(&args.user)?)
}

#[cfg(feature = "parquet")]
pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    match &args.user {
        Some(user) => output::json(&context.store()?.export_user(user)?),
        None => shards::run(&args.shards, context),
    }
}
