//! The database schema and its migrations.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::{Error, Result, sums};

/// Extended code of SQLite for an index of the log that cannot grow (`SQLITE_IOERR_SHMSIZE`).
const SHARED_MEMORY_FULL: i32 = 4874;

/// Marks an SQLite file as ours ("idio" in ASCII).
const APPLICATION_ID: i64 = 0x6964_696f;

/// Longest time to wait for another process that locks the store.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Migrations: step `i` takes a store from version `i` to version `i + 1`. A released step is never
/// edited, because stores written by it exist.
const STEPS: &[&str] = &[CORPUS, DERIVED, SPLITS, PROFILE_EDITS, MANY_REVIEWS, ANSWERED, SUMS];

/// Version from which on rows have checksums.
const WITH_SUMS: usize = 7;

/// Reviews are immutable: a changed review is deleted and inserted under a new id. AUTOINCREMENT
/// never reuses an id, so a vector or a derived value can never be attributed to another text.
const CORPUS: &str = "
CREATE TABLE user(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE item(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    categories TEXT NOT NULL
) STRICT;
CREATE TABLE review(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user INTEGER NOT NULL REFERENCES user(id),
    item INTEGER NOT NULL REFERENCES item(id),
    rating REAL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    time INTEGER NOT NULL,
    UNIQUE(user, item)
) STRICT;
CREATE INDEX review_by_user ON review(user, time, id);
CREATE INDEX review_by_item ON review(item, time, id);
";

/// Values computed from a review are deleted with it: vectors by the foreign key, derived values by
/// the trigger (a foreign key would only delete the row that names the source).
const DERIVED: &str = "
CREATE TABLE stamp(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    dimensions INTEGER NOT NULL
) STRICT;
CREATE TABLE vector(
    review INTEGER NOT NULL REFERENCES review(id) ON DELETE CASCADE,
    stamp INTEGER NOT NULL REFERENCES stamp(id) ON DELETE CASCADE,
    value BLOB NOT NULL,
    UNIQUE(review, stamp)
) STRICT;
CREATE INDEX vector_by_stamp ON vector(stamp);
CREATE TABLE derived(
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    made INTEGER NOT NULL,
    UNIQUE(kind, key)
) STRICT;
CREATE TABLE derived_source(
    derived INTEGER NOT NULL REFERENCES derived(id) ON DELETE CASCADE,
    review INTEGER NOT NULL REFERENCES review(id) ON DELETE CASCADE,
    PRIMARY KEY(derived, review)
) STRICT, WITHOUT ROWID;
CREATE INDEX derived_source_by_review ON derived_source(review);
CREATE TRIGGER review_takes_derived BEFORE DELETE ON review BEGIN
    DELETE FROM derived
    WHERE id IN (SELECT derived FROM derived_source WHERE review = OLD.id);
END;
";

/// A split loses rows when reviews are deleted; `size` allows detecting it.
const SPLITS: &str = "
CREATE TABLE split(
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    parameters TEXT NOT NULL,
    size INTEGER NOT NULL
) STRICT;
CREATE TABLE split_row(
    split INTEGER NOT NULL REFERENCES split(id) ON DELETE CASCADE,
    rank INTEGER NOT NULL,
    review INTEGER NOT NULL REFERENCES review(id) ON DELETE CASCADE,
    part TEXT NOT NULL,
    PRIMARY KEY(split, rank)
) STRICT, WITHOUT ROWID;
CREATE INDEX split_row_by_review ON split_row(review);
";

/// Edits of a user's profile are personal data of the user and are deleted with the user.
const PROFILE_EDITS: &str = "
CREATE TABLE profile_edit(
    user INTEGER NOT NULL REFERENCES user(id) ON DELETE CASCADE,
    version INTEGER NOT NULL,
    time INTEGER NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY(user, version)
) STRICT, WITHOUT ROWID;
";

/// Any number of reviews of a user on one item. `name` is the review's identifier in the source data,
/// as in `user` and `item`; NULL if the source has none. SQLite cannot drop the constraint
/// `UNIQUE(user, item)`, so the table is copied, with its ids and its counter of ids. Foreign keys are
/// off meanwhile (see `prepare_to`), so that dropping the old table deletes nothing else. The lookup
/// of a review by its text compares texts of the same length only.
const MANY_REVIEWS: &str = "
CREATE TABLE review_copy(
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    user INTEGER NOT NULL REFERENCES user(id),
    item INTEGER NOT NULL REFERENCES item(id),
    rating REAL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    time INTEGER NOT NULL,
    name TEXT
) STRICT;
INSERT INTO review_copy(id, user, item, rating, title, text, time)
    SELECT id, user, item, rating, title, text, time FROM review ORDER BY id;
DELETE FROM sqlite_sequence WHERE name = 'review_copy';
INSERT INTO sqlite_sequence(name, seq)
    SELECT 'review_copy', seq FROM sqlite_sequence WHERE name = 'review';
DROP TABLE review;
ALTER TABLE review_copy RENAME TO review;
CREATE INDEX review_by_user ON review(user, time, id);
CREATE INDEX review_by_item ON review(item, time, id);
CREATE INDEX review_by_text ON review(user, item, time, length(text));
CREATE UNIQUE INDEX review_by_name ON review(name) WHERE name IS NOT NULL;
CREATE TRIGGER review_takes_derived BEFORE DELETE ON review BEGIN
    DELETE FROM derived
    WHERE id IN (SELECT derived FROM derived_source WHERE review = OLD.id);
END;
";

/// Texts that reviews answer: the review with the identifier `name`, and a text of which that review is not
/// in the store, with the user who wrote it, if known. A text in the store is referred to and not copied, so
/// that it is gone from everywhere when it is deleted. Values derived from an answer were made from what it
/// answers, too.
const ANSWERED: &str = "
CREATE TABLE answered(
    review INTEGER PRIMARY KEY REFERENCES review(id) ON DELETE CASCADE,
    name TEXT,
    text TEXT,
    author TEXT
) STRICT;
CREATE INDEX answered_by_name ON answered(name) WHERE name IS NOT NULL;
CREATE INDEX answered_by_author ON answered(author) WHERE author IS NOT NULL;
CREATE TRIGGER answered_takes_derived BEFORE DELETE ON review WHEN OLD.name IS NOT NULL BEGIN
    DELETE FROM derived
    WHERE id IN (SELECT derived FROM derived_source JOIN answered USING (review)
                 WHERE answered.name = OLD.name);
END;
";

/// Checksums of rows ([`sums`]). NULL where a program other than ours wrote the row.
const SUMS: &str = "
ALTER TABLE user ADD COLUMN sum INTEGER;
ALTER TABLE item ADD COLUMN sum INTEGER;
ALTER TABLE review ADD COLUMN sum INTEGER;
ALTER TABLE vector ADD COLUMN sum INTEGER;
ALTER TABLE derived ADD COLUMN sum INTEGER;
ALTER TABLE profile_edit ADD COLUMN sum INTEGER;
";

/// Prepares a new connection: checks that the file is a store of this program and not of a newer
/// version, sets the journal mode, and migrates the schema.
pub(super) fn prepare(connection: &mut Connection, path: &Path) -> Result<()> {
    prepare_to(connection, path, STEPS)
}

/// Prepares a new connection to a store that may only be read: checks as [`prepare`] does, and that the
/// schema needs no migration.
pub(super) fn prepare_for_reading(connection: &mut Connection, path: &Path) -> Result<()> {
    let fail = |source| sqlite_error(path, source);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    connection.execute_batch("PRAGMA cell_size_check = ON;").map_err(fail)?;
    connection.set_prepared_statement_cache_capacity(64);
    let found = version_of_ours(connection, path, STEPS.len())?;
    if found < STEPS.len() {
        return Err(Error::OldAndReadOnly { path: path.to_owned(), found, known: STEPS.len() });
    }
    Ok(())
}

/// The schema version of this program.
pub(super) fn newest() -> u64 {
    STEPS.len() as u64
}

fn prepare_to(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<()> {
    let fail = |source| sqlite_error(path, source);
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fail)?;
    connection.set_prepared_statement_cache_capacity(64);
    // A cell that reaches beyond its page is told and not read.
    connection.execute_batch("PRAGMA cell_size_check = ON;").map_err(fail)?;
    let version = {
        // Read in one transaction: another process may be creating the tables at the same time.
        let look = connection.transaction().map_err(fail)?;
        version_of_ours(&look, path, steps.len())?
    };
    use_write_ahead_log(connection).map_err(fail)?;
    // FULL: committed data survive a power failure. Commits are few and large, or follow seconds of
    // model computation, so the cost is small.
    connection.execute_batch("PRAGMA synchronous = FULL;").map_err(fail)?;
    if version < steps.len() {
        migrate(connection, path, steps)?;
    }
    connection.execute_batch("PRAGMA foreign_keys = ON;").map_err(fail)
}

/// Runs the steps that the store lacks, in one transaction, and checks all references afterwards.
/// Foreign keys are off during the steps, so that one may replace a table; SQLite cannot switch them
/// within a transaction.
fn migrate(connection: &mut Connection, path: &Path, steps: &[&str]) -> Result<()> {
    let fail = |source| sqlite_error(path, source);
    connection.execute_batch("PRAGMA foreign_keys = OFF;").map_err(fail)?;
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fail)?;
    // Another process may have migrated while this one waited for the lock.
    let version = version_of_ours(&transaction, path, steps.len())?;
    for step in &steps[version..] {
        transaction.execute_batch(step).map_err(fail)?;
    }
    if version < WITH_SUMS && steps.len() >= WITH_SUMS {
        let rows = sums::WrongRows { dropped_from: &[], is_renamed: &|_| false };
        sums::fill(&transaction, &rows).map_err(fail)?;
    }
    let broken = transaction
        .prepare("PRAGMA foreign_key_check")
        .and_then(|mut check| check.exists([]))
        .map_err(fail)?;
    if broken {
        return Err(Error::Unreadable {
            path: path.to_owned(),
            what: "its tables".to_owned(),
            reason: "rows refer to rows that do not exist; restore a copy of the store".to_owned(),
        });
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(fail)?;
    transaction.pragma_update(None, "user_version", steps.len() as i64).map_err(fail)?;
    transaction.commit().map_err(fail)
}

/// Returns the schema version of the file; 0 if the file is empty.
fn version_of_ours(connection: &Connection, path: &Path, known: usize) -> Result<usize> {
    let number = |sql: &str| {
        connection
            .query_row(sql, [], |row| row.get::<_, i64>(0))
            .map_err(|source| sqlite_error(path, source))
    };
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(0);
    }
    if application != APPLICATION_ID {
        let what = "an SQLite database of another program";
        return Err(Error::NotAStore { path: path.to_owned(), what });
    }
    let known = known as i64;
    if version > known {
        return Err(Error::NewerSchema { path: path.to_owned(), found: version, known });
    }
    if version < 1 {
        return Err(Error::Unreadable {
            path: path.to_owned(),
            what: "its schema version".to_owned(),
            reason: format!("it is {version}, expected 1 to {known}; restore a copy of the store"),
        });
    }
    Ok(version as usize)
}

