//! Inputs of several files in one: each begins with a line `=== NAME`.

use std::fs;
use std::path::Path;

/// Start of a line that begins a file.
const MARK: &[u8] = b"=== ";

/// Number of files that are written at most.
const MAX_FILES: usize = 32;

/// The files of an input, with their names as given; `None` if it does not begin with a mark.
pub fn files(input: &[u8]) -> Option<Vec<(String, &[u8])>> {
    let mut rest = input.strip_prefix(MARK)?;
    let mut files = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let name = String::from_utf8_lossy(&rest[..end]).into_owned();
        rest = &rest[(end + 1).min(rest.len())..];
        let next = rest
            .windows(MARK.len() + 1)
            .position(|window| window[0] == b'\n' && &window[1..] == MARK);
        // A file may be empty: then the next mark follows at once.
        let (content, next) = match next {
            _ if rest.starts_with(MARK) => (&rest[..0], Some(&rest[MARK.len()..])),
            Some(at) => (&rest[..at], Some(&rest[at + 1 + MARK.len()..])),
            None => (rest, None),
        };
        files.push((name, content));
        match next {
            Some(next) if files.len() < MAX_FILES => rest = next,
            _ => return Some(files),
        }
    }
}

/// Writes files below a folder. Names that lead out of it, or that a folder has, are left out.
pub fn write(folder: &Path, files: &[(String, &[u8])]) {
    for (name, content) in files {
        let plain = |part: &str| {
            !part.is_empty() && part.len() < 60 && !part.starts_with('.') && !part.contains('\0')
        };
        if !name.split('/').all(plain) || name.split('/').count() > 5 {
            continue;
        }
        let path = folder.join(name);
        if let Some(parent) = path.parent()
            && fs::create_dir_all(parent).is_ok()
        {
            let _ = fs::write(path, content);
        }
    }
}
