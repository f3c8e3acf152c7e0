//! Prints the profile for another program (`--export`).

use idiolect::difference::statements::Revision;
use idiolect::methods::{self, MethodInputs, MethodOptions};
use serde_json::json;

use crate::cli::block_on::block_on;
use crate::cli::context::Context;
use crate::cli::output;

/// Form of a profile for another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ExportFormat {
    SystemPrompt,
    Messages,
    LogitBias,
}

/// Prints the prompt or the messages.
pub(super) fn print(
    format: ExportFormat,
    inputs: &MethodInputs<'_>,
    user: &str,
    options: &MethodOptions,
    revisions: &[Revision],
    context: &Context,
) -> anyhow::Result<()> {
    let made = methods::portable_profile(inputs, user, options, revisions);
    let portable = block_on(context, made)??;
    match format {
        ExportFormat::SystemPrompt => output::text(&format!("{}\n", portable.system_prompt)),
        _ => output::json(&json!({ "messages": portable.messages })),
    }
}

/// Prints the logit bias for servers of the language model of this name.
pub(super) fn print_bias(
    model: &str,
    inputs: &MethodInputs<'_>,
    user: &str,
    options: &MethodOptions,
    context: &Context,
) -> anyhow::Result<()> {
    let made = methods::portable_bias(inputs, user, options);
    let bias = block_on(context, made)??;
    if bias.n_left_out > 0 {
        let (all, left) = (bias.entries.len() + bias.n_left_out, bias.n_left_out);
        output::note(&format!("the bias has {all} tokens; the smallest {left} are left out"));
    }
    output::json(&json!({
        "model": model,
        "vocabulary": inputs.model.vocabulary()?.n_tokens(),
        "left_out": bias.n_left_out,
        "logit_bias": bias.by_id(),
    }))
}
