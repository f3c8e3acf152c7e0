//! Selection of the rows of the next forward step: one row of every text that is being generated,
//! plus chunks of prompts and scored texts.

use std::ops::Range;

use super::job::{Job, Work};

/// Number of rows of prompts and scored texts in a forward step. More rows gain little throughput
/// and delay the requests that generate text.
const PORTION: usize = 256;
/// Minimum share of one sequence in these rows, so that many waiting sequences do not all advance
/// by a few rows only.
const LEAST: usize = 64;

/// Rows of one sequence that run in the next forward step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BatchSlice {
    pub(super) job: usize,
    pub(super) lane: usize,
    /// Positions in the sequence; the first one follows the cached positions.
    pub(super) rows: Range<usize>,
}

/// Selects the rows of the next forward step, sorted by request and sequence. `turn` counts forward
/// steps: if not all waiting sequences fit, a different one comes first each time. `multiple`:
/// prompt chunks end at multiples of it if possible.
pub(super) fn plan(jobs: &[Job], turn: usize, multiple: usize) -> Vec<BatchSlice> {
    let mut units = Vec::new();
    // Requests and sequences that wait for a chunk; `None` stands for all sequences of a request.
    let mut waiting = Vec::new();
    for (job_index, job) in jobs.iter().enumerate() {
        let in_prompt = job.lanes.iter().any(|lane| lane.is_in_prompt());
        let alone = job.lanes.len() == 1;
        match (&job.work, in_prompt) {
            (Work::Generate(_), false) => {
                units.extend(job.lanes.iter().enumerate().map(|(lane_index, lane)| BatchSlice {
                    job: job_index,
                    lane: lane_index,
                    rows: lane.cache.len()..lane.cache.len() + 1,
                }));
            }
            (Work::Score(_), false) => waiting.push((job_index, None)),
            (_, true) if alone => waiting.push((job_index, Some(0))),
            (_, true) => {
                let lanes = job.lanes.iter().enumerate();
                let lanes = lanes.filter(|(_, lane)| lane.is_in_prompt());
                waiting.extend(lanes.map(|(index, _)| (job_index, Some(index))));
            }
        }
    }
    waiting.retain(|(job, lane)| {
        let lanes = &jobs[*job].lanes;
        lane.map_or_else(|| lanes.iter().all(|lane| lane.begun), |lane| lanes[lane].begun)
    });
    if waiting.is_empty() {
        return units;
    }
    let share = PORTION.div_ceil(waiting.len()).max(LEAST);
    let mut left = PORTION;
    let n_waiting = waiting.len();
    waiting.rotate_left(turn % n_waiting);
    for (job, lane) in waiting {
        if left == 0 {
            break;
        }
        let most = share.min(left);
        let taken = match lane {
            Some(lane) => vec![prompt_portion(jobs, job, lane, most, multiple)],
            None => text_portions(jobs, job, most),
        };
        left = left.saturating_sub(taken.iter().map(|unit| unit.rows.len()).sum());
        units.extend(taken);
    }
    units.sort_by_key(|unit| (unit.job, unit.lane));
    units
}

/// The next rows of a prompt. If the request has no other sequence to wait for, they may include
/// rows of the text.
fn prompt_portion(
    jobs: &[Job],
    job: usize,
    lane: usize,
    most: usize,
    multiple: usize,
) -> BatchSlice {
    let the_job = &jobs[job];
    let the_lane = &the_job.lanes[lane];
    let start = the_lane.cache.len();
    let last = match the_job.lanes.len() {
        1 => the_lane.tokens.len(),
        _ => the_lane.first_wanted(),
    };
    let mut end = (start + most).min(last);
    let even = end / multiple * multiple;
    if end < last && even > start {
        end = even;
    }
    BatchSlice { job, lane, rows: start..end }
}

/// The next rows of a scored text, the same number for each sequence.
fn text_portions(jobs: &[Job], job: usize, most: usize) -> Vec<BatchSlice> {
    let lanes = &jobs[job].lanes;
    let each = (most / lanes.len()).max(1);
    lanes
        .iter()
        .enumerate()
        .map(|(index, lane)| {
            let start = lane.cache.len();
            BatchSlice { job, lane: index, rows: start..(start + each).min(lane.tokens.len()) }
        })
        .collect()
}
