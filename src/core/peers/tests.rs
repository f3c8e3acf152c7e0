//! Tests of selections, embeddings and the index on small stores, with an encoder of a few words.

#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::linear::{cosine, norm};
use super::*;
use crate::corpus::{Item, Review, ReviewId, Store, View};
use idiolect_engine::encoder::Encoder;
use idiolect_engine::encoder::testing::{other_tiny_encoder, tiny_encoder, tiny_text as text};
use idiolect_engine::progress::{Progress, Silent};

fn review(user: &str, item: &str, text: &str, time: i64) -> Review {
    let (user, item, text) = (user.to_owned(), item.to_owned(), text.to_owned());
    Review { user, item, rating: None, title: String::new(), text, time }
}

/// Reviews of ten users on item `many`, of three on `few`, of all ten on `near-1` and `near-2`, and
/// of nobody on `none`.
fn rows() -> Vec<Review> {
    let mut rows = Vec::new();
    for u in 0..10 {
        let user = format!("u{u}");
        rows.push(review(&user, "many", &text(7 * u + 1), 100 + u as i64));
        rows.push(review(&user, "near-1", &text(11 * u + 2), 200 + u as i64));
        rows.push(review(&user, "near-2", &text(13 * u + 3), 300 + u as i64));
        if u < 3 {
            rows.push(review(&user, "few", &text(17 * u + 4), 400 + u as i64));
        }
    }
    rows
}

fn fill(store: &Store, rows: &[Review]) {
    store.put_reviews(rows).unwrap();
    store
        .put_items(&[Item {
            id: "none".to_owned(),
            title: "the kettle".to_owned(),
            description: "sings twice".to_owned(),
            categories: Vec::new(),
        }])
        .unwrap();
}

fn in_memory() -> Store {
    let store = Store::in_memory().unwrap();
    fill(&store, &rows());
    store
}

fn options(k: usize, selector: Selector) -> ChoiceOptions {
    ChoiceOptions { k, selector, seed: 42 }
}

fn told(choice: &Choice) -> Vec<(String, String, Option<usize>, usize)> {
    choice
        .representatives
        .iter()
        .map(|r| {
            let review = &r.review.review;
            (review.user.clone(), review.item.clone(), r.cluster, r.cluster_size)
        })
        .collect()
}

const SELECTORS: [Selector; 5] = [
    Selector::Kmeans,
    Selector::Random,
    Selector::Farthest,
    Selector::RandomMember,
    Selector::Neighbours,
];

#[test]
fn others_on_the_item_are_chosen_whatever_the_order_of_rows() {
    let encoder = tiny_encoder();
    let store = in_memory();
    let mut reversed_rows = rows();
    reversed_rows.reverse();
    let reversed = Store::in_memory().unwrap();
    fill(&reversed, &reversed_rows);
    for selector in SELECTORS {
        let choose_in = |store: &Store| {
            choose(&View::all(store), &encoder, "u3", "many", &options(4, selector)).unwrap()
        };
        let choice = choose_in(&store);
        assert_eq!(choice.n_candidates, 9);
        assert_eq!(choice.compared_with, Anchor::OwnReview);
        assert!(!choice.representatives.is_empty() && choice.representatives.len() <= 4);
        for r in &choice.representatives {
            assert!(r.review.review.user != "u3" && r.review.review.item == "many");
            assert_eq!(r.origin, Origin::SameItem);
        }
        assert_eq!(told(&choice), told(&choose_in(&reversed)), "{selector:?}");
    }
}

