//! `idiolect train`.

use std::ffi::OsString;
use std::time::Instant;

use idiolect::corpus::{Store, View};
use idiolect::evaluate;
use idiolect::methods::MethodOptions;
use idiolect::task::Task;
use idiolect::train::adapters::{AdapterInputs, AdapterNetKind, AdapterSettings, train_adapter};
use idiolect::train::np::{HeadTraining, NpHead, NpSettings, PeerLength, train_head};
use idiolect::train::pad::{PadInputs, PadSettings, train_pad};
use idiolect::train::{TrainingBudget, TrainingSettings};
use serde::Serialize;

use super::block_on::block_on;
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
    #[command(about = "Train the token reward of the method `pad`")]
    Pad(PadArgs),
    #[command(about = "Train the soft tokens of the method `pplug`")]
    Pplug(PplugArgs),
    #[command(about = "Train the mixed weights of the method `reclora`")]
    Reclora(RecloraArgs),
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

/// Users whose texts are not trained on.
#[derive(Debug, clap::Args)]
struct LeftOut {
    /// Leave out all users of this split; needed before what is trained is used in an evaluation
    #[arg(long, value_name = "NAME")]
    without_split: Option<String>,
    /// Leave out this user; can be repeated
    #[arg(long, value_name = "USER", allow_hyphen_values = true)]
    without_user: Vec<String>,
}

impl LeftOut {
    fn users(&self, store: &Store) -> anyhow::Result<Vec<String>> {
        let mut without = self.without_user.clone();
        for user in &without {
            // An unknown name is a mistake.
            store.history(user)?;
        }
        if let Some(name) = &self.without_split {
            without.extend(store.split(name)?.users.into_iter().map(|user| user.user));
        }
        Ok(without)
    }
}

/// Options of a token reward, which `train pad` and `evaluate pad` share.
#[derive(Debug, clap::Args)]
pub(crate) struct PadHeadArgs {
    /// Most pairs of texts that it is trained on; each is read once by the language model
    #[arg(long, value_name = "N", default_value_t = 600, value_parser = values::rows(4))]
    pairs: usize,
    /// Past texts in the prompts
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = values::number(1..=100))]
    past: usize,
    /// Tokens of each text that count, from its first
    #[arg(long, value_name = "N", default_value_t = 96, value_parser = values::number(8..=4096))]
    tokens: usize,
    /// Most training steps; validation usually ends the training before
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    steps: u64,
    /// Strength of the loss
    #[arg(long, value_name = "X", default_value_t = 0.1, value_parser = beta, hide = true)]
    beta: f64,
    /// Seed of the pairs, the first weights and all draws
    #[arg(long, value_name = "N", default_value_t = 42)]
    pub(crate) seed: u64,
}

impl PadHeadArgs {
    pub(crate) fn settings(&self) -> PadSettings {
        let default = PadSettings::default();
        let budget = TrainingBudget::Steps(self.steps);
        PadSettings {
            pairs: self.pairs,
            n_past: self.past,
            tokens: self.tokens,
            beta: self.beta,
            seed: self.seed,
            training: TrainingSettings { budget, ..default.training },
            ..default
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(long_about = "Train the token reward of the method `pad`\n\n\
    The language model reads pairs of a user's own text and a peer's as long, after the user's past \
    texts; a map of its last hidden state then learns which tokens are the user's. It belongs to the \
    language model of --lm.", after_help = PAD_EXAMPLES)]
struct PadArgs {
    #[command(flatten)]
    left_out: LeftOut,
    /// Gate the map by what the reward head `np` knows of a user; needs `train np` with the same users left
    /// out
    #[arg(long)]
    gated: bool,
    /// Kind of text: a built-in task or the path of a task file
    #[arg(long, env = "IDIOLECT_TASK", value_name = "NAME|PATH", default_value = Task::DEFAULT)]
    task: OsString,
    #[command(flatten)]
    head: PadHeadArgs,
}

const PAD_EXAMPLES: &str = "\
Examples:
  idiolect train pad
  idiolect write --user marta --item kettle-02 --method pad
  idiolect train pad --without-split default --gated    before `evaluate --methods pad`";

/// Options of an adapter, which `train pplug` and `train reclora` share.
#[derive(Debug, clap::Args)]
struct AdapterArgs {
    #[command(flatten)]
    left_out: LeftOut,
    /// Kind of text: a built-in task or the path of a task file
    #[arg(long, env = "IDIOLECT_TASK", value_name = "NAME|PATH", default_value = Task::DEFAULT)]
    task: OsString,
    /// Most texts that it is trained on
    #[arg(long, value_name = "N", default_value_t = 1200, value_parser = values::rows(4))]
    texts: usize,
    /// Past texts that a user is known by, the newest
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = values::number(1..=100))]
    past: usize,
    /// Tokens of each text that count, from its first
    #[arg(long, value_name = "N", default_value_t = 144, value_parser = values::number(8..=4096))]
    tokens: usize,
    /// Most tokens of a prompt; texts with a longer one are left out
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = values::number(8..=65_536))]
    prompt_tokens: usize,
    /// Most training steps, of two texts each; validation may end the training before
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    steps: u64,
    /// Train for this many minutes instead of a number of steps; the result then depends on the
    /// machine's speed
    #[arg(long, value_name = "M", value_parser = minutes, conflicts_with = "steps")]
    minutes: Option<f64>,
    /// Weight of the margin to another user's texts; 0 trains on the likelihood alone, in half the time
    #[arg(long, value_name = "X", default_value_t = 0.5, value_parser = margin)]
    margin: f64,
    /// Give each text the past of users drawn at random: a control, which must not tell users apart
    #[arg(long)]
    shuffled: bool,
    /// Seed of the texts, the first values and all draws
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
}

