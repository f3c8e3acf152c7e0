//! GPT-2's byte alphabet: every byte is written as one printable character.
//!
//! Printable Latin-1 bytes are written as themselves, the others, in order, as U+0100 and following
//! (Radford et al. 2019, `encoder.py` of the release, `bytes_to_unicode`).

/// Returns the bytes that a vocabulary entry represents; `None` if a character is not in the
/// alphabet.
pub(super) fn to_bytes(entry: &str) -> Option<Vec<u8>> {
    entry.chars().map(to_byte).collect()
}

fn to_byte(character: char) -> Option<u8> {
    let code = u32::from(character);
    if let Ok(byte) = u8::try_from(code)
        && stands_for_itself(byte)
    {
        return Some(byte);
    }
    OTHERS.get(code.checked_sub(0x100)? as usize).copied()
}

/// Bytes that U+0100 and the following characters represent.
const OTHERS: [u8; 68] = {
    let mut others = [0; 68];
    let (mut byte, mut n) = (0, 0);
    while byte < 256 {
        if !stands_for_itself(byte as u8) {
            others[n] = byte as u8;
            n += 1;
        }
        byte += 1;
    }
    others
};

const fn stands_for_itself(byte: u8) -> bool {
    matches!(byte, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn known_characters() {
        assert_eq!(to_bytes("Ġthe").unwrap(), b" the");
        assert_eq!(to_bytes("Ċĉ").unwrap(), b"\n\t");
        assert_eq!(to_bytes("Ã©").unwrap(), "é".as_bytes());
        assert_eq!(to_bytes("Ń").unwrap(), [0xAD]);
        assert_eq!(to_bytes("a b"), None);
        assert_eq!(to_bytes("▁"), None);
    }
}
