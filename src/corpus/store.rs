//! The store: an SQLite file with the corpus. Vectors and derived values can be computed again from
//! the reviews in it.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags, Row, Transaction, TransactionBehavior};

use super::log_check::{self, LogDamage};
use super::memory_overlay::MemoryOverlay;
use super::schema::{self, sqlite_error};
use super::{Error, Item, Result, Review, ReviewContext, ReviewId, StoredReview, suggest, sums};

/// An open store. Several processes may have the same store open; writers wait for each other.
pub struct Store {
    path: PathBuf,
    connection: Mutex<Connection>,
    /// The file that was opened, if it is one.
    file: Option<FileIdentity>,
    log_damage: Option<LogDamage>,
    /// Memory for derived values and vectors if the file may only be read.
    overlay: Option<MemoryOverlay>,
}

/// Numbers of reviews, users and items in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Reviews.
    pub reviews: u64,
    /// Users with at least one review.
    pub users: u64,
    /// Items, reviewed or not.
    pub items: u64,
}

/// A user with the number and the time range of their reviews.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct UserSummary {
    /// Identifier.
    pub user: String,
    /// Number of reviews.
    pub reviews: u64,
    /// Time of the oldest review, seconds since the epoch.
    pub first: i64,
    /// Time of the newest review, seconds since the epoch.
    pub last: i64,
}

/// An item with the number of its reviews.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ItemSummary {
    /// Identifier.
    pub item: String,
    /// Title; empty when the source has none.
    pub title: String,
    /// Number of reviews.
    pub reviews: u64,
}

