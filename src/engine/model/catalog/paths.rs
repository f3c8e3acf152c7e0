//! Models given by path.

use std::path::{Path, PathBuf};

use crate::model::gguf::split::is_later_file;
use crate::model::hash::HashMemory;
use crate::model::{EncoderFiles, Error, LmFiles, Result};
use crate::progress::Progress;

/// Returns the files of a GGUF file, or of a folder with exactly one model; of a split model,
/// `gguf` is the first file.
pub(super) fn lm(path: &Path, hashes: &HashMemory, progress: &dyn Progress) -> Result<LmFiles> {
    let gguf = if is_folder(path)? { only_gguf(path)? } else { path.to_owned() };
    Ok(LmFiles {
        name: stem(&gguf),
        tokenizer: tokenizer_beside(&gguf),
        sha256: hashes.sha256_of_model(&gguf, progress)?,
        gguf,
    })
}

/// Returns the files of a folder with `config.json`, `model.safetensors` and `tokenizer.json`.
pub(super) fn encoder(
    path: &Path,
    hashes: &HashMemory,
    progress: &dyn Progress,
) -> Result<EncoderFiles> {
    let malformed = |what: String| Error::Malformed { path: path.to_owned(), what };
    if !is_folder(path)? {
        return Err(malformed("is a file, expected the folder of a sentence encoder".to_owned()));
    }
    for name in ["config.json", "model.safetensors", "tokenizer.json"] {
        if !path.join(name).is_file() {
            return Err(malformed(format!(
                "has no {name}, expected a sentence encoder's folder with config.json, \
                 model.safetensors and tokenizer.json"
            )));
        }
    }
    // Resolves `.` and similar paths to a real name.
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = real.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let sha256 = hashes.sha256(&path.join("model.safetensors"), progress)?;
    Ok(EncoderFiles {
        name,
        dir: path.to_owned(),
        pooling: None,
        max_tokens: None,
        prompt: None,
        sha256,
    })
}

fn is_folder(path: &Path) -> Result<bool> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(source) => Err(Error::Io { operation: "open", path: path.to_owned(), source }),
    }
}

fn only_gguf(folder: &Path) -> Result<PathBuf> {
    let mut found = ggufs(folder);
    match found.len() {
        1 => Ok(found.remove(0)),
        n => Err(Error::Malformed {
            path: folder.to_owned(),
            what: format!("is a folder with {n} GGUF models, expected one: name the file itself"),
        }),
    }
}

/// Returns the GGUF files of a folder; of a split model, only the first.
fn ggufs(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = files.map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf")));
    paths.retain(|path| !is_later_file(path));
    paths
}

/// Returns `NAME.tokenizer.json` next to `NAME.gguf`, else `tokenizer.json` if there is no other
/// GGUF that it could belong to.
fn tokenizer_beside(gguf: &Path) -> Option<PathBuf> {
    let own = gguf.with_extension("tokenizer.json");
    if own.is_file() {
        return Some(own);
    }
    let folder = gguf.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let shared = folder.join("tokenizer.json");
    (shared.is_file() && ggufs(folder).len() == 1).then_some(shared)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
