//! Options that `profile`, `write` and `evaluate` share.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use idiolect::client::CachePolicy;
use idiolect::corpus::{Item, Store, View};
use idiolect::evaluate;
use idiolect::methods::Options;
use idiolect::peers::{ChoiceOptions, Selector};
use idiolect::task::{Cut, Order, Task, Telling};

use super::steering::SteeringArgs;
use super::{output, values};

/// Options for comparing the user with others and for the task.
#[derive(Debug, clap::Args)]
pub(crate) struct MethodArgs {
    /// Maximum number of past texts in a prompt and of items compared; more take more time and more
    /// of the window [default: the task's; 8 for reviews]
    #[arg(long, value_name = "N", value_parser = values::count())]
    n: Option<usize>,
    /// Number of representatives per item, and of other reviewers that an item needs to be
    /// compared; lower it for sparse data [default: the task's; 4 for reviews]
    #[arg(long, value_name = "K", value_parser = values::count())]
    k: Option<usize>,
    /// Method of choosing representatives: of each cluster but the user's own, the most typical
    /// member (kmeans, as in DPL) or a random one (random-member); at random (random); the least
    /// similar to the user's text (farthest); or those of the nearest users by user embedding
    /// (neighbours)
    #[arg(
        long,
        value_name = "NAME",
        default_value = "kmeans",
        value_parser = selector_parser()
    )]
    selector: Selector,
    /// Seed of the representatives, of the differences and of the profile
    #[arg(long, value_name = "N", default_value_t = 42)]
    profile_seed: u64,
    /// Maximum number of tokens of each difference and of the profile [default: the task's]
    #[arg(long, value_name = "N", value_parser = values::tokens(1))]
    profile_max_tokens: Option<usize>,
    /// Kind of text to write: a built-in task (review, headline) or the path of a task's folder or
    /// file
    #[arg(long, env = "IDIOLECT_TASK", value_name = "NAME|PATH", default_value = Task::DEFAULT)]
    task: String,
    /// In comparisons, put the peers' texts before the user's, so that all users of an item share a
    /// prompt prefix (faster for many users); DPL puts the user's first
    #[arg(long)]
    peers_first: bool,
    /// Form of the differences: free (free text, as in DPL) or constrained (a JSON object with one
    /// short statement per dimension, enforced while sampling; use it if a small model does not
    /// keep to the form)
    #[arg(
        long,
        value_name = "FORM",
        default_value = "free",
        value_parser = PossibleValuesParser::new(["free", "constrained"]).map(telling)
    )]
    differences: Telling,
    /// Extract no differences: the profile is made of past texts alone
    #[arg(long, conflicts_with_all = ["differences", "peers_first", "without_dimension"])]
    no_differences: bool,
    /// Leave out a dimension of the differences, by its key in the task (for reviews: writing,
    /// emotional, semantic); can be repeated
    #[arg(long, value_name = "KEY")]
    without_dimension: Vec<String>,
    /// Compute everything again, even if the store has the result
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

impl MethodArgs {
    pub(crate) fn task(&self) -> anyhow::Result<Task> {
        let task = Task::load(&self.task)?;
        task.check(&evaluate::stages())?;
        if !self.without_dimension.is_empty() {
            // Report a wrong key before anything is loaded.
            task.without_dimensions(&self.without_dimension)?;
        }
        Ok(task)
    }

    /// Returns the value of `--task`.
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
            reuse: if self.fresh { CachePolicy::Nothing } else { CachePolicy::Stored },
            ..published
        }
    }
}

/// Option that restricts which reviews are visible.
#[derive(Debug, clap::Args)]
pub(crate) struct Sight {
    /// Use only texts written before TIME, in seconds since 1970; without this, peers' texts may be
    /// newer than the target, as in DPL
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    before: Option<i64>,
}

impl Sight {
    /// Returns the reviews that are visible while the user writes about `item`: all before
    /// `--before`, but not the user's own review of `item`.
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
        // Read the history even if there is no item, so that an unknown user is an error here.
        let own = store.history(user)?;
        let held_out = own.iter().find(|r| item.is_some_and(|item| r.review.item == item.id));
        Ok(match held_out {
            Some(own) => view.without(own.id),
            None => view,
        })
    }
}

/// Prints a note for each text that was truncated in a prompt.
pub(crate) fn note_cuts(cuts: &[Cut]) {
    for Cut { stage, field, of, kept_tokens, of_tokens } in cuts {
        let item = of.item.as_deref().map(|item| format!(" on {item}")).unwrap_or_default();
        let user = of.user.as_deref().map(|user| format!(" of {user}")).unwrap_or_default();
        output::note(&format!(
            "cut in {stage}: {field}{user}{item}, {kept_tokens} of {of_tokens} tokens kept"
        ));
    }
}
