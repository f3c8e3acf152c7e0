//! `idiolect bench`: speed of this machine with these models.

pub(super) mod decoding;
pub(super) mod machine;
mod replay;
mod rounds;
mod whole;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::context::Context;
use super::output;
use super::values;
use machine::Machine;
use rounds::BenchResult;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Benchmark the models on this machine\n\n\
        Measures the models of --lm and --encoder on --device. Each benchmark is run once to warm \
        up and then --runs times, in turns with the others; compare the medians. The store is \
        neither read nor written.\n\n\
        prefill: prompt tokens per second\n\
        decode: decoded tokens per second of one sequence\n\
        batched-decode: decoded tokens per second of several sequences together\n\
        score: tokens per second when a text of 512 tokens is scored\n\
        embed: texts of the sample corpus embedded per second\n\
        index: reviews of the sample corpus embedded, stored and indexed per second\n\
        personalize: seconds that dpl takes for one text, including all differences\n\
        replay: seconds that recorded requests take (--requests)",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// Run only these benchmarks; use it to save time. `replay` runs only if it is named
    #[arg(
        long,
        value_name = "NAME,...",
        value_delimiter = ',',
        value_parser = values::named::<BenchName>()
    )]
    only: Vec<BenchName>,
    /// Number of measured runs of each benchmark; raise it if results vary
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = values::count())]
    runs: usize,
    /// Prompt lengths of prefill, in tokens; set the lengths of your prompts
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "512,2048,4096",
          value_parser = values::tokens(1))]
    prompt: Vec<usize>,
    /// Numbers of tokens in the cache before decoding starts; raise them to see the effect of long
    /// prompts [default: 0,2048 for decode, 0 for batched-decode]
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = values::tokens(0))]
    depth: Vec<usize>,
    /// Numbers of sequences decoded together; raise them for a GPU
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "8,32",
          value_parser = values::sequences())]
    sequences: Vec<usize>,
    /// Number of tokens decoded per sequence; lower it for a quick run
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = values::tokens(1))]
    tokens: usize,
    /// Files of requests to replay, written by `--record-requests`. Each file is a job, whose
    /// requests are sent in the recorded order and concurrency. Texts get the recorded lengths; their
    /// tokens are chosen greedily
    #[arg(long, value_name = "FILE,...", value_delimiter = ',', required_if_eq("only", "replay"))]
    requests: Vec<PathBuf>,
    /// Number of jobs replayed at the same time; raise it to measure several users at once
    #[arg(hide = true, long, value_name = "N", default_value_t = 1, value_parser = values::sequences())]
    jobs: usize,
    /// Replay all runs on one engine, so that later runs reuse the prefix cache of earlier ones; use
    /// it to measure a warm cache
    #[arg(long, hide = true)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BenchName {
    /// Prompt tokens per second
    #[default]
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
    if args.measures(BenchName::Replay) {
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
    fn measures(&self, name: BenchName) -> bool {
        match self.only.is_empty() {
            true => name != BenchName::Replay,
            false => self.only.contains(&name),
        }
    }
}
