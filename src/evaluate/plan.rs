//! Plan of an evaluation: held-out texts, the wrong users for each, and pairs for the swap test.

use std::collections::{BTreeMap, HashMap};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::Result;
use super::pairs::{PairOptions, Partner, UserPair, choose_pairs};
use super::wrong_users::{MatchOptions, Traits, WrongUser, wrong_users};
use idiolect_core::corpus::split::{Split, SplitPart, UserSplit};
use idiolect_core::corpus::{Item, ReviewId, Store, StoredReview, View};
use idiolect_metrics::overlap::has_words_unseen_by_rouge;

/// Minimum number of texts in a wrong user's history.
const MIN_HISTORY: usize = 2;

/// Parameters of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PlanOptions {
    /// Part of the split whose texts are evaluated.
    pub part: SplitPart,
    /// Most users to evaluate, drawn at random; `None` takes all.
    pub users: Option<usize>,
    /// Number of wrong users per held-out text.
    pub wrong_users: usize,
    /// Most pairs of each kind (random, nearest) for the swap test.
    pub pairs: usize,
    /// Whether peers' texts may be newer than the target, as in DPL's published code.
    pub peers_any_time: bool,
    /// Seed of all choices.
    pub seed: u64,
}

/// One held-out text and its experiment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Case {
    /// Held-out text.
    pub(crate) review: StoredReview,
    /// Item of the text.
    pub(crate) item: Item,
    /// The user's reviews that methods may not read: this text, the ones held out after it, and those
    /// of its item that are not among the split's earlier reviews.
    pub(crate) hidden: Vec<ReviewId>,
    /// Other users whose histories replace the user's own, best match first.
    pub(crate) wrong: Vec<WrongUser>,
}

/// Rule that a pair was chosen by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PairKind {
    /// Drawn at random.
    Random,
    /// Nearest user by user embedding.
    Nearest,
}

/// Two users who wrote about one item.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SwapCase {
    /// Names of the users and id of the item.
    pub(crate) pair: UserPair,
    /// Rule that the pair was chosen by.
    pub(crate) kind: PairKind,
    /// The item.
    pub(crate) item: Item,
    /// Real reviews of the item, by A and by B.
    pub(crate) real: [StoredReview; 2],
}

/// A plan: everything that is evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Parameters of the plan.
    pub options: PlanOptions,
    /// Held-out texts, ordered by user and time.
    pub(crate) cases: Vec<Case>,
    /// Pairs for the swap test.
    pub(crate) swaps: Vec<SwapCase>,
    /// Held-out texts of every user of the split. The swap test hides a pair's from the method and
    /// compares the generated texts with them.
    pub(crate) own: BTreeMap<String, Vec<StoredReview>>,
    /// Number of users with a case.
    n_users: usize,
}

impl Plan {
    /// Plans the evaluation of a split. `embeddings` are the users'; without them there are no
    /// nearest pairs.
    ///
    /// # Errors
    /// Error if the split has no text of the requested part, or the store cannot be read.
    pub fn new(
        store: &Store,
        split: &Split,
        options: &PlanOptions,
        embeddings: Option<&HashMap<String, Vec<f32>>>,
    ) -> Result<Self> {
        let users = chosen(split, options);
        if users.is_empty() {
            let (operation, what) =
                ("plan an evaluation", "users with a held-out text of that part");
            return Err(
                idiolect_metrics::Error::TooFew { operation, what, got: 0, needed: 1 }.into()
            );
        }
        let histories = Histories::read(store, split)?;
        let mut cases = Vec::new();
        for user in &users {
            for (index, (part, id)) in user.inputs.iter().enumerate() {
                if *part == options.part {
                    cases.push(histories.case(store, user, index, *id, options)?);
                }
            }
        }
        let mut own = BTreeMap::new();
        for user in &split.users {
            let inputs: Vec<ReviewId> = user.inputs.iter().map(|(_, id)| *id).collect();
            own.insert(user.user.clone(), View::all(store).reviews(&inputs)?);
        }
        let swaps = swaps(store, (&users, &own), options, embeddings)?;
        Ok(Self { options: *options, cases, swaps, own, n_users: users.len() })
    }

    /// Held-out texts of every user of the split, of any part, and the texts that a case hides with
    /// its own; ascending.
    #[must_use]
    pub fn held_out(&self) -> Vec<ReviewId> {
        let of_users = self.own.values().flatten().map(|stored| stored.id);
        let of_cases = self.cases.iter().flat_map(|case| case.hidden.iter().copied());
        let mut held_out: Vec<ReviewId> = of_users.chain(of_cases).collect();
        held_out.sort_unstable();
        held_out.dedup();
        held_out
    }

    /// Number of held-out texts with letters or digits that ROUGE does not see.
    #[must_use]
    pub fn n_unseen_by_rouge(&self) -> usize {
        let texts = self.cases.iter().map(|case| &case.review.review.text);
        texts.filter(|text| has_words_unseen_by_rouge(text)).count()
    }

    /// Number of users with a case.
    #[must_use]
    pub(crate) fn n_users(&self) -> usize {
        self.n_users
    }
}

