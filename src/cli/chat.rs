//! `idiolect chat`.

use std::io::BufRead as _;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use idiolect::corpus::{Item, Review, ReviewContext, Target, View};
use idiolect::methods::{Method, MethodInputs};

use super::block_on::block_on;
use super::context::Context;
use super::settings::MethodArgs;
use super::stream::streamed;
use super::{output, reward, values};

#[derive(Debug, clap::Args)]
#[command(long_about = "Talk, and be written to as you write yourself\n\n\
    Each line of standard input is a turn of the user: it is stored as a text of theirs, and the reply is \
    written with all that is known by then. With the method `interact`, the default, a user may begin \
    with nothing. `idiolect forget USER` deletes the turns; `--task reply` shows the model the turn as \
    the message to answer.", after_help = EXAMPLES)]
pub(crate) struct Args {
    /// User who talks; a new name begins a new user
    #[arg(long, value_name = "USER", allow_hyphen_values = true)]
    user: String,
    #[arg(
        long,
        help = values::method_help(),
        value_name = "METHOD",
        default_value = "interact",
        hide_possible_values = true,
        value_parser = values::method()
    )]
    method: Method,
    /// Maximum number of tokens of a reply [default: the task's]
    #[arg(long, value_name = "N", value_parser = values::tokens(1))]
    max_tokens: Option<usize>,
    #[command(flatten)]
    settings: MethodArgs<true>,
}

const EXAMPLES: &str = "\
Example:
  idiolect chat --user marta --task reply";

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let task = args.settings.task()?;
    let mut options = args.settings.options(&task)?;
    options.max_tokens = args.max_tokens.or(options.max_tokens);
    args.settings.check_peer_text(&[args.method], &options)?;
    let store = context.store()?;
    store.require_writable()?;
    let lm = context.lm()?;
    let head = reward::trained((&store, context), &[args.method], &options, &[], Some(&lm))?;
    context.note_small_model(&lm);
    let encoder = args.method.needs_peers(&options).then(|| context.encoder()).transpose()?;
    let began = now();
    for (number, line) in (0..).zip(std::io::stdin().lock().lines()) {
        let line = line.context("read a turn from standard input")?;
        let said = line.trim();
        if said.is_empty() {
            continue;
        }
        // An item a turn: texts of a user on one item are taken for versions of one another.
        let turn = Review {
            user: args.user.clone(),
            item: format!("chat {began}/{number}"),
            rating: None,
            title: String::new(),
            text: said.to_owned(),
            time: now(),
        };
        store.put_reviews(&[turn])?;
        let title = said.to_owned();
        let item = Item {
            id: String::new(),
            title: if task.shows_context() { String::new() } else { title },
            description: String::new(),
            categories: Vec::new(),
        };
        let answered = task.shows_context().then(|| ReviewContext::given(said.to_owned()));
        let (user, rating, title) = (args.user.clone(), None, None);
        let target = Target { user, item, rating, title, context: answered };
        let inputs = MethodInputs {
            view: View::all(&store),
            model: &lm,
            peers: encoder.as_ref().map(|encoder| encoder as _),
            reward: head.as_ref().map(|head| head as _),
            task: &task,
            progress: context,
            held_out: &[],
        };
        let prepared = block_on(context, args.method.prepare(&inputs, &target, &options))??;
        if context.globals.json {
            let written = block_on(context, prepared.write(&inputs, &options, None))??;
            output::json(&serde_json::json!({ "turn": said, "reply": written.text }))?;
            continue;
        }
        let show = |piece: &str| output::text(piece);
        streamed(context, "reading the prompt", show, |on_text| {
            prepared.write(&inputs, &options, Some(on_text))
        })??;
        output::line("")?;
    }
    Ok(())
}

/// Seconds since the Unix epoch.
fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64)
}
