//! `idiolect write`.

use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use idiolect::client::PrefixSavingLm;
use idiolect::corpus::import::GivenMessage;
use idiolect::corpus::{Item, ReviewContext, Target, View, date};
use idiolect::lm::Finish;
use idiolect::methods::{Generated, Method, MethodInputs, MethodOptions, TokenAttribution};
use serde::Serialize;
use serde_json::Value;

use super::block_on::block_on;
use super::command_lm::CommandLm;
use super::context::Context;
use super::settings::{MethodArgs, VisibilityArgs, note_cuts};
use super::stream::streamed;
use super::{output, reward, values};

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Write a text as a user would\n\n\
        The text goes to stdout while it is written. Texts that the user has already written \
        about the item are held out: no prompt contains them. All other texts of the user count as \
        past texts.",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// User to write as
    #[arg(long, value_name = "USER", allow_hyphen_values = true)]
    user: String,
    /// Item to write about, of the store: a product, a thread. Without it give --about or --context
    #[arg(long, value_name = "ITEM", allow_hyphen_values = true, required_unless_present_any = ["about", "context"])]
    item: Option<String>,
    /// Subject to write about, if it is not in the store: the subject of a mail, the title of a product
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "item")]
    about: Option<String>,
    /// File with the message to answer, a text or a mail with its headers; `-` is standard input. For
    /// --task reply; without it, the newest text on the item by another person is answered
    #[arg(long, value_name = "FILE")]
    context: Option<PathBuf>,
    // The help lists the methods from their specs.
    #[arg(
        long,
        help = values::method_help(),
        value_name = "METHOD",
        default_value = "idiolect",
        hide_possible_values = true,
        value_parser = values::method()
    )]
    method: Method,
    /// Rating that the text gives the item; set it to decide on praise or blame
    #[arg(long, value_name = "R", value_parser = finite, allow_negative_numbers = true)]
    rating: Option<f32>,
    /// Title of the text; some methods also use it to find relevant past texts
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    title: Option<String>,
    /// Seed of the text; change it to get another text [default: 42]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Maximum number of tokens of the text; raise it if texts are cut off [default: the task's]
    #[arg(long, value_name = "N", value_parser = values::tokens(1))]
    max_tokens: Option<usize>,
    /// Show for each token the log-probability (nats) that the user's past texts added and that
    /// the contrast with peers added; use it to see what the user's texts change
    #[arg(long)]
    why: bool,
    /// Neither use nor keep what the model computed of the user's last prompt (STORE.prefixes), with
    /// which the next text of the user begins sooner
    #[arg(long)]
    no_saved_prefix: bool,
    #[command(flatten)]
    settings: MethodArgs<true>,
    #[command(flatten)]
    visibility: VisibilityArgs,
}

const EXAMPLES: &str = "\
Examples:
  idiolect write --user marta --item kettle-02
  idiolect write --user marta --task reply --context mail.eml
  idiolect write --user marta --task post --about 'The garden in May'
  idiolect write --user marta --item kettle-02 --rating 2 --title 'Whistles, but flat' --seed 7
  idiolect --lm qwen2.5-1.5b-instruct write --user marta --item kettle-02 --method dpl --json";

/// JSON object that the command prints.
#[derive(Serialize)]
struct WriteJson<'a> {
    #[serde(flatten)]
    written: &'a Generated,
    user: &'a str,
    /// Empty if the item is not in the store.
    item: &'a str,
    seed: u64,
    /// Settings that differ from the task's defaults.
    settings: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Vec<TokenAttribution>>,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let task = args.settings.task()?;
    let mut options = args.settings.options(&task)?;
    options.seed = args.seed.unwrap_or(options.seed);
    options.max_tokens = args.max_tokens.or(options.max_tokens);
    // Check before anything is loaded.
    options.sampling.over(&task.stage(args.method.stage())?.sampling).check()?;
    args.settings.check_peer_text(&[args.method], &options)?;
    let given = args.context.as_deref().map(given_message).transpose()?;
    if given.is_some() && !task.shows_context() {
        bail!(
            "the prompts of the task `{}` show no message to answer; add --task reply",
            task.name
        );
    }
    let store = context.store()?;
    let item = match &args.item {
        Some(id) => store.item(id)?,
        None => unlisted(&args, given.as_ref()),
    };
    let view = args.visibility.view(&store, &args.user, Some(&item))?;
    let no_peer_text = args.settings.no_peer_text;
    let view = if no_peer_text { view.without_contexts() } else { view };
    let answered = match given {
        Some(given) => Some(ReviewContext::given(given.text)),
        None if task.shows_context() && no_peer_text => {
            bail!("--no-peer-text: give the message to answer with --context")
        }
        None if task.shows_context() => newest_by_another(&view, &item, &args.user)?,
        None => None,
    };
    let target = Target {
        user: args.user.clone(),
        item,
        rating: args.rating,
        title: args.title.clone(),
        context: answered,
    };
    let lm = CommandLm::of(context)?;
    let head = reward::trained((&store, context), &[args.method], &options, &[], lm.local())?;
    lm.note_if_small(context);
    let encoder = args.method.needs_peers(&options).then(|| context.encoder()).transpose()?;
    let saving = match args.no_saved_prefix {
        true => None,
        false => lm.with_saved_prefix(&store, &args.user),
    };
    let material = MethodInputs {
        view,
        model: saving.as_ref().map_or(lm.model(), |saving| saving),
        peers: encoder.as_ref().map(|encoder| encoder as _),
        reward: head.as_ref().map(|head| head as _),
        task: &task,
        progress: context,
        held_out: &[],
    };
    if context.globals.json {
        let written = block_on(context, args.method.write(&material, &target, &options, None))??;
        let why = match args.why {
            true => Some(block_on(context, reasons(&material, &target, &options, &written))??),
            false => None,
        };
        output::json(&WriteJson {
            written: &written,
            user: &args.user,
            item: &target.item.id,
            seed: options.seed,
            settings: &options.changed_from(&MethodOptions::of(&task)),
            why,
        })?;
        return keep(saving.as_ref(), context);
    }
    let prepared = block_on(context, args.method.prepare(&material, &target, &options))??;
    let show = |piece: &str| output::text(piece);
    let written = streamed(context, "reading the prompt", show, |on_text| {
        prepared.write(&material, &options, Some(on_text))
    })??;
    output::line("")?;
    if args.why {
        let why = block_on(context, reasons(&material, &target, &options, &written))??;
        output::text(&in_columns(&why))?;
    }
    print_summary(&written, &options, context);
    keep(saving.as_ref(), context)
}

