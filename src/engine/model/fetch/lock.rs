//! Lock that allows one fetch of a model at a time. The system releases it when the process ends,
//! in whatever way, so a lock is never stale.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::io;
use crate::model::{Error, Result};
use crate::progress::Progress;

/// Acquires the model's lock, which is held until the file is dropped. Waits while another process
/// holds it.
pub(super) fn hold(models_dir: &Path, name: &str, progress: &dyn Progress) -> Result<File> {
    let folder = models_dir.join(".locks");
    std::fs::create_dir_all(&folder).map_err(|source| io("create", &folder, source))?;
    let path = folder.join(name);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|source| io("open", &path, source))?;
    let mut waiting = false;
    let done = loop {
        match file.try_lock() {
            Ok(()) => break Ok(file),
            Err(TryLockError::Error(source)) => break Err(io("lock", &path, source)),
            Err(TryLockError::WouldBlock) => {}
        }
        if progress.stop_requested() {
            break Err(Error::Stopped);
        }
        if !waiting {
            progress.begin(&format!("waiting for another fetch of {name}"), None);
            waiting = true;
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    if waiting {
        progress.end();
    }
    done
}
