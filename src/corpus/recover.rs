//! Writes what can be read of a damaged store to a new one.
//!
//! SQLite keeps each table in a tree of pages. A row is unreadable if a page on the way to it, or one that
//! its text continues on, is damaged; rows beside it are not. So each table is read in the order of its
//! keys, and behind an unreadable row the next readable one is searched.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OpenFlags, Transaction, params};

use super::schema::sqlite_error;
use super::store::{log_of, unchanging_uri};
use super::{Error, Result, Store, sums};
use idiolect_engine::progress::{Progress, ProgressStage};

/// Outcome of a table of a damaged store.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct RecoveredTable {
    /// Name of the table.
    pub table: &'static str,
    /// Number of rows written to the new store.
    pub rows: u64,
    /// Number of rows that are lost; `None` if some are and their number is not known.
    pub lost: Option<u64>,
    /// Number of rows that are not what was stored, because some byte of them changed. They are kept as they
    /// were read.
    pub altered: u64,
    /// Number of rows of which only the identifier was readable, or not even that: users and items that
    /// others' rows refer to. They have a name like `recovered-7` then.
    pub renamed: u64,
}

/// A table with one whole number as its key.
struct KeyedTable {
    name: &'static str,
    /// Name of the key.
    key: &'static str,
    /// An index of the table that has all of its rows, by which they are counted.
    counted_by: Option<&'static str>,
}

/// Tables whose rows are computed again; altered ones are left out.
const COMPUTED: [&str; 2] = ["vector", "derived"];

/// Beginning of the names of users and items whose names are lost.
const MADE_UP: &str = "recovered-";

/// Tables whose rows others refer to come first.
const TABLES: [KeyedTable; 8] = [
    KeyedTable { name: "user", key: "id", counted_by: Some("sqlite_autoindex_user_1") },
    KeyedTable { name: "item", key: "id", counted_by: Some("sqlite_autoindex_item_1") },
    KeyedTable { name: "review", key: "id", counted_by: Some("review_by_user") },
    KeyedTable { name: "answered", key: "review", counted_by: None },
    KeyedTable { name: "stamp", key: "id", counted_by: Some("sqlite_autoindex_stamp_1") },
    KeyedTable { name: "vector", key: "rowid", counted_by: Some("vector_by_stamp") },
    KeyedTable { name: "split", key: "id", counted_by: Some("sqlite_autoindex_split_1") },
    KeyedTable { name: "derived", key: "id", counted_by: Some("sqlite_autoindex_derived_1") },
];

/// Tables with a key of two parts, the first of which is the key of another table.
const PAIRED: [(&str, [&str; 2], &str); 3] = [
    ("derived_source", ["derived", "review"], "derived"),
    ("split_row", ["split", "rank"], "split"),
    ("profile_edit", ["user", "version"], "user"),
];

impl Store {
    /// Writes the rows that can be read of the store at `path` to a new store at `into`, with their ids.
    /// The damaged store is not changed. Users and items whose rows are lost, but not their reviews, get
    /// names from the index of names, else made-up ones. Derived values are left out unless all reviews
    /// that they were made from are known and there, since they could not be forgotten otherwise.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is a file at `into`; [`Error::NotAStore`] or [`Error::Damaged`] if not even
    /// the list of tables can be read; [`Error::Stopped`]. The new file is removed then.
    pub fn recover(
        path: &Path,
        into: &Path,
        progress: &dyn Progress,
    ) -> Result<Vec<RecoveredTable>> {
        if !path.exists() {
            return Err(Error::NoStore { path: path.to_owned() });
        }
        if into.exists() {
            return Err(Error::Exists { path: into.to_owned() });
        }
        let copied = copy_with_log(path, into)?;
        let damaged = Damaged::open(copied.as_ref().map_or(path, |copy| &copy.file), path)?;
        let recovered = Self::open(into).and_then(|new| {
            let tables = damaged.copy_into(&new, progress)?;
            new.check()?;
            Ok(tables)
        });
        if recovered.is_err() {
            for file in [into, &log_of(into), &shared_memory_of(into)] {
                // A file that was not made yet is not there.
                let _ = std::fs::remove_file(file);
            }
        }
        recovered
    }
}

/// A copy of a store with its log: SQLite would change the store when it reads the log.
struct CopiedStore {
    file: PathBuf,
    _folder: tempfile::TempDir,
}

