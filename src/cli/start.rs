//! `idiolect start`: from a person's own texts to their profile and the page.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::{Command, Stdio};

use anyhow::bail;
use idiolect::corpus::{Store, View};
use idiolect::encoder::Encoder;
use idiolect::lm::Lm;
use idiolect::methods::{MethodInputs, MethodOptions, measured_differences};
use idiolect::peers::{BuildOptions, build_index};
use idiolect::task::Task;
use serde_json::json;

use super::context::Context;
use super::import::{self, FormatName};
use super::{measured, output, serve};

/// Number of authors listed if it is not told who the person is.
const N_AUTHORS: usize = 12;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Read your own texts, show what sets you apart, and open the page\n\n\
        Tells the format of PATH by its content, imports it into the store, builds the index, prints \
        what sets your texts apart from those of the others in them, and serves the page until \
        Ctrl-C. Everything stays on this machine. A second run adds what is new.",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// File or folder of your texts: mails, chats, posts, notes or reviews. IMPORT.md has the formats
    /// and how to get them
    #[arg(value_name = "PATH")]
    path: OsString,
    /// Who you are in them: names and addresses, one each. Without it the authors are listed
    #[arg(long, value_name = "NAME|ADDRESS", allow_hyphen_values = true)]
    me: Vec<String>,
    /// Format, if its content does not tell it; see `idiolect import --help`
    #[arg(long, value_name = "NAME", value_parser = import::format_parser())]
    format: Option<FormatName>,
    /// Port of the page; 0 takes a free one
    #[arg(long, value_name = "N", default_value_t = 8080)]
    port: u16,
    /// Print the page's address and do not open a browser
    #[arg(long)]
    no_browser: bool,
    /// End after the profile, without the page
    #[arg(long)]
    no_page: bool,
}

const EXAMPLES: &str = "\
Examples:
  idiolect start Sent.mbox --me ann@example.org
  idiolect start 'WhatsApp Chat with Bo.txt' --me Ann
  idiolect --store notes.sqlite start ~/notes --me ann --no-page";

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    // Missing models are told before anything is read.
    let (lm, encoder) = (context.lm()?, context.encoder()?);
    let options = import::Args::of_export(&args.path, args.format, &args.me)?;
    let imported = import::import(options, context)?;
    imported.check()?;
    let store = context.store()?;
    let user = person(&args, &store)?;
    let task = Task::load(imported.task)?;
    build_index(&store, &encoder, &BuildOptions::default(), context)?;
    show_profile(&user, &task, &store, (&lm, &encoder), context)?;
    if args.no_page {
        return Ok(());
    }
    let arguments = ["--port", &args.port.to_string(), "--task", imported.task];
    let page = |url: &str| {
        let page = format!("{url}/#/people/{}", percent_encoded(&user));
        if !args.no_browser && std::io::stdout().is_terminal() {
            open_browser(&page);
        }
        page
    };
    serve::listen(&serve::Args::of(&arguments)?, context, Some((lm, encoder)), &page)
}

/// The user of the store who is the person.
fn person(args: &Args, store: &Store) -> anyhow::Result<String> {
    let users = store.users(1)?;
    if let Some(name) = args.me.first() {
        if users.iter().any(|user| user.user == *name) {
            return Ok(name.clone());
        }
    } else if let [only] = &users[..] {
        return Ok(only.user.clone());
    }
    let authors = users.iter().take(N_AUTHORS);
    let authors = authors.map(|user| format!("\n  {} ({} texts)", user.user, user.reviews));
    let more = match users.len().saturating_sub(N_AUTHORS) {
        0 => String::new(),
        n => format!("\n  and {n} more: `idiolect users`"),
    };
    let authors = authors.collect::<String>() + &more;
    match args.me.first() {
        Some(name) => bail!("no text is by `{name}`; the texts are by{authors}"),
        None => {
            bail!("who of them are you? Run it again with --me NAME; the texts are by{authors}")
        }
    }
}

/// Prints what sets the person apart.
fn show_profile(
    user: &str,
    task: &Task,
    store: &Store,
    (lm, encoder): (&Lm, &Encoder),
    context: &Context,
) -> anyhow::Result<()> {
    let inputs = MethodInputs {
        view: View::all(store),
        model: lm,
        peers: Some(encoder as _),
        task,
        progress: context,
        reward: None,
        held_out: &[],
    };
    let found = measured_differences(&inputs, user, &MethodOptions::of(task))?;
    if context.globals.json {
        let told = json!({ "user": user, "task": task.name, "measured": found.statements });
        return output::json(&told);
    }
    output::line(&format!("\nWhat sets {user} apart"))?;
    if found.n_reviews == 0 {
        return output::line(
            "Nobody else wrote on the same subjects, so there is nothing to compare with. Texts are \
             written as yours all the same.\n",
        );
    }
    output::text(&measured::in_words(store, user, "texts", &found)?)
}

/// A name as a part of an address.
fn percent_encoded(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    name.bytes()
        .map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        })
        .collect()
}

/// Opens the page in the browser of the desktop, if there is one.
fn open_browser(page: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    let quiet = command.arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Without a desktop the printed address serves as well.
    drop(quiet.spawn());
}
