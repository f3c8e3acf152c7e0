//! Cache of values that models computed from reviews, each under the hash of all its inputs.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{OptionalExtension, params};

use super::store::{review_of_row, select_reviews};
use super::{Error, Key, Result, ReviewId, Store};

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
                .prepare_cached("SELECT value FROM derived WHERE kind = ?1 AND key = ?2")?
                .query_row([kind, key.as_str()], |row| row.get(0))
                .optional()
        })
    }

    /// All derived values of a kind, in the order in which they were made.
    pub fn derived_values(&self, kind: &str) -> Result<Vec<String>> {
        let sql = "SELECT value FROM derived WHERE kind = ?1 ORDER BY made, id";
        let mut values: Vec<String> = self.list(sql, [kind], |row| row.get(0))?;
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
        let made = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs() as i64);
        self.write(|transaction| {
            let mut exists = transaction.prepare_cached("SELECT 1 FROM review WHERE id = ?1")?;
            for review in sources {
                if !exists.exists([review.0])? {
                    return Ok(());
                }
            }
            let id: i64 = transaction
                .prepare_cached(
                    "INSERT INTO derived(kind, key, value, made) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT(kind, key) DO UPDATE SET value = excluded.value, made = excluded.made
                     RETURNING id",
                )?
                .query_row(params![kind, key.as_str(), value, made], |row| row.get(0))?;
            transaction
                .prepare_cached("DELETE FROM derived_source WHERE derived = ?1")?
                .execute([id])?;
            let mut insert = transaction.prepare_cached(
                "INSERT OR IGNORE INTO derived_source(derived, review) VALUES (?1, ?2)",
            )?;
            for review in sources {
                insert.execute([id, review.0])?;
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
                    "INSERT INTO derived(kind, key, value, made) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT(kind, key) DO NOTHING RETURNING id",
                )?;
                let mut insert_source = transaction.prepare_cached(
                    "INSERT INTO derived_source(derived, review) VALUES (?1, ?2)",
                )?;
                let mut taken = 0;
                for DerivedRow { kind, key, value, made, sources } in &values {
                    let row = params![kind, key, value, made];
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
