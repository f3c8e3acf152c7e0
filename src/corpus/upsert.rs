//! Inserts items and reviews into the store; defines which review replaces which.
//!
//! A review with an identifier of its source is the same review as a stored one with that
//! identifier. Any other review is the same as a stored one of the same user, item, time and text.
//! Of two versions of a review the newer one stays; at equal times, that of the later import.

use std::cmp::Ordering;

use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use serde::Deserialize;

use super::{Item, Result, Review, Store, sums};

/// A review and the identifier that its source gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceReview {
    /// Identifier in the source data, e.g. of a message; unique in the store. `None` if the source
    /// has none: then user, item, time and text together identify the review.
    pub id: Option<String>,
    /// The review.
    pub review: Review,
    /// The text that it answers.
    pub context: SourceContext,
}

/// The text that a review answers, as its source tells it. All fields may be empty.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SourceContext {
    /// Identifier of the review that is answered, see [`SourceReview::id`].
    pub id: Option<String>,
    /// Its text, which counts as long as no review with that identifier is stored.
    pub text: String,
    /// The user who wrote that text, if known.
    pub user: Option<String>,
}

impl From<Review> for SourceReview {
    fn from(review: Review) -> Self {
        Self { id: None, review, context: SourceContext::default() }
    }
}

/// Reviews of a user on one item that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptReviews {
    /// All of them, like the mails of a person in a thread.
    #[default]
    All,
    /// Only the newest, for sites where a user has one review of an item and may edit it.
    Newest,
}

/// Outcome of storing a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpsertOutcome {
    /// Not in the store before; it was inserted.
    New,
    /// It replaced an older version, under a new row id.
    Replaced,
    /// Not stored: the store already holds an identical review.
    Same,
    /// Not stored: the store holds a newer version, or a newer review of the same user on the same
    /// item if only the newest is kept.
    Older,
    /// Not stored: the same import has already seen the version in the store, which differs but has
    /// the same time.
    Tied,
    /// Not stored: its identifier belongs to a review of another user, to another text on another
    /// item, or to a review of another item that the same import has seen.
    IdTaken,
}

/// Reviews that one import has touched so far. It decides between different versions of a review
/// with the same time: within a session the first one stays, and one of a later session replaces
/// one of an earlier session. A repeated import therefore changes nothing.
#[derive(Debug, Default)]
pub(crate) struct ImportSession {
    kept: KeptReviews,
    /// Whether a batch ends at the first review whose identifier is taken.
    stops: bool,
    /// Whether a review with the identifier and the text of a stored one may have another user.
    renames: bool,
    /// Highest review id in the store before the session; higher ids were inserted by it.
    started_at: Option<i64>,
    /// Rows of which the session has seen any version.
    seen: RowSet,
    /// Rows of which the session has seen a version with the time of the stored one.
    matched: RowSet,
}

/// Bit set of row ids of before the session.
#[derive(Debug, Default)]
struct RowSet(Vec<u64>);

/// Effects of storing a review.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Upsert {
    /// Outcome of storing it.
    pub(crate) outcome: UpsertOutcome,
    /// Whether the session had already seen a version of the review, and nothing that was in the
    /// store before the session was replaced.
    pub(crate) duplicate: bool,
    /// Whether it was inserted beside other reviews of the same user on the same item.
    pub(crate) further: bool,
    /// Number of reviews that were deleted besides a replaced one: older ones of the same user on the
    /// item if only the newest is kept, or an earlier version that was stored without the identifier.
    pub(crate) removed: u64,
    /// User and item of the review that has the identifier, for [`UpsertOutcome::IdTaken`].
    pub(crate) holder: Option<(String, String)>,
}

impl Store {
    /// Stores items in one transaction. An empty field does not overwrite the stored one.
    pub fn put_items(&self, items: &[Item]) -> Result<()> {
        self.write(|transaction| {
            items.iter().try_for_each(|item| put_item(transaction, item).map(drop))
        })
    }

    /// Stores reviews without identifiers in one transaction and keeps all of a user on an item;
    /// see [`Store::put_source_reviews`].
    pub fn put_reviews(&self, reviews: &[Review]) -> Result<Vec<UpsertOutcome>> {
        let reviews: Vec<SourceReview> =
            reviews.iter().map(|review| review.clone().into()).collect();
        self.put_source_reviews(&reviews, KeptReviews::All)
    }

