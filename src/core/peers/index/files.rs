//! The index on disk.
//!
//! ```text
//! STORE.index/facts.json        what it was made from; names the folder of this generation
//! STORE.index/<generation>/     users.json, embeddings.f32, and graph.bin of an index with a graph
//! STORE.index/lock              held while an index is made
//! ```
//!
//! A generation is completely written and synced to disk before a rename replaces `facts.json`. At
//! any moment the index is therefore either the old or the new one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::graph::VectorGraph;
use super::{
    EmbeddingKind, Embeddings, Error, IndexKind, IndexedUser, PeerIndex, Result, index_folder,
};
use crate::corpus::{Store, remove_overwritten};
use idiolect_engine::model::MappedFloats;

/// Version of the file format; incremented with every change.
pub(super) const FORMAT: u32 = 2;

const MANIFEST: &str = "facts.json";
const USERS: &str = "users.json";
const EMBEDDINGS: &str = "embeddings.f32";
const GRAPH: &str = "graph.bin";
/// Bytes of embeddings above which they are not read when an index is opened, and their hash is not
/// checked; `doctor` checks it.
const MAPPED_FROM: u64 = 64 << 20;
const LOCK: &str = "lock";

/// Metadata of an index: its inputs and its files.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct IndexManifest {
    /// Version of the file format.
    pub format: u32,
    /// Hash of all inputs of the index.
    #[serde(rename = "stamp")]
    pub fingerprint: String,
    /// Name of the encoder.
    pub encoder: String,
    /// Fingerprint of the encoder.
    #[serde(rename = "encoder_stamp")]
    pub encoder_fingerprint: String,
    /// Dimension of the embeddings.
    pub dimension: usize,
    /// Requested kind of the embeddings; single users may have the fallback.
    pub embedding: EmbeddingKind,
    /// Method of finding neighbours.
    pub index: IndexKind,
    /// Number of reviews in the store.
    pub reviews: usize,
    /// Hash of the ids of these reviews.
    pub content: String,
    /// Number of users with an embedding.
    pub users: usize,
    /// Name of the folder of this generation.
    pub generation: String,
    /// SHA-256 of each file, by file name.
    pub files: BTreeMap<String, String>,
}

/// Returns the folder of the store's index. Error for a store in memory.
pub(super) fn folder_of(store: &Store) -> Result<PathBuf> {
    if store.path() == Path::new(":memory:") {
        return Err(Error::NoFolder);
    }
    Ok(index_folder(store.path()))
}

/// Reads the metadata of the index.
pub(super) fn read_manifest(folder: &Path) -> Result<IndexManifest> {
    let path = folder.join(MANIFEST);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NoIndex { path: folder.to_owned() });
        }
        Err(source) => return Err(Error::Io { operation: "read", path, source }),
    };
    let damaged = |what: String| Error::IndexDamaged { path: path.clone(), what };
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
    let format = value.get("format").and_then(serde_json::Value::as_u64);
    if format != Some(u64::from(FORMAT)) {
        return Err(Error::IndexMismatch {
            path: folder.to_owned(),
            what: "format",
            got: format.map_or_else(|| "not told".to_owned(), |format| format.to_string()),
            expected: FORMAT.to_string(),
        });
    }
    serde_json::from_value(value).map_err(|error| damaged(error.to_string()))
}

/// Reads the files that `manifest` names; checks the hash of each file first.
pub(super) fn read_index(folder: &Path, manifest: IndexManifest) -> Result<PeerIndex> {
    let generation = folder.join(&manifest.generation);
    let users_json = read_checked(&generation, USERS, &manifest)?;
    let damaged =
        |name: &str, what: String| Error::IndexDamaged { path: generation.join(name), what };
    let users: Vec<IndexedUser> =
        serde_json::from_slice(&users_json).map_err(|e| damaged(USERS, e.to_string()))?;
    let embeddings = read_embeddings(&generation, &manifest)?;
    let expected = manifest.users * manifest.dimension;
    if users.len() != manifest.users || embeddings.len() != expected {
        let what = format!(
            "holds {} numbers for {} users, expected {expected} for {}",
            embeddings.len(),
            users.len(),
            manifest.users
        );
        return Err(damaged(EMBEDDINGS, what));
    }
    let graph = match manifest.index {
        IndexKind::Exact => None,
        IndexKind::Hnsw => {
            let bytes = read_checked(&generation, GRAPH, &manifest)?;
            let graph = VectorGraph::from_bytes(&bytes).map_err(|what| damaged(GRAPH, what))?;
            if graph.len() != manifest.users {
                let what = format!("links {} users, expected {}", graph.len(), manifest.users);
                return Err(damaged(GRAPH, what));
            }
            Some(graph)
        }
    };
    Ok(PeerIndex { manifest, users, embeddings, graph })
}

/// Reads the embeddings, or maps them if there are many.
fn read_embeddings(generation: &Path, manifest: &IndexManifest) -> Result<Embeddings> {
    let path = generation.join(EMBEDDINGS);
    let damaged = |what: String| Error::IndexDamaged { path: path.clone(), what };
    let size = fs::metadata(&path).map_err(|error| damaged(error.to_string()))?.len();
    if size >= MAPPED_FROM {
        let mapped = MappedFloats::open(&path).map_err(|error| damaged(error.to_string()))?;
        return Ok(Embeddings::Mapped(mapped));
    }
    let bytes = read_checked(generation, EMBEDDINGS, manifest)?;
    let (numbers, rest) = bytes.as_chunks::<4>();
    match rest {
        [] => Ok(Embeddings::Owned(numbers.iter().map(|b| f32::from_le_bytes(*b)).collect())),
        _ => Err(damaged(format!("has {} bytes, expected a multiple of 4", bytes.len()))),
    }
}

