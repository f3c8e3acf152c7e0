//! Settings of methods by key, from text or TOML.

use serde_json::{Map, Value};

use super::MethodOptions;

/// Errors of settings that are given by key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The key does not exist.
    #[error("there is no setting `{key}`; did you mean `{nearest}`? The settings are {known}")]
    Unknown {
        /// The key that was given.
        key: String,
        /// The most similar key.
        nearest: String,
        /// All keys.
        known: String,
    },
    /// The value has the wrong type, or is out of range.
    #[error("setting `{key}`: got {got}, expected {expected}")]
    Value {
        /// The key.
        key: String,
        /// The value that was given.
        got: String,
        /// Type and range of the setting.
        expected: String,
    },
    /// The text is not TOML.
    #[error("not TOML: {0}")]
    Toml(String),
}

impl MethodOptions {
    /// Keys of all settings, e.g. `n` and `idiolect.lexical`.
    #[must_use]
    pub fn keys() -> Vec<String> {
        let mut keys = Vec::new();
        leaves(&Self::default().to_value(), "", &mut |key, _| keys.push(key));
        keys
    }

    /// Sets one setting from text: a number, `true` or `false`, a name, or a list separated by
    /// commas; instructions of tiers, which may contain commas, are separated by semicolons.
    ///
    /// # Errors
    /// [`SettingsError::Unknown`] and [`SettingsError::Value`].
    pub fn set(&mut self, key: &str, text: &str) -> Result<(), SettingsError> {
        let is_list = self.to_value().pointer(&pointer(key)).is_some_and(Value::is_array);
        let separator = if key.starts_with("tiers.") { ';' } else { ',' };
        let words = || text.split(separator).map(str::trim).filter(|word| !word.is_empty());
        let value = match serde_json::from_str::<Value>(text) {
            _ if is_list => words().collect(),
            Ok(value @ (Value::Bool(_) | Value::Number(_))) => value,
            _ => Value::from(text),
        };
        self.set_value(key, value)
    }

