//! Stored vectors of reviews, keyed by review and by the encoder's fingerprint.

use std::collections::HashMap;

use rusqlite::{OptionalExtension, params};

use super::{Error, Result, ReviewId, Store, sums};

impl Store {
    /// Returns the ids of the reviews without a vector under `fingerprint`, ascending.
    pub fn without_vector(&self, fingerprint: &str) -> Result<Vec<ReviewId>> {
        let sql = "SELECT id FROM review AS r WHERE NOT EXISTS (
                       SELECT 1 FROM vector WHERE vector.review = r.id
                       AND vector.stamp = (SELECT id FROM stamp WHERE name = ?1))
                   ORDER BY id";
        let mut without = self.list(sql, [fingerprint], |row| row.get(0).map(ReviewId))?;
        if let Some(overlay) = self.overlay() {
            overlay.with(|kept| without.retain(|id| !kept.has_vector(fingerprint, *id)));
        }
        Ok(without)
    }

    /// Stores vectors under `fingerprint` in one transaction. Replaces vectors that these reviews
    /// already have under it. Skips the vector of a review that no longer exists.
    ///
    /// All vectors of a fingerprint have the same length. If a vector is empty, has another length,
    /// or contains a NaN or an infinity, the result is an error and nothing is stored.
    pub fn put_vectors(&self, fingerprint: &str, vectors: &[(ReviewId, Vec<f32>)]) -> Result<()> {
        let Some((first, vector)) = vectors.first() else {
            return Ok(());
        };
        let dimensions = vector.len();
        for (review, vector) in vectors {
            check(fingerprint, *review, vector, dimensions)?;
        }
        if let Some(overlay) = self.overlay() {
            overlay.with(|kept| {
                let of_encoder = kept.vectors.entry(fingerprint.to_owned()).or_default();
                of_encoder.extend(vectors.iter().cloned());
            });
            return Ok(());
        }
        let stored = self.write(|transaction| {
            transaction
                .prepare_cached("INSERT OR IGNORE INTO stamp(name, dimensions) VALUES (?1, ?2)")?
                .execute(params![fingerprint, dimensions as i64])?;
            let (encoder, stored): (i64, i64) = transaction
                .prepare_cached("SELECT id, dimensions FROM stamp WHERE name = ?1")?
                .query_row([fingerprint], |row| Ok((row.get(0)?, row.get(1)?)))?;
            if stored != dimensions as i64 {
                return Ok(stored);
            }
            let mut insert = transaction.prepare_cached(
                "INSERT INTO vector(review, stamp, value, sum)
                 SELECT id, ?2, ?3, ?4 FROM review WHERE id = ?1
                 ON CONFLICT(review, stamp) DO UPDATE SET value = excluded.value, sum = excluded.sum",
            )?;
            for (review, vector) in vectors {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                insert.execute(params![review.0, encoder, bytes, sums::sum(&[&bytes])])?;
            }
            Ok(stored)
        })?;
        if stored != dimensions as i64 {
            let reason = format!("it has {dimensions} numbers; those stored have {stored}");
            return Err(bad(fingerprint, *first, reason));
        }
        Ok(())
    }

    /// Returns the vectors stored under `fingerprint`; reviews without one are absent from the map.
    /// Error if a stored vector has the wrong length or contains a NaN or an infinity.
    pub fn vectors(
        &self,
        fingerprint: &str,
        ids: &[ReviewId],
    ) -> Result<HashMap<ReviewId, Vec<f32>>> {
        let blobs = self.read(|connection| {
            let encoder = connection
                .prepare_cached("SELECT id, dimensions FROM stamp WHERE name = ?1")?
                .query_row([fingerprint], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
                .optional()?;
            let Some((encoder, dimensions)) = encoder else {
                return Ok((0, Vec::new()));
            };
            let mut select = connection
                .prepare_cached("SELECT value, sum FROM vector WHERE review = ?1 AND stamp = ?2")?;
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                let read = |row: &rusqlite::Row<'_>| {
                    let blob: Vec<u8> = row.get(0)?;
                    let what = || format!("the vector of review {}", id.0);
                    sums::check(row.get(1)?, sums::sum(&[&blob]), what)?;
                    Ok(blob)
                };
                let blob = select.query_row([id.0, encoder], read).optional()?;
                found.extend(blob.map(|blob| (*id, blob)));
            }
            Ok((dimensions as usize, found))
        })?;
        let (dimensions, found) = blobs;
        let kept: Vec<_> = self.overlay().map_or(Vec::new(), |overlay| {
            overlay.with(|kept| {
                let of_encoder = kept.vectors.get(fingerprint);
                let wanted = ids.iter().filter_map(|id| Some((*id, of_encoder?.get(id)?.clone())));
                wanted.collect()
            })
        });
        found
            .into_iter()
            .map(|(id, blob)| {
                let (numbers, rest) = blob.as_chunks::<4>();
                let vector: Vec<f32> = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
                if !rest.is_empty() {
                    let reason = format!("{} stored bytes, no multiple of 4{MEND}", blob.len());
                    return Err(bad(fingerprint, id, reason));
                }
                check(fingerprint, id, &vector, dimensions)?;
                Ok((id, vector))
            })
            .chain(kept.into_iter().map(Ok))
            .collect()
    }

    /// Deletes all vectors of `fingerprint`, so that they are computed again. Returns their number.
    pub fn drop_vectors(&self, fingerprint: &str) -> Result<usize> {
        self.write(|transaction| {
            let sql = "DELETE FROM vector WHERE stamp = (SELECT id FROM stamp WHERE name = ?1)";
            let gone = transaction.execute(sql, [fingerprint])?;
            transaction.execute("DELETE FROM stamp WHERE name = ?1", [fingerprint])?;
            Ok(gone)
        })
    }
}

const MEND: &str = "; the store is damaged, restore a copy";

fn check(fingerprint: &str, review: ReviewId, vector: &[f32], dimensions: usize) -> Result<()> {
    if vector.is_empty() {
        return Err(bad(fingerprint, review, "it is empty".to_owned()));
    }
    if vector.len() != dimensions {
        let reason = format!("it has {} numbers, expected {dimensions}", vector.len());
        return Err(bad(fingerprint, review, reason));
    }
    match vector.iter().position(|x| !x.is_finite()) {
        Some(at) => {
            let reason = format!("number {at} is {}, expected a finite one", vector[at]);
            Err(bad(fingerprint, review, reason))
        }
        None => Ok(()),
    }
}

fn bad(fingerprint: &str, review: ReviewId, reason: String) -> Error {
    Error::BadVector { review, fingerprint: fingerprint.to_owned(), reason }
}
