//! Downloads from the Hugging Face Hub, with its own crate and into its own cache, so that other
//! tools find the files. `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN` and the proxy
//! variables have the same meaning as there.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use hf_hub::api::sync::{Api, ApiBuilder, ApiError};
use hf_hub::{Cache, Repo, RepoType};

use crate::model::catalog::{Entry, ModelFile, hub_cache};
use crate::model::hash::{Megabytes, sha256};
use crate::model::{Error, Result};
use crate::progress::{Progress, Silent};

/// Downloads the model's files into the cache; resumes partial downloads.
pub(super) fn fetch(
    repo: &str,
    revision: &str,
    wanted: &Entry,
    progress: &dyn Progress,
) -> Result<()> {
    let Some(folder) = hub_cache::folder() else {
        return Err(Error::Source(
            "no home folder is known: say in HF_HOME where its cache is".to_owned(),
        ));
    };
    let cache = Cache::new(folder);
    let repo = Repo::with_revision(repo.to_owned(), RepoType::Model, revision.to_owned());
    let api = api(cache.clone())?;
    for file in &wanted.files {
        // The set of files is not complete, or this source would not be used, but single files may
        // already be there.
        if let Some(path) = cache.repo(repo.clone()).get(&file.name)
            && verify(&path, file).is_ok()
        {
            continue;
        }
        let path = download(&api, repo.clone(), file, progress)?;
        if let Err(error) = verify(&path, file) {
            discard(&path);
            return Err(error);
        }
    }
    Ok(())
}

fn api(cache: Cache) -> Result<Api> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let mut builder = ApiBuilder::from_cache(cache)
        .with_progress(false)
        .with_retries(3)
        .with_user_agent("idiolect", env!("CARGO_PKG_VERSION"));
    if let Some(endpoint) = variable("HF_ENDPOINT") {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/').to_owned());
    }
    if let Some(token) = variable("HF_TOKEN") {
        builder = builder.with_token(Some(token.trim().to_owned()));
    }
    builder.build().map_err(|error| explain(&error))
}

/// Counts the bytes that the crate downloads.
#[derive(Clone, Default)]
struct Count {
    done: Arc<AtomicU64>,
    total: Arc<AtomicU64>,
}

impl hf_hub::api::Progress for Count {
    fn init(&mut self, size: usize, _filename: &str) {
        self.total.store(size as u64, Ordering::Relaxed);
        // Each attempt first reports again the bytes of earlier ones.
        self.done.store(0, Ordering::Relaxed);
    }

    fn update(&mut self, size: usize) {
        self.done.fetch_add(size as u64, Ordering::Relaxed);
    }

    fn finish(&mut self) {}
}

/// Downloads one file on a separate thread, since the crate cannot be stopped and may panic. After
/// a stop, the download continues until the program ends; a later fetch resumes it.
fn download(api: &Api, repo: Repo, file: &ModelFile, progress: &dyn Progress) -> Result<PathBuf> {
    let count = Count::default();
    let (sender, receiver) = channel();
    let (api, name, counter) = (api.clone(), file.name.clone(), count.clone());
    let worker = std::thread::Builder::new().name("hub".to_owned()).spawn(move || {
        // After a stop there is no receiver.
        let _ = sender.send(api.repo(repo).download_with_progress(&name, counter));
    });
    worker.map_err(|error| Error::Source(format!("cannot start a thread: {error}")))?;
    progress.begin(&format!("downloading {} (MB)", file.name), file.size.map(Megabytes::of));
    let mut megabytes = Megabytes::new(progress);
    let mut told = 0;
    let done = loop {
        let answer = receiver.recv_timeout(Duration::from_millis(100));
        let now = count.done.load(Ordering::Relaxed);
        megabytes.advance(now.saturating_sub(told));
        told = now.max(told);
        match answer {
            Ok(Ok(path)) => break Ok(path),
            Ok(Err(error)) => break Err(explain(&error)),
            Err(RecvTimeoutError::Timeout) if progress.stop_requested() => {
                break Err(Error::Stopped);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                let text = "the download failed without a reason (an answer nobody expected)";
                break Err(Error::Source(text.to_owned()));
            }
        }
    };
    progress.end();
    done
}

fn verify(path: &Path, file: &ModelFile) -> Result<()> {
    let Some(expected) = &file.sha256 else { return Ok(()) };
    let got = sha256(path, &Silent)?;
    if got == *expected {
        return Ok(());
    }
    let remedy = "it was removed from the cache; fetch again, or from another source";
    Err(Error::wrong_hash(path.to_owned(), &got, expected, remedy))
}

/// Removes a downloaded file from the cache: its name in the snapshot and its bytes.
fn discard(path: &Path) {
    let blob = path.canonicalize();
    let _ = std::fs::remove_file(path);
    if let Ok(blob) = blob {
        let _ = std::fs::remove_file(blob);
    }
}

fn explain(error: &ApiError) -> Error {
    Error::Source(match error {
        ApiError::LockAcquisition(_) => {
            "another program is downloading the same file into the hub's cache: try again when it \
             is done"
                .to_owned()
        }
        ApiError::InvalidResume => {
            "a partial download in the hub's cache is longer than the file: \
             remove the `.part` files there and try again"
                .to_owned()
        }
        other => other.to_string(),
    })
}
