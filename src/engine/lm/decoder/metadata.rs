//! Metadata of a decoder in a GGUF file: values of its architecture's keys, checked.

use super::rope::RopeScaling;
use crate::lm::{Error, Result};
use crate::model::gguf::{Gguf, Value};

/// Largest count accepted, so that a damaged file cannot cause unlimited allocations.
const MAX_COUNT: u64 = 1 << 24;

/// The keys of a file's architecture.
pub(super) struct Metadata<'a> {
    pub(super) gguf: &'a Gguf,
    pub(super) architecture: &'a str,
}

impl Metadata<'_> {
    /// The full name of a key.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.gguf.value(&self.key(name))
    }

    /// Error for metadata that contradict each other or are not supported.
    pub(super) fn contradiction(&self, what: String) -> Error {
        Error::Config { path: self.gguf.path().to_owned(), what }
    }

    /// Reads a number from 1.
    pub(super) fn count(&self, name: &str) -> Result<usize> {
        self.optional_count(name)?
            .ok_or_else(|| self.contradiction(format!("`{}` is missing", self.key(name))))
    }

    /// Reads a number from 1, if the file has the key.
    pub(super) fn optional_count(&self, name: &str) -> Result<Option<usize>> {
        match self.count_or_zero(name)? {
            Some(0) => Err(self.contradiction(format!(
                "`{}` is 0, expected a number from 1 to {MAX_COUNT}",
                self.key(name)
            ))),
            count => Ok(count),
        }
    }

    /// Reads a number from 0, if the file has the key.
    pub(super) fn count_or_zero(&self, name: &str) -> Result<Option<usize>> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match value.as_u64() {
            Some(n @ 0..=MAX_COUNT) => Ok(Some(n as usize)),
            _ => Err(self.contradiction(format!(
                "`{}` is {value:?}, expected a number from 1 to {MAX_COUNT}",
                self.key(name)
            ))),
        }
    }

    /// Reads a floating-point number.
    pub(super) fn float(&self, name: &str) -> Result<f32> {
        self.optional_float(name)?
            .ok_or_else(|| self.contradiction(format!("`{}` is missing", self.key(name))))
    }

    /// Reads a floating-point number, if the file has the key.
    pub(super) fn optional_float(&self, name: &str) -> Result<Option<f32>> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => value.as_f32().map(Some).ok_or_else(|| {
                self.contradiction(format!(
                    "`{}` is {value:?}, expected a floating-point number",
                    self.key(name)
                ))
            }),
        }
    }

    /// Reads a finite number above 0; `default` if the file does not have the key, or 0 in it.
    pub(super) fn factor(&self, name: &str, default: f32) -> Result<f32> {
        match self.optional_float(name)? {
            None => Ok(default),
            Some(0.0) => Ok(default),
            Some(factor) if factor.is_finite() && factor > 0.0 => Ok(factor),
            Some(factor) => Err(self.contradiction(format!(
                "`{}` is {factor}, expected a number above 0",
                self.key(name)
            ))),
        }
    }

    /// Reads the scaling of the rotary frequencies.
    pub(super) fn rope_scaling(&self) -> Result<RopeScaling> {
        let kind = match self.value("rope.scaling.type") {
            None => "none",
            Some(Value::String(kind)) => kind.as_str(),
            Some(other) => {
                return Err(self.contradiction(format!("rope.scaling.type is {other:?}")));
            }
        };
        let factor = self.optional_float("rope.scaling.factor")?.unwrap_or(1.0);
        if !(factor.is_finite() && factor > 0.0) {
            return Err(self.contradiction(format!("rope.scaling.factor is {factor}")));
        }
        match kind {
            // The factors of longrope are tensors.
            "none" | "longrope" => Ok(RopeScaling::None),
            "linear" => Ok(RopeScaling::Linear { factor }),
            "yarn" => Ok(RopeScaling::Yarn {
                factor,
                original_context: self.count("rope.scaling.original_context_length")?,
                fast: self.factor("rope.scaling.yarn_beta_fast", 32.0)?,
                slow: self.factor("rope.scaling.yarn_beta_slow", 1.0)?,
                log_multiplier: self.factor("rope.scaling.yarn_log_multiplier", 0.0)?,
            }),
            other => Err(self.contradiction(format!(
                "rope.scaling.type is `{other}`, expected none, linear, yarn or longrope"
            ))),
        }
    }

    /// The number of tokens, from the shape of the embedding.
    pub(super) fn vocabulary(&self) -> Result<usize> {
        let (name, expected) = ("token_embd.weight".to_owned(), "[n_vocab, n_embd]".to_owned());
        let path = self.gguf.path().to_owned();
        match self.gguf.tensor(&name).map(|tensor| tensor.shape) {
            Some(shape) if shape.len() == 2 => Ok(shape[0]),
            Some(got) => Err(Error::Shape { path, tensor: name, got, expected }),
            None => Err(Error::MissingTensor { path, tensor: name, expected }),
        }
    }
}
