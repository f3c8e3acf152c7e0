//! Shows the profile of statements (`--method idiolect`).

use std::fmt::Write as _;

use anyhow::Context as _;
use idiolect::difference::statements::{ProfileStatement, StatementProfile, revisions};
use idiolect::methods::{self, MethodInputs, MethodOptions};
use idiolect::task::Task;
use serde::Serialize;

use super::{Args, change, export};
use crate::cli::block_on::block_on;
use crate::cli::context::Context;
use crate::cli::{output, wrap};

/// JSON object of the profile.
#[derive(Serialize)]
struct StatementsJson<'a> {
    #[serde(flatten)]
    profile: &'a StatementProfile,
    /// Whether no statement is shown to the language model.
    abstains: bool,
    /// The reason why; `None` if a statement is shown.
    abstention: Option<String>,
}

pub(super) fn run(
    args: &Args,
    material: &MethodInputs<'_>,
    options: &MethodOptions,
    context: &Context,
) -> anyhow::Result<()> {
    let (user, store) = (args.user.as_str(), material.view.store());
    let task = material.task.without_dimensions(&options.without_dimensions)?;
    let revisions = revisions(store, user)?;
    let revisions = match args.statements.version {
        None => &revisions[..],
        Some(n) => revisions.get(..n as usize).with_context(|| {
            format!("the profile of `{user}` has versions 0 to {}, not {n}", revisions.len())
        })?,
    };
    if let Some(format) = args.statements.export {
        return export::print(format, material, user, options, revisions, context);
    }
    let made = methods::stated_profile(material, user, options, revisions);
    let profile = block_on(context, made)??;
    let changes = &args.statements.changes;
    if changes.is_asked() {
        return change::make(changes, &profile, &task, store, context);
    }
    if context.globals.json {
        let (abstains, abstention) = (profile.abstains(), profile.abstention());
        return output::json(&StatementsJson { profile: &profile, abstains, abstention });
    }
    let text = if args.statements.markdown {
        profile.to_markdown(&task)
    } else {
        in_words(&profile, &task)
    };
    output::text(&text)
}

fn in_words(profile: &StatementProfile, task: &Task) -> String {
    let mut out = format!("{}\n", profile.headline());
    if let Some(sentence) = profile.abstention() {
        let _ = writeln!(out, "{sentence}");
    }
    for (key, name) in profile.dimensions(task) {
        let mut stated =
            profile.statements.iter().filter(|s| s.statement.dimension == key).peekable();
        if stated.peek().is_some() {
            let _ = writeln!(out, "\n{name}");
            stated.for_each(|stated| statement(&mut out, stated));
        }
    }
    out
}

fn statement(out: &mut String, stated: &ProfileStatement) {
    let said = &stated.statement;
    let check = if stated.status.is_shown() { "[x]" } else { "[ ]" };
    let text = wrap::indented(&said.text, 6);
    let _ = writeln!(out, "  {check} {}", text.trim_start());
    let _ = writeln!(out, "      {}: {}", said.key, stated.figures().join("; "));
    for evidence in &said.evidence {
        let quote = wrap::start(&evidence.quote);
        let quote = format!("\"{quote}\" (review {})", evidence.review.0);
        let _ = writeln!(out, "{}", wrap::indented(&quote, 8));
        if let Some(other) = &evidence.other {
            let quote = format!("\"{}\" (review {})", wrap::start(&other.quote), other.review.0);
            let _ = writeln!(out, "{}", wrap::hanging(&quote, "        others: "));
        }
    }
}
