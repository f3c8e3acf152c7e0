//! `idiolect evaluate fermi`.

use idiolect::evaluate::statistics::Estimate;
use idiolect::evaluate::{
    EvalContext, FermiEvalOptions, FermiEvaluation, MetricSet, evaluate_fermi,
};
use idiolect::methods::Method;

use super::super::block_on::block_on;
use super::super::context::Context;
use super::super::settings::MethodArgs;
use super::super::{output, values};

#[derive(Debug, clap::Args)]
#[command(long_about = "Show what instructions improved on past texts are worth on newer ones\n\n\
    For each user the method `fermi` improves an instruction on the older two thirds of all texts but the \
    newest. Gains are bits per token over the task's own prompt: on the newer third, on peers' texts on \
    the same items, with another user's instruction (the control), and of the whole method on the newest \
    text. All scores are stored: a stopped run goes on with the same command.", after_help = EXAMPLES)]
pub(super) struct Args {
    /// Number of users, drawn at random
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = values::rows(2))]
    users: usize,
    /// Least number of texts of a user
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = values::number(4..=1000))]
    min_texts: usize,
    /// Seed of the choice of users
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Number of tokens of the newest text that are scored, from its first; 0 scores all
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = values::tokens(0), hide = true)]
    score_tokens: usize,
    #[command(flatten)]
    settings: MethodArgs<false>,
}

const EXAMPLES: &str = "\
Examples:
  idiolect evaluate fermi --users 10
  idiolect evaluate fermi --optimiser model --lm qwen2.5-coder-1.5b-instruct";

pub(super) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let task = args.settings.task()?;
    let options = args.settings.options(&task)?;
    args.settings.check_peer_text(&[Method::FERMI], &options)?;
    args.settings.check_task_shows_no_peers(&task)?;
    let store = context.store()?;
    let lm = context.lm()?;
    let encoder = Method::FERMI.needs_peers(&options).then(|| context.encoder()).transpose()?;
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
    let Args { users, min_texts, seed, .. } = args;
    let chosen = FermiEvalOptions { users: *users, min_texts: *min_texts, seed: *seed };
    let evaluation = block_on(context, evaluate_fermi(&eval, &chosen, context))??;
    match context.globals.json {
        true => output::json(&evaluation),
        false => print(&evaluation),
    }
}

fn print(evaluation: &FermiEvaluation) -> anyhow::Result<()> {
    let n = evaluation.users.len();
    output::line(&format!("{n} users: bits a token fewer than with the task's own prompt"))?;
    output::line("")?;
    for figure in &evaluation.figures {
        output::line(&format!("{:<36}{} (p {:.4})", figure.name, cell(&figure.mean), figure.p))?;
    }
    output::line(&format!(
        "the task's own prompt is kept for {:.0} % of the users",
        100.0 * evaluation.keeps_seed
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
