//! Reader of GGUF files: metadata and tensors, every length checked against the file.
//!
//! Versions 2 and 3 in little-endian order. The header is read whole when the file is opened, and
//! whatever it promises is checked then: afterwards a tensor's bytes are a plain slice. Weights
//! stay in the mapped file until they are asked for.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};

use super::mmap::Bytes;
use super::{Error, Result};

mod dtype;
mod header;
mod reader;
#[cfg(test)]
mod tests;
mod value;
pub mod writer;

pub use dtype::type_name;
pub use value::Value;

/// An opened GGUF file.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    bytes: Bytes,
    values: HashMap<String, Value>,
    keys: Vec<String>,
    tensors: Vec<header::TensorInfo>,
    by_name: HashMap<String, usize>,
}

/// A tensor's bytes where they lie.
#[derive(Debug, Clone)]
pub struct TensorView<'a> {
    /// Row-major shape, outermost first (the reverse of the order in the file): `[rows, columns]`.
    pub shape: Vec<usize>,
    /// Block format.
    pub dtype: GgmlDType,
    /// The blocks.
    pub data: &'a [u8],
}

impl Gguf {
    /// Maps the file and reads its header. The weights are not read yet.
    pub fn open(path: &Path) -> Result<Self> {
        Self::parse(Bytes::map(path)?, path)
    }

    /// Reads a header and tensors that already lie in memory. `path` is for messages.
    pub fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self> {
        Self::parse(Bytes::Owned(bytes), path)
    }

    /// The file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// `general.architecture`.
    pub fn architecture(&self) -> Result<&str> {
        self.string("general.architecture")
    }

    /// Metadata keys, in file order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }

    /// A metadata value, if the file has the key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// A whole number. Missing, of another kind or negative is an error that names the key.
    pub fn u64(&self, key: &str) -> Result<u64> {
        self.typed(key, "a whole number from 0", Value::as_u64)
    }

    /// A float. Missing or of another kind is an error that names the key.
    pub fn f32(&self, key: &str) -> Result<f32> {
        self.typed(key, "a float", Value::as_f32)
    }

    /// A string. Missing or of another kind is an error that names the key.
    pub fn string(&self, key: &str) -> Result<&str> {
        self.typed(key, "a string", Value::as_str)
    }

    /// An array of strings. Missing or of another kind is an error that names the key.
    pub fn strings(&self, key: &str) -> Result<&[String]> {
        self.typed(key, "an array of strings", Value::as_strings)
    }

    /// An array of whole numbers. Missing or of another kind is an error that names the key.
    pub fn integers(&self, key: &str) -> Result<&[i64]> {
        self.typed(key, "an array of whole numbers", Value::as_integers)
    }

    /// An array of floats. Missing or of another kind is an error that names the key.
    pub fn f32s(&self, key: &str) -> Result<&[f32]> {
        self.typed(key, "an array of floats", Value::as_f32s)
    }

    /// Names of the tensors, in file order.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|tensor| tensor.name.as_str())
    }

    /// A tensor's bytes where they lie, if the file has it.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let tensor = &self.tensors[*self.by_name.get(name)?];
        Some(TensorView {
            shape: tensor.shape.clone(),
            dtype: tensor.dtype,
            data: &self.bytes[tensor.start..tensor.start + tensor.size],
        })
    }

    /// The tensor as candle's quantized tensor on `device`, its blocks copied.
    pub fn qtensor(&self, name: &str, device: &Device) -> Result<QTensor> {
        let Some(view) = self.tensor(name) else {
            return Err(self.malformed(format!("has no tensor `{name}`")));
        };
        self.bytes.check()?;
        with_aligned(view.data, |data| QStorage::from_data(data.into(), device, view.dtype))
            .and_then(|storage| QTensor::new(storage, view.shape))
            .map_err(|error| self.malformed(format!("tensor `{name}`: {error}")))
    }

    fn parse(bytes: Bytes, path: &Path) -> Result<Self> {
        let header = header::parse(&bytes)
            .map_err(|what| Error::Malformed { path: path.to_owned(), what })?;
        let by_name = header
            .tensors
            .iter()
            .enumerate()
            .map(|(index, tensor)| (tensor.name.clone(), index))
            .collect();
        Ok(Self {
            path: path.to_owned(),
            bytes,
            values: header.values,
            keys: header.keys,
            tensors: header.tensors,
            by_name,
        })
    }

    fn typed<'a, T>(
        &'a self,
        key: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T> {
        let Some(value) = self.values.get(key) else {
            return Err(self.malformed(format!("has no metadata `{key}`, expected {expected}")));
        };
        read(value).ok_or_else(|| {
            self.malformed(format!("metadata `{key}` is {}, expected {expected}", value.kind()))
        })
    }

    fn malformed(&self, what: String) -> Error {
        Error::Malformed { path: self.path.clone(), what }
    }
}

/// Hands over blocks at an address that any block type accepts; copied where the file's alignment is
/// too small.
fn with_aligned<T>(data: &[u8], take: impl FnOnce(&[u8]) -> T) -> T {
    // The strictest alignment of a block type is that of f32.
    const ALIGNMENT: usize = align_of::<f32>();
    if data.as_ptr().align_offset(ALIGNMENT) == 0 {
        return take(data);
    }
    let mut copy = vec![0u8; data.len() + ALIGNMENT];
    let skip = copy.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
    let blocks = &mut copy[skip..skip + data.len()];
    blocks.copy_from_slice(data);
    take(blocks)
}
