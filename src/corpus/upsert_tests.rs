//! Tests of the identity of reviews: which one replaces which, and what a repeated import does.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn review(user: &str, item: &str, text: &str, time: i64) -> Review {
    let (user, item, text) = (user.to_owned(), item.to_owned(), text.to_owned());
    Review { user, item, rating: Some(4.0), title: "t".to_owned(), text, time }
}

fn with_id(id: &str, review: Review) -> SourceReview {
    SourceReview { id: Some(id.to_owned()), ..review.into() }
}

/// Stores rows in one session and returns the outcomes.
fn put(store: &Store, kept: KeptReviews, rows: &[SourceReview]) -> Vec<UpsertOutcome> {
    store.put_source_reviews(rows, kept).unwrap()
}

/// Texts of a user, oldest first.
fn texts(store: &Store, user: &str) -> Vec<String> {
    store.history(user).unwrap().into_iter().map(|r| r.review.text).collect()
}

/// Identifiers in the store, in order of row ids.
fn names(store: &Store) -> Vec<Option<String>> {
    store.list("SELECT name FROM review ORDER BY id", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_user_keeps_all_texts_on_an_item_and_none_twice() {
    use UpsertOutcome::{New, Replaced, Same};
    let store = Store::in_memory().unwrap();
    let rows = [
        review("ann", "thread", "first", 1),
        review("bob", "thread", "first", 1),
        review("ann", "thread", "second", 2),
        review("ann", "thread", "at the same time", 2),
        review("ann", "thread", "first", 3),
        review("ann", "other", "first", 1),
    ];
    assert_eq!(store.put_reviews(&rows).unwrap(), [New; 6]);
    let ids = store.review_ids().unwrap();
    let mut reversed = rows.to_vec();
    reversed.reverse();
    assert_eq!(store.put_reviews(&reversed).unwrap(), [Same; 6]);
    assert_eq!(store.review_ids().unwrap(), ids);
    // An edited text is another review; an edited rating or title is not.
    assert_eq!(store.put_reviews(&[review("ann", "other", "mended", 1)]).unwrap(), [New]);
    let rated = Review { rating: Some(1.0), ..rows[5].clone() };
    assert_eq!(store.put_reviews(&[rated]).unwrap(), [Replaced]);
    assert_eq!(store.counts().unwrap().reviews, 7);
}

#[test]
fn without_times_the_text_decides() {
    let store = Store::in_memory().unwrap();
    let rows = [review("ann", "x", "one", 0), review("ann", "x", "two", 0)];
    store.put_reviews(&rows).unwrap();
    store.put_reviews(&rows).unwrap();
    assert_eq!(texts(&store, "ann"), ["one", "two"]);
}

#[test]
fn an_id_says_which_review_an_edited_text_replaces() {
    use UpsertOutcome::{New, Older, Replaced, Same, Tied};
    let store = Store::in_memory().unwrap();
    let all = |rows: &[SourceReview]| put(&store, KeptReviews::All, rows);
    let first = with_id("m1", review("ann", "thread", "frist", 5));
    let twin = with_id("m2", review("ann", "thread", "frist", 5));
    assert_eq!(all(&[first.clone(), twin.clone()]), [New, New]);
    let [one, two] = store.review_ids().unwrap()[..] else { panic!() };
    store.put_vectors("v", &[(one, vec![1.0]), (two, vec![2.0])]).unwrap();

    let mended = with_id("m1", review("ann", "thread", "first", 5));
    assert_eq!(all(std::slice::from_ref(&mended)), [Replaced]);
    assert_eq!(texts(&store, "ann"), ["frist", "first"]);
    assert_eq!(store.vectors("v", &[one, two]).unwrap().into_keys().collect::<Vec<_>>(), [two]);
    assert_eq!(all(&[mended.clone(), twin]), [Same, Same]);

    // Within one import the first version of a time stays, whatever comes before it.
    let older = with_id("m1", review("ann", "thread", "draft", 4));
    let other = with_id("m1", review("ann", "thread", "last", 5));
    assert_eq!(all(&[older.clone(), other.clone(), mended.clone()]), [Older, Replaced, Tied]);
    assert_eq!(all(&[older, other, mended]), [Older, Same, Tied]);
    assert_eq!(texts(&store, "ann"), ["frist", "last"]);
}

#[test]
fn an_id_of_somebody_else_or_seen_on_another_item_is_refused() {
    use UpsertOutcome::{IdTaken, New, Replaced, Same};
    let store = Store::in_memory().unwrap();
    let all = |rows: &[SourceReview]| put(&store, KeptReviews::All, rows);
    let one = with_id("1", review("ann", "a", "one", 1));
    assert_eq!(all(std::slice::from_ref(&one)), [New]);
    let of_bob = with_id("1", review("bob", "a", "his", 9));
    assert_eq!(all(&[of_bob]), [IdTaken]);
    assert!(matches!(store.history("bob"), Err(Error::UnknownUser { .. })));
    // Numbers that begin anew with each item are no ids.
    let on_b = with_id("1", review("ann", "b", "one", 2));
    assert_eq!(all(&[one.clone(), on_b.clone()]), [Same, IdTaken]);
    // Nor are numbers that begin anew with each file.
    assert_eq!(all(&[with_id("1", review("ann", "b", "another", 2))]), [IdTaken]);
    // The same text in another import is the same review, moved.
    assert_eq!(all(&[on_b]), [Replaced]);
    assert_eq!(store.history("ann").unwrap()[0].review.item, "b");
    assert!(store.reviews_of("a").unwrap().is_empty());
}

#[test]
fn a_review_that_gets_an_id_later_is_not_doubled() {
    use UpsertOutcome::{New, Replaced, Same};
    let store = Store::in_memory().unwrap();
    let all = |rows: &[SourceReview]| put(&store, KeptReviews::All, rows);
    let plain = review("ann", "x", "text", 1);
    assert_eq!(all(&[plain.clone().into()]), [New]);
    assert_eq!(all(&[with_id("m1", plain.clone())]), [Same]);
    assert_eq!(all(&[plain.clone().into()]), [Same]);
    assert_eq!(names(&store), [Some("m1".to_owned())]);
    // If the text of an id becomes one that is stored without an id, it is that review.
    assert_eq!(
        all(&[with_id("m3", review("ann", "x", "draft", 9)), review("ann", "x", "text", 9).into()]),
        [New, New]
    );
    assert_eq!(all(&[with_id("m3", review("ann", "x", "text", 9))]), [Same]);
    assert_eq!(store.counts().unwrap().reviews, 2);
    assert_eq!(names(&store), [Some("m1".to_owned()), Some("m3".to_owned())]);
    // Another id makes another review of the same text.
    assert_eq!(all(&[with_id("m2", plain.clone())]), [New]);
    // A row without an id is the first with its text and leaves it its id.
    let rated = Review { rating: None, ..plain };
    assert_eq!(all(&[rated.into()]), [Replaced]);
    let expected = ["m3", "m2", "m1"].map(|name| Some(name.to_owned()));
    assert_eq!(names(&store), expected);
}

#[test]
fn only_the_newest_is_kept_where_that_is_asked() {
    use UpsertOutcome::{Older, Replaced, Same, Tied};
    let store = Store::in_memory().unwrap();
    let newest = |rows: &[SourceReview]| put(&store, KeptReviews::Newest, rows);
    let rows = [("one", 1), ("two", 2), ("three", 3)];
    let rows = rows.map(|(text, time)| review("ann", "x", text, time));
    store.put_reviews(&rows).unwrap();
    store.put_reviews(&[review("ann", "y", "one", 1), review("ann", "y", "two", 2)]).unwrap();

    // Items that the import does not name keep all.
    assert_eq!(newest(&[rows[0].clone().into()]), [Older]);
    assert_eq!(texts(&store, "ann"), ["one", "two", "three"]);
    let edited = review("ann", "y", "edited", 2);
    assert_eq!(newest(&[edited.clone().into(), rows[2].clone().into()]), [Replaced, Same]);
    assert_eq!(texts(&store, "ann"), ["edited", "three"]);

    // Of equal times the first of the last import stays.
    let tied = review("ann", "y", "tied", 2);
    assert_eq!(newest(&[edited.clone().into(), tied.clone().into()]), [Same, Tied]);
    assert_eq!(newest(&[tied.into(), edited.into()]), [Replaced, Tied]);
    // A newer row with the id of a review of another item is that review, moved.
    assert_eq!(newest(&[with_id("m", rows[2].clone())]), [Same]);
    assert_eq!(newest(&[with_id("m", review("ann", "y", "three", 9))]), [Replaced]);
    assert_eq!(texts(&store, "ann"), ["three"]);
    assert!(store.reviews_of("x").unwrap().is_empty());
}

#[test]
fn an_import_tells_each_row_once() {
    let store = Store::in_memory().unwrap();
    let rows = |session: &mut ImportSession, rows: &[Review]| {
        let rows: Vec<SourceReview> = rows.iter().cloned().map(SourceReview::from).collect();
        store.put_rows(session, &[], &rows).unwrap()
    };
    let [one, two] = [review("a", "x", "one", 5), review("a", "x", "two", 6)];
    let mut session = ImportSession::keeping(KeptReviews::All);
    let first = rows(&mut session, &[one.clone(), two.clone(), one.clone()]);
    assert_eq!(first.iter().map(|u| u.further).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!(first.iter().map(|u| u.duplicate).collect::<Vec<_>>(), [false, false, true]);
    let mut session = ImportSession::keeping(KeptReviews::Newest);
    let second = rows(&mut session, &[one.clone(), two, one]);
    assert_eq!(second.iter().map(|u| u.removed).collect::<Vec<_>>(), [1, 0, 0]);
    assert_eq!(second.iter().map(|u| u.duplicate).collect::<Vec<_>>(), [false, true, true]);
}

/// A row of a random import. Its user and item follow from its id in imports with ids, so that ids
/// are unique.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PlainRow {
    id: u8,
    pair: (u8, u8),
    text: u8,
    title: u8,
    time: i64,
}

/// Which rows are the same review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Identity {
    Text,
    Id,
    UserAndItem,
}

impl PlainRow {
    fn stored(&self, identity: Identity) -> SourceReview {
        let (user, item) = match identity {
            Identity::Id => (self.id % 3, self.id / 3 % 2),
            _ => self.pair,
        };
        let mut review = review(&format!("u{user}"), &format!("i{item}"), "", self.time);
        review.text = format!("text {}", self.text);
        review.title = format!("title {}", self.title);
        SourceReview {
            id: (identity == Identity::Id).then(|| self.id.to_string()),
            ..review.into()
        }
    }

    fn key(&self, identity: Identity) -> Vec<i64> {
        let (user, item) = (i64::from(self.pair.0), i64::from(self.pair.1));
        match identity {
            Identity::Text => vec![user, item, self.time, i64::from(self.text)],
            Identity::Id => vec![i64::from(self.id)],
            Identity::UserAndItem => vec![user, item],
        }
    }
}

fn rows() -> impl Strategy<Value = Vec<PlainRow>> {
    let row = (0..9_u8, (0..3_u8, 0..2_u8), 0..3_u8, 0..2_u8, 0..4_i64);
    let row =
        row.prop_map(|(id, pair, text, title, time)| PlainRow { id, pair, text, title, time });
    prop::collection::vec(row, 0..12)
}

/// Contents of the store without row ids, sorted.
fn contents(store: &Store) -> Vec<String> {
    let mut stored: Vec<String> = store
        .reviews(&store.review_ids().unwrap())
        .unwrap()
        .iter()
        .zip(names(store))
        .map(|(stored, name)| format!("{name:?} {:?}", stored.review))
        .collect();
    stored.sort();
    stored
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// For any imports, some of them repeated, the store holds for each identity the first row of
    /// the greatest time in the last import that has one of that time.
    #[test]
    fn the_store_is_the_map_of_identities(
        imports in prop::collection::vec(rows(), 1..5),
        repeated in prop::collection::vec(any::<Index>(), 0..3),
        batch in 1..5_usize,
        identity in prop::sample::select(vec![Identity::Text, Identity::Id, Identity::UserAndItem]),
    ) {
        let again: Vec<_> = repeated.iter().map(|index| index.get(&imports).clone()).collect();
        let imports: Vec<_> = imports.into_iter().chain(again).collect();
        let kept = match identity {
            Identity::UserAndItem => KeptReviews::Newest,
            _ => KeptReviews::All,
        };
        let store = Store::in_memory().unwrap();
        let import = |rows: &[PlainRow]| {
            let mut session = ImportSession::keeping(kept);
            let mut outcomes = Vec::new();
            for rows in rows.chunks(batch) {
                let rows: Vec<_> = rows.iter().map(|row| row.stored(identity)).collect();
                outcomes.extend(store.put_rows(&mut session, &[], &rows).unwrap());
            }
            outcomes
        };
        let mut expected: BTreeMap<Vec<i64>, (i64, usize, PlainRow)> = BTreeMap::new();
        for (number, rows) in imports.iter().enumerate() {
            let outcomes = import(rows);
            prop_assert!(outcomes.iter().all(|u| u.holder.is_none() && u.removed == 0));
            for row in rows {
                let rank = |(time, import, _): &(i64, usize, PlainRow)| (*time, *import);
                let this = (row.time, number, row.clone());
                let held = expected.entry(row.key(identity)).or_insert_with(|| this.clone());
                if rank(&this) > rank(held) {
                    *held = this;
                }
            }
            let mut wanted: Vec<String> = expected
                .values()
                .map(|(_, _, row)| row.stored(identity))
                .map(|row| format!("{:?} {:?}", row.id, row.review))
                .collect();
            wanted.sort();
            prop_assert_eq!(contents(&store), wanted);
        }
        // Importing the last file again changes nothing, so that no derived value is lost.
        let ids = store.review_ids().unwrap();
        for upsert in import(imports.last().unwrap()) {
            prop_assert!(!matches!(upsert.outcome, UpsertOutcome::New | UpsertOutcome::Replaced));
        }
        prop_assert_eq!(store.review_ids().unwrap(), ids);
    }

    /// Rows with and without ids in any order: beside a review without an id there is no other with
    /// its text, and nothing is stored that was not imported.
    #[test]
    fn mixed_rows_are_never_doubled(
        imports in prop::collection::vec(prop::collection::vec((rows(), any::<bool>()), 1..4), 1..4),
        kept in prop::sample::select(vec![KeptReviews::All, KeptReviews::Newest]),
    ) {
        let store = Store::in_memory().unwrap();
        let mut imported = Vec::new();
        for import in imports {
            let of_import = import.iter().flat_map(|(rows, has_ids)| {
                let identity = if *has_ids { Identity::Id } else { Identity::Text };
                rows.iter().map(move |row| row.stored(identity))
            });
            let of_import: Vec<SourceReview> = of_import.collect();
            store.put_source_reviews(&of_import, kept).unwrap();
            imported.extend(of_import);
        }
        let stored = store.reviews(&store.review_ids().unwrap()).unwrap();
        let named: Vec<_> = stored.iter().map(|r| &r.review).zip(names(&store)).collect();
        for (i, (review, name)) in named.iter().enumerate() {
            prop_assert!(imported.iter().any(|row| row.review == **review));
            if let Some(name) = name {
                let of_id = |row: &&SourceReview| row.id.as_ref() == Some(name);
                prop_assert!(imported.iter().filter(of_id).any(|row| row.review.user == review.user));
                continue;
            }
            let identity = |r: &Review| (r.user.clone(), r.item.clone(), r.time, r.text.clone());
            for (j, (other, _)) in named.iter().enumerate() {
                prop_assert!(i == j || identity(other) != identity(review));
            }
        }
        if kept == KeptReviews::Newest {
            let mut pairs: Vec<_> = stored.iter().map(|r| (&r.review.user, &r.review.item)).collect();
            let n = pairs.len();
            pairs.sort();
            pairs.dedup();
            prop_assert_eq!(pairs.len(), n);
        }
    }
}