#[test]
fn what_a_view_hides_is_neither_chosen_nor_compared_with() {
    let encoder = tiny_encoder();
    let store = in_memory();
    let own = store.history("u3").unwrap().remove(0);
    assert_eq!(own.review.item, "many");
    let hidden = View::all(&store).without(own.id);
    let settings = options(4, Selector::Kmeans);
    let choice = choose(&hidden, &encoder, "u3", "many", &settings).unwrap();
    assert_eq!((choice.compared_with, choice.n_dropped), (Anchor::OwnMean, 0));

    // Another text of the hidden review changes nothing.
    let other = Store::in_memory().unwrap();
    let mut other_rows = rows();
    other_rows.iter_mut().filter(|r| r.user == "u3" && r.item == "many").for_each(|r| {
        r.text = "twice twice twice".to_owned();
    });
    fill(&other, &other_rows);
    let own = other.history("u3").unwrap().remove(0).id;
    for (user, item) in [("u3", "many"), ("u3", "few"), ("u1", "few"), ("u4", "none")] {
        let of = |view: View<'_>| {
            let choice = choose(&view, &encoder, user, item, &settings).unwrap();
            (told(&choice), choice.representatives.iter().map(|r| r.similarity).collect::<Vec<_>>())
        };
        assert_eq!(of(hidden.clone()), of(View::all(&other).without(own)), "{user} on {item}");
    }

    let early = View::all(&store).before(105);
    let choice = choose(&early, &encoder, "u0", "many", &settings).unwrap();
    assert_eq!(choice.n_candidates, 4);
    assert!(choice.representatives.iter().all(|r| r.review.review.time < 105));
    let nothing_yet = View::all(&store).before(0);
    let choice = choose(&nothing_yet, &encoder, "u0", "many", &settings).unwrap();
    assert_eq!((choice.representatives.len(), choice.n_candidates), (0, 0));
}

#[test]
fn too_few_reviewers_are_filled_up_from_near_items() {
    let encoder = tiny_encoder();
    let store = in_memory();
    let view = View::all(&store);
    for selector in SELECTORS {
        let choice = choose(&view, &encoder, "u1", "few", &options(4, selector)).unwrap();
        assert_eq!((choice.n_candidates, choice.representatives.len()), (4, 4), "{selector:?}");
        let mut users: Vec<_> = told(&choice).into_iter().map(|(user, ..)| user).collect();
        users.sort_unstable();
        users.dedup();
        assert_eq!(users.len(), 4, "four different people");
        assert!(!users.contains(&"u1".to_owned()));
        for r in &choice.representatives {
            match &r.origin {
                Origin::SameItem => assert_eq!(r.review.review.item, "few"),
                Origin::NearItem { item, similarity } => {
                    assert_eq!(r.review.review.item, *item);
                    assert!(item != "few" && (-1.0..=1.0).contains(similarity));
                }
            }
        }
    }
}

#[test]
fn an_item_nobody_reviewed_takes_its_text_for_its_mean() {
    let encoder = tiny_encoder();
    let store = in_memory();
    let view = View::all(&store);
    let choice = choose(&view, &encoder, "u1", "none", &options(3, Selector::Kmeans)).unwrap();
    assert_eq!(choice.representatives.len(), 3);
    assert_eq!((choice.compared_with, choice.n_dropped), (Anchor::OwnMean, 0));
    assert!(choice.representatives.iter().all(|r| matches!(r.origin, Origin::NearItem { .. })));

    let lonely = Store::in_memory().unwrap();
    lonely.put_reviews(&[review("u", "x", "kettle", 0)]).unwrap();
    let view = View::all(&lonely);
    let choice = choose(&view, &encoder, "u", "x", &options(3, Selector::Kmeans)).unwrap();
    assert_eq!((choice.n_candidates, choice.representatives.len()), (0, 0));
}

