//! `idiolect lm`: direct access to the language model.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{ArgGroup, Subcommand};
use idiolect::client::Model;
use idiolect::lm::{Chat, Completion, Constraint, Eos, Prompt, Request, Role, Sampling, Score};

use super::block_on::block_on;
use super::command_lm::CommandLm;
use super::context::Context;
use super::stream::streamed;
use super::{output, values};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Continue a prompt
    ///
    /// The prompt is raw text after the BOS token of the model, if it has one; with `--chat` it is
    /// a user message, and the model answers.
    #[command(after_help = COMPLETE_EXAMPLES)]
    Complete(CompleteArgs),
    /// Score a text: log-probability of each of its tokens after a prompt. With an empty prompt
    /// file the text is scored by itself
    #[command(after_help = SCORE_EXAMPLES)]
    Score(ScoreArgs),
    /// Print the token ids of a text
    Tokenize(TokenizeArgs),
}

const COMPLETE_EXAMPLES: &str = "\
Examples:
  idiolect lm complete --prompt 'The kettle is'
  idiolect lm complete --chat --prompt 'Name three teas.' --temperature 0.8 --top-p 0.95 --seed 7
  idiolect lm complete --chat --prompt 'Rate: It leaks.' --regex '[1-5] stars?'
  idiolect lm complete --chat --prompt-file letter.txt --json-schema answer.json
  idiolect lm complete --prompt-file letter.txt --max-tokens 200 --stop '\\n\\n' --json";

const SCORE_EXAMPLES: &str = "\
Examples:
  idiolect lm score --prompt-file before.txt --continuation-file after.txt
  idiolect lm score --prompt-file /dev/null --continuation-file text.txt --json";

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("source").args(["prompt", "prompt_file"]).required(true))]
struct CompleteArgs {
    /// The prompt text
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// File with the prompt, used unchanged, including a final newline; `-` is stdin
    #[arg(long, value_name = "FILE")]
    prompt_file: Option<PathBuf>,
    /// Send the prompt as a user message in the chat template of the model; use it for instruction
    /// models
    #[arg(long)]
    chat: bool,
    /// System message of the chat; needs --chat
    #[arg(long, value_name = "TEXT", requires = "chat", allow_hyphen_values = true)]
    system: Option<String>,
    /// Read control markers in the prompt (`<|im_start|>`) as control tokens, not as ordinary text;
    /// use it to write the chat template yourself
    #[arg(long, conflicts_with = "chat", hide = true)]
    markup: bool,
    /// Maximum number of tokens to write [default: 256, or what is left of the context window]
    #[arg(long, value_name = "N", value_parser = values::tokens(0))]
    max_tokens: Option<usize>,
    /// Stop sequence: a text that ends the completion; can be repeated, and may contain commas. `\n`
    /// is a newline, `\t` a tab
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    stop: Vec<String>,
    /// Never choose end-of-turn tokens, so that the completion always has the maximum number of
    /// tokens; for measurements
    #[arg(long, hide = true)]
    ignore_end: bool,
    /// File with a JSON schema that the completion must satisfy, written on one line; `-` is stdin
    #[arg(long, value_name = "FILE", conflicts_with_all = ["stop", "ignore_end"])]
    json_schema: Option<PathBuf>,
    /// Regular expression that the whole completion must match
    #[arg(
        long,
        value_name = "R",
        allow_hyphen_values = true,
        conflicts_with_all = ["stop", "ignore_end", "json_schema"]
    )]
    regex: Option<String>,
    #[command(flatten)]
    sampling: SamplingArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sampling")]
pub(crate) struct SamplingArgs {
    /// Sampling temperature: 0 always takes the likeliest token; raise it for more varied text
    #[arg(long, value_name = "T", default_value_t = Sampling::default().temperature)]
    temperature: f32,
    /// Sample from the K likeliest tokens; lower it for safer text, 0 keeps all
    #[arg(hide = true, long, value_name = "K", default_value_t = Sampling::default().top_k, value_parser = values::rows(0))]
    top_k: usize,
    /// Sample from the smallest set of tokens whose probability reaches P; lower it for safer text, 1
    /// keeps all
    #[arg(long, value_name = "P", default_value_t = Sampling::default().top_p)]
    top_p: f32,
    /// Sample from tokens at least P times as likely as the likeliest; raise it for safer text, 0
    /// keeps all
    #[arg(hide = true, long, value_name = "P", default_value_t = Sampling::default().min_p)]
    min_p: f32,
    /// Penalty on tokens that already occurred; raise it if the text repeats words, 1 is off
    #[arg(hide = true, long, value_name = "X", default_value_t = Sampling::default().repetition_penalty)]
    repetition_penalty: f32,
    /// DRY: strength of the penalty on repeating a run of tokens; set 0.8 if the text goes in circles,
    /// 0 is off
    #[arg(hide = true, long, value_name = "X", default_value_t = Sampling::default().dry_multiplier)]
    dry_multiplier: f32,
    /// DRY: growth factor of the penalty per further repeated token
    #[arg(hide = true, long, value_name = "X", default_value_t = Sampling::default().dry_base)]
    dry_base: f32,
    /// DRY: shortest repeated run, in tokens, whose continuation is penalised; raise it to allow set
    /// phrases
    #[arg(hide = true, long, value_name = "N", default_value_t = Sampling::default().dry_allowed_length,
          value_parser = values::tokens(0))]
    dry_allowed_length: usize,
    /// Number of last tokens, prompt included, that both penalties look at; lower it for long texts, 0
    /// is all
    #[arg(hide = true, long, value_name = "N", default_value_t = Sampling::default().penalty_window,
          value_parser = values::tokens(0))]
    penalty_window: usize,
    /// Seed of the sampling; change it to get another text. It has no effect at temperature 0
    #[arg(long, value_name = "N", default_value_t = Sampling::default().seed)]
    seed: u64,
}

