//! Settings that `profile` and `write` share.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use idiolect::corpus::{Item, Store, View};
use idiolect::difference::Reuse;
use idiolect::methods::Options;
use idiolect::peers::{ChoiceOptions, Selector};
use idiolect::task::{Cut, Order, Task, Telling};

use super::steering::SteeringArgs;
use super::{output, values};

/// How the user is compared with others, and what may be seen.
#[derive(Debug, clap::Args)]
pub(crate) struct Settings {
    /// Most past texts in a prompt, and most items compared [default: the task's; 8 for reviews]
    #[arg(long, value_name = "N", value_parser = values::count())]
    n: Option<usize>,
    /// Representatives of an item, and other reviewers it needs to be compared [default: the task's;
    /// 4 for reviews]
    #[arg(long, value_name = "K", value_parser = values::count())]
    k: Option<usize>,
    /// How representatives are chosen: one of each cluster but the user's own (kmeans, as in DPL; or
    /// a random-member of each), at random, the farthest from the user's text, or the reviews of the
    /// user's neighbours by user embedding
    #[arg(
        long,
        value_name = "NAME",
        default_value = "kmeans",
        value_parser = selector_parser()
    )]
    selector: Selector,
    /// Seed of the choice of representatives, of the differences and of the profile
    #[arg(long, value_name = "N", default_value_t = 42)]
    profile_seed: u64,
    /// Most tokens of each difference and of the profile [default: the task's]
    #[arg(long, value_name = "N", value_parser = values::tokens(1))]
    profile_max_tokens: Option<usize>,
    /// What is written: a built-in task (review, headline) or the path of a task file
    #[arg(long, env = "IDIOLECT_TASK", value_name = "NAME|PATH", default_value = Task::DEFAULT)]
    task: String,
    /// Put the peers' texts before the user's where they are compared, so that all users of an item
    /// share the start of the prompt; DPL puts the user's first
    #[arg(long)]
    peers_first: bool,
    /// How differences are told: free (as the model likes, as in DPL) or constrained (a JSON object
    /// with one short statement for each dimension, which the model is held to)
    #[arg(
        long,
        value_name = "FORM",
        default_value = "free",
        value_parser = PossibleValuesParser::new(["free", "constrained"]).map(telling)
    )]
    differences: Telling,
    /// Compare nothing: the profile is made of past texts alone
    #[arg(long, conflicts_with_all = ["differences", "peers_first", "without_dimension"])]
    no_differences: bool,
    /// Leave a dimension out of those along which differences are told, by its key in the task
    /// (for reviews: writing, emotional, semantic); can be given several times
    #[arg(long, value_name = "KEY")]
    without_dimension: Vec<String>,
    /// Compute everything anew, even what the store has
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    steering: SteeringArgs,
}

const SELECTORS: [(&str, Selector); 5] = [
    ("kmeans", Selector::Kmeans),
    ("random", Selector::Random),
    ("farthest", Selector::Farthest),
    ("random-member", Selector::RandomMember),
    ("neighbours", Selector::Neighbours),
];

/// Parses the name of a selector.
pub(crate) fn selector_parser() -> impl TypedValueParser<Value = Selector> {
    PossibleValuesParser::new(SELECTORS.map(|(name, _)| name)).map(selector)
}

fn selector(name: String) -> Selector {
    SELECTORS.iter().find(|(n, _)| *n == name).map_or(Selector::Kmeans, |(_, selector)| *selector)
}

fn telling(form: String) -> Telling {
    if form == "constrained" { Telling::Constrained } else { Telling::Free }
}

impl Settings {
    pub(crate) fn task(&self) -> anyhow::Result<Task> {
        let task = Task::load(&self.task)?;
        if !self.without_dimension.is_empty() {
            // A wrong key is told before anything is loaded.
            task.without_dimensions(&self.without_dimension)?;
        }
        Ok(task)
    }

    /// The task as it was asked for.
    pub(crate) fn task_name(&self) -> &str {
        &self.task
    }

    pub(crate) fn options(&self, task: &Task) -> Options {
        let published = Options::of(task);
        Options {
            n: self.n.unwrap_or(published.n),
            choice: ChoiceOptions {
                k: self.k.unwrap_or(published.choice.k),
                selector: self.selector,
                seed: self.profile_seed,
            },
            telling: self.differences,
            differences: !self.no_differences,
            without_dimensions: self.without_dimension.clone(),
            order: if self.peers_first { Order::PeersFirst } else { Order::UserFirst },
            idiolect: self.steering.options(),
            profile_seed: self.profile_seed,
            profile_max_tokens: self.profile_max_tokens,
            reuse: if self.fresh { Reuse::Nothing } else { Reuse::Stored },
            ..published
        }
    }
}

/// What may be seen.
#[derive(Debug, clap::Args)]
pub(crate) struct Sight {
    /// See only what was written before TIME, in seconds since 1970; without this, peers' texts may
    /// be younger than the one that is written, as in DPL
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    before: Option<i64>,
}

impl Sight {
    /// What may be seen while something is written about `item`: not what the user wrote about it.
    pub(crate) fn view<'a>(
        &self,
        store: &'a Store,
        user: &str,
        item: Option<&Item>,
    ) -> anyhow::Result<View<'a>> {
        let view = match self.before {
            Some(time) => View::all(store).before(time),
            None => View::all(store),
        };
        // Looked up without an item as well: a user who does not exist is an error here and now.
        let own = store.history(user)?;
        let held_out = own.iter().find(|r| item.is_some_and(|item| r.review.item == item.id));
        Ok(match held_out {
            Some(own) => view.without(own.id),
            None => view,
        })
    }
}

/// Tells what prompts left out.
pub(crate) fn note_cuts(cuts: &[Cut]) {
    for Cut { stage, field, of, kept_tokens, of_tokens } in cuts {
        let item = of.item.as_deref().map(|item| format!(" on {item}")).unwrap_or_default();
        let user = of.user.as_deref().map(|user| format!(" of {user}")).unwrap_or_default();
        output::note(&format!(
            "cut in {stage}: {field}{user}{item}, {kept_tokens} of {of_tokens} tokens kept"
        ));
    }
}
