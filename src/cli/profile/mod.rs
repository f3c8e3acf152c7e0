//! `idiolect profile`.

mod change;
mod editor;
mod stated;
mod told;

use anyhow::bail;
use idiolect::corpus::{Store, Target};
use idiolect::methods::{IdiolectOptions, MethodInputs, Options, Statements};
use idiolect::task::Task;

use super::context::Context;
use super::settings::{MethodArgs, Sight};
use super::values;

pub(super) use told::in_words;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Show what sets a user apart, and change it\n\n\
        The profile is made of statements by dimension. Each has the effect it was found with, the \
        places that show it, and what it gains: how much likelier it makes the user's own texts, and \
        others', in bits a token. They are those of --statements, the measured ones unless it names \
        others. A box says whether the language model is told: [x] it is, [ ] it \
        is not. What a person \
        changes (--edit, --pin, --drop, ...) is laid over what is computed and wins; each change \
        makes a version, and none is lost. Where no statement is shown, the profile says so: no \
        personalization beyond the texts themselves.\n\n\
        With --method dpl: past reviews of items that enough others reviewed as well are compared \
        with those of representatives; the language model tells the differences and sums them up. \
        With --item the reviews most relevant to that item are taken, as for `write --method dpl`; \
        without it the user's newest.\n\n\
        What takes time is stored, and made again only when something that made it changes.",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// User whose profile is shown
    user: String,
    /// Method whose profile is shown: idiolect (statements) or dpl (text by the language model)
    #[arg(long, value_name = "METHOD", value_enum, default_value = "idiolect")]
    method: Of,
    /// Make the profile for writing about this item, without the user's own review of it
    #[arg(long, value_name = "ITEM")]
    item: Option<String>,
    /// Title of the text about --item; used to find relevant past texts
    #[arg(long, value_name = "TEXT", requires = "item")]
    title: Option<String>,
    /// Seed of all random choices; the same as --profile-seed
    #[arg(long, value_name = "N", conflicts_with = "profile_seed")]
    seed: Option<u64>,
    /// Maximum number of tokens of each answer; the same as --profile-max-tokens
    #[arg(
        long,
        value_name = "N",
        value_parser = values::tokens(1),
        conflicts_with = "profile_max_tokens"
    )]
    max_tokens: Option<usize>,
    #[command(flatten)]
    settings: MethodArgs,
    #[command(flatten)]
    sight: Sight,
    #[command(flatten)]
    stated: Stated,
}

/// Options of the profile of statements.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Statements")]
struct Stated {
    /// Print the profile as Markdown, which --apply reads back
    #[arg(long, conflicts_with = "changing")]
    markdown: bool,
    /// Show version N of the profile; 0 is the profile as computed
    #[arg(long, value_name = "N", conflicts_with_all = ["changing", "versions"])]
    version: Option<u32>,
    /// List the versions and their changes
    #[arg(long, conflicts_with_all = ["changing", "markdown"])]
    versions: bool,
    #[command(flatten)]
    changes: Changes,
}

/// Options that make a new version.
#[derive(Debug, clap::Args)]
#[group(id = "changing", multiple = true)]
struct Changes {
    /// Edit the profile in $VISUAL or $EDITOR
    #[arg(
        long,
        conflicts_with_all = ["apply", "undo", "pin", "drop", "reword", "add", "restore"]
    )]
    edit: bool,
    /// Apply the changes of an edited --markdown file
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["undo", "pin", "drop", "reword", "add", "restore"]
    )]
    apply: Option<std::path::PathBuf>,
    /// Always show a statement to the language model, even if its validation failed
    #[arg(long, value_name = "KEY")]
    pin: Vec<String>,
    /// Never show a statement to the language model
    #[arg(long, value_name = "KEY")]
    drop: Vec<String>,
    /// Replace the text of a statement
    #[arg(long, value_name = "KEY=TEXT")]
    reword: Vec<String>,
    /// Add a statement to a dimension, given by its key in the task (for reviews: writing,
    /// emotional, semantic)
    #[arg(long, value_name = "DIMENSION=TEXT")]
    add: Vec<String>,
    /// Undo all changes of a statement; an added statement is removed
    #[arg(long, value_name = "KEY")]
    restore: Vec<String>,
    /// Undo the newest change that is not undone yet; the result is a new version
    #[arg(long, conflicts_with_all = ["pin", "drop", "reword", "add", "restore"])]
    undo: bool,
}

/// A method that makes a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Of {
    Idiolect,
    Dpl,
}

const EXAMPLES: &str = "\
Examples:
  idiolect profile marta
  idiolect profile marta --edit
  idiolect profile marta --drop sentence-length --add 'writing=never uses a semicolon'
  idiolect profile marta --versions
  idiolect profile marta --version 0 --markdown
  idiolect --lm qwen2.5-1.5b-instruct profile marta --method dpl --item kettle-02 --json";

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    if args.method == Of::Dpl && args.stated.is_asked() {
        bail!("statements and versions belong to the profile of `--method idiolect`");
    }
    if args.stated.markdown && context.globals.json {
        bail!("--markdown and --json are two forms of the same; name one of them");
    }
    let task = args.settings.task()?;
    let store = Store::open_existing(&context.globals.store)?;
    if args.method == Of::Idiolect && change::by_itself(&args, &store, context)? {
        return Ok(());
    }
    let item = args.item.as_deref().map(|id| store.item(id)).transpose()?;
    let view = args.sight.view(&store, &args.user, item.as_ref())?;
    let target = item.map(|item| Target {
        user: args.user.clone(),
        item,
        rating: None,
        title: args.title.clone(),
    });
    let options = options(&args, &task);
    let (lm, encoder) = (context.lm()?, context.encoder()?);
    let (model, peers) = (&lm, Some(&encoder as _));
    let material = MethodInputs { view, model, peers, task: &task, progress: context };
    match args.method {
        Of::Idiolect => stated::run(&args, &material, &options, context),
        Of::Dpl => told::show(&material, &args.user, target.as_ref(), &options, context),
    }
}

impl Stated {
    fn is_asked(&self) -> bool {
        self.markdown || self.version.is_some() || self.versions || self.changes.is_asked()
    }
}

impl Changes {
    fn is_asked(&self) -> bool {
        let lists = [&self.pin, &self.drop, &self.reword, &self.add, &self.restore];
        let single = self.edit || self.apply.is_some() || self.undo;
        single || lists.iter().any(|list| !list.is_empty())
    }
}

fn options(args: &Args, task: &Task) -> Options {
    let options = args.settings.options(task);
    let seed = args.seed.unwrap_or(options.profile_seed);
    let statements = match options.idiolect.statements {
        _ if !options.differences => Statements::None,
        // A text may be written without statements; a profile consists of them.
        Statements::None => Statements::Measured,
        wanted => wanted,
    };
    Options {
        profile_seed: seed,
        choice: idiolect::peers::ChoiceOptions { seed, ..options.choice },
        profile_max_tokens: args.max_tokens.or(options.profile_max_tokens),
        idiolect: IdiolectOptions { statements, ..options.idiolect },
        ..options
    }
}
