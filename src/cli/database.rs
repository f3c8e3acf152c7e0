//! `--peers`: vectors of users in a PostgreSQL database.

use anyhow::bail;
use idiolect::model::fetch::Network;
use idiolect::peers::{IndexManifest, PeerIndex};
use idiolect::pgvector::{DatabaseOptions, UserDatabase, VectorStamp};
use idiolect::progress::{Progress as _, ProgressStage};

use super::context::Context;

/// Number of users that are written in one transaction.
const BATCH: usize = 10_000;

/// The database.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct DatabaseArgs {
    /// PostgreSQL database with pgvector that has the vectors of users: postgres://USER@HOST/DATABASE. The
    /// connection is not encrypted: use a socket, the loopback or a tunnel
    #[arg(long, env = "IDIOLECT_PEERS", value_name = "ADDRESS", hide_env_values = true)]
    peers: Option<String>,
}

/// JSON object of what was written.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct WrittenJson {
    /// Users that are new there or have another vector.
    written: u64,
    /// Users who were there and are not in the index.
    deleted: u64,
    /// Users there.
    users: u64,
}

impl WrittenJson {
    pub(super) fn in_words(&self) -> String {
        let Self { written, deleted, users } = self;
        format!("{users} users in the database, {written} written and {deleted} deleted now")
    }
}

impl DatabaseArgs {
    /// The address, if one was given.
    fn address(&self, context: &Context) -> anyhow::Result<Option<&str>> {
        if self.peers.is_some() && matches!(context.network(), Network::Forbidden) {
            bail!("--peers: --offline (or IDIOLECT_OFFLINE) forbids connections");
        }
        Ok(self.peers.as_deref())
    }

    /// Writes the users of an index to the database, if one was given, and deletes all others there.
    pub(super) fn write(
        &self,
        index: &PeerIndex,
        partitions: usize,
        context: &Context,
    ) -> anyhow::Result<Option<WrittenJson>> {
        let Some(address) = self.address(context)? else { return Ok(None) };
        let options = DatabaseOptions { partitions, ..DatabaseOptions::default() };
        let mut database = UserDatabase::create(address, &stamp(index.manifest()), &options)?;
        let users: Vec<(&str, &[f32])> =
            index.users().map(|(user, _, vector)| (user, vector)).collect();
        let n_users = users.len() as u64;
        let stage = ProgressStage::begin(context, "writing to the database", Some(n_users));
        let mut written = 0;
        for batch in users.chunks(BATCH) {
            if context.stop_requested() {
                bail!("stopped; users that were written stay in the database");
            }
            written += database.upsert(batch)?;
            stage.advance(batch.len() as u64);
        }
        let names: Vec<&str> = users.iter().map(|(user, _)| *user).collect();
        let deleted = database.keep_only(&names)?;
        drop(stage);
        let _stage = ProgressStage::begin(context, "linking users in the database", None);
        database.index()?;
        Ok(Some(WrittenJson { written, deleted, users: database.len()? }))
    }

    pub(super) fn is_given(&self) -> bool {
        self.peers.is_some()
    }

    /// Opens the database; its vectors must be of the same kind as those of the index with this manifest.
    pub(super) fn open(
        &self,
        manifest: &IndexManifest,
        candidates: usize,
        context: &Context,
    ) -> anyhow::Result<UserDatabase> {
        let Some(address) = self.address(context)? else { bail!("--peers: no database was given") };
        let options = DatabaseOptions { candidates, ..DatabaseOptions::default() };
        Ok(UserDatabase::open(address, &stamp(manifest), &options)?)
    }

    /// Deletes a user from the database, if one was given; whether the user was there.
    pub(super) fn delete(&self, user: &str, context: &Context) -> anyhow::Result<Option<bool>> {
        let Some(address) = self.address(context)? else { return Ok(None) };
        Ok(Some(UserDatabase::delete(address, user)?))
    }
}

/// The stamp of the vectors of an index.
fn stamp(manifest: &IndexManifest) -> VectorStamp {
    let kind = serde_json::to_value(manifest.embedding).unwrap_or_default();
    VectorStamp {
        made_by: format!("{} {}", manifest.encoder_fingerprint, kind.as_str().unwrap_or_default()),
        dimension: manifest.dimension,
    }
}
