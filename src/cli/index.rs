//! `idiolect index`.

use idiolect::corpus::Store;
use idiolect::peers::{
    BuildOptions, DEFAULT_EXACT_BELOW, EmbeddingKind, IndexKind, build_index, index_folder,
};
use serde::Serialize;

use super::context::Context;
use super::{output, values};

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Embed the reviews and build the index over users\n\n\
        Reviews that have no vector of the encoder yet are embedded; vectors are stored as they \
        come, so that what is stopped goes on where it stopped. Then every user's embedding is \
        computed and the index is written next to the store (STORE.index). What is up to date is \
        not made again.",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// User embedding: the mean of the user's review vectors after subtracting each item's mean
    /// vector (residual), or their plain mean (plain-mean)
    #[arg(long, value_enum, default_value = "residual")]
    embedding: EmbeddingName,
    /// Number of users from which neighbours are searched in an HNSW graph; below it the search is
    /// an exact scan
    #[arg(long, value_name = "USERS", default_value_t = DEFAULT_EXACT_BELOW, value_parser = values::rows(0))]
    exact_below: usize,
    /// Delete the vectors of this encoder first and embed all reviews again
    #[arg(long)]
    rebuild: bool,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum EmbeddingName {
    Residual,
    PlainMean,
}

const EXAMPLES: &str = "\
Examples:
  idiolect index
  idiolect --encoder bge-small-en-v1.5 --store books.sqlite index --json";

/// JSON object that the command prints.
#[derive(Serialize)]
struct Done<'a> {
    reviews: usize,
    embedded: usize,
    truncated: usize,
    users: usize,
    dimension: usize,
    index: IndexKind,
    embedding: EmbeddingKind,
    encoder: &'a str,
    stamp: &'a str,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let store = Store::open_existing(&context.globals.store)?;
    let encoder = context.encoder()?;
    if args.rebuild {
        store.drop_vectors(encoder.stamp())?;
    }
    let embedding = match args.embedding {
        EmbeddingName::Residual => EmbeddingKind::Residual,
        EmbeddingName::PlainMean => EmbeddingKind::PlainMean,
    };
    let options = BuildOptions { embedding, exact_below: args.exact_below };
    let (index, embedded, truncated) = build_index(&store, &encoder, &options, context)?;
    let manifest = index.manifest();
    let done = Done {
        reviews: manifest.reviews,
        embedded,
        truncated,
        users: manifest.users,
        dimension: manifest.dimension,
        index: manifest.index,
        embedding: manifest.embedding,
        encoder: &manifest.encoder,
        stamp: &manifest.fingerprint,
    };
    if context.globals.json {
        return output::json(&done);
    }
    tell(&done, context)
}

fn tell(done: &Done<'_>, context: &Context) -> anyhow::Result<()> {
    if done.reviews == 0 {
        output::note("the store holds no reviews; read some with `idiolect import`");
    }
    output::line(&format!(
        "{} reviews, {} embedded now with {}{}",
        done.reviews,
        done.embedded,
        done.encoder,
        match done.truncated {
            0 => String::new(),
            n => format!("; {n} were longer than the encoder reads, their ends are left out"),
        }
    ))?;
    let how = match done.index {
        IndexKind::Exact => "compared one by one",
        IndexKind::Hnsw => "linked in a graph",
    };
    let folder = index_folder(&context.globals.store);
    output::line(&format!(
        "{} users of {} numbers each, {how}, in {}",
        done.users,
        done.dimension,
        folder.display()
    ))
}