/// Keeps the keys and values of the prompt for the next text of the user. The text is written by now, so
/// that a failure is only told.
fn keep(saving: Option<&PrefixSavingLm<'_>>, context: &Context) -> anyhow::Result<()> {
    if let Some(saving) = saving
        && let Err(error) = block_on(context, saving.keep())?
    {
        output::note(&format!("the prompt is not kept for the next text: {error}"));
    }
    Ok(())
}

/// Reads the message to answer.
fn given_message(path: &Path) -> anyhow::Result<GivenMessage> {
    let mut bytes = Vec::new();
    let read = match path.as_os_str() == "-" {
        true => std::io::stdin().read_to_end(&mut bytes).map(drop),
        false => std::fs::read(path).map(|read| bytes = read),
    };
    read.with_context(|| format!("read the message to answer from {}", path.display()))?;
    let given = GivenMessage::of_bytes(&bytes);
    match given.text.is_empty() {
        true => bail!("{} has no text to answer", path.display()),
        false => Ok(given),
    }
}

/// An item that is not in the store.
fn unlisted(args: &Args, given: Option<&GivenMessage>) -> Item {
    let subject = given.and_then(|given| given.subject.clone());
    let title = args.about.clone().or(subject).unwrap_or_default();
    Item { id: String::new(), title, description: String::new(), categories: Vec::new() }
}

/// The text to answer if none is given: the newest visible one on the item by another user.
fn newest_by_another(
    view: &View<'_>,
    item: &Item,
    user: &str,
) -> anyhow::Result<Option<ReviewContext>> {
    let Some(newest) = view.newest_by_another(&item.id, user)? else { return Ok(None) };
    let day = date::of_seconds(newest.review.time);
    output::note(&format!("this answers the text by `{}` of {day}", newest.review.user));
    Ok(Some(newest.into()))
}

/// Attributes each token of the text to the user's texts and to steering. Everything but the scores
/// is in the store by now.
async fn reasons(
    inputs: &MethodInputs<'_>,
    target: &Target,
    options: &MethodOptions,
    written: &Generated,
) -> anyhow::Result<Vec<TokenAttribution>> {
    let prepared = written.method.prepare(inputs, target, options).await?;
    Ok(prepared.attribute(inputs, options, written.text.as_str()).await?)
}

/// Formats one token per line: log-probability added by the user's texts, log-probability added by
/// steering, token. A dash stands for what the method does not have.
fn in_columns(why: &[TokenAttribution]) -> String {
    let mut out = String::from("\n  user  steer  token (nats)\n");
    let number = |x: Option<f32>| x.map_or("     -".to_owned(), |x| format!("{x:+6.2}"));
    for TokenAttribution { text, user, steer, .. } in why {
        let _ = writeln!(out, "{} {}  {text:?}", number(*user), number(*steer));
    }
    out
}

/// Prints warnings and the cost of the text to stderr.
fn print_summary(written: &Generated, options: &MethodOptions, context: &Context) {
    note_cuts(&written.cut);
    let compares = written.method.extracts_differences() && options.differences;
    if compares && written.profile.as_ref().is_some_and(|profile| profile.differences.is_empty()) {
        output::note(
            "no past item has enough other reviewers, so the profile compares nothing; lower --k",
        );
    }
    if written.text.is_empty() {
        output::note("the model wrote nothing; another --seed may give a text");
    }
    if written.finish == Finish::Length {
        output::note("the text was cut off at its maximum number of tokens; raise --max-tokens");
    }
    if !context.globals.quiet {
        output::note(&format!(
            "{}: {} answers computed ({} prompt tokens, {} written), {} reused",
            written.method.name(),
            written.computed,
            written.prompt_tokens,
            written.completion_tokens,
            written.reused
        ));
    }
}

fn finite(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(rating) if rating.is_finite() => Ok(rating),
        _ => Err("a number is needed, e.g. 4 or 3.5".to_owned()),
    }
}
