//! The table of users, and what is done with it.

use std::time::Duration;

use postgres::binary_copy::BinaryCopyInWriter;
use postgres::types::Type;
use postgres::{Client, Config, NoTls, Statement};

use crate::half_vector::HalfVector;
use crate::{Error, Result};

/// The facts that determine vectors: those of different stamps are never compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VectorStamp {
    /// Maker of the vectors: a name or hash of the encoder, and the kind of embedding.
    pub made_by: String,
    /// Numbers of a vector, 1 to 4,000 (the limit of a graph over `halfvec`).
    pub dimension: usize,
}

/// Options of a new table and of searches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DatabaseOptions {
    /// Number of partitions, by the hash of the name; each has its graph. Raise it so that a graph fits into
    /// `maintenance_work_mem` while it is built. Without effect on a table that exists.
    pub partitions: usize,
    /// Candidates that a search keeps in each graph (`hnsw.ef_search`), 1 to 1,000; raise it for more of the
    /// nearest users at fewer searches a second.
    pub candidates: usize,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self { partitions: 1, candidates: 100 }
    }
}

/// The vectors of users in a database.
pub struct UserDatabase {
    client: Client,
    dimension: usize,
    candidates: usize,
    near: Statement,
    vector: Statement,
    vector_type: Type,
}

impl std::fmt::Debug for UserDatabase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserDatabase").field("dimension", &self.dimension).finish_non_exhaustive()
    }
}

const CONNECT: &str = "connect to the database";
const MAKE: &str = "make the table of users in the database";
const WRITE: &str = "write vectors to the database";
const SEARCH: &str = "search the database";
const DELETE: &str = "delete from the database";

/// Edges of a graph's node, and candidates while it is built: pgvector's own defaults.
const GRAPH: &str = "m = 16, ef_construction = 64";

/// Maximum of `hnsw.ef_search`.
const MAX_CANDIDATES: usize = 1000;

/// Locks of this program's work on the schema, so that two processes do not make it at the same time.
const LOCK: i64 = 0x6964_696f_6c65_6374;

fn connect(address: &str) -> Result<Client> {
    let mut config: Config = address
        .parse()
        .map_err(|error: postgres::Error| Error::Address { what: error.to_string() })?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(10));
    }
    config.application_name("idiolect").connect(NoTls).map_err(Error::in_operation(CONNECT))
}

/// Whether the table is there.
fn has_users(client: &mut Client) -> Result<bool> {
    let row = client.query_one("SELECT to_regclass('idiolect.users') IS NOT NULL", &[]);
    Ok(row.map_err(Error::in_operation(SEARCH))?.get(0))
}

impl UserDatabase {
    /// Connects to a database and makes the schema unless it is there. The role must be allowed to make the
    /// extension `vector`, or it must be there.
    ///
    /// # Errors
    /// The database cannot be reached or has no pgvector, or [`Error::OtherStamp`].
    pub fn create(address: &str, stamp: &VectorStamp, options: &DatabaseOptions) -> Result<Self> {
        let mut client = connect(address)?;
        let failed = Error::in_operation(MAKE);
        let mut work = client.transaction().map_err(&failed)?;
        work.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).map_err(&failed)?;
        let (dimension, partitions) = (stamp.dimension, options.partitions.max(1));
        let mut statements = format!(
            "SET LOCAL client_min_messages = warning;
             CREATE EXTENSION IF NOT EXISTS vector;
             CREATE SCHEMA IF NOT EXISTS idiolect;
             CREATE TABLE IF NOT EXISTS idiolect.stamp
                (only_row bool PRIMARY KEY DEFAULT true CHECK (only_row), made_by text NOT NULL, dimension int NOT NULL);
             CREATE TABLE IF NOT EXISTS idiolect.users
                (name text COLLATE \"C\" PRIMARY KEY, vector halfvec({dimension}) NOT NULL) PARTITION BY HASH (name);"
        );
        let made = "SELECT to_regclass('idiolect.users') IS NOT NULL";
        if !work.query_one(made, &[]).map_err(&failed)?.get::<_, bool>(0) {
            // A vector stands in its row, and no name in the planner's statistics: a deletion has one place.
            let plain = "ALTER COLUMN name SET STATISTICS 0, ALTER COLUMN vector SET STATISTICS 0";
            statements += &format!("ALTER TABLE idiolect.users {plain};");
            for part in 0..partitions {
                statements += &format!(
                    "CREATE TABLE idiolect.users_{part} PARTITION OF idiolect.users
                     FOR VALUES WITH (MODULUS {partitions}, REMAINDER {part});
                     ALTER TABLE idiolect.users_{part} ALTER COLUMN vector SET STORAGE PLAIN, {plain};"
                );
            }
        }
        work.batch_execute(&statements).map_err(&failed)?;
        let row = "INSERT INTO idiolect.stamp (made_by, dimension) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let wide = i32::try_from(dimension).unwrap_or(i32::MAX);
        work.execute(row, &[&stamp.made_by, &wide]).map_err(&failed)?;
        work.commit().map_err(&failed)?;
        Self::of(client, stamp, options)
    }