/// Users with a text of the requested part, sampled if `options.users` limits them, ordered by
/// name.
fn chosen<'a>(split: &'a Split, options: &PlanOptions) -> Vec<&'a UserSplit> {
    let has = |user: &&UserSplit| user.inputs.iter().any(|(part, _)| *part == options.part);
    let mut users: Vec<&UserSplit> = split.users.iter().filter(has).collect();
    if let Some(n) = options.users {
        users.shuffle(&mut ChaCha8Rng::seed_from_u64(options.seed));
        users.truncate(n);
        users.sort_unstable_by(|a, b| a.user.cmp(&b.user));
    }
    users
}

/// Traits of every user of the split, computed from the user's reviews that are not held out.
struct Histories {
    traits: Vec<Traits>,
}

impl Histories {
    fn read(store: &Store, split: &Split) -> Result<Self> {
        let mut traits = Vec::with_capacity(split.users.len());
        for user in &split.users {
            traits.push(traits_of(store, &user.user, &user.profile)?);
        }
        Ok(Self { traits })
    }

    fn case(
        &self,
        store: &Store,
        user: &UserSplit,
        index: usize,
        id: ReviewId,
        options: &PlanOptions,
    ) -> Result<Case> {
        let [review] = reviews(store, [id])?;
        let item = store.item(&review.review.item)?;
        let past: Vec<ReviewId> = user
            .profile
            .iter()
            .copied()
            .chain(user.inputs[..index].iter().map(|(_, id)| *id))
            .collect();
        let right = traits_of(store, &user.user, &past)?;
        let seed = options.seed;
        let matching = MatchOptions { n: options.wrong_users, at_least: MIN_HISTORY, seed };
        let wrong = wrong_users(&right, &item, &self.traits, &matching);
        let mut hidden: Vec<ReviewId> = user.inputs[index..].iter().map(|(_, id)| *id).collect();
        // A later text about the same item may answer or quote this one, and one that the split left
        // out as a repeated item was left out so that the item is new to the user.
        let written = store.history(&user.user)?.into_iter();
        let on_item = written.filter(|r| r.review.item == item.id).map(|r| r.id);
        let unseen: Vec<ReviewId> =
            on_item.filter(|id| !past.contains(id) && !hidden.contains(id)).collect();
        hidden.extend(unseen);
        Ok(Case { review, item, hidden, wrong })
    }
}

fn traits_of(store: &Store, user: &str, ids: &[ReviewId]) -> Result<Traits> {
    let reviews = View::all(store).reviews(ids)?;
    let items = reviews.iter().map(|r| store.item(&r.review.item));
    let items = items.collect::<idiolect_core::corpus::Result<Vec<Item>>>()?;
    let history: Vec<_> = reviews.iter().map(|r| &r.review).zip(&items).collect();
    Ok(Traits::of(user, &history))
}

/// Pairs of users for the swap test, among reviews that are not held out and have text. The generated
/// texts are compared with the users' held-out texts `own`, so an item of one of these is left out. Of
/// several reviews of a user of an item the newest is the real one.
fn swaps(
    store: &Store,
    (users, own): (&[&UserSplit], &BTreeMap<String, Vec<StoredReview>>),
    options: &PlanOptions,
    embeddings: Option<&HashMap<String, Vec<f32>>>,
) -> Result<Vec<SwapCase>> {
    if options.pairs == 0 {
        return Ok(Vec::new());
    }
    let mut texts = Vec::new();
    for user in users {
        let written = View::all(store).reviews(&user.profile)?;
        let held_out = own.get(&user.user).map_or(&[][..], Vec::as_slice);
        texts.extend(written.into_iter().filter(|written| {
            let is_held_out = held_out.iter().any(|r| r.review.item == written.review.item);
            !is_held_out && !written.review.text.trim().is_empty()
        }));
    }
    let named: Vec<(&str, &str)> =
        texts.iter().map(|r| (r.review.user.as_str(), r.review.item.as_str())).collect();
    let of = PairOptions { n: options.pairs, most_per_user: 1, seed: options.seed };
    let random = choose_pairs(&named, Partner::Random, &of);
    let nearest = match embeddings {
        Some(embeddings) => choose_pairs(&named, Partner::Nearest(embeddings), &of),
        None => Vec::new(),
    };
    let written: HashMap<(&str, &str), &StoredReview> = named.iter().copied().zip(&texts).collect();
    let kinds = random.into_iter().map(|pair| (pair, PairKind::Random));
    let mut cases = Vec::new();
    for (pair, kind) in kinds.chain(nearest.into_iter().map(|pair| (pair, PairKind::Nearest))) {
        let real = |user: &str| written.get(&(user, pair.item.as_str())).copied().cloned();
        if let (Some(a), Some(b)) = (real(&pair.a), real(&pair.b)) {
            let item = store.item(&pair.item)?;
            cases.push(SwapCase { pair, kind, item, real: [a, b] });
        }
    }
    Ok(cases)
}

fn reviews<const N: usize>(store: &Store, ids: [ReviewId; N]) -> Result<[StoredReview; N]> {
    let found = View::all(store).reviews(&ids)?;
    let got = found.len();
    found.try_into().map_err(|_| {
        let operation = "read the held-out texts";
        idiolect_metrics::Error::TooFew { operation, what: "reviews", got, needed: N }.into()
    })
}
