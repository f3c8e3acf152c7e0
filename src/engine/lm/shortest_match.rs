//! Shortest continuation of a partial text to a match of a regular expression.
//!
//! For each state of the expression's automaton (a Thompson NFA over bytes), a backward search
//! computes the number of bytes to a match. A text is then followed through sets of states; the
//! state closest to a match determines the next byte.

use std::collections::{HashSet, VecDeque};
use std::error::Error as _;
use std::sync::Arc;

use regex_automata::nfa::thompson::{Config, NFA, State, Transition, WhichCaptures};
use regex_automata::util::primitives::StateID;

/// Maximum size of an automaton, bytes.
const MAX_BYTES: usize = 8 << 20;
/// Distance of a state from which no match can be reached.
const NEVER: u32 = u32::MAX;
/// Bytes preferred if several lead to a shortest match, best first.
const PREFERRED: &[u8] = b"-0aA ";

/// An automaton with the distance of each state to a match.
#[derive(Debug)]
struct Distances {
    nfa: NFA,
    /// Number of bytes to a match, by state.
    to_match: Vec<u32>,
}

/// State of a text that is to match the expression.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    distances: Arc<Distances>,
    /// Possible states, including those reached by steps that take no byte.
    at: Vec<StateID>,
}

impl Walk {
    /// Starts an empty text that the whole expression is to match; `None` if its automaton is too
    /// large.
    ///
    /// # Errors
    /// The expression is invalid; the message gives the position and the cause.
    pub(super) fn new(regex: &str) -> Result<Option<Self>, String> {
        let config =
            Config::new().which_captures(WhichCaptures::None).nfa_size_limit(Some(MAX_BYTES));
        let nfa = match NFA::compiler().configure(config).build(regex) {
            Ok(nfa) => nfa,
            Err(error) if error.size_limit().is_some() => return Ok(None),
            Err(error) => {
                return Err(error.source().map_or(error.to_string(), ToString::to_string));
            }
        };
        let to_match = distances(&nfa);
        let start = nfa.start_anchored();
        let mut walk = Self { distances: Arc::new(Distances { nfa, to_match }), at: Vec::new() };
        walk.at = walk.closure([start], |_| true);
        Ok(Some(walk))
    }

    /// Appends these bytes to the text.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let nfa = &self.distances.nfa;
            let next = self.at.iter().flat_map(|id| transitions(nfa.state(*id)));
            let next: Vec<StateID> = next
                .filter(|transition| (transition.start..=transition.end).contains(byte))
                .map(|transition| transition.next)
                .collect();
            self.at = self.closure(next, |_| true);
        }
    }

    /// Whether the text is a match.
    pub(super) fn is_match(&self) -> bool {
        let distance = |id: &StateID| self.distances.to_match[id.as_usize()];
        self.at.iter().any(|id| distance(id) == 0)
    }

    /// Shortest continuation to a match; `None` if no match can follow.
    pub(super) fn shortest(&self) -> Option<Vec<u8>> {
        let Distances { nfa, to_match } = &*self.distances;
        let distance = |id: &StateID| to_match[id.as_usize()];
        let nearest = self.at.iter().map(distance).min().filter(|nearest| *nearest != NEVER)?;
        let mut bytes = Vec::with_capacity(nearest as usize);
        // Only the nearest states lead on. Those of two steps differ in their distance, so that no state is
        // looked at twice, however large the automaton is.
        let mut at: Vec<StateID> =
            self.at.iter().copied().filter(|id| distance(id) == nearest).collect();
        for left in (0..nearest).rev() {
            let ways: Vec<Transition> = at
                .iter()
                .flat_map(|id| transitions(nfa.state(*id)))
                .filter(|way| distance(&way.next) == left)
                .collect();
            let has = |way: &&Transition, byte: u8| (way.start..=way.end).contains(&byte);
            let preferred =
                PREFERRED.iter().copied().find(|byte| ways.iter().any(|way| has(&way, *byte)));
            let byte = preferred.or_else(|| ways.first().map(|way| way.start))?;
            bytes.push(byte);
            let next = ways.iter().filter(|way| has(way, byte)).map(|way| way.next);
            at = self.closure(next, |id| distance(id) == left);
        }
        Some(bytes)
    }

    /// These states and those reached from them without a byte, as far as they are wanted.
    fn closure(
        &self,
        states: impl IntoIterator<Item = StateID>,
        is_wanted: impl Fn(&StateID) -> bool,
    ) -> Vec<StateID> {
        let mut seen: HashSet<StateID> = HashSet::new();
        let mut open: VecDeque<StateID> = states.into_iter().collect();
        let mut closed = Vec::new();
        while let Some(id) = open.pop_front() {
            if seen.insert(id) {
                closed.push(id);
                open.extend(steps(self.distances.nfa.state(id)).into_iter().filter(&is_wanted));
            }
        }
        closed
    }
}

