//! Checksums of what a store holds. SQLite has none: a byte that changed on the disk within a text would be
//! read as it is.

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::Review;

/// Maximum number of problems that a check lists.
const MAX_TOLD: usize = 3;

/// A stored value that does not have its checksum.
#[derive(Debug, thiserror::Error)]
#[error("{what} is not what was stored")]
pub(super) struct WrongSum {
    what: String,
}

/// CRC-32 of the parts with their lengths.
pub(super) fn sum(parts: &[&[u8]]) -> i64 {
    let mut hasher = crc32fast::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    i64::from(hasher.finalize())
}

/// Checksum of texts.
pub(super) fn of_texts(texts: &[&str]) -> i64 {
    let parts: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
    sum(&parts)
}

/// Checksum of a review with the names of its user and item.
pub(super) fn of_review(review: &Review) -> i64 {
    let Review { user, item, rating, title, text, time } = review;
    let rating = rating.map_or([0; 5], |rating| {
        let [a, b, c, d] = rating.to_le_bytes();
        [1, a, b, c, d]
    });
    let texts = [user, item, title, text].map(|text| text.as_bytes());
    let [user, item, title, text] = texts;
    sum(&[user, item, &rating, title, text, &time.to_le_bytes()])
}

/// Error if a value has another checksum than `expected`; `None` was stored before there were any, or by
/// another program.
pub(super) fn check(
    stored: Option<i64>,
    expected: i64,
    what: impl FnOnce() -> String,
) -> rusqlite::Result<()> {
    match stored.is_none_or(|stored| stored == expected) {
        true => Ok(()),
        false => {
            let wrong = Box::new(WrongSum { what: what() });
            Err(rusqlite::Error::FromSqlConversionFailure(0, Type::Integer, wrong))
        }
    }
}

/// The problem of an error of [`check`].
pub(super) fn problem(error: &rusqlite::Error) -> Option<String> {
    match error {
        rusqlite::Error::FromSqlConversionFailure(_, _, source) => {
            source.downcast_ref::<WrongSum>().map(ToString::to_string)
        }
        _ => None,
    }
}

/// Stores the checksum of an item, after a change of its row.
pub(super) fn sum_item(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    let sum: i64 = connection
        .prepare_cached("SELECT name, title, description, categories FROM item WHERE name = ?1")?
        .query_row([name], |row| of_columns(row, 0..4))?;
    connection
        .prepare_cached("UPDATE item SET sum = ?2 WHERE name = ?1 AND sum IS NOT ?2")?
        .execute(params![name, sum])
        .map(drop)
}

