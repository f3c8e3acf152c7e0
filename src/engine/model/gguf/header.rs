//! Parser of GGUF headers: metadata and tensor table. Every length is checked against the available
//! bytes.

use std::collections::{HashMap, HashSet};

use candle_core::quantized::GgmlDType;

use super::dtype;
use super::reader::Reader;
use super::value::Value;

/// Maximum number of metadata entries or tensors; files in use have some hundreds.
const MAX_ENTRIES: u64 = 1 << 20;
/// Maximum number of dimensions of a tensor, as in ggml.
const MAX_DIMENSIONS: u32 = 4;

/// Everything before the tensor data.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) values: HashMap<String, Value>,
    /// Keys in file order.
    pub(super) keys: Vec<String>,
    pub(super) tensors: Vec<TensorInfo>,
}

/// A tensor's entry in the table.
#[derive(Debug)]
pub(super) struct TensorInfo {
    pub(super) name: String,
    /// Shape, outermost dimension first.
    pub(super) shape: Vec<usize>,
    pub(super) dtype: GgmlDType,
    /// Offset of the first byte from the start of the file.
    pub(super) start: usize,
    /// Length in bytes.
    pub(super) size: usize,
}

/// Parses a header. The error message states the value found and the expected one.
pub(super) fn parse(bytes: &[u8]) -> Result<Header, String> {
    let mut reader = Reader { bytes, at: 0 };
    check_magic(bytes)?;
    reader.at = 4;
    check_version(reader.u32()?)?;
    let n_tensors = reader.u64()?;
    let n_values = reader.u64()?;
    if n_tensors > MAX_ENTRIES || n_values > MAX_ENTRIES {
        return Err(format!(
            "header counts {n_tensors} tensors and {n_values} metadata entries, expected at most \
             {MAX_ENTRIES} of each: the file is damaged"
        ));
    }
    let mut values = HashMap::new();
    let mut keys = Vec::new();
    for index in 0..n_values {
        let key = reader.string().map_err(|why| format!("metadata key {index}: {why}"))?;
        let value = reader.value().map_err(|why| format!("metadata `{}`: {why}", short(&key)))?;
        if values.insert(key.clone(), value).is_some() {
            return Err(format!("metadata `{}` stands twice", short(&key)));
        }
        keys.push(key);
    }
    let alignment = alignment(&values)?;
    let tensors = tensors(&mut reader, n_tensors, alignment)?;
    Ok(Header { values, keys, tensors })
}

fn check_magic(bytes: &[u8]) -> Result<(), String> {
    if bytes.starts_with(b"GGUF") {
        return Ok(());
    }
    if bytes.len() < 4 {
        return Err(format!("file is {} bytes, too short for a GGUF file", bytes.len()));
    }
    if bytes.starts_with(b"version ") {
        return Err("is a Git LFS pointer, expected the GGUF file itself".to_owned());
    }
    let start = String::from_utf8_lossy(&bytes[..4]).escape_debug().to_string();
    Err(format!("begins with \"{start}\", expected \"GGUF\": not a GGUF file"))
}

fn check_version(version: u32) -> Result<(), String> {
    match version {
        2 | 3 => Ok(()),
        1 => Err("is GGUF version 1, expected 2 or 3: convert it again".to_owned()),
        // The version is the first number in the file. In the wrong byte order, its low half is
        // zero.
        _ if version & 0xffff == 0 && version != 0 => {
            Err("is in big-endian byte order, expected little-endian".to_owned())
        }
        _ => Err(format!("is GGUF version {version}, expected 2 or 3")),
    }
}

fn alignment(values: &HashMap<String, Value>) -> Result<usize, String> {
    let Some(value) = values.get("general.alignment") else { return Ok(32) };
    let got = value.as_u64().filter(|a| a.is_power_of_two() && *a <= 1 << 20);
    let Some(alignment) = got.and_then(|a| usize::try_from(a).ok()) else {
        return Err(format!(
            "metadata `general.alignment` is {value:?}, expected a power of two up to 1048576"
        ));
    };
    Ok(alignment)
}

