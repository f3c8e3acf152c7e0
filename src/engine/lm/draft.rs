//! Drafts of the next tokens, copied from where the last tokens of a text occurred before (prompt lookup
//! decoding; Saxena, 2023). A forward step computes the rows of a draft beside the row of the text, and
//! tokens are then chosen row by row from the same logits, by the same random numbers, as without a draft:
//! the text is the same, bit for bit, and only the number of forward steps differs.

use std::time::Duration;

/// Source of drafts: tokens that are checked many in a forward step instead of one. The text is the same
/// without them, bit for bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Drafts {
    /// Each forward step gives one token.
    Off,
    /// The tokens that followed where the last ones of prompt and text occurred before, if they are
    /// expected to save time. Decoders whose rows depend on the batch have no drafts.
    #[default]
    Lookup,
    /// As many tokens as there are, whatever they cost.
    #[cfg(test)]
    Always,
}

impl Drafts {
    fn ignore_cost(self) -> bool {
        match self {
            Self::Off | Self::Lookup => false,
            #[cfg(test)]
            Self::Always => true,
        }
    }
}

/// Tokens that a request proposes for its next positions.
#[derive(Debug, Default)]
pub(super) struct TokenDraft {
    tokens: Vec<u32>,
    /// Length of the match that the first token was copied after, 1 to [`MAX_MATCH`].
    n_matched: usize,
    n_accepted: usize,
    is_rejected: bool,
}

impl TokenDraft {
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    pub(super) fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Number of its tokens that were chosen.
    pub(super) fn n_accepted(&self) -> usize {
        self.n_accepted
    }

    /// Whether another token was chosen than the next one of the draft; the rows after it are void.
    pub(super) fn is_rejected(&self) -> bool {
        self.is_rejected
    }

    /// Compares the token that was chosen with the next one of the draft.
    pub(super) fn judge(&mut self, id: u32) {
        match self.tokens.get(self.n_accepted) {
            Some(drafted) if *drafted == id => self.n_accepted += 1,
            Some(_) => self.is_rejected = true,
            None => {}
        }
    }
}

/// Longest match that is looked for; a longer one tells no more.
const MAX_MATCH: usize = 8;

/// Most tokens of a draft.
const MAX_DRAFT: usize = 8;

/// The latest of the longest matches: an earlier place in `tokens` after which the last tokens occur.
/// Returns the position after the match and its length, 1 to [`MAX_MATCH`].
fn longest_match(tokens: &[u32]) -> Option<(usize, usize)> {
    let (last, before) = tokens.split_last()?;
    let mut longest: Option<(usize, usize)> = None;
    for end in (1..=before.len()).rev() {
        if tokens[end - 1] != *last {
            continue;
        }
        let pairs = tokens[..end].iter().rev().zip(tokens.iter().rev());
        let n = pairs.take(MAX_MATCH).take_while(|(a, b)| a == b).count();
        if longest.is_none_or(|(_, most)| n > most) {
            longest = Some((end, n));
        }
        if n == MAX_MATCH {
            break;
        }
    }
    longest
}

/// Decides the lengths of drafts, from how often drafts were right and from the time that rows take.
#[derive(Debug)]
pub(super) struct DraftPolicy {
    /// Numbers of drafted tokens that were compared and of those chosen, by length of the match before
    /// them; index 0 is unused.
    compared: [f64; MAX_MATCH + 1],
    accepted: [f64; MAX_MATCH + 1],
    times: StepTimes,
    ignores_cost: bool,
}

impl DraftPolicy {
    pub(super) fn new(drafts: Drafts) -> Self {
        let (compared, accepted) = ([0.0; MAX_MATCH + 1], [0.0; MAX_MATCH + 1]);
        Self { compared, accepted, times: StepTimes::default(), ignores_cost: drafts.ignore_cost() }
    }

    /// Probability that the token after a match is the next one: the share of earlier ones, and before
    /// there are any, the more the longer the match is.
    fn share_right(&self, n_matched: usize) -> f64 {
        let expected = n_matched as f64 / (n_matched + 2) as f64;
        let (compared, accepted) = (self.compared[n_matched], self.accepted[n_matched]);
        (accepted + PRIOR * expected) / (compared + PRIOR)
    }

