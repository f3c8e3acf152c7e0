//! `idiolect demo`: the whole flow on the sample corpus.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use idiolect::corpus::{Counts, Item, Store, StoredReview, Target, View};
use idiolect::encoder::Encoder;
use idiolect::lm::Lm;
use idiolect::methods::{Material, Method, Options, Written};
use idiolect::peers::{self, Choice};
use idiolect::task::Task;
use serde::Serialize;

use super::context::{Context, DEFAULT_STORE};
use super::wait::wait;
use super::{output, profile, prose, sample};

/// The demo's own store, so that trying the program leaves the user's untouched.
const DEMO_STORE: &str = "idiolect-demo.sqlite";
/// Written in this order, shown beside the real text.
const METHODS: [Method; 3] = [Method::NonPerso, Method::Idiolect, Method::Dpl];

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Show the whole flow on the sample corpus\n\n\
        Imports the sample, whose texts were written for this project, into idiolect-demo.sqlite \
        (or --store), takes one user, sets their newest review aside, and shows who they are, the \
        representatives they are compared with, the differences, the profile, and the text that \
        was set aside beside what three methods write in its place. Answers are kept short so that \
        it ends soon. A second run finds everything in the store.",
    after_help = "Examples:\n  idiolect demo\n  idiolect demo --user harold --seed 7"
)]
pub(crate) struct Args {
    /// A user of the sample; data/sample/README.md says who they are
    #[arg(long, value_name = "USER", default_value = sample::USER)]
    user: String,
    /// Seed of the texts
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
}

/// The JSON object of the command.
#[derive(Serialize)]
struct Shown<'a> {
    user: &'a str,
    item: &'a str,
    held_out: &'a StoredReview,
    representatives: &'a Choice,
    written: &'a [Written],
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let (lm, encoder) = (context.lm()?, context.encoder()?);
    let path = store_path(context);
    let store = Store::open(&path)?;
    let counts = sample::import(&store, context)?;
    let task = Task::load(Task::DEFAULT)?;
    peers::ensure_vectors(&View::all(&store), &encoder, &store.review_ids()?, context)?;

    let mut history = store.history(&args.user)?;
    let held_out = history.pop().context("the user has no reviews")?;
    let Some(newest) = history.last() else { bail!("`{}` has a single review", args.user) };
    let view = View::all(&store).without(held_out.id);
    let options = Options {
        seed: args.seed,
        max_tokens: Some(sample::TEXT_TOKENS),
        profile_max_tokens: Some(sample::PROFILE_TOKENS),
        ..Options::of(&task)
    };
    let target = sample::target(&store, &held_out)?;
    let choice = peers::choose(&view, &encoder, &args.user, &newest.review.item, &options.choice)?;

    let show = Show { context, path: &path, counts, lm: &lm, encoder: &encoder };
    show.person(&args.user, &history)?;
    show.representatives(&store.item(&newest.review.item)?, &choice)?;
    let material =
        Material { view, model: &lm, peers: Some(&encoder as _), task: &task, progress: context };
    let mut written = Vec::new();
    // DPL first: its differences and its profile are shown before any text.
    for method in METHODS.into_iter().rev() {
        let made = wait(context, method.write(&material, &target, &options, None))??;
        if let Some(profile) = &made.profile {
            show.text(&profile::in_words(profile, &task))?;
        }
        written.insert(0, made);
    }
    if context.globals.json {
        return output::json(&Shown {
            user: &args.user,
            item: &target.item.id,
            held_out: &held_out,
            representatives: &choice,
            written: &written,
        });
    }
    show.texts(&target, &held_out, &written)?;
    show.next_steps(&args.user, &target.item.id)
}

fn store_path(context: &Context) -> PathBuf {
    let chosen = &context.globals.store;
    if chosen == Path::new(DEFAULT_STORE) { PathBuf::from(DEMO_STORE) } else { chosen.clone() }
}

/// Prints the parts of the demo as they come; prints nothing with `--json`.
struct Show<'a> {
    context: &'a Context,
    path: &'a Path,
    counts: Counts,
    lm: &'a Lm,
    encoder: &'a Encoder,
}

impl Show<'_> {
    fn text(&self, text: &str) -> anyhow::Result<()> {
        if self.context.globals.json { Ok(()) } else { output::line(text) }
    }

    fn person(&self, user: &str, history: &[StoredReview]) -> anyhow::Result<()> {
        let Counts { reviews, users, items } = self.counts;
        self.text(&format!(
            "{reviews} reviews by {users} users of {items} items in {}; {} writes, {} compares\n\n\
             The user\n  {user}: {} reviews to learn from, the newest set aside. Two of them:",
            self.path.display(),
            self.lm.name(),
            self.encoder.name(),
            history.len(),
        ))?;
        for stored in history.iter().rev().take(2) {
            self.text(&prose::quoted(&stored.review, prose::Length::Start))?;
        }
        Ok(())
    }

    fn representatives(&self, item: &Item, choice: &Choice) -> anyhow::Result<()> {
        self.text(&format!(
            "Representatives\n  Of {} others who reviewed {}, these stand for the rest ({} write \
             most like the user and were dropped):",
            choice.n_candidates, item.title, choice.n_dropped
        ))?;
        for chosen in &choice.representatives {
            let cluster = match chosen.cluster_size {
                0 | 1 => "stands alone".to_owned(),
                n => format!("nearest the centre of a cluster of {n}"),
            };
            self.text(&format!(
                "  {} ({cluster}; cosine to the user's text {:.2})\n{}",
                chosen.review.review.user,
                chosen.similarity,
                prose::indented(&prose::start(&chosen.review.review.text), 4)
            ))?;
        }
        self.text("")
    }

    fn texts(
        &self,
        target: &Target,
        held_out: &StoredReview,
        written: &[Written],
    ) -> anyhow::Result<()> {
        self.text(&format!(
            "What the user wrote about {}, which no prompt has seen but for rating and title\n{}",
            target.item.title,
            prose::quoted(&held_out.review, prose::Length::Whole)
        ))?;
        for made in written {
            let from = if made.computed == 0 {
                "from the store".to_owned()
            } else {
                format!(
                    "{} prompt tokens, {} written, {} answers from the store",
                    made.prompt_tokens, made.completion_tokens, made.reused
                )
            };
            let text = prose::indented(&made.text, 4);
            self.text(&format!("What {} writes ({from})\n{text}\n", made.method.name()))?;
        }
        Ok(())
    }

    fn next_steps(&self, user: &str, item: &str) -> anyhow::Result<()> {
        let store = self.path.display();
        self.text(&format!(
            "Go on\n  idiolect --store {store} users\n  idiolect --store {store} write --user {user} \
             --item {item} --title '...' --seed 7\n  idiolect --store {store} profile {user}"
        ))
    }
}