    /// Stores reviews in one transaction, and empty items for unknown item ids.
    ///
    /// A review with an identifier replaces the stored version with that identifier, unless that
    /// one is newer. A review without one is skipped if the store has its text by the same user on
    /// the same item at the same time. With [`KeptReviews::Newest`] a newer review of the same user
    /// on the same item replaces the older ones. Vectors and derived values of a replaced review
    /// are deleted.
    pub fn put_source_reviews(
        &self,
        reviews: &[SourceReview],
        kept: KeptReviews,
    ) -> Result<Vec<UpsertOutcome>> {
        let mut session = ImportSession::keeping(kept);
        self.put_rows(&mut session, &[], reviews)
            .map(|upserts| upserts.into_iter().map(|upsert| upsert.outcome).collect())
    }

    /// Stores items and reviews of one session in one transaction. Returns an element for each
    /// review, up to the last one that was looked at.
    pub(crate) fn put_rows(
        &self,
        session: &mut ImportSession,
        items: &[Item],
        reviews: &[SourceReview],
    ) -> Result<Vec<Upsert>> {
        self.write(|transaction| {
            items.iter().try_for_each(|item| put_item(transaction, item).map(drop))?;
            let mut upserts = Vec::with_capacity(reviews.len());
            for review in reviews {
                upserts.push(put_review(transaction, session, review)?);
                if session.stops && upserts.last().is_some_and(|last| last.holder.is_some()) {
                    break;
                }
            }
            Ok(upserts)
        })
    }
}

fn put_item(connection: &Connection, item: &Item) -> rusqlite::Result<i64> {
    let categories = serde_json::Value::from(item.categories.clone()).to_string();
    let id = connection
        .prepare_cached(
            "INSERT INTO item(name, title, description, categories) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT(name) DO UPDATE SET
                 title = iif(excluded.title = '', title, excluded.title),
                 description = iif(excluded.description = '', description, excluded.description),
                 categories = iif(excluded.categories = '[]', categories, excluded.categories)
             RETURNING id",
        )?
        .query_row(params![item.id, item.title, item.description, categories], |row| row.get(0))?;
    sums::sum_item(connection, &item.id)?;
    Ok(id)
}

fn put_review(
    connection: &Connection,
    session: &mut ImportSession,
    stored: &SourceReview,
) -> rusqlite::Result<Upsert> {
    session.start(connection)?;
    let SourceReview { id, review, context } = stored;
    let of_id = match id {
        Some(id) => Rival::read(connection, "review.name = ?4", review, &[id])?.pop(),
        None => None,
    };
    if let Some(held) = &of_id
        && !held.may_become(review, session)
    {
        let holder = Some((held.user.clone(), held.item.clone()));
        return Ok(Upsert { holder, ..Upsert::of(UpsertOutcome::IdTaken) });
    }
    let rivals = match session.kept {
        KeptReviews::All => Rival::of_text(connection, stored)?.into_iter().chain(of_id).collect(),
        KeptReviews::Newest => Rival::on_item(connection, review, of_id)?,
    };
    let Some(best) = rivals.iter().max_by_key(|rival| (rival.time, rival.id)) else {
        let further = insert_review(connection, id.as_deref(), review)?;
        put_context(connection, connection.last_insert_rowid(), context)?;
        return Ok(Upsert { further, ..Upsert::of(UpsertOutcome::New) });
    };
    let inserted = session.inserted(best.id);
    let seen = !session.seen.insert(best.id) || inserted;
    let outcome = match review.time.cmp(&best.time) {
        Ordering::Less => UpsertOutcome::Older,
        Ordering::Equal => {
            let matched = !session.matched.insert(best.id) || inserted;
            match best.is_same(review) && best.user == review.user {
                true => UpsertOutcome::Same,
                false if matched => UpsertOutcome::Tied,
                false => UpsertOutcome::Replaced,
            }
        }
        Ordering::Greater => UpsertOutcome::Replaced,
    };
    let replaced = outcome == UpsertOutcome::Replaced;
    for rival in rivals.iter().filter(|rival| replaced || rival.id != best.id) {
        connection.prepare_cached("DELETE FROM review WHERE id = ?1")?.execute([rival.id])?;
    }
    match (outcome, &best.name) {
        (UpsertOutcome::Replaced, name) => {
            // A row without an identifier keeps that of the text it repeats.
            let name = id.as_ref().or(name.as_ref().filter(|_| best.is_version_of(review)));
            insert_review(connection, name.map(String::as_str), review)?;
            put_context(connection, connection.last_insert_rowid(), context)?;
        }
        (UpsertOutcome::Same, name) => {
            if let (None, Some(id)) = (name, id) {
                connection
                    .prepare_cached("UPDATE review SET name = ?2 WHERE id = ?1")?
                    .execute(params![best.id, id])?;
                drop_copies(connection, id)?;
            }
            put_context(connection, best.id, context)?;
        }
        _ => {}
    }
    let duplicate = if replaced { inserted } else { seen };
    Ok(Upsert { duplicate, removed: rivals.len() as u64 - 1, ..Upsert::of(outcome) })
}

