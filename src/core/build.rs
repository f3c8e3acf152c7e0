//! Lists the files of the built-in tasks, `data/tasks/NAME/*.toml`, for `task::sources`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The folder of the tasks, from the crate's.
const TASKS: &str = "../../data/tasks";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tasks = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join(TASKS);
    println!("cargo::rerun-if-changed={}", tasks.display());
    let mut names = sorted(&tasks)?;
    // The default task is listed first.
    names.sort_by_key(|folder| stem(folder) != "review");
    let mut list = String::from("&[\n");
    for folder in names.iter().filter(|path| path.is_dir()) {
        writeln!(list, "    ({:?}, &[", stem(folder))?;
        for file in sorted(folder)? {
            // The list names no folder of this machine, so that two builds have the same bytes.
            let file = format!("/{TASKS}/{}/{}", stem(folder), name(&file));
            let path = format!("concat!(env!(\"CARGO_MANIFEST_DIR\"), {file:?})");
            writeln!(list, "        ({:?}, include_str!({path})),", stem(Path::new(&file)))?;
        }
        writeln!(list, "    ]),")?;
    }
    list.push(']');
    fs::write(Path::new(&env::var("OUT_DIR")?).join("tasks.rs"), list)?;
    Ok(())
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = entries.collect::<io::Result<Vec<PathBuf>>>()?;
    paths.sort();
    Ok(paths)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
