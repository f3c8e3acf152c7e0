//! `idiolect profile`.

use std::fmt::Write as _;

use idiolect::corpus::{Store, Target};
use idiolect::difference::{Difference, Profile, Tally};
use idiolect::methods::{self, Material, Options, Profiled};
use idiolect::task::{Cut, Task};
use serde::Serialize;

use super::context::Context;
use super::output;
use super::settings::{Settings, Sight, at_least_one, note_cuts};
use super::wait::wait;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Show what sets a user apart: the differences by dimension, and their profile\n\n\
        Past reviews of items that enough others reviewed as well are compared with those of \
        representatives; the language model tells the differences and sums them up (DPL). With \
        --item the reviews most relevant to that item are taken, as for `write --method dpl`; \
        without it the user's newest. What is told is stored, and told again only when something \
        that made it changes.",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// The user
    user: String,
    /// Make the profile that is used to write about this item
    #[arg(long, value_name = "ITEM")]
    item: Option<String>,
    /// Title that the text about --item has; helps to find what is relevant
    #[arg(long, value_name = "TEXT", requires = "item")]
    title: Option<String>,
    /// Seed of everything; the same as --profile-seed
    #[arg(long, value_name = "N", conflicts_with = "profile_seed")]
    seed: Option<u64>,
    /// Most tokens of each answer; the same as --profile-max-tokens
    #[arg(
        long,
        value_name = "N",
        value_parser = at_least_one(),
        conflicts_with = "profile_max_tokens"
    )]
    max_tokens: Option<usize>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    sight: Sight,
}

const EXAMPLES: &str = "\
Examples:
  idiolect profile marta
  idiolect profile marta --item kettle-02 --json
  idiolect --lm qwen2.5-1.5b-instruct profile marta --n 4";

/// The JSON object of the command.
#[derive(Serialize)]
struct Shown<'a> {
    user: &'a str,
    item: Option<&'a str>,
    differences: &'a [Difference],
    summary: &'a str,
    reviews: &'a [idiolect::corpus::ReviewId],
    cut: Vec<&'a Cut>,
    #[serde(flatten)]
    tally: Tally,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let task = args.settings.task()?;
    let store = Store::open_existing(&context.globals.store)?;
    let item = args.item.as_deref().map(|id| store.item(id)).transpose()?;
    let view = args.sight.view(&store, &args.user, item.as_ref())?;
    let target = item.map(|item| Target {
        user: args.user.clone(),
        item,
        rating: None,
        title: args.title.clone(),
    });
    let options = options(&args, &task);
    let (lm, encoder) = (context.lm()?, context.encoder()?);
    let (model, peers) = (&lm, Some(&encoder as _));
    let material = Material { view, model, peers, task: &task, progress: context };
    let made = wait(context, methods::profile(&material, &args.user, target.as_ref(), &options))??;
    let Profiled { profile, tally } = made;
    let cut = profile.differences.iter().flat_map(|d| &d.cut).chain(&profile.cut);
    if context.globals.json {
        return output::json(&Shown {
            user: &profile.user,
            item: args.item.as_deref(),
            differences: &profile.differences,
            summary: &profile.summary,
            reviews: &profile.reviews,
            cut: cut.collect(),
            tally,
        });
    }
    note_cuts(&cut.cloned().collect::<Vec<_>>());
    if profile.differences.is_empty() && options.differences {
        output::note(&format!(
            "no item of `{}` has {} other reviewers, so nothing could be compared; the profile is \
             made of past texts alone",
            profile.user, options.choice.k
        ));
    }
    output::raw(in_words(&profile, &task).as_bytes())
}

fn options(args: &Args, task: &Task) -> Options {
    let options = args.settings.options(task);
    let seed = args.seed.unwrap_or(options.profile_seed);
    Options {
        profile_seed: seed,
        choice: idiolect::peers::ChoiceOptions { seed, ..options.choice },
        profile_max_tokens: args.max_tokens.or(options.profile_max_tokens),
        ..options
    }
}

/// The differences by dimension where they keep to them, then those that do not, then the summary.
pub(crate) fn in_words(profile: &Profile, task: &Task) -> String {
    let mut out = String::new();
    for dimension in &task.standard {
        let told: Vec<_> = profile
            .differences
            .iter()
            .filter_map(|d| {
                let told = d.dimensions.iter().flatten().find(|t| t.dimension == dimension.key)?;
                Some((d, told.text.as_str()))
            })
            .collect();
        section(&mut out, &dimension.name, &told);
    }
    let whole: Vec<_> = profile
        .differences
        .iter()
        .filter(|d| d.dimensions.is_none() && !d.text.is_empty())
        .map(|d| (d, d.text.as_str()))
        .collect();
    section(&mut out, "Differences told as a whole", &whole);
    let _ = write!(out, "Profile\n{}\n\n", indented(&profile.summary));
    let ids: Vec<String> = profile.reviews.iter().map(|id| id.0.to_string()).collect();
    let _ = writeln!(out, "Made from reviews {} of {}", ids.join(", "), profile.user);
    out
}

fn section(out: &mut String, heading: &str, told: &[(&Difference, &str)]) {
    if told.is_empty() {
        return;
    }
    let _ = writeln!(out, "{heading}");
    for (difference, text) in told {
        let peers: Vec<_> = difference.representatives.iter().map(|r| r.user.as_str()).collect();
        let title = Some(difference.item_title.as_str()).filter(|title| !title.is_empty());
        let title = title.unwrap_or(&difference.item);
        let _ = writeln!(out, "  {title} (against {})\n{}", peers.join(", "), indented(text));
    }
    out.push('\n');
}

fn indented(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