/// A stored review that cannot be kept beside the one to be stored.
#[derive(Debug, Clone)]
struct Rival {
    id: i64,
    user: String,
    item: String,
    time: i64,
    name: Option<String>,
    has_same_text: bool,
    has_same_title_and_rating: bool,
}

impl Rival {
    /// The stored review with the same user, item, time and text. If `stored` has an identifier,
    /// one that has an identifier is not it; if not, several can match, and it is the first.
    fn of_text(connection: &Connection, stored: &SourceReview) -> rusqlite::Result<Option<Self>> {
        let Review { user, item, time, .. } = &stored.review;
        // With `+`, SQLite uses the index on the length of the text and not a constant in its place.
        let rivals = Self::read(
            connection,
            "user.name = ?4 AND item.name = ?5 AND review.time = ?6
             AND length(review.text) = length(?1) AND +review.text = ?1
             AND (?7 OR review.name IS NULL)",
            &stored.review,
            &[user, item, time, &stored.id.is_none()],
        )?;
        Ok(rivals.into_iter().min_by_key(|rival| rival.id))
    }

    /// The stored reviews of the same user on the same item, and the one with the same identifier.
    fn on_item(
        connection: &Connection,
        review: &Review,
        of_id: Option<Self>,
    ) -> rusqlite::Result<Vec<Self>> {
        let rest = "user.name = ?4 AND item.name = ?5";
        let mut rivals = Self::read(connection, rest, review, &[&review.user, &review.item])?;
        rivals.extend(of_id.filter(|rival| rival.item != review.item));
        Ok(rivals)
    }

    /// Reads stored reviews by a condition, whose parameters begin with `?4`, and compares them with
    /// `review`.
    fn read(
        connection: &Connection,
        condition: &str,
        review: &Review,
        parameters: &[&dyn ToSql],
    ) -> rusqlite::Result<Vec<Self>> {
        let sql = format!(
            "SELECT review.id, user.name, item.name, review.time, review.name, review.text = ?1,
                    review.rating IS ?2 AND review.title = ?3
             FROM review JOIN user ON user.id = review.user JOIN item ON item.id = review.item
             WHERE {condition}"
        );
        let compared: [&dyn ToSql; 3] = [&review.text, &review.rating, &review.title];
        let all: Vec<&dyn ToSql> = compared.iter().chain(parameters).copied().collect();
        let rival = |row: &Row<'_>| {
            Ok(Self {
                id: row.get(0)?,
                user: row.get(1)?,
                item: row.get(2)?,
                time: row.get(3)?,
                name: row.get(4)?,
                has_same_text: row.get(5)?,
                has_same_title_and_rating: row.get(6)?,
            })
        };
        connection.prepare_cached(&sql)?.query_map(&*all, rival)?.collect()
    }

    /// Whether `review` with the same identifier can be a version of it: by the same user, and on the
    /// same item, or with the same text where a later import puts it under another item.
    fn may_become(&self, review: &Review, session: &ImportSession) -> bool {
        let is_moved = self.has_same_text && !session.has_seen(self.id);
        let is_theirs = self.user == review.user || (session.renames && is_moved);
        is_theirs && (self.item == review.item || is_moved)
    }

    /// Whether it has the item, time and text of `review`.
    fn is_version_of(&self, review: &Review) -> bool {
        self.item == review.item && self.time == review.time && self.has_same_text
    }

    fn is_same(&self, review: &Review) -> bool {
        self.is_version_of(review) && self.has_same_title_and_rating
    }
}

