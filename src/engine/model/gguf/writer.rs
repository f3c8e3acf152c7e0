//! Writer of small GGUF files (version 3), for tests and tools.

use candle_core::quantized::GgmlDType;

use super::dtype;
use super::value::Value;

/// Builds a GGUF file in memory. For tests and tools only: nothing is checked, so that malformed
/// files can be made too.
///
/// ```
/// use candle_core::quantized::GgmlDType;
/// use idiolect_engine::model::gguf::{Gguf, Value, writer::Writer};
///
/// let bytes = Writer::new()
///     .value("general.architecture", Value::String("llama".into()))
///     .tensor("token_embd.weight", &[2, 4], GgmlDType::F32, &[0; 32])
///     .finish();
/// let gguf = Gguf::from_bytes(bytes, "tiny.gguf".as_ref())?;
/// assert_eq!(gguf.architecture()?, "llama");
/// # Ok::<(), idiolect_engine::model::Error>(())
/// ```
#[derive(Debug, Default, Clone)]
pub struct Writer {
    values: Vec<(String, Value)>,
    tensors: Vec<(String, Vec<usize>, u32, Vec<u8>)>,
}

impl Writer {
    /// Creates an empty file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds metadata. Whole numbers are written with 32 bits if they fit, as llama.cpp does.
    #[must_use]
    pub fn value(mut self, key: &str, value: Value) -> Self {
        self.values.push((key.to_owned(), value));
        self
    }

    /// Adds a tensor; `shape` is outermost first, `[rows, columns]`, and `bytes` are its blocks.
    #[must_use]
    pub fn tensor(self, name: &str, shape: &[usize], dtype: GgmlDType, bytes: &[u8]) -> Self {
        self.tensor_of_type(name, shape, dtype::to_number(dtype), bytes)
    }

    /// Adds a tensor of f32 values.
    #[must_use]
    pub fn tensor_f32(self, name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensor(name, shape, GgmlDType::F32, &bytes)
    }

    /// Adds a tensor with any type number, known or not.
    #[must_use]
    pub fn tensor_of_type(mut self, name: &str, shape: &[usize], kind: u32, bytes: &[u8]) -> Self {
        self.tensors.push((name.to_owned(), shape.to_vec(), kind, bytes.to_vec()));
        self
    }

    /// Returns the file's bytes.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let alignment = self
            .values
            .iter()
            .find(|(key, _)| key == "general.alignment")
            .and_then(|(_, value)| value.as_u64())
            .map_or(32, |a| (a as usize).clamp(1, 1 << 20));
        let mut out = b"GGUF".to_vec();
        put_u32(&mut out, 3);
        put_u64(&mut out, self.tensors.len());
        put_u64(&mut out, self.values.len());
        for (key, value) in &self.values {
            put_string(&mut out, key);
            put_value(&mut out, value);
        }
        let mut offset = 0usize;
        for (name, shape, kind, bytes) in &self.tensors {
            put_string(&mut out, name);
            put_u32(&mut out, shape.len() as u32);
            for length in shape.iter().rev() {
                put_u64(&mut out, *length);
            }
            put_u32(&mut out, *kind);
            put_u64(&mut out, offset);
            offset = (offset + bytes.len()).next_multiple_of(alignment);
        }
        for (_, _, _, bytes) in &self.tensors {
            out.resize(out.len().next_multiple_of(alignment), 0);
            out.extend_from_slice(bytes);
        }
        out
    }
}

fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, number: usize) {
    out.extend_from_slice(&(number as u64).to_le_bytes());
}

fn put_string(out: &mut Vec<u8>, text: &str) {
    put_u64(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Bool(truth) => {
            put_u32(out, 7);
            out.push(u8::from(*truth));
        }
        Value::Unsigned(number) => match u32::try_from(*number) {
            Ok(number) => {
                put_u32(out, 4);
                put_u32(out, number);
            }
            Err(_) => {
                put_u32(out, 10);
                out.extend_from_slice(&number.to_le_bytes());
            }
        },
        Value::Signed(number) => match i32::try_from(*number) {
            Ok(number) => {
                put_u32(out, 5);
                out.extend_from_slice(&number.to_le_bytes());
            }
            Err(_) => {
                put_u32(out, 11);
                out.extend_from_slice(&number.to_le_bytes());
            }
        },
        Value::F32(number) => {
            put_u32(out, 6);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::F64(number) => {
            put_u32(out, 12);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::String(text) => {
            put_u32(out, 8);
            put_string(out, text);
        }
        Value::Strings(texts) => {
            put_array(out, 8, texts.len());
            texts.iter().for_each(|text| put_string(out, text));
        }
        Value::F32s(numbers) => {
            put_array(out, 6, numbers.len());
            numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        }
        Value::Integers(numbers) => {
            let narrow: Option<Vec<i32>> = numbers.iter().map(|n| i32::try_from(*n).ok()).collect();
            if let Some(narrow) = narrow {
                put_array(out, 5, narrow.len());
                narrow.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
            } else {
                put_array(out, 11, numbers.len());
                numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
            }
        }
        // A value of a type without a variant is written as an empty array of booleans.
        Value::Other(_) => put_array(out, 7, 0),
    }
}

fn put_array(out: &mut Vec<u8>, kind: u32, n: usize) {
    put_u32(out, 9);
    put_u32(out, kind);
    put_u64(out, n);
}