    /// Sets the settings that a TOML text names. Those of the method `idiolect` are in the table
    /// `idiolect`, those of sampling in the table `sampling`.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn set_toml(&mut self, text: &str) -> Result<(), SettingsError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            SettingsError::Toml(format!("line {line}: {}", error.message()))
        })?;
        let table = serde_json::to_value(table);
        let table = table.map_err(|error| SettingsError::Toml(error.to_string()))?;
        let mut given = Vec::new();
        leaves(&table, "", &mut |key, value| given.push((key, value.clone())));
        given.into_iter().try_for_each(|(key, value)| self.set_value(&key, value))
    }

    /// The settings that differ from those of `base`, as a JSON object with nested tables; empty if
    /// all are equal.
    #[must_use]
    pub fn changed_from(&self, base: &Self) -> Value {
        fn changed(value: &Value, base: &Value) -> Option<Value> {
            let (Value::Object(fields), Value::Object(bases)) = (value, base) else {
                return (value != base).then(|| value.clone());
            };
            let fields: Map<String, Value> = fields
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), changed(value, &bases[key])?)))
                .collect();
            (!fields.is_empty()).then_some(fields.into())
        }
        changed(&self.to_value(), &base.to_value()).unwrap_or_else(|| Map::new().into())
    }

    /// All settings as a JSON object with nested tables.
    #[must_use]
    pub fn to_value(&self) -> Value {
        // By way of text, which has the shortest digits of each `f32`.
        let text = serde_json::to_string(self).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn set_value(&mut self, key: &str, value: Value) -> Result<(), SettingsError> {
        let mut all = self.to_value();
        let Some(slot) = all.pointer_mut(&pointer(key)).filter(|slot| !slot.is_object()) else {
            return Err(unknown(key));
        };
        let wrong = |expected: String| {
            let got = format!("`{}`", value.as_str().map_or(value.to_string(), ToOwned::to_owned));
            SettingsError::Value { key: key.to_owned(), got, expected }
        };
        *slot = value.clone();
        let read: Self =
            serde_json::from_value(all).map_err(|error| wrong(expected(&error.to_string())))?;
        if let Some(range) = read.out_of_range(key) {
            return Err(wrong(range));
        }
        // What has no key stays as it is.
        let (history, score_limit, reuse) = (self.history.clone(), self.score_limit, self.reuse);
        *self = Self { history, score_limit, reuse, ..read };
        Ok(())
    }

    /// Describes the range of a setting if its value is outside it.
    fn out_of_range(&self, key: &str) -> Option<String> {
        const MAX_TOKENS: f64 = (1 << 20) as f64;
        let idiolect = &self.idiolect;
        let (value, min, max) = match key {
            "n" => (self.n as f64, 1.0, 1000.0),
            "k" => (self.k as f64, 1.0, 1000.0),
            "max-tokens" => (self.max_tokens? as f64, 1.0, MAX_TOKENS),
            "profile-max-tokens" => (self.profile_max_tokens? as f64, 1.0, MAX_TOKENS),
            "sampling.top-k" => (self.sampling.top_k? as f64, 0.0, 1e9),
            "idiolect.power" => (f64::from(idiolect.power?), 0.1, 10.0),
            "idiolect.prompts" => (idiolect.prompts as f64, 0.0, 8.0),
            "idiolect.expected" => (f64::from(idiolect.expected?), 0.0, f64::from(f32::MAX)),
            "idiolect.expected-prior" => (idiolect.expected_prior?, 0.001, 1e9),
            "idiolect.corpus" => (f64::from(idiolect.corpus?), 0.0, f64::from(f32::MAX)),
            "idiolect.lexical" => (f64::from(idiolect.lexical?), 0.0, f64::from(f32::MAX)),
            "idiolect.lexical-prior" => (idiolect.lexical_prior?, 1.0, 1e9),
            "idiolect.item" => (f64::from(idiolect.item?), 0.0, f64::from(f32::MAX)),
            "idiolect.phrases" => (f64::from(idiolect.phrases?), 0.0, 1.0),
            "idiolect.item-phrases" => (f64::from(idiolect.item_phrases?), 0.0, 1.0),
            "idiolect.distinct" => (f64::from(idiolect.distinct?), 0.0, 1.0),
            "idiolect.guard-words" => (idiolect.guard_words as f64, 0.0, 1000.0),
            "pad.weight" => (f64::from(self.pad.weight), 0.0, 100.0),
            "pad.k" => (self.pad.k as f64, 1.0, 100_000.0),
            "pad.outside" => (f64::from(self.pad.outside), 0.0, 1e6),
            "fermi.rounds" => (self.fermi.rounds as f64, 1.0, 100.0),
            "idiolect.best-of" => (idiolect.best_of as f64, 1.0, 1024.0),
            _ => return None,
        };
        let range = match max >= f64::from(f32::MAX) {
            true => format!("a number from {min}"),
            false => format!("a number from {min} to {max}"),
        };
        (!(min..=max).contains(&value)).then_some(range)
    }
}

/// JSON pointer of a dotted key.
fn pointer(key: &str) -> String {
    format!("/{}", key.replace('.', "/"))
}

/// Calls `each` with the dotted key and the value of every setting of a table.
fn leaves(value: &Value, prefix: &str, each: &mut impl FnMut(String, &Value)) {
    let Value::Object(fields) = value else { return each(prefix.to_owned(), value) };
    for (name, value) in fields {
        let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        leaves(value, &key, each);
    }
}

fn unknown(key: &str) -> SettingsError {
    let known = MethodOptions::keys();
    // The table may be left out by mistake.
    let distance = |known: &str| {
        let last = known.rsplit('.').next().unwrap_or(known);
        strsim::levenshtein(key, known).min(strsim::levenshtein(key, last))
    };
    let nearest = known.iter().min_by_key(|known| distance(known)).cloned().unwrap_or_default();
    SettingsError::Unknown { key: key.to_owned(), nearest, known: known.join(", ") }
}

