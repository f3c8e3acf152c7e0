//! Catalog of known models; resolves names and paths to files.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::hash::HashMemory;
use super::{EncoderFiles, Error, LmFiles, Result};
use crate::progress::{Progress, Silent};
use etcetera::BaseStrategy as _;

mod builtin;
mod entry;
pub(crate) mod hub_cache;
mod locate;
mod paths;
pub(crate) mod record;
mod shape;
#[cfg(test)]
mod tests;

pub use super::ModelKind;
pub(crate) use entry::of_part;
pub use entry::{Entry, ModelFile, ModelSource, PackagePart};
pub use locate::{FolderKind, Located};
pub use shape::ModelShape;

/// Catalog of the models known by name: those embedded in the program, those of the user's
/// configuration (`idiolect/models/*.toml`), and those of the models folder (`*.toml`). A later
/// entry replaces an earlier one of the same name.
#[derive(Debug, Clone)]
pub struct Catalog {
    entries: BTreeMap<String, Entry>,
    models_dir: PathBuf,
    hub_cache: Option<PathBuf>,
    hashes: HashMemory,
}

/// Name of the default language model.
pub const DEFAULT_LM: &str = "qwen2.5-coder-1.5b-instruct";
/// Name of the language model for tests and small machines.
pub const SMALL_LM: &str = "smollm2-135m-instruct";
/// Name of the default sentence encoder.
pub const DEFAULT_ENCODER: &str = "all-minilm-l6-v2";

/// Returns the default models folder: `IDIOLECT_MODELS`, else `idiolect/models` in the user's data
/// folder.
pub fn default_models_dir() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("IDIOLECT_MODELS").filter(|value| !value.is_empty()) {
        return Ok(folder.into());
    }
    match etcetera::choose_base_strategy() {
        Ok(folders) => Ok(folders.data_dir().join("idiolect/models")),
        Err(_) => Err(Error::Source(
            "no home folder is known: say with `--models-dir` where models are".to_owned(),
        )),
    }
}

impl Catalog {
    /// Reads all entries. The folder need not exist.
    pub fn load(models_dir: &Path) -> Result<Self> {
        let mut entries = BTreeMap::new();
        for (origin, text) in builtin::ENTRIES {
            let entry = Entry::parse(text, origin, None)?;
            entries.insert(entry.name.clone(), entry);
        }
        let configured = etcetera::choose_base_strategy().ok();
        let configured = configured.map(|folders| folders.config_dir().join("idiolect/models"));
        for folder in configured.iter().map(PathBuf::as_path).chain([models_dir]) {
            for entry in entries_of(folder)? {
                entries.insert(entry.name.clone(), entry);
            }
        }
        Ok(Self {
            entries,
            models_dir: models_dir.to_owned(),
            hub_cache: hub_cache::folder(),
            hashes: HashMemory::in_folder(models_dir),
        })
    }

    /// Returns all entries, sorted by name.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Returns the folder of fetched models.
    #[must_use]
    pub fn models_dir(&self) -> &Path {
        &self.models_dir
    }

    /// Returns the entry of this name. The error for an unknown name suggests similar ones.
    pub fn entry(&self, name: &str) -> Result<&Entry> {
        self.entries.get(name).ok_or_else(|| Error::Unknown {
            name: name.to_owned(),
            near: near(name, self.entries.keys()),
        })
    }

    /// Returns the files of a language model, given its catalog name, the path of a GGUF file (the
    /// first, if the model is split into several), or the path of a folder with exactly one model.
    pub fn lm(&self, name_or_path: impl AsRef<OsStr>) -> Result<LmFiles> {
        self.lm_with(name_or_path, &Silent)
    }

    /// Like [`Catalog::lm`]; reports to `progress` if a large file must be hashed.
    pub fn lm_with(
        &self,
        name_or_path: impl AsRef<OsStr>,
        progress: &dyn Progress,
    ) -> Result<LmFiles> {
        let Some(name) = self.name_of(name_or_path.as_ref()) else {
            return paths::lm(Path::new(name_or_path.as_ref()), &self.hashes, progress);
        };
        let (entry, located) = self.fetched(name, ModelKind::Lm, progress)?;
        // The check of entries guarantees a first file.
        let gguf = located.file(&entry.files[0]);
        let sha256 = self.hashes.sha256_of_model(&gguf, progress)?;
        let tokenizer = entry.files.iter().find(|file| file.name.ends_with("tokenizer.json"));
        Ok(LmFiles {
            name: entry.name.clone(),
            gguf,
            tokenizer: tokenizer.map(|file| located.file(file)),
            sha256,
        })
    }