fn tensors(reader: &mut Reader<'_>, n: u64, alignment: usize) -> Result<Vec<TensorInfo>, String> {
    let mut tensors = Vec::new();
    let mut names = HashSet::new();
    for index in 0..n {
        let name = reader.string().map_err(|why| format!("name of tensor {index}: {why}"))?;
        let tensor = tensor(reader, &name, alignment)
            .map_err(|why| format!("tensor `{}` {why}", short(&name)))?;
        if !names.insert(name) {
            return Err(format!("tensor `{}` stands twice", short(&tensor.name)));
        }
        tensors.push(tensor);
    }
    // Offsets count from the first aligned byte after the table.
    let data_start = reader
        .at
        .checked_next_multiple_of(alignment)
        .ok_or_else(|| "header is longer than memory".to_owned())?;
    let mut promised = reader.at;
    for tensor in &mut tensors {
        let end = data_start.checked_add(tensor.start).and_then(|s| {
            tensor.start = s;
            s.checked_add(tensor.size)
        });
        let Some(end) = end else {
            return Err(format!("tensor `{}` lies beyond all memory", short(&tensor.name)));
        };
        promised = promised.max(end);
    }
    let length = reader.bytes.len();
    if promised > length {
        return Err(format!(
            "is cut short: file is {length} bytes, header promises {promised}: download it again \
             (`idiolect models verify` tells which files are whole)"
        ));
    }
    check_overlaps(&tensors)?;
    Ok(tensors)
}

fn tensor(reader: &mut Reader<'_>, name: &str, alignment: usize) -> Result<TensorInfo, String> {
    let n_dimensions = reader.u32()?;
    if n_dimensions > MAX_DIMENSIONS {
        return Err(format!("has {n_dimensions} dimensions, expected at most {MAX_DIMENSIONS}"));
    }
    // The file lists the innermost dimension first.
    let mut shape = Vec::with_capacity(n_dimensions as usize);
    for _ in 0..n_dimensions {
        let length = reader.u64()?;
        match usize::try_from(length) {
            Ok(length) if length > 0 => shape.insert(0, length),
            _ => return Err(format!("has a dimension of {length}")),
        }
    }
    let dtype = dtype::from_number(reader.u32()?)?;
    let offset = reader.u64()?;
    let offset = usize::try_from(offset).map_err(|_| format!("lies at byte {offset}"))?;
    if !offset.is_multiple_of(alignment) {
        return Err(format!("lies at byte {offset}, expected a multiple of {alignment}"));
    }
    let row = shape.last().copied().unwrap_or(1);
    let block = dtype.block_size();
    if !row.is_multiple_of(block) {
        return Err(format!(
            "has rows of {row} elements, expected a multiple of the {} block of {block}",
            dtype::type_name(dtype)
        ));
    }
    let size = shape
        .iter()
        .try_fold(1usize, |elements, length| elements.checked_mul(*length))
        .and_then(|elements| (elements / block).checked_mul(dtype.type_size()));
    // Above this, an offset plus a size could not be a position in a file.
    let Some(size) = size.filter(|size| *size <= isize::MAX as usize) else {
        return Err(format!("has shape {shape:?}, more elements than memory can hold"));
    };
    Ok(TensorInfo { name: name.to_owned(), shape, dtype, start: offset, size })
}

fn check_overlaps(tensors: &[TensorInfo]) -> Result<(), String> {
    let mut order: Vec<_> = tensors.iter().collect();
    order.sort_by_key(|tensor| tensor.start);
    for pair in order.windows(2) {
        let end = pair[0].start + pair[0].size;
        if pair[1].start < end {
            return Err(format!(
                "tensor `{}` begins at byte {}, inside `{}`, which ends at {end}: the file is \
                 damaged",
                short(&pair[1].name),
                pair[1].start,
                short(&pair[0].name)
            ));
        }
    }
    Ok(())
}

/// Truncates a name for messages, since a damaged file may contain a name of a megabyte.
fn short(name: &str) -> String {
    let clean: String = name.chars().take(80).flat_map(char::escape_debug).collect();
    if name.chars().nth(80).is_some() { format!("{clean}...") } else { clean }
}
