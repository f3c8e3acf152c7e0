//! DRP, Difference-aware Reasoning Personalization (arXiv 2511.15389): DPL with another extractor.
//!
//! Differences are extracted along the standard and along further dimensions that the model
//! proposes, and a second call keeps those that truly separate the user
//! ([`extract_validated`](crate::difference::extract_validated)). Retrieval, representatives, summary and
//! last prompt are DPL's. So are the sampling settings of the summary and of the text, although the
//! paper's code uses temperature 0 there, so that the two methods differ only in the extractor.

use super::dpl::{Extractor, prepare};
use super::summaries::GENERATION;
use super::{MethodInfo, MethodSpec};
use crate::difference::{DRP_DIFFERENCE, DRP_VALIDATION, SUMMARY};

pub(super) static DRP: MethodSpec = MethodSpec {
    info: MethodInfo {
        name: "drp",
        about: "as dpl, with dimensions that the model proposes and checks",
        source: "arXiv 2511.15389",
        stages: &[DRP_DIFFERENCE, DRP_VALIDATION, SUMMARY, GENERATION],
        needs_history: true,
        needs_peers: |_| true,
        extracts_differences: true,
        own_unconditional: false,
    },
    prepare: |context| Box::pin(prepare(context, Extractor::Validated)),
};
