//! Cache of values that models computed from reviews, each under the hash of all its inputs.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{OptionalExtension, Row, Transaction, params};

use super::store::{review_of_row, select_reviews};
use super::{Error, Key, Result, ReviewId, Store, sums};

/// Number of derived values copied per transaction.
const ROWS_PER_TRANSACTION: usize = 1024;

impl Store {
    /// Returns the derived value stored under `key`, if any.
    pub fn derived(&self, kind: &str, key: &Key) -> Result<Option<String>> {
        let kept = self.overlay().and_then(|s| s.with(|kept| kept.derived(kind, key.as_str())));
        if kept.is_some() {
            return Ok(kept);
        }
        self.read(|connection| {
            connection
                .prepare_cached("SELECT key, value, sum FROM derived WHERE kind = ?1 AND key = ?2")?
                .query_row([kind, key.as_str()], |row| value_of_row(kind, row))
                .optional()
        })
    }

    /// All derived values of a kind, in the order in which they were made.
    pub fn derived_values(&self, kind: &str) -> Result<Vec<String>> {
        // By id and not by `made`, since clocks are set back.
        let sql = "SELECT key, value, sum FROM derived WHERE kind = ?1 ORDER BY id";
        let mut values: Vec<String> = self.list(sql, [kind], |row| value_of_row(kind, row))?;
        if let Some(overlay) = self.overlay() {
            overlay.with(|kept| {
                let of_kind = kept.derived.iter().filter(|(of, ..)| of == kind);
                values.extend(of_kind.map(|(.., value)| value.clone()));
            });
        }
        Ok(values)
    }

