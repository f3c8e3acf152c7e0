//! Reads numbers, strings and metadata values from bytes, never past their end.

use super::value::Value;

/// Maximum number of elements of a metadata array; the largest in use are merges, about 300,000.
const MAX_ELEMENTS: u64 = 1 << 24;
/// Maximum length of a string in bytes; the longest in use are chat templates, about 20,000.
const MAX_STRING: u64 = 1 << 26;

// Type numbers of metadata values.
const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

/// A position in the bytes of a file.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, n: u64) -> Result<&'a [u8], String> {
        let left = self.bytes.len() - self.at;
        let cut = || {
            format!(
                "is cut short: {n} bytes expected at byte {}, file is {} bytes: download it again \
                 (`idiolect models verify` tells which files are whole)",
                self.at,
                self.bytes.len()
            )
        };
        let n = usize::try_from(n).ok().filter(|n| *n <= left).ok_or_else(cut)?;
        let taken = &self.bytes[self.at..self.at + n];
        self.at += n;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }

    pub(super) fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, String> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(super) fn string(&mut self) -> Result<String, String> {
        let length = self.u64()?;
        if length > MAX_STRING {
            return Err(format!("string of {length} bytes, expected at most {MAX_STRING}"));
        }
        let at = self.at;
        let bytes = self.take(length)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(error) => {
                Err(format!("string is not UTF-8 at byte {} of the file", at + error.valid_up_to()))
            }
        }
    }

    pub(super) fn value(&mut self) -> Result<Value, String> {
        let kind = self.u32()?;
        Ok(match kind {
            ARRAY => return self.array_value(),
            STRING => Value::String(self.string()?),
            BOOL => match self.array::<1>()? {
                [0] => Value::Bool(false),
                [1] => Value::Bool(true),
                [other] => return Err(format!("truth value is {other}, expected 0 or 1")),
            },
            0 => Value::Unsigned(u64::from(u8::from_le_bytes(self.array()?))),
            2 => Value::Unsigned(u64::from(u16::from_le_bytes(self.array()?))),
            4 => Value::Unsigned(u64::from(self.u32()?)),
            10 => Value::Unsigned(self.u64()?),
            1 => Value::Signed(i64::from(i8::from_le_bytes(self.array()?))),
            3 => Value::Signed(i64::from(i16::from_le_bytes(self.array()?))),
            5 => Value::Signed(i64::from(i32::from_le_bytes(self.array()?))),
            11 => Value::Signed(i64::from_le_bytes(self.array()?)),
            6 => Value::F32(f32::from_le_bytes(self.array()?)),
            12 => Value::F64(f64::from_le_bytes(self.array()?)),
            _ => return Err(format!("unknown value type {kind}, expected 0 to 12")),
        })
    }

    fn array_value(&mut self) -> Result<Value, String> {
        let kind = self.u32()?;
        let n = self.u64()?;
        if n > MAX_ELEMENTS {
            return Err(format!("array of {n} elements, expected at most {MAX_ELEMENTS}"));
        }
        if kind == STRING {
            // Each string takes at least the 8 bytes of its length, so the file's size bounds the
            // count before memory is allocated.
            let left = self.bytes.len() - self.at;
            let mut texts = Vec::with_capacity((n as usize).min(left / 8));
            for index in 0..n {
                texts.push(self.string().map_err(|why| format!("element {index}: {why}"))?);
            }
            return Ok(Value::Strings(texts));
        }
        let (width, name) = match kind {
            0 | 1 => (1, "8-bit"),
            2 | 3 => (2, "16-bit"),
            4..=6 => (4, "32-bit"),
            10..=12 => (8, "64-bit"),
            BOOL => (1, "boolean"),
            ARRAY => return Err("array of arrays, expected an array of plain values".to_owned()),
            _ => return Err(format!("array of the unknown value type {kind}, expected 0 to 12")),
        };
        // At most 2^24 elements of 8 bytes, so this cannot overflow.
        let bytes = self.take(n * width)?;
        Ok(match kind {
            0 | BOOL => Value::Integers(bytes.iter().map(|b| i64::from(*b)).collect()),
            1 => Value::Integers(bytes.iter().map(|b| i64::from(b.cast_signed())).collect()),
            2 => Value::Integers(chunks(bytes, |b| i64::from(u16::from_le_bytes(b)))),
            3 => Value::Integers(chunks(bytes, |b| i64::from(i16::from_le_bytes(b)))),
            4 => Value::Integers(chunks(bytes, |b| i64::from(u32::from_le_bytes(b)))),
            5 => Value::Integers(chunks(bytes, |b| i64::from(i32::from_le_bytes(b)))),
            6 => Value::F32s(chunks(bytes, f32::from_le_bytes)),
            11 => Value::Integers(chunks(bytes, i64::from_le_bytes)),
            _ => Value::Other(format!("an array of {n} {name} values")),
        })
    }
}

fn chunks<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| read(*chunk)).collect()
}
