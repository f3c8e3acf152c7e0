//! Pairs of users who wrote about the same item.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rand::SeedableRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// Rule that chooses a user's partner.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Partner<'a> {
    /// Any user with an item in common, at random: the easy test.
    Random,
    /// The user with an item in common whose embedding has the highest cosine: the hard test. Users
    /// without an embedding are not paired.
    Nearest(&'a HashMap<String, Vec<f32>>),
}

/// Limits and seed of the choice of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct PairOptions {
    /// Most pairs in total.
    pub(crate) n: usize,
    /// Most pairs per user.
    pub(crate) most_per_user: usize,
    /// Seed of the choice.
    pub(crate) seed: u64,
}

/// Two users and an item that both wrote about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct UserPair {
    /// One user.
    pub(crate) a: String,
    /// The other.
    pub(crate) b: String,
    /// The item.
    pub(crate) item: String,
}

/// Chooses pairs among texts, given as (user, item); their order does not matter. No two users are
/// paired twice and no text is in two pairs. As far as the items allow, every user is paired once
/// before any user is paired again.
#[must_use]
pub(crate) fn choose_pairs(
    texts: &[(&str, &str)],
    partner: Partner<'_>,
    options: &PairOptions,
) -> Vec<UserPair> {
    let mut free = UnpairedTexts::of(texts);
    let mut random = ChaCha8Rng::seed_from_u64(options.seed);
    let mut pairs = Vec::new();
    for round in 0..options.most_per_user {
        let mut users: Vec<&str> = free.items.keys().copied().collect();
        users.shuffle(&mut random);
        for user in users {
            if pairs.len() == options.n {
                return pairs;
            }
            let candidates = free.partners(user, round);
            let chosen = match partner {
                Partner::Random => candidates.choose(&mut random).copied(),
                Partner::Nearest(embeddings) => {
                    let at_nearest = nearest(user, &candidates, embeddings);
                    at_nearest.choose(&mut random).copied()
                }
            };
            if let Some((other, item)) = chosen {
                free.take(user, other, item);
                let [a, b, item] = [user, other, item].map(str::to_owned);
                pairs.push(UserPair { a, b, item });
            }
        }
    }
    pairs
}

/// Texts and users that can still be paired.
struct UnpairedTexts<'a> {
    /// Items of each user whose texts are in no pair.
    items: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// The same texts as users by item.
    users: BTreeMap<&'a str, BTreeSet<&'a str>>,
    n_pairs: HashMap<&'a str, usize>,
    paired: BTreeSet<(&'a str, &'a str)>,
}

impl<'a> UnpairedTexts<'a> {
    fn of(texts: &[(&'a str, &'a str)]) -> Self {
        let (mut items, mut users) = (BTreeMap::new(), BTreeMap::new());
        for &(user, item) in texts {
            items.entry(user).or_insert_with(BTreeSet::new).insert(item);
            users.entry(item).or_insert_with(BTreeSet::new).insert(user);
        }
        Self { items, users, n_pairs: HashMap::new(), paired: BTreeSet::new() }
    }

    /// Possible partners and items of a user in this round, ordered by item, then user.
    fn partners(&self, user: &str, round: usize) -> Vec<(&'a str, &'a str)> {
        let fresh = |user: &str| self.n_pairs.get(user).is_none_or(|n| *n <= round);
        if !fresh(user) {
            return Vec::new();
        }
        let items = self.items.get(user).into_iter().flatten();
        items
            .flat_map(|&item| self.users[item].iter().map(move |&other| (other, item)))
            .filter(|(other, _)| *other != user && fresh(other))
            .filter(|&(other, _)| !self.paired.contains(&(user.min(other), user.max(other))))
            .collect()
    }

    fn take(&mut self, user: &'a str, other: &'a str, item: &'a str) {
        for one in [user, other] {
            *self.n_pairs.entry(one).or_default() += 1;
            self.items.entry(one).or_default().remove(item);
            self.users.entry(item).or_default().remove(one);
        }
        self.paired.insert((user.min(other), user.max(other)));
    }
}