/// Copies a store with a log to a temporary folder beside the new one; `None` if it has no log.
fn copy_with_log(path: &Path, into: &Path) -> Result<Option<CopiedStore>> {
    let log = log_of(path);
    if !std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        return Ok(None);
    }
    let io = |source| Error::Open { source_name: into.display().to_string(), source };
    let folder = into.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = tempfile::tempdir_in(folder.unwrap_or(Path::new("."))).map_err(io)?;
    let file = folder.path().join("damaged.sqlite");
    std::fs::copy(path, &file).map_err(io)?;
    std::fs::copy(&log, log_of(&file)).map_err(io)?;
    Ok(Some(CopiedStore { file, _folder: folder }))
}

fn shared_memory_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-shm");
    name.into()
}

/// An open damaged store.
struct Damaged {
    connection: Connection,
}

/// A query for rows behind a key; of a table with a key of two parts also the first part.
struct KeyQuery {
    sql: String,
    first: Option<i64>,
}

/// Rows of a table that are copied one by one.
struct TableCopy<'a> {
    from: &'a Connection,
    to: &'a Transaction<'a>,
    table: &'static str,
    columns: Vec<String>,
    insert: String,
    rows: u64,
    /// Rows that the new store does not take: of a wrong type, or referring to rows that are lost.
    refused: u64,
    /// Whether some part of the table could not be read.
    has_gaps: bool,
}

impl Damaged {
    /// Opens the file at `file`; messages name `path`.
    fn open(file: &Path, path: &Path) -> Result<Self> {
        let fail = |source| sqlite_error(path, source);
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = match file == path {
            true => {
                let flags = flags | OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
                Connection::open_with_flags(unchanging_uri(file), flags)
            }
            false => Connection::open_with_flags(file, flags | OpenFlags::SQLITE_OPEN_READ_WRITE),
        };
        let connection = opened.map_err(fail)?;
        // Cells that reach beyond their page are told at once.
        connection.execute_batch("PRAGMA cell_size_check = ON;").map_err(fail)?;
        connection.set_prepared_statement_cache_capacity(64);
        let has_reviews = connection
            .prepare("SELECT 1 FROM sqlite_schema WHERE name = 'review'")
            .and_then(|mut found| found.exists([]))
            .map_err(fail)?;
        match has_reviews {
            true => Ok(Self { connection }),
            false => {
                Err(Error::NotAStore { path: path.to_owned(), what: "a database without reviews" })
            }
        }
    }

    fn copy_into(&self, new: &Store, progress: &dyn Progress) -> Result<Vec<RecoveredTable>> {
        let total = (TABLES.len() + PAIRED.len()) as u64;
        let _stage = ProgressStage::begin(progress, "reading tables", Some(total));
        let mut outcomes = Vec::new();
        let mut stopped = false;
        new.write(|to| {
            for table in &TABLES {
                stopped |= progress.stop_requested();
                if stopped {
                    return Ok(());
                }
                if table.name == "review" {
                    // Before the first table that refers to them.
                    for (of, at) in [("user", 0), ("item", 1)] {
                        let outcome: &mut RecoveredTable = &mut outcomes[at];
                        self.add_names(to, of, outcome)?;
                    }
                }
                let mut copy = self.table(to, table.name)?;
                copy.by_key(table.key, None)?;
                let lost = self.n_lost(table, &copy);
                let TableCopy { table, rows, .. } = copy;
                outcomes.push(RecoveredTable { table, rows, lost, altered: 0, renamed: 0 });
                progress.advance(1);
            }
            for (name, key, of) in PAIRED {
                let mut copy = self.table(to, name)?;
                for id in ids(to, of)? {
                    copy.by_key(key[1], Some((key[0], id)))?;
                }
                let TableCopy { table, rows, refused, has_gaps, .. } = copy;
                let lost = if has_gaps { None } else { Some(refused) };
                outcomes.push(RecoveredTable { table, rows, lost, altered: 0, renamed: 0 });
                progress.advance(1);
            }
            drop_uncertain(to, &mut outcomes)?;
            // Names are in the checksums of the reviews.
            let wrong = sums::WrongRows {
                dropped_from: &COMPUTED,
                is_renamed: &|name| name.starts_with(MADE_UP),
            };
            for (table, altered) in sums::fill(to, &wrong)? {
                let Some(outcome) = outcomes.iter_mut().find(|outcome| outcome.table == table)
                else {
                    continue;
                };
                if COMPUTED.contains(&table) {
                    outcome.rows -= altered;
                    outcome.lost = outcome.lost.map(|lost| lost + altered);
                } else {
                    outcome.altered = altered;
                }
            }
            self.keep_sequence(to)
        })?;
        match stopped {
            true => Err(Error::Stopped),
            false => Ok(outcomes),
        }
    }

