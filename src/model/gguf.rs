//! Reader of GGUF files: metadata and tensors, every length checked against the file.

use std::path::Path;

use super::Result;

/// An opened GGUF file.
pub struct Gguf {}

#[allow(unused_variables, missing_docs)]
impl Gguf {
    /// Maps the file and reads its header.
    pub fn open(path: &Path) -> Result<Self> {
        todo!()
    }
    /// Reads a header and tensors that already lie in memory. `path` is for messages.
    pub fn from_bytes(bytes: Vec<u8>, path: &Path) -> Result<Self> {
        todo!()
    }
    pub fn path(&self) -> &Path {
        todo!()
    }
    /// `general.architecture`.
    pub fn architecture(&self) -> Result<&str> {
        todo!()
    }
    pub fn value(&self, key: &str) -> Option<&Value> {
        todo!()
    }
    pub fn u64(&self, key: &str) -> Result<u64> {
        todo!()
    }
    pub fn f32(&self, key: &str) -> Result<f32> {
        todo!()
    }
    pub fn string(&self, key: &str) -> Result<&str> {
        todo!()
    }
    /// Names of the tensors, in file order.
    pub fn tensor_names(&self) -> impl Iterator<Item = &str> {
        std::iter::empty()
    }
    pub fn tensor(&self, name: &str) -> Option<TensorView<'_>> {
        todo!()
    }
    /// The tensor as candle's quantized tensor on `device`.
    pub fn qtensor(
        &self,
        name: &str,
        device: &candle_core::Device,
    ) -> Result<candle_core::quantized::QTensor> {
        todo!()
    }
}

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

/// A tensor's bytes where they lie.
pub struct TensorView<'a> {
    /// Row-major shape, outermost first (the reverse of the order in the file): `[rows, columns]`.
    pub shape: Vec<usize>,
    /// Block format.
    pub dtype: candle_core::quantized::GgmlDType,
    /// The blocks.
    pub data: &'a [u8],
}
