//! Paths of a model's files.

use std::path::PathBuf;

/// Files of a language model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LmFiles {
    /// Catalog name, or the file's stem if the model was given by path.
    pub name: String,
    /// The weights; of a split model, its first file.
    pub gguf: PathBuf,
    /// A `tokenizer.json` that takes precedence over the GGUF's own vocabulary.
    pub tokenizer: Option<PathBuf>,
    /// SHA-256 of the GGUF, lower-case hexadecimal; of a split model, of the hashes of its files.
    pub sha256: String,
}

/// Files of a sentence encoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncoderFiles {
    /// Catalog name, or the folder's name if the model was given by path.
    pub name: String,
    /// Folder with `config.json`, `model.safetensors`, `tokenizer.json`, `modules.json` and
    /// `1_Pooling/`.
    pub dir: PathBuf,
    /// Pooling from the catalog, for folders that do not state it.
    pub pooling: Option<Pooling>,
    /// Longest input in tokens from the catalog.
    pub max_tokens: Option<usize>,
    /// Text that the catalog puts before every input, for folders that state no prompt of their own.
    pub prompt: Option<String>,
    /// SHA-256 of the weights file, lower-case hexadecimal.
    pub sha256: String,
}

/// Method of pooling token vectors into one sentence vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Mean over the attended tokens.
    Mean,
    /// The first token's vector.
    Cls,
    /// The last attended token's vector.
    Last,
}
