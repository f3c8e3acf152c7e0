//! `idiolect evaluate`.

mod best_of;
mod fermi;
mod interact;
mod merge;
mod np;
mod pad;
#[cfg(feature = "parquet")]
mod parquet_figures;
mod plan;
mod table;
mod tiers;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use idiolect::corpus::{EvaluationSummary, Key};
use idiolect::difference::SentenceVectors;
use idiolect::encoder::Encoder;
use idiolect::evaluate::metrics::Meteor;
use idiolect::evaluate::report::{
    EvalReport, Provenance, ReportInputs, build_report, to_csv, to_html,
};
use idiolect::evaluate::{
    EvalContext, MetricGroup, MetricSet, Shard, announced, run as run_plan, statistics,
};
use idiolect::methods::{Method, MethodOptions};

use super::block_on::block_on;
use super::command_lm::CommandLm;
use super::context::Context;
use super::settings::MethodArgs;
use super::{output, reward, values};

#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    long_about = "Evaluate methods on held-out texts, with controls\n\n\
        The methods write or score the held-out texts of a split, which `idiolect split` makes. \
        Every answer and every score is stored as soon as it is computed: after an interruption, \
        run the same command again; it continues and gives the same figures. The store keeps the \
        newest reports, which `idiolect serve` shows.",
    after_help = AFTER_HELP
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Copy the results of other machines, made on copies of this store, into this store
    Merge(merge::Args),
    // `about` and not a doc comment, which would replace their `long_about`.
    #[command(about = "Measure what a memory of a person's turns is worth, without a judge")]
    Interact(Box<interact::Args>),
    #[command(about = "Show how well the reward head `np` tells own texts from peers'")]
    Np(np::Args),
    #[command(about = "Show whether the model keeps the tiers of instructions apart")]
    Tiers(Box<tiers::Args>),
    #[command(about = "Show what instructions improved on past texts are worth on newer ones")]
    Fermi(Box<fermi::Args>),
    #[command(about = "Show whether ranking drafts by `np` makes them closer to their user")]
    BestOf(Box<best_of::Args>),
    #[command(about = "Show whether the token reward `pad` guides towards own texts")]
    Pad(Box<pad::Args>),
}

#[derive(Debug, clap::Args)]
struct RunArgs {
    /// Methods to evaluate, separated by commas; `idiolect write --help` describes them
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "non-perso,rag,scp,dpl",
        hide_possible_values = true,
        value_parser = values::method()
    )]
    methods: Vec<Method>,
    /// Measures, separated by commas; leave some out to save time:
    ///   lexical         ROUGE, BLEU, METEOR, lengths, copies
    ///   likelihood      bits per token of the real text; no text is written
    ///   wrong-user      gain of the right history over another user's
    ///   neutral-title   without the real title, which reveals the user's style
    ///   swap            which of two users on one item wrote which text
    ///   identification  which of fifty users wrote which text
    ///   judge           a language model rates the similarity to the real text
    ///   judge-pairs     a language model chooses the more similar of two methods' texts
    #[arg(
        long,
        verbatim_doc_comment,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "lexical,likelihood,wrong-user,swap,identification",
        hide_possible_values = true,
        value_parser = values::named::<MetricGroup>()
    )]
    measures: Vec<MetricGroup>,
    #[command(flatten)]
    choice: plan::PlanArgs,
    /// Seed of the first text of each target, and of the choice of users, wrong users and pairs;
    /// change it to draw other users [default: 42]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Number of texts per held-out text, with consecutive seeds; raise it to reduce the noise of
    /// sampling
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: u64,
    /// Number of tokens of the real text that are scored, from its first; lower it to save time,
    /// 0 scores all
    #[arg(
        long,
        value_name = "N",
        default_value_t = 200,
        value_parser = values::tokens(0),
        hide = true
    )]
    score_tokens: usize,
    /// Maximum number of tokens of a written text; lower it to save time [default: the task's]
    #[arg(long, value_name = "N", value_parser = values::tokens(1))]
    max_tokens: Option<usize>,
    /// Language model that judges: a catalog name or the path of a GGUF file; choose another family
    /// than that of --lm, because models prefer their own texts [default: --lm]
    #[arg(long, value_name = "NAME|PATH", hide = true)]
    judge: Option<OsString>,
    /// Second sentence encoder, which compares texts with users in the swap test: a catalog name or
    /// the path of a folder. It must differ from --encoder, which chooses peers
    #[arg(long, value_name = "NAME|PATH", hide = true)]
    closeness_encoder: Option<OsString>,
    /// Folder of WordNet (of Debian's `wordnet-base`: /usr/share/wordnet) or of NLTK's data, for
    /// METEOR; set it to compare with published figures. Without it METEOR knows no synonyms
    #[arg(long, env = "IDIOLECT_WORDNET", value_name = "DIR", hide = true)]
    wordnet: Option<PathBuf>,
    /// Evaluate only part I of N, counted from 1, and print no report; use it to share the work
    /// among machines
    #[arg(long, value_name = "I/N", value_parser = shard)]
    shard: Option<Shard>,
    /// Write a report with figures, plots, examples and cost to FILE, one HTML page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the figures to FILE as CSV: method,measure,mean,low,high,n,p
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Write the same figures to FILE as Parquet
    #[cfg(feature = "parquet")]
    #[arg(long, value_name = "FILE")]
    parquet: Option<PathBuf>,
    #[command(flatten)]
    settings: MethodArgs<true>,
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
        Some(Command::Interact(args)) => interact::run(&args, context),
        Some(Command::Np(args)) => np::run(&args, context),
        Some(Command::Tiers(args)) => tiers::run(&args, context),
        Some(Command::Fermi(args)) => fermi::run(&args, context),
        Some(Command::BestOf(args)) => best_of::run(&args, context),
        Some(Command::Pad(args)) => pad::run(&args, context),
        None => evaluate(&args.run, context),
    }
}