    /// Returns the files of a sentence encoder, given its catalog name or the path of a folder.
    pub fn encoder(&self, name_or_path: impl AsRef<OsStr>) -> Result<EncoderFiles> {
        self.encoder_with(name_or_path, &Silent)
    }

    /// Like [`Catalog::encoder`]; reports to `progress` if a large file must be hashed.
    pub fn encoder_with(
        &self,
        name_or_path: impl AsRef<OsStr>,
        progress: &dyn Progress,
    ) -> Result<EncoderFiles> {
        let Some(name) = self.name_of(name_or_path.as_ref()) else {
            return paths::encoder(Path::new(name_or_path.as_ref()), &self.hashes, progress);
        };
        let (entry, located) = self.fetched(name, ModelKind::Encoder, progress)?;
        let weights = located.folder.join("model.safetensors");
        Ok(EncoderFiles {
            name: entry.name.clone(),
            sha256: self.hashes.sha256(&weights, progress)?,
            dir: located.folder,
            pooling: entry.pooling,
            prompt: entry.prompt.clone(),
            max_tokens: entry.max_tokens,
        })
    }

    /// Stores the SHA-256 of a file that was hashed while it was written.
    pub(crate) fn remember_sha256(&self, path: &Path, sha256: &str) -> Result<()> {
        self.hashes.learn(path, sha256)
    }

    /// Returns the SHA-256 of a file, cached by size and modification time.
    pub(crate) fn sha256(&self, path: &Path, progress: &dyn Progress) -> Result<String> {
        self.hashes.sha256(path, progress)
    }

    fn fetched(
        &self,
        name: &str,
        expected: ModelKind,
        progress: &dyn Progress,
    ) -> Result<(&Entry, Located)> {
        let entry = self.entry(name)?;
        if entry.kind != expected {
            return Err(Error::WrongKind { name: name.to_owned(), got: entry.kind, expected });
        }
        match self.locate(entry, progress)? {
            Some(located) => Ok((entry, located)),
            None => Err(Error::NotFetched {
                name: name.to_owned(),
                size: entry
                    .size()
                    .map_or_else(String::new, |size| format!(" ({} MB)", size.div_ceil(1_000_000))),
                instead: if name == DEFAULT_LM {
                    format!(", or take the small model: `--lm {SMALL_LM}`")
                } else {
                    String::new()
                },
            }),
        }
    }

    /// The name that `text` is, or `None` if it is a path. A catalog name is never a path (`./name` is).
    /// Any other text is a path if it has a path separator, ends in `.gguf`, exists as a file, or is not
    /// UTF-8, which no name is.
    fn name_of<'t>(&self, text: &'t OsStr) -> Option<&'t str> {
        let name = text.to_str()?;
        if self.entries.contains_key(name) {
            return Some(name);
        }
        let is_path = name.contains(std::path::is_separator)
            || Path::new(name).extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"))
            || Path::new(name).exists();
        (!is_path).then_some(name)
    }
}

fn entries_of(folder: &Path) -> Result<Vec<Entry>> {
    let Ok(files) = std::fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut paths: Vec<_> = files.flatten().map(|file| file.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
            operation: "read",
            path: path.clone(),
            source,
        })?;
        Entry::parse(&text, &path.display().to_string(), Some(folder))
    };
    paths.iter().map(read).collect()
}

/// Returns up to three similar names (few edits away, or one contains the other), as the end of a
/// sentence.
fn near<'a>(name: &str, known: impl Iterator<Item = &'a String>) -> String {
    let name = name.to_lowercase();
    let mut scored: Vec<(usize, &str)> = known
        .filter_map(|known| {
            let distance = strsim::levenshtein(&name, known);
            let holds = name.len() > 2 && (known.contains(&name) || name.contains(known.as_str()));
            (holds || distance <= known.len() / 3).then_some((distance, known.as_str()))
        })
        .collect();
    scored.sort_unstable();
    let names: Vec<_> = scored.iter().take(3).map(|(_, known)| format!("`{known}`")).collect();
    if names.is_empty() { String::new() } else { format!(", did you mean {}", names.join(" or ")) }
}