    /// Connects to a database that has vectors.
    ///
    /// # Errors
    /// The database cannot be reached, [`Error::NoVectors`] or [`Error::OtherStamp`].
    pub fn open(address: &str, stamp: &VectorStamp, options: &DatabaseOptions) -> Result<Self> {
        let mut client = connect(address)?;
        match has_users(&mut client)? {
            true => Self::of(client, stamp, options),
            false => Err(Error::NoVectors),
        }
    }

    fn of(mut client: Client, stamp: &VectorStamp, options: &DatabaseOptions) -> Result<Self> {
        let failed = Error::in_operation(SEARCH);
        let row = client
            .query_one("SELECT made_by, dimension FROM idiolect.stamp", &[])
            .map_err(&failed)?;
        let told = |made_by: &str, dimension: usize| format!("`{made_by}` ({dimension} numbers)");
        let got = (row.get::<_, String>(0), usize::try_from(row.get::<_, i32>(1)).unwrap_or(0));
        if got != (stamp.made_by.clone(), stamp.dimension) {
            return Err(Error::OtherStamp {
                got: told(&got.0, got.1),
                expected: told(&stamp.made_by, stamp.dimension),
            });
        }
        let candidates = options.candidates.clamp(1, MAX_CANDIDATES);
        client.batch_execute(&format!("SET hnsw.ef_search = {candidates}")).map_err(&failed)?;
        let near = "SELECT name, (1 - (vector <=> $1))::real FROM idiolect.users ORDER BY vector <=> $1 LIMIT $2";
        let near = client.prepare(near).map_err(&failed)?;
        let vector = "SELECT vector FROM idiolect.users WHERE name = $1";
        let vector = client.prepare(vector).map_err(&failed)?;
        let vector_type = vector.columns()[0].type_().clone();
        Ok(Self { client, dimension: stamp.dimension, candidates, near, vector, vector_type })
    }

    /// Number of users.
    ///
    /// # Errors
    /// The database fails.
    pub fn len(&mut self) -> Result<u64> {
        let row = self.client.query_one("SELECT count(*) FROM idiolect.users", &[]);
        let n: i64 = row.map_err(Error::in_operation(SEARCH))?.get(0);
        Ok(u64::try_from(n).unwrap_or(0))
    }

    /// Whether there are no users.
    ///
    /// # Errors
    /// The database fails.
    pub fn is_empty(&mut self) -> Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Inserts users, or replaces their vectors, `[dimension]` each, in one transaction; later rows of a user
    /// are not allowed. Returns the number of users that are new or have another vector.
    ///
    /// # Errors
    /// [`Error::BadVector`] before anything is written, or the database fails.
    pub fn upsert(&mut self, rows: &[(&str, &[f32])]) -> Result<u64> {
        for (user, vector) in rows {
            self.check(user, vector)?;
        }
        let failed = Error::in_operation(WRITE);
        let mut work = self.client.transaction().map_err(&failed)?;
        let incoming = format!(
            "CREATE TEMPORARY TABLE incoming (name text COLLATE \"C\", vector halfvec({})) ON COMMIT DROP",
            self.dimension
        );
        work.batch_execute(&incoming).map_err(&failed)?;
        let sink = work.copy_in("COPY incoming FROM STDIN BINARY").map_err(&failed)?;
        let mut writer = BinaryCopyInWriter::new(sink, &[Type::TEXT, self.vector_type.clone()]);
        for (user, vector) in rows {
            writer.write(&[user, &HalfVector::of(vector)]).map_err(&failed)?;
        }
        writer.finish().map_err(&failed)?;
        let merge = "INSERT INTO idiolect.users AS old SELECT name, vector FROM incoming
            ON CONFLICT (name) DO UPDATE SET vector = EXCLUDED.vector WHERE old.vector <> EXCLUDED.vector";
        let n_changed = work.execute(merge, &[]).map_err(&failed)?;
        work.commit().map_err(&failed)?;
        Ok(n_changed)
    }

    /// Deletes all users but these, in one transaction; returns their number.
    ///
    /// # Errors
    /// The database fails.
    pub fn keep_only(&mut self, users: &[&str]) -> Result<u64> {
        let failed = Error::in_operation(DELETE);
        let mut work = self.client.transaction().map_err(&failed)?;
        let kept =
            "CREATE TEMPORARY TABLE kept (name text COLLATE \"C\" PRIMARY KEY) ON COMMIT DROP";
        work.batch_execute(kept).map_err(&failed)?;
        let sink = work.copy_in("COPY kept FROM STDIN BINARY").map_err(&failed)?;
        let mut writer = BinaryCopyInWriter::new(sink, &[Type::TEXT]);
        for user in users {
            writer.write(&[user]).map_err(&failed)?;
        }
        writer.finish().map_err(&failed)?;
        let others = "DELETE FROM idiolect.users AS old WHERE NOT EXISTS (SELECT FROM kept WHERE kept.name = old.name)";
        let n_deleted = work.execute(others, &[]).map_err(&failed)?;
        work.commit().map_err(&failed)?;
        Ok(n_deleted)
    }

