#![allow(clippy::unwrap_used)]

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::{Key, Review};
use idiolect_engine::progress::Silent;

const PAGE: usize = 4096;

/// A store of 800 reviews with everything that refers to them, and its bytes.
fn store(folder: &Path) -> (std::path::PathBuf, Vec<u8>) {
    let path = folder.join("s.sqlite");
    let store = Store::open(&path).unwrap();
    let reviews: Vec<Review> = (0..800)
        .map(|n: i64| Review {
            user: format!("user{}", n % 40),
            item: format!("item{}", n % 90),
            rating: Some(4.0),
            title: format!("title {n}"),
            text: format!("text {n} {}", "with some words ".repeat((n % 60) as usize)),
            time: n,
        })
        .collect();
    store.put_reviews(&reviews).unwrap();
    let ids = store.review_ids().unwrap();
    for (n, pair) in ids.chunks(2).enumerate() {
        let key = Key::of("answer").with("n", n.to_le_bytes()).finish();
        store.put_derived("answer", &key, &format!("\"answer {n}\""), pair).unwrap();
    }
    let vectors: Vec<_> = ids.iter().map(|id| (*id, vec![1.0, 0.5])).collect();
    store.put_vectors("encoder", &vectors).unwrap();
    store.put_profile_edit("user7", 0, "an edit").unwrap();
    drop(store);
    let bytes = std::fs::read(&path).unwrap();
    (path, bytes)
}

fn of<'a>(outcomes: &'a [RecoveredTable], table: &str) -> &'a RecoveredTable {
    outcomes.iter().find(|outcome| outcome.table == table).unwrap()
}

#[test]
fn a_whole_store_is_copied_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (path, bytes) = store(folder.path());
    let into = folder.path().join("new.sqlite");
    let outcomes = Store::recover(&path, &into, &Silent).unwrap();
    assert!(outcomes.iter().all(|o| o.lost == Some(0) && o.renamed == 0), "{outcomes:?}");
    assert_eq!((of(&outcomes, "review").rows, of(&outcomes, "derived").rows), (800, 400));
    assert_eq!(of(&outcomes, "profile_edit").rows, 1);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    let (old, new) = (Store::open(&path).unwrap(), Store::open(&into).unwrap());
    let ids = old.review_ids().unwrap();
    assert_eq!(new.reviews(&ids).unwrap(), old.reviews(&ids).unwrap());
    assert_eq!(new.derived_values("answer").unwrap(), old.derived_values("answer").unwrap());
    assert_eq!(new.vectors("encoder", &ids).unwrap(), old.vectors("encoder", &ids).unwrap());
    assert!(matches!(Store::recover(&path, &into, &Silent), Err(Error::Exists { .. })));
}

#[test]
fn what_damaged_pages_leave_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (path, whole) = store(folder.path());
    let old = Store::open(&path).unwrap();
    let all = old.reviews(&old.review_ids().unwrap()).unwrap();
    drop(old);
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let (mut n_lost, mut n_renamed) = (0, 0);
    for round in 0..40 {
        let mut damaged = whole.clone();
        for _ in 0..=round % 4 {
            let page = rng.random_range(1..whole.len() / PAGE) * PAGE;
            damaged[page..page + PAGE].fill(rng.random());
        }
        std::fs::write(&path, &damaged).unwrap();
        let into = folder.path().join(format!("new{round}.sqlite"));
        let outcomes = match Store::recover(&path, &into, &Silent) {
            Ok(outcomes) => outcomes,
            // The list of tables may be on a damaged page.
            Err(Error::Damaged { .. } | Error::NotAStore { .. }) => {
                assert!(!into.exists());
                continue;
            }
            Err(other) => panic!("{other}"),
        };
        let new = Store::open(&into).unwrap();
        new.check().unwrap();
        let kept = new.reviews(&new.review_ids().unwrap()).unwrap();
        let reviews = of(&outcomes, "review");
        assert_eq!(kept.len() as u64, reviews.rows);
        if let Some(lost) = reviews.lost {
            assert_eq!(reviews.rows + lost, 800, "{outcomes:?}");
        }
        for stored in &kept {
            let before = all.iter().find(|before| before.id == stored.id).unwrap();
            assert_eq!(stored.review.text, before.review.text);
            let names = [&stored.review.user, &before.review.user];
            assert!(names[0] == names[1] || names[0].starts_with("recovered-"), "{names:?}");
        }
        let sourceless =
            "SELECT 1 FROM derived WHERE id NOT IN (SELECT derived FROM derived_source)";
        let n: Vec<i64> = new.list(sourceless, [], |row| row.get(0)).unwrap();
        assert!(n.is_empty(), "derived values without sources");
        n_lost += 800 - reviews.rows;
        n_renamed += of(&outcomes, "user").renamed + of(&outcomes, "item").renamed;
    }
    assert!(n_lost > 0 && n_lost < 40 * 400, "{n_lost}");
    assert!(n_renamed > 0, "no row of names was met");
}

#[test]
fn committed_rows_in_the_log_are_recovered_too() {
    let folder = tempfile::tempdir().unwrap();
    let (path, _) = store(folder.path());
    let open = Store::open(&path).unwrap();
    open.put_profile_edit("user7", 1, "in the log").unwrap();
    assert!(std::fs::metadata(log_of(&path)).unwrap().len() > 0);
    let into = folder.path().join("new.sqlite");
    Store::recover(&path, &into, &Silent).unwrap();
    let edits = Store::open(&into).unwrap().profile_edits("user7").unwrap();
    assert_eq!(edits.last().unwrap().value, "in the log");
    drop(open);
    let left = std::fs::read_dir(folder.path()).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().contains("sqlite")), "{left:?}");
}

#[test]
fn what_is_no_store_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (strange, into) = (folder.path().join("x"), folder.path().join("new.sqlite"));
    assert!(matches!(Store::recover(&strange, &into, &Silent), Err(Error::NoStore { .. })));
    std::fs::write(&strange, b"no database, but long enough to be one".repeat(40)).unwrap();
    assert!(matches!(Store::recover(&strange, &into, &Silent), Err(Error::Damaged { .. })));
    Connection::open(folder.path().join("y")).unwrap().execute_batch("CREATE TABLE t(x)").unwrap();
    let other = Store::recover(&folder.path().join("y"), &into, &Silent);
    assert!(matches!(other, Err(Error::NotAStore { .. })));
    assert!(!into.exists());
}
