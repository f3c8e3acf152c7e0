//! Questions of the guessing game that wait for an answer, and how often the machine was right.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use idiolect_core::corpus::StoredReview;
use sha2::{Digest, Sha256};

use crate::ids;

/// Maximum number of questions that wait; the oldest is dropped for a new one.
const MAX_OPEN: usize = 256;

/// Maximum number of questions that count for the machine.
const MAX_COUNTED: usize = 10_000;

/// A question: which of two people wrote which of two texts?
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// The text of the first person, then that of the second.
    pub(crate) texts: [StoredReview; 2],
    /// Texts of each person to study.
    pub(crate) studied: [Vec<StoredReview>; 2],
}

/// How often the machine was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MachineTally {
    pub(crate) right: u64,
    pub(crate) of: u64,
}

/// Questions that wait, and the machine's answers.
pub(crate) struct Guesses {
    /// Known to nobody, so that the order of the texts cannot be computed by a client.
    secret: [u8; 32],
    state: Mutex<GuessState>,
}

#[derive(Default)]
struct GuessState {
    /// By their ids, the oldest first.
    open: VecDeque<(String, Question)>,
    /// Whether the machine was right, by the hash of the question, so that a repeated one counts once.
    counted: HashMap<[u8; 32], bool>,
}

impl Question {
    fn reviews(&self) -> impl Iterator<Item = &StoredReview> {
        self.texts.iter().chain(self.studied.iter().flatten())
    }
}

impl Guesses {
    pub(crate) fn new() -> Self {
        Self { secret: rand::random(), state: Mutex::default() }
    }

    /// Position of the first person's text, 0 or 1. The same question always has the same.
    pub(crate) fn truth(&self, question: &Question) -> u8 {
        let [first, second] = &question.texts;
        // If the people are exchanged, so is the place of the first one's text.
        (self.hash(question)[0] & 1) ^ u8::from(first.id > second.id)
    }

    /// Keeps a question until it is answered; returns its random id.
    pub(crate) fn ask(&self, question: Question) -> String {
        let id = ids::new("guess-");
        let mut state = self.state();
        if state.open.len() == MAX_OPEN {
            state.open.pop_front();
        }
        state.open.push_back((id.clone(), question));
        id
    }

    /// Takes the question with this id; `None` if there is none or it was answered.
    pub(crate) fn take(&self, id: &str) -> Option<Question> {
        let mut state = self.state();
        let at = state.open.iter().position(|(known, _)| known == id)?;
        state.open.remove(at).map(|(_, question)| question)
    }

    /// Counts the machine's answer to a question, if there is one, and returns the tally.
    pub(crate) fn count(&self, question: &Question, machine: Option<bool>) -> MachineTally {
        let hash = self.hash(question);
        let mut state = self.state();
        if let Some(right) = machine
            && (state.counted.len() < MAX_COUNTED || state.counted.contains_key(&hash))
        {
            state.counted.insert(hash, right);
        }
        let right = state.counted.values().filter(|right| **right).count() as u64;
        MachineTally { right, of: state.counted.len() as u64 }
    }

    /// Drops the questions with a text of a user.
    pub(crate) fn forget(&self, user: &str) {
        let is_theirs = |question: &Question| question.reviews().any(|r| r.review.user == user);
        self.state().open.retain(|(_, question)| !is_theirs(question));
    }

    /// Hash of the pair of texts, whichever is the first person's.
    fn hash(&self, question: &Question) -> [u8; 32] {
        let mut ids = question.texts.each_ref().map(|stored| stored.id);
        ids.sort_unstable();
        let mut hash = Sha256::new_with_prefix(self.secret);
        for id in ids {
            hash.update(id.0.to_le_bytes());
        }
        hash.finalize().into()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, GuessState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use idiolect_core::corpus::{Review, ReviewId};

    fn question(first: i64, second: i64) -> Question {
        let stored = |id: i64| StoredReview {
            id: ReviewId(id),
            review: Review {
                user: format!("u{id}"),
                item: "kettle".to_owned(),
                rating: None,
                title: String::new(),
                text: "it sings".to_owned(),
                time: 0,
            },
            context: None,
        };
        let studied = [vec![stored(first)], vec![stored(second)]];
        Question { texts: [stored(first), stored(second)], studied }
    }

    #[test]
    fn a_question_is_answered_once_and_ids_tell_nothing() {
        let guesses = Guesses::new();
        let ids = [guesses.ask(question(1, 2)), guesses.ask(question(1, 2))];
        assert_ne!(ids[0], ids[1]);
        assert!(guesses.take(&ids[0]).is_some() && guesses.take(&ids[0]).is_none());
        assert!(guesses.take("guess-0").is_none());
        guesses.forget("u2");
        assert!(guesses.take(&ids[1]).is_none());
        let first = guesses.ask(question(3, 4));
        for n in 0..MAX_OPEN as i64 {
            guesses.ask(question(n, n + 1));
        }
        assert!(guesses.take(&first).is_none());
    }

    #[test]
    fn both_orders_occur_and_exchanged_people_exchange_them() {
        let guesses = Guesses::new();
        let truths: Vec<u8> = (0..64).map(|n| guesses.truth(&question(n, n + 1))).collect();
        assert!(truths.contains(&0) && truths.contains(&1));
        for n in 0..64 {
            let (one, other) = (question(n, n + 1), question(n + 1, n));
            assert_ne!(guesses.truth(&one), guesses.truth(&other));
        }
        // Another server has another order.
        let other = Guesses::new();
        assert!((0..64).any(|n| other.truth(&question(n, n + 1)) != truths[n as usize]));
    }

    #[test]
    fn a_repeated_question_counts_once() {
        let guesses = Guesses::new();
        assert_eq!(guesses.count(&question(1, 2), None), MachineTally { right: 0, of: 0 });
        guesses.count(&question(1, 2), Some(true));
        guesses.count(&question(2, 1), Some(true));
        let tally = guesses.count(&question(3, 4), Some(false));
        assert_eq!(tally, MachineTally { right: 1, of: 2 });
    }
}
