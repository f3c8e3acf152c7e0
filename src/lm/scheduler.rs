//! Which sequence runs next.
//!
//! Every step gives each active sequence one unit of work in turn: a chunk of its prefill, or one
//! token. That each unit is its own pass of the decoder is this file's business alone: taking the
//! units of a step into one batch ([`Decoder::forward`] accepts many sequences) changes nothing for
//! anybody else.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::decoder::{Decoder, RUN, Rows};
use super::prefixes::Prefixes;
use super::sequence::{Sequence, Ticket, Turn};
use super::{Error, Result};
use crate::model::tokenizer::Tokenizer;

/// Bytes that the caches of active sequences may take at their longest; further sequences wait. One
/// is always active, whatever it takes.
const ACTIVE_BYTES: usize = 2 << 30;
/// Bytes that the caches of finished prefills may take.
const PREFIX_BYTES: usize = 512 << 20;
/// Rows whose logits are computed at once: a vocabulary of 150,000 in f32 takes 20 MB for these.
const HEAD_ROWS: usize = 32;

pub(super) struct Scheduler {
    decoder: Decoder,
    tokenizer: Arc<Tokenizer>,
    waiting: VecDeque<Ticket>,
    active: Vec<Sequence>,
    prefixes: Prefixes,
}

impl Scheduler {
    pub(super) fn new(decoder: Decoder, tokenizer: Arc<Tokenizer>) -> Self {
        Self {
            decoder,
            tokenizer,
            waiting: VecDeque::new(),
            active: Vec::new(),
            prefixes: Prefixes::new(PREFIX_BYTES),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.active.is_empty()
    }

    pub(super) fn add(&mut self, ticket: Ticket) {
        self.waiting.push_back(ticket);
    }

    /// One unit of work for every active sequence.
    pub(super) fn step(&mut self) {
        self.admit();
        let mut still_active = Vec::with_capacity(self.active.len());
        for mut sequence in std::mem::take(&mut self.active) {
            if sequence.is_cancelled() {
                continue;
            }
            // A panic, be it in a caller's `on_text`, must not take the others down.
            let turn = catch_unwind(AssertUnwindSafe(|| self.advance(&mut sequence)));
            match turn {
                Ok(Ok(Turn::Goes)) => still_active.push(sequence),
                Ok(Ok(Turn::Done)) => sequence.finish(),
                Ok(Err(error)) => sequence.fail(error),
                Err(panic) => {
                    sequence.fail(Error::Engine(format!("panicked: {}", message(panic.as_ref()))));
                }
            }
        }
        self.active = still_active;
    }

    /// Lets waiting requests in, in their order, as far as memory goes.
    fn admit(&mut self) {
        self.waiting.retain(|ticket| !ticket.job.is_cancelled());
        let per_token = self.decoder.cache().bytes_per_position();
        let bytes = |longest: usize| longest.next_multiple_of(RUN).saturating_mul(per_token);
        let mut taken: usize = self.active.iter().map(|sequence| bytes(sequence.longest())).sum();
        while let Some(ticket) = self.waiting.pop_front() {
            let needed = bytes(ticket.longest());
            if !self.active.is_empty() && taken.saturating_add(needed) > ACTIVE_BYTES {
                self.waiting.push_front(ticket);
                return;
            }
            taken = taken.saturating_add(needed);
            let known = self.prefixes.longest(&ticket.tokens, ticket.first_wanted());
            let cache = known.unwrap_or_else(|| self.decoder.cache());
            self.active.push(Sequence::new(ticket, cache));
        }
    }

    /// Runs the sequence's next unit and gives it the logits it wants.
    fn advance(&mut self, sequence: &mut Sequence) -> Result<Turn> {
        if sequence.is_empty() {
            return Ok(Turn::Done);
        }
        let (tokens, wanted, cache) = sequence.next_unit();
        let hidden = self.decoder.forward(&mut [Rows { tokens, cache }])?;
        if let Some((tokens, cache)) = sequence.prefilled() {
            self.prefixes.keep(tokens, cache);
        }
        for first in wanted.clone().step_by(HEAD_ROWS) {
            let n_rows = HEAD_ROWS.min(wanted.end - first);
            let logits = self.decoder.logits(&hidden.narrow(0, first, n_rows)?)?;
            for mut row in logits.to_vec2::<f32>()? {
                // Rows of padding behind the vocabulary are no tokens.
                row.truncate(self.tokenizer.n_vocab());
                if sequence.take(&mut row, &self.tokenizer)? == Turn::Done {
                    return Ok(Turn::Done);
                }
            }
        }
        Ok(Turn::Goes)
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
