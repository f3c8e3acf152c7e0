//! CICL, contrastive in-context learning (Gao and Das, "Customizing language model responses with
//! contrastive in-context learning", AAAI 2024, arXiv 2401.17390).
//!
//! Each demonstration has a positive answer and a negative one, and before it answers the model is
//! asked to analyse what separates them. As DPL's table adapts it: positive is the user's review,
//! negative a representative's of the same item, else the model's own (which the paper finds about
//! as good). The last prompt shows analysis and examples.

use super::contrast::contrasts;
use super::select::most_relevant;
use super::{Material, Method, Options, Prepared, Result, ids, told};
use crate::corpus::Target;
use crate::difference::Profile;
use crate::task::{Draft, Part, Stage};

pub(super) async fn prepare(
    material: &Material<'_>,
    target: &Target,
    options: &Options,
) -> Result<Prepared> {
    let (method, stage) = (Method::Cicl, Stage::Cicl);
    let history = material.past(target, options, method)?;
    let (author, calls) = (options.author(target), material.calls(options));
    let past = most_relevant(material.task, target, &history, options.n);

    // The pairs: the user's text and one against it.
    let against = contrasts(material, &calls, method, &past, options).await?;

    // What separates them.
    let analysis = match past.is_empty() {
        true => None,
        false => {
            let draft = Draft::new().with_all(Part::Past, against.blocks(&past));
            let shown = [ids(&past), against.reviews.clone()].concat();
            let stage = Stage::CiclAnalysis;
            let answer = told::ask(material, &calls, options, stage, draft, &shown).await?;
            Some(Profile::of_answers(author, vec![answer], shown))
        }
    };

    let (blocks, tally) = (against.blocks(&past), calls.tally());
    let prepared = told::from_notes(method, stage, target, blocks, &past, analysis, tally);
    Ok(prepared.with_contrasts(against))
}
