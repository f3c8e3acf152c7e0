//! `idiolect evaluate np`.

use std::path::{Path, PathBuf};

use idiolect::corpus::{Store, View};
use idiolect::train::np::{
    NpEvaluation, NpEvaluationOptions, NpShare, RatedEvaluation, evaluate_np, evaluate_rated,
    read_rated_texts, read_ratings,
};

use super::super::context::Context;
use super::super::train::HeadArgs;
use super::super::{output, values};

#[derive(Debug, clap::Args)]
#[command(long_about = "Show how well the reward head `np` tells own texts from peers'\n\n\
    Heads are trained on all users but those drawn for evaluation. For each of these, the two newest \
    texts are judged against peers' texts on the same items, with 0 to 8 older pairs known: any peers, \
    and peers whose texts are as long. Controls: another user's pairs, and heads that were trained with \
    owners shuffled, must be right half of the time. Five trainings of about a minute each; no model is \
    needed.")]
pub(super) struct Args {
    /// Most users to evaluate, at most half of those with enough texts
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = values::rows(2))]
    users: usize,
    /// Least number of texts of a user to evaluate that can be paired
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = values::number(3..=1000))]
    min_texts: usize,
    /// Evaluate on ratings instead of the store: a table with the columns user, item and rating, of texts
    /// that many people rated
    #[arg(long, value_name = "FILE", requires = "texts")]
    ratings: Option<PathBuf>,
    /// The texts that the ratings are of: JSON lines with item and text
    #[arg(long, value_name = "FILE", requires = "ratings")]
    texts: Option<PathBuf>,
    #[command(flatten)]
    head: HeadArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    if let Some((ratings, texts)) = args.ratings.as_deref().zip(args.texts.as_deref()) {
        return rated(args, (ratings, texts), context);
    }
    let store = context.store()?;
    let Args { users, min_texts, head, .. } = args;
    let options = NpEvaluationOptions { users: *users, min_texts: *min_texts, seed: head.seed };
    let evaluation = evaluate_np(&View::all(&store), &options, &head.settings(), context)?;
    match context.globals.json {
        true => output::json(&evaluation),
        false => print(&evaluation),
    }
}

/// Evaluates on files of ratings. Checkpoints are in the store of `--store`, if it exists.
fn rated(args: &Args, (ratings, texts): (&Path, &Path), context: &Context) -> anyhow::Result<()> {
    let (ratings, texts) = (read_ratings(ratings)?, read_rated_texts(texts)?);
    let store = match context.globals.store.exists() {
        true => context.store()?,
        false => Store::in_memory()?,
    };
    let settings = args.head.settings();
    let done = evaluate_rated(&ratings, &texts, (&settings, args.users), &store, context)?;
    if context.globals.json {
        return output::json(&done);
    }
    let RatedEvaluation { training_users, users, by_pairs, wrong, mean_rating } = &done;
    output::line(&format!(
        "the better of two texts scored higher: share, standard error over {users} users ({training_users} \
         in training)"
    ))?;
    output::line("")?;
    let numbers: String = by_pairs.iter().map(|(n, _)| format!("{n:>11}")).collect();
    output::line(&format!("{:<20}{numbers}", "pairs known"))?;
    for (name, shares) in [("own pairs", by_pairs), ("another's pairs", wrong)] {
        let cells: String = shares.iter().map(|(_, share)| cell(share)).collect();
        output::line(&format!("{name:<20}{cells}"))?;
    }
    output::line(&format!("{:<20}{}", "mean rating", cell(mean_rating)))
}

fn print(evaluation: &NpEvaluation) -> anyhow::Result<()> {
    output::line(
        "own text scored above a peer's on the same item: share, standard error over users",
    )?;
    output::line("")?;
    let Some(first) = evaluation.rows.first() else { return Ok(()) };
    let numbers: String = first.by_pairs.iter().map(|(n, _)| format!("{n:>11}")).collect();
    output::line(&format!(
        "{:<34}{:>6}{numbers}{:>11}{:>9}",
        "pairs known", "users", "wrong", "p"
    ))?;
    for row in &evaluation.rows {
        let cells: String = row.by_pairs.iter().map(|(_, share)| cell(share)).collect();
        let (name, users, wrong) = (row.name, row.users, cell(&row.wrong));
        output::line(&format!("{name:<34}{users:>6}{cells}{wrong}{:>9.4}", row.p))?;
    }
    output::line("")?;
    output::line(
        "wrong: another user's 8 pairs; p: that the own 8 pairs and another's do equally well",
    )
}

fn cell(share: &NpShare) -> String {
    format!("{:>6.2} ±{:.2}", share.share, share.standard_error)
}
