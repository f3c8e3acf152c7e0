//! `idiolect evaluate pad`.

use std::ffi::OsString;

use idiolect::corpus::View;
use idiolect::evaluate;
use idiolect::methods::MethodOptions;
use idiolect::task::Task;
use idiolect::train::np::NpSettings;
use idiolect::train::pad::{PadEvaluation, PadEvaluationOptions, PadInputs, evaluate_pad};
use idiolect::train::{TrainingBudget, TrainingSettings};

use super::super::block_on::block_on;
use super::super::context::Context;
use super::super::train::PadHeadArgs;
use super::super::{output, values};

#[derive(Debug, clap::Args)]
#[command(long_about = "Show whether the token reward `pad` guides towards own texts\n\n\
    Token rewards are trained on all users but those drawn for evaluation. For each of these, the newest \
    texts are compared with peers' as long on the same items: in which share of the pairs does the \
    guidance raise the own text more? Rewards: plain, and gated by the reward head `np`; controls: both \
    trained with owners shuffled, and another user's gate, must be right half of the time. Everything is \
    stored: a stopped run goes on with the same command.")]
pub(super) struct Args {
    /// Most users to evaluate, at most half of those with pairs
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = values::rows(2))]
    users: usize,
    /// Most training steps of the reward head `np`
    #[arg(long, value_name = "N", default_value_t = 450, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    np_steps: u64,
    /// Kind of text: a built-in task or the path of a task file
    #[arg(long, env = "IDIOLECT_TASK", value_name = "NAME|PATH", default_value = Task::DEFAULT)]
    task: OsString,
    #[command(flatten)]
    head: PadHeadArgs,
}

pub(super) fn run(args: &Args, context: &Context) -> anyhow::Result<()> {
    let store = context.store()?;
    let task = Task::load(&args.task)?;
    task.check(&evaluate::stages())?;
    let lm = context.lm()?;
    let view = View::all(&store);
    let inputs = PadInputs {
        view: &view,
        model: &lm,
        output_head: &lm.output_head()?,
        task: &task,
        options: &MethodOptions::of(&task),
        progress: context,
    };
    let np = NpSettings::default();
    let budget = TrainingBudget::Steps(args.np_steps);
    let np = NpSettings { training: TrainingSettings { budget, ..np.training }, ..np };
    let options = PadEvaluationOptions { users: args.users, seed: args.head.seed };
    let settings = args.head.settings();
    let evaluation = block_on(context, evaluate_pad(&inputs, &options, (&settings, &np)))??;
    match context.globals.json {
        true => output::json(&evaluation),
        false => print(&evaluation),
    }
}

fn print(evaluation: &PadEvaluation) -> anyhow::Result<()> {
    let PadEvaluation { users, pairs, training_pairs, rows, .. } = evaluation;
    output::line(&format!(
        "own text raised more than a peer's as long: share over {users} users ({pairs} pairs), standard \
         error; trained on {training_pairs} pairs"
    ))?;
    output::line("")?;
    output::line(&format!(
        "{:<32}{:>6}{:>8}{:>11}{:>9}{:>14}{:>9}",
        "reward", "step", "loss", "share", "p", "another's gate", "p"
    ))?;
    for row in rows {
        let share = format!("{:.2} ±{:.2}", row.own.share, row.own.standard_error);
        let wrong = row.wrong.as_ref().map_or_else(String::new, |wrong| {
            format!("{:.2} ±{:.2}", wrong.share, wrong.standard_error)
        });
        let p_wrong = row.p_wrong.map_or_else(String::new, |p| format!("{p:.4}"));
        output::line(&format!(
            "{:<32}{:>6}{:>8.3}{share:>11}{:>9.4}{wrong:>14}{p_wrong:>9}",
            row.name, row.best_step, row.validation_loss, row.p
        ))?;
    }
    Ok(())
}
