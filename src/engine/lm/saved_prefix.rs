//! Keys and values of the beginning of a prompt outside the engine: a later process that reads the same
//! beginning need not compute it again. They are those that the engine would compute, bit for bit.

use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

/// The KV blocks of the first tokens of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedPrefix {
    /// Fingerprint of the language model that computed them.
    pub(super) fingerprint: String,
    /// The tokens, a whole number of KV blocks.
    pub(super) tokens: Vec<u32>,
    /// The content of each block.
    pub(super) blocks: Vec<Vec<u8>>,
}

/// First bytes of a file; the digit is the version of the format.
const MAGIC: &[u8; 16] = b"idiolect prefix1";

/// Greatest length of a fingerprint in bytes.
const MAX_FINGERPRINT: u32 = 256;

impl SavedPrefix {
    /// The tokens whose keys and values it holds.
    #[must_use]
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// Fingerprint of the language model that computed it.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Size in bytes of what [`SavedPrefix::write`] writes, but for some dozens.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.tokens.len() * 4 + self.blocks.iter().map(Vec::len).sum::<usize>()
    }

    /// Writes it, with a checksum.
    ///
    /// # Errors
    /// `out` fails.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut hash = Sha256::new();
        let mut put = |bytes: &[u8]| {
            hash.update(bytes);
            out.write_all(bytes)
        };
        put(MAGIC)?;
        let block_bytes = self.blocks.first().map_or(0, Vec::len);
        for n in [self.fingerprint.len(), self.tokens.len(), self.blocks.len(), block_bytes] {
            put(&u32::try_from(n).map_err(io::Error::other)?.to_le_bytes())?;
        }
        put(self.fingerprint.as_bytes())?;
        let tokens: Vec<u8> = self.tokens.iter().flat_map(|id| id.to_le_bytes()).collect();
        put(&tokens)?;
        for block in &self.blocks {
            put(block)?;
        }
        out.write_all(&hash.finalize())
    }

    /// Reads what [`SavedPrefix::write`] wrote and checks the checksum.
    ///
    /// # Errors
    /// `input` fails, or [`io::ErrorKind::InvalidData`] if it holds anything else.
    pub fn read(input: &mut dyn Read) -> io::Result<Self> {
        let mut hash = Sha256::new();
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        // A length that a damaged file gives allocates no more than the file has.
        let mut take = |n: u64| -> io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            let got = (&mut *input).take(n).read_to_end(&mut bytes)?;
            hash.update(&bytes);
            if got as u64 == n { Ok(bytes) } else { Err(invalid()) }
        };
        if take(MAGIC.len() as u64)? != MAGIC {
            return Err(invalid());
        }
        let header = take(16)?;
        let lengths: Vec<u32> =
            header.as_chunks::<4>().0.iter().map(|n| u32::from_le_bytes(*n)).collect();
        let &[n_fingerprint, n_tokens, n_blocks, block_bytes] = &lengths[..] else {
            return Err(invalid());
        };
        if n_fingerprint > MAX_FINGERPRINT || n_blocks > n_tokens {
            return Err(invalid());
        }
        let fingerprint =
            String::from_utf8(take(u64::from(n_fingerprint))?).map_err(|_| invalid())?;
        let tokens = take(u64::from(n_tokens) * 4)?;
        let tokens = tokens.as_chunks::<4>().0.iter().map(|id| u32::from_le_bytes(*id)).collect();
        let blocks: io::Result<Vec<Vec<u8>>> =
            (0..n_blocks).map(|_| take(u64::from(block_bytes))).collect();
        let blocks = blocks?;
        let expected = hash.finalize();
        let mut checksum = Vec::new();
        input.take(33).read_to_end(&mut checksum)?;
        if checksum != expected[..] {
            return Err(invalid());
        }
        Ok(Self { fingerprint, tokens, blocks })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn saved() -> SavedPrefix {
        SavedPrefix {
            fingerprint: "a model".to_owned(),
            tokens: (0..128).collect(),
            blocks: vec![vec![7; 40], (0..40).collect()],
        }
    }

    fn bytes() -> Vec<u8> {
        let mut bytes = Vec::new();
        saved().write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn it_comes_back() {
        assert_eq!(SavedPrefix::read(&mut bytes().as_slice()).unwrap(), saved());
        let empty = SavedPrefix { tokens: Vec::new(), blocks: Vec::new(), ..saved() };
        let mut written = Vec::new();
        empty.write(&mut written).unwrap();
        assert_eq!(SavedPrefix::read(&mut written.as_slice()).unwrap(), empty);
    }

    proptest! {
        #[test]
        fn damage_is_noticed(at in 0usize..10_000, bit in 0u8..8, cut in 1usize..60) {
            let whole = bytes();
            let mut damaged = whole.clone();
            damaged[at % whole.len()] ^= 1 << bit;
            prop_assert!(SavedPrefix::read(&mut damaged.as_slice()).is_err());
            prop_assert!(SavedPrefix::read(&mut &whole[..whole.len() - cut]).is_err());
            let longer = [&whole[..], b"x"].concat();
            prop_assert!(SavedPrefix::read(&mut longer.as_slice()).is_err());
        }

        #[test]
        fn other_files_are_refused(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(SavedPrefix::read(&mut noise.as_slice()).is_err());
            let with_magic = [MAGIC.as_slice(), &noise].concat();
            prop_assert!(SavedPrefix::read(&mut with_magic.as_slice()).is_err());
        }
    }
}
