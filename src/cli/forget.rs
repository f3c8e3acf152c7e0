//! `idiolect forget`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use idiolect::corpus::{ForgetScope, Forgotten, NOT_REACHED, ReviewId};
use idiolect::peers::{index_folder, remove_index};

use super::context::Context;
use super::output;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Delete a user and everything derived from their texts\n\n\
        Deletes the user's texts, vectors, profile with its versions, rows of splits, and every stored \
        answer and score that depended on a text of theirs; removes the index over users; and rewrites \
        the store's file, so that no byte of the texts is left in it. Use --dry-run first.",
    after_help = AFTER_HELP
)]
pub(crate) struct Args {
    /// User to forget; write `-- USER` for one that begins with a hyphen
    #[arg(required_unless_present = "scrub")]
    user: Option<String>,
    /// Delete only the user's texts about this item
    #[arg(long, value_name = "ITEM", conflicts_with = "review", allow_hyphen_values = true)]
    item: Option<String>,
    /// Delete only the text with this id, which `idiolect export` shows
    #[arg(long, value_name = "ID")]
    review: Option<i64>,
    /// Also overwrite and delete this file, such as recorded requests or a report; can be repeated
    #[arg(long, value_name = "FILE")]
    also: Vec<PathBuf>,
    /// Only rewrite the store's file, after a deletion that was interrupted
    #[arg(long, conflicts_with_all = ["user", "item", "review", "also", "dry_run"])]
    scrub: bool,
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    dry_run: bool,
    /// Delete without asking
    #[arg(long, short)]
    yes: bool,
    #[cfg(feature = "postgres")]
    #[command(flatten)]
    database: super::database::DatabaseArgs,
}

const AFTER_HELP: &str = "\
What this program cannot reach, because it does not know where it is: copies and backups of the store,
reports (--html, --csv), recorded requests (--record-requests), exported or edited profiles, the files
that were imported, and what the file system or the disk keeps of overwritten blocks. Name files of
which you know with --also.

Examples:
  idiolect forget marta --dry-run
  idiolect forget marta --yes --also requests.jsonl --also report.html
  idiolect forget marta --item thread-17 --yes";

/// JSON object that the command prints.
#[derive(serde::Serialize)]
struct ForgetJson<'a> {
    user: &'a str,
    dry_run: bool,
    forgotten: Forgotten,
    /// Whether there was an index over users; it is removed.
    index_removed: bool,
    /// Whether the user had a vector in the database of --peers; it is deleted.
    #[cfg(feature = "postgres")]
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<bool>,
    /// As they are shown: a name may be none that JSON can hold.
    files_removed: Vec<String>,
    not_reached: &'a [&'a str],
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let store = context.store()?;
    let Some(user) = args.user.as_deref() else {
        store.scrub()?;
        output::note("the store's file was rewritten");
        return Ok(());
    };
    let scope = match (&args.item, args.review) {
        (Some(item), _) => ForgetScope::Item(item.clone()),
        (None, Some(id)) => ForgetScope::Review(ReviewId(id)),
        (None, None) => ForgetScope::User,
    };
    for path in &args.also {
        if !path.is_file() {
            bail!("--also {}: there is no such file; nothing was deleted", path.display());
        }
    }
    let mut forgotten = store.would_forget(user, &scope)?;
    let index_removed = index_folder(store.path()).is_dir();
    #[cfg(feature = "postgres")]
    let mut database = None;
    if !args.dry_run {
        confirm(user, &args, &forgotten)?;
        // The vector was made of every text of the user, so that it goes with any of them.
        #[cfg(feature = "postgres")]
        {
            database = args.database.delete(user, context)?;
        }
        // First, since after an interruption the user may be gone, and a rerun would not get here.
        remove_index(&store)?;
        args.also.iter().try_for_each(|path| remove_file(path))?;
        forgotten = store.forget(user, &scope)?;
        // One that another process made of the old rows meanwhile.
        remove_index(&store)?;
    }
    let done = ForgetJson {
        user,
        dry_run: args.dry_run,
        forgotten,
        index_removed,
        #[cfg(feature = "postgres")]
        database,
        files_removed: args.also.iter().map(|path| path.display().to_string()).collect(),
        not_reached: &NOT_REACHED,
    };
    match context.globals.json {
        true => output::json(&done),
        false => print_summary(&done),
    }
}

fn confirm(user: &str, args: &Args, forgotten: &Forgotten) -> anyhow::Result<()> {
    if args.yes {
        return Ok(());
    }
    if !output::can_ask() {
        bail!(
            "nothing was deleted: there is no terminal to ask on; add --yes, or --dry-run to look"
        );
    }
    let question = format!(
        "delete {} texts of `{user}` and {} stored values made from them? This cannot be undone",
        forgotten.reviews, forgotten.derived
    );
    match output::confirmed(&question)? {
        true => Ok(()),
        false => bail!("nothing was deleted"),
    }
}

fn print_summary(done: &ForgetJson<'_>) -> anyhow::Result<()> {
    let Forgotten {
        user,
        reviews,
        vectors,
        derived,
        split_rows,
        profile_versions,
        items,
        item_names,
        contexts,
        saved_prefixes,
        mentions_by_others,
    } = done.forgotten;
    output::line(match done.dry_run {
        true => "would be removed:",
        false => "removed:",
    })?;
    if user {
        output::line(&format!("  the user `{}`", done.user))?;
    }
    for (n, what) in [
        (reviews, "texts"),
        (vectors, "vectors"),
        (derived, "stored answers, scores, profiles and reports"),
        (profile_versions, "versions of the profile"),
        (split_rows, "rows of splits; a split that lost texts must be made again"),
        (items, "items that nobody else wrote about"),
        (item_names, "titles of items with the name in them"),
        (contexts, "quotations of them, or of nobody known, that came with answers by others"),
        (saved_prefixes, "prompts kept for next texts, of any user"),
    ] {
        if n > 0 {
            output::line(&format!("  {n} {what}"))?;
        }
    }
    if done.index_removed {
        output::line("  the index over users; `idiolect index` makes it anew")?;
    }
    #[cfg(feature = "postgres")]
    if done.database == Some(true) {
        output::line("  the vector in the database; its log and its copies are not reached")?;
    }
    for file in &done.files_removed {
        output::line(&format!("  {file}"))?;
    }
    if !done.dry_run {
        output::line("the store's file was rewritten without them")?;
    }
    output::line("not reached:")?;
    if mentions_by_others > 0 {
        output::line(&format!(
            "  {mentions_by_others} texts by others that contain the name; they stay"
        ))?;
    }
    done.not_reached.iter().try_for_each(|place| output::line(&format!("  {place}")))
}

/// Overwrites a file with zeros and deletes it. Of a link only the link is deleted.
fn remove_file(path: &Path) -> anyhow::Result<()> {
    let cannot = || format!("remove {}", path.display());
    if !path.is_symlink() {
        let file = fs::OpenOptions::new().write(true).open(path).with_context(cannot)?;
        let size = file.metadata().with_context(cannot)?.len();
        let zeros = std::io::copy(&mut std::io::Read::take(std::io::repeat(0), size), &mut &file);
        zeros.and_then(|_| file.sync_all()).with_context(cannot)?;
    }
    fs::remove_file(path).with_context(cannot)
}
