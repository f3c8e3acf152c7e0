//! `idiolect evaluate best-of`.

use idiolect::evaluate::statistics::Estimate;
use idiolect::evaluate::{
    BestOfEvaluation, BestOfPick, EvalContext, MetricGroup, MetricSet, evaluate_best_of,
};
use idiolect::methods::{Method, RankedBy};

use super::super::block_on::block_on;
use super::super::context::Context;
use super::super::settings::MethodArgs;
use super::super::{output, reward, values};
use super::plan::PlanArgs;

/// Number of drafts if the settings give none.
const DRAFTS: usize = 8;

#[derive(Debug, clap::Args)]
#[command(long_about = "Show whether ranking drafts by `np` makes them closer to their user\n\n\
    For random pairs of users who wrote about one item, both get N drafts (--best-of, 8 by default). The \
    draft that the reward head likes best is compared with all N by the swap test, with measures that \
    the head does not contain: likelihood, trigrams, and the encoder, which chooses nothing here. Picks \
    with another user's pairs are the control. Train the head first: `idiolect train np --without-split \
    default`. Everything is stored: a stopped run goes on with the same command.", after_help = EXAMPLES)]
pub(super) struct Args {
    /// Method that writes; `idiolect write --help` describes them
    #[arg(long, value_name = "METHOD", default_value = "idiolect", hide_possible_values = true,
          value_parser = values::method())]
    method: Method,
    #[command(flatten)]
    choice: PlanArgs,
    /// Maximum number of tokens of a draft; lower it to save time [default: the task's]
    #[arg(long, value_name = "N", value_parser = values::tokens(1))]
    max_tokens: Option<usize>,
    /// Leave the encoder out
    #[arg(long)]
    no_encoder: bool,
    #[command(flatten)]
    settings: MethodArgs<true>,
}

const EXAMPLES: &str = "\
Examples:
  idiolect evaluate best-of --pairs 60 --max-tokens 160
  idiolect evaluate best-of --method scp --best-of 4";

pub(super) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let task = args.settings.task()?;
    args.settings.check_task_shows_no_peers(&task)?;
    let mut options = args.settings.options(&task)?;
    options.max_tokens = args.max_tokens.or(options.max_tokens);
    if options.idiolect.best_of < 2 {
        options.idiolect.best_of = DRAFTS;
    }
    options.idiolect.by = RankedBy::Np;
    args.settings.check_peer_text(&[args.method], &options)?;
    anyhow::ensure!(
        !args.method.needs_peers(&options),
        "evaluate best-of: `{}` with these settings compares users with the encoder, which must choose \
         nothing here; take another method",
        args.method.name()
    );
    let store = context.store()?;
    let measures = MetricSet::new(&[MetricGroup::Swap]);
    let split = args.choice.split(&store)?;
    // Without an encoder all pairs are random.
    let plan = args.choice.plan(&store, &split, &measures, None, options.seed)?;
    let held_out = plan.held_out();
    let lm = context.lm()?;
    let head = reward::trained((&store, context), &[args.method], &options, &held_out, Some(&lm))?;
    let encoder = (!args.no_encoder).then(|| context.encoder()).transpose()?;
    let eval = EvalContext {
        store: &store,
        model: &lm,
        judge: None,
        peers: None,
        reward: head.as_ref().map(|head| head as _),
        task: &task,
        options: &options,
        n_seeds: 1,
        score_limit: None,
        metrics: &measures,
        held_out: &held_out,
    };
    let (n, encoder) = (options.idiolect.best_of, encoder.as_ref().map(|encoder| encoder as _));
    let done = evaluate_best_of(&eval, &plan, args.method, n, encoder, context);
    let evaluation = block_on(context, done)??;
    match context.globals.json {
        true => output::json(&evaluation),
        false => print(&evaluation),
    }
}

fn print(evaluation: &BestOfEvaluation) -> anyhow::Result<()> {
    let BestOfEvaluation { method, drafts, pairs, measures } = evaluation;
    output::line(&format!(
        "{pairs} pairs, {drafts} drafts of each user by {}: share of pairs in the right order, and what \
         picking changes",
        method.name()
    ))?;
    output::line("")?;
    for measure in measures {
        output::line(&format!("{:<12}any draft      {}", measure.name, cell(&measure.random)))?;
        for (name, pick) in [("own pairs", &measure.own), ("another's", &measure.wrong)] {
            let BestOfPick { accuracy, accuracy_gain, p_accuracy, margin_gain, p_margin } = pick;
            output::line(&format!(
                "{:<12}{name:<15}{}; gain {} (p {p_accuracy:.4}); margin, in standard deviations of \
                 drafts, {} (p {p_margin:.4})",
                "",
                cell(accuracy),
                cell(accuracy_gain),
                cell(margin_gain),
            ))?;
        }
    }
    Ok(())
}

/// Formats a value and its confidence interval.
fn cell(of: &Estimate) -> String {
    match of.interval {
        Some(interval) => {
            format!("{:.3} ({:.3} to {:.3})", of.value, interval.low, interval.high)
        }
        None => format!("{:.3}", of.value),
    }
}