impl Store {
    /// Opens the store at `path`. Creates the file or migrates its schema if necessary.
    ///
    /// A store that may only be read, because of its permissions or those of its folder, is opened so
    /// ([`Store::is_read_only`]): what is derived from it is kept in memory until it is dropped, and
    /// changes of the corpus are [`Error::ReadOnly`].
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Err(Error::NotAStore { path: path.to_owned(), what: "a folder" });
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if folder.is_some_and(|folder| !folder.is_dir()) {
            let source =
                std::io::Error::new(std::io::ErrorKind::NotFound, "its folder does not exist");
            return Err(Error::Open { source_name: path.display().to_string(), source });
        }
        // Before SQLite takes from the log what it can read.
        let log_damage = log_check::damage_of(&log_of(path));
        let opened = match Self::open_for_writing(path) {
            Err(Error::ReadOnly { .. }) if path.exists() => Self::open_for_reading(path),
            opened => opened,
        };
        opened.map(|store| Self { log_damage, ..store })
    }

    /// Damage of the write-ahead log that a killed process left, found when the store was opened: rows that
    /// were committed last are missing then.
    #[must_use]
    pub fn log_damage(&self) -> Option<LogDamage> {
        self.log_damage
    }

    fn open_for_writing(path: &Path) -> Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|source| sqlite_error(path, source))?;
        Self::prepared(connection, path)
    }

    /// Opens the store without writing to it or beside it. A store with a write-ahead log that other
    /// processes use, or that a killed one left, needs the log; without one SQLite is told that nothing
    /// changes the file, since it would need a new log otherwise.
    fn open_for_reading(path: &Path) -> Result<Self> {
        let has_log = std::fs::metadata(log_of(path)).is_ok_and(|log| log.len() > 0);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = match has_log {
            true => Connection::open_with_flags(path, flags & !OpenFlags::SQLITE_OPEN_URI),
            false => Connection::open_with_flags(unchanging_uri(path), flags),
        };
        let mut connection = opened.map_err(|source| sqlite_error(path, source))?;
        schema::prepare_for_reading(&mut connection, path)?;
        let (path, connection) = (path.to_owned(), Mutex::new(connection));
        let overlay = Some(MemoryOverlay::default());
        Ok(Self { path, connection, file: None, log_damage: None, overlay })
    }

    /// Whether the store may only be read. Derived values and vectors are then kept in memory.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.overlay.is_some()
    }

    /// Opens the store at `path`. Error if it does not exist; it is not created.
    pub fn open_existing(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Err(Error::NoStore { path: path.to_owned() });
        }
        Self::open(path)
    }

    /// Creates a store in memory, for tests and examples.
    pub fn in_memory() -> Result<Self> {
        let path = Path::new(":memory:");
        let connection =
            Connection::open_in_memory().map_err(|source| sqlite_error(path, source))?;
        Self::prepared(connection, path)
    }

    /// File of the store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the numbers of reviews, users and items.
    pub fn counts(&self) -> Result<Counts> {
        let sql = "SELECT (SELECT count(*) FROM review),
                          (SELECT count(DISTINCT user) FROM review),
                          (SELECT count(*) FROM item)";
        self.read(|connection| {
            connection.query_row(sql, [], |row| {
                let count = |column| row.get::<_, i64>(column).map(|n| n as u64);
                Ok(Counts { reviews: count(0)?, users: count(1)?, items: count(2)? })
            })
        })
    }

    /// Returns the item `id`. Error if it is not in the store.
    pub fn item(&self, id: &str) -> Result<Item> {
        let sql = "SELECT name, title, description, categories, sum FROM item WHERE name = ?1";
        let found = self.read(|connection| {
            connection.prepare_cached(sql)?.query_map([id], item_of_row)?.next().transpose()
        })?;
        match found {
            Some(item) => Ok(item),
            None => Err(self.unknown_item(id)?),
        }
    }

    /// Returns the user's reviews, oldest first; ties in time are sorted by row id. Error if the
    /// user is not in the store.
    pub fn history(&self, user: &str) -> Result<Vec<StoredReview>> {
        let sql = select_reviews("WHERE user.name = ?1 ORDER BY review.time, review.id");
        let found = self.list(&sql, [user], review_of_row)?;
        if found.is_empty() {
            self.require_user(user)?;
        }
        Ok(found)
    }

    /// Returns the reviews of an item, oldest first; empty if nobody reviewed it. Error if the item
    /// is not in the store.
    pub fn reviews_of(&self, item: &str) -> Result<Vec<StoredReview>> {
        let sql = select_reviews("WHERE item.name = ?1 ORDER BY review.time, review.id");
        let found = self.list(&sql, [item], review_of_row)?;
        if found.is_empty() && !self.has("SELECT 1 FROM item WHERE name = ?1", item)? {
            return Err(self.unknown_item(item)?);
        }
        Ok(found)
    }

    /// Returns the reviews with these ids, in the given order; ids that no longer exist are left
    /// out.
    pub fn reviews(&self, ids: &[ReviewId]) -> Result<Vec<StoredReview>> {
        let sql = select_reviews("WHERE review.id = ?1");
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                found.extend(statement.query_map([id.0], review_of_row)?.next().transpose()?);
            }
            Ok(found)
        })
    }

    /// Returns all review ids, ascending.
    pub fn review_ids(&self) -> Result<Vec<ReviewId>> {
        self.list("SELECT id FROM review ORDER BY id", [], |row| row.get(0).map(ReviewId))
    }

    /// Returns all item ids, sorted by bytes.
    pub fn item_ids(&self) -> Result<Vec<String>> {
        self.list("SELECT name FROM item ORDER BY name", [], |row| row.get(0))
    }

    /// Returns all items with the numbers of their reviews, most reviews first; ties are sorted by the
    /// bytes of their ids.
    pub fn items(&self) -> Result<Vec<ItemSummary>> {
        let sql = "SELECT item.name, item.title, count(review.id) AS n
                   FROM item LEFT JOIN review ON review.item = item.id
                   GROUP BY item.id ORDER BY n DESC, item.name";
        self.list(sql, [], |row| {
            let reviews = row.get::<_, i64>(2)? as u64;
            Ok(ItemSummary { item: row.get(0)?, title: row.get(1)?, reviews })
        })
    }

    /// Returns the least and the greatest rating of the first ten thousand reviews; `None` if none of
    /// them has a rating.
    pub fn rating_range(&self) -> Result<Option<(f32, f32)>> {
        let sql = "SELECT min(rating), max(rating) FROM (SELECT rating FROM review LIMIT 10000)";
        let ends = self.read(|connection| {
            connection.query_row(sql, [], |row| Ok((row.get::<_, Option<f32>>(0)?, row.get(1)?)))
        })?;
        Ok(ends.0.zip(ends.1))
    }

    /// Returns the users with at least `at_least` reviews, most reviews first; ties are sorted by
    /// name.
    pub fn users(&self, at_least: u64) -> Result<Vec<UserSummary>> {
        let sql = "SELECT user.name, count(*), min(review.time), max(review.time), user.sum
                   FROM review JOIN user ON user.id = review.user
                   GROUP BY review.user HAVING count(*) >= ?1
                   ORDER BY count(*) DESC, user.name";
        self.list(sql, [i64::try_from(at_least).unwrap_or(i64::MAX)], |row| {
            let user: String = row.get(0)?;
            sums::check(row.get(4)?, sums::of_texts(&[&user]), || "the name of a user".to_owned())?;
            Ok(UserSummary {
                user,
                reviews: row.get::<_, i64>(1)? as u64,
                first: row.get(2)?,
                last: row.get(3)?,
            })
        })
    }

    fn prepared(mut connection: Connection, path: &Path) -> Result<Self> {
        schema::prepare(&mut connection, path)?;
        let (path, connection) = (path.to_owned(), Mutex::new(connection));
        let file = file_identity(&path);
        if file.is_none() && cfg!(unix) && path != Path::new(":memory:") {
            return Err(Error::Moved { path });
        }
        Ok(Self { path, connection, file, log_damage: None, overlay: None })
    }

    /// Error if the store may only be read.
    ///
    /// # Errors
    /// [`Error::ReadOnly`].
    pub fn require_writable(&self) -> Result<()> {
        match self.is_read_only() {
            true => Err(Error::ReadOnly { path: self.path.clone() }),
            false => Ok(()),
        }
    }

    /// The memory for derived values, if the store may only be read.
    pub(super) fn overlay(&self) -> Option<&MemoryOverlay> {
        self.overlay.as_ref()
    }

    /// Runs a read-only operation.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        work(&self.connection()).map_err(|source| sqlite_error(&self.path, source))
    }

    /// Error if the file is no longer at its path: SQLite would go on with a file that nobody finds
    /// again, or mix its log with that of another store.
    fn require_in_place(&self) -> Result<()> {
        match self.file.is_none() || self.file == file_identity(&self.path) {
            true => Ok(()),
            false => Err(Error::Moved { path: self.path.clone() }),
        }
    }

    /// Runs an operation that writes, in one transaction: all of it takes effect or nothing.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.require_writable()?;
        let fail = |source| sqlite_error(&self.path, source);
        let mut connection = self.connection();
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
        let done = work(&transaction).map_err(fail)?;
        self.require_in_place()?;
        transaction.commit().map_err(fail)?;
        Ok(done)
    }

    /// Returns all rows of a query.
    pub(super) fn list<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        row: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        self.read(|connection| {
            connection.prepare_cached(sql)?.query_map(parameters, row)?.collect()
        })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic in another thread rolls back its transaction; the connection stays usable.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, sql: &str, name: &str) -> Result<bool> {
        self.read(|connection| connection.prepare_cached(sql)?.exists([name]))
    }

    /// Error with similar names if the user is not in the store.
    pub(super) fn require_user(&self, user: &str) -> Result<()> {
        if self.has("SELECT 1 FROM user WHERE name = ?1", user)? {
            return Ok(());
        }
        let names: Vec<String> = self.list("SELECT name FROM user", [], |row| row.get(0))?;
        let hint = suggest::hint(user, names.iter().map(String::as_str));
        Err(Error::UnknownUser { user: user.to_owned(), hint })
    }

    fn unknown_item(&self, item: &str) -> Result<Error> {
        let hint = suggest::hint(item, self.item_ids()?.iter().map(String::as_str));
        Ok(Error::UnknownItem { item: item.to_owned(), hint })
    }
}

