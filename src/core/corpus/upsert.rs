//! Inserts items and reviews into the store; defines which review replaces which.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Item, Result, Review, ReviewId, Store};

/// Outcome of storing a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpsertOutcome {
    /// The first review of this user on this item; it was inserted.
    New,
    /// It replaced an older review, under a new id.
    Replaced,
    /// Not stored: the store already holds an identical review.
    Same,
    /// Not stored: the store holds a newer review of the same user on the same item.
    Older,
    /// Not stored: the same import has already seen the review in the store, which differs but has
    /// the same time.
    Tied,
}

/// Reviews that one import has touched so far. It decides between different reviews with the same
/// user, item and time: within a session the first one stays, and one of a later session replaces
/// one of an earlier session. A repeated import therefore changes nothing.
#[derive(Debug, Default)]
pub(crate) struct ImportSession {
    /// Highest review id in the store before the session; higher ids were inserted by it.
    started_at: Option<i64>,
    /// Bit set of the ids up to `started_at` that the session has seen.
    seen: Vec<u64>,
}

/// Outcome of storing a review, and whether the session had already seen a review of the same user
/// on the same item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Upsert {
    /// Outcome of storing it.
    pub(crate) outcome: UpsertOutcome,
    /// Whether the session had already seen a review of the same user on the same item.
    pub(crate) duplicate: bool,
}

impl Store {
    /// Stores items in one transaction. An empty field does not overwrite the stored one.
    pub fn put_items(&self, items: &[Item]) -> Result<()> {
        self.write(|transaction| {
            items.iter().try_for_each(|item| put_item(transaction, item).map(drop))
        })
    }

    /// Stores reviews in one transaction, and empty items for unknown item ids. A newer review of
    /// the same user on the same item replaces the older one, whose vectors and derived values are
    /// deleted.
    pub fn put_reviews(&self, reviews: &[Review]) -> Result<Vec<UpsertOutcome>> {
        let mut session = ImportSession::default();
        self.put_rows(&mut session, &[], reviews)
            .map(|upserts| upserts.into_iter().map(|upsert| upsert.outcome).collect())
    }

    /// Stores items and reviews of one session in one transaction.
    pub(crate) fn put_rows(
        &self,
        session: &mut ImportSession,
        items: &[Item],
        reviews: &[Review],
    ) -> Result<Vec<Upsert>> {
        self.write(|transaction| {
            items.iter().try_for_each(|item| put_item(transaction, item).map(drop))?;
            reviews.iter().map(|review| put_review(transaction, session, review)).collect()
        })
    }
}

fn put_item(connection: &Connection, item: &Item) -> rusqlite::Result<i64> {
    let categories = serde_json::Value::from(item.categories.clone()).to_string();
    connection
        .prepare_cached(
            "INSERT INTO item(name, title, description, categories) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT(name) DO UPDATE SET
                 title = iif(excluded.title = '', title, excluded.title),
                 description = iif(excluded.description = '', description, excluded.description),
                 categories = iif(excluded.categories = '[]', categories, excluded.categories)
             RETURNING id",
        )?
        .query_row(params![item.id, item.title, item.description, categories], |row| row.get(0))
}

fn put_review(
    connection: &Connection,
    session: &mut ImportSession,
    review: &Review,
) -> rusqlite::Result<Upsert> {
    session.start(connection)?;
    let user = row_named(
        connection,
        "SELECT id FROM user WHERE name = ?1",
        "INSERT INTO user(name) VALUES (?1)",
        &review.user,
    )?;
    let item = row_named(
        connection,
        "SELECT id FROM item WHERE name = ?1",
        "INSERT INTO item(name, title, description, categories) VALUES (?1, '', '', '[]')",
        &review.item,
    )?;
    let held = connection
        .prepare_cached(
            "SELECT id, time, rating IS ?3 AND title = ?4 AND text = ?5
             FROM review WHERE user = ?1 AND item = ?2",
        )?
        .query_row(params![user, item, review.rating, review.title, review.text], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, bool>(2)?))
        })
        .optional()?;
    let Some((held, held_time, held_is_same)) = held else {
        insert_review(connection, user, item, review)?;
        return Ok(Upsert { outcome: UpsertOutcome::New, duplicate: false });
    };
    let duplicate = session.mark_seen(ReviewId(held));
    let outcome = match review.time.cmp(&held_time) {
        std::cmp::Ordering::Less => UpsertOutcome::Older,
        std::cmp::Ordering::Equal if held_is_same => UpsertOutcome::Same,
        std::cmp::Ordering::Equal if duplicate => UpsertOutcome::Tied,
        _ => {
            connection.prepare_cached("DELETE FROM review WHERE id = ?1")?.execute([held])?;
            insert_review(connection, user, item, review)?;
            UpsertOutcome::Replaced
        }
    };
    Ok(Upsert { outcome, duplicate })
}

fn row_named(
    connection: &Connection,
    select: &str,
    insert: &str,
    name: &str,
) -> rusqlite::Result<i64> {
    let found =
        connection.prepare_cached(select)?.query_row([name], |row| row.get(0)).optional()?;
    match found {
        Some(id) => Ok(id),
        None => connection.prepare_cached(insert)?.insert([name]),
    }
}

fn insert_review(
    connection: &Connection,
    user: i64,
    item: i64,
    review: &Review,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO review(user, item, rating, title, text, time)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![user, item, review.rating, review.title, review.text, review.time])
        .map(drop)
}

impl ImportSession {
    fn start(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.started_at.is_none() {
            let sql = "SELECT coalesce(max(id), 0) FROM review";
            self.started_at = Some(connection.query_row(sql, [], |row| row.get(0))?);
        }
        Ok(())
    }

    /// Marks a row as seen. Returns whether the session had seen it before.
    fn mark_seen(&mut self, id: ReviewId) -> bool {
        if self.started_at.is_none_or(|last| id.0 > last) {
            return true;
        }
        let (word, bit) = ((id.0 / 64) as usize, 1 << (id.0 % 64));
        if self.seen.len() <= word {
            self.seen.resize(word + 1, 0);
        }
        let before = self.seen[word] & bit != 0;
        self.seen[word] |= bit;
        before
    }
}
