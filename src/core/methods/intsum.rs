//! IntSum: retrieval together with a summary of everything the user wrote (Richardson et al.,
//! "Integrating summarization and retrieval for enhanced personalization via large language
//! models", arXiv 2310.20081).
//!
//! The summary is made from the whole history, newest text first. It does not depend on the target
//! and is stored, so it is made once per user. If the history exceeds the window, the oldest texts
//! are left out. The last prompt is DPL's, so that DPL adds only the differences.

use super::select::{most_recent, most_relevant};
use super::{Material, Method, Options, Prepared, Result, told};
use crate::corpus::Target;
use crate::task::Stage;

pub(super) async fn prepare(
    material: &Material<'_>,
    target: &Target,
    options: &Options,
) -> Result<Prepared> {
    let history = material.past(target, options, Method::Intsum)?;
    let (author, calls) = (options.author(target), material.calls(options));

    // Offline: the summary.
    let summary = match history.is_empty() {
        true => None,
        false => {
            let all = most_recent(&history, usize::MAX);
            let stage = Stage::IntsumSummary;
            Some(told::of_past(material, &calls, options, stage, author, &all).await?)
        }
    };

    // At run time: the relevant texts, the summary, the request.
    let past = most_relevant(material.task, target, &history, options.n);
    Ok(told::from_profile(Method::Intsum, target, author, &past, summary, calls.usage()))
}
