//! The kind of each token of a vocabulary, which the sampler's penalties depend on.

/// The kind of each token of a vocabulary.
#[derive(Debug, Clone, Default)]
pub struct TokenKinds {
    kinds: Vec<TokenKind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenKind {
    Text,
    /// Text that contains one of [`BREAKERS`].
    Breaker,
    /// A token without text: turn markers, end tokens, padding.
    Control,
}

/// Bytes at which the DRY penalty ends a repeated run of tokens: lines, labels, quotes and list
/// marks repeat by nature.
const BREAKERS: &[u8] = b"\n:\"*";

impl TokenKinds {
    /// Takes the kinds from the bytes of each token; control tokens have none.
    pub fn new<'a>(tokens: impl Iterator<Item = &'a [u8]>) -> Self {
        let kinds = tokens
            .map(|bytes| match bytes {
                [] => TokenKind::Control,
                _ if bytes.iter().any(|byte| BREAKERS.contains(byte)) => TokenKind::Breaker,
                _ => TokenKind::Text,
            })
            .collect();
        Self { kinds }
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    fn kind(&self, id: u32) -> TokenKind {
        self.kinds.get(id as usize).copied().unwrap_or(TokenKind::Control)
    }

    /// Whether the token has no text.
    pub(super) fn is_control(&self, id: u32) -> bool {
        self.kind(id) == TokenKind::Control
    }

    /// Whether a DRY run ends at this token. Such a token is not penalised either.
    pub(super) fn ends_run(&self, id: u32) -> bool {
        self.kind(id) != TokenKind::Text
    }
}
