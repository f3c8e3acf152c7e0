//! The vocabulary of a language model, as steering needs it.

use sha2::{Digest, Sha256};

use idiolect_engine::lm::{self, Lm, TokenCounts};

/// Vocabulary of a language model.
pub trait Vocabulary {
    /// Number of tokens.
    fn n_tokens(&self) -> usize;
    /// Tokens by which the model ends a text.
    fn end_tokens(&self) -> Vec<u32>;
    /// Token ids of a text.
    ///
    /// # Errors
    /// The text cannot be tokenized.
    fn tokenize(&self, text: &str) -> lm::Result<Vec<u32>>;
    /// Bytes of a token's text, which may be part of a character.
    fn token_bytes(&self, id: u32) -> Vec<u8>;
    /// Each distinct token of a text inside another one, and its count; see [`Lm::token_counts`].
    ///
    /// # Errors
    /// The text cannot be tokenized.
    fn token_counts(&self, text: &str) -> lm::Result<TokenCounts>;
}

/// Hash of the tokens of a vocabulary: SHA-256, lower-case hexadecimal.
#[must_use]
pub fn vocabulary_hash(vocabulary: &dyn Vocabulary) -> String {
    let mut hash = Sha256::new();
    for id in 0..vocabulary.n_tokens() as u32 {
        let bytes = vocabulary.token_bytes(id);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Vocabulary for Lm {
    fn n_tokens(&self) -> usize {
        self.tokenizer().n_vocab()
    }

    fn end_tokens(&self) -> Vec<u32> {
        self.tokenizer().ends().collect()
    }

    fn tokenize(&self, text: &str) -> lm::Result<Vec<u32>> {
        Lm::tokenize(self, text)
    }

    fn token_bytes(&self, id: u32) -> Vec<u8> {
        self.tokenizer().bytes(id).to_vec()
    }

    fn token_counts(&self, text: &str) -> lm::Result<TokenCounts> {
        Lm::token_counts(self, text)
    }
}
