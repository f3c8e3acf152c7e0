//! HyPerAlign (arXiv 2505.00038): hypotheses about a writer, then a text that keeps to them.
//!
//! The model infers hypotheses about communication strategy, personality and writing style from a
//! few texts of the user; the last prompt shows them with those texts. The few texts are the N that
//! every other method gets.

use super::select::most_relevant;
use super::{Material, Method, Options, Prepared, Result, told};
use crate::corpus::Target;
use crate::task::Stage;

pub(super) async fn prepare(
    material: &Material<'_>,
    target: &Target,
    options: &Options,
) -> Result<Prepared> {
    let (method, stage) = (Method::Hyperalign, Stage::Hyperalign);
    let history = material.past(target, options, method)?;
    let (author, calls) = (options.author(target), material.calls(options));
    let past = most_relevant(material.task, target, &history, options.n);

    let hypotheses = match past.is_empty() {
        true => None,
        false => {
            let asked = Stage::HyperalignHypotheses;
            Some(told::of_past(material, &calls, options, asked, author, &past).await?)
        }
    };
    let (blocks, usage) = (told::blocks(&past), calls.usage());
    Ok(told::from_notes(method, stage, target, blocks, &past, hypotheses, usage))
}
