//! Stages of the calls that extract and summarize differences.

use crate::task::{Part, Stage};

/// Extracts how a user's text differs from the representatives' on one item (DPL).
pub const DIFFERENCE: Stage = Stage::new("difference", &[Part::Own, Part::Others]);
/// Summarizes differences and past texts into a profile (DPL).
pub const SUMMARY: Stage = Stage::new("summary", &[Part::Compared, Part::Past]);
/// Extracts differences along the standard and along further dimensions (DRP).
pub const DRP_DIFFERENCE: Stage = Stage::new("drp-difference", &[Part::Own, Part::Others]);
/// Keeps the extracted differences that truly distinguish the user (DRP).
pub const DRP_VALIDATION: Stage =
    Stage::new("drp-validation", &[Part::Own, Part::Others, Part::Notes]);

/// All of these stages.
pub const STAGES: [Stage; 4] = [DIFFERENCE, SUMMARY, DRP_DIFFERENCE, DRP_VALIDATION];
