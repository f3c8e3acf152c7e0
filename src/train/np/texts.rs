//! The visible texts of a corpus with their owners, and pairs of an own text and a peer's.

use std::collections::{BTreeSet, HashMap};

use idiolect_core::corpus::{ReviewId, View};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::features::n_words;
use crate::Result;

/// Greatest ratio of the lengths of two texts that count as equally long.
pub(super) const SAME_LENGTH: f64 = 1.25;

/// Peers' texts that an own text is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerLength {
    /// Any on the same item.
    #[default]
    Any,
    /// As many words, within 25 %, on the same item.
    Matched,
}

/// One text.
#[derive(Debug, Clone)]
pub(super) struct StyleText {
    pub(super) id: ReviewId,
    pub(super) text: String,
    /// Index of its user in [`StyleTexts::users`].
    pub(super) user: usize,
    item: usize,
    n_words: usize,
}

/// The visible texts that are not blank.
#[derive(Debug, Clone)]
pub(crate) struct StyleTexts {
    /// User by user, each user's oldest first.
    pub(super) texts: Vec<StyleText>,
    /// Names, in their byte order.
    pub(super) users: Vec<String>,
    /// Indices of each user's texts, oldest first.
    pub(super) of_user: Vec<Vec<usize>>,
    of_item: Vec<Vec<usize>>,
}

/// An own text and a peer's on the same item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StylePair {
    /// Index of the user's text.
    pub(super) own: usize,
    /// Index of the peer's text.
    pub(super) peer: usize,
}

impl StyleTexts {
    pub(crate) fn read(view: &View<'_>) -> Result<Self> {
        let mut users: Vec<String> =
            view.store().users(1)?.into_iter().map(|summary| summary.user).collect();
        users.sort_unstable();
        let mut items: HashMap<String, usize> = HashMap::new();
        let mut texts = Vec::new();
        let mut of_user = Vec::with_capacity(users.len());
        for (user, name) in users.iter().enumerate() {
            let first = texts.len();
            for stored in view.history(name)? {
                let review = stored.review;
                let n_words = n_words(&review.text);
                if n_words > 0 {
                    let n_items = items.len();
                    let item = *items.entry(review.item).or_insert(n_items);
                    texts.push(StyleText { id: stored.id, text: review.text, user, item, n_words });
                }
            }
            of_user.push((first..texts.len()).collect());
        }
        let mut of_item = vec![Vec::new(); items.len()];
        for (at, text) in texts.iter().enumerate() {
            of_item[text.item].push(at);
        }
        Ok(Self { texts, users, of_user, of_item })
    }

    /// Number of users.
    pub(crate) fn n_users(&self) -> usize {
        self.users.len()
    }

    /// Name of a user.
    pub(crate) fn name_of(&self, user: usize) -> &str {
        &self.users[user]
    }

    /// A user's texts, oldest first.
    pub(crate) fn texts_of(&self, user: usize) -> &[usize] {
        &self.of_user[user]
    }

    /// The user of a text.
    pub(crate) fn user_of(&self, text: usize) -> usize {
        self.texts[text].user
    }

    /// The words of a text.
    pub(crate) fn text_of(&self, text: usize) -> &str {
        &self.texts[text].text
    }

    /// The words of all texts of users.
    pub(crate) fn all_of(&self, users: &BTreeSet<usize>) -> Vec<&str> {
        let of_users = self.texts.iter().filter(|text| users.contains(&text.user));
        of_users.map(|text| text.text.as_str()).collect()
    }

    /// The review of a text.
    pub(crate) fn id_of(&self, text: usize) -> ReviewId {
        self.texts[text].id
    }

