//! `idiolect profile`.

mod change;
mod dpl;
mod editor;
mod export;
mod statements;

use anyhow::bail;
use idiolect::corpus::Target;
use idiolect::methods::{IdiolectOptions, MethodInputs, MethodOptions, Statements};
use idiolect::task::Task;

use super::command_lm::CommandLm;
use super::context::Context;
use super::settings::{MethodArgs, VisibilityArgs};
use super::values;
use export::ExportFormat;

pub(super) use dpl::in_words;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Show or edit the profile of a user: what sets them apart\n\n\
        The profile is a list of statements about the user, grouped by dimension. Each has its \
        effect size, quotes that show it, and its gain: how much likelier, in bits per token, it \
        makes the user's own texts and other users' texts. [x] marks statements that are shown to \
        the language model, [ ] those that are not, because validation rejected them. Your changes \
        (--edit, --pin, --drop, --reword, --add) win over what is computed. Each change makes a new \
        version, and all versions are kept.\n\n\
        With --method dpl the profile is a text: the language model compares the user's reviews \
        with other users' reviews of the same items and summarizes the differences. With --item it \
        uses the reviews most relevant to that item, without it the newest.\n\n\
        Results are stored, and computed again only if something they depend on changes.",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// User whose profile is shown
    user: String,
    /// Method whose profile is shown: idiolect (statements) or dpl (text by the language model)
    #[arg(
        long,
        value_name = "METHOD",
        default_value = "idiolect",
        value_parser = values::named::<ProfileKind>()
    )]
    method: ProfileKind,
    /// Make the profile for writing about this item: the user's own review of it is left out
    #[arg(long, value_name = "ITEM", allow_hyphen_values = true)]
    item: Option<String>,
    /// Title of the text about --item; set it to find more relevant past texts
    #[arg(long, value_name = "TEXT", requires = "item", hide = true, allow_hyphen_values = true)]
    title: Option<String>,
    /// Seed of all random choices; the same as --profile-seed
    #[arg(long, value_name = "N", conflicts_with = "profile-seed", hide = true)]
    seed: Option<u64>,
    /// Maximum number of tokens of each answer; the same as --profile-max-tokens
    #[arg(
        long,
        value_name = "N",
        value_parser = values::tokens(1),
        conflicts_with = "profile-max-tokens",
        hide = true
    )]
    max_tokens: Option<usize>,
    #[command(flatten)]
    settings: MethodArgs<false>,
    #[command(flatten)]
    visibility: VisibilityArgs,
    #[command(flatten)]
    statements: StatementArgs,
}

/// Options of the profile of statements.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Statements")]
struct StatementArgs {
    /// Print the profile as Markdown; edit it anywhere and read it back with --apply
    #[arg(long, conflicts_with = "changing")]
    markdown: bool,
    /// Print the profile for another program: system-prompt (a text), messages (JSON with the
    /// messages that begin a conversation of OpenAI's API), or logit-bias (JSON with a `logit_bias`
    /// of the user's choice of words, for servers of this model)
    #[arg(long, value_name = "FORMAT", value_parser = values::named::<ExportFormat>(),
          conflicts_with_all = ["changing", "markdown", "versions"])]
    export: Option<ExportFormat>,
    /// Show version N of the profile; 0 is the profile without changes
    #[arg(long, value_name = "N", conflicts_with_all = ["changing", "versions"])]
    version: Option<u32>,
    /// List the versions and their changes
    #[arg(long, conflicts_with_all = ["changing", "markdown"])]
    versions: bool,
    #[command(flatten)]
    changes: ChangeArgs,
}

