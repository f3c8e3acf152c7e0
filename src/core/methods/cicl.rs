//! CICL, contrastive in-context learning (Gao and Das, "Customizing language model responses with
//! contrastive in-context learning", AAAI 2024, arXiv 2401.17390).
//!
//! Each demonstration has a positive and a negative answer, and the model is asked to analyse what
//! separates them before it answers. As adapted in DPL's table, the positive answer is the user's
//! review, and the negative one is a representative's review of the same item, or the model's own
//! text if there is none (which the paper finds about as good). The last prompt shows the analysis
//! and the examples.

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

    // Pairs of the user's text and a negative example.
    let against = contrasts(material, &calls, method, &past, options).await?;

    // Analysis of what separates them.
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

    let (blocks, usage) = (against.blocks(&past), calls.usage());
    let prepared = told::from_notes(method, stage, target, blocks, &past, analysis, usage);
    Ok(prepared.with_contrasts(against))
}
