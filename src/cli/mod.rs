//! The command line, one module per command.

#[cfg(feature = "parquet")]
mod batch;
mod bench;
mod block_on;
mod chat;
mod choose;
mod command_lm;
mod complete;
mod context;
#[cfg(feature = "postgres")]
mod database;
mod demo;
mod doctor;
mod embed;
mod evaluate;
mod export;
mod flags;
mod forget;
mod help;
mod import;
mod index;
mod lm;
mod man;
mod measured;
mod memory;
mod metrics;
mod models;
mod neighbours;
mod output;
mod profile;
mod recover;
#[cfg(feature = "remote")]
mod remote;
#[cfg(feature = "remote")]
mod remote_args;
mod representatives;
mod reward;
mod sample;
#[cfg(feature = "serve")]
mod serve;
mod settings;
mod split;
#[cfg(feature = "serve")]
mod start;
mod stream;
mod train;
mod users;
mod values;
mod version;
mod wrap;
mod write;

use std::process::ExitCode;

use clap::{FromArgMatches as _, Parser, Subcommand};

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
First steps:
  idiolect models fetch qwen2.5-coder-1.5b-instruct all-minilm-l6-v2
  idiolect demo                         the whole flow, on a sample corpus
  idiolect start mail.mbox --me ADDRESS  your own texts: what sets you apart, and the page
  idiolect import --help                the same step by step: then `index`, `users` and `write`

Data goes to stdout, progress and messages to stderr. Exit codes: 0 success, 1 failure, 2 wrong
command line, 130 stopped by Ctrl-C (finished work is kept).";

/// Message of a process that touches a mapped page that its file no longer has.
const LOST_PAGES: &str = "\
idiolect: error: a file that is mapped into memory (weights of a model, or the index of a store's log) was
truncated while it was in use, or its disk failed; what was committed is kept
";

#[derive(Debug, Subcommand)]
// `about` and not a doc comment: a doc comment would replace the `long_about` of the command.
enum Command {
    #[command(about = "Show the whole flow on a sample corpus")]
    Demo(demo::Args),
    #[cfg(feature = "serve")]
    #[command(about = "Read your own texts, show what sets you apart, and open the page")]
    Start(start::Args),
    #[command(about = "List, download, verify and locate models")]
    Models(models::Args),
    #[command(about = "Read reviews and items from files into the store")]
    Import(import::Args),
    #[command(about = "Hold out reviews for evaluation, with the filters of DPL")]
    Split(split::Args),
    #[command(about = "Embed the reviews and build the index over users")]
    Index(index::Args),
    #[command(about = "List the users of the store")]
    Users(users::Args),
    #[command(about = "List the users who write most like a user")]
    Neighbours(neighbours::Args),
    #[command(about = "Show the representatives that a user is compared with on an item")]
    Representatives(representatives::Args),
    #[command(about = "Show or edit the profile of a user: what sets them apart")]
    Profile(Box<profile::Args>),
    #[command(about = "Write a text as a user would")]
    Write(Box<write::Args>),
    #[command(about = "Talk, and be written to as you write yourself")]
    Chat(Box<chat::Args>),
    #[command(about = "Choose the better of two drafts; the choice is remembered")]
    Choose(Box<choose::Args>),
    #[command(about = "Train what some methods use, on the texts of the store")]
    Train(train::Args),
    #[cfg(feature = "serve")]
    #[command(about = "Serve the models over HTTP, with OpenAI's routes")]
    Serve(Box<serve::Args>),
    #[command(about = "Evaluate methods on held-out texts, with controls")]
    Evaluate(Box<evaluate::Args>),
    #[cfg(feature = "parquet")]
    #[command(about = "Write the texts of many targets, from and to Parquet files")]
    Batch(Box<batch::Args>),
    #[command(about = "Print everything that the store holds about a user, as JSON")]
    Export(export::Args),
    #[command(about = "Delete a user and everything derived from their texts")]
    Forget(forget::Args),
    #[command(about = "Write what can be read of a damaged store to a new store")]
    Recover(recover::Args),
    #[command(about = "Complete, score or tokenize a text with the language model alone")]
    Lm(lm::Args),
    #[command(about = "Compare predicted texts with reference texts: ROUGE, BLEU, METEOR and more")]
    Metrics(metrics::Args),
    #[command(about = "Embed lines of text with the sentence encoder alone")]
    Embed(embed::Args),
    #[command(about = "Benchmark the models on this machine")]
    Bench(bench::Args),
    #[command(about = "Check devices, models and the store, and report problems")]
    Doctor(doctor::Args),
    #[command(about = "Print shell completions")]
    Completions(complete::Args),
    #[command(about = "Write manual pages", hide = true)]
    Man(man::Args),
}

/// Runs the program and returns its exit code, as listed in the help.
pub(crate) fn main() -> ExitCode {
    idiolect::model::exit_on_lost_pages(LOST_PAGES);
    let matches = match help::command().try_get_matches_from(help::arguments()) {
        Ok(matches) => matches,
        Err(error) => return output::help(&error),
    };
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => return output::help(&error),
    };
    let context = match Context::new(cli.globals) {
        Ok(context) => context,
        Err(error) => return output::failed(&error),
    };
    let done = match cli.command {
        Command::Demo(args) => demo::run(args, &context),
        #[cfg(feature = "serve")]
        Command::Start(args) => start::run(args, &context),
        Command::Models(args) => models::run(args, &context),
        Command::Import(args) => import::run(args, &context),
        Command::Split(args) => split::run(args, &context),
        Command::Index(args) => index::run(args, &context),
        Command::Users(args) => users::run(args, &context),
        Command::Neighbours(args) => neighbours::run(args, &context),
        Command::Representatives(args) => representatives::run(args, &context),
        Command::Profile(args) => profile::run(*args, &context),
        Command::Write(args) => write::run(*args, &context),
        Command::Chat(args) => chat::run(*args, &context),
        Command::Choose(args) => choose::run(*args, &context),
        Command::Train(args) => train::run(args, &context),
        #[cfg(feature = "serve")]
        Command::Serve(args) => serve::run(*args, &context),
        Command::Evaluate(args) => evaluate::run(*args, &context),
        #[cfg(feature = "parquet")]
        Command::Batch(args) => batch::run(*args, &context),
        Command::Export(args) => export::run(args, &context),
        Command::Forget(args) => forget::run(args, &context),
        Command::Recover(args) => recover::run(&args, &context),
        Command::Lm(args) => lm::run(args, &context),
        Command::Metrics(args) => metrics::run(args, &context),
        Command::Embed(args) => embed::run(args, &context),
        Command::Bench(args) => bench::run(args, &context),
        Command::Doctor(args) => doctor::run(args, &context),
        Command::Completions(args) => complete::run(args, &context),
        Command::Man(args) => man::run(&args),
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
