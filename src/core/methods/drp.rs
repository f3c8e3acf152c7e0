//! DRP, Difference-aware Reasoning Personalization (arXiv 2511.15389): DPL with another extractor.
//!
//! Differences are told along the standard and along whatever further dimensions the model finds,
//! and a second call keeps those that truly separate the user
//! ([`tell_validated`](crate::difference::tell_validated)). Retrieval, representatives, summary and
//! last prompt are DPL's; so are the settings of sampling of the summary and of the text, where the
//! paper's code has temperature 0, so that only the extractor differs between the two.

use super::dpl;
use super::{Material, Method, Options, Prepared, Result};
use crate::corpus::Target;

pub(super) async fn prepare(
    material: &Material<'_>,
    target: &Target,
    options: &Options,
) -> Result<Prepared> {
    dpl::prepare(Method::Drp, material, target, options).await
}
