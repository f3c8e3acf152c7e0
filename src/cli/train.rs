//! `idiolect train`.

use std::time::Instant;

use idiolect::corpus::View;
use idiolect::train::np::{HeadTraining, NpSettings, PeerLength, train_head};
use idiolect::train::{TrainingBudget, TrainingSettings};
use serde::Serialize;

use super::context::Context;
use super::{output, values};

#[derive(Debug, clap::Args)]
#[command(long_about = "Train what some methods use, on the texts of the store\n\n\
    Everything that is trained stays in the store and names the texts that it was made from: \
    forgetting one of these users deletes it. A training that was stopped or killed goes on with the \
    same command.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    // `about` and not a doc comment, which would replace its `long_about`.
    #[command(about = "Train the reward head `np`, which ranks drafts (`--best-of N --by np`)")]
    Np(NpArgs),
}

/// Options of a reward head, which `train np` and `evaluate np` share.
#[derive(Debug, clap::Args)]
pub(crate) struct HeadArgs {
    /// Most training steps; validation usually ends the training before
    #[arg(long, value_name = "N", default_value_t = 1500, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    steps: u64,
    /// Train for this many minutes instead of a number of steps; the result then depends on the
    /// machine's speed
    #[arg(long, value_name = "M", value_parser = minutes, conflicts_with = "steps")]
    minutes: Option<f64>,
    /// Seed of the first weights and of all draws
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(crate) seed: u64,
}

impl HeadArgs {
    pub(crate) fn settings(&self) -> NpSettings {
        let default = NpSettings::default();
        let budget = match self.minutes {
            Some(minutes) => TrainingBudget::Minutes(minutes),
            None => TrainingBudget::Steps(self.steps),
        };
        let training = TrainingSettings { budget, ..default.training };
        NpSettings { seed: self.seed, training, ..default }
    }
}

#[derive(Debug, clap::Args)]
#[command(long_about = "Train the reward head `np`, which ranks drafts (`--best-of N --by np`)\n\n\
    The head learns from all users of the store how an own text differs from a peer's on the same \
    item, and ranks drafts for any user by up to eight pairs of theirs: own texts against peers', and \
    choices (`idiolect choose`). It takes a minute and needs no model.", after_help = EXAMPLES)]
struct NpArgs {
    /// Leave out all users of this split; needed before texts are ranked in an evaluation
    #[arg(long, value_name = "NAME")]
    without_split: Option<String>,
    /// Leave out this user; can be repeated
    #[arg(long, value_name = "USER", allow_hyphen_values = true)]
    without_user: Vec<String>,
    /// Peers' texts in the pairs: any on the same item, or matched, those as long within 25 %; take
    /// matched if length must not count
    #[arg(long, value_name = "WHICH", default_value = "any", value_parser = values::named::<PeerLength>())]
    peers: PeerLength,
    #[command(flatten)]
    head: HeadArgs,
}

const EXAMPLES: &str = "\
Examples:
  idiolect train np
  idiolect write --user marta --item kettle-02 --best-of 8 --by np
  idiolect train np --without-split default    before `evaluate --best-of 8 --by np`";

/// The JSON object of `train np`.
#[derive(Serialize)]
struct NpJson<'a> {
    users: usize,
    texts: usize,
    parameters: usize,
    #[serde(flatten)]
    training: &'a HeadTraining,
    settings: &'a NpSettings,
    seconds: f64,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    match args.command {
        Command::Np(args) => np(args, context),
    }
}

fn np(args: NpArgs, context: &Context) -> anyhow::Result<()> {
    let store = context.store()?;
    let mut without = args.without_user;
    for user in &without {
        // An unknown name is a mistake.
        store.history(user)?;
    }
    if let Some(name) = &args.without_split {
        without.extend(store.split(name)?.users.into_iter().map(|user| user.user));
    }
    let settings = NpSettings { peers: args.peers, ..args.head.settings() };
    let began = Instant::now();
    let head = train_head(&View::all(&store), &without, &settings, context)?;
    let seconds = began.elapsed().as_secs_f64();
    let (users, texts, training) = (head.users().len(), head.sources().len(), head.training());
    if context.globals.json {
        let parameters = head.n_parameters();
        return output::json(&NpJson {
            users,
            texts,
            parameters,
            training,
            settings: &settings,
            seconds,
        });
    }
    output::line(&format!(
        "reward head of {texts} texts by {users} users ({} with pairs, {} for validation)",
        training.users, training.validation_users
    ))?;
    output::line(&format!(
        "{} values, best step {} of {}, validation loss {:.3} (chance {:.3}), {seconds:.1} s",
        head.n_parameters(),
        training.best_step,
        training.steps,
        training.validation_loss,
        std::f64::consts::LN_2
    ))
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if (0.01..=100_000.0).contains(&minutes) => Ok(minutes),
        _ => Err("a number of minutes from 0.01 is needed".to_owned()),
    }
}