    /// Deletes all derived values of a kind.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn drop_derived(&self, kind: &str) -> Result<()> {
        if let Some(overlay) = self.overlay() {
            overlay.with(|kept| kept.derived.retain(|(of, ..)| of != kind));
            return Ok(());
        }
        self.write(|transaction| {
            transaction.execute("DELETE FROM derived WHERE kind = ?1", [kind]).map(drop)
        })
    }

    /// Deletes the derived value stored under `key`, if any.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn remove_derived(&self, kind: &str, key: &Key) -> Result<()> {
        if let Some(overlay) = self.overlay() {
            overlay
                .with(|kept| kept.derived.retain(|(of, at, _)| of != kind || at != key.as_str()));
            return Ok(());
        }
        self.write(|transaction| {
            let sql = "DELETE FROM derived WHERE kind = ?1 AND key = ?2";
            transaction.execute(sql, [kind, key.as_str()]).map(drop)
        })
    }

    /// Stores a derived value and the reviews it was computed from. The value is deleted when one
    /// of these reviews is deleted. If one of them no longer exists, nothing is stored, because the
    /// value is already out of date.
    pub fn put_derived(
        &self,
        kind: &str,
        key: &Key,
        value: &str,
        sources: &[ReviewId],
    ) -> Result<()> {
        if let Some(overlay) = self.overlay() {
            overlay.with(|kept| kept.put_derived(kind, key.as_str(), value));
            return Ok(());
        }
        self.write(|transaction| {
            let mut exists = transaction.prepare_cached("SELECT 1 FROM review WHERE id = ?1")?;
            for review in sources {
                if !exists.exists([review.0])? {
                    return Ok(());
                }
            }
            let id = insert_derived(transaction, kind, key, value)?;
            let mut insert = transaction.prepare_cached(
                "INSERT OR IGNORE INTO derived_source(derived, review) VALUES (?1, ?2)",
            )?;
            for review in sources {
                insert.execute([id, review.0])?;
            }
            Ok(())
        })
    }

    /// Stores a value that was computed from all reviews, which were `reviews` then; every deletion
    /// deletes it. If the store has other reviews now, nothing is stored, because the value is already
    /// out of date.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn put_derived_from_all(
        &self,
        kind: &str,
        key: &Key,
        value: &str,
        reviews: &[ReviewId],
    ) -> Result<()> {
        if self.overlay().is_some() {
            return self.put_derived(kind, key, value, &[]);
        }
        // Ids are never reused: a review that was added has a greater one than all before it.
        let then = (reviews.len() as i64, reviews.iter().map(|id| id.0).max().unwrap_or(0));
        self.write(|transaction| {
            let now: (i64, i64) = transaction
                .prepare_cached("SELECT count(*), coalesce(max(id), 0) FROM review")?
                .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if now == then {
                insert_derived(transaction, kind, key, value)?;
            }
            Ok(())
        })
    }

    /// Copies the derived values of `other` that this store lacks and returns their number. Values
    /// copied before an error stay.
    ///
    /// # Errors
    /// [`Error::OtherReviews`] if the two stores do not hold the same reviews under the same ids,
    /// as copies of one store do: a value refers to its reviews by id.
    pub fn take_derived(&self, other: &Self) -> Result<usize> {
        if self.reviews_key()? != other.reviews_key()? {
            let (path, other) = (self.path().to_owned(), other.path().to_owned());
            return Err(Error::OtherReviews { path, other });
        }
        let ids: Vec<i64> =
            other.list("SELECT id FROM derived ORDER BY id", [], |row| row.get(0))?;
        let mut taken = 0;
        for ids in ids.chunks(ROWS_PER_TRANSACTION) {
            let values = ids.iter().map(|id| other.derived_row(*id)).collect::<Result<Vec<_>>>()?;
            taken += self.write(|transaction| {
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO derived(kind, key, value, made, sum) VALUES (?1, ?2, ?3, ?4, ?5)
                     ON CONFLICT(kind, key) DO NOTHING RETURNING id",
                )?;
                let mut insert_source = transaction.prepare_cached(
                    "INSERT INTO derived_source(derived, review) VALUES (?1, ?2)",
                )?;
                let mut taken = 0;
                for DerivedRow { kind, key, value, made, sources } in &values {
                    let row = params![kind, key, value, made, sums::of_texts(&[kind, key, value])];
                    let id: Option<i64> = insert.query_row(row, |row| row.get(0)).optional()?;
                    let Some(id) = id else { continue };
                    for source in sources {
                        insert_source.execute([id, *source])?;
                    }
                    taken += 1;
                }
                Ok(taken)
            })?;
        }
        Ok(taken)
    }

    fn derived_row(&self, id: i64) -> Result<DerivedRow> {
        let sql = "SELECT review FROM derived_source WHERE derived = ?1 ORDER BY review";
        let sources = self.list(sql, [id], |row| row.get(0))?;
        self.read(|connection| {
            connection
                .prepare_cached("SELECT kind, key, value, made FROM derived WHERE id = ?1")?
                .query_row([id], |row| {
                    let (kind, key) = (row.get(0)?, row.get(1)?);
                    Ok(DerivedRow { kind, key, value: row.get(2)?, made: row.get(3)?, sources })
                })
        })
    }

    /// Hash of the id, user, item and text of every review.
    fn reviews_key(&self) -> Result<Key> {
        self.read(|connection| {
            let mut statement = connection.prepare(&select_reviews("ORDER BY review.id"))?;
            let mut rows = statement.query([])?;
            let mut key = Key::of("reviews");
            while let Some(row) = rows.next()? {
                let stored = review_of_row(row)?;
                let review = &stored.review;
                key = key
                    .with("id", stored.id.0.to_le_bytes())
                    .with("user", &review.user)
                    .with("item", &review.item)
                    .with("text", &review.text);
            }
            Ok(key.finish())
        })
    }
}

struct DerivedRow {
    kind: String,
    key: String,
    value: String,
    made: i64,
    sources: Vec<i64>,
}

/// The value of a row with key, value and checksum.
fn value_of_row(kind: &str, row: &Row<'_>) -> rusqlite::Result<String> {
    let (key, value): (String, String) = (row.get(0)?, row.get(1)?);
    let what = || format!("a stored value of kind `{kind}`");
    sums::check(row.get(2)?, sums::of_texts(&[kind, &key, &value]), what)?;
    Ok(value)
}

/// Inserts a derived value without sources in place of the one with this key; returns its row.
fn insert_derived(
    transaction: &Transaction<'_>,
    kind: &str,
    key: &Key,
    value: &str,
) -> rusqlite::Result<i64> {
    let made = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs() as i64);
    // A value that is made again gets a new id, so that ids tell the order.
    transaction
        .prepare_cached("DELETE FROM derived WHERE kind = ?1 AND key = ?2")?
        .execute([kind, key.as_str()])?;
    transaction
        .prepare_cached(
            "INSERT INTO derived(kind, key, value, made, sum) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            kind,
            key.as_str(),
            value,
            made,
            sums::of_texts(&[kind, key.as_str(), value])
        ])?;
    Ok(transaction.last_insert_rowid())
}