fn evaluate(args: &RunArgs, context: &Context) -> anyhow::Result<()> {
    for path in args.html.iter().chain(&args.csv) {
        output::check_writable(path)?;
    }
    #[cfg(feature = "parquet")]
    args.parquet.as_deref().map(output::check_writable).transpose()?;
    let task = args.settings.task()?;
    args.settings.check_task_shows_no_peers(&task)?;
    let measures = MetricSet::new(&args.measures);
    let meteor = match &args.wordnet {
        Some(folder) => Meteor::open(folder).context("--wordnet")?,
        None => Meteor::exact_stem(),
    };
    let store = context.store()?;
    let split = args.choice.split(&store)?;
    let lm = CommandLm::of(context)?;
    let mut options = args.settings.options(&task)?;
    options.seed = args.seed.unwrap_or(options.seed);
    options.max_tokens = args.max_tokens.or(options.max_tokens);
    args.settings.check_peer_text(&args.methods, &options)?;
    let seed = options.seed;
    let compares = args.methods.iter().any(|method| method.needs_peers(&options));
    let encoder = (compares || measures.swaps()).then(|| context.encoder()).transpose()?;
    let closeness = match (&args.closeness_encoder, measures.has(MetricGroup::Swap)) {
        (Some(name), true) => Some(context.encoder_named(name, context.device()?)?),
        _ => None,
    };
    let stamps = closeness.as_ref().map(Encoder::stamp).zip(encoder.as_ref().map(Encoder::stamp));
    anyhow::ensure!(
        stamps.is_none_or(|(one, other)| one != other),
        "--closeness-encoder is also the encoder that chooses peers; name another one, or leave it out"
    );
    let plan = args.choice.plan(&store, &split, &measures, encoder.as_ref(), seed)?;
    let n_unseen = plan.n_unseen_by_rouge();
    if n_unseen > 0 && measures.has(MetricGroup::Lexical) {
        output::note(&format!("{n_unseen} held-out texts {}", super::metrics::ROUGE_SEES_ASCII));
    }
    let judges = measures.has(MetricGroup::Judge) || measures.has(MetricGroup::JudgePairs);
    let judge = match (&args.judge, judges) {
        (Some(name), true) => Some(CommandLm::named(name, context)?),
        _ => None,
    };
    let held_out = plan.held_out();
    let head = reward::trained((&store, context), &args.methods, &options, &held_out, lm.local())?;
    let eval = EvalContext {
        store: &store,
        model: lm.model(),
        judge: judge.as_ref().map(CommandLm::model),
        peers: encoder.as_ref().map(|encoder| encoder as _),
        reward: head.as_ref().map(|head| head as _),
        task: &task,
        options: &options,
        n_seeds: args.seeds,
        score_limit: (args.score_tokens > 0).then_some(args.score_tokens),
        metrics: &measures,
        held_out: &held_out,
    };
    let shard = args.shard.unwrap_or(Shard::WHOLE);
    let results = announced(&store, &args.methods, context, |progress| {
        block_on(context, run_plan(&eval, &plan, &args.methods, shard, progress))
    })??;
    if !context.globals.quiet {
        for of_method in &results.methods {
            output::note(&format!("{}: {:.1} s", of_method.method.name(), of_method.seconds));
        }
    }
    if args.shard.is_some() {
        output::note("this part is stored; join the parts with `idiolect evaluate merge`");
        return Ok(());
    }
    let encoders = [("encoder", encoder.as_ref()), ("closeness-encoder", closeness.as_ref())];
    let models = models(&lm, judge.as_ref(), encoders);
    let provenance = Provenance {
        command: command_line(),
        version: env!("CARGO_PKG_VERSION"),
        models,
        task: format!("{} {}", args.settings.task_name().display(), task.hash()),
        split: serde_json::json!({ "name": split.name, "parameters": split.parameters }),
        plan: serde_json::json!(plan.options),
        settings: options.changed_from(&MethodOptions::of(&task)),
        seed,
        statistics: statistics::Settings { seed, ..Default::default() },
    };
    let encoder = closeness.as_ref().map(|encoder| encoder as &dyn SentenceVectors);
    let inputs = ReportInputs {
        store: &store,
        plan: &plan,
        results: &results,
        metrics: &measures,
        seeds: args.seeds,
        meteor: &meteor,
        encoder,
    };
    let report = build_report(&inputs, provenance)?;
    let html = to_html(&report);
    store.put_evaluation(&summary(&report, &html), &html, &held_out)?;
    write_files(args, &report, &html)?;
    match context.globals.json {
        true => output::json(&report),
        false => table::print(&report),
    }
}