/// Options that make a new version.
#[derive(Debug, clap::Args)]
#[group(id = "changing", multiple = true)]
struct ChangeArgs {
    /// Edit the profile in $VISUAL or $EDITOR
    #[arg(
        long,
        conflicts_with_all = ["apply", "undo", "pin", "drop", "reword", "add", "restore"]
    )]
    edit: bool,
    /// Apply the changes of an edited --markdown file
    #[arg(
        long,
        hide = true,
        value_name = "FILE",
        conflicts_with_all = ["undo", "pin", "drop", "reword", "add", "restore"]
    )]
    apply: Option<std::path::PathBuf>,
    /// Always show these statements to the language model, even if validation rejected them
    #[arg(long, value_name = "KEY,...", allow_hyphen_values = true)]
    pin: Vec<String>,
    /// Never show these statements to the language model
    #[arg(long, value_name = "KEY,...", allow_hyphen_values = true)]
    drop: Vec<String>,
    /// Replace the text of a statement; can be repeated
    #[arg(long, value_name = "KEY=TEXT", allow_hyphen_values = true)]
    reword: Vec<String>,
    /// Add a statement to a dimension, given by its key in the task (for reviews: writing,
    /// emotional, semantic); can be repeated
    #[arg(long, value_name = "DIMENSION=TEXT", allow_hyphen_values = true)]
    add: Vec<String>,
    /// Undo all changes of these statements; an added statement is removed
    #[arg(long, value_name = "KEY,...", hide = true, allow_hyphen_values = true)]
    restore: Vec<String>,
    /// Undo the newest change that is not undone yet; the result is a new version
    #[arg(long, conflicts_with_all = ["pin", "drop", "reword", "add", "restore"])]
    undo: bool,
}

/// A method that makes a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ProfileKind {
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
  idiolect profile marta --export system-prompt > marta.txt
  idiolect --lm qwen2.5-1.5b-instruct profile marta --method dpl --item kettle-02 --json";

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    if args.method == ProfileKind::Dpl && args.statements.is_asked() {
        bail!("only the profile of `--method idiolect` has statements and versions");
    }
    if args.statements.markdown && context.globals.json {
        bail!("--markdown and --json exclude each other; choose one");
    }
    let task = args.settings.task()?;
    let store = context.store()?;
    if args.method == ProfileKind::Idiolect && change::by_itself(&args, &store, context)? {
        return Ok(());
    }
    let item = args.item.as_deref().map(|id| store.item(id)).transpose()?;
    let view = args.visibility.view(&store, &args.user, item.as_ref())?;
    let target = item.map(|item| Target {
        user: args.user.clone(),
        item,
        rating: None,
        title: args.title.clone(),
        context: None,
    });
    let options = options(&args, &task)?;
    if args.settings.no_peer_text {
        bail!(
            "--no-peer-text: a profile is what sets the user's texts apart from others', which it reads"
        );
    }
    let (lm, encoder) = (CommandLm::of(context)?, context.encoder()?);
    let (model, peers) = (lm.model(), Some(&encoder as _));
    let material = MethodInputs {
        view,
        model,
        peers,
        reward: None,
        task: &task,
        progress: context,
        held_out: &[],
    };
    if args.statements.export == Some(ExportFormat::LogitBias) {
        return export::print_bias(lm.name(), &material, &args.user, &options, context);
    }
    match args.method {
        ProfileKind::Idiolect => statements::run(&args, &material, &options, context),
        ProfileKind::Dpl => dpl::show(&material, &args.user, target.as_ref(), &options, context),
    }
}

impl StatementArgs {
    fn is_asked(&self) -> bool {
        self.markdown
            || self.export.is_some()
            || self.version.is_some()
            || self.versions
            || self.changes.is_asked()
    }
}

impl ChangeArgs {
    fn is_asked(&self) -> bool {
        let lists = [&self.pin, &self.drop, &self.reword, &self.add, &self.restore];
        let single = self.edit || self.apply.is_some() || self.undo;
        single || lists.iter().any(|list| !list.is_empty())
    }
}

fn options(args: &Args, task: &Task) -> anyhow::Result<MethodOptions> {
    let options = args.settings.options(task)?;
    let seed = args.seed.unwrap_or(options.profile_seed);
    let statements = match options.idiolect.statements {
        _ if !options.differences => Statements::None,
        // A text may be written without statements; a profile consists of them.
        Statements::None => Statements::Measured,
        wanted => wanted,
    };
    Ok(MethodOptions {
        profile_seed: seed,
        profile_max_tokens: args.max_tokens.or(options.profile_max_tokens),
        idiolect: IdiolectOptions { statements, ..options.idiolect },
        ..options
    })
}