impl AdapterArgs {
    fn settings(&self, kind: AdapterNetKind) -> AdapterSettings {
        let default = AdapterSettings::of(kind);
        let budget = match self.minutes {
            Some(minutes) => TrainingBudget::Minutes(minutes),
            None => TrainingBudget::Steps(self.steps),
        };
        AdapterSettings {
            texts: self.texts,
            n_past: self.past,
            tokens: self.tokens,
            prompt_tokens: self.prompt_tokens,
            margin: self.margin,
            shuffled: self.shuffled,
            seed: self.seed,
            training: TrainingSettings { budget, ..default.training },
            ..default
        }
    }
}

#[derive(Debug, clap::Args)]
#[command(long_about = "Train the soft tokens of the method `pplug`\n\n\
    A net makes soft tokens of a user's past texts, which then stand before the prompt in their place. It is \
    trained through the language model of --lm in f32, which takes long on a CPU, and belongs to it and to the \
    encoder of --encoder.", after_help = PPLUG_EXAMPLES)]
struct PplugArgs {
    /// Soft tokens of a user
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = values::number(1..=64))]
    soft_tokens: usize,
    #[command(flatten)]
    adapter: AdapterArgs,
}

const PPLUG_EXAMPLES: &str = "\
Examples:
  idiolect train pplug
  idiolect write --user marta --item kettle-02 --method pplug
  idiolect train pplug --without-split default    before `evaluate --methods pplug`";

#[derive(Debug, clap::Args)]
#[command(long_about = "Train the mixed weights of the method `reclora`\n\n\
    A few low-rank products are added to the language model's weights, mixed for each user by what is \
    measured in the user's past texts. They are trained through the language model of --lm in f32, which takes \
    long on a CPU, and belong to it.", after_help = RECLORA_EXAMPLES)]
struct RecloraArgs {
    /// Products that are mixed
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = values::number(1..=64))]
    products: usize,
    /// Rank of a product
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = values::number(1..=64))]
    rank: usize,
    #[command(flatten)]
    adapter: AdapterArgs,
}

const RECLORA_EXAMPLES: &str = "\
Examples:
  idiolect train reclora
  idiolect write --user marta --item kettle-02 --method reclora
  idiolect train reclora --without-split default    before `evaluate --methods reclora`";

#[derive(Debug, clap::Args)]
#[command(long_about = "Train the reward head `np`, which ranks drafts (`--best-of N --by np`)\n\n\
    The head learns from all users of the store how an own text differs from a peer's on the same \
    item, and ranks drafts for any user by up to eight pairs of theirs: own texts against peers', and \
    choices (`idiolect choose`). It takes a minute and needs no model.", after_help = EXAMPLES)]
struct NpArgs {
    #[command(flatten)]
    left_out: LeftOut,
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
        Command::Pad(args) => pad(&args, context),
        Command::Pplug(args) => {
            let settings = args.adapter.settings(AdapterNetKind::Pplug);
            let settings = AdapterSettings { n_soft: args.soft_tokens, ..settings };
            adapter(&args.adapter, &settings, context)
        }
        Command::Reclora(args) => {
            let settings = args.adapter.settings(AdapterNetKind::Reclora);
            let (n_products, rank) = (args.products, args.rank);
            adapter(&args.adapter, &AdapterSettings { n_products, rank, ..settings }, context)
        }
    }
}