    /// Begins to copy a table: the columns that both stores have.
    fn table<'a>(
        &'a self,
        to: &'a Transaction<'a>,
        table: &'static str,
    ) -> rusqlite::Result<TableCopy<'a>> {
        let known = columns_of(to, table)?;
        let found: HashSet<String> =
            columns_of(&self.connection, table).unwrap_or_default().into_iter().collect();
        let mut columns: Vec<String> =
            known.into_iter().filter(|column| found.contains(column)).collect();
        if table == "vector" {
            columns.push("rowid".to_owned());
        }
        let names = columns.join(", ");
        let places = vec!["?"; columns.len()].join(", ");
        Ok(TableCopy {
            from: &self.connection,
            to,
            table,
            insert: format!("INSERT INTO {table}({names}) VALUES ({places})"),
            columns,
            rows: 0,
            refused: 0,
            has_gaps: found.is_empty(),
        })
    }

    /// Number of rows that are not in the copy, if an index can count them.
    fn n_lost(&self, table: &KeyedTable, copy: &TableCopy<'_>) -> Option<u64> {
        let counted = table.counted_by.and_then(|index| {
            let sql = format!("SELECT count(*) FROM {} INDEXED BY {index}", table.name);
            self.connection.query_row(&sql, [], |row| row.get::<_, i64>(0)).ok()
        });
        match counted {
            Some(n) => Some((n as u64).saturating_sub(copy.rows)),
            None if copy.has_gaps => None,
            None => Some(copy.refused),
        }
    }

    /// Adds the users or items that reviews refer to and whose rows are lost: with the names that the
    /// index of names has, else with made-up ones.
    fn add_names(
        &self,
        to: &Transaction<'_>,
        table: &str,
        outcome: &mut RecoveredTable,
    ) -> rusqlite::Result<()> {
        let more = if table == "item" { ", title, description, categories" } else { "" };
        let empty = if table == "item" { ", '', '', '[]'" } else { "" };
        let insert =
            format!("INSERT OR IGNORE INTO {table}(id, name{more}) VALUES (?1, ?2{empty})");
        let mut add = |id: i64, name: &str| -> rusqlite::Result<()> {
            let n = to.prepare_cached(&insert)?.execute(params![id, name])?;
            outcome.rows += n as u64;
            outcome.renamed += n as u64;
            outcome.lost = outcome.lost.map(|lost| lost.saturating_sub(n as u64));
            Ok(())
        };
        // Both are trees of their own, so one may be whole where the table is not.
        let by_name = format!("SELECT id, name FROM {table} INDEXED BY sqlite_autoindex_{table}_1");
        for (id, name) in self.readable(&by_name, |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
        {
            add(id, &name)?;
        }
        let referred = format!("SELECT {table} FROM review INDEXED BY review_by_{table}");
        let mut ids: Vec<i64> = self.readable(&referred, |row| row.get(0));
        ids.extend(self.readable(&format!("SELECT {table} FROM review NOT INDEXED"), |row| {
            row.get::<_, i64>(0)
        }));
        ids.sort_unstable();
        ids.dedup();
        for id in ids {
            add(id, &format!("{MADE_UP}{id}"))?;
        }
        Ok(())
    }

    /// The rows of a query up to the first that cannot be read.
    fn readable<T>(
        &self,
        sql: &str,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Vec<T> {
        let Ok(mut statement) = self.connection.prepare(sql) else { return Vec::new() };
        let Ok(rows) = statement.query_map([], read) else { return Vec::new() };
        rows.map_while(rusqlite::Result::ok).collect()
    }

    /// Ids of reviews are never given again, not even those of lost ones.
    fn keep_sequence(&self, to: &Transaction<'_>) -> rusqlite::Result<()> {
        let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'review'";
        let last = self.connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap_or(0);
        to.execute("UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'review'", [last])
            .map(drop)
    }
}

impl TableCopy<'_> {
    /// Copies all readable rows in the order of `key`; of a table with a key of two parts those whose
    /// first part has the given value.
    fn by_key(&mut self, key: &str, first: Option<(&str, i64)>) -> rusqlite::Result<()> {
        if self.columns.is_empty() {
            return Ok(());
        }
        let only = first.map_or("?2 IS NULL".to_owned(), |(name, _)| format!("{name} = ?2"));
        let sql = format!(
            "SELECT {key}, {} FROM {} WHERE {only} AND {key} > ?1 ORDER BY {key}",
            self.columns.join(", "),
            self.table
        );
        let query = KeyQuery { sql, first: first.map(|(_, id)| id) };
        let mut last = i64::MIN;
        while !self.run_of_rows(&query, &mut last)? {
            self.has_gaps = true;
            let Some(next) = self.next_readable(&query, last) else { break };
            last = next;
        }
        Ok(())
    }

    /// Copies rows until one cannot be read; `last` becomes the key of the last one. Returns whether the
    /// end was reached.
    fn run_of_rows(&mut self, query: &KeyQuery, last: &mut i64) -> rusqlite::Result<bool> {
        // A table whose definition cannot be used has no readable row.
        let Ok(mut select) = self.from.prepare_cached(&query.sql) else { return Ok(true) };
        let Ok(mut rows) = select.query(params![*last, query.first]) else { return Ok(false) };
        let mut insert = self.to.prepare_cached(&self.insert)?;
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(true),
                Err(_) => return Ok(false),
            };
            let Ok(key) = row.get::<_, i64>(0) else { return Ok(false) };
            if key <= *last {
                // Damaged pages may lead back.
                return Ok(false);
            }
            *last = key;
            let values: Option<Vec<Value>> =
                (1..=self.columns.len()).map(|at| owned(row.get_ref(at).ok()?)).collect();
            let taken = values
                .is_some_and(|values| insert.execute(rusqlite::params_from_iter(values)).is_ok());
            self.rows += u64::from(taken);
            self.refused += u64::from(!taken);
        }
    }

    /// The greatest known key before the next readable row behind `last`; `None` if there is none.
    fn next_readable(&self, query: &KeyQuery, last: i64) -> Option<i64> {
        // The key of the first row behind `after`, if it can be read.
        let probe = |after: i64| -> Result<Option<i64>, ()> {
            let mut select = self.from.prepare_cached(&query.sql).map_err(drop)?;
            let mut rows = select.query(params![after, query.first]).map_err(drop)?;
            let row = rows.next().map_err(drop)?;
            let key = row.map(|row| row.get::<_, i64>(0)).transpose().map_err(drop)?;
            // Damaged pages may lead back.
            if key.is_none_or(|key| key > after) { Ok(key) } else { Err(()) }
        };
        let begin = last.max(-1);
        let mut step = 1_i64;
        while probe(begin.checked_add(step)?).is_err() {
            step = step.checked_mul(2)?;
        }
        // The least step that leads behind the damage lies between the last two.
        let (mut low, mut high) = (step / 2, step);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            match probe(begin + middle) {
                Ok(_) => high = middle,
                Err(()) => low = middle,
            }
        }
        match probe(begin + high) {
            Ok(Some(_)) => Some(begin + high),
            _ => None,
        }
    }
}