/// Inserts a review. Returns whether the user already had one of the item.
fn insert_review(
    connection: &Connection,
    name: Option<&str>,
    review: &Review,
) -> rusqlite::Result<bool> {
    let user = row_named(
        connection,
        "SELECT id FROM user WHERE name = ?1",
        "INSERT INTO user(name, sum) VALUES (?1, ?2)",
        (&review.user, sums::of_texts(&[&review.user])),
    )?;
    let item = row_named(
        connection,
        "SELECT id FROM item WHERE name = ?1",
        "INSERT INTO item(name, title, description, categories, sum) VALUES (?1, '', '', '[]', ?2)",
        (&review.item, sums::of_texts(&[&review.item, "", "", "[]"])),
    )?;
    let further = connection
        .prepare_cached("SELECT 1 FROM review WHERE user = ?1 AND item = ?2")?
        .exists([user, item])?;
    let Review { rating, title, text, time, .. } = review;
    connection
        .prepare_cached(
            "INSERT INTO review(user, item, rating, title, text, time, name, sum)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![user, item, rating, title, text, time, name, sums::of_review(review)])?;
    // An update, which leaves the row id of this insertion as the last one.
    if let Some(name) = name {
        drop_copies(connection, name)?;
    }
    Ok(further)
}

/// Removes the copies of a review's text that came with answers to it: from now on they refer to it.
fn drop_copies(connection: &Connection, name: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE answered SET text = NULL, author = NULL WHERE name = ?1 AND text IS NOT NULL",
        )?
        .execute([name])
        .map(drop)
}

/// Stores what a review answers; nothing if it answers nothing. The text is stored if the review that is
/// answered is not.
fn put_context(connection: &Connection, id: i64, context: &SourceContext) -> rusqlite::Result<()> {
    let SourceContext { id: name, text, user } = context;
    if name.is_none() && text.is_empty() {
        return Ok(());
    }
    let is_stored = match name {
        Some(name) => {
            connection.prepare_cached("SELECT 1 FROM review WHERE name = ?1")?.exists([name])?
        }
        None => false,
    };
    let copy = Some(text).filter(|text| !is_stored && !text.is_empty());
    let author = user.as_ref().filter(|_| copy.is_some());
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO answered(review, name, text, author) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![id, name, copy, author])
        .map(drop)
}

fn row_named(
    connection: &Connection,
    select: &str,
    insert: &str,
    (name, sum): (&str, i64),
) -> rusqlite::Result<i64> {
    let found =
        connection.prepare_cached(select)?.query_row([name], |row| row.get(0)).optional()?;
    match found {
        Some(id) => Ok(id),
        None => connection.prepare_cached(insert)?.insert(params![name, sum]),
    }
}

impl Upsert {
    fn of(outcome: UpsertOutcome) -> Self {
        Self { outcome, duplicate: false, further: false, removed: 0, holder: None }
    }
}

impl ImportSession {
    pub(crate) fn keeping(kept: KeptReviews) -> Self {
        Self { kept, ..Self::default() }
    }

    /// Ends each batch at the first review whose identifier is taken, without those after it.
    pub(crate) fn stopping_at_taken_ids(self) -> Self {
        Self { stops: true, ..self }
    }

    /// Lets a later import give a review with the same identifier and text to another user, because its
    /// author is named otherwise.
    pub(crate) fn renaming_users(self) -> Self {
        Self { renames: true, ..self }
    }

    fn start(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if self.started_at.is_none() {
            let sql = "SELECT coalesce(max(id), 0) FROM review";
            self.started_at = Some(connection.query_row(sql, [], |row| row.get(0))?);
        }
        Ok(())
    }

    /// Whether the session inserted the row.
    fn inserted(&self, id: i64) -> bool {
        self.started_at.is_none_or(|last| id > last)
    }

    fn has_seen(&self, id: i64) -> bool {
        self.inserted(id) || self.seen.contains(id)
    }
}

impl RowSet {
    /// Adds a row. Returns whether it was not in the set before.
    fn insert(&mut self, id: i64) -> bool {
        let (word, bit) = place(id);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }

    fn contains(&self, id: i64) -> bool {
        let (word, bit) = place(id);
        self.0.get(word).is_some_and(|bits| bits & bit != 0)
    }
}

/// Word and bit of a row.
fn place(id: i64) -> (usize, u64) {
    ((id / 64) as usize, 1 << (id % 64))
}
