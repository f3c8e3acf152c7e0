//! Options that `profile`, `write` and `evaluate` share: the settings of the methods, the task, and
//! which reviews are visible.
//!
//! Precedence of settings, lowest first: defaults, task, `--settings`, `--set`, single flags.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use idiolect::client::CachePolicy;
use idiolect::corpus::{Item, Store, View};
use idiolect::evaluate;
use idiolect::methods::{Method, MethodOptions};
use idiolect::task::{Cut, Task};

use super::flags::SettingFlags;
use super::{output, values};

/// Options for the task and the settings of the methods. `SAMPLING` adds the flags of sampling.
#[derive(Debug, clap::Args)]
pub(crate) struct MethodArgs<const SAMPLING: bool> {
    /// Kind of text to write: a built-in task (review, headline, reply, post) or the path of a task file;
    /// change it to write something other than reviews
    #[arg(long, env = "IDIOLECT_TASK", value_name = "NAME|PATH", default_value = Task::DEFAULT)]
    task: OsString,
    /// Change settings of the methods by their keys, e.g. `--set idiolect.lexical=0.8,n=4`; can be
    /// repeated. `--help-all` describes each setting
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = pairs)]
    set: Vec<Pairs>,
    /// TOML file with settings of the methods; use it to keep a configuration. --set and single
    /// flags win over it
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Compute everything again, even if the store has the result; use it to measure time
    #[arg(long)]
    fresh: bool,
    /// Show the language model no text by another user: methods and settings that would are refused, and
    /// so are the texts that past texts answer
    #[arg(long, env = "IDIOLECT_NO_PEER_TEXT", value_parser = values::switch, hide = true)]
    pub(crate) no_peer_text: bool,
    #[command(flatten)]
    flags: SettingFlags<SAMPLING>,
}

/// Keys and values of one `--set`.
#[derive(Debug, Clone)]
struct Pairs(Vec<(String, String)>);

/// Parses KEY=VALUE pairs separated by commas and checks each.
fn pairs(text: &str) -> Result<Pairs, String> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let known = MethodOptions::keys();
    for word in text.split(',') {
        let pair = word.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
        match (pair, pairs.last_mut()) {
            // A comma inside a value: a list, or a contrast rule with its own settings.
            (None, Some((_, value))) => value.push_str(&format!(",{word}")),
            (Some((key, _)), Some((last, value)))
                if last == "idiolect.contrast"
                    && (!known.iter().any(|known| known == key)
                        || (key == "k" && value.starts_with("top-k"))) =>
            {
                value.push_str(&format!(",{word}"));
            }
            (Some((key, value)), _) => pairs.push((key.to_owned(), value.to_owned())),
            (None, None) => return Err(format!("`{word}` has no `=`, expected KEY=VALUE")),
        }
    }
    let mut options = MethodOptions::default();
    for (key, value) in &pairs {
        options.set(key, value).map_err(|error| error.to_string())?;
    }
    Ok(Pairs(pairs))
}

impl<const SAMPLING: bool> MethodArgs<SAMPLING> {
    pub(crate) fn task(&self) -> anyhow::Result<Task> {
        let task = Task::load(&self.task)?;
        task.check(&evaluate::stages())?;
        Ok(task)
    }

    /// Whether `--fresh` is given.
    #[cfg(feature = "parquet")]
    pub(crate) fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Returns the value of `--task`.
    pub(crate) fn task_name(&self) -> &OsStr {
        &self.task
    }

    /// Error if `--no-peer-text` is given and one of the methods would show the language model texts by
    /// other users, or write from their phrases.
    pub(crate) fn check_peer_text(
        &self,
        methods: &[Method],
        options: &MethodOptions,
    ) -> anyhow::Result<()> {
        let Some(method) = methods.iter().find(|method| method.shows_peer_text(options)) else {
            return Ok(());
        };
        if self.no_peer_text {
            bail!(
                "--no-peer-text: `{}` with these settings reads texts by other users; take rag, scp, intsum, \
                 hyperalign or llm-trsr-recurrent, or idiolect without --contrast peers, statements, \
                 --best-of, --item-words, --item-phrases, --corpus, --estimate and --texts estimated",
                method.name()
            );
        }
        Ok(())
    }

    /// Error if `--no-peer-text` is given and the prompts of the task show texts that others wrote.
    pub(crate) fn check_task_shows_no_peers(&self, task: &Task) -> anyhow::Result<()> {
        if self.no_peer_text && task.shows_context() {
            bail!(
                "--no-peer-text: the prompts of the task `{}` show what a text answers, which others wrote",
                task.name
            );
        }
        Ok(())
    }

    /// The settings that the task and the command line give.
    pub(crate) fn options(&self, task: &Task) -> anyhow::Result<MethodOptions> {
        let mut options = MethodOptions::of(task);
        if let Some(path) = &self.settings {
            let name = path.display();
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
            options.set_toml(&text).with_context(|| format!("--settings {name}"))?;
        }
        for (key, value) in self.set.iter().flat_map(|pairs| &pairs.0) {
            options.set(key, value)?;
        }
        for (key, value) in &self.flags.0 {
            options.set(key, value)?;
        }
        if !options.without_dimensions.is_empty() {
            // Report a wrong key before anything is loaded.
            task.without_dimensions(&options.without_dimensions)?;
        }
        options.reuse = if self.fresh { CachePolicy::Nothing } else { CachePolicy::Stored };
        Ok(if self.no_peer_text { options.without_peer_text() } else { options })
    }
}

/// Option that restricts which reviews are visible.
#[derive(Debug, clap::Args)]
pub(crate) struct VisibilityArgs {
    /// Use only texts written before TIME, in seconds since 1970; use it to hide what was written
    /// after the target. Without it, peers' texts may be newer than the target, as in DPL
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, hide = true)]
    before: Option<i64>,
}

impl VisibilityArgs {
    /// Returns the reviews that are visible while the user writes about `item`: all before
    /// `--before`, but not the user's own reviews of `item`.
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
        match item {
            Some(item) => Ok(view.without_text(user, &item.id)?),
            None => {
                // An unknown user is an error here, and not after the models are loaded.
                store.history(user)?;
                Ok(view)
            }
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::pairs;

    #[test]
    fn commas_separate_pairs_unless_they_belong_to_a_value() {
        for (text, expected) in [
            ("n=3", &[("n", "3")][..]),
            ("n=3,idiolect.lexical=0.8", &[("n", "3"), ("idiolect.lexical", "0.8")]),
            (
                "without-dimensions=writing,semantic,k=2",
                &[("without-dimensions", "writing,semantic"), ("k", "2")],
            ),
            (
                "idiolect.contrast=peers,b=0.3,ramp=5,n=2",
                &[("idiolect.contrast", "peers,b=0.3,ramp=5"), ("n", "2")],
            ),
            ("idiolect.contrast=top-k,k=5", &[("idiolect.contrast", "top-k,k=5")]),
        ] {
            let pairs = pairs(text).unwrap().0;
            let pairs: Vec<_> = pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
            assert_eq!(pairs, expected, "{text}");
        }
        assert!(pairs("n").unwrap_err().contains("KEY=VALUE"));
        assert!(pairs("n=3,idiolect.lexcal=1").unwrap_err().contains("did you mean"));
    }
}
