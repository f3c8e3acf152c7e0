//! Weights in safetensors files, checked before use.

use std::path::Path;

use candle_core::{DType, Device};
use candle_nn::VarBuilder;
use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::{Error, Result};

#[cfg(test)]
mod tests;

/// Maximum size of a header in bytes, as in the safetensors format.
const MAX_HEADER: u64 = 100_000_000;

/// Reads a safetensors file into memory and passes it to candle, which converts tensors to `dtype`
/// on `device` when they are used.
///
/// The header is checked against the file's length, and floating-point weights are checked to be
/// finite. A truncated or damaged file is therefore an error here, not a wrong result later.
pub fn open_safetensors(path: &Path, device: &Device, dtype: DType) -> Result<VarBuilder<'static>> {
    let bytes = read(path)?;
    check_safetensors(&bytes, path)?;
    VarBuilder::from_buffered_safetensors(bytes, dtype, device)
        .map_err(|error| Error::Malformed { path: path.to_owned(), what: error.to_string() })
}

/// Checks a safetensors file in memory: header, offsets, and that weights are finite. `path` is for
/// messages.
pub fn check_safetensors(bytes: &[u8], path: &Path) -> Result<()> {
    let malformed = |what: String| Error::Malformed { path: path.to_owned(), what };
    check_length(bytes).map_err(malformed)?;
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| malformed(explain(&error)))?;
    for (name, view) in tensors.iter() {
        if let Some(index) = first_not_finite(&view) {
            return Err(malformed(format!(
                "tensor `{name}` holds a value that is not finite at element {index}: the file is \
                 damaged, download it again"
            )));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let io = |source| Error::Io { operation: "read", path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(io)?.is_dir() {
        let what = "is a folder, expected a safetensors file".to_owned();
        return Err(Error::Malformed { path: path.to_owned(), what });
    }
    std::fs::read(path).map_err(io)
}

/// Compares the length of the file with that stated by its header.
fn check_length(bytes: &[u8]) -> Result<(), String> {
    let length = bytes.len() as u64;
    if bytes.starts_with(b"version ") {
        return Err("is a Git LFS pointer, expected the safetensors file itself".to_owned());
    }
    let Some((first, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(format!("file is {length} bytes, too short for a safetensors file"));
    };
    let header = u64::from_le_bytes(*first);
    if header > MAX_HEADER {
        return Err(format!(
            "header says it is {header} bytes, expected at most {MAX_HEADER}: not a safetensors \
             file, or damaged"
        ));
    }
    if header > rest.len() as u64 {
        return Err(cut_short(length, header + 8));
    }
    // Only the end of the last tensor is read here; the library checks the rest.
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(&rest[..header as usize]) else {
        return Err("header is not JSON: the file is damaged, download it again".to_owned());
    };
    let ends = json.as_object().into_iter().flatten().filter_map(|(_, tensor)| {
        tensor.get("data_offsets").and_then(|offsets| offsets.get(1)?.as_u64())
    });
    let promised = ends.max().unwrap_or(0).saturating_add(header + 8);
    if promised > length {
        return Err(cut_short(length, promised));
    }
    Ok(())
}

fn cut_short(length: u64, promised: u64) -> String {
    format!(
        "is cut short: file is {length} bytes, header promises {promised}: download it again \
         (`idiolect models verify` tells which files are whole)"
    )
}

fn explain(error: &SafeTensorError) -> String {
    format!("{error}: the file is damaged, download it again")
}

fn first_not_finite(view: &TensorView<'_>) -> Option<usize> {
    let data = view.data();
    match view.dtype() {
        Dtype::F32 => position::<4>(data, |b| !f32::from_le_bytes(b).is_finite()),
        Dtype::F16 => position::<2>(data, |b| !f16::from_le_bytes(b).is_finite()),
        Dtype::BF16 => position::<2>(data, |b| !bf16::from_le_bytes(b).is_finite()),
        _ => None,
    }
}

fn position<const N: usize>(data: &[u8], is_bad: impl Fn([u8; N]) -> bool) -> Option<usize> {
    data.as_chunks::<N>().0.iter().position(|chunk| is_bad(*chunk))
}
