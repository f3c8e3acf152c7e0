//! The stage of a document that the model continues: the past texts, each under a header, and the
//! header of the target. It needs no chat template, so base models can be used.

use crate::task::{Part, Stage};

/// Generates by continuing a document of past texts.
pub(super) const STAGE: Stage = Stage::new("completion", &[Part::Target, Part::Past, Part::Notes]);
