//! Statistics of a store for its operator: schema version and stored vectors.

use super::{Error, Result, Store, schema, sums};

/// Size of a store, in bytes, up to which all of its pages are checked when a command opens it.
const SMALL: u64 = 64 << 20;

/// Number of stored vectors of one encoder.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct VectorCount {
    /// Fingerprint of the encoder that computed them.
    #[serde(rename = "stamp")]
    pub encoder_fingerprint: String,
    /// Number of reviews with such a vector.
    pub vectors: u64,
}

impl Store {
    /// Returns the schema version.
    pub fn schema_version(&self) -> Result<u64> {
        self.read(|connection| {
            connection
                .query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))
                .map(|version| version as u64)
        })
    }

    /// Checks every page of the file, that indexes have the rows of their tables, and that rows are what was
    /// stored.
    ///
    /// # Errors
    /// [`Error::Broken`] with the first problems; [`Error::Damaged`] if a page cannot be read at all.
    pub fn check(&self) -> Result<()> {
        self.check_pages()?;
        if self.schema_version()? == schema::newest() {
            return self.require_none(&self.read(sums::problems)?);
        }
        Ok(())
    }

    /// Checks every page of the file if it is small, which takes a millisecond a mebibyte: a damaged store
    /// is told before anything is written to it. Pages of a large one are checked when they are read.
    ///
    /// # Errors
    /// As [`Store::check`].
    pub fn check_if_small(&self) -> Result<()> {
        let size = std::fs::metadata(self.path()).map_or(0, |file| file.len());
        match size <= SMALL {
            true => self.check_pages(),
            false => Ok(()),
        }
    }

    fn check_pages(&self) -> Result<()> {
        let found = self.list("PRAGMA quick_check(3)", [], |row| row.get::<_, String>(0))?;
        let problems: Vec<String> = found.into_iter().filter(|problem| problem != "ok").collect();
        self.require_none(&problems)
    }

    fn require_none(&self, problems: &[String]) -> Result<()> {
        match problems {
            [] => Ok(()),
            problems => {
                let reason = problems.join("; ").replace('\n', " ");
                Err(Error::Broken { path: self.path().to_owned(), reason })
            }
        }
    }

    /// Returns whether an item with a title or a description has a review, and whether the
    /// store has reviews and such items at all.
    pub fn described_items(&self) -> Result<(bool, bool)> {
        let described = "SELECT 1 FROM item WHERE (title != '' OR description != '')";
        let reviewed =
            format!("{described} AND EXISTS(SELECT 1 FROM review WHERE review.item = item.id)");
        let sql = format!(
            "SELECT EXISTS({reviewed}), EXISTS(SELECT 1 FROM review) AND EXISTS({described})"
        );
        self.read(|connection| connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?))))
    }

    /// Returns the number of vectors per encoder, sorted by fingerprint.
    pub fn vector_counts(&self) -> Result<Vec<VectorCount>> {
        let sql = "SELECT stamp.name, count(vector.review) FROM stamp
                   LEFT JOIN vector ON vector.stamp = stamp.id GROUP BY stamp.id ORDER BY stamp.name";
        self.list(sql, [], |row| {
            Ok(VectorCount {
                encoder_fingerprint: row.get(0)?,
                vectors: row.get::<_, i64>(1)? as u64,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_new_store_has_a_schema_and_no_vectors() {
        let store = Store::in_memory().unwrap();
        assert!(store.schema_version().unwrap() >= 1);
        assert!(store.vector_counts().unwrap().is_empty());
    }
}
