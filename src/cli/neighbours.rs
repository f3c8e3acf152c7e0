//! `idiolect neighbours`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, bail};
use idiolect::corpus::Store;
use idiolect::encoder::Encoder;
use idiolect::peers::PeerIndex;
use serde::Serialize;

use super::context::Context;
use super::{output, values, wrap};

#[derive(Debug, clap::Args)]
#[command(
    long_about = "List the users who write most like a user\n\n\
        Compares the embeddings of the index: the direction in which a user's texts differ from others' on the \
        same items. 1 is the same direction, 0 no relation.",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// Users to find the neighbours of; write `-- USER` for one that begins with a hyphen
    #[arg(value_name = "USER", required_unless_present = "users_from")]
    users: Vec<String>,
    /// File with further users, one a line
    #[arg(long, value_name = "FILE")]
    users_from: Option<PathBuf>,
    /// Number of neighbours of each user
    #[arg(long, value_name = "K", default_value_t = 10, value_parser = values::count())]
    k: usize,
    #[cfg(feature = "postgres")]
    #[command(flatten)]
    database: super::database::DatabaseArgs,
    /// Candidates that a search in the database of --peers keeps; raise it for more of the nearest users at
    /// fewer searches a second
    #[cfg(feature = "postgres")]
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = values::count(), hide = true,
          requires = "peers")]
    candidates: usize,
}

const EXAMPLES: &str = "\
Examples:
  idiolect neighbours marta
  idiolect neighbours --users-from names.txt --k 5 --json";

/// JSON object that the command prints.
#[derive(Serialize)]
struct NeighboursJson<'a> {
    k: usize,
    /// Time of the searches, one after the other.
    seconds: f64,
    users: Vec<UserNeighboursJson<'a>>,
}

#[derive(Serialize)]
struct UserNeighboursJson<'a> {
    user: &'a str,
    neighbours: Vec<NeighbourJson>,
}

#[derive(Serialize)]
struct NeighbourJson {
    user: String,
    cosine: f32,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let mut users = args.users.clone();
    if let Some(path) = &args.users_from {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("--users-from {}", path.display()))?;
        users.extend(text.lines().filter(|line| !line.is_empty()).map(str::to_owned));
    }
    let store = context.store()?;
    let encoder = context.encoder()?;
    let mut search = search_of(&args, (&store, &encoder), context)?;
    let begin = Instant::now();
    let mut found = Vec::with_capacity(users.len());
    for user in &users {
        let Some(near) = search(user)? else {
            bail!(
                "`{user}` has no vector; see `idiolect users`, and `idiolect index` after an import"
            );
        };
        let near = near.into_iter().filter(|(name, _)| name != user).take(args.k);
        let neighbours = near.map(|(user, cosine)| NeighbourJson { user, cosine }).collect();
        found.push(UserNeighboursJson { user, neighbours });
    }
    let seconds = begin.elapsed().as_secs_f64();
    match context.globals.json {
        true => output::json(&NeighboursJson { k: args.k, seconds, users: found }),
        false => print_table(&found),
    }
}

/// Finds the users nearest to a user, the user too, with their cosines; `None` if the user has no vector.
type Search = Box<dyn FnMut(&str) -> anyhow::Result<Option<Vec<(String, f32)>>>>;

/// A search in the index of the store, or in the database of `--peers`.
fn search_of(
    args: &Args,
    (store, encoder): (&Store, &Encoder),
    #[cfg_attr(not(feature = "postgres"), allow(unused_variables))] context: &Context,
) -> anyhow::Result<Search> {
    let more = args.k.saturating_add(1);
    #[cfg(feature = "postgres")]
    if args.database.is_given() {
        let manifest = PeerIndex::manifest_of(store, encoder)?;
        let mut database = args.database.open(&manifest, args.candidates, context)?;
        return Ok(Box::new(move |user| {
            let Some(vector) = database.vector(user)? else { return Ok(None) };
            Ok(Some(database.near(&vector, more)?))
        }));
    }
    let index = PeerIndex::open(store, encoder)?;
    Ok(Box::new(move |user| {
        let Some(vector) = index.embedding(user) else { return Ok(None) };
        let near = index.near(vector, more)?;
        Ok(Some(near.into_iter().map(|(name, cosine)| (name.to_owned(), cosine)).collect()))
    }))
}

fn print_table(found: &[UserNeighboursJson<'_>]) -> anyhow::Result<()> {
    let mut table = String::new();
    for row in found {
        table.push_str(&format!("{}\n", output::on_one_line(row.user)));
        let names: Vec<String> =
            row.neighbours.iter().map(|near| output::on_one_line(&near.user)).collect();
        let width = names.iter().map(|name| wrap::columns(name)).max().unwrap_or(0);
        for (name, near) in names.iter().zip(&row.neighbours) {
            table.push_str(&format!("  {}  {:>6.3}\n", wrap::padded(name, width), near.cosine));
        }
    }
    output::text(&table)
}
