#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn review(user: &str, item: &str, text: &str, time: i64) -> Review {
    let (user, item, text) = (user.to_owned(), item.to_owned(), text.to_owned());
    Review { user, item, rating: Some(4.0), title: "t".to_owned(), text, time }
}

/// Stores reviews and keeps the newest of each user on each item.
fn put_newest(store: &Store, reviews: &[Review]) -> Vec<UpsertOutcome> {
    let reviews: Vec<SourceReview> = reviews.iter().map(|review| review.clone().into()).collect();
    store.put_source_reviews(&reviews, KeptReviews::Newest).unwrap()
}

fn ids(reviews: &[StoredReview]) -> Vec<ReviewId> {
    reviews.iter().map(|r| r.id).collect()
}

#[test]
fn histories_are_sorted_by_time_and_counted() {
    let store = Store::in_memory().unwrap();
    let rows = [review("ann", "x", "b", 2), review("ann", "y", "a", 1), review("bob", "x", "c", 0)];
    assert_eq!(store.put_reviews(&rows).unwrap(), [UpsertOutcome::New; 3]);
    let ann = store.history("ann").unwrap();
    assert_eq!(ann.iter().map(|r| r.review.text.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(ann[1].review, rows[0]);
    assert_eq!(store.reviews_of("x").unwrap().len(), 2);
    assert_eq!(store.counts().unwrap(), Counts { reviews: 3, users: 2, items: 2 });
    let users = store.users(0).unwrap();
    assert_eq!((users[0].user.as_str(), users[0].first, users[0].last), ("ann", 1, 2));
    assert_eq!(store.users(2).unwrap().len(), 1);
    let all = store.review_ids().unwrap();
    let wanted = [all[2], ReviewId(99), all[0]];
    assert_eq!(ids(&store.reviews(&wanted).unwrap()), [all[2], all[0]]);
}

#[cfg(unix)]
#[test]
fn nothing_is_written_to_a_store_that_is_no_longer_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away) = (folder.path().join("s.sqlite"), folder.path().join("away.sqlite"));
    let store = Store::open(&path).unwrap();
    store.put_reviews(&[review("ann", "x", "b", 2)]).unwrap();
    std::fs::rename(&path, &away).unwrap();
    let late = [review("ann", "y", "late", 3)];
    assert!(matches!(store.put_reviews(&late), Err(Error::Moved { .. })));
    // Another store in its place is not touched, and reading goes on.
    drop(Store::open(&folder.path().join("other.sqlite")).unwrap());
    std::fs::rename(folder.path().join("other.sqlite"), &path).unwrap();
    assert!(matches!(store.put_reviews(&late), Err(Error::Moved { .. })));
    assert_eq!(store.history("ann").unwrap().len(), 1);
    std::fs::rename(&away, &path).unwrap();
    store.put_reviews(&late).unwrap();
}

#[test]
fn unknown_names_are_errors_with_near_ones() {
    let store = Store::in_memory().unwrap();
    store.put_reviews(&[review("annabel", "x1", "b", 2)]).unwrap();
    let message = store.history("Annabell").unwrap_err().to_string();
    assert!(message.contains("`Annabell`") && message.contains("`annabel`"), "{message}");
    assert!(matches!(store.item("zzz"), Err(Error::UnknownItem { .. })));
    assert!(matches!(store.reviews_of("zzz"), Err(Error::UnknownItem { .. })));
}

#[test]
fn an_item_keeps_what_a_barer_record_lacks() {
    let store = Store::in_memory().unwrap();
    let full = Item {
        id: "x".into(),
        title: "T".into(),
        description: "D".into(),
        categories: vec!["A".into(), "B".into()],
    };
    let bare =
        Item { title: "T2".into(), description: String::new(), categories: vec![], ..full.clone() };
    store.put_items(&[full.clone(), bare]).unwrap();
    assert_eq!(store.item("x").unwrap(), Item { title: "T2".into(), ..full });
    assert!(store.reviews_of("x").unwrap().is_empty());
}

