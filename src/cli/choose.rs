//! `idiolect choose`.

use std::io::BufRead as _;

use anyhow::{Context as _, bail};
use idiolect::corpus::{Store, Target};
use idiolect::methods::{Method, MethodInputs, MethodOptions, TextReward as _};
use idiolect::train::np::{DraftChoice, NpHead, draft_choices, put_draft_choice};
use serde::Serialize;

use super::block_on::block_on;
use super::context::Context;
use super::settings::{MethodArgs, VisibilityArgs};
use super::{output, values};

#[derive(Debug, clap::Args)]
#[command(long_about = "Choose the better of two drafts; the choice is remembered\n\n\
    Two texts are written as the user, and the one that you pick is stored with the other. The reward \
    head `np` (`idiolect train np`) knows the user by such choices beside their texts: the next ranking \
    (`write --best-of 8 --by np`) uses them at once. A choice is deleted with the texts that the drafts \
    were made from.", after_help = EXAMPLES)]
pub(crate) struct Args {
    /// User to write as
    #[arg(long, value_name = "USER", allow_hyphen_values = true)]
    user: String,
    /// Item to write about, of the store
    #[arg(long, value_name = "ITEM", allow_hyphen_values = true)]
    item: String,
    #[arg(
        long,
        help = values::method_help(),
        value_name = "METHOD",
        default_value = "idiolect",
        hide_possible_values = true,
        value_parser = values::method()
    )]
    method: Method,
    /// Rating that the texts give the item
    #[arg(long, value_name = "R", allow_negative_numbers = true)]
    rating: Option<f32>,
    /// Title of the texts
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    title: Option<String>,
    /// Maximum number of tokens of each text [default: the task's]
    #[arg(long, value_name = "N", value_parser = values::tokens(1))]
    max_tokens: Option<usize>,
    /// Pick draft 1 or 2 without being asked; the drafts are those that the command shows without it
    #[arg(long, value_name = "1|2", value_parser = clap::value_parser!(u8).range(1..=2))]
    pick: Option<u8>,
    #[command(flatten)]
    settings: MethodArgs<true>,
    #[command(flatten)]
    visibility: VisibilityArgs,
}

const EXAMPLES: &str = "\
Example:
  idiolect choose --user marta --item kettle-02";

/// JSON object that the command prints.
#[derive(Serialize)]
struct ChooseJson<'a> {
    user: &'a str,
    item: &'a str,
    chosen: &'a str,
    rejected: &'a str,
    /// Choices of the user in the store.
    choices: usize,
    /// Rewards of the chosen and the rejected draft before the choice; none without a head.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<[f32; 2]>,
    /// The same after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<[f32; 2]>,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let task = args.settings.task()?;
    let mut options = args.settings.options(&task)?;
    options.max_tokens = args.max_tokens.or(options.max_tokens);
    args.settings.check_peer_text(&[args.method], &options)?;
    let store = context.store()?;
    store.require_writable()?;
    let item = store.item(&args.item)?;
    let view = args.visibility.view(&store, &args.user, Some(&item))?;
    let earlier = draft_choices(&view, &args.user)?;
    // Other drafts than those of earlier choices, which may be of the same item.
    options.seed = options.seed.wrapping_add(2 * earlier.len() as u64);
    options.idiolect.best_of = 1;
    let lm = context.lm()?;
    context.note_small_model(&lm);
    let encoder = args.method.needs_peers(&options).then(|| context.encoder()).transpose()?;
    let (rating, title) = (args.rating, args.title.clone());
    let target = Target { user: args.user.clone(), item, rating, title, context: None };
    let inputs = MethodInputs {
        view: view.clone(),
        model: &lm,
        peers: encoder.as_ref().map(|encoder| encoder as _),
        reward: None,
        task: &task,
        progress: context,
        held_out: &[],
    };
    let prepared = block_on(context, args.method.prepare(&inputs, &target, &options))??;
    let mut drafts = Vec::new();
    for draw in 0..2 {
        let options = MethodOptions { seed: options.seed.wrapping_add(draw), ..options.clone() };
        let written = block_on(context, prepared.clone().write(&inputs, &options, None))??;
        drafts.push(written.text);
    }
    let picked = match args.pick {
        Some(pick) => usize::from(pick) - 1,
        None => ask(&drafts)?,
    };
    let rejected = drafts.remove(1 - picked);
    let chosen = drafts.remove(0);
    if chosen == rejected {
        bail!("both drafts are the same text, so there is nothing to choose; raise --temperature");
    }
    let rewards = |head: &NpHead| -> anyhow::Result<[f32; 2]> {
        let both = head.rewards(&view, &args.user, &[&chosen, &rejected]);
        let both = both.map_err(|error| anyhow::anyhow!("rank the drafts: {error}"))?;
        Ok([both[0], both[1]])
    };
    let head = NpHead::newest(&store, &[])?;
    let before = head.as_ref().map(&rewards).transpose()?;
    let choice = DraftChoice {
        user: args.user.clone(),
        item: target.item.id.clone(),
        chosen: chosen.clone(),
        rejected: rejected.clone(),
        sources: prepared.sources.clone(),
        time: DraftChoice::now(),
    };
    put_draft_choice(&store, &choice)?;
    let after = head.as_ref().map(&rewards).transpose()?;
    let choices = n_choices(&store, &args.user)?;
    if context.globals.json {
        let (user, item) = (args.user.as_str(), target.item.id.as_str());
        let (chosen, rejected) = (chosen.as_str(), rejected.as_str());
        return output::json(&ChooseJson { user, item, chosen, rejected, choices, before, after });
    }
    output::note(&format!("stored; {choices} choices for `{}`", args.user));
    match before.zip(after) {
        Some((before, after)) => output::note(&format!(
            "the head puts the chosen draft {:+.2} above the other; before the choice {:+.2}",
            after[0] - after[1],
            before[0] - before[1]
        )),
        None => output::note("train a reward head to use choices: `idiolect train np`"),
    }
    Ok(())
}

fn n_choices(store: &Store, user: &str) -> anyhow::Result<usize> {
    Ok(draft_choices(&idiolect::corpus::View::all(store), user)?.len())
}

/// Shows the drafts and reads the number of the better one.
fn ask(drafts: &[String]) -> anyhow::Result<usize> {
    for (number, draft) in drafts.iter().enumerate() {
        output::line(&format!("--- {}\n{draft}\n", number + 1))?;
    }
    for line in std::io::stdin().lock().lines() {
        match line.context("read the choice from standard input")?.trim() {
            "1" => return Ok(0),
            "2" => return Ok(1),
            _ => output::note("type 1 or 2"),
        }
    }
    bail!("no choice was made; type 1 or 2, or give --pick")
}
