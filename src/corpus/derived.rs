//! What models made from reviews, each value under the hash of all that made it.

use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{OptionalExtension, params};

use super::{Key, Result, ReviewId, Store};

impl Store {
    /// The derived value stored under `key`.
    pub fn derived(&self, kind: &str, key: &Key) -> Result<Option<String>> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT value FROM derived WHERE kind = ?1 AND key = ?2")?
                .query_row([kind, key.as_str()], |row| row.get(0))
                .optional()
        })
    }

    /// Stores a derived value and the reviews it was made from; it goes when one of them goes.
    /// If one of them has gone meanwhile, nothing is stored: the value is out of date already.
    pub fn put_derived(
        &self,
        kind: &str,
        key: &Key,
        value: &str,
        made_from: &[ReviewId],
    ) -> Result<()> {
        let made = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs() as i64);
        self.write(|transaction| {
            let mut exists = transaction.prepare_cached("SELECT 1 FROM review WHERE id = ?1")?;
            for review in made_from {
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
            for review in made_from {
                insert.execute([id, review.0])?;
            }
            Ok(())
        })
    }
}
