//! Selection of the rows of the next forward step: the rows of every text that is being generated,
//! plus chunks of prompts and scored texts.

use std::ops::Range;

use super::decoder::{KvCache, KvLayout};
use super::sequence::{Sequence, SequenceGroup, Work};

/// Number of rows of prompts and scored texts in a forward step. More rows gain little throughput
/// and delay the requests that generate text.
const PREFILL_CHUNK: usize = 256;
/// Minimum share of one sequence in these rows, so that many waiting sequences do not all advance
/// by a few rows only.
const MIN_CHUNK: usize = 64;

/// Rows of one sequence that run in the next forward step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BatchSlice {
    pub(super) group: usize,
    pub(super) sequence: usize,
    /// Positions in the sequence; the first one follows the cached positions.
    pub(super) rows: Range<usize>,
}

/// Selects the rows of the next forward step, sorted by request and sequence. `step` counts forward
/// steps: if not all waiting sequences fit, a different one comes first each time. Prompt
/// chunks end at multiples of `block_size` if possible, and hold no rows of the text if
/// `separates_prompts`.
pub(super) fn select_rows<L: KvLayout>(
    groups: &[SequenceGroup<KvCache<L>>],
    step: usize,
    block_size: usize,
    separates_prompts: bool,
) -> Vec<BatchSlice> {
    let mut slices = Vec::new();
    // Requests and sequences that wait for a chunk; `None` stands for all sequences of a request.
    let mut waiting = Vec::new();
    for (group_index, group) in groups.iter().enumerate() {
        let in_prompt = group.sequences.iter().any(|sequence| sequence.is_in_prompt());
        let alone = group.sequences.len() == 1;
        match (&group.work, in_prompt) {
            (Work::Generate(_), false) => {
                slices.extend(group.sequences.iter().enumerate().map(
                    |(sequence_index, sequence)| BatchSlice {
                        group: group_index,
                        sequence: sequence_index,
                        // The last token and those of the draft.
                        rows: sequence.cache.len()..sequence.tokens.len(),
                    },
                ));
            }
            (Work::Score(_), false) => waiting.push((group_index, None)),
            (_, true) if alone => waiting.push((group_index, Some(0))),
            (_, true) => {
                let sequences = group.sequences.iter().enumerate();
                let sequences = sequences.filter(|(_, sequence)| sequence.is_in_prompt());
                waiting.extend(sequences.map(|(index, _)| (group_index, Some(index))));
            }
        }
    }
    waiting.retain(|(group, sequence)| {
        let sequences = &groups[*group].sequences;
        sequence.map_or_else(
            || sequences.iter().all(|sequence| sequence.prefix_attached),
            |sequence| sequences[sequence].prefix_attached,
        )
    });
    if waiting.is_empty() {
        return slices;
    }
    let share = PREFILL_CHUNK.div_ceil(waiting.len()).max(MIN_CHUNK);
    let mut left = PREFILL_CHUNK;
    let n_waiting = waiting.len();
    waiting.rotate_left(step % n_waiting);
    for (group, sequence) in waiting {
        if left == 0 {
            break;
        }
        let most = share.min(left);
        let taken = match sequence {
            Some(sequence) => {
                let group_of = &groups[group];
                let with_text = group_of.sequences.len() == 1 && !separates_prompts;
                let rows = prompt_chunk(&group_of.sequences[sequence], most, block_size, with_text);
                vec![BatchSlice { group, sequence, rows }]
            }
            None => text_chunks(groups, group, most),
        };
        left = left.saturating_sub(taken.iter().map(|slice| slice.rows.len()).sum());
        slices.extend(taken);
    }
    slices.sort_by_key(|slice| (slice.group, slice.sequence));
    slices
}

/// The next rows of a prompt, `with_text` also rows of the text after it.
fn prompt_chunk<L: KvLayout>(
    sequence: &Sequence<KvCache<L>>,
    most: usize,
    block_size: usize,
    with_text: bool,
) -> Range<usize> {
    let start = sequence.cache.len();
    let last = if with_text { sequence.tokens.len() } else { sequence.first_logits() };
    let mut end = (start + most).min(last);
    let even = end / block_size * block_size;
    if end < last && even > start {
        end = even;
    }
    start..end
}

/// The next rows of a scored text, the same number for each sequence.
fn text_chunks<L: KvLayout>(
    groups: &[SequenceGroup<KvCache<L>>],
    group: usize,
    most: usize,
) -> Vec<BatchSlice> {
    let sequences = &groups[group].sequences;
    let each = (most / sequences.len()).max(1);
    sequences
        .iter()
        .enumerate()
        .map(|(index, sequence)| {
            let start = sequence.cache.len();
            BatchSlice {
                group,
                sequence: index,
                rows: start..(start + each).min(sequence.tokens.len()),
            }
        })
        .collect()
}