#[derive(Debug, clap::Args)]
struct ScoreArgs {
    /// File with the prompt, used unchanged; may be empty; `-` is stdin
    #[arg(long, value_name = "FILE")]
    prompt_file: PathBuf,
    /// File with the text to score, used unchanged
    #[arg(long, value_name = "FILE")]
    continuation_file: PathBuf,
}

#[derive(Debug, clap::Args)]
struct TokenizeArgs {
    /// Text to tokenize; control markers in it are ordinary text
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    text: String,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    match args.command {
        Command::Complete(args) => complete(args, context),
        Command::Score(args) => score(&args, context),
        Command::Tokenize(args) => tokenize(&args, context),
    }
}

fn complete(args: CompleteArgs, context: &Context) -> anyhow::Result<()> {
    let text = match (&args.prompt, &args.prompt_file) {
        (Some(text), _) => text.clone(),
        (None, Some(path)) => read_text(path)?,
        (None, None) => bail!("give --prompt or --prompt-file"),
    };
    let sampling = args.sampling.resolve();
    sampling.check()?;
    let prompt = match (args.chat, args.markup) {
        (true, _) => Prompt::Chat(conversation(args.system, text)),
        (false, true) => Prompt::Raw(text),
        (false, false) => Prompt::Text(text),
    };
    let constraint = constraint(args.json_schema.as_deref(), args.regex)?;
    let lm = CommandLm::of(context)?;
    lm.note_if_small(context);
    let lm = lm.model();
    let max_tokens = match args.max_tokens {
        Some(n) => n,
        None => room_left(lm, &prompt)?,
    };
    let stop = args.stop.iter().map(|stop| unescape(stop)).collect();
    let eos = if args.ignore_end { Eos::Ignore } else { Eos::Stop };
    let request = Request { sampling, stop, eos, constraint, ..Request::new(prompt, max_tokens) };
    if context.globals.json {
        let completion: Completion = block_on(context, lm.generate(request))??;
        return output::json(&completion);
    }
    let show = |piece: &str| output::text(piece);
    streamed(context, "reading the prompt", show, |on_text| {
        lm.generate(Request { on_text: Some(on_text), ..request })
    })??;
    output::line("")
}

/// The constraint of `--json-schema` or `--regex`, if given.
fn constraint(schema: Option<&Path>, regex: Option<String>) -> anyhow::Result<Option<Constraint>> {
    let Some(path) = schema else { return Ok(regex.map(Constraint::Regex)) };
    let schema = serde_json::from_str(&read_text(path)?)
        .with_context(|| format!("{} is not JSON", path.display()))?;
    Ok(Some(Constraint::JsonSchema(schema)))
}

fn conversation(system: Option<String>, text: String) -> Chat {
    let chat = Chat::default();
    let chat = match system {
        Some(system) => chat.with(Role::System, system),
        None => chat,
    };
    chat.with(Role::User, text)
}

/// Default of `--max-tokens`.
const USUAL_LENGTH: usize = 256;

fn room_left(lm: &dyn Model, prompt: &Prompt) -> anyhow::Result<usize> {
    // If the prompt alone fills the window, the request fails with an error that gives the sizes.
    let left = lm.context().saturating_sub(lm.count(prompt)?.max(1));
    Ok(left.clamp(1, USUAL_LENGTH))
}

fn score(args: &ScoreArgs, context: &Context) -> anyhow::Result<()> {
    let prompt = Prompt::Text(read_text(&args.prompt_file)?);
    let continuation = read_text(&args.continuation_file)?;
    let lm = CommandLm::of(context)?;
    let score: Score = block_on(context, lm.model().score_undivided(prompt, continuation.into()))??;
    if context.globals.json {
        return output::json(&score);
    }
    let (Some(bits), Some(perplexity)) = (score.bits_per_token(), score.perplexity()) else {
        bail!("{} is empty: there is nothing to score", args.continuation_file.display());
    };
    output::line(&format!(
        "{} tokens, {bits:.4} bits per token, perplexity {perplexity:.4}, log-probability {:.4}",
        score.tokens.len(),
        score.total()
    ))
}

fn tokenize(args: &TokenizeArgs, context: &Context) -> anyhow::Result<()> {
    let lm = context.lm()?;
    let tokens = lm.tokenize(&args.text)?;
    if context.globals.json {
        return output::json(&serde_json::json!({ "tokens": tokens }));
    }
    let ids: Vec<String> = tokens.iter().map(u32::to_string).collect();
    output::line(&ids.join(" "))
}

impl SamplingArgs {
    pub(crate) fn resolve(&self) -> Sampling {
        Sampling {
            temperature: self.temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repetition_penalty: self.repetition_penalty,
            dry_multiplier: self.dry_multiplier,
            dry_base: self.dry_base,
            dry_allowed_length: self.dry_allowed_length,
            penalty_window: self.penalty_window,
            seed: self.seed,
            ..Sampling::default()
        }
    }
}

fn read_text(path: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes).context("read stdin")?;
    } else {
        bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        anyhow::anyhow!("{}: not UTF-8 from byte {at} on", path.display())
    })
}

fn unescape(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\t", "\t")
}
