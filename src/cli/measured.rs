//! Measured differences in words, with quotes of the user and of others.

use std::fmt::Write as _;

use idiolect::corpus::Store;
use idiolect::difference::{Evidence, MeasuredDifferences};

use super::wrap;

/// Maximum number of statements shown.
const STATEMENTS: usize = 5;

/// Sentences on what was compared, then the clearest differences with quotes. `texts` names the kind
/// of text, in the plural.
pub(super) fn in_words(
    store: &Store,
    user: &str,
    texts: &str,
    measured: &MeasuredDifferences,
) -> anyhow::Result<String> {
    let MeasuredDifferences { statements, n_reviews, n_others, n_measures, .. } = measured;
    let compared = format!(
        "{n_reviews} of {user}'s {texts} were compared with {n_others} {texts} of the same items by \
         others; {n_measures} habits were counted"
    );
    if statements.is_empty() {
        let found = format!("{compared}, and none differs by more than chance explains.");
        return Ok(format!("{}\n\n", wrap::indented(&found, 0)));
    }
    let explanation = format!(
        "{compared}, and {} differ by more than chance explains. The clearest, each with {user}'s \
         words and somebody else's on the same item:",
        statements.len()
    );
    let mut out = format!("{}\n\n", wrap::indented(&explanation, 0));
    let mut quoted: Vec<&str> = Vec::new();
    for statement in statements.iter().take(STATEMENTS) {
        writeln!(out, "{}", wrap::hanging(&statement.text, "  - "))?;
        // A sentence may show several habits; prefer a quote that was not shown yet.
        let fresh = statement.evidence.iter().find(|e| !quoted.contains(&e.quote.as_str()));
        if let Some(evidence) = fresh.or(statement.evidence.first()) {
            quoted.push(&evidence.quote);
            out.push_str(&quotes(store, user, evidence)?);
        }
    }
    out.push('\n');
    Ok(out)
}

/// The quote of the user, and below it the quote of another person, if there is one.
fn quotes(store: &Store, user: &str, evidence: &Evidence) -> anyhow::Result<String> {
    let other = match &evidence.other {
        Some(other) => store.reviews(&[other.review])?.pop().zip(Some(other)),
        None => None,
    };
    let name = other.as_ref().map_or("", |(found, _)| &found.review.user);
    let width = wrap::columns(name).max(wrap::columns(user));
    let quote = |name: &str, quote: &str| {
        let quote = quote.split_whitespace().collect::<Vec<_>>().join(" ");
        let name = wrap::padded(name, width);
        format!("{}\n", wrap::hanging(&format!("\"{quote}\""), &format!("      {name}  ")))
    };
    let of_other = other.as_ref().map(|(_, other)| quote(name, &other.quote));
    Ok(quote(user, &evidence.quote) + &of_other.unwrap_or_default())
}
