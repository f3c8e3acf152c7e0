//! `idiolect evaluate interact`.

use idiolect::evaluate::statistics::{Estimate, Settings};
use idiolect::evaluate::{
    EvalContext, InteractCurves, InteractMemory, InteractOptions, InteractSummary, MetricSet,
    interact_curves,
};
use idiolect::methods::Method;
use serde::Serialize;

use super::super::block_on::block_on;
use super::super::context::Context;
use super::super::settings::MethodArgs;
use super::super::{output, values};

#[derive(Debug, clap::Args)]
#[command(long_about = "Measure what a memory of a person's turns is worth, without a judge\n\n\
    A user's texts in the order of time are the turns of a conversation, and text k is scored in bits \
    per token after the k - 1 before it: with these as memory, with none, with as many of another \
    user's, and with the first alone (frozen). A memory that learns the person falls against none, turn \
    by turn, and another user's falls less. All scores are stored: a stopped run goes on with the same \
    command.", after_help = EXAMPLES)]
pub(super) struct Args {
    /// Method that scores; `idiolect write --help` describes them
    #[arg(long, value_name = "METHOD", default_value = "interact", hide_possible_values = true,
          value_parser = values::method())]
    method: Method,
    /// Number of turns; users with fewer texts are left out
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = values::number(2..=100))]
    turns: usize,
    /// Most users, drawn at random [default: all with enough texts]
    #[arg(long, value_name = "N", value_parser = values::rows(2))]
    users: Option<usize>,
    /// Seed of the choice of users and wrong users
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Number of tokens of each text that are scored, from its first; 0 scores all
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = values::tokens(0), hide = true)]
    score_tokens: usize,
    #[command(flatten)]
    settings: MethodArgs<false>,
}

const EXAMPLES: &str = "\
Examples:
  idiolect evaluate interact --users 60
  idiolect evaluate interact --method scp --turns 6";

/// The JSON object of the command.
#[derive(Serialize)]
struct InteractJson<'a> {
    curves: &'a InteractCurves,
    without: Vec<f64>,
    summary: &'a [InteractSummary],
}

pub(super) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let task = args.settings.task()?;
    let options = args.settings.options(&task)?;
    args.settings.check_peer_text(&[args.method], &options)?;
    args.settings.check_task_shows_no_peers(&task)?;
    let store = context.store()?;
    let lm = context.lm()?;
    let encoder = args.method.needs_peers(&options).then(|| context.encoder()).transpose()?;
    let eval = EvalContext {
        store: &store,
        model: &lm,
        judge: None,
        peers: encoder.as_ref().map(|encoder| encoder as _),
        reward: None,
        task: &task,
        options: &options,
        n_seeds: 1,
        score_limit: (args.score_tokens > 0).then_some(args.score_tokens),
        metrics: &MetricSet::new(&[]),
        held_out: &[],
    };
    let curve = InteractOptions { turns: args.turns, users: args.users, seed: args.seed };
    let curves = block_on(context, interact_curves(&eval, args.method, &curve, context))??;
    let summary = curves.summary(&Settings { seed: args.seed, ..Settings::default() })?;
    if context.globals.json {
        let without = curves.without();
        return output::json(&InteractJson { curves: &curves, without, summary: &summary });
    }
    print(&curves, &summary)
}

fn print(curves: &InteractCurves, summary: &[InteractSummary]) -> anyhow::Result<()> {
    output::line(&format!(
        "{} users, {} turns, {}: bits per token of text k, and what a memory changes",
        curves.users.len(),
        curves.options.turns,
        curves.method.name()
    ))?;
    output::line("")?;
    let heading: String = (1..=curves.options.turns).map(|k| format!("{k:>15}")).collect();
    output::line(&format!("{:<8}{heading}", "turn"))?;
    let without: String = curves.without().iter().map(|bits| format!("{bits:>15.3}")).collect();
    output::line(&format!("{:<8}{without}", "none"))?;
    for of in summary {
        let cells: String = of.gain.iter().map(|gain| format!("{:>15}", cell(gain, 3))).collect();
        output::line(&format!("{:<8}{cells}", name(of.memory)))?;
    }
    output::line("")?;
    for of in summary {
        let slope = cell(&of.slope, 4);
        let own = match of.memory {
            InteractMemory::Own => String::new(),
            _ => format!("; own minus this {} (p {:.4})", cell(&of.own_minus, 4), of.p_own_minus),
        };
        output::line(&format!("slope {:<8}{slope} a turn (p {:.4}){own}", name(of.memory), of.p))?;
    }
    Ok(())
}

fn name(memory: InteractMemory) -> String {
    values::name_of(&memory)
}

/// Formats a mean and half the width of its confidence interval.
fn cell(of: &Estimate, digits: usize) -> String {
    let mean = format!("{:+.digits$}", of.value);
    match of.interval {
        Some(interval) => format!("{mean} ±{:.digits$}", (interval.high - interval.low) / 2.0),
        None => mean,
    }
}
