//! `idiolect representatives`.

use std::fmt::Write as _;

use idiolect::corpus::View;
use idiolect::peers::{
    self, Anchor, Choice, ChoiceOptions, Origin, Representative, Selector, choose,
};
use serde::Serialize;

use super::context::Context;
use super::{output, values};

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Show the representatives that a user is compared with on an item\n\n\
        The reviews of the item are grouped by meaning into K+1 clusters. The cluster with the \
        user's own review is dropped; of each other cluster the review nearest to its centre is \
        chosen (DPL). A user with several reviews of the item counts once, with the one nearest in \
        time to the user's newest. If the item has too few reviewers, reviews of similar items by \
        similar users are added.",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// User to compare
    user: String,
    /// Item that the reviews are about
    item: String,
    /// Maximum number of representatives; lower it for short prompts
    #[arg(long, value_name = "K", default_value_t = 4, value_parser = values::count())]
    k: usize,
    /// Selection of representatives: kmeans as in DPL, the others for comparison; `idiolect write
    /// --help-all` describes them
    #[arg(
        long,
        value_name = "NAME",
        default_value = "kmeans",
        value_parser = values::named::<Selector>()
    )]
    selector: Selector,
    /// Seed of the clustering and of random choices; change it to see how much they vary
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  idiolect representatives marta kettle-02
  idiolect representatives marta kettle-02 --k 2 --selector farthest --json";

/// Maximum number of characters shown of a review.
const EXCERPT: usize = 300;

/// JSON object that the command prints.
#[derive(Serialize)]
struct RepresentativesJson<'a> {
    user: &'a str,
    item: &'a str,
    selector: Selector,
    k: usize,
    seed: u64,
    compared_with: Anchor,
    candidates: usize,
    dropped: usize,
    representatives: &'a [Representative],
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let store = context.store()?;
    let view = View::all(&store);
    // Report an unknown name before the encoder is loaded.
    view.history(&args.user).map_err(peers::Error::from)?;
    let item = view.item(&args.item).map_err(peers::Error::from)?;
    let encoder = context.encoder()?;
    let options = ChoiceOptions { k: args.k, selector: args.selector, seed: args.seed };
    let choice = choose(&view, &encoder, &args.user, &args.item, &options)?;
    if context.globals.json {
        return output::json(&RepresentativesJson {
            user: &args.user,
            item: &args.item,
            selector: args.selector,
            k: args.k,
            seed: args.seed,
            compared_with: choice.compared_with,
            candidates: choice.n_candidates,
            dropped: choice.n_dropped,
            representatives: &choice.representatives,
        });
    }
    let title = if item.title.is_empty() { &args.item } else { &item.title };
    output::text(&in_words(&choice, &args, title)?)
}

fn in_words(choice: &Choice, args: &Args, title: &str) -> anyhow::Result<String> {
    let mut out = String::new();
    let n_near = choice
        .representatives
        .iter()
        .filter(|r| matches!(r.origin, Origin::NearItem { .. }))
        .count();
    let (user, title) = (output::on_one_line(&args.user), output::on_one_line(title));
    writeln!(out, "{user} on {title}: {} candidates", choice.n_candidates)?;
    let compared = match choice.compared_with {
        Anchor::OwnReview => "the user's own review of it",
        Anchor::OwnMean => "the mean of the user's other reviews (none of this item)",
        Anchor::Candidates => "the candidates' own mean (the user has no review)",
    };
    writeln!(out, "Similarities are to {compared}.")?;
    if choice.n_dropped > 0 {
        writeln!(
            out,
            "{} candidates are dropped: they are in the user's own cluster.",
            choice.n_dropped
        )?;
    }
    if n_near > 0 {
        writeln!(
            out,
            "Too few others wrote about it: {n_near} of these are about similar items, by similar \
             users."
        )?;
    }
    for representative in &choice.representatives {
        one(&mut out, representative)?;
    }
    if choice.representatives.is_empty() {
        writeln!(out, "There are no representatives.")?;
    }
    Ok(out)
}

fn one(out: &mut String, representative: &Representative) -> anyhow::Result<()> {
    let review = &representative.review.review;
    write!(out, "\n{}", output::on_one_line(&review.user))?;
    if let Some(rating) = review.rating {
        write!(out, ", rating {rating}")?;
    }
    if !review.title.is_empty() {
        write!(out, ", \"{}\"", output::on_one_line(&review.title))?;
    }
    write!(out, "\n  similarity {:.3}", representative.similarity)?;
    if let Some(cluster) = representative.cluster {
        let members = match representative.cluster_size {
            1 => "1 review".to_owned(),
            n => format!("{n} reviews"),
        };
        write!(out, "; represents cluster {cluster} ({members})")?;
    }
    if let Origin::NearItem { item, similarity } = &representative.origin {
        let item = output::on_one_line(item);
        write!(out, "; about {item}, similarity of the items {similarity:.3}")?;
    }
    writeln!(out, "\n  {}", excerpt(&review.text))?;
    Ok(())
}

/// Returns at most [`EXCERPT`] characters of a text on one line.
fn excerpt(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{}...", &one_line[..end]),
        None => one_line,
    }
}