/// Candidates with the user nearest to `user`, one for each item in common.
fn nearest<'a>(
    user: &str,
    candidates: &[(&'a str, &'a str)],
    embeddings: &HashMap<String, Vec<f32>>,
) -> Vec<(&'a str, &'a str)> {
    let Some(own) = embeddings.get(user) else { return Vec::new() };
    let near = candidates
        .iter()
        .filter_map(|(other, _)| Some((cosine(own, embeddings.get(*other)?), *other)))
        .max_by(|(x, a), (y, b)| x.total_cmp(y).then(b.cmp(a)));
    let Some((_, nearest)) = near else { return Vec::new() };
    candidates.iter().copied().filter(|(other, _)| *other == nearest).collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn on_a_line(n: usize) -> HashMap<String, Vec<f32>> {
        (0..n).map(|i| (format!("u{i}"), vec![1.0, 0.2 * i as f32])).collect()
    }

    #[test]
    fn the_nearest_who_wrote_about_the_same_item_is_the_partner() {
        // u1 is nearest to u0 but has no item in common with any user.
        let texts = [("u0", "x"), ("u1", "y"), ("u2", "x"), ("u5", "x"), ("u6", "x")];
        let embeddings = on_a_line(7);
        for seed in 0..20 {
            let options = PairOptions { n: 9, most_per_user: 1, seed };
            let pairs = choose_pairs(&texts, Partner::Nearest(&embeddings), &options);
            let mut couples: Vec<_> =
                pairs.iter().map(|p| (p.a.as_str().min(&p.b), p.a.as_str().max(&p.b))).collect();
            couples.sort_unstable();
            let by_rank = [("u0", "u2"), ("u5", "u6")];
            // The first user to choose takes the nearest; u2 is nearer to u5 than to u0.
            let by_chance = [("u0", "u6"), ("u2", "u5")];
            assert!(couples == by_rank || couples == by_chance, "{couples:?}");
        }
        let nobody = HashMap::new();
        let options = PairOptions { n: 9, most_per_user: 1, seed: 0 };
        assert!(choose_pairs(&texts, Partner::Nearest(&nobody), &options).is_empty());
    }

    #[test]
    fn everybody_is_paired_once_before_anybody_is_again() {
        let users: Vec<String> = (0..40).map(|i| format!("u{i}")).collect();
        let texts: Vec<(&str, &str)> =
            users.iter().flat_map(|u| ["x", "y", "z"].map(|item| (u.as_str(), item))).collect();
        let options = PairOptions { n: 20, most_per_user: 3, seed: 5 };
        let pairs = choose_pairs(&texts, Partner::Random, &options);
        let met: BTreeSet<&str> = pairs.iter().flat_map(|p| [p.a.as_str(), &p.b]).collect();
        assert_eq!((pairs.len(), met.len()), (20, 40));
        let other = choose_pairs(&texts, Partner::Random, &PairOptions { seed: 6, ..options });
        assert_ne!(pairs, other);
    }

    proptest! {
        #[test]
        fn pairs_keep_to_the_rules(
            texts in proptest::collection::vec((0_usize..9, 0_usize..5), 0..30),
            n in 0_usize..20, most_per_user in 0_usize..4, seed: u64, near: bool,
        ) {
            let embeddings = on_a_line(8);
            let names: Vec<(String, String)> =
                texts.iter().map(|(u, i)| (format!("u{u}"), format!("i{i}"))).collect();
            let mut texts: Vec<(&str, &str)> =
                names.iter().map(|(u, i)| (u.as_str(), i.as_str())).collect();
            let partner = if near { Partner::Nearest(&embeddings) } else { Partner::Random };
            let options = PairOptions { n, most_per_user, seed };
            let pairs = choose_pairs(&texts, partner, &options);
            prop_assert!(pairs.len() <= n);
            let mut met: HashMap<&str, usize> = HashMap::new();
            let (mut couples, mut used) = (BTreeSet::new(), BTreeSet::new());
            for UserPair { a, b, item } in &pairs {
                prop_assert!(a != b && couples.insert((a.min(b), a.max(b))));
                for user in [a, b] {
                    prop_assert!(texts.contains(&(user, item)) && used.insert((user, item)));
                    *met.entry(user).or_default() += 1;
                    prop_assert!(!near || embeddings.contains_key(user));
                }
            }
            prop_assert!(met.values().all(|times| *times <= most_per_user));
            texts.reverse();
            prop_assert_eq!(pairs, choose_pairs(&texts, partner, &options));
        }
    }
}