#[test]
fn of_several_texts_of_a_user_the_nearest_in_time_is_kept() {
    let stored = |id, user: &str, text: &str, time| {
        let review = review(user, "x", text, time);
        StoredReview { id: ReviewId(id), review, context: None }
    };
    let rows = vec![
        stored(1, "a", "early", 1),
        stored(2, "b", "only", 2),
        stored(3, "a", "late", 5),
        stored(4, "a", " ", 9),
        stored(5, "c", " ", 3),
    ];
    let kept = |time| {
        let mut reversed = rows.clone();
        reversed.reverse();
        let ids = one_per_user(rows.clone(), time).iter().map(|r| r.id.0).collect::<Vec<_>>();
        let mut others: Vec<i64> = one_per_user(reversed, time).iter().map(|r| r.id.0).collect();
        others.reverse();
        assert_eq!(ids, others, "the order of rows does not matter");
        ids
    };
    assert_eq!(kept(None), [2, 3, 5]);
    assert_eq!(kept(Some(2)), [1, 2, 5]);
    // Equally near: the newer one.
    assert_eq!(kept(Some(3)), [2, 3, 5]);
    assert_eq!(kept(Some(i64::MIN)), [1, 2, 5]);
}

#[test]
fn a_user_with_many_texts_is_one_candidate_and_no_peer_of_their_own() {
    let encoder = tiny_encoder();
    let store = in_memory();
    let more = |user: &str, n: usize| review(user, "many", &text(31 * n + 5), 500 + n as i64);
    let rows: Vec<Review> =
        (0..6).map(|n| more("u5", n)).chain((6..9).map(|n| more("u3", n))).collect();
    store.put_reviews(&rows).unwrap();
    let view = View::all(&store);
    let own: Vec<StoredReview> =
        store.history("u3").unwrap().into_iter().filter(|r| r.review.item == "many").collect();
    assert_eq!(own.len(), 4);
    for selector in SELECTORS {
        let settings = options(9, selector);
        for own in &own {
            let choice = choose_for(&view, &encoder, own, &settings).unwrap();
            assert_eq!((choice.n_candidates, choice.compared_with), (9, Anchor::OwnReview));
            let mut users: Vec<_> = told(&choice).into_iter().map(|(user, ..)| user).collect();
            users.sort_unstable();
            assert!(users.windows(2).all(|pair| pair[0] != pair[1]), "{users:?}");
            assert!(!users.contains(&"u3".to_owned()));
            let of_u5 = choice.representatives.iter().find(|r| r.review.review.user == "u5");
            if let Some(of_u5) = of_u5 {
                // The oldest own text is near u5's first one, the others near u5's last.
                let nearest = if own.review.time < 500 { 105 } else { 505 };
                assert_eq!(of_u5.review.review.time, nearest);
            }
            // The user's other texts of the item do not matter.
            let others = store.history("u3").unwrap().into_iter().map(|r| r.id);
            let others = others.filter(|id| *id != own.id);
            if selector != Selector::Neighbours {
                let alone = view.clone().without_all(others);
                assert_eq!(choose_for(&alone, &encoder, own, &settings).unwrap(), choice);
            }
        }
        let newest = choose_for(&view, &encoder, &own[3], &settings).unwrap();
        assert_eq!(choose(&view, &encoder, "u3", "many", &settings).unwrap(), newest);
    }
}

#[test]
fn unknown_names_are_errors() {
    let encoder = tiny_encoder();
    let store = in_memory();
    let view = View::all(&store);
    let settings = options(4, Selector::Kmeans);
    let message =
        |user, item| choose(&view, &encoder, user, item, &settings).unwrap_err().to_string();
    assert!(message("nobody", "many").contains("`nobody`"));
    assert!(message("u1", "nothing").contains("`nothing`"));
}

#[test]
fn vectors_are_made_once() {
    let encoder = tiny_encoder();
    let store = in_memory();
    let view = View::all(&store);
    let ids = store.review_ids().unwrap();
    assert_eq!(ensure_vectors(&view, &encoder, &ids[..5], &Silent).unwrap(), (5, 0));
    assert_eq!(ensure_vectors(&view, &encoder, &ids, &Silent).unwrap(), (ids.len() - 5, 0));
    assert_eq!(ensure_vectors(&view, &encoder, &ids, &Silent).unwrap(), (0, 0));
    assert_eq!(store.without_vector(other_tiny_encoder().stamp()).unwrap().len(), ids.len());
}