fn np(args: NpArgs, context: &Context) -> anyhow::Result<()> {
    let store = context.store()?;
    let without = args.left_out.users(&store)?;
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

/// The JSON object of `train pad`.
#[derive(Serialize)]
struct PadJson<'a> {
    users: usize,
    texts: usize,
    parameters: usize,
    #[serde(flatten)]
    training: &'a HeadTraining,
    settings: &'a PadSettings,
    seconds: f64,
}

fn pad(args: &PadArgs, context: &Context) -> anyhow::Result<()> {
    let store = context.store()?;
    let without = args.left_out.users(&store)?;
    let settings = PadSettings { gated: args.gated, ..args.head.settings() };
    let task = Task::load(&args.task)?;
    task.check(&evaluate::stages())?;
    let np = match args.gated {
        true => {
            let mut unseen = Vec::new();
            for user in &without {
                unseen.extend(store.history(user)?.into_iter().map(|stored| stored.id));
            }
            let np = NpHead::newest(&store, &unseen)?;
            anyhow::ensure!(
                np.is_some(),
                "--gated: the store has no reward head that saw none of the users left out; run `idiolect \
                 train np` with the same ones first"
            );
            np
        }
        false => None,
    };
    let lm = context.lm()?;
    let began = Instant::now();
    let view = View::all(&store);
    let inputs = PadInputs {
        view: &view,
        model: &lm,
        output_head: &lm.output_head()?,
        task: &task,
        options: &MethodOptions::of(&task),
        progress: context,
    };
    let head = block_on(context, train_pad(&inputs, &without, np.as_ref(), &settings))??;
    let seconds = began.elapsed().as_secs_f64();
    let (users, texts, training) = (head.users().len(), head.sources().len(), head.training());
    let parameters = head.n_parameters();
    if context.globals.json {
        return output::json(&PadJson {
            users,
            texts,
            parameters,
            training,
            settings: &settings,
            seconds,
        });
    }
    output::line(&format!(
        "token reward of {texts} texts, pairs of {users} users ({} for validation)",
        training.validation_users
    ))?;
    output::line(&format!(
        "{parameters} values, best step {} of {}, validation loss {:.3} (chance {:.3}), {seconds:.1} s",
        training.best_step,
        training.steps,
        training.validation_loss,
        std::f64::consts::LN_2
    ))
}

/// The JSON object of `train pplug` and `train reclora`.
#[derive(Serialize)]
struct AdapterJson<'a> {
    users: usize,
    texts: usize,
    parameters: usize,
    #[serde(flatten)]
    training: &'a HeadTraining,
    settings: &'a AdapterSettings,
    seconds: f64,
}

fn adapter(
    args: &AdapterArgs,
    settings: &AdapterSettings,
    context: &Context,
) -> anyhow::Result<()> {
    let store = context.store()?;
    let without = args.left_out.users(&store)?;
    let task = Task::load(&args.task)?;
    task.check(&evaluate::stages())?;
    let lm = context.lm()?;
    let encoder = match settings.kind {
        AdapterNetKind::Pplug => Some(context.encoder()?),
        AdapterNetKind::Reclora => None,
    };
    let began = Instant::now();
    let view = View::all(&store);
    let inputs = AdapterInputs {
        view: &view,
        lm: &lm,
        encoder: encoder.as_ref(),
        task: &task,
        options: &MethodOptions::of(&task),
        progress: context,
    };
    let device = context.device()?;
    let trained = block_on(context, train_adapter(&inputs, &without, settings, &device))??;
    let seconds = began.elapsed().as_secs_f64();
    let (users, texts) = (trained.users().len(), trained.sources().len());
    let (parameters, training) = (trained.n_parameters(), trained.training());
    if context.globals.json {
        return output::json(&AdapterJson {
            users,
            texts,
            parameters,
            training,
            settings,
            seconds,
        });
    }
    output::line(&format!(
        "adapter of {texts} texts by {users} users ({} for validation)",
        training.validation_users
    ))?;
    output::line(&format!(
        "{parameters} values, best step {} of {}, validation loss {:.3}, {seconds:.1} s",
        training.best_step, training.steps, training.validation_loss
    ))
}

fn margin(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(margin) if (0.0..=100.0).contains(&margin) => Ok(margin),
        _ => Err("a number from 0 to 100 is needed".to_owned()),
    }
}

fn beta(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(beta) if (1e-4..=100.0).contains(&beta) => Ok(beta),
        _ => Err("a number from 0.0001 to 100 is needed".to_owned()),
    }
}

fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if (0.01..=100_000.0).contains(&minutes) => Ok(minutes),
        _ => Err("a number of minutes from 0.01 is needed".to_owned()),
    }
}
