//! `idiolect write`.

use std::fmt::Write as _;

use idiolect::corpus::{Store, Target};
use idiolect::lm::Finish;
use idiolect::methods::{
    Generated, Method, MethodInputs, Options, SamplingOverrides, TokenAttribution,
};
use serde::Serialize;

use super::context::Context;
use super::output;
use super::settings::{MethodArgs, Sight, note_cuts};
use super::stream::streamed;
use super::values;
use super::wait::wait;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Write as a user would\n\n\
        If the user has written about the item already, that text is held out: it is in no prompt. \
        All other texts of the user count as past, and peers' texts may be younger (DPL sets no \
        limit in time; --before does). Without --json the text is written to stdout as it comes.",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// User to write as
    #[arg(long, value_name = "USER")]
    user: String,
    /// Item to write about
    #[arg(long, value_name = "ITEM")]
    item: String,
    /// Method of generation
    #[arg(
        long,
        value_name = "METHOD",
        default_value = "idiolect",
        value_parser = values::method()
    )]
    method: Method,
    /// Rating that the text gives the item
    #[arg(long, value_name = "R", value_parser = finite)]
    rating: Option<f32>,
    /// Title of the text; some methods also use it to find relevant past texts
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    title: Option<String>,
    /// Seed of the text; change it to get another text. The profile has its own (--profile-seed)
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Maximum number of tokens of the text [default: the task's]
    #[arg(long, value_name = "N", value_parser = values::tokens(1))]
    max_tokens: Option<usize>,
    /// Show for each token the log-probability (nats) that the user's past texts added, and the
    /// log-probability that steering added
    #[arg(long)]
    why: bool,
    #[command(flatten)]
    settings: MethodArgs,
    #[command(flatten)]
    sight: Sight,
    #[command(flatten)]
    sampling: TextSamplingArgs,
}

/// Overrides of the task's sampling settings.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sampling of the text (instead of the task's)")]
struct TextSamplingArgs {
    /// Sampling temperature: 0 always takes the likeliest token, higher values give more varied
    /// text
    #[arg(long, value_name = "T")]
    temperature: Option<f32>,
    /// Sample from the K likeliest tokens; 0 keeps all
    #[arg(long, value_name = "K", value_parser = values::rows(0))]
    top_k: Option<usize>,
    /// Sample from the smallest set of tokens whose probability reaches P; 1 keeps all
    #[arg(long, value_name = "P")]
    top_p: Option<f32>,
    /// Sample from tokens at least P times as likely as the likeliest; 0 keeps all
    #[arg(long, value_name = "P")]
    min_p: Option<f32>,
    /// Penalty on tokens that already occurred; 1 is off, raise it if the text repeats words
    #[arg(long, value_name = "X")]
    repetition_penalty: Option<f32>,
    /// DRY: strength of the penalty on repeating a run of tokens; 0 is off
    #[arg(long, value_name = "X")]
    dry_multiplier: Option<f32>,
}

const EXAMPLES: &str = "\
Examples:
  idiolect write --user marta --item kettle-02
  idiolect write --user marta --item kettle-02 --rating 2 --title 'Whistles, but flat' --seed 7
  idiolect --lm qwen2.5-1.5b-instruct write --user marta --item kettle-02 --method dpl --json";

/// JSON object that the command prints.
#[derive(Serialize)]
struct WriteJson<'a> {
    #[serde(flatten)]
    written: &'a Generated,
    user: &'a str,
    item: &'a str,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<Vec<TokenAttribution>>,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let task = args.settings.task()?;
    let options = Options {
        seed: args.seed,
        sampling: args.sampling.overrides(),
        max_tokens: args.max_tokens,
        ..args.settings.options(&task)
    };
    // Check before anything is loaded.
    options.sampling.over(&task.stage(args.method.stage())?.sampling).check()?;
    let store = Store::open_existing(&context.globals.store)?;
    let item = store.item(&args.item)?;
    let view = args.sight.view(&store, &args.user, Some(&item))?;
    let target =
        Target { user: args.user.clone(), item, rating: args.rating, title: args.title.clone() };
    let lm = context.lm()?;
    context.note_small_model(&lm);
    let encoder = args.method.needs_peers(&options).then(|| context.encoder()).transpose()?;
    let material = MethodInputs {
        view,
        model: &lm,
        peers: encoder.as_ref().map(|encoder| encoder as _),
        task: &task,
        progress: context,
    };
    if context.globals.json {
        let written = wait(context, args.method.write(&material, &target, &options, None))??;
        let why = args.why.then(|| reasons(&args, context, &material, &target, &options, &written));
        let why = why.transpose()?;
        let (user, item) = (args.user.as_str(), args.item.as_str());
        return output::json(&WriteJson { written: &written, user, item, seed: args.seed, why });
    }
    let prepared = wait(context, args.method.prepare(&material, &target, &options))??;
    let show = |piece: &str| output::raw(piece.as_bytes());
    let written = streamed(context, "reading the prompt", show, |on_text| {
        prepared.write(&material, &options, Some(on_text))
    })??;
    output::line("")?;
    if args.why {
        let why = reasons(&args, context, &material, &target, &options, &written)?;
        output::raw(in_columns(&why).as_bytes())?;
    }
    tell(&written, &options, context);
    Ok(())
}

/// Attributes each token of the text to the user's texts and to steering. Everything but the scores
/// is in the store by now.
fn reasons(
    args: &Args,
    context: &Context,
    material: &MethodInputs<'_>,
    target: &Target,
    options: &Options,
    written: &Generated,
) -> anyhow::Result<Vec<TokenAttribution>> {
    let why = async {
        let prepared = args.method.prepare(material, target, options).await?;
        prepared.attribute(material, options, written.text.as_str()).await
    };
    Ok(wait(context, why)??)
}

/// Formats one token per line: log-probability added by the user's texts, log-probability added by
/// steering, token.
fn in_columns(why: &[TokenAttribution]) -> String {
    let mut out = String::from("\n  user  steer  token (nats)\n");
    for TokenAttribution { piece, user, contrast } in why {
        let _ = writeln!(out, "{user:+6.2} {contrast:+6.2}  {piece:?}");
    }
    out
}

/// Prints warnings and the cost of the text to stderr.
fn tell(written: &Generated, options: &Options, context: &Context) {
    note_cuts(&written.cut);
    let compares = written.method.extracts_differences() && options.differences;
    if compares && written.profile.as_ref().is_some_and(|profile| profile.differences.is_empty()) {
        output::note("no past item has enough other reviewers, so the profile compares nothing");
    }
    if written.text.is_empty() {
        output::note("the model ended its answer at once; another --seed may give a text");
    }
    if written.finish == Finish::Length {
        output::note("the text reached its most tokens and was ended there; see --max-tokens");
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

impl TextSamplingArgs {
    fn overrides(&self) -> SamplingOverrides {
        SamplingOverrides {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            dry_multiplier: self.dry_multiplier,
        }
    }
}