    /// Peers' texts that a text is compared with: by other users, on the same item; one a user, the
    /// first.
    pub(crate) fn peers(
        &self,
        text: usize,
        length: PeerLength,
        is_allowed: impl Fn(usize) -> bool,
    ) -> Vec<usize> {
        let own = &self.texts[text];
        let mut seen = BTreeSet::from([own.user]);
        let on_item = self.of_item[own.item].iter().copied();
        on_item
            .filter(|other| {
                let peer = &self.texts[*other];
                let (a, b) = (own.n_words as f64, peer.n_words as f64);
                let fits = length == PeerLength::Any || a.max(b) <= SAME_LENGTH * a.min(b);
                fits && peer.text != own.text && is_allowed(peer.user) && seen.insert(peer.user)
            })
            .collect()
    }

    /// Texts by their words alone: each user of `among` gets as many texts as before, drawn at random
    /// from all of theirs. A control: nothing that is learnt from it can be about a person.
    pub(super) fn shuffled(&self, among: &BTreeSet<usize>, seed: u64) -> Vec<Vec<usize>> {
        let mut pool: Vec<usize> =
            among.iter().flat_map(|user| self.of_user[*user].iter().copied()).collect();
        pool.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        let mut rest = pool.into_iter();
        let mut of_user = vec![Vec::new(); self.users.len()];
        for user in among {
            of_user[*user] = rest.by_ref().take(self.of_user[*user].len()).collect();
        }
        of_user
    }

    /// Ids of the texts of users, ascending.
    pub(crate) fn ids_of(&self, users: &BTreeSet<usize>) -> Vec<ReviewId> {
        let texts = users.iter().flat_map(|user| &self.of_user[*user]);
        let mut ids: Vec<ReviewId> = texts.map(|text| self.texts[*text].id).collect();
        ids.sort_unstable();
        ids
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use idiolect_core::corpus::{Review, Store};

    fn texts() -> (Store, StyleTexts) {
        let store = Store::in_memory().unwrap();
        let review = |user: &str, item: &str, text: &str, time| Review {
            user: user.to_owned(),
            item: item.to_owned(),
            rating: None,
            title: String::new(),
            text: text.to_owned(),
            time,
        };
        let rows = [
            review("bob", "x", "one two three four", 3),
            review("ann", "x", "one two three four five", 2),
            review("ann", "y", "only me", 1),
            review("cyd", "x", "one two three four five six seven", 1),
            review("dan", "x", "  ...  ", 1),
        ];
        store.put_reviews(&rows).unwrap();
        let texts = StyleTexts::read(&View::all(&store)).unwrap();
        (store, texts)
    }

    #[test]
    fn peers_wrote_about_the_item_and_may_have_to_be_as_long() {
        let (_store, texts) = texts();
        assert_eq!(texts.users, ["ann", "bob", "cyd", "dan"]);
        let newest = texts.of_user[0][1];
        let of = |length, allowed: fn(usize) -> bool| {
            let peers = texts.peers(newest, length, allowed);
            peers
                .into_iter()
                .map(|at| texts.users[texts.texts[at].user].as_str())
                .collect::<Vec<_>>()
        };
        assert_eq!(of(PeerLength::Any, |_| true), ["bob", "cyd"]);
        assert_eq!(of(PeerLength::Any, |user| user != 1), ["cyd"]);
        assert_eq!(of(PeerLength::Matched, |_| true), ["bob"]);
        assert!(texts.peers(texts.of_user[0][0], PeerLength::Any, |_| true).is_empty());
    }

    #[test]
    fn shuffled_users_keep_their_number_of_texts() {
        let (_store, texts) = texts();
        let among = BTreeSet::from([0, 2]);
        let shuffled = texts.shuffled(&among, 3);
        let counts: Vec<usize> = shuffled.iter().map(Vec::len).collect();
        assert_eq!(counts, [2, 0, 1, 0]);
        let mut all: Vec<usize> = shuffled.concat();
        all.sort_unstable();
        let own = [texts.of_user[0].clone(), texts.of_user[2].clone()].concat();
        assert_eq!(all, own);
        assert_eq!(texts.ids_of(&among).len(), 3);
    }
}
