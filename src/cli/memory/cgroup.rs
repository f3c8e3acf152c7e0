//! Memory that the control groups (cgroups, versions 1 and 2) of this process leave to it.
//!
//! A limit holds for a group and everything below it, so the smallest room on the way from the
//! process's group to the root counts. Pages of files that were not used lately are free for other
//! uses, as in `MemAvailable`; a group's usage counts them.

use std::path::{Path, PathBuf};

/// Names of a version's files, and the group's room by them.
struct MemoryFiles {
    limit: &'static str,
    usage: &'static str,
    /// Name in `memory.stat` of the bytes of file pages that were not used lately.
    inactive: &'static str,
}

const VERSION_1: MemoryFiles = MemoryFiles {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    inactive: "total_inactive_file",
};
const VERSION_2: MemoryFiles =
    MemoryFiles { limit: "memory.max", usage: "memory.current", inactive: "inactive_file" };

/// Bytes that the process may still use within its groups; `None` without a limit, and where there
/// are no groups.
pub(super) fn room() -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    room_in(&groups, Path::new("/sys/fs/cgroup"))
}

/// As [`room`], from the text of /proc/PID/cgroup and the folder where the groups are mounted.
fn room_in(groups: &str, mounted: &Path) -> Option<u64> {
    groups.lines().filter_map(|line| room_of(line, mounted)).min()
}

/// The room by one line, `ID:CONTROLLERS:PATH`; version 2 has the id 0 and names no controllers.
fn room_of(line: &str, mounted: &Path) -> Option<u64> {
    let (id, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let (files, root) = match controllers {
        "" if id == "0" => (VERSION_2, mounted.to_owned()),
        names if names.split(',').any(|name| name == "memory") => {
            (VERSION_1, mounted.join("memory"))
        }
        _ => return None,
    };
    // In a container the path may be that of the host, which is not there; the container's own group
    // is then at the root.
    let inside: PathBuf =
        path.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    let groups = inside.ancestors().map(|group| root.join(group));
    groups.filter_map(|group| files.room(&group)).min()
}

impl MemoryFiles {
    /// The room of one group; `None` if it has no limit.
    fn room(&self, group: &Path) -> Option<u64> {
        let read = |name: &str| std::fs::read_to_string(group.join(name)).ok();
        let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
        // Without a limit, version 2 says `max` and version 1 a number near 2^63.
        let limit = number(self.limit).filter(|limit| *limit < 1 << 62)?;
        let usage = number(self.usage)?;
        let stat = read("memory.stat").unwrap_or_default();
        let inactive = stat.lines().find_map(|line| {
            let (name, bytes) = line.split_once(' ')?;
            (name == self.inactive).then(|| bytes.trim().parse::<u64>().ok())?
        });
        Some(limit.saturating_sub(usage.saturating_sub(inactive.unwrap_or(0))))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// A folder with these files.
    fn mounted(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    #[test]
    fn version_2_takes_the_smallest_room_up_to_the_root() {
        let folder = mounted(&[
            ("user.slice/memory.max", "4000\n"),
            ("user.slice/memory.current", "3500\n"),
            ("user.slice/memory.stat", "anon 100\nfile 900\ninactive_file 200\nactive_file 700\n"),
            ("user.slice/app.scope/memory.max", "max\n"),
            ("user.slice/app.scope/memory.current", "1000\n"),
        ]);
        assert_eq!(room_in("0::/user.slice/app.scope\n", folder.path()), Some(700));
        assert_eq!(room_in("0::/other.slice\n", folder.path()), None);
    }

    #[test]
    fn version_1_has_the_files_of_its_own_hierarchy() {
        let folder = mounted(&[
            ("memory/docker/abc/memory.limit_in_bytes", "2000\n"),
            ("memory/docker/abc/memory.usage_in_bytes", "1500\n"),
            ("memory/docker/abc/memory.stat", "inactive_file 1\ntotal_inactive_file 300\n"),
            ("memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/memory.usage_in_bytes", "5000\n"),
        ]);
        let groups =
            "12:cpu,cpuacct:/docker/abc\n11:devices:/\n5:hugetlb,memory:/docker/abc\n0::/\n";
        assert_eq!(room_in(groups, folder.path()), Some(800));
    }

    #[test]
    fn a_container_that_sees_its_group_as_the_root_is_limited_too() {
        let folder = mounted(&[("memory.max", "1000\n"), ("memory.current", "400\n")]);
        assert_eq!(room_in("0::/\n", folder.path()), Some(600));
        assert_eq!(room_in("0::/docker/of-the-host\n", folder.path()), Some(600));
        assert_eq!(room_in("0::/../../etc\n", folder.path()), Some(600));
    }

    #[test]
    fn usage_above_the_limit_leaves_nothing_and_broken_files_are_no_limit() {
        let over = mounted(&[("memory.max", "1000"), ("memory.current", "1400")]);
        assert_eq!(room_in("0::/", over.path()), Some(0));
        let broken = mounted(&[("memory.max", "many"), ("memory.current", "1400")]);
        assert_eq!(room_in("0::/", broken.path()), None);
        let half = mounted(&[("memory.max", "1000")]);
        assert_eq!(room_in("0::/", half.path()), None);
        for groups in ["", "nonsense", "0:/", ":::", "1:memory", "0:cpu:/"] {
            assert_eq!(room_in(groups, over.path()), None, "{groups}");
        }
    }
}
