//! Settings of methods, as calls give them.

use std::path::PathBuf;

use idiolect_core::client::CachePolicy;
use idiolect_core::methods::MethodOptions;
use idiolect_core::task::Task;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::failure::{CallFailure, Result};

/// The task and the settings of methods. Precedence, lowest first: defaults, task, `file`, `keys`, `names`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingsArgs {
    /// Name or path of the task.
    task: String,
    /// TOML file with settings.
    file: Option<PathBuf>,
    /// Settings by key, e.g. `idiolect.lexical`.
    keys: Map<String, Value>,
    /// Settings by the last word of their key, with `_` for `-`, e.g. `lexical`.
    names: Map<String, Value>,
    /// Whether everything is computed again.
    fresh: bool,
}

impl SettingsArgs {
    /// Name or path of the task.
    pub(crate) fn task_name(&self) -> &str {
        &self.task
    }

    pub(crate) fn task(&self) -> Result<Task> {
        let task = Task::load(&self.task)?;
        task.check(&idiolect_evaluate::stages())?;
        Ok(task)
    }

    pub(crate) fn options(&self, task: &Task) -> Result<MethodOptions> {
        let mut options = MethodOptions::of(task);
        if let Some(path) = &self.file {
            let failed = |what: String| {
                CallFailure::argument(format!("settings {}: {what}", path.display()))
            };
            let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
            options.set_toml(&text).map_err(|error| failed(error.to_string()))?;
        }
        for (key, value) in &self.keys {
            options.set(key, &text_of(key, value))?;
        }
        for (name, value) in self.names.iter().filter(|(_, value)| !value.is_null()) {
            for key in keys_named(name)? {
                options.set(&key, &text_of(&key, value))?;
            }
        }
        if !options.without_dimensions.is_empty() {
            // Report a wrong key before anything is loaded.
            task.without_dimensions(&options.without_dimensions)?;
        }
        options.reuse = if self.fresh { CachePolicy::Nothing } else { CachePolicy::Stored };
        Ok(options)
    }
}

/// The keys that a keyword names: the key itself, or all keys that end in it, such as those of `form` in
/// two methods.
fn keys_named(name: &str) -> Result<Vec<String>> {
    let name = name.replace('_', "-");
    let known = MethodOptions::keys();
    if known.contains(&name) {
        return Ok(vec![name]);
    }
    let ending = format!(".{name}");
    let keys: Vec<String> = known.into_iter().filter(|key| key.ends_with(&ending)).collect();
    if keys.is_empty() {
        // The error of the library names the most similar key.
        MethodOptions::default().set(&name, "")?;
    }
    Ok(keys)
}

/// A value as text, as the command line would give it.
fn text_of(key: &str, value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let separator = if key.starts_with("tiers.") { ";" } else { "," };
            let texts: Vec<String> = values.iter().map(|value| text_of(key, value)).collect();
            texts.join(separator)
        }
        other => other.to_string(),
    }
}

/// Reads the arguments of a call.
pub(crate) fn arguments<T: DeserializeOwned>(json: &str) -> Result<T> {
    serde_json::from_str(json).map_err(|error| {
        let told = error.to_string();
        // The position is one in text that nobody wrote.
        let told = told.rsplit_once(" at line ").map_or(told.as_str(), |(told, _)| told);
        CallFailure::argument(told)
    })
}

/// The value of this name, as results name it.
pub(crate) fn named<T: DeserializeOwned>(what: &str, name: &str) -> Result<T> {
    serde_json::from_value(Value::String(name.to_owned()))
        .map_err(|error| CallFailure::argument(format!("{what}: {error}")))
}
