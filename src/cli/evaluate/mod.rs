//! `idiolect evaluate`.

mod merge;
mod plan;
mod table;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use idiolect::client::Model;
use idiolect::corpus::Store;
use idiolect::difference::SentenceVectors;
use idiolect::encoder::Encoder;
use idiolect::evaluate::measures::{Measure, Measures};
use idiolect::evaluate::metrics::Meteor;
use idiolect::evaluate::report::{Facts, Instruments, Report, assemble, to_csv, to_html};
use idiolect::evaluate::run::{Shard, run as run_plan};
use idiolect::evaluate::statistics;
use idiolect::evaluate::trial::Bench;
use idiolect::lm::Lm;
use idiolect::methods::Method;

use super::context::Context;
use super::output;
use super::settings::MethodArgs;
use super::values;
use super::wait::wait;

#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    long_about = "Measure how well methods write as the users of a split would\n\n\
        Every answer and every score goes to the store as it comes: a run that was stopped, however \
        roughly, is gone on with by the same command, and ends with the same figures. Methods share \
        what they have in common.",
    after_help = AFTER_HELP
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    asked: Asked,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Copy the results of other machines, made on copies of this store, into this store
    Merge(merge::Args),
}

#[derive(Debug, clap::Args)]
struct Asked {
    /// Methods to evaluate, separated by commas
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "non-perso,rag,scp,dpl",
        value_parser = values::method()
    )]
    methods: Vec<Method>,
    /// Measures, separated by commas:
    /// lexical (ROUGE, BLEU, METEOR, lengths, copies),
    /// likelihood (bits per token of the real text; no text is written),
    /// wrong-user (gain of the right history over another user's),
    /// neutral-title (without the real title, which reveals the writer's voice),
    /// swap (which of two users on one item wrote which text),
    /// identification (the same among fifty users),
    /// judge (a language model rates the similarity to the real text),
    /// judge-pairs (which of two methods' texts is more similar to the real text, for every two)
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "lexical,likelihood,wrong-user,swap,identification",
        value_parser = PossibleValuesParser::new(Measure::ALL.map(Measure::name)).map(measure)
    )]
    measures: Vec<Measure>,
    #[command(flatten)]
    choice: plan::PlanArgs,
    /// Seed of the first text of each target; also of the choice of users, wrong users and pairs
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Number of texts per held-out text, with consecutive seeds; raise it to reduce the noise of
    /// sampling
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Number of tokens of the real text that are scored, from its first; 0 scores all
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = values::tokens(0))]
    score_tokens: usize,
    /// Maximum number of tokens of a written text [default: the task's]
    #[arg(long, value_name = "N", value_parser = values::tokens(1))]
    max_tokens: Option<usize>,
    /// Language model that judges: a catalog name or the path of a GGUF file; best of another
    /// family than --lm [default: --lm]
    #[arg(long, value_name = "NAME|PATH")]
    judge: Option<String>,
    /// Sentence encoder that compares texts with users in the swap test; must differ from
    /// --encoder, which chooses peers: a catalog name or the path of a folder
    #[arg(long, value_name = "NAME|PATH")]
    closeness_encoder: Option<String>,
    /// Folder of WordNet (of Debian's `wordnet-base`: /usr/share/wordnet) or of NLTK's data, for
    /// METEOR; without it METEOR knows no synonyms and has another name
    #[arg(long, env = "IDIOLECT_WORDNET", value_name = "DIR")]
    wordnet: Option<PathBuf>,
    /// Evaluate only part I of N, counted from 1, into the store, and print no report; use it to
    /// share the work among machines
    #[arg(long, value_name = "I/N", value_parser = shard)]
    shard: Option<Shard>,
    /// Write a report to FILE, a self-contained HTML page: figures, plots, examples, cost
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the figures to FILE as CSV: method,measure,mean,low,high,n,p
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    #[command(flatten)]
    settings: MethodArgs,
}

const AFTER_HELP: &str = "\
Several machines: copy the store after `split` and `index`, run `evaluate ... --shard 1/3`, 2/3 and
3/3 on the copies, join them with `evaluate merge COPY...`, and run the command without --shard.

Examples:
  idiolect evaluate --measures likelihood --methods non-perso,rag,scp
  idiolect evaluate --methods rag,scp,dpl --users 60 --seeds 3 --html report.html";

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    match args.command {
        Some(Command::Merge(args)) => merge::run(&args, context),
        None => evaluate(&args.asked, context),
    }
}