/// The expectation of a message of serde, in plain words.
fn expected(message: &str) -> String {
    match message.rsplit_once("expected ").map_or(message, |(_, expected)| expected) {
        "usize" | "u64" => "a whole number from 0",
        "f32" | "f64" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "string or map" => "a name",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::methods::{Form, History, Statements};
    use crate::peers::Selector;
    use crate::steering::Contrast;
    use serde_json::json;

    fn with(pairs: &[(&str, &str)]) -> MethodOptions {
        let mut options = MethodOptions { history: History::None, ..MethodOptions::default() };
        pairs.iter().for_each(|(key, text)| options.set(key, text).unwrap());
        options
    }

    #[test]
    fn settings_are_set_by_key_and_shown_where_they_differ() {
        let pairs = [
            ("n", "3"),
            ("selector", "random-member"),
            ("without-dimensions", "writing, semantic"),
            ("sampling.temperature", "0.4"),
            ("idiolect.lexical", "0.8"),
            ("idiolect.form", "flat"),
            ("idiolect.fit", "true"),
            ("idiolect.contrast", "peers,b=0.3"),
            ("idiolect.statements", "none"),
        ];
        let options = with(&pairs);
        assert_eq!((options.n, options.selector), (3, Selector::RandomMember));
        assert_eq!(options.without_dimensions, ["writing", "semantic"]);
        assert_eq!(options.history, History::None, "what has no key is kept");
        assert_eq!(options.sampling.temperature, Some(0.4));
        assert_eq!((options.idiolect.lexical, options.idiolect.form), (Some(0.8), Form::Flat));
        assert!(matches!(options.idiolect.contrast, Contrast::Peers(peers) if peers.b == 0.3));
        let changed = options.changed_from(&MethodOptions::default());
        assert_eq!(changed["idiolect"]["lexical"].to_string(), "0.8");
        assert_eq!(changed["without-dimensions"], json!(["writing", "semantic"]));
        assert!(changed["k"].is_null() && changed["idiolect"]["statements"].is_null());
        assert_eq!(options.changed_from(&options), json!({}));
    }

    #[test]
    fn a_file_sets_what_its_differences_say() {
        let text = "n = 3\n[idiolect]\nlexical = 1\nstatements = \"both\"\n";
        let mut options = MethodOptions::default();
        options.set_toml(text).unwrap();
        assert_eq!((options.n, options.idiolect.lexical), (3, Some(1.0)));
        assert_eq!(options.idiolect.statements, Statements::Both);
        // What is stored in results can be read again.
        let changed = options.changed_from(&MethodOptions::default());
        let mut again = MethodOptions::default();
        again.set_toml(&toml::to_string(&changed).unwrap()).unwrap();
        assert_eq!(again, options);
        let error = options.set_toml("n = 2\nk = ").unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }

    #[test]
    fn mistakes_name_the_key_the_value_and_what_is_expected() {
        for (key, text, said) in [
            ("lexical", "1", "did you mean `idiolect.lexical`"),
            ("idiolect.lexcal", "1", "did you mean `idiolect.lexical`"),
            ("idiolect", "1", "no setting `idiolect`"),
            ("n", "many", "`n`: got `many`, expected a whole number"),
            ("n", "0", "`n`: got `0`, expected a number from 1 to 1000"),
            ("idiolect.phrases", "1.5", "`idiolect.phrases`: got `1.5`, expected a number from 0"),
            ("idiolect.lexical", "-1", "expected a number from 0"),
            ("idiolect.fit", "yes", "expected true or false"),
            ("idiolect.form", "round", "one of `conversation`, `flat`, `completion`"),
            ("idiolect.by", "taste", "`likelihood`"),
            ("selector", "best", "`kmeans`"),
            ("idiolect.contrast", "loud", "expected none, context-steering"),
            ("idiolect.contrast", "peers,c=1", "expected a=1.0, b=0.2"),
        ] {
            let mut options = MethodOptions::default();
            let error = options.set(key, text).unwrap_err().to_string();
            assert!(error.contains(said), "{key}={text}: {error}");
            assert_eq!(options, MethodOptions::default());
        }
        let error =
            MethodOptions::default().set_toml("[idiolect]\nform = 3").unwrap_err().to_string();
        assert!(error.contains("`idiolect.form`: got `3`, expected"), "{error}");
    }

    #[test]
    fn the_defaults_are_those_of_the_task_of_reviews() {
        let task = crate::task::Task::load(crate::task::Task::DEFAULT).unwrap();
        assert_eq!(MethodOptions::of(&task), MethodOptions::default());
    }
}
