//! The command line, one module per command.

mod bench;
mod complete;
mod context;
mod demo;
mod doctor;
mod embed;
mod evaluate;
mod import;
mod index;
mod lm;
mod memory;
mod metrics;
mod models;
mod output;
mod profile;
mod prose;
mod representatives;
mod sample;
mod settings;
mod split;
mod steering;
mod stream;
mod users;
mod values;
mod wait;
mod write;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use context::{Context, Globals};
use idiolect::progress::Progress as _;

/// Writes as one particular person would.
#[derive(Debug, Parser)]
#[command(name = "idiolect", version, about, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Data goes to stdout, progress and messages to stderr.

Exit codes:
  0    done
  1    failed; the message says what, and what to do
  2    the command line is wrong
  130  stopped by Ctrl-C; what was done is kept";

#[derive(Debug, Subcommand)]
// `about` and not a doc comment: a doc comment would replace the `long_about` of the command.
enum Command {
    #[command(about = "Show the whole flow on the sample corpus")]
    Demo(demo::Args),
    #[command(about = "List, fetch, verify and locate models")]
    Models(models::Args),
    #[command(about = "Read reviews and items into the store")]
    Import(import::Args),
    #[command(about = "Filter the corpus as DPL does and set reviews aside for evaluation")]
    Split(split::Args),
    #[command(about = "Embed the reviews and build the index over users")]
    Index(index::Args),
    #[command(about = "List users")]
    Users(users::Args),
    #[command(about = "Show the peers chosen to stand for the others on an item, and why")]
    Representatives(representatives::Args),
    #[command(about = "Show what sets a user apart, and change it")]
    Profile(Box<profile::Args>),
    #[command(about = "Write as a user would")]
    Write(write::Args),
    #[command(about = "Measure methods on held-out texts, with controls")]
    Evaluate(Box<evaluate::Args>),
    #[command(about = "Use the language model by itself")]
    Lm(lm::Args),
    #[command(about = "Compare predicted texts with reference texts: ROUGE, BLEU, METEOR and more")]
    Metrics(metrics::Args),
    #[command(about = "Embed lines of text")]
    Embed(embed::Args),
    #[command(about = "Measure how fast this machine is with these models")]
    Bench(bench::Args),
    #[command(about = "Show devices, instruction sets, models and the store")]
    Doctor(doctor::Args),
    #[command(about = "Print shell completions")]
    Completions(complete::Args),
}

/// Runs the program and returns its exit code, as listed in the help.
pub(crate) fn main() -> ExitCode {
    let command = values::without_empty_variables(Cli::command());
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    let context = match Context::new(cli.globals) {
        Ok(context) => context,
        Err(error) => return output::failed(&error),
    };
    let done = match cli.command {
        Command::Demo(args) => demo::run(args, &context),
        Command::Models(args) => models::run(args, &context),
        Command::Import(args) => import::run(args, &context),
        Command::Split(args) => split::run(args, &context),
        Command::Index(args) => index::run(args, &context),
        Command::Users(args) => users::run(args, &context),
        Command::Representatives(args) => representatives::run(args, &context),
        Command::Profile(args) => profile::run(*args, &context),
        Command::Write(args) => write::run(args, &context),
        Command::Evaluate(args) => evaluate::run(*args, &context),
        Command::Lm(args) => lm::run(args, &context),
        Command::Metrics(args) => metrics::run(args, &context),
        Command::Embed(args) => embed::run(args, &context),
        Command::Bench(args) => bench::run(args, &context),
        Command::Doctor(args) => doctor::run(args, &context),
        Command::Completions(args) => complete::run(args, &context),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if context.stop_requested() => {
            output::note("stopped; what was done is kept");
            ExitCode::from(130)
        }
        Err(error) => output::failed(&error),
    }
}
