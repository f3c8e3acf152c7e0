//! `idiolect export --parquet`, `--background` and `--vectors`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::bail;
use idiolect::batch::{
    ShardOptions, TargetRow, count_background, export_shards, export_vectors, read_targets,
    write_background,
};
use idiolect::corpus::split::SplitPart;
use idiolect::corpus::{ReviewId, Store};
use idiolect::peers::PeerIndex;
use serde_json::json;

use crate::cli::command_lm::CommandLm;
use crate::cli::context::Context;
use crate::cli::{output, values};

/// Options that divide the store into shards for `idiolect batch`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Shards for `idiolect batch`")]
pub(super) struct ShardArgs {
    /// Write shards with targets, reviews and items as Parquet files to DIR
    #[arg(long, value_name = "DIR", conflicts_with = "user")]
    parquet: Option<PathBuf>,
    /// Number of shards; all targets of a user are in one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::rows(1), requires = "parquet")]
    shards: usize,
    /// Texts to write: a Parquet file or JSON lines with user, item, and optionally rating and title
    #[arg(long, value_name = "FILE", requires = "parquet", conflicts_with = "split")]
    targets: Option<PathBuf>,
    /// Split of the store whose held-out test texts are to be written; no held-out text of it is exported
    #[arg(long, value_name = "NAME")]
    split: Option<String>,
    /// Maximum number of texts by other users on an item, the newest
    #[arg(long, value_name = "N", default_value_t = ShardOptions::default().texts_per_item,
          value_parser = values::rows(0), requires = "parquet")]
    texts_per_item: usize,
    /// Count the tokens of all texts with the vocabulary of --lm, and write the counts to FILE
    #[arg(long, value_name = "FILE", conflicts_with = "user")]
    background: Option<PathBuf>,
    /// Write the vectors of the users in the index as Parquet files to DIR, for a vector database or for
    /// `idiolect index --vectors` on another machine
    #[arg(long, value_name = "DIR", conflicts_with = "user")]
    vectors: Option<PathBuf>,
}

pub(super) fn run(args: &ShardArgs, context: &Context) -> anyhow::Result<()> {
    let store = context.store()?;
    let (targets, held_out) = targets(args, &store)?;
    let mut done = serde_json::Map::new();
    if let Some(folder) = &args.parquet {
        let options = ShardOptions { n_shards: args.shards, texts_per_item: args.texts_per_item };
        let exported = export_shards(&store, &targets, &held_out, &options, (folder, context))?;
        done.insert("parquet".to_owned(), json!(exported));
    }
    if let Some(path) = &args.background {
        output::check_writable(path)?;
        let lm = CommandLm::of(context)?;
        let background = count_background(&store, lm.model().vocabulary()?, &held_out, context)?;
        write_background(&background, path)?;
        done.insert("background".to_owned(), json!({ "texts": background.n_texts }));
    }
    if let Some(folder) = &args.vectors {
        let index = PeerIndex::open(&store, &context.encoder()?)?;
        let n_users = export_vectors(&store, &index, folder)?;
        done.insert("vectors".to_owned(), json!({ "users": n_users }));
    }
    output::json(&done)
}

/// The texts to write, and the held-out reviews.
fn targets(
    args: &ShardArgs,
    store: &Store,
) -> anyhow::Result<(Vec<TargetRow>, BTreeSet<ReviewId>)> {
    if let Some(path) = &args.targets {
        return Ok((read_targets(path)?, BTreeSet::new()));
    }
    let Some(name) = &args.split else {
        match args.parquet {
            Some(_) => bail!("--parquet: name the texts to write by --targets or --split"),
            None => return Ok((Vec::new(), BTreeSet::new())),
        }
    };
    let split = store.split(name)?;
    let inputs = split.users.iter().flat_map(|user| &user.inputs);
    let held_out = inputs.map(|(_, id)| *id).collect();
    let test: Vec<ReviewId> = split.held_out(SplitPart::Test).map(|(_, id)| id).collect();
    let row = |review: idiolect::corpus::Review| TargetRow {
        user: review.user,
        item: review.item,
        rating: review.rating,
        title: Some(review.title).filter(|title| !title.is_empty()),
    };
    let reviews = store.reviews(&test)?;
    Ok((reviews.into_iter().map(|stored| row(stored.review)).collect(), held_out))
}
