//! DRP, Difference-aware Reasoning Personalization (arXiv 2511.15389): DPL with another extractor.
//!
//! Differences are extracted along the standard and along further dimensions that the model
//! proposes, and a second call keeps those that truly separate the user
//! ([`tell_validated`](crate::difference::tell_validated)). Retrieval, representatives, summary and
//! last prompt are DPL's. So are the sampling settings of the summary and of the text, although the
//! paper's code uses temperature 0 there, so that the two methods differ only in the extractor.

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
