//! `idiolect demo`: the whole flow on the sample corpus.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use idiolect::corpus::{Store, StoredReview, Target, View};
use idiolect::difference::{MeasuredDifferences, Statement};
use idiolect::encoder::Encoder;
use idiolect::lm::{Finish, Lm};
use idiolect::methods::{Generated, Method, MethodInputs, MethodOptions, measured_differences};
use idiolect::peers::{self, Choice};
use idiolect::task::Task;
use serde::Serialize;

use super::block_on::block_on;
use super::context::{Context, DEFAULT_STORE};
use super::stream::streamed;
use super::wrap::{self, Wrapped};
use super::{measured, output, profile, sample, values};

/// Store of the demo, so that trying the program does not touch the store of the user.
const DEMO_STORE: &str = "idiolect-demo.sqlite";
/// Default of `--user`: a person whose habits are easy to see. Nothing else was chosen or tuned for
/// this person.
const USER: &str = "angus";
/// Maximum number of tokens per text, about the length of the longest sample text.
const TEXT_TOKENS: usize = 240;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Show the whole flow on a sample corpus\n\n\
        The sample's people and texts were invented for this project. The demo imports them into \
        idiolect-demo.sqlite (or --store), hides the newest review of one person, and shows what \
        sets the person apart, whom they are compared with, the hidden review, and what the \
        language model writes in its place. Results are stored, so a second run ends at once.\n\n\
        The default person was chosen because their habits are easy to see.",
    after_help = "Examples:\n  idiolect demo\n  idiolect demo --user harold --seed 7\n  \
        idiolect demo --method dpl"
)]
pub(crate) struct Args {
    /// Person of the sample to show, e.g. angus, harold or mina; `idiolect --store
    /// idiolect-demo.sqlite users` lists all
    #[arg(long, value_name = "USER", default_value = USER, allow_hyphen_values = true)]
    user: String,
    /// Further methods that write the text, separated by commas. `dpl` shows the differences that
    /// the language model extracts, and takes minutes
    #[arg(
        long,
        value_name = "METHODS",
        value_delimiter = ',',
        hide_possible_values = true,
        value_parser = values::method()
    )]
    method: Vec<Method>,
    /// Seed of the texts; change it to get other texts
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
}

/// The JSON object of the command.
#[derive(Serialize)]
struct DemoJson<'a> {
    user: &'a str,
    item: &'a str,
    held_out: &'a StoredReview,
    measured: &'a [Statement],
    representatives: &'a Choice,
    written: &'a [Generated],
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let started = Instant::now();
    let (lm, encoder) = (context.lm()?, context.encoder()?);
    context.note_small_model(&lm);
    let path = store_path(context);
    let store = Store::open(&path)?;
    let show = DemoPrinter { store: &store, path: &path, context };
    show.corpus(&lm, &encoder)?;
    let task = Task::load(Task::DEFAULT)?;
    peers::ensure_vectors(&View::all(&store), &encoder, &store.review_ids()?, context)?;

    let mut history = store.history(&args.user)?;
    let held_out = history.pop().with_context(|| format!("`{}` has no texts", args.user))?;
    let newest = history.last().with_context(|| format!("`{}` has a single text", args.user))?;
    let material = MethodInputs {
        view: View::all(&store).without(held_out.id),
        model: &lm,
        peers: Some(&encoder as _),
        task: &task,
        progress: context,
        reward: None,
        held_out: &[],
    };
    let options = MethodOptions {
        seed: args.seed,
        max_tokens: Some(TEXT_TOKENS),
        profile_max_tokens: Some(sample::PROFILE_TOKENS),
        ..MethodOptions::of(&task)
    };
    let target = sample::target(&store, &held_out)?;

    show.person(&args.user, &history)?;
    let measured = measured_differences(&material, &args.user, &options)?;
    show.measured(&args.user, &measured)?;
    let choice = peers::choose(
        &material.view,
        &encoder,
        &args.user,
        &newest.review.item,
        &options.choice(),
    )?;
    show.representatives(&args.user, newest, &choice)?;
    show.held_out(&args.user, &target, &held_out)?;
    let mut written = Vec::new();
    for method in [Method::NON_PERSO, Method::IDIOLECT].into_iter().chain(args.method) {
        if !written.iter().any(|made: &Generated| made.method == method) {
            written.push(show.written(method, &material, &target, &options)?);
        }
    }
    if context.globals.json {
        return output::json(&DemoJson {
            user: &args.user,
            item: &target.item.id,
            held_out: &held_out,
            measured: &measured.statements,
            representatives: &choice,
            written: &written,
        });
    }
    show.next_steps(&args.user, &target.item.id, started)
}

fn store_path(context: &Context) -> PathBuf {
    let chosen = &context.globals.store;
    if chosen == Path::new(DEFAULT_STORE) { PathBuf::from(DEMO_STORE) } else { chosen.clone() }
}

/// Prints each block of the demo as it is ready; prints nothing with `--json`.
struct DemoPrinter<'a> {
    store: &'a Store,
    path: &'a Path,
    context: &'a Context,
}

