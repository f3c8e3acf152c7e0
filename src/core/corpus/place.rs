//! Putting items and reviews into the store; the rules for what replaces what.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Item, Result, Review, ReviewId, Store};

/// What became of a review that was handed to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// The first of its user on its item.
    New,
    /// Took the place of an older one, under a new id.
    Replaced,
    /// The store holds exactly this already.
    Same,
    /// The store holds a newer one of the same user on the same item.
    Older,
    /// The store holds another one of the same time, put there by the same [`Run`]; that one stays.
    Tied,
}

/// What one run (an import, say) has touched so far. It decides ties: of two different reviews with
/// the same user, item and time the first of a run stays, and a later run's takes an earlier run's
/// place. So a run that is repeated changes nothing.
#[derive(Debug, Default)]
pub struct Run {
    /// Highest id in the store before the run; ids above are the run's own.
    started_at: Option<i64>,
    /// Bit set of the ids up to `started_at` that the run has met.
    met: Vec<u64>,
}

/// A review that was handed to the store: what became of it, and whether the run had met a review
/// of the same user on the same item before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// What became of it.
    pub placed: Placed,
    /// Whether it is a duplicate within the run.
    pub duplicate: bool,
}

impl Store {
    /// Stores items, in one transaction. A field that is empty leaves what the store has.
    pub fn put_items(&self, items: &[Item]) -> Result<()> {
        self.write(|transaction| {
            items.iter().try_for_each(|item| put_item(transaction, item).map(drop))
        })
    }

    /// Stores reviews, in one transaction, with bare items for those it does not know. A newer review
    /// of the same user on the same item takes the older one's place; with it go its vectors and all
    /// that was derived from it.
    pub fn put_reviews(&self, reviews: &[Review]) -> Result<Vec<Placed>> {
        let mut run = Run::default();
        self.put_rows(&mut run, &[], reviews)
            .map(|placements| placements.into_iter().map(|p| p.placed).collect())
    }

    /// Stores items and reviews of one run, in one transaction.
    pub fn put_rows(
        &self,
        run: &mut Run,
        items: &[Item],
        reviews: &[Review],
    ) -> Result<Vec<Placement>> {
        self.write(|transaction| {
            items.iter().try_for_each(|item| put_item(transaction, item).map(drop))?;
            reviews.iter().map(|review| put_review(transaction, run, review)).collect()
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
    run: &mut Run,
    review: &Review,
) -> rusqlite::Result<Placement> {
    run.start(connection)?;
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
        return Ok(Placement { placed: Placed::New, duplicate: false });
    };
    let duplicate = run.meets(ReviewId(held));
    let placed = match review.time.cmp(&held_time) {
        std::cmp::Ordering::Less => Placed::Older,
        std::cmp::Ordering::Equal if held_is_same => Placed::Same,
        std::cmp::Ordering::Equal if duplicate => Placed::Tied,
        _ => {
            connection.prepare_cached("DELETE FROM review WHERE id = ?1")?.execute([held])?;
            insert_review(connection, user, item, review)?;
            Placed::Replaced
        }
    };
    Ok(Placement { placed, duplicate })
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

impl Run {
    fn start(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.started_at.is_none() {
            let sql = "SELECT coalesce(max(id), 0) FROM review";
            self.started_at = Some(connection.query_row(sql, [], |row| row.get(0))?);
        }
        Ok(())
    }

    /// Notes a row; whether the run had met it before.
    fn meets(&mut self, id: ReviewId) -> bool {
        if self.started_at.is_none_or(|last| id.0 > last) {
            return true;
        }
        let (word, bit) = ((id.0 / 64) as usize, 1 << (id.0 % 64));
        if self.met.len() <= word {
            self.met.resize(word + 1, 0);
        }
        let before = self.met[word] & bit != 0;
        self.met[word] |= bit;
        before
    }
}
