//! `idiolect batch`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;
use idiolect::batch::{BatchInputs, ShardStore, read_background, rows_table, write_rows};
use idiolect::methods::{Method, MethodOptions, Texts};
use idiolect::peers::{BuildOptions, build_index};
use idiolect::tables;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::block_on::block_on;
use super::command_lm::CommandLm;
use super::context::Context;
use super::settings::MethodArgs;
use super::{output, values};

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Write the texts of many targets, from and to Parquet files\n\n\
        Reads a shard, a folder with `targets`, `reviews` and `items` as Parquet files or folders of part \
        files, and writes all targets. The table has a row for each target and method: user, item, method, \
        text, finish, prompt_tokens, completion_tokens, cut, and for a target that cannot be written the \
        error. The file is there only if it is whole: run a killed command again. If it is there already \
        and was made of the same, nothing is done. `export --parquet` divides a store into shards.",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// Folder of the shard
    #[arg(long, value_name = "DIR")]
    input: PathBuf,
    /// Parquet file of the texts
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Token counts of the whole corpus, of `export --background`. Without it, words are counted against the
    /// texts of the shard, and the texts of `idiolect` depend on how the corpus was divided
    #[arg(long, value_name = "FILE")]
    background: Option<PathBuf>,
    /// Methods that write each target, separated by commas; `idiolect write --help` describes them
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "idiolect",
        hide_possible_values = true,
        value_parser = values::method()
    )]
    methods: Vec<Method>,
    /// Maximum number of texts at once; raise it for a language model on a server, lower it if memory is
    /// short
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = values::rows(1))]
    at_once: usize,
    /// Seed of the texts; change it to get others [default: 42]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Maximum number of tokens of a text [default: the task's]
    #[arg(long, value_name = "N", value_parser = values::tokens(1))]
    max_tokens: Option<usize>,
    #[command(flatten)]
    settings: MethodArgs<true>,
}

const EXAMPLES: &str = "\
Prints one JSON line: rows, rows with an error, tokens, seconds.

Examples:
  idiolect export --parquet shards --shards 100 --split default --background background.json
  idiolect batch --input shards/shard=0007 --background background.json --out 0007.parquet
  ls -d shards/* | xargs -P 2 -I{} idiolect batch --input {} --background background.json --out {}.parquet";

/// Name of the metadata that say what a file was made of.
const RUN: &str = "idiolect.run";

/// JSON line that the command prints.
#[derive(Serialize)]
struct BatchJson {
    out: PathBuf,
    rows: usize,
    errors: usize,
    prompt_tokens: usize,
    completion_tokens: usize,
    seconds: f64,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let begin = Instant::now();
    let task = args.settings.task()?;
    let mut options = args.settings.options(&task)?;
    options.seed = args.seed.unwrap_or(options.seed);
    options.max_tokens = args.max_tokens.or(options.max_tokens);
    args.settings.check_peer_text(&args.methods, &options)?;
    if options.idiolect.estimate || options.idiolect.texts == Texts::Estimated {
        bail!(
            "--estimate and --texts estimated: a shard is no sample of the corpus; give strengths"
        );
    }
    output::check_writable(&args.out)?;
    let shard = ShardStore::open(&args.input, context)?;
    let lm = CommandLm::of(context)?;
    let vocabulary = || lm.model().vocabulary();
    let background = match &args.background {
        Some(path) => Some(read_background(path, vocabulary()?)?),
        None => None,
    };
    let compares = args.methods.iter().any(|method| method.needs_peers(&options));
    let encoder = compares.then(|| context.encoder()).transpose()?;
    let made_of = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "shard": shard.hash(),
        "background": background.as_ref().map(|background| {
            let counts = background.counts.iter().flat_map(|n| n.to_le_bytes());
            hex(&counts.collect::<Vec<u8>>())
        }),
        "lm": lm.model().fingerprint(),
        "encoder": encoder.as_ref().map(|encoder| encoder.stamp().to_owned()),
        "task": task.hash(),
        "methods": args.methods,
        "settings": options.changed_from(&MethodOptions::default()),
    });
    let run = hex(made_of.to_string().as_bytes());
    if !args.settings.is_fresh() && tables::note(&args.out, RUN)?.as_deref() == Some(run.as_str()) {
        output::note(&format!("{} is there, made of the same", args.out.display()));
        return output::json(&json!({ "out": args.out, "done": "before" }));
    }
    if let Some(encoder) = &encoder {
        build_index(shard.store(), encoder, &BuildOptions::default(), context)?;
    }
    let inputs = BatchInputs {
        shard: &shard,
        model: lm.model(),
        peers: encoder.as_ref().map(|encoder| encoder as _),
        task: &task,
        methods: &args.methods,
        options: &options,
        background: background.as_ref(),
        at_once: args.at_once,
        progress: context,
    };
    let rows = block_on(context, write_rows(&inputs))??;
    rows_table(&rows).with_note(RUN, &run).write(&args.out)?;
    let texts = || rows.iter().filter_map(|row| row.text.as_ref().ok());
    let tokens = texts().map(|text| text.usage().tokens_when_cold());
    let (prompt_tokens, completion_tokens) =
        tokens.fold((0, 0), |sum, text| (sum.0 + text.0, sum.1 + text.1));
    output::json(&BatchJson {
        out: args.out,
        rows: rows.len(),
        errors: rows.len() - texts().count(),
        prompt_tokens,
        completion_tokens,
        seconds: (begin.elapsed().as_secs_f64() * 1000.0).round() / 1000.0,
    })
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
