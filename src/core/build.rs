//! Lists the files of the built-in tasks, `data/tasks/NAME/*.toml`, for `task::sources`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tasks = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../data/tasks");
    println!("cargo::rerun-if-changed={}", tasks.display());
    let mut names = sorted(&tasks)?;
    // The default task is listed first.
    names.sort_by_key(|folder| stem(folder) != "review");
    let mut list = String::from("&[\n");
    for folder in names.iter().filter(|path| path.is_dir()) {
        writeln!(list, "    ({:?}, &[", stem(folder))?;
        for file in sorted(folder)? {
            writeln!(list, "        ({:?}, include_str!({:?})),", stem(&file), file)?;
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