    /// Proposes tokens after `tokens`, at most `most`. A token is proposed if it raises the number of
    /// tokens per second that the forward step is expected to give. `step`: the step so far; each token of
    /// the draft adds `n_rows` rows to it.
    pub(super) fn propose(
        &self,
        tokens: &[u32],
        most: usize,
        n_rows: usize,
        step: &mut PlannedStep,
    ) -> TokenDraft {
        let most = most.min(MAX_DRAFT);
        let Some((start, n_matched)) = longest_match(tokens).filter(|_| most > 0) else {
            return TokenDraft::default();
        };
        let mut draft = TokenDraft { n_matched, ..TokenDraft::default() };
        let mut all_right = 1.0;
        for (index, id) in tokens[start..].iter().take(most).enumerate() {
            let n_matched = (n_matched + index).min(MAX_MATCH);
            all_right *= self.share_right(n_matched);
            let (time, more) = self.times.of(step.n_rows, n_rows);
            if !self.ignores_cost && all_right * time <= step.n_tokens * more {
                break;
            }
            step.n_rows += n_rows;
            step.n_tokens += all_right;
            draft.tokens.push(*id);
        }
        draft
    }

    /// Learns from a draft after its tokens were compared.
    pub(super) fn learn(&mut self, draft: &TokenDraft) {
        let n_compared = draft.n_accepted + usize::from(draft.is_rejected);
        for index in 0..n_compared {
            let n_matched = (draft.n_matched + index).min(MAX_MATCH);
            self.compared[n_matched] += 1.0;
            self.accepted[n_matched] += f64::from(u8::from(index < draft.n_accepted));
        }
    }

    /// Learns from a forward step of `n_rows` rows, all of texts that are generated.
    pub(super) fn learn_time(&mut self, n_rows: usize, time: Duration) {
        // What was wrong long ago is tried again.
        for count in self.compared.iter_mut().chain(&mut self.accepted) {
            *count *= EVIDENCE_FADING;
        }
        self.times.add(n_rows as f64, time.as_secs_f64());
    }
}

/// Number of compared tokens that the expectation counts as.
const PRIOR: f64 = 4.0;

/// Weight of what was learned relative to one forward step later: about the last 500 steps count.
const EVIDENCE_FADING: f64 = 0.998;

/// A forward step that drafts are planned for.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlannedStep {
    /// Number of rows.
    pub(super) n_rows: usize,
    /// Expected number of tokens that it gives.
    pub(super) n_tokens: f64,
}

/// Share of a forward step of one row that each further row takes, until measured.
const USUAL_SHARE: f64 = 0.25;

/// Times of forward steps as a straight line over their rows, by least squares with weights that fade.
#[derive(Debug, Default)]
struct StepTimes {
    weight: f64,
    rows: f64,
    time: f64,
    rows_rows: f64,
    rows_time: f64,
}

impl StepTimes {
    /// Weight of a step relative to the next one: about the last 200 steps count.
    const FADING: f64 = 0.995;

    fn add(&mut self, rows: f64, time: f64) {
        for sum in [
            &mut self.weight,
            &mut self.rows,
            &mut self.time,
            &mut self.rows_rows,
            &mut self.rows_time,
        ] {
            *sum *= Self::FADING;
        }
        self.weight += 1.0;
        self.rows += rows;
        self.time += time;
        self.rows_rows += rows * rows;
        self.rows_time += rows * time;
    }