#[test]
fn an_embedding_is_what_remains_without_the_items() {
    let store = Store::in_memory().unwrap();
    store
        .put_reviews(&[
            review("a", "x", "1", 0),
            review("b", "x", "2", 0),
            review("a", "alone", "3", 0),
            review("c", "same", "4", 0),
            review("d", "same", "4", 0),
            review("e", "same", "4", 0),
        ])
        .unwrap();
    let rows = store.reviews(&store.review_ids().unwrap()).unwrap();
    let vector_of = |text: &str| match text {
        "1" => vec![1.0, 0.0, 0.3],
        "2" => vec![0.0, 1.0, 0.3],
        "3" => vec![0.0, 0.0, 1.0],
        _ => vec![0.1, 0.7, 0.7],
    };
    let mut means = ItemMeans::default();
    let mut vectors: HashMap<ReviewId, Vec<f32>> = HashMap::new();
    for row in &rows {
        means.add(&row.review.item, &vector_of(&row.review.text));
        vectors.insert(row.id, vector_of(&row.review.text));
    }
    let of = |user: &str, kind| {
        user_embedding(&store.history(user).unwrap(), &vectors, &means, kind).unwrap()
    };
    // a: ((1,0,.3) - (.5,.5,.3) + 0) / 2, at unit length; b the opposite.
    let a = of("a", EmbeddingKind::Residual);
    assert_eq!(a.kind, EmbeddingKind::Residual);
    let half = 0.5_f32.sqrt();
    for (got, expected) in a.vector.iter().zip([half, -half, 0.0]) {
        assert!((got - expected).abs() < 1e-6);
    }
    assert!((cosine(&a.vector, &of("b", EmbeddingKind::Residual).vector) + 1.0).abs() < 1e-6);
    // Three equal texts leave only rounding noise: the plain mean, with its kind.
    let c = of("c", EmbeddingKind::Residual);
    assert_eq!(c, of("c", EmbeddingKind::PlainMean));
    assert_eq!(c.kind, EmbeddingKind::PlainMean);
    assert!((norm(&c.vector) - 1.0).abs() < 1e-6);
    assert!(user_embedding(&[], &vectors, &means, EmbeddingKind::Residual).is_none());
}

/// A store in a file; its index lies in the same folder.
fn on_disk() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("s.sqlite")).unwrap();
    fill(&store, &rows());
    (dir, store)
}

fn build(store: &Store, encoder: &Encoder, exact_below: usize) -> (PeerIndex, usize, usize) {
    let options = BuildOptions { exact_below, ..BuildOptions::default() };
    build_index(store, encoder, &options, &Silent).unwrap()
}

#[test]
fn an_index_opens_as_it_was_built_and_is_not_built_twice() {
    let encoder = tiny_encoder();
    let (_dir, store) = on_disk();
    assert!(matches!(PeerIndex::open(&store, &encoder), Err(Error::NoIndex { .. })));
    for exact_below in [usize::MAX, 0] {
        let (built, ..) = build(&store, &encoder, exact_below);
        let kind = if exact_below == 0 { IndexKind::Hnsw } else { IndexKind::Exact };
        assert_eq!((built.manifest().index, built.len(), built.manifest().reviews), (kind, 10, 33));
        let opened = PeerIndex::open(&store, &encoder).unwrap();
        assert_eq!(opened.manifest(), built.manifest());
        for user in 0..10 {
            let user = format!("u{user}");
            let query = opened.embedding(&user).unwrap().to_vec();
            let near = opened.near(&query, 4).unwrap();
            assert_eq!((near.len(), near[0].0), (4, user.as_str()));
            assert!(near.windows(2).all(|w| w[0].1 >= w[1].1));
            assert_eq!(near, built.near(&query, 4).unwrap());
        }
        assert_eq!(opened.near(opened.embedding("u1").unwrap(), 99).unwrap().len(), 10);
        let (again, n_embedded, _) = build(&store, &encoder, exact_below);
        assert_eq!((again.manifest(), n_embedded), (built.manifest(), 0));
    }
}

