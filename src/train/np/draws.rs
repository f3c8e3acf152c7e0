//! Pairs of users, drawn for training and validation.

use std::collections::BTreeSet;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::PeerLength;
use super::texts::{StylePair, StyleTexts};

/// Most pairs in a context.
pub(super) const MAX_CONTEXT: usize = 8;
/// Pairs of a user that are judged in one step.
pub(super) const TARGETS: usize = 4;

/// Own texts of users, oldest first, with the peers' texts that each may be paired with.
#[derive(Debug, Clone)]
pub(super) struct PairSource {
    users: Vec<Vec<(usize, Vec<usize>)>>,
}

/// Pairs of one user: those that are known, and those to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DrawnPairs {
    pub(super) context: Vec<StylePair>,
    pub(super) targets: Vec<StylePair>,
}

impl DrawnPairs {
    /// The pairs of somebody who always prefers the other text. As these are drawn as often, no text is
    /// preferred by itself: a net learns nothing but to tell by the context, and cannot do with the
    /// texts that it remembers (swapped mirror users: SPL, ICLR 2026).
    fn mirrored(mut self) -> Self {
        for pair in self.context.iter_mut().chain(&mut self.targets) {
            std::mem::swap(&mut pair.own, &mut pair.peer);
        }
        self
    }
}

impl PairSource {
    /// The pairs of `users`, whose texts are `of_user`, with peers' texts by users of `among`. Users
    /// with fewer than two texts that can be paired are left out.
    pub(super) fn new(
        texts: &StyleTexts,
        of_user: &[Vec<usize>],
        (users, among): (&BTreeSet<usize>, &BTreeSet<usize>),
        length: PeerLength,
    ) -> Self {
        let paired = |user: &usize| -> Vec<(usize, Vec<usize>)> {
            let own = of_user[*user].iter().copied();
            let own = own.map(|at| (at, texts.peers(at, length, |peer| among.contains(&peer))));
            own.filter(|(_, peers)| !peers.is_empty()).collect()
        };
        let users = users.iter().map(paired).filter(|own| own.len() > 1).collect();
        Self { users }
    }

    /// Number of users.
    pub(super) fn n_users(&self) -> usize {
        self.users.len()
    }

    /// Draws the pairs of `n` users. Nothing of the context is younger than a text to judge. Contexts
    /// have 0 to 8 pairs, each number as often; a text comes again, with another peer drawn, where
    /// there are fewer texts. Half of the users are mirrored: all of their pairs are the other way round.
    pub(super) fn draw(&self, n: usize, seed: u64, stream: u64) -> Vec<DrawnPairs> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        (0..n).map(|_| self.of_a_user(&mut random)).collect()
    }

    fn of_a_user(&self, random: &mut ChaCha8Rng) -> DrawnPairs {
        let own = &self.users[random.random_range(0..self.users.len())];
        let n_context = random.random_range(0..=MAX_CONTEXT);
        let cut = if n_context == 0 { 0 } else { random.random_range(1..own.len()) };
        let mut older: Vec<usize> = (0..cut).collect();
        older.shuffle(random);
        let pair = |at: usize, random: &mut ChaCha8Rng| {
            let (text, peers) = &own[at];
            StylePair { own: *text, peer: peers[random.random_range(0..peers.len())] }
        };
        let context = (0..n_context).map(|i| pair(older[i % cut], random)).collect();
        let targets = (0..TARGETS).map(|_| {
            let at = random.random_range(cut..own.len());
            pair(at, random)
        });
        let drawn = DrawnPairs { context, targets: targets.collect() };
        if random.random() { drawn } else { drawn.mirrored() }
    }
}
