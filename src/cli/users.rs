//! `idiolect users`.

use idiolect::corpus::{UserSummary, date};

use super::context::Context;
use super::{output, values, wrap};

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// List only users with at least N reviews; raise it to find users that are easy to imitate
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    min_reviews: u64,
    /// List only the first N users
    #[arg(long, value_name = "N", value_parser = values::rows(0))]
    limit: Option<usize>,
}

const AFTER_HELP: &str = "\
Users with the most reviews come first.

Example:
  idiolect users --min-reviews 8 --limit 20";

#[derive(serde::Serialize)]
struct UsersJson<'a> {
    /// Number of users that match, listed or not.
    total: usize,
    users: &'a [UserSummary],
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let store = context.store()?;
    let users = store.users(args.min_reviews)?;
    let total = users.len();
    let shown = &users[..args.limit.unwrap_or(total).min(total)];
    if context.globals.json {
        return output::json(&UsersJson { total, users: shown });
    }
    if users.is_empty() {
        output::note("no user has that many reviews");
        return Ok(());
    }
    let names: Vec<String> = shown.iter().map(|user| output::on_one_line(&user.user)).collect();
    let width = names.iter().map(|name| wrap::columns(name)).max().unwrap_or(0).max(4);
    let mut table =
        format!("{:<width$} {:>7}  {:<10}  {:<10}\n", "user", "reviews", "first", "last");
    for (user, name) in shown.iter().zip(&names) {
        let name = wrap::padded(name, width);
        let (first, last) = (day(user.first), day(user.last));
        table.push_str(&format!("{name} {:>7}  {first:<10}  {last:<10}\n", user.reviews));
    }
    output::text(&table)?;
    if shown.len() < total {
        output::note(&format!("{} more users; raise --limit to see them", total - shown.len()));
    }
    Ok(())
}

/// Returns the day, or a dash if the source gave no time.
fn day(seconds: i64) -> String {
    if seconds == 0 { "-".to_owned() } else { date::of_seconds(seconds) }
}