    /// Time of a step of `n_rows` rows, and the time that `n_more` rows add, in one unit.
    fn of(&self, n_rows: usize, n_more: usize) -> (f64, f64) {
        let (rows, more) = (n_rows as f64, n_more as f64);
        let usual = (1.0 + USUAL_SHARE * (rows - 1.0), USUAL_SHARE * more);
        if self.weight < 8.0 {
            return usual;
        }
        let (mean_rows, mean_time) = (self.rows / self.weight, self.time / self.weight);
        let variance = self.rows_rows / self.weight - mean_rows * mean_rows;
        if variance < 0.01 {
            return usual;
        }
        let slope = (self.rows_time / self.weight - mean_rows * mean_time) / variance;
        let slope = slope.max(0.0);
        let time = mean_time + slope * (rows - mean_rows);
        match time > 0.0 {
            true => (time, slope * more),
            false => usual,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// The longest match by trying every place and length.
    fn slow_match(tokens: &[u32]) -> Option<(usize, usize)> {
        let ends_alike =
            |end: usize, n: usize| n <= end && tokens[end - n..end] == tokens[tokens.len() - n..];
        (1..=MAX_MATCH).rev().find_map(|n| {
            (1..tokens.len()).rev().find(|end| ends_alike(*end, n)).map(|end| (end, n))
        })
    }

    proptest! {
        #[test]
        fn the_longest_match_is_found(tokens in proptest::collection::vec(0u32..4, 0..60)) {
            prop_assert_eq!(longest_match(&tokens), slow_match(&tokens));
        }

        #[test]
        fn drafts_continue_a_match(
            tokens in proptest::collection::vec(0u32..3, 0..60), most in 0usize..12
        ) {
            let policy = DraftPolicy::new(Drafts::Lookup);
            let mut step = PlannedStep { n_rows: 1, n_tokens: 1.0 };
            let draft = policy.propose(&tokens, most, 1, &mut step);
            prop_assert!(draft.len() <= most.min(MAX_DRAFT));
            prop_assert_eq!(step.n_rows, 1 + draft.len());
            let is_copy = |start: usize| tokens[start..].starts_with(&draft.tokens);
            prop_assert!(draft.is_empty() || (1..tokens.len()).any(is_copy));
        }
    }

    fn taught(right: bool, rows_cost: f64) -> DraftPolicy {
        let mut policy = DraftPolicy::new(Drafts::Lookup);
        for n_matched in 1..=MAX_MATCH {
            for _ in 0..200 {
                let mut draft = TokenDraft { tokens: vec![7], n_matched, ..TokenDraft::default() };
                draft.judge(if right { 7 } else { 8 });
                policy.learn(&draft);
            }
        }
        for n_rows in [1, 2, 4].repeat(5) {
            let time = 1.0 + rows_cost * (n_rows as f64 - 1.0);
            policy.learn_time(n_rows, Duration::from_secs_f64(time));
        }
        policy
    }

    fn length(policy: &DraftPolicy) -> usize {
        let tokens: Vec<u32> = (0..20).chain(0..10).collect();
        policy.propose(&tokens, 100, 1, &mut PlannedStep { n_rows: 1, n_tokens: 1.0 }).len()
    }

    #[test]
    fn drafts_are_as_long_as_they_pay() {
        assert_eq!(length(&taught(true, 0.0)), MAX_DRAFT);
        assert_eq!(length(&taught(true, 0.3)), MAX_DRAFT);
        // Rows that cost as much as a step of their own never pay.
        assert_eq!(length(&taught(true, 1.0)), 0);
        assert_eq!(length(&taught(false, 0.3)), 0);
        // Before anything is learned, a match of eight tokens is worth a try, and one of one token is not.
        let policy = DraftPolicy::new(Drafts::Lookup);
        assert!((1..MAX_DRAFT).contains(&length(&policy)));
        let mut step = PlannedStep { n_rows: 1, n_tokens: 1.0 };
        assert_eq!(policy.propose(&[1, 2, 3, 1], 9, 2, &mut step).len(), 0);
    }

    #[test]
    fn drafts_that_were_wrong_are_tried_again_later() {
        let mut policy = taught(false, 0.3);
        assert_eq!(length(&policy), 0);
        for _ in 0..3_000 {
            policy.learn_time(1, Duration::from_millis(10));
        }
        assert!(length(&policy) > 0);
    }

    #[test]
    fn a_draft_is_void_after_its_first_wrong_token() {
        let mut draft = TokenDraft { tokens: vec![1, 2, 3], n_matched: 2, ..TokenDraft::default() };
        draft.judge(1);
        assert_eq!((draft.n_accepted(), draft.is_rejected()), (1, false));
        draft.judge(9);
        assert_eq!((draft.n_accepted(), draft.is_rejected()), (1, true));
        let mut policy = DraftPolicy::new(Drafts::Lookup);
        policy.learn(&draft);
        assert_eq!((policy.compared[2], policy.accepted[2]), (1.0, 1.0));
        assert_eq!((policy.compared[3], policy.accepted[3]), (1.0, 0.0));
        assert_eq!(policy.compared[4], 0.0);
    }

    #[test]
    fn times_are_a_line_over_rows() {
        let mut times = StepTimes::default();
        for rows in [1.0, 2.0, 3.0, 5.0].repeat(5) {
            times.add(rows, 10.0 + 2.0 * rows);
        }
        let (time, more) = times.of(4, 3);
        assert!((time - 18.0).abs() < 1e-6 && (more - 6.0).abs() < 1e-6, "{time} {more}");
    }
}