/// Device and number of a file, by which a moved or replaced file is told.
type FileIdentity = (u64, u64);

#[cfg(unix)]
fn file_identity(path: &Path) -> Option<FileIdentity> {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).ok().map(|found| (found.dev(), found.ino()))
}

/// Other systems do not let an open file be moved.
#[cfg(not(unix))]
fn file_identity(_: &Path) -> Option<FileIdentity> {
    None
}

/// File of a store's write-ahead log.
pub(super) fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// URI that tells SQLite that nothing changes the file.
pub(super) fn unchanging_uri(path: &Path) -> String {
    let mut uri = "file:".to_owned();
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'_' | b'-' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri + "?immutable=1"
}

/// SQL query for complete reviews; `rest` is the part after the joins.
pub(super) fn select_reviews(rest: &str) -> String {
    format!(
        "SELECT review.id, user.name, item.name, review.rating, review.title, review.text, review.time,
                source.id, coalesce(source.text, answered.text), coalesce(writer.name, answered.author),
                review.sum
         FROM review JOIN user ON user.id = review.user JOIN item ON item.id = review.item
         LEFT JOIN answered ON answered.review = review.id
         LEFT JOIN review AS source ON source.name = answered.name
         LEFT JOIN user AS writer ON writer.id = source.user {rest}"
    )
}

pub(super) fn review_of_row(row: &Row<'_>) -> rusqlite::Result<StoredReview> {
    let review = Review {
        user: row.get(1)?,
        item: row.get(2)?,
        rating: row.get(3)?,
        title: row.get(4)?,
        text: row.get(5)?,
        time: row.get(6)?,
    };
    let id = ReviewId(row.get(0)?);
    sums::check(row.get(10)?, sums::of_review(&review), || format!("review {}", id.0))?;
    let context = match row.get::<_, Option<String>>(8)? {
        Some(text) => {
            let review = row.get::<_, Option<i64>>(7)?.map(ReviewId);
            Some(ReviewContext { text, review, user: row.get(9)? })
        }
        None => None,
    };
    Ok(StoredReview { id, review, context })
}

pub(super) fn item_of_row(row: &Row<'_>) -> rusqlite::Result<Item> {
    let [id, title, description, categories]: [String; 4] =
        [row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?];
    let sum = sums::of_texts(&[&id, &title, &description, &categories]);
    sums::check(row.get(4)?, sum, || format!("item `{id}`"))?;
    let categories = serde_json::from_str(&categories).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(Item { id, title, description, categories })
}
