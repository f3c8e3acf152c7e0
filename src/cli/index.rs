//! `idiolect index`.

use idiolect::corpus::Store;
use idiolect::encoder::Encoder;
use idiolect::peers::{
    BuildOptions, DEFAULT_EXACT_BELOW, EmbeddingKind, IndexKind, PeerIndex, build_index,
    index_folder,
};
use serde::Serialize;

use super::context::Context;
use super::{output, values};

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Embed the reviews and build the index over users\n\n\
        Embeds the reviews that have no vector of --encoder yet, computes an embedding of every \
        user, and writes the index next to the store (STORE.index). Run it again after an import or \
        an interruption: only missing parts are computed.",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// User embedding: the mean of the user's review vectors after subtracting each item's mean
    /// vector (residual), or their plain mean (plain-mean); change it to compare them
    #[arg(
        long,
        value_name = "KIND",
        default_value = "residual",
        value_parser = values::named::<EmbeddingKind>(),
        hide = true
    )]
    embedding: EmbeddingKind,
    /// Number of users from which neighbours are searched in an HNSW graph instead of an exact scan;
    /// raise it for exact neighbours in a large corpus
    #[arg(
        long,
        value_name = "USERS",
        default_value_t = DEFAULT_EXACT_BELOW,
        value_parser = values::rows(0),
        hide = true
    )]
    exact_below: usize,
    /// Delete the vectors of this encoder and embed all reviews again; use it after a hardware
    /// failure
    #[arg(long)]
    rebuild: bool,
    /// Make the index of the vectors in DIR, which `idiolect export --vectors` wrote from a store with the
    /// same reviews, and embed nothing
    #[cfg(feature = "parquet")]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["rebuild", "embedding"])]
    vectors: Option<std::path::PathBuf>,
    #[cfg(feature = "postgres")]
    #[command(flatten)]
    database: super::database::DatabaseArgs,
    /// Number of partitions of a new table in the database of --peers, each with a graph of its own
    #[cfg(feature = "postgres")]
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::count(), hide = true,
          requires = "peers")]
    partitions: usize,
}

const EXAMPLES: &str = "\
Examples:
  idiolect index
  idiolect --encoder bge-small-en-v1.5 --store books.sqlite index --json";

/// JSON object that the command prints.
#[derive(Serialize)]
struct IndexJson<'a> {
    reviews: usize,
    embedded: usize,
    truncated: usize,
    users: usize,
    dimension: usize,
    index: IndexKind,
    embedding: EmbeddingKind,
    encoder: &'a str,
    stamp: &'a str,
    #[cfg(feature = "postgres")]
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<super::database::WrittenJson>,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let store = Store::open_existing(&context.globals.store)?;
    let encoder = context.encoder()?;
    if args.rebuild {
        store.drop_vectors(encoder.stamp())?;
    }
    let (index, embedded, truncated) = made(&args, (&store, &encoder), context)?;
    #[cfg(feature = "postgres")]
    let database = args.database.write(&index, args.partitions, context)?;
    let manifest = index.manifest();
    let done = IndexJson {
        reviews: manifest.reviews,
        embedded,
        truncated,
        users: manifest.users,
        dimension: manifest.dimension,
        index: manifest.index,
        embedding: manifest.embedding,
        encoder: &manifest.encoder,
        stamp: &manifest.fingerprint,
        #[cfg(feature = "postgres")]
        database,
    };
    if context.globals.json {
        return output::json(&done);
    }
    print_summary(&done, context)
}

/// The index, the number of reviews that were embedded, and of those that had to be truncated.
fn made(
    args: &Args,
    (store, encoder): (&Store, &Encoder),
    context: &Context,
) -> anyhow::Result<(PeerIndex, usize, usize)> {
    #[cfg(feature = "parquet")]
    if let Some(folder) = &args.vectors {
        let given = idiolect::batch::read_vectors(folder)?;
        let below = args.exact_below;
        let index = idiolect::peers::index_of_embeddings(store, encoder, given, below, context)?;
        return Ok((index, 0, 0));
    }
    let options = BuildOptions { embedding: args.embedding, exact_below: args.exact_below };
    Ok(build_index(store, encoder, &options, context)?)
}

fn print_summary(done: &IndexJson<'_>, context: &Context) -> anyhow::Result<()> {
    if done.reviews == 0 {
        output::note("the store has no reviews; read some with `idiolect import`");
    }
    output::line(&format!(
        "{} reviews, {} embedded now with {}{}",
        done.reviews,
        done.embedded,
        done.encoder,
        match done.truncated {
            0 => String::new(),
            n => format!("; {n} exceed the window of the encoder, their ends are left out"),
        }
    ))?;
    let how = match done.index {
        IndexKind::Exact => "exact search",
        IndexKind::Hnsw => "HNSW graph",
    };
    let folder = index_folder(&context.globals.store);
    output::line(&format!(
        "{} users, embeddings of {} numbers, {how}, in {}",
        done.users,
        done.dimension,
        folder.display()
    ))?;
    #[cfg(feature = "postgres")]
    if let Some(written) = &done.database {
        output::line(&written.in_words())?;
    }
    Ok(())
}
