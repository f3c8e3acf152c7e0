//! Drafts of a forward step: proposed before it, kept or dropped after it.

use super::Scheduler;
use crate::lm::decoder::Decoder;
use crate::lm::draft::PlannedStep;
use crate::lm::sequence::Work;

impl<D: Decoder> Scheduler<D> {
    /// Whether the next rows of all running requests are those of texts that are generated.
    pub(super) fn all_write(&self) -> bool {
        self.running.iter().all(|group| {
            matches!(group.work, Work::Generate(_))
                && group.sequences.iter().all(|sequence| !sequence.is_in_prompt())
        })
    }

    /// Appends drafts to the tokens of the running requests, all of which generate texts.
    pub(super) fn propose_drafts(&mut self) {
        let n_rows = self.running.iter().map(|group| group.sequences.len()).sum();
        let mut step = PlannedStep { n_rows, n_tokens: self.running.len() as f64 };
        for group in &mut self.running {
            let Work::Generate(generation) = &group.work else { continue };
            // The last token needs no row of its own.
            let left = generation.max_tokens().saturating_sub(generation.n_written());
            let most = left.saturating_sub(1);
            let Some(first) = group.sequences.first() else { continue };
            let n_rows = group.sequences.len();
            group.draft = self.policy.propose(&first.tokens, most, n_rows, &mut step);
            for sequence in &mut group.sequences {
                sequence.tokens.extend_from_slice(group.draft.tokens());
            }
        }
    }

    /// Takes the drafts from the tokens again, whose rows are computed.
    pub(super) fn take_back_drafts(&mut self) {
        for group in &mut self.running {
            for sequence in &mut group.sequences {
                let n = sequence.tokens.len() - group.draft.len();
                sequence.tokens.truncate(n);
            }
        }
    }

    /// Removes the rows of drafted tokens that were not chosen from the caches, and learns from them.
    pub(super) fn settle_drafts(&mut self) {
        for group in &mut self.running {
            if group.draft.is_empty() {
                continue;
            }
            let draft = std::mem::take(&mut group.draft);
            self.policy.learn(&draft);
            self.counters.add_draft(draft.len(), draft.n_accepted());
            for sequence in &mut group.sequences {
                let n = sequence.cache.len() - (draft.len() - draft.n_accepted());
                sequence.cache.truncate(n);
            }
        }
    }
}
