//! Settings from a model folder's files: shape, pooling, normalisation, longest input.

use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::architecture::Architecture;
use super::error::Result;
use crate::model::{EncoderFiles, Error, Pooling};

/// Settings of an encoder, each from the file that is authoritative for it.
#[derive(Debug, Clone)]
pub(super) struct EncoderSettings {
    pub(super) architecture: Architecture,
    pub(super) pooling: Pooling,
    pub(super) normalise: bool,
    pub(super) max_tokens: usize,
    pub(super) lower_case: bool,
    /// Text before every input; may be empty.
    pub(super) prompt: String,
}

impl EncoderSettings {
    pub(super) fn read(files: &EncoderFiles) -> Result<Self> {
        let dir = files.dir.as_path();
        let config_path = dir.join("config.json");
        let config: serde_json::Value = parse(&config_path)?;
        let architecture =
            Architecture::from_config(&config).map_err(|what| malformed(&config_path, what))?;
        let (pooling, normalise) = pooling_and_normalisation(files)?;

        let sentence_path = dir.join("sentence_bert_config.json");
        let sentence: SentenceConfig =
            if sentence_path.exists() { parse(&sentence_path)? } else { SentenceConfig::default() };
        let positions = architecture.n_positions();
        let stated = sentence.max_seq_length.or(files.max_tokens).unwrap_or(positions);
        let max_tokens = stated.min(positions);
        // With fewer, not even one token fits between two special tokens.
        if max_tokens < 3 {
            return Err(malformed(
                &sentence_path,
                format!("the longest input is {max_tokens} tokens, expected at least 3"),
            ));
        }
        Ok(Self {
            architecture,
            pooling,
            normalise,
            max_tokens,
            lower_case: sentence.do_lower_case.unwrap_or(false),
            prompt: prompt(files)?,
        })
    }

    /// Returns all settings that determine a vector, besides weights and tokenizer.
    pub(super) fn fingerprint(&self) -> String {
        let pooling = match self.pooling {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
            Pooling::Last => "last",
        };
        let Self { architecture, normalise, max_tokens, lower_case, prompt, .. } = self;
        let network = architecture.fingerprint();
        // Without a prompt nothing is added, so that vectors of earlier versions stay valid.
        let prompt = if prompt.is_empty() { String::new() } else { format!(" prompt={prompt:?}") };
        format!(
            "{network} {pooling} normalise={normalise} {max_tokens} lower_case={lower_case}{prompt}"
        )
    }
}

#[derive(Debug, Default, Deserialize)]
struct SentenceConfig {
    max_seq_length: Option<usize>,
    do_lower_case: Option<bool>,
}

/// `config_sentence_transformers.json`: prompts by name, and the one that is put before every text
/// unless a caller names another.
#[derive(Debug, Default, Deserialize)]
struct PromptConfig {
    #[serde(default)]
    prompts: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    default_prompt_name: Option<String>,
}

/// Returns the text before every input: the folder's default prompt, as sentence-transformers takes it,
/// else the catalog's; empty if there is none.
fn prompt(files: &EncoderFiles) -> Result<String> {
    let path = files.dir.join("config_sentence_transformers.json");
    let config: PromptConfig = if path.exists() { parse(&path)? } else { PromptConfig::default() };
    let prompt = match &config.default_prompt_name {
        None => files.prompt.clone().unwrap_or_default(),
        Some(name) => config.prompts.get(name).cloned().ok_or_else(|| {
            let names: Vec<&str> = config.prompts.keys().map(String::as_str).collect();
            malformed(
                &path,
                format!("`default_prompt_name` is `{name}`, expected one of the prompts {names:?}"),
            )
        })?,
    };
    let pooling_path = files.dir.join("1_Pooling/config.json");
    if !prompt.is_empty() && pooling_path.exists() {
        let pooling: serde_json::Value = parse(&pooling_path)?;
        if pooling.get("include_prompt").and_then(serde_json::Value::as_bool) == Some(false) {
            return Err(malformed(
                &pooling_path,
                "`include_prompt` is false: pooling without the tokens of the prompt is not supported; \
                 use another encoder"
                    .to_owned(),
            ));
        }
    }
    Ok(prompt)
}

#[derive(Debug, Deserialize)]
struct Module {
    path: String,
    r#type: String,
}

/// Reads pooling and normalisation from `modules.json` and the pooling module's own `config.json`.
/// A folder without `modules.json` gets the catalog's pooling and is normalised, since every
/// catalog entry that states a pooling is a model for cosine similarity.
fn pooling_and_normalisation(files: &EncoderFiles) -> Result<(Pooling, bool)> {
    let modules_path = files.dir.join("modules.json");
    if !modules_path.exists() {
        let pooling = files.pooling.ok_or_else(|| {
            malformed(
                &modules_path,
                "missing, and the catalog states no pooling for this model; without it nobody knows \
                 how token vectors become a sentence's: add modules.json and 1_Pooling/config.json"
                    .to_owned(),
            )
        })?;
        return Ok((pooling, true));
    }
    let modules: Vec<Module> = parse(&modules_path)?;
    let mut pooling = None;
    let mut normalise = false;
    for module in &modules {
        let kind = module.r#type.rsplit('.').next().unwrap_or_default();
        match kind {
            "Transformer" => {}
            "Pooling" => pooling = Some(read_pooling(files, &module.path)?),
            "Normalize" => normalise = true,
            other => {
                return Err(malformed(
                    &modules_path,
                    format!(
                        "module `{other}` is not carried; known: Transformer, Pooling, Normalize"
                    ),
                ));
            }
        }
    }
    let pooling = pooling.or(files.pooling).ok_or_else(|| {
        malformed(&modules_path, "names no Pooling module, and the catalog states none".to_owned())
    })?;
    Ok((pooling, normalise))
}

fn read_pooling(files: &EncoderFiles, folder: &str) -> Result<Pooling> {
    let path = files.dir.join(folder).join("config.json");
    if !path.exists()
        && let Some(pooling) = files.pooling
    {
        return Ok(pooling);
    }
    let config: serde_json::Map<String, serde_json::Value> = parse(&path)?;
    // Older folders have one flag per pooling mode, newer ones a single name.
    let mut modes: Vec<&str> = config
        .iter()
        .filter(|(_, value)| value.as_bool() == Some(true))
        .filter_map(|(name, _)| name.strip_prefix("pooling_mode_"))
        .collect();
    if modes.is_empty()
        && let Some(mode) = config.get("pooling_mode").and_then(|mode| mode.as_str())
    {
        modes.push(mode);
    }
    match modes[..] {
        ["mean_tokens" | "mean"] => Ok(Pooling::Mean),
        ["cls_token" | "cls"] => Ok(Pooling::Cls),
        ["lasttoken"] => Ok(Pooling::Last),
        _ => Err(malformed(
            &path,
            format!("pooling modes are {modes:?}, expected one of mean, cls, lasttoken"),
        )),
    }
}

/// Reads a whole file.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|source| Error::Io { operation: "read", path: path.to_owned(), source }.into())
}

/// Returns the SHA-256 in lower-case hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// Error for a malformed file; `what` says what was found, what was expected and what to do.
pub(super) fn malformed(path: &Path, what: String) -> super::error::Error {
    Error::Malformed { path: path.to_owned(), what }.into()
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    serde_json::from_slice(&read_file(path)?)
        .map_err(|error| malformed(path, format!("not the JSON expected: {error}")))
}
