//! Choice of the past texts in a prompt by validation on the user's own newest texts.

use super::example_selection::ExampleSelection;
use super::leave_one_out::{held_out_examples, newest};
use crate::difference::{ValidationSettings, gain};
use crate::methods::intsum::SUMMARY;
use crate::methods::retrieval::most_recent;
use crate::methods::{MethodContext, PastReview, Result, summaries};

/// Number of own texts on which selections are validated, the newest.
const N_HELD_OUT: usize = 3;
/// Number of tokens of each text that count.
const TOKENS: usize = 100;

/// Chooses a selection by validation on the user's newest texts, each scored under a prompt with
/// all the others. Starting from the newest texts, one change after the other is tried. A change is
/// kept if it makes the user's texts more likely, and more so than others' texts on the same items
/// by more than one standard error, as for statements. With fewer than two texts to validate on,
/// nothing is changed.
pub(super) async fn validated_selection(
    context: &MethodContext<'_>,
    history: &[PastReview],
) -> Result<ExampleSelection> {
    let held_out = newest(history, N_HELD_OUT);
    let mut best = ExampleSelection::default();
    if held_out.len() < 2 {
        return Ok(best);
    }
    let options = context.options;
    let stage = options.idiolect.form.stage();
    let settings = ValidationSettings { stage, tokens: TOKENS, max_tokens: options.max_tokens };
    let gains = async |best: &ExampleSelection, other: &ExampleSelection| -> Result<bool> {
        context.check_stop()?;
        let without = held_out_examples(context, history, &held_out, best)?;
        let with = held_out_examples(context, history, &held_out, other)?;
        let gain = gain(&context.calls, settings, &without, &with).await?;
        Ok(gain.own > 0.0 && gain.specific > 0.0)
    };
    let changes: [fn(&mut ExampleSelection); 3] = [
        |selection| selection.relevant = true,
        |selection| selection.half = true,
        |selection| selection.reversed = true,
    ];
    for change in changes {
        let mut other = best.clone();
        change(&mut other);
        if gains(&best, &other).await? {
            best = other;
        }
    }
    let older = &history[..history.len() - held_out.len()];
    let older = most_recent(older, usize::MAX);
    if let Some(summary) = summaries::summary(context, SUMMARY, &older).await? {
        let other = ExampleSelection { summary: Some(summary), ..best.clone() };
        if gains(&best, &other).await? {
            best = other;
        }
    }
    Ok(best)
}
