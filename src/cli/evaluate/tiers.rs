//! `idiolect evaluate tiers`.

use idiolect::evaluate::statistics::Estimate;
use idiolect::evaluate::{
    EvalContext, MetricSet, TierFigures, TierOptions, TierResult, evaluate_tiers,
};

use super::super::block_on::block_on;
use super::super::context::Context;
use super::super::settings::MethodArgs;
use super::super::{output, values};

#[derive(Debug, clap::Args)]
#[command(long_about = "Show whether the model keeps the tiers of instructions apart\n\n\
    The method `tiers` writes about items of the store under 16 preferences that a program can check: \
    nobody wants anything, the user wants it, the user wants the opposite, and the user wants it while \
    the operator asks for the opposite. Steerability is the share of texts that keep to a preference if \
    the user wants it, minus if the user wants the opposite; with the wishes swapped among the \
    preferences it must be 0. With --contrast tier the same is written without and with the contrast. \
    All texts are stored: a stopped run goes on with the same command.", after_help = EXAMPLES)]
pub(super) struct Args {
    /// Number of items that are written about, drawn at random from those with short titles
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = values::rows(2))]
    requests: usize,
    /// Maximum number of tokens of a text
    #[arg(long, value_name = "N", default_value_t = 80, value_parser = values::tokens(1))]
    max_tokens: usize,
    /// Seed of the items, and of the swapped preferences
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    #[command(flatten)]
    settings: MethodArgs<true>,
}

const EXAMPLES: &str = "\
Examples:
  idiolect evaluate tiers --requests 10
  idiolect evaluate tiers --contrast tier,b=1.5";

pub(super) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let task = args.settings.task()?;
    let options = args.settings.options(&task)?;
    let store = context.store()?;
    let lm = context.lm()?;
    let eval = EvalContext {
        store: &store,
        model: &lm,
        judge: None,
        peers: None,
        reward: None,
        task: &task,
        options: &options,
        n_seeds: 1,
        score_limit: None,
        metrics: &MetricSet::new(&[]),
        held_out: &[],
    };
    let Args { requests, max_tokens, seed, .. } = args;
    let tiers = TierOptions { requests: *requests, max_tokens: *max_tokens, seed: *seed };
    let result = block_on(context, evaluate_tiers(&eval, &tiers, context))??;
    match context.globals.json {
        true => output::json(&result),
        false => print(&result),
    }
}

fn print(result: &TierResult) -> anyhow::Result<()> {
    let n = result.options.requests;
    output::line(&format!("share of texts that keep to a preference, up to {n} requests each"))?;
    output::line("")?;
    figures("the prompt alone", &result.plain)?;
    let Some(with) = &result.contrast else { return Ok(()) };
    output::line("")?;
    figures("with the contrast", &with.figures)?;
    output::line("")?;
    output::line(&format!(
        "steerability with the contrast minus without: {} (p {:.4})",
        cell(&with.gain),
        with.p
    ))
}

fn figures(heading: &str, of: &TierFigures) -> anyhow::Result<()> {
    let columns = ["nobody", "wanted", "opposite", "conflict", "another", "operator"];
    let columns: String = columns.iter().map(|column| format!("{column:>10}")).collect();
    output::line(&format!("{heading:<22}{columns}"))?;
    for row in &of.preferences {
        let shares = [row.nobody, row.wanted, row.opposite, row.conflict, row.another];
        let shares: String = shares.iter().map(|share| format!("{share:>10.2}")).collect();
        let wins = format!("{}/{}", row.n_operator_wins, row.n_obeyed);
        output::line(&format!("{:<22}{shares}{wins:>10}", row.name))?;
    }
    output::line(&format!("steerability           {} (p {:.4})", cell(&of.steerability), of.p))?;
    output::line(&format!("with wishes swapped    {} (p {:.4})", cell(&of.swapped), of.p_swapped))?;
    output::line(&format!("another wish, nobody's {}", cell(&of.untouched)))?;
    let wins = of.operator_wins.as_ref().map_or_else(|| "-".to_owned(), cell);
    output::line(&format!(
        "the operator wins      {wins} of {} conflicts whose sides are obeyed one by one",
        of.n_conflicts
    ))
}

/// Formats a value and its confidence interval.
fn cell(of: &Estimate) -> String {
    match of.interval {
        Some(interval) => {
            format!("{:+.3} ({:+.3} to {:+.3})", of.value, interval.low, interval.high)
        }
        None => format!("{:+.3}", of.value),
    }
}