fn evaluate(args: &Asked, context: &Context) -> anyhow::Result<()> {
    let task = args.settings.task()?;
    let measures = Measures::new(&args.measures);
    let meteor = match &args.wordnet {
        Some(folder) => Meteor::open(folder).context("--wordnet")?,
        None => Meteor::exact_stem(),
    };
    let store = Store::open_existing(&context.globals.store)?;
    let split = args.choice.split(&store)?;
    let lm = context.lm()?;
    let mut options = args.settings.options(&task);
    options.seed = args.seed;
    let compares = args.methods.iter().any(|method| method.needs_peers(&options));
    let encoder = (compares || measures.swaps()).then(|| context.encoder()).transpose()?;
    let closeness = match (&args.closeness_encoder, measures.has(Measure::Swap)) {
        (Some(name), true) => Some(context.encoder_named(name, context.device()?)?),
        _ => None,
    };
    let stamps = closeness.as_ref().map(Encoder::stamp).zip(encoder.as_ref().map(Encoder::stamp));
    anyhow::ensure!(
        stamps.is_none_or(|(one, other)| one != other),
        "--closeness-encoder is the encoder that chooses peers; name another one, or leave it out"
    );
    let plan = args.choice.plan(&store, &split, &measures, encoder.as_ref(), args.seed)?;
    let judges = measures.has(Measure::Judge) || measures.has(Measure::JudgePairs);
    let judge = match (&args.judge, judges) {
        (Some(name), true) => Some(context.lm_named(name)?),
        _ => None,
    };
    options.max_tokens = args.max_tokens;
    let bench = Bench {
        store: &store,
        model: &lm,
        judge: judge.as_ref().map(|judge| judge as &dyn Model),
        peers: encoder.as_ref().map(|encoder| encoder as _),
        task: &task,
        options: &options,
        n_seeds: args.seeds,
        score_limit: (args.score_tokens > 0).then_some(args.score_tokens),
        measures: &measures,
    };
    let shard = args.shard.unwrap_or(Shard::WHOLE);
    let outcomes = wait(context, run_plan(&bench, &plan, &args.methods, shard, context))??;
    if !context.globals.quiet {
        for of_method in &outcomes.methods {
            output::note(&format!("{}: {:.1} s", of_method.method.name(), of_method.seconds));
        }
    }
    if args.shard.is_some() {
        output::note("this part is in the store; `idiolect evaluate merge` joins parts");
        return Ok(());
    }
    let encoders = [("encoder", encoder.as_ref()), ("closeness-encoder", closeness.as_ref())];
    let models = models(&lm, judge.as_ref(), encoders);
    let facts = Facts {
        command: command_line(),
        version: env!("CARGO_PKG_VERSION"),
        models,
        task: format!("{} {}", args.settings.task_name(), task.hash()),
        split: serde_json::json!({ "name": split.name, "parameters": split.parameters }),
        plan: serde_json::json!(plan.options),
        seed: args.seed,
        statistics: statistics::Settings { seed: args.seed, ..Default::default() },
    };
    let encoder = closeness.as_ref().map(|encoder| encoder as &dyn SentenceVectors);
    let instruments = Instruments { meteor: &meteor, encoder };
    let report = assemble(&store, &plan, &outcomes, &measures, instruments, args.seeds, facts)?;
    write_files(args, &report)?;
    match context.globals.json {
        true => output::json(&report),
        false => table::print(&report),
    }
}

fn write_files(args: &Asked, report: &Report) -> anyhow::Result<()> {
    if let Some(path) = &args.csv {
        write(path, &to_csv(report))?;
    }
    if let Some(path) = &args.html {
        write(path, &to_html(report))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn models(
    lm: &Lm,
    judge: Option<&Lm>,
    encoders: [(&'static str, Option<&Encoder>); 2],
) -> BTreeMap<&'static str, String> {
    let of_lm = |lm: &Lm| format!("{} {}", lm.name(), lm.fingerprint());
    let lms = [Some(("lm", of_lm(lm))), judge.map(|judge| ("judge", of_lm(judge)))];
    let encoders = encoders.into_iter().filter_map(|(part, encoder)| {
        encoder.map(|encoder| (part, format!("{} {}", encoder.name(), encoder.stamp())))
    });
    lms.into_iter().flatten().chain(encoders).collect()
}

/// Returns the command line, quoted for a shell, so that the run can be repeated.
fn command_line() -> String {
    let quoted = |word: String| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./,=:".contains(c);
        match !word.is_empty() && word.chars().all(plain) {
            true => word,
            false => format!("'{}'", word.replace('\'', "'\\''")),
        }
    };
    let rest = std::env::args_os().skip(1).map(|word| quoted(word.to_string_lossy().into_owned()));
    std::iter::once("idiolect".to_owned()).chain(rest).collect::<Vec<_>>().join(" ")
}

fn measure(name: String) -> Measure {
    Measure::ALL.into_iter().find(|measure| measure.name() == name).unwrap_or(Measure::Lexical)
}

fn shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/').and_then(|(index, of)| {
        let (index, of) = (index.parse::<usize>().ok()?, of.parse::<usize>().ok()?);
        (1..=of).contains(&index).then_some(Shard { index: index - 1, of })
    });
    parts.ok_or_else(|| "a part and the number of parts are needed, e.g. 1/3".to_owned())
}