#[test]
fn the_index_gives_the_choice_that_the_view_gives() {
    let encoder = tiny_encoder();
    let (_dir, store) = on_disk();
    let view = View::all(&store);
    let settings = options(4, Selector::Kmeans);
    let before = choose(&view, &encoder, "u1", "few", &settings).unwrap();
    build(&store, &encoder, usize::MAX);
    assert_eq!(choose(&view, &encoder, "u1", "few", &settings).unwrap(), before);
}

#[test]
fn an_index_of_something_else_is_refused() {
    let encoder = tiny_encoder();
    let (_dir, store) = on_disk();
    build(&store, &encoder, usize::MAX);
    let other = other_tiny_encoder();
    let refused = |encoder: &Encoder| PeerIndex::open(&store, encoder).unwrap_err();
    assert!(matches!(refused(&other), Error::IndexMismatch { what: "encoder", .. }));
    let message = choose(&View::all(&store), &other, "u1", "few", &options(4, Selector::Kmeans))
        .unwrap_err()
        .to_string();
    assert!(message.contains("encoder") && message.contains("idiolect index"), "{message}");
    // The store holds vectors of both encoders.
    build(&store, &other, usize::MAX);
    assert!(PeerIndex::open(&store, &other).is_ok());
    assert_eq!(build(&store, &encoder, usize::MAX).1, 0, "its vectors are still there");

    store.put_reviews(&[review("new", "many", "kettle kettle", 1)]).unwrap();
    let stale = refused(&encoder);
    assert!(matches!(stale, Error::IndexMismatch { what: "set of reviews", .. }), "{stale}");
    assert_eq!(build(&store, &encoder, usize::MAX).1, 1);
    assert!(PeerIndex::open(&store, &encoder).unwrap().embedding("new").is_some());
}

#[test]
fn damaged_files_are_found_out_and_made_anew() {
    let encoder = tiny_encoder();
    let (_dir, store) = on_disk();
    let folder = index_folder(store.path());
    for exact_below in [usize::MAX, 0] {
        let (built, ..) = build(&store, &encoder, exact_below);
        let names: Vec<String> = built.manifest().files.keys().cloned().collect();
        assert_eq!(names.len(), if exact_below == 0 { 3 } else { 2 });
        for name in names {
            let current = PeerIndex::open(&store, &encoder).unwrap();
            let path = folder.join(&current.manifest().generation).join(&name);
            let whole = std::fs::read(&path).unwrap();
            for at in [0, whole.len() / 2, whole.len() - 1] {
                let mut damaged = whole.clone();
                damaged[at] ^= 4;
                std::fs::write(&path, &damaged).unwrap();
                let error = PeerIndex::open(&store, &encoder).unwrap_err();
                assert!(matches!(error, Error::IndexDamaged { .. }), "{name} at {at}: {error}");
            }
            std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
            assert!(PeerIndex::open(&store, &encoder).is_err());
            std::fs::remove_file(&path).unwrap();
            let message = PeerIndex::open(&store, &encoder).unwrap_err().to_string();
            assert!(message.contains(&name) && message.contains("idiolect index"), "{message}");
            build(&store, &encoder, exact_below);
        }
    }
    std::fs::write(folder.join("facts.json"), "{\"format\": 999}").unwrap();
    let error = PeerIndex::open(&store, &encoder).unwrap_err();
    assert!(matches!(error, Error::IndexMismatch { what: "format", .. }), "{error}");
    std::fs::write(folder.join("facts.json"), "{").unwrap();
    assert!(matches!(PeerIndex::open(&store, &encoder), Err(Error::IndexDamaged { .. })));
    build(&store, &encoder, usize::MAX);
    assert!(PeerIndex::open(&store, &encoder).is_ok());
    let n_folders =
        std::fs::read_dir(&folder).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(n_folders, 1, "old generations are gone");
}