/// A value of a row; `None` if it is a text that is not UTF-8.
fn owned(value: ValueRef<'_>) -> Option<Value> {
    Some(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => Value::Text(std::str::from_utf8(text).ok()?.to_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
    })
}

fn columns_of(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}

fn ids(connection: &Connection, table: &str) -> rusqlite::Result<Vec<i64>> {
    let mut statement = connection.prepare(&format!("SELECT id FROM {table} ORDER BY id"))?;
    statement.query_map([], |row| row.get(0))?.collect()
}

/// Deletes derived values that may have been made from reviews that are not known any more: all, if
/// sources of some are lost, which cannot be told apart from those that never had any.
fn drop_uncertain(to: &Transaction<'_>, outcomes: &mut [RecoveredTable]) -> rusqlite::Result<()> {
    let is_whole = |table: &str| {
        outcomes.iter().any(|outcome| outcome.table == table && outcome.lost == Some(0))
    };
    if is_whole("derived_source") && is_whole("review") {
        return Ok(());
    }
    let values = to.execute("DELETE FROM derived", [])? as u64;
    for outcome in outcomes {
        if matches!(outcome.table, "derived" | "derived_source") {
            outcome.lost = match outcome.table {
                "derived" => outcome.lost.map(|lost| lost + values),
                _ => outcome.lost.map(|lost| lost + outcome.rows),
            };
            outcome.rows = 0;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "recover_tests.rs"]
mod tests;