impl DemoPrinter<'_> {
    fn text(&self, text: &str) -> anyhow::Result<()> {
        if self.context.globals.json { Ok(()) } else { output::line(text) }
    }

    /// Prints a heading and a wrapped explanation.
    fn heading(&self, heading: &str, explanation: &str) -> anyhow::Result<()> {
        self.text(&format!("{heading}\n{}\n", wrap::indented(explanation, 0)))
    }

    fn corpus(&self, lm: &Lm, encoder: &Encoder) -> anyhow::Result<()> {
        let counts = sample::import(self.store, self.context)?;
        self.text(&wrap::indented(
            &format!(
                "A sample of {} reviews by {} invented people of {} things and walks, in {}. {} \
                 writes the texts, {} compares them; both run in this process, and nothing leaves this \
             machine.",
                counts.reviews,
                counts.users,
                counts.items,
                self.path.display(),
                lm.name(),
                encoder.name(),
            ),
            0,
        ))?;
        self.text("")
    }

    fn person(&self, user: &str, history: &[StoredReview]) -> anyhow::Result<()> {
        self.heading(
            "WHO WRITES",
            &format!(
                "{user} wrote {} reviews. The newest is hidden: at the end the language model writes \
                 it in {user}'s place. Two of the others:",
                history.len() + 1
            ),
        )?;
        for stored in history.iter().rev().take(2) {
            self.text(&wrap::quoted(&stored.review, wrap::Length::Start))?;
        }
        Ok(())
    }

    fn measured(&self, user: &str, measured: &MeasuredDifferences) -> anyhow::Result<()> {
        self.text("WHAT SETS THEM APART, counted without the language model")?;
        self.text(measured::in_words(self.store, user, "reviews", measured)?.trim_end())?;
        self.text("")
    }

    fn representatives(
        &self,
        user: &str,
        newest: &StoredReview,
        choice: &Choice,
    ) -> anyhow::Result<()> {
        let item = self.store.item(&newest.review.item)?;
        let dropped = match choice.n_dropped {
            0 => String::new(),
            1 => format!(" without the one most similar to {user}"),
            n => format!(" without the {n} most similar to {user}"),
        };
        let explanation = format!(
            "{user} is compared with people who reviewed the same item. The {} others who reviewed \
             {},{dropped} form groups by what they wrote; the most typical member represents each \
             group:",
            choice.n_candidates, item.title
        );
        self.heading("WHOM THEY ARE COMPARED WITH", &explanation)?;
        for chosen in &choice.representatives {
            let group = match chosen.cluster_size {
                0 | 1 => "a group of one".to_owned(),
                n => format!("a group of {n}"),
            };
            let start = wrap::start(&chosen.review.review.text);
            let name = format!("  {} ({group}): ", chosen.review.review.user);
            self.text(&wrap::indented_behind(&start, &name, 4))?;
        }
        self.text("")
    }

    fn held_out(&self, user: &str, target: &Target, held_out: &StoredReview) -> anyhow::Result<()> {
        let given = match held_out.review.title.is_empty() {
            true => "its rating",
            false => "its rating and title",
        };
        let about = format!(
            "{user}'s review of {}. The language model sees only {given} and the description of the \
             item:",
            target.item.title
        );
        self.heading("THE HIDDEN REVIEW", &about)?;
        self.text(&wrap::quoted(&held_out.review, wrap::Length::Whole))
    }

    /// Writes the text with `method`. Prints the profile of the method, if it has one, then the
    /// text while it is written.
    fn written(
        &self,
        method: Method,
        material: &MethodInputs<'_>,
        target: &Target,
        options: &MethodOptions,
    ) -> anyhow::Result<Generated> {
        let context = self.context;
        let prepared = block_on(context, method.prepare(material, target, options))??;
        if let Some(profile) = &prepared.profile {
            self.heading(
                "HOW THE LANGUAGE MODEL DESCRIBES THEM (dpl)",
                "The model compares reviews of the same item and summarizes the differences:",
            )?;
            self.text(&profile::in_words(profile, material.task))?;
        }
        let user = &target.user;
        self.text(&match method.needs_history() {
            false => {
                format!("WRITTEN WITHOUT {user}'S TEXTS (non-perso: item, rating and title only)\n")
            }
            true => format!("WRITTEN AS {user} ({})\n", method.name()),
        })?;
        let mut wrapped = Wrapped::new(4);
        let show = |piece: &str| match context.globals.json {
            true => Ok(()),
            false => output::text(&wrapped.push(piece)),
        };
        let written = streamed(context, "reading the prompt", show, |on_text| {
            prepared.write(material, options, Some(on_text))
        })??;
        if !context.globals.json {
            output::line(&wrapped.finish())?;
        }
        let from = match written.computed {
            0 => "from the store".to_owned(),
            _ => format!(
                "{} tokens read, {} written",
                written.prompt_tokens, written.completion_tokens
            ),
        };
        let end = match written.finish {
            Finish::Length => format!("; cut at {TEXT_TOKENS} tokens"),
            _ => String::new(),
        };
        self.text(&format!("    [{from}{end}]\n"))?;
        Ok(written)
    }

    fn next_steps(&self, user: &str, item: &str, started: Instant) -> anyhow::Result<()> {
        let store = self.path.display();
        self.text(&format!(
            "{:.0} s. Next steps:\n  idiolect demo --user harold\n  idiolect demo --method dpl\n  \
             idiolect --store {store} profile {user}\n  idiolect --store {store} write --user {user} \
             --item {item} --rating 1\n  idiolect import --help      to read your own texts",
            started.elapsed().as_secs_f64()
        ))
    }
}
