//! Reads the download cache of Hugging Face tools.
//!
//! `models--OWNER--NAME/refs/REVISION` names a commit, and `snapshots/COMMIT/` holds the files.

use std::path::{Path, PathBuf};

/// Returns the cache's folder: `HF_HUB_CACHE`, else `hub` inside `HF_HOME`, else inside the user's
/// cache folder.
pub(crate) fn folder() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(cache) = set("HF_HUB_CACHE").or_else(|| set("HUGGINGFACE_HUB_CACHE")) {
        return Some(cache);
    }
    if let Some(home) = set("HF_HOME") {
        return Some(home.join("hub"));
    }
    let cache = set("XDG_CACHE_HOME")
        .or_else(|| etcetera::home_dir().ok().map(|home| home.join(".cache")))?;
    Some(cache.join("huggingface/hub"))
}

/// A snapshot of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The folder that holds the files.
    pub(crate) folder: PathBuf,
    /// Whether it is the requested revision.
    pub(crate) is_revision: bool,
}

/// Returns the snapshots of a repository, that of `revision` first.
pub(crate) fn snapshots(cache: &Path, repo: &str, revision: &str) -> Vec<Snapshot> {
    let repository = cache.join(format!("models--{}", repo.replace('/', "--")));
    let commit = std::fs::read_to_string(repository.join("refs").join(revision))
        .map_or_else(|_| revision.to_owned(), |text| text.trim().to_owned());
    let mut found: Vec<_> = std::fs::read_dir(repository.join("snapshots"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| Snapshot {
            is_revision: entry.file_name().to_str() == Some(&commit),
            folder: entry.path(),
        })
        .collect();
    found.sort_by(|a, b| (!a.is_revision, &a.folder).cmp(&(!b.is_revision, &b.folder)));
    found
}
