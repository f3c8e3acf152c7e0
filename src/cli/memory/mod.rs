//! Free memory, and whether a language model fits into it.

mod cgroup;

use anyhow::bail;
use idiolect::model::LmFiles;
use idiolect::model::catalog::SMALL_LM;
use idiolect::model::gguf::split_files;

/// Refuses a model whose weights alone are larger than the free memory. KV caches come on top and
/// grow up to `--kv-budget`, so a model that passes may still not fit.
///
/// # Errors
/// One sentence that says how much memory is needed and how much is free.
pub(crate) fn check(files: &LmFiles) -> anyhow::Result<()> {
    let sizes = split_files(&files.gguf).into_iter().map(std::fs::metadata);
    let needed = sizes.map(|found| found.map_or(0, |found| found.len())).sum();
    match available() {
        Some(available) if available < needed => bail!(too_little(&files.name, needed, available)),
        _ => Ok(()),
    }
}

/// Bytes of memory that this process can still use; `None` if the system does not say.
///
/// On Linux the smaller of `MemAvailable` (/proc/meminfo) and the room in the control groups of the
/// process, versions 1 and 2. On other systems the memory that the system counts as available,
/// without limits of containers.
pub(crate) fn available() -> Option<u64> {
    let system = sysinfo::System::new_with_specifics(
        sysinfo::RefreshKind::nothing()
            .with_memory(sysinfo::MemoryRefreshKind::nothing().with_ram()),
    )
    .ok()?;
    let free = system.available_memory();
    let free = cgroup::room().map_or(free, |room| free.min(room));
    (free > 0).then_some(free)
}

fn too_little(name: &str, needed: u64, available: u64) -> String {
    let gigabytes = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
    let instead = match name {
        SMALL_LM => "end other programs".to_owned(),
        _ => format!("end other programs, or take the small model: `--lm {SMALL_LM}`"),
    };
    format!(
        "`{name}` needs at least {} of memory and {} are free: {instead}",
        gigabytes(needed),
        gigabytes(available)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_model_that_does_not_fit_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let gguf = folder.path().join("huge.gguf");
        let file = std::fs::File::create(&gguf).unwrap();
        let files = LmFiles { name: "huge".into(), gguf, tokenizer: None, sha256: String::new() };
        file.set_len(1000).unwrap();
        check(&files).unwrap();
        // A sparse file of 256 TB takes no space on the disk.
        if file.set_len(1 << 48).is_err() {
            return;
        }
        let said = check(&files).unwrap_err().to_string();
        assert!(said.contains("`huge` needs at least") && said.contains(SMALL_LM), "{said}");
        assert!(!said.contains('\n'), "{said}");
    }

    #[test]
    fn the_small_model_is_not_named_in_place_of_itself() {
        let said = too_little(SMALL_LM, 98_362_432, 5_000_000);
        assert_eq!(said.matches(SMALL_LM).count(), 1, "{said}");
        assert!(said.contains("0.1 GB") && said.contains("0.0 GB"), "{said}");
    }
}