/// Switches to the write-ahead log, with which readers and a writer do not block each other. The
/// mode is stored in the file, so only the first process needs the lock for it. SQLite's busy
/// timeout does not apply to this switch, so the function retries.
fn use_write_ahead_log(connection: &Connection) -> rusqlite::Result<()> {
    let mode = |sql| connection.query_row(sql, [], |row| row.get::<_, String>(0));
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        if matches!(mode("PRAGMA journal_mode")?.as_str(), "wal" | "memory") {
            return Ok(());
        }
        match mode("PRAGMA journal_mode = WAL") {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            done => return done.map(drop),
        }
    }
}

/// Converts an SQLite error: adds the path and tells apart a corrupt file, one that may only be read, and
/// a full disk.
pub(super) fn sqlite_error(path: &Path, source: rusqlite::Error) -> Error {
    let path = path.to_owned();
    if let Some(reason) = sums::problem(&source) {
        return Error::Broken { path, reason };
    }
    if source.sqlite_error().is_some_and(|error| error.extended_code == SHARED_MEMORY_FULL) {
        return Error::DiskFull { path };
    }
    // Values that this program does not write: a text that is not UTF-8, a number in its place.
    if let rusqlite::Error::FromSqlConversionFailure(..)
    | rusqlite::Error::InvalidColumnType(..)
    | rusqlite::Error::IntegralValueOutOfRange(..)
    | rusqlite::Error::Utf8Error(..) = source
    {
        return Error::Broken { path, reason: source.to_string() };
    }
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            Error::Damaged { path, source }
        }
        // A new log cannot be made beside the file, or the file cannot be made.
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            Error::ReadOnly { path }
        }
        Some(ErrorCode::DiskFull) => Error::DiskFull { path },
        _ => Error::Sqlite { path, source },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn open(path: &Path, steps: &[&str]) -> Result<Connection> {
        let mut connection = Connection::open(path).unwrap();
        prepare_to(&mut connection, path, steps)?;
        Ok(connection)
    }

    #[test]
    fn an_old_store_is_brought_up_to_date_and_keeps_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.sqlite");
        for version in 1..STEPS.len() {
            let _ = std::fs::remove_file(&path);
            let old = open(&path, &STEPS[..version]).unwrap();
            old.execute("INSERT INTO user(name) VALUES ('ann')", []).unwrap();
            drop(old);
            let new = open(&path, STEPS).unwrap();
            let read = |sql| new.query_row(sql, [], |r| r.get::<_, i64>(0)).unwrap();
            assert_eq!(read("SELECT count(*) FROM user"), 1);
            assert_eq!(read("SELECT count(*) FROM vector"), 0);
            assert_eq!(read("PRAGMA user_version"), STEPS.len() as i64);
        }
    }

    /// Rows of a store of version 4: the review with the greatest id is deleted, the others have
    /// vectors, derived values, a split and an edit of a profile.
    const VERSION_4: &str = "
        INSERT INTO user(id, name) VALUES (1, 'ann'), (2, 'bob');
        INSERT INTO item(id, name, title, description, categories) VALUES
            (1, 'x', 'X', 'an x', '[]'), (2, 'y', '', '', '[]');
        INSERT INTO review(id, user, item, rating, title, text, time) VALUES
            (3, 1, 1, 4.5, 'first', 'It sings.', 10), (5, 2, 1, NULL, '', '', 0),
            (7, 1, 2, 2.0, 't', 'Two\nlines, \u{1f3b8}', -5), (9, 2, 2, 1.0, 't', 'gone', 1);
        INSERT INTO stamp(id, name, dimensions) VALUES (1, 's', 1);
        INSERT INTO vector(review, stamp, value) VALUES (3, 1, x'0000803f'), (5, 1, x'00000040');
        INSERT INTO derived(id, kind, key, value, made) VALUES
            (1, 'd', 'k1', 'of ann and bob', 1), (2, 'd', 'k2', 'of bob', 2);
        INSERT INTO derived_source(derived, review) VALUES (1, 3), (1, 5), (2, 5);
        INSERT INTO split(id, name, parameters, size) VALUES (1, 'default', '{}', 3);
        INSERT INTO split_row(split, rank, review, part) VALUES
            (1, 0, 3, 'profile'), (1, 1, 7, 'test'), (1, 2, 5, 'profile');
        INSERT INTO profile_edit(user, version, time, value) VALUES (1, 1, 1, 'an edit');
        DELETE FROM review WHERE id = 9;";

    /// Every row of a store but the names of reviews, as text.
    fn all_rows(connection: &Connection) -> Vec<String> {
        let columns = [
            ("user", "id, name"),
            ("item", "id, name, title, description, categories"),
            ("review", "id, user, item, quote(rating), title, text, time"),
            ("stamp", "id, name, dimensions"),
            ("vector", "review, stamp, hex(value)"),
            ("derived", "id, kind, key, value, made"),
            ("derived_source", "derived, review"),
            ("split", "id, name, parameters, size"),
            ("split_row", "split, rank, review, part"),
            ("profile_edit", "user, version, time, value"),
        ];
        let mut rows = Vec::new();
        for (table, columns) in columns {
            let columns = columns.replace(", ", " || '|' || ");
            let sql = format!("SELECT '{table}: ' || {columns} FROM {table} ORDER BY 1");
            let mut select = connection.prepare(&sql).unwrap();
            let of_table = select.query_map([], |row| row.get::<_, String>(0)).unwrap();
            rows.extend(of_table.map(|row| row.unwrap()));
        }
        rows
    }

    #[test]
    fn a_store_with_one_review_per_user_and_item_loses_nothing_but_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.sqlite");
        let old = open(&path, &STEPS[..4]).unwrap();
        old.execute_batch(VERSION_4).unwrap();
        let second = "INSERT INTO review(user, item, title, text, time) VALUES (1, 1, '', 'b', 1)";
        assert!(old.execute(second, []).is_err());
        let before = all_rows(&old);
        assert_eq!(before.len(), 2 + 2 + 3 + 1 + 2 + 2 + 3 + 1 + 3 + 1);
        drop(old);

        let new = open(&path, STEPS).unwrap();
        assert_eq!(all_rows(&new), before);
        let number = |sql| new.query_row(sql, [], |r| r.get::<_, i64>(0)).unwrap();
        assert_eq!(number("SELECT count(*) FROM review WHERE name IS NULL"), 3);
        // No id is given again, not even that of a deleted review.
        new.execute(second, []).unwrap();
        assert_eq!(number("SELECT max(id) FROM review"), 10);
        // What is derived from a review goes with it, as before.
        new.execute("DELETE FROM review WHERE id = 3", []).unwrap();
        assert_eq!(number("SELECT count(*) FROM vector"), 1);
        assert_eq!(number("SELECT count(*) FROM derived"), 1);
        assert_eq!(number("SELECT count(*) FROM derived_source"), 1);
        assert_eq!(number("SELECT count(*) FROM split_row"), 2);
        let stranger = "INSERT INTO review(user, item, title, text, time) VALUES (9, 1, '', '', 1)";
        assert!(new.execute(stranger, []).is_err());
        assert_eq!(number("SELECT count(*) FROM pragma_foreign_key_check"), 0);
        drop(new);
        let older = open(&path, &STEPS[..4]);
        assert!(matches!(older, Err(Error::NewerSchema { found: 7, known: 4, .. })));
    }

    #[test]
    fn a_store_whose_rows_refer_to_nothing_is_not_migrated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.sqlite");
        let old = open(&path, &STEPS[..4]).unwrap();
        old.execute_batch(VERSION_4).unwrap();
        old.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM user WHERE id = 2;").unwrap();
        drop(old);
        assert!(matches!(open(&path, STEPS), Err(Error::Unreadable { .. })));
        let again = Connection::open(&path).unwrap();
        let version = again.query_row("PRAGMA user_version", [], |r| r.get::<_, i64>(0)).unwrap();
        assert_eq!(version, 4);
    }

    #[test]
    fn a_step_that_fails_leaves_the_store_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s.sqlite");
        drop(open(&path, &STEPS[..1]).unwrap());
        let broken = [STEPS[0], "CREATE TABLE fine(x); CREATE TABLE user(x);"];
        assert!(open(&path, &broken).is_err());
        let again = open(&path, &STEPS[..1]).unwrap();
        let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'fine'";
        assert_eq!(again.query_row(tables, [], |r| r.get::<_, i64>(0)).unwrap(), 0);
    }

    #[test]
    fn a_newer_store_and_a_strange_one_are_refused_untouched() {
        let folder = tempfile::tempdir().unwrap();
        let newer = folder.path().join("newer.sqlite");
        let connection = open(&newer, STEPS).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        drop(connection);
        assert!(matches!(open(&newer, STEPS), Err(Error::NewerSchema { found: 99, .. })));

        let unversioned = folder.path().join("unversioned.sqlite");
        let connection = open(&unversioned, STEPS).unwrap();
        connection.pragma_update(None, "user_version", 0).unwrap();
        drop(connection);
        assert!(matches!(open(&unversioned, STEPS), Err(Error::Unreadable { .. })));

        let strange = folder.path().join("strange.sqlite");
        Connection::open(&strange).unwrap().execute_batch("CREATE TABLE t(x)").unwrap();
        let before = std::fs::read(&strange).unwrap();
        assert!(matches!(open(&strange, STEPS), Err(Error::NotAStore { .. })));
        assert_eq!(before, std::fs::read(&strange).unwrap());
    }
}
