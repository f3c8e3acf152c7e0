//! Makes and lists versions of a profile.

use std::fmt::Write as _;

use anyhow::{Context as _, bail};
use idiolect::corpus::{Store, date};
use idiolect::difference::statements::{
    self, Change, Edit, ProfileStatement, Revision, StatementProfile, edits_of_markdown, revise,
    revisions,
};
use idiolect::task::Task;
use serde::Serialize;

use super::{Args, ChangeArgs, editor};
use crate::cli::context::Context;
use crate::cli::output;

/// JSON object printed after a change.
#[derive(Serialize)]
struct ChangeJson<'a> {
    user: &'a str,
    /// Number of the newest version.
    version: u32,
    /// The change that made it; `None` if nothing was changed.
    revision: Option<&'a Revision>,
}

/// JSON object printed for `--versions`.
#[derive(Serialize)]
struct VersionsJson<'a> {
    user: &'a str,
    versions: &'a [Revision],
}

/// Handles `--versions` and `--undo`, which need no computed profile. Returns whether one of them
/// was given.
pub(super) fn by_itself(args: &Args, store: &Store, context: &Context) -> anyhow::Result<bool> {
    let (user, changes) = (args.user.as_str(), &args.statements.changes);
    if !(args.statements.versions || changes.undo) {
        return Ok(false);
    }
    let revisions = revisions(store, user)?;
    if args.statements.versions {
        list(user, &revisions, context)?;
        return Ok(true);
    }
    let Some(undone) = statements::next_undo(&revisions) else {
        bail!("the profile of `{user}` has no change to undo");
    };
    let after = newest(&revisions);
    let revision = revise(store, user, after, Change::Undo(undone))?;
    print_summary(user, after, Some(&revision), context)?;
    Ok(true)
}

/// Makes the version that the options ask for, from `before`.
pub(super) fn make(
    changes: &ChangeArgs,
    before: &StatementProfile,
    task: &Task,
    store: &Store,
    context: &Context,
) -> anyhow::Result<()> {
    let put = |edits: Vec<Edit>| -> anyhow::Result<Option<Revision>> {
        if edits.is_empty() {
            return Ok(None);
        }
        Ok(Some(revise(store, &before.user, before.version, Change::Edits(edits))?))
    };
    let revision = if changes.edit {
        let edited = editor::edit(&before.to_markdown(task))?;
        let read = edits_of_markdown(before, task, &edited.text).map_err(anyhow::Error::from);
        match read.and_then(put) {
            Ok(revision) => revision,
            Err(error) => {
                let (path, user) = (edited.keep()?, &before.user);
                return Err(error.context(format!(
                    "nothing was changed; your text is kept in {path}: correct it there and run \
                     `idiolect profile {user} --apply {path}`",
                    path = path.display()
                )));
            }
        }
    } else if let Some(path) = &changes.apply {
        let name = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        put(edits_of_markdown(before, task, &text).with_context(|| name.to_string())?)?
    } else {
        put(edits(changes, before, task)?)?
    };
    print_summary(&before.user, before.version, revision.as_ref(), context)
}

/// Edits of `--pin`, `--drop`, `--reword`, `--add` and `--restore`.
fn edits(
    changes: &ChangeArgs,
    before: &StatementProfile,
    task: &Task,
) -> anyhow::Result<Vec<Edit>> {
    let mut edits = Vec::new();
    for key in keys(before, &changes.pin) {
        edits.push(Edit::pin(find(before, key)?));
    }
    for key in keys(before, &changes.drop) {
        edits.push(Edit::drop(find(before, key)?));
    }
    for pair in &changes.reword {
        let (key, text) = halves(pair, "--reword KEY=TEXT")?;
        let edit = Edit::reword(find(before, key)?, text);
        edits.push(edit.with_context(|| format!("--reword {key}: the text is empty"))?);
    }
    for pair in &changes.add {
        let (dimension, text) = halves(pair, "--add DIMENSION=TEXT")?;
        let known: Vec<&str> = task.standard.iter().map(|d| d.key.as_str()).collect();
        if !known.contains(&dimension) {
            bail!(
                "--add: there is no dimension `{dimension}`; the dimensions are {}",
                known.join(", ")
            );
        }
        let edit = Edit::add(before, dimension, text);
        edits.push(edit.with_context(|| format!("--add {dimension}: the text is empty"))?);
    }
    for key in keys(before, &changes.restore) {
        find(before, key)?;
        edits.push(Edit::Restore { key: key.to_owned() });
    }
    Ok(edits)
}

/// Splits lists of keys at commas. The key of a phrase may contain a comma, so a text that is a key
/// as a whole is not split.
fn keys<'a>(profile: &StatementProfile, given: &'a [String]) -> Vec<&'a str> {
    let split = |text: &'a String| match profile.statement(text) {
        Some(_) => vec![text.as_str()],
        None => text.split(',').map(str::trim).collect(),
    };
    given.iter().flat_map(split).collect()
}

fn find<'a>(profile: &'a StatementProfile, key: &str) -> anyhow::Result<&'a ProfileStatement> {
    profile.statement(key).with_context(|| {
        let user = &profile.user;
        let keys = profile.statements.iter().map(|s| s.statement.key.as_str());
        let keys = keys.collect::<Vec<_>>().join(", ");
        let there = if keys.is_empty() {
            "it has none".to_owned()
        } else {
            format!("its statements are {keys}")
        };
        format!("the profile of `{user}` has no statement `{key}`; {there}")
    })
}

fn halves<'a>(pair: &'a str, form: &str) -> anyhow::Result<(&'a str, &'a str)> {
    pair.split_once('=').with_context(|| format!("`{pair}` has no `=`; expected {form}"))
}

fn newest(revisions: &[Revision]) -> u32 {
    revisions.last().map_or(0, |revision| revision.version)
}

/// Prints the result of a change.
fn print_summary(
    user: &str,
    before: u32,
    revision: Option<&Revision>,
    context: &Context,
) -> anyhow::Result<()> {
    let version = revision.map_or(before, |revision| revision.version);
    if context.globals.json {
        return output::json(&ChangeJson { user, version, revision });
    }
    match revision {
        None => output::note("nothing was changed"),
        Some(revision) => output::note(&format!(
            "version {version} of the profile of `{user}`: {}",
            in_words(&revision.change).join("; ")
        )),
    }
    Ok(())
}

fn list(user: &str, revisions: &[Revision], context: &Context) -> anyhow::Result<()> {
    if context.globals.json {
        return output::json(&VersionsJson { user, versions: revisions });
    }
    let mut out = "version  day         change\n      0              as computed\n".to_owned();
    for revision in revisions {
        let day = date::of_seconds(revision.time);
        let mut lead = format!("{:>7}  {day}", revision.version);
        for line in in_words(&revision.change) {
            let _ = writeln!(out, "{lead:<19}  {line}");
            lead.clear();
        }
    }
    output::text(&out)
}

/// Describes a change, one line per edit.
fn in_words(change: &Change) -> Vec<String> {
    let edits = match change {
        Change::Undo(version) => return vec![format!("undo version {version}")],
        Change::Edits(edits) => edits,
    };
    let words = edits.iter().map(|edit| match edit {
        Edit::Pin(said) => format!("pin {}", said.key),
        Edit::Drop(said) => format!("drop {}", said.key),
        Edit::Reword(said) => format!("reword {}: {}", said.key, said.text),
        Edit::Add(said) => format!("add {} to {}: {}", said.key, said.dimension, said.text),
        Edit::Restore { key } => format!("restore {key}"),
    });
    words.collect()
}
