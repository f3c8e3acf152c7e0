//! The vectors of users as Parquet files, for vector databases and for another machine's index.

use std::fs;
use std::path::Path;

use idiolect_core::corpus::Store;
use idiolect_core::peers::{EmbeddingKind, GivenEmbeddings, PeerIndex};
use idiolect_tables::{ParquetRows, ParquetTable, TableColumn, note};
use serde_json::Value;

use crate::{Error, Result};

/// Number of users in a file.
const USERS_IN_FILE: usize = 100_000;

const ENCODER: &str = "idiolect.encoder";
const CONTENT: &str = "idiolect.reviews";
const KIND: &str = "idiolect.embedding";

/// Writes the users of an index to `folder`, which is made: files `users-0000.parquet`, ... with the columns `user`,
/// `texts` (their number), `embedding` (its kind) and `vector` (a list of 32-bit numbers, of unit length). The
/// metadata of each file has the stamp of the encoder, the hash of the reviews and the requested kind. Returns
/// the number of users.
///
/// # Errors
/// The folder has vectors already, or a file cannot be written.
pub fn export_vectors(store: &Store, index: &PeerIndex, folder: &Path) -> Result<usize> {
    let io = |operation| move |source| Error::File { operation, path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(io("create"))?;
    if fs::read_dir(folder).map_err(io("list"))?.next().is_some() {
        let full = std::io::Error::other("the folder is not empty; name another one");
        return Err(io("write vectors to")(full));
    }
    let counts = store.users(1)?;
    let counts: std::collections::HashMap<&str, u64> =
        counts.iter().map(|user| (user.user.as_str(), user.reviews)).collect();
    let manifest = index.manifest();
    let users: Vec<_> = index.users().collect();
    for (number, users) in users.chunks(USERS_IN_FILE).enumerate() {
        let texts = |user: &str| counts.get(user).and_then(|&n| i64::try_from(n).ok());
        let column = |values: Vec<Option<String>>, name| TableColumn::texts(name, values);
        let table = ParquetTable::new(vec![
            column(users.iter().map(|row| Some(row.0.to_owned())).collect(), "user"),
            TableColumn::integers("texts", users.iter().map(|row| texts(row.0)).collect()),
            column(users.iter().map(|row| Some(named(row.1))).collect(), "embedding"),
            TableColumn::vectors(
                "vector",
                manifest.dimension,
                users.iter().flat_map(|row| row.2).copied().collect(),
            ),
        ]);
        let table = table.with_note(ENCODER, &manifest.encoder_fingerprint);
        let table = table.with_note(CONTENT, &manifest.content);
        let table = table.with_note(KIND, &named(manifest.embedding));
        table.write(&folder.join(format!("users-{number:04}.parquet")))?;
    }
    Ok(users.len())
}

/// Reads vectors of users as [`export_vectors`] writes them, from a file or a folder.
///
/// # Errors
/// A file cannot be read, has no metadata of [`export_vectors`] or other metadata than the first, or a row is
/// malformed.
pub fn read_vectors(path: &Path) -> Result<GivenEmbeddings> {
    let malformed = |what: String| Error::Vectors { path: path.to_owned(), what };
    let mut parts = vec![path.to_owned()];
    if path.is_dir() {
        let io = |source| Error::File { operation: "list", path: path.to_owned(), source };
        let entries = fs::read_dir(path).map_err(io)?;
        parts = entries.map(|entry| Ok(entry.map_err(io)?.path())).collect::<Result<_>>()?;
        parts.retain(|part| part.extension().is_some_and(|ending| ending == "parquet"));
        parts.sort();
    }
    let notes = |part: &Path| -> Result<[Option<String>; 3]> {
        Ok([note(part, ENCODER)?, note(part, CONTENT)?, note(part, KIND)?])
    };
    let Some(first) = parts.first() else {
        return Err(malformed("the folder has no files named *.parquet".to_owned()));
    };
    let told = notes(first)?;
    for part in &parts[1..] {
        if notes(part)? != told {
            return Err(malformed(
                "the files were made of different stores or encoders".to_owned(),
            ));
        }
    }
    let [Some(encoder), Some(content), Some(kind)] = told else {
        return Err(malformed("the metadata names no encoder, reviews and kind".to_owned()));
    };
    let kind = kind_of(&kind).ok_or_else(|| malformed(format!("unknown kind `{kind}`")))?;
    let mut users = Vec::new();
    for part in &parts {
        for row in ParquetRows::open(part)? {
            let row = row?;
            let number = users.len() + 1;
            let row = user_of(&row).ok_or_else(|| {
                malformed(format!("row {number} has no user, embedding and vector of numbers"))
            })?;
            users.push(row);
        }
    }
    Ok(GivenEmbeddings { encoder, content, kind, users })
}

fn user_of(row: &Value) -> Option<(String, EmbeddingKind, Vec<f32>)> {
    let user = row.get("user")?.as_str()?.to_owned();
    let kind = kind_of(row.get("embedding")?.as_str()?)?;
    // They were 32-bit numbers, so that nothing is lost.
    let number = |x: &Value| Some(x.as_f64()? as f32);
    let vector = row.get("vector")?.as_array()?.iter().map(number).collect::<Option<_>>()?;
    Some((user, kind, vector))
}

fn named(kind: EmbeddingKind) -> String {
    match kind {
        EmbeddingKind::Residual => "residual",
        EmbeddingKind::PlainMean => "plain-mean",
    }
    .to_owned()
}

fn kind_of(name: &str) -> Option<EmbeddingKind> {
    [EmbeddingKind::Residual, EmbeddingKind::PlainMean]
        .into_iter()
        .find(|&kind| named(kind) == name)
}