/// Summary under which the store keeps the report; the same report has the same one but for its time.
fn summary(report: &EvalReport, html: &str) -> EvaluationSummary {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let key = Key::of("evaluation").with("html", html).finish();
    EvaluationSummary {
        id: key.as_str().chars().take(16).collect(),
        name: format!("Evaluation of {}", report.order.join(", ")),
        time: time as i64,
        methods: report.order.iter().map(|name| (*name).to_owned()).collect(),
        users: report.users,
        texts: report.texts,
    }
}

fn write_files(args: &RunArgs, report: &EvalReport, html: &str) -> anyhow::Result<()> {
    if let Some(path) = &args.csv {
        output::file(path, &to_csv(report))?;
    }
    #[cfg(feature = "parquet")]
    if let Some(path) = &args.parquet {
        parquet_figures::figures_table(report).write(path)?;
    }
    if let Some(path) = &args.html {
        output::file(path, html)?;
    }
    Ok(())
}

fn models(
    lm: &CommandLm,
    judge: Option<&CommandLm>,
    encoders: [(&'static str, Option<&Encoder>); 2],
) -> BTreeMap<&'static str, String> {
    let lms = [Some(("lm", lm.described())), judge.map(|judge| ("judge", judge.described()))];
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

fn shard(text: &str) -> Result<Shard, String> {
    let parts = text.split_once('/').and_then(|(index, of)| {
        let (index, of) = (index.parse::<usize>().ok()?, of.parse::<usize>().ok()?);
        (1..=of).contains(&index).then_some(Shard { index: index - 1, of })
    });
    parts.ok_or_else(|| "expected a part and the number of parts, e.g. 1/3".to_owned())
}