#[test]
fn a_newer_review_takes_vectors_and_derived_values_with_it() {
    let store = Store::in_memory().unwrap();
    store.put_reviews(&[review("a", "x", "old", 1), review("b", "x", "other", 1)]).unwrap();
    let [old, other] = store.review_ids().unwrap()[..] else { panic!() };
    store.put_vectors("s", &[(old, vec![1.0, 2.0]), (other, vec![3.0, 4.0])]).unwrap();
    let (both, one) = (Key::of("d").with("n", "both").finish(), Key::of("d").finish());
    store.put_derived("d", &both, "made of both", &[old, other]).unwrap();
    store.put_derived("d", &one, "made of one", &[other]).unwrap();

    assert_eq!(put_newest(&store, &[review("a", "x", "old", 1)]), [UpsertOutcome::Same]);
    assert_eq!(put_newest(&store, &[review("a", "x", "older", 0)]), [UpsertOutcome::Older]);
    assert!(store.derived("d", &both).unwrap().is_some());

    assert_eq!(put_newest(&store, &[review("a", "x", "new", 2)]), [UpsertOutcome::Replaced]);
    let new = store.history("a").unwrap()[0].id;
    assert!(new > other);
    assert_eq!(store.derived("d", &both).unwrap(), None);
    assert_eq!(store.derived("d", &one).unwrap().as_deref(), Some("made of one"));
    assert_eq!(store.without_vector("s").unwrap(), [new]);
    assert_eq!(store.without_vector("another").unwrap(), [other, new]);
    let vectors = store.vectors("s", &[old, other, new]).unwrap();
    assert_eq!(vectors.into_iter().collect::<Vec<_>>(), [(other, vec![3.0, 4.0])]);
    let orphans =
        "SELECT count(*) FROM derived_source WHERE derived NOT IN (SELECT id FROM derived)";
    assert_eq!(store.read(|c| c.query_row(orphans, [], |r| r.get::<_, i64>(0))).unwrap(), 0);

    // A value computed from a deleted review is not stored.
    store.put_derived("d", &both, "late", &[old, other]).unwrap();
    assert_eq!(store.derived("d", &both).unwrap(), None);
    store.put_vectors("s", &[(old, vec![1.0, 2.0])]).unwrap();
    assert!(store.vectors("s", &[old]).unwrap().is_empty());
}

#[test]
fn vectors_that_are_no_vectors_are_refused() {
    let store = Store::in_memory().unwrap();
    store.put_reviews(&[review("a", "x", "t", 1), review("b", "x", "t", 1)]).unwrap();
    let [a, b] = store.review_ids().unwrap()[..] else { panic!() };
    for wrong in [vec![], vec![1.0, f32::NAN], vec![f32::INFINITY, 0.0], vec![1.0; 3]] {
        let batch = [(a, vec![1.0, 2.0]), (b, wrong)];
        assert!(matches!(store.put_vectors("s", &batch), Err(Error::BadVector { .. })));
        assert!(store.vectors("s", &[a, b]).unwrap().is_empty());
    }
    store.put_vectors("s", &[(a, vec![1.0, 2.0])]).unwrap();
    let longer = store.put_vectors("s", &[(b, vec![1.0; 3])]).unwrap_err().to_string();
    assert!(longer.contains("3 numbers") && longer.contains('2'), "{longer}");
    store.write(|t| t.execute("UPDATE vector SET value = x'0000803f00', sum = NULL", [])).unwrap();
    let cut = store.vectors("s", &[a]).unwrap_err().to_string();
    assert!(cut.contains("5 stored bytes"), "{cut}");
    assert_eq!(store.drop_vectors("s").unwrap(), 1);
    assert_eq!(store.without_vector("s").unwrap(), [a, b]);
}

#[test]
fn files_that_are_no_stores_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text.sqlite");
    std::fs::write(&text, "no database at all, but long enough to be taken for one".repeat(99))
        .unwrap();
    assert!(matches!(Store::open(&text), Err(Error::Damaged { .. })));
    assert!(matches!(Store::open(folder.path()), Err(Error::NotAStore { .. })));
    let absent = folder.path().join("absent.sqlite");
    assert!(matches!(Store::open_existing(&absent), Err(Error::NoStore { .. })));
    assert!(!absent.exists());
    let nowhere = folder.path().join("no/such/folder/s.sqlite");
    let message = Store::open(&nowhere).err().unwrap().to_string();
    assert!(message.contains("s.sqlite"), "{message}");
}

#[test]
fn a_store_with_flipped_bytes_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sqlite");
    let store = Store::open(&path).unwrap();
    let rows: Vec<Review> = (0..200)
        .map(|n| review(&format!("u{}", n % 9), &format!("i{n}"), "some text", n))
        .collect();
    store.put_reviews(&rows).unwrap();
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    proptest!(ProptestConfig::with_cases(64), |(at in 0..whole.len(), xor in 1..=255_u8, cut in any::<bool>())| {
        let mut bytes = whole.clone();
        bytes[at] ^= xor;
        if cut {
            bytes.truncate(at);
        }
        std::fs::write(&path, &bytes).unwrap();
        let _ = Store::open(&path).and_then(|store| {
            store.users(0)?;
            store.history("u1")?;
            store.put_reviews(&[review("u1", "new", "t", 1)])
        });
        for end in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.path().join(format!("s.sqlite{end}")));
        }
    });
}

#[test]
fn a_store_is_made_once_by_many_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..40 {
        let path = folder.path().join(format!("{round}.sqlite"));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| Store::open(&path).unwrap());
            }
        });
    }
}

#[test]
fn two_connections_see_each_others_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.sqlite");
    let stores: Vec<Store> = std::thread::scope(|scope| {
        let open = || Store::open(&path).unwrap();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    std::thread::scope(|scope| {
        for (n, store) in stores.iter().enumerate() {
            scope.spawn(move || {
                for k in 0..20 {
                    store
                        .put_reviews(&[review(&format!("u{n}"), &format!("i{k}"), "t", k)])
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(stores[0].counts().unwrap(), Counts { reviews: 80, users: 4, items: 20 });
}
