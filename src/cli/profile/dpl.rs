//! Shows the profile that the language model writes (`--method dpl`).

use std::fmt::Write as _;

use idiolect::client::Usage;
use idiolect::corpus::Target;
use idiolect::difference::{Difference, Profile};
use idiolect::methods::{self, MethodInputs, MethodOptions, Profiled};
use idiolect::task::{Cut, Task};
use serde::Serialize;

use crate::cli::block_on::block_on;
use crate::cli::context::Context;
use crate::cli::output;
use crate::cli::settings::note_cuts;

/// JSON object that the command prints.
#[derive(Serialize)]
struct DplProfileJson<'a> {
    user: &'a str,
    item: Option<&'a str>,
    differences: &'a [Difference],
    summary: &'a str,
    reviews: &'a [idiolect::corpus::ReviewId],
    cut: Vec<&'a Cut>,
    #[serde(flatten)]
    usage: Usage,
}

pub(super) fn show(
    material: &MethodInputs<'_>,
    user: &str,
    target: Option<&Target>,
    options: &MethodOptions,
    context: &Context,
) -> anyhow::Result<()> {
    let made = block_on(context, methods::profile(material, user, target, options))??;
    let Profiled { profile, usage } = made;
    let cut = profile.differences.iter().flat_map(|d| &d.cut).chain(&profile.cut);
    if context.globals.json {
        return output::json(&DplProfileJson {
            user: &profile.user,
            item: target.map(|target| target.item.id.as_str()),
            differences: &profile.differences,
            summary: &profile.summary,
            reviews: &profile.reviews,
            cut: cut.collect(),
            usage,
        });
    }
    note_cuts(&cut.cloned().collect::<Vec<_>>());
    if profile.differences.is_empty() && options.differences {
        output::note(&format!(
            "no item of `{}` has {} other reviewers, so nothing was compared and the profile is made \
             of past texts alone; lower --k",
            profile.user, options.k
        ));
    }
    output::text(&in_words(&profile, material.task))
}

/// Formats the differences by dimension, then those without dimensions, then the summary.
pub(crate) fn in_words(profile: &Profile, task: &Task) -> String {
    let mut out = String::new();
    for dimension in &task.standard {
        let described: Vec<_> = profile
            .differences
            .iter()
            .filter_map(|d| {
                let described =
                    d.dimensions.iter().flatten().find(|t| t.dimension == dimension.key)?;
                Some((d, described.text.as_str()))
            })
            .collect();
        section(&mut out, &dimension.name, &described);
    }
    let whole: Vec<_> = profile
        .differences
        .iter()
        .filter(|d| d.dimensions.is_none() && !d.text.is_empty())
        .map(|d| (d, d.text.as_str()))
        .collect();
    section(&mut out, "Differences in free text", &whole);
    let _ = write!(out, "Profile\n{}\n\n", indented(&profile.summary));
    let ids: Vec<String> = profile.reviews.iter().map(|id| id.0.to_string()).collect();
    let _ = writeln!(out, "Made from reviews {} of {}", ids.join(", "), profile.user);
    out
}

fn section(out: &mut String, heading: &str, described: &[(&Difference, &str)]) {
    if described.is_empty() {
        return;
    }
    let _ = writeln!(out, "{heading}");
    for (difference, text) in described {
        let peers: Vec<_> = difference.representatives.iter().map(|r| r.user.as_str()).collect();
        let title = Some(difference.item_title.as_str()).filter(|title| !title.is_empty());
        let title = title.unwrap_or(&difference.item);
        let _ = writeln!(out, "  {title} (against {})\n{}", peers.join(", "), indented(text));
    }
    out.push('\n');
}

fn indented(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
