//! Metadata values.

/// A metadata value.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    F32(f32),
    F64(f64),
    String(String),
    /// An array of strings, the most frequent large array.
    Strings(Vec<String>),
    F32s(Vec<f32>),
    /// An array of whole numbers, or of truth values as 0 and 1.
    Integers(Vec<i64>),
    /// Any other array, described by type and length.
    Other(String),
}

impl Value {
    /// Returns a non-negative whole number.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(number) => Some(number),
            Self::Signed(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    /// Returns a float of either width.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn as_f32(&self) -> Option<f32> {
        match *self {
            Self::F32(number) => Some(number),
            Self::F64(number) => Some(number as f32),
            _ => None,
        }
    }

    /// Returns a boolean.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// Returns a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Returns an array of strings. An empty array of any type is accepted.
    #[must_use]
    pub fn as_strings(&self) -> Option<&[String]> {
        match self {
            Self::Strings(texts) => Some(texts),
            Self::F32s(items) if items.is_empty() => Some(&[]),
            Self::Integers(items) if items.is_empty() => Some(&[]),
            _ => None,
        }
    }

    /// Returns an array of 32-bit floats. An empty array of any type is accepted.
    #[must_use]
    pub fn as_f32s(&self) -> Option<&[f32]> {
        match self {
            Self::F32s(items) => Some(items),
            Self::Strings(items) if items.is_empty() => Some(&[]),
            Self::Integers(items) if items.is_empty() => Some(&[]),
            _ => None,
        }
    }

    /// Returns an array of whole numbers. An empty array of any type is accepted.
    #[must_use]
    pub fn as_integers(&self) -> Option<&[i64]> {
        match self {
            Self::Integers(items) => Some(items),
            Self::Strings(items) if items.is_empty() => Some(&[]),
            Self::F32s(items) if items.is_empty() => Some(&[]),
            _ => None,
        }
    }

    /// Returns the type of the value, in words for messages.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Bool(_) => "a truth value",
            Self::Unsigned(_) | Self::Signed(_) => "a whole number",
            Self::F32(_) | Self::F64(_) => "a float",
            Self::String(_) => "a string",
            Self::Strings(_) => "an array of strings",
            Self::F32s(_) => "an array of floats",
            Self::Integers(_) => "an array of whole numbers",
            Self::Other(kind) => kind,
        }
    }
}
