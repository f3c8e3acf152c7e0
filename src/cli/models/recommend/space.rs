//! Free memory of the device, and free disk space.

use std::path::Path;

use candle_core::{Device, DeviceLocation};

use crate::cli::bench::machine::said;
use crate::cli::memory;

/// Bytes of memory that are free for a model on this device; `None` if nothing says it.
///
/// On a CUDA device the free memory of the GPU, as `nvidia-smi` reports it; on the others, the free
/// memory of the system.
pub(super) fn free_memory(device: &Device) -> Option<u64> {
    match device.location() {
        DeviceLocation::Cuda { gpu_id } => {
            let gpu = gpu_id.to_string();
            let query = ["--query-gpu=memory.free", "--format=csv,noheader,nounits", "-i", &gpu];
            mebibytes(&said("nvidia-smi", &query)?)
        }
        DeviceLocation::Cpu | DeviceLocation::Metal { .. } => memory::available(),
    }
}

/// The first line of the answer of `nvidia-smi`, a number of MiB.
fn mebibytes(answer: &str) -> Option<u64> {
    answer.lines().next()?.trim().parse::<u64>().ok()?.checked_mul(1 << 20)
}

/// Bytes that this user can still write into a folder, which need not exist; `None` if the system
/// does not say.
#[cfg(unix)]
pub(super) fn free_disk(folder: &Path) -> Option<u64> {
    let folder = std::path::absolute(folder).ok()?;
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let found = rustix::fs::statvfs(there).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

/// Bytes that this user can still write into a folder: not known on this system.
#[cfg(not(unix))]
pub(super) fn free_disk(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_answer_of_nvidia_smi_is_in_mebibytes() {
        assert_eq!(mebibytes("81037\n"), Some(81037 << 20));
        assert_eq!(mebibytes(" 5 \n7\n"), Some(5 << 20));
        for wrong in ["", "[N/A]", "-1", "99999999999999999999", "17592186044416"] {
            assert_eq!(mebibytes(wrong), None, "{wrong}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_is_not_there_yet_has_the_disk_of_its_parent() {
        let folder = tempfile::tempdir().unwrap();
        let free = free_disk(folder.path()).unwrap();
        assert!(free > 0);
        assert!(free_disk(&folder.path().join("not/there/yet")).is_some());
    }
}