/// Reads every file of the store's index and checks its hash, also of files that are otherwise mapped.
/// Returns its metadata; `None` if the store has no index.
///
/// # Errors
/// [`Error::IndexDamaged`]; [`Error::IndexMismatch`] if it is of another version of this program.
pub fn check_index(store: &Store) -> Result<Option<IndexManifest>> {
    let found = folder_of(store).and_then(|folder| Ok((read_manifest(&folder)?, folder)));
    let (manifest, folder) = match found {
        Err(Error::NoIndex { .. } | Error::NoFolder) => return Ok(None),
        found => found?,
    };
    let generation = folder.join(&manifest.generation);
    for name in manifest.files.keys() {
        read_checked(&generation, name, &manifest)?;
    }
    Ok(Some(manifest))
}

fn read_checked(generation: &Path, name: &str, manifest: &IndexManifest) -> Result<Vec<u8>> {
    let path = generation.join(name);
    let damaged = |what: String| Error::IndexDamaged { path: path.clone(), what };
    let bytes = fs::read(&path).map_err(|error| damaged(error.to_string()))?;
    let got = sha256(&bytes);
    match manifest.files.get(name) {
        Some(expected) if *expected == got => Ok(bytes),
        Some(expected) => Err(damaged(format!("SHA-256 is {got}, expected {expected}"))),
        None => Err(damaged(format!("{MANIFEST} does not name it"))),
    }
}

/// Lock that prevents other processes from building an index in the same folder, until dropped.
pub(super) struct Lock(#[allow(dead_code)] File);

/// Creates the folder and takes its lock.
pub(super) fn lock(folder: &Path) -> Result<Lock> {
    fs::create_dir_all(folder).map_err(io("create", folder))?;
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(fs::TryLockError::WouldBlock) => Err(Error::Busy { path: folder.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(Error::Io { operation: "lock", path, source }),
    }
}

/// Writes a new generation and makes it the current index. The caller holds the lock.
pub(super) fn write_index(folder: &Path, index: &mut PeerIndex) -> Result<()> {
    let generation = free_name(folder, &index.manifest.fingerprint);
    let path = folder.join(&generation);
    fs::create_dir(&path).map_err(|error| match error.kind() {
        // A user was forgotten, and the index with them.
        std::io::ErrorKind::NotFound => Error::ChangedMeanwhile { path: folder.to_owned() },
        _ => io("create", &path)(error),
    })?;
    let users = serde_json::to_vec(&index.users)
        .map_err(|error| io("write", &path)(std::io::Error::other(error)))?;
    let embeddings: Vec<u8> = index.embeddings.iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut files = BTreeMap::new();
    let graph = index.graph.as_ref().map(|graph| (GRAPH, graph.to_bytes()));
    for (name, bytes) in [(USERS, users), (EMBEDDINGS, embeddings)].into_iter().chain(graph) {
        write_durably(&path.join(name), &bytes)?;
        files.insert(name.to_owned(), sha256(&bytes));
    }
    sync_folder(&path)?;
    index.manifest.generation.clone_from(&generation);
    index.manifest.files = files;
    let manifest = serde_json::to_vec_pretty(&index.manifest)
        .map_err(|error| io("write", folder)(std::io::Error::other(error)))?;
    let fresh = folder.join("facts.json.new");
    write_durably(&fresh, &manifest)?;
    let target = folder.join(MANIFEST);
    fs::rename(&fresh, &target).map_err(io("replace", &target))?;
    sync_folder(folder)?;
    remove_others(folder, &generation)
}

/// Returns an unused name for a generation folder: an earlier folder with the same fingerprint may
/// be damaged.
fn free_name(folder: &Path, fingerprint: &str) -> String {
    let short = fingerprint.get(..16).unwrap_or(fingerprint);
    let mut name = short.to_owned();
    let mut n = 1;
    while folder.join(&name).exists() {
        n += 1;
        name = format!("{short}-{n}");
    }
    name
}

/// Removes all generations except the current one, including incomplete ones.
fn remove_others(folder: &Path, current: &str) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(io("list", folder))? {
        let entry = entry.map_err(io("list", folder))?;
        let path = entry.path();
        if path.is_dir() && entry.file_name() != current {
            fs::remove_dir_all(&path).map_err(io("remove", &path))?;
        }
    }
    Ok(())
}

/// Removes the store's index; its files are overwritten with zeros first, since they name users and
/// hold their embeddings. Returns whether there was one.
///
/// # Errors
/// A file cannot be overwritten or removed.
pub fn remove_index(store: &Store) -> Result<bool> {
    let folder = match folder_of(store) {
        Err(Error::NoFolder) => return Ok(false),
        folder => folder?,
    };
    match folder.is_dir() {
        true => Ok(remove_overwritten(&folder).map(|()| true)?),
        false => Ok(false),
    }
}

fn write_durably(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = File::create(path).map_err(io("create", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io("write", path))
}

fn sync_folder(path: &Path) -> Result<()> {
    // Only Unix can open a folder; elsewhere the durability of a rename depends on the system.
    if cfg!(unix) {
        File::open(path).and_then(|folder| folder.sync_all()).map_err(io("sync", path))?;
    }
    Ok(())
}

fn io(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { operation, path, source }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}
