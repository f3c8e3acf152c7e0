//! `idiolect bench`: speed of this machine with these models.

mod decoding;
mod machine;
mod replay;
mod rounds;
mod whole;

use std::path::PathBuf;

use clap::ValueEnum;
use serde::Serialize;

use super::context::Context;
use super::output;
use super::values;
use machine::Machine;
use rounds::BenchResult;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Measure how fast this machine is with these models\n\n\
        The models of --lm and --encoder are measured on the device of --device, with --threads \
        and --cpu-isa: prompts (prefill), one text and several at a time written on after nothing \
        and after long prompts (decode, batched-decode), a text scored, the sample corpus embedded \
        and indexed, and one whole personalization of the sample corpus by dpl. Each is run once to \
        warm up and then --runs times, in turns with the others; what counts is the median. \
        Nothing is read from or written to the store.",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// Measure only these. `replay` is measured only if it is named
    #[arg(long, value_enum, value_name = "NAME,...", value_delimiter = ',')]
    only: Vec<Name>,
    /// Number of measured runs of each; raise it if results scatter
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = values::count())]
    runs: usize,
    /// Prompt lengths of prefill, in tokens
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [512, 2048, 4096],
          value_parser = values::tokens(1))]
    prompt: Vec<usize>,
    /// Numbers of tokens in the cache before decoding starts [default: 0 and 2048 for one text, 0
    /// for several]
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = values::tokens(0))]
    depth: Vec<usize>,
    /// Numbers of sequences decoded together
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_values_t = [8, 32],
          value_parser = values::sequences())]
    sequences: Vec<usize>,
    /// Number of tokens decoded per sequence
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = values::tokens(1))]
    tokens: usize,
    /// File of requests to replay, as `--record-requests` writes it; can be repeated. Each file is
    /// a job: its requests are sent in their order, and at the same time as each other if they
    /// were. Lengths are as recorded; tokens are chosen greedily
    #[arg(long, value_name = "FILE", required_if_eq("only", "replay"))]
    requests: Vec<PathBuf>,
    /// Number of jobs replayed at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = values::sequences())]
    jobs: usize,
    /// Replay all runs on one engine, so that later runs reuse the prefix cache of earlier ones;
    /// without this each run starts with an empty cache
    #[arg(long)]
    keep_cache: bool,
}

const EXAMPLES: &str = "\
Examples:
  idiolect bench
  idiolect bench --only prefill,decode --runs 9 --json
  idiolect --device cuda:0 --lm qwen2.5-1.5b-instruct bench --depth 0,4096 --sequences 8,64
  idiolect --record-requests job.jsonl write --user marta --item kettle-02 --method dpl
  idiolect bench --only replay --requests job.jsonl";

/// A benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Name {
    /// Prompt tokens per second
    Prefill,
    /// Decoded tokens per second of one sequence
    Decode,
    /// Decoded tokens per second of several sequences together
    BatchedDecode,
    /// Tokens per second when a text of 512 tokens is scored
    Score,
    /// Texts of the sample corpus embedded per second
    Embed,
    /// Reviews of the sample corpus embedded, stored and indexed per second
    Index,
    /// Seconds that dpl takes for one text, including all differences
    Personalize,
    /// Seconds that the recorded requests take
    Replay,
}

/// JSON object that the command prints.
#[derive(Serialize)]
struct BenchJson {
    machine: Machine,
    results: Vec<BenchResult>,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let mut machine = Machine::of(context)?;
    let mut results = Vec::new();
    // One benchmark after the other, so that each is alone in memory.
    results.extend(decoding::measure(&args, context)?);
    results.extend(whole::measure_score(&args, context)?);
    results.extend(whole::measure_encoder(&args, context)?);
    results.extend(whole::measure_personalization(&args, context)?);
    if args.measures(Name::Replay) {
        results.push(replay::measure(&args, context)?);
    }
    machine.look_at_memory();
    if context.globals.json {
        return output::json(&BenchJson { machine, results });
    }
    output::line(&machine.in_words())?;
    output::line(&rounds::table(&results))
}

impl Args {
    fn measures(&self, name: Name) -> bool {
        match self.only.is_empty() {
            true => name != Name::Replay,
            false => self.only.contains(&name),
        }
    }
}

impl Name {
    /// Name in results and in `--only`.
    fn as_str(self) -> &'static str {
        match self {
            Self::Prefill => "prefill",
            Self::Decode => "decode",
            Self::BatchedDecode => "batched-decode",
            Self::Score => "score",
            Self::Embed => "embed",
            Self::Index => "index",
            Self::Personalize => "personalize",
            Self::Replay => "replay",
        }
    }
}