/// Number of bytes to a match, by state: a backward breadth-first search in which a step without a
/// byte costs nothing.
fn distances(nfa: &NFA) -> Vec<u32> {
    let states = nfa.states();
    let mut before: Vec<Vec<(u32, bool)>> = vec![Vec::new(); states.len()];
    let mut to_match = vec![NEVER; states.len()];
    let mut open = VecDeque::new();
    for (id, state) in states.iter().enumerate() {
        for next in steps(state) {
            before[next.as_usize()].push((id as u32, false));
        }
        for transition in transitions(state) {
            before[transition.next.as_usize()].push((id as u32, true));
        }
        if matches!(state, State::Match { .. }) {
            to_match[id] = 0;
            open.push_back(id as u32);
        }
    }
    while let Some(id) = open.pop_front() {
        let distance = to_match[id as usize];
        for &(before, takes_byte) in &before[id as usize] {
            let distance = distance + u32::from(takes_byte);
            if distance < to_match[before as usize] {
                to_match[before as usize] = distance;
                match takes_byte {
                    true => open.push_back(before),
                    false => open.push_front(before),
                }
            }
        }
    }
    to_match
}

/// Steps that take no byte. Anchors are such steps, since the parser allows them only at the ends.
fn steps(state: &State) -> Vec<StateID> {
    match state {
        State::Look { next, .. } | State::Capture { next, .. } => vec![*next],
        State::Union { alternates } => alternates.to_vec(),
        State::BinaryUnion { alt1, alt2 } => vec![*alt1, *alt2],
        _ => Vec::new(),
    }
}

/// Steps that take a byte.
fn transitions(state: &State) -> Vec<Transition> {
    match state {
        State::ByteRange { trans } => vec![*trans],
        State::Sparse(sparse) => sparse.transitions.to_vec(),
        State::Dense(dense) => (0..=255)
            .filter_map(|byte| {
                Some(Transition { start: byte, end: byte, next: dense.matches_byte(byte)? })
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shortest(regex: &str, text: &str) -> Option<String> {
        let mut walk = Walk::new(regex).unwrap().unwrap();
        walk.push(text.as_bytes());
        walk.shortest().map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn the_way_is_the_shortest_from_wherever_the_text_stands() {
        for (regex, text, way) in [
            ("", "", Some("")),
            ("yes|no|maybe", "", Some("no")),
            ("yes|no|maybe", "ma", Some("ybe")),
            ("yes|no|maybe", "x", None),
            ("[a-z]{3,5}-[0-9]{4}", "ab", Some("a-0000")),
            ("[a-z]{3,5}-[0-9]{4}", "abcde", Some("-0000")),
            (r"^[\w.]+@[a-z]+\.(com|io)$", "me", Some("@a.io")),
            ("(ab)*", "ab", Some("")),
            ("(ab)*", "aba", Some("b")),
            ("[é-ü]x", "é", Some("x")),
        ] {
            assert_eq!(shortest(regex, text).as_deref(), way, "{regex} behind {text:?}");
        }
        let mut walk = Walk::new("a+b?").unwrap().unwrap();
        let matches = ["a", "b", "b"].map(|more| {
            walk.push(more.as_bytes());
            walk.is_match()
        });
        assert_eq!(matches, [true, true, false]);
        // The text ends in the middle of a character.
        let mut walk = Walk::new("é+").unwrap().unwrap();
        walk.push(&"é".as_bytes()[..1]);
        assert_eq!(walk.shortest().unwrap(), "é".as_bytes()[1..]);
    }

    #[test]
    fn a_large_automaton_takes_no_longer_than_its_size() {
        let way = shortest("(a?){9000}b{9000}", "aa").unwrap();
        assert_eq!(way, "b".repeat(9000));
    }

    #[test]
    fn what_is_wrong_or_too_large_is_told() {
        assert!(Walk::new("a(b").unwrap_err().contains("unclosed group"));
        assert!(Walk::new(r"\pL{5000}").unwrap().is_none());
    }
}
