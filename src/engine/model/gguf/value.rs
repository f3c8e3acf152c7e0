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
    /// An array of strings, the commonest large array.
    Strings(Vec<String>),
    F32s(Vec<f32>),
    Integers(Vec<i64>),
    /// Any other array, by kind and length.
    Other(String),
}

impl Value {
    /// A whole number that is not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(number) => Some(number),
            Self::Signed(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    /// A float of either width.
    #[must_use]
    #[allow(clippy::cast_possible_truncation)]
    pub fn as_f32(&self) -> Option<f32> {
        match *self {
            Self::F32(number) => Some(number),
            Self::F64(number) => Some(number as f32),
            _ => None,
        }
    }

    /// A truth value.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(truth) => Some(truth),
            _ => None,
        }
    }

    /// A string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// An array of strings. An empty array of any kind counts.
    #[must_use]
    pub fn as_strings(&self) -> Option<&[String]> {
        match self {
            Self::Strings(texts) => Some(texts),
            Self::F32s(items) if items.is_empty() => Some(&[]),
            Self::Integers(items) if items.is_empty() => Some(&[]),
            _ => None,
        }
    }

    /// An array of 32-bit floats. An empty array of any kind counts.
    #[must_use]
    pub fn as_f32s(&self) -> Option<&[f32]> {
        match self {
            Self::F32s(items) => Some(items),
            Self::Strings(items) if items.is_empty() => Some(&[]),
            Self::Integers(items) if items.is_empty() => Some(&[]),
            _ => None,
        }
    }

    /// An array of whole numbers. An empty array of any kind counts.
    #[must_use]
    pub fn as_integers(&self) -> Option<&[i64]> {
        match self {
            Self::Integers(items) => Some(items),
            Self::Strings(items) if items.is_empty() => Some(&[]),
            Self::F32s(items) if items.is_empty() => Some(&[]),
            _ => None,
        }
    }

    /// The kind of value, as a word for messages.
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
