//! Reader of GGUF files: metadata and tensors, every length checked against the file.
//!
//! Supports versions 2 and 3 in little-endian byte order. The whole header is read and checked when
//! the file is opened; afterwards a tensor's bytes are a plain slice. Weights stay in the mapped
//! file until they are used.

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use candle_core::Device;
use candle_core::quantized::{GgmlDType, QStorage, QTensor};

use super::mmap::FileBytes;
use super::{Error, Result};
use split::SplitName;

mod dtype;
mod header;
mod reader;
pub(crate) mod split;
#[cfg(test)]
mod tests;
mod value;
pub mod writer;

pub use dtype::type_name;
pub use split::split_files;
pub use value::Value;

/// Maximum number of files of a split model, for five digits in a file name.
const MAX_FILES: usize = 99_999;

/// An opened GGUF file, or all files of a split model.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    /// The file, or the files of a split in order.
    files: Vec<FileBytes>,
    values: HashMap<String, Value>,
    keys: Vec<String>,
    tensors: Vec<header::TensorInfo>,
    /// Index into `files` for each tensor.
    file_of: Vec<usize>,
    by_name: HashMap<String, usize>,
}

/// Bytes of a tensor, in place.
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
    /// Maps the file and reads its header, but not the weights. If it is the first file of a model
    /// split by llama.cpp's tool, the other files next to it are opened too.
    ///
    /// # Errors
    /// The file, or one of a split, is missing or malformed, or `path` is a later file of a split.
    pub fn open(path: &Path) -> Result<Self> {
        let mut gguf = Self::open_alone(path)?;
        gguf.open_rest()?;
        Ok(gguf)
    }

    /// Like [`Gguf::open`], but opens only this file, even if it is one of a split.
    pub fn open_alone(path: &Path) -> Result<Self> {
        Self::parse(FileBytes::map(path)?, path)
    }

    /// Parses a GGUF file that is in memory. `path` is for messages.
    pub fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self> {
        Self::parse(FileBytes::Owned(bytes), path)
    }

    /// Returns the file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the size of the file in bytes; of a split model, of all its files.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.len() as u64).sum()
    }

    /// Returns the number of weights in all tensors.
    #[must_use]
    pub fn n_weights(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.shape.iter().product::<usize>() as u64).sum()
    }

    /// Returns `general.architecture`.
    pub fn architecture(&self) -> Result<&str> {
        self.string("general.architecture")
    }

    /// Returns the metadata keys, in file order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(String::as_str)
    }

    /// Returns a metadata value, if the file has the key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    /// Returns a whole number. Error, naming the key, if it is missing, of another type or
    /// negative.
    pub fn u64(&self, key: &str) -> Result<u64> {
        self.typed(key, "a whole number from 0", Value::as_u64)
    }

    /// Returns a float. Error, naming the key, if it is missing or of another type.
    pub fn f32(&self, key: &str) -> Result<f32> {
        self.typed(key, "a float", Value::as_f32)
    }

    /// Returns a string. Error, naming the key, if it is missing or of another type.
    pub fn string(&self, key: &str) -> Result<&str> {
        self.typed(key, "a string", Value::as_str)
    }

    /// Returns an array of strings. Error, naming the key, if it is missing or of another type.
    pub fn strings(&self, key: &str) -> Result<&[String]> {
        self.typed(key, "an array of strings", Value::as_strings)
    }

    /// Returns an array of whole numbers. Error, naming the key, if it is missing or of another
    /// type.
    pub fn integers(&self, key: &str) -> Result<&[i64]> {
        self.typed(key, "an array of whole numbers", Value::as_integers)
    }

    /// Returns an array of floats. Error, naming the key, if it is missing or of another type.
    pub fn f32s(&self, key: &str) -> Result<&[f32]> {
        self.typed(key, "an array of floats", Value::as_f32s)
    }

    /// Returns the names of the tensors, in file order.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|tensor| tensor.name.as_str())
    }

    /// Returns a tensor's bytes in place, if the file has the tensor.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let index = *self.by_name.get(name)?;
        let (tensor, file) = (&self.tensors[index], &self.files[self.file_of[index]]);
        Some(TensorView {
            shape: tensor.shape.clone(),
            dtype: tensor.dtype,
            data: &file[tensor.start..tensor.start + tensor.size],
        })
    }

    /// Copies a tensor to a quantized candle tensor on `device`.
    pub fn qtensor(&self, name: &str, device: &Device) -> Result<QTensor> {
        let Some(view) = self.tensor(name) else {
            return Err(self.malformed(format!("has no tensor `{name}`")));
        };
        self.to_candle(name, view, device)
    }

    /// Copies the rows `rows` of a tensor, counted over all its outer dimensions, to a quantized
    /// candle matrix `[rows.len(), columns]` on `device`.
    pub fn qtensor_rows(&self, name: &str, rows: Range<usize>, device: &Device) -> Result<QTensor> {
        let Some(view) = self.tensor(name) else {
            return Err(self.malformed(format!("has no tensor `{name}`")));
        };
        let columns = view.shape.last().copied().unwrap_or(1);
        let row_bytes = columns / view.dtype.block_size() * view.dtype.type_size();
        let Some(data) = view.data.get(rows.start * row_bytes..rows.end * row_bytes) else {
            return Err(self.malformed(format!(
                "tensor `{name}` has shape {:?}, expected at least {} rows",
                view.shape, rows.end
            )));
        };
        self.to_candle(name, TensorView { shape: vec![rows.len(), columns], data, ..view }, device)
    }

    /// Error if a file was truncated or written to since it was opened.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        self.files.iter().try_for_each(FileBytes::check)
    }

    fn to_candle(&self, name: &str, view: TensorView<'_>, device: &Device) -> Result<QTensor> {
        self.check_unchanged()?;
        with_aligned(view.data, |data| QStorage::from_data(data.into(), device, view.dtype))
            .and_then(|storage| QTensor::new(storage, view.shape))
            .map_err(|error| self.malformed(format!("tensor `{name}`: {error}")))
    }

    fn parse(bytes: FileBytes, path: &Path) -> Result<Self> {
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
            files: vec![bytes],
            values: header.values,
            keys: header.keys,
            file_of: vec![0; header.tensors.len()],
            tensors: header.tensors,
            by_name,
        })
    }

    /// Opens the other files of a split and adds their tensors.
    fn open_rest(&mut self) -> Result<()> {
        let Some((number, count)) = self.split()? else { return Ok(()) };
        let named = SplitName::of(&self.path);
        if number != 1 {
            let first = named.filter(|name| name.number == number && name.count == count);
            let first = first.map_or_else(String::new, |name| format!(", `{}`", name.file(1)));
            return Err(self.malformed(format!(
                "is file {number} of a model split into {count}: name the first one{first}"
            )));
        }
        let Some(name) = named.filter(|name| (name.number, name.count) == (1, count)) else {
            return Err(self.malformed(format!(
                "is the first file of a model split into {count}, expected a name like \
                 `NAME-00001-of-{count:05}.gguf`, by which the others are found"
            )));
        };
        for number in 2..=count {
            let path = self.path.with_file_name(name.file(number));
            let mut other = Self::open_alone(&path)?;
            if other.split()? != Some((number, count)) {
                return Err(other.malformed(format!(
                    "is not file {number} of a model split into {count}, as its name says"
                )));
            }
            for tensor in std::mem::take(&mut other.tensors) {
                if self.by_name.contains_key(&tensor.name) {
                    let what = format!("tensor `{}` is in an earlier file too", tensor.name);
                    return Err(other.malformed(what));
                }
                self.by_name.insert(tensor.name.clone(), self.tensors.len());
                self.file_of.push(number - 1);
                self.tensors.push(tensor);
            }
            self.files.append(&mut other.files);
        }
        let expected = self.value("split.tensors.count").and_then(Value::as_u64);
        if let Some(expected) = expected.filter(|n| *n != self.tensors.len() as u64) {
            return Err(self.malformed(format!(
                "the {count} files have {} tensors, `split.tensors.count` says {expected}",
                self.tensors.len()
            )));
        }
        Ok(())
    }

    /// Returns the number of this file, counted from 1, and the number of files, if the model is
    /// split.
    fn split(&self) -> Result<Option<(usize, usize)>> {
        if self.value("split.count").is_none() {
            return Ok(None);
        }
        let (count, number) = (self.u64("split.count")?, self.u64("split.no")?);
        match (usize::try_from(count), usize::try_from(number)) {
            (Ok(0 | 1), _) => Ok(None),
            (Ok(count @ 2..=MAX_FILES), Ok(number)) if number < count => {
                Ok(Some((number + 1, count)))
            }
            _ => Err(self.malformed(format!(
                "`split.no` is {number} of `split.count` {count}, expected less, and a count of at \
                 most {MAX_FILES}"
            ))),
        }
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

/// Calls `take` with the blocks at an address aligned for any block type; copies them if the file's
/// alignment is too small.
fn with_aligned<T>(data: &[u8], take: impl FnOnce(&[u8]) -> T) -> T {
    // The strictest alignment of any block type is that of f32.
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