    /// Builds the graphs unless they are there; later writes keep them up to date. Faster after the first
    /// `upsert` than before it. Without graphs, a search compares with every user.
    ///
    /// # Errors
    /// The database fails.
    pub fn index(&mut self) -> Result<()> {
        let statement = format!(
            "SET client_min_messages = warning;
             CREATE INDEX IF NOT EXISTS users_near ON idiolect.users
             USING hnsw (vector halfvec_cosine_ops) WITH ({GRAPH});
             ANALYZE idiolect.users"
        );
        self.client
            .batch_execute(&statement)
            .map_err(Error::in_operation("build the graph in the database"))
    }

    /// The stored vector of a user, `[dimension]`, rounded to 16 bits; `None` if they have none.
    ///
    /// # Errors
    /// The database fails.
    pub fn vector(&mut self, user: &str) -> Result<Option<Vec<f32>>> {
        let row = self.client.query_opt(&self.vector, &[&user]);
        let row = row.map_err(Error::in_operation(SEARCH))?;
        Ok(row.map(|row| row.get::<_, HalfVector>(0).wide()))
    }

    /// The `k` users nearest to a vector (`[dimension]`, of any length but 0) and their cosines, -1 to 1,
    /// nearest first; equal ones are sorted by name. With graphs, some of the nearest may be missed, and of each graph
    /// at most 1,000 users are found.
    ///
    /// # Errors
    /// [`Error::BadVector`] if it has another dimension, numbers that are not finite, or length 0; or the
    /// database fails.
    pub fn near(&mut self, vector: &[f32], k: usize) -> Result<Vec<(String, f32)>> {
        self.check("", vector)?;
        // A graph gives no more users than it keeps candidates.
        if self.candidates < k.min(MAX_CANDIDATES) {
            self.candidates = k.min(MAX_CANDIDATES);
            let statement = format!("SET hnsw.ef_search = {}", self.candidates);
            self.client.batch_execute(&statement).map_err(Error::in_operation(SEARCH))?;
        }
        let n = i64::try_from(k).unwrap_or(i64::MAX);
        let rows = self.client.query(&self.near, &[&HalfVector::of(vector), &n]);
        let rows = rows.map_err(Error::in_operation(SEARCH))?;
        let mut found: Vec<(String, f32)> =
            rows.iter().map(|row| (row.get(0), row.get::<_, f32>(1).clamp(-1.0, 1.0))).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(found)
    }

    /// Deletes a user from a database, whatever made its vectors, and lets the database clean up the row and the
    /// node of the graph (`VACUUM`). Returns whether the user was there. It does not reach the database's
    /// write-ahead log, copies of it, and free space in its pages until that is written again.
    ///
    /// # Errors
    /// The database cannot be reached or fails; or the user is there again, since another process wrote it.
    pub fn delete(address: &str, user: &str) -> Result<bool> {
        let mut client = connect(address)?;
        if !has_users(&mut client)? {
            return Ok(false);
        }
        let failed = Error::in_operation(DELETE);
        let delete = "DELETE FROM idiolect.users WHERE name = $1";
        let n_deleted = client.execute(delete, &[&user]).map_err(&failed)?;
        client.batch_execute("VACUUM (INDEX_CLEANUP ON) idiolect.users").map_err(&failed)?;
        let count = "SELECT count(*) FROM idiolect.users WHERE name = $1";
        match client.query_one(count, &[&user]).map_err(&failed)?.get::<_, i64>(0) {
            0 => Ok(n_deleted > 0),
            _ => Err(Error::Database {
                operation: DELETE,
                what: format!("`{user}` is there again; another process writes vectors"),
            }),
        }
    }

    fn check(&self, user: &str, vector: &[f32]) -> Result<()> {
        let bad = |what: String| Err(Error::BadVector { user: user.to_owned(), what });
        if user.contains('\0') {
            return bad("has a name with a NUL character, which PostgreSQL cannot hold".to_owned());
        }
        if vector.len() != self.dimension {
            return bad(format!("has {} numbers, expected {}", vector.len(), self.dimension));
        }
        // Beyond it a number of 16 bits is infinite.
        if let Some(at) = vector.iter().position(|x| !x.is_finite() || x.abs() > 65_504.0) {
            return bad(format!(
                "holds {} at {at}, expected finite numbers up to 65,504",
                vector[at]
            ));
        }
        if HalfVector::of(vector).0.iter().all(|x| x.to_f32() == 0.0) {
            return bad("has length 0, expected a direction".to_owned());
        }
        Ok(())
    }
}