/// Checksum of these columns of a row, which are texts.
fn of_columns(row: &Row<'_>, columns: std::ops::Range<usize>) -> rusqlite::Result<i64> {
    let texts: Vec<String> = columns.map(|at| row.get(at)).collect::<Result<_, _>>()?;
    Ok(of_texts(&texts.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// A table, the columns of a row that say which one it is, and how its checksum is computed.
struct SummedTable {
    name: &'static str,
    /// Key, stored checksum, and what it is of.
    select: &'static str,
    sum: fn(&Row<'_>) -> rusqlite::Result<i64>,
}

const TABLES: [SummedTable; 6] = [
    SummedTable {
        name: "user",
        select: "SELECT rowid, sum, name FROM user",
        sum: |row| of_columns(row, 2..3),
    },
    SummedTable {
        name: "item",
        select: "SELECT rowid, sum, name, title, description, categories FROM item",
        sum: |row| of_columns(row, 2..6),
    },
    SummedTable {
        name: "review",
        select:
            "SELECT review.id, review.sum, user.name, item.name, rating, review.title, text, time
                 FROM review JOIN user ON user.id = user JOIN item ON item.id = item",
        sum: |row| {
            Ok(of_review(&Review {
                user: row.get(2)?,
                item: row.get(3)?,
                rating: row.get(4)?,
                title: row.get(5)?,
                text: row.get(6)?,
                time: row.get(7)?,
            }))
        },
    },
    SummedTable {
        name: "derived",
        select: "SELECT rowid, sum, kind, key, value FROM derived",
        sum: |row| of_columns(row, 2..5),
    },
    SummedTable {
        name: "vector",
        select: "SELECT rowid, sum, value FROM vector",
        sum: |row| Ok(sum(&[row.get_ref(2)?.as_bytes()?])),
    },
    SummedTable {
        name: "profile_edit",
        select: "SELECT version, sum, value FROM profile_edit",
        sum: |row| of_columns(row, 2..3),
    },
];

/// Checksums of tables of other keys than one number are filled by their values alone.
fn update_of(table: &str) -> String {
    match table {
        "profile_edit" => {
            "UPDATE profile_edit SET sum = ?2 WHERE version = ?1 AND value = ?3".into()
        }
        _ => format!("UPDATE {table} SET sum = ?2 WHERE rowid = ?1"),
    }
}

/// Treatment of rows that have a wrong checksum.
pub(super) struct WrongRows<'a> {
    /// Tables of which they are deleted; of the others they get the right one.
    pub(super) dropped_from: &'a [&'a str],
    /// Whether a user or an item of this name got it after its checksum was computed.
    pub(super) is_renamed: &'a dyn Fn(&str) -> bool,
}

/// Stores the checksums of all rows that have none or a wrong one. Returns the number of wrong ones by
/// table.
pub(super) fn fill(
    connection: &Connection,
    wrong_rows: &WrongRows<'_>,
) -> rusqlite::Result<Vec<(&'static str, u64)>> {
    let is_known = wrong_rows.is_renamed;
    let mut wrong = Vec::new();
    for table in &TABLES {
        let (mut n_wrong, mut dropped) = (0, Vec::new());
        let mut changes: Vec<(i64, i64, Option<String>)> = Vec::new();
        let mut select = connection.prepare(table.select)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (key, stored): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
            let sum = (table.sum)(row)?;
            if stored == Some(sum) {
                continue;
            }
            let named = |at: usize| row.get::<_, String>(at).is_ok_and(|name| is_known(&name));
            let had_to_change = match table.name {
                "review" => named(2) || named(3),
                "user" | "item" => named(2),
                _ => false,
            };
            let is_wrong = stored.is_some() && !had_to_change;
            n_wrong += u64::from(is_wrong);
            if is_wrong && wrong_rows.dropped_from.contains(&table.name) {
                dropped.push(key);
                continue;
            }
            let value = if table.name == "profile_edit" { row.get(2)? } else { None };
            changes.push((key, sum, value));
        }
        let mut update = connection.prepare(&update_of(table.name))?;
        for (key, sum, value) in changes {
            match value {
                Some(value) => update.execute(params![key, sum, value])?,
                None => update.execute(params![key, sum])?,
            };
        }
        drop(rows);
        for key in dropped {
            connection.execute(&format!("DELETE FROM {} WHERE rowid = ?1", table.name), [key])?;
        }
        wrong.push((table.name, n_wrong));
    }
    Ok(wrong)
}

/// The first rows that do not have their checksum.
pub(super) fn problems(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut found = Vec::new();
    for table in &TABLES {
        let mut select = connection.prepare(table.select)?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            let (key, stored): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
            if stored.is_some_and(|stored| (table.sum)(row).ok() != Some(stored)) {
                found.push(format!("row {key} of {} is not what was stored", table.name));
                if found.len() == MAX_TOLD {
                    return Ok(found);
                }
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Error, Item, Key, Store};

    fn review(text: &str) -> Review {
        let (user, item, title) = ("ann".to_owned(), "x".to_owned(), "t".to_owned());
        Review { user, item, rating: Some(4.5), title, text: text.to_owned(), time: 7 }
    }

    #[test]
    fn every_field_of_a_review_counts() {
        let whole = of_review(&review("abc"));
        for other in [
            Review { user: "bo".to_owned(), ..review("abc") },
            Review { item: "y".to_owned(), ..review("abc") },
            Review { rating: None, ..review("abc") },
            Review { rating: Some(0.0), ..review("abc") },
            Review { title: "ta".to_owned(), text: "bc".to_owned(), ..review("abc") },
            Review { time: 8, ..review("abc") },
            review("abd"),
        ] {
            assert_ne!(of_review(&other), whole, "{other:?}");
        }
    }

    /// A store with a row in every table.
    fn store() -> (Store, Key) {
        let store = Store::in_memory().unwrap();
        store.put_reviews(&[review("a text")]).unwrap();
        let item = Item {
            id: "x".to_owned(),
            title: "X".to_owned(),
            description: "an x".to_owned(),
            categories: vec!["c".to_owned()],
        };
        store.put_items(&[item]).unwrap();
        let id = store.review_ids().unwrap()[0];
        let key = Key::of("k").finish();
        store.put_derived("kind", &key, "\"value\"", &[id]).unwrap();
        store.put_vectors("e", &[(id, vec![1.0, 2.0])]).unwrap();
        store.put_profile_edit("ann", 0, "an edit").unwrap();
        (store, key)
    }

    #[test]
    fn a_changed_byte_is_an_error_wherever_it_is_read() {
        let (store, key) = store();
        store.check().unwrap();
        let id = store.review_ids().unwrap()[0];
        type Read = fn(&Store, &Key) -> Result<(), Error>;
        let reads: [(&str, Read); 7] = [
            ("UPDATE review SET text = 'b text'", |s, _| s.history("ann").map(drop)),
            ("UPDATE review SET rating = 4.25", |s, _| s.reviews_of("x").map(drop)),
            ("UPDATE item SET title = 'Y'", |s, _| s.item("x").map(drop)),
            ("UPDATE user SET name = 'anm'", |s, _| s.users(0).map(drop)),
            ("UPDATE derived SET value = '1'", |s, key| s.derived("kind", key).map(drop)),
            ("UPDATE derived SET value = '1'", |s, _| s.derived_values("kind").map(drop)),
            ("UPDATE profile_edit SET value = 'an exit'", |s, _| s.profile_edits("ann").map(drop)),
        ];
        for (change, read) in reads {
            let (store, key) = self::store();
            read(&store, &key).unwrap();
            store.write(|t| t.execute_batch(change)).unwrap();
            for error in [read(&store, &key).unwrap_err(), store.check().unwrap_err()] {
                assert!(matches!(&error, Error::Broken { .. }), "{change}: {error}");
                assert!(error.to_string().contains("not what was stored"), "{error}");
            }
        }
        store.write(|t| t.execute_batch("UPDATE vector SET value = x'0000803f00008040'")).unwrap();
        assert!(matches!(store.vectors("e", &[id]), Err(Error::Broken { .. })));
        // Rows of other programs have no checksum.
        store.write(|t| t.execute_batch("UPDATE vector SET sum = NULL")).unwrap();
        assert_eq!(store.vectors("e", &[id]).unwrap()[&id], [1.0, 4.0]);
        assert_eq!(store.derived("kind", &key).unwrap().as_deref(), Some("\"value\""));
    }

    #[test]
    fn missing_and_wrong_sums_are_filled() {
        let (store, _) = store();
        store
            .write(|t| {
                t.execute_batch(
                    "UPDATE review SET text = 'b text'; UPDATE item SET sum = NULL; UPDATE derived SET value = '1';
                     UPDATE profile_edit SET value = 'an exit';",
                )
            })
            .unwrap();
        let rows = WrongRows { dropped_from: &["derived"], is_renamed: &|_| false };
        let wrong = store.write(|t| fill(t, &rows)).unwrap();
        let wrong: Vec<_> = wrong.into_iter().filter(|(_, n)| *n > 0).collect();
        assert_eq!(wrong, [("review", 1), ("derived", 1), ("profile_edit", 1)]);
        assert!(store.derived_values("kind").unwrap().is_empty());
        store.check().unwrap();
        assert_eq!(store.history("ann").unwrap()[0].review.text, "b text");
    }
}