#[test]
fn neighbours_are_those_whom_the_index_finds_and_their_reviews_are_chosen() {
    let encoder = tiny_encoder();
    let (_dir, store) = on_disk();
    let view = View::all(&store);
    let near = nearest_users(&view, &encoder, "u3", 9).unwrap();
    assert_eq!(near.len(), 9);
    assert!(!near.contains(&"u3".to_owned()));
    assert_eq!(nearest_users(&view, &encoder, "u3", 2).unwrap(), near[..2]);
    let chosen = |view: &View<'_>| {
        let choice = choose(view, &encoder, "u3", "many", &options(3, Selector::Neighbours));
        let choice = choice.unwrap().representatives;
        choice.into_iter().map(|r| r.review.review.user).collect::<Vec<_>>()
    };
    assert_eq!(chosen(&view), near[..3]);

    build(&store, &encoder, usize::MAX);
    assert_eq!(nearest_users(&view, &encoder, "u3", 9).unwrap(), near);
    assert_eq!(chosen(&view), near[..3]);
    // A user whom a view hides is no neighbour.
    let all_of_the_nearest = store.history(&near[0]).unwrap();
    let hidden = view.without_all(all_of_the_nearest.iter().map(|r| r.id));
    let others = nearest_users(&hidden, &encoder, "u3", 9).unwrap();
    assert!(others.len() == 8 && !others.contains(&near[0]));
    assert!(!chosen(&hidden).contains(&near[0]));
}

#[test]
fn queries_without_a_direction_are_errors() {
    let encoder = tiny_encoder();
    let (_dir, store) = on_disk();
    let (index, ..) = build(&store, &encoder, usize::MAX);
    for query in [vec![0.0; 8], vec![1.0; 7], vec![f32::NAN; 8], vec![f32::INFINITY; 8]] {
        assert!(matches!(index.near(&query, 3), Err(Error::BadQuery { .. })));
    }
    let long = [3.0e19_f32; 8];
    assert_eq!(index.near(&long, 3).unwrap().len(), 3, "any length that has a direction will do");
}

#[test]
fn a_store_in_memory_has_no_index() {
    let encoder = tiny_encoder();
    let store = in_memory();
    let built = build_index(&store, &encoder, &BuildOptions::default(), &Silent);
    assert!(matches!(built, Err(Error::NoFolder)));
}

/// Counts open stages, and requests a stop once `allowed` units are done.
#[derive(Default)]
struct StopsAfter {
    allowed: i64,
    open: AtomicI64,
    done: AtomicI64,
}

impl Progress for StopsAfter {
    fn begin(&self, _what: &str, _total: Option<u64>) {
        self.open.fetch_add(1, Relaxed);
    }
    fn advance(&self, n: u64) {
        self.done.fetch_add(n as i64, Relaxed);
    }
    fn end(&self) {
        self.open.fetch_sub(1, Relaxed);
    }
    fn stop_requested(&self) -> bool {
        self.done.load(Relaxed) >= self.allowed
    }
}

#[test]
fn a_stop_ends_the_stage_that_it_interrupts() {
    let encoder = tiny_encoder();
    let options = BuildOptions { exact_below: 0, ..BuildOptions::default() };
    // Before the first review, after the 33 embedded ones, while users are placed, and while they
    // are linked.
    for allowed in [0, 33, 33 + 33 + 1, 33 + 33 + 10 + 1] {
        let (_dir, store) = on_disk();
        let progress = StopsAfter { allowed, ..StopsAfter::default() };
        let built = build_index(&store, &encoder, &options, &progress);
        assert!(matches!(built, Err(Error::Stopped)), "{allowed}");
        assert_eq!(progress.open.load(Relaxed), 0, "{allowed}");
    }
}
