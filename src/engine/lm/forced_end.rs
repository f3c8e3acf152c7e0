//! Search for a short path from the current state of a constrained text to an end that its grammar
//! accepts.
//!
//! The grammar's parser gives the allowed next bytes, but not the distance to an end. For a regular
//! expression, the automaton gives it ([`shortest_match`](super::shortest_match)). For JSON, the
//! path is built byte by byte on a copy of the parser. The next bytes are, in this order of
//! preference: bytes that the grammar forces; a byte that closes (a quote, a bracket); a byte after
//! which the next one can close; any allowed byte, a different one after each guess, so that the
//! search does not repeat one choice forever. Except for unusual schemas this path is the shortest.

use std::sync::Arc;

use llguidance::Matcher;
use llguidance::toktrie::{ApproximateTokEnv, TokTrie, TokenizerEnv};

use super::shortest_match::Walk;

/// Maximum length of a path, bytes.
const MAX_BYTES: usize = 1024;

/// The state of the text so far that is needed to close it.
#[derive(Debug, Clone)]
pub(super) enum PartialText {
    Json {
        in_string: bool,
        escaped: bool,
    },
    Matching(Walk),
    /// A text of unknown form.
    Other,
}

impl PartialText {
    pub(super) const JSON: Self = Self::Json { in_string: false, escaped: false };

    pub(super) fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Matching(walk) => walk.push(bytes),
            Self::Other => {}
            Self::Json { in_string, escaped } => {
                for byte in bytes {
                    match byte {
                        _ if *escaped => *escaped = false,
                        b'\\' if *in_string => *escaped = true,
                        b'"' => *in_string = !*in_string,
                        _ => {}
                    }
                }
            }
        }
    }

    /// Whether the text may end here, as far as this state can decide it.
    pub(super) fn may_end(&self) -> bool {
        match self {
            Self::Json { in_string, .. } => !in_string,
            Self::Matching(walk) => walk.is_match(),
            Self::Other => true,
        }
    }

    /// Bytes that bring the text closer to its end, in order of preference.
    fn closing(&self) -> &'static [u8] {
        match self {
            Self::Json { in_string: true, .. } => b"\"",
            Self::Json { in_string: false, .. } => b"}],:",
            Self::Matching(_) | Self::Other => b"",
        }
    }

    /// Candidates for the next byte; those that tend to lead to an end soonest come first.
    fn candidates(&self) -> impl Iterator<Item = u8> {
        let first: &[u8] = match self {
            Self::Json { in_string: false, .. } => b"0123456789-.\"ntf[{",
            _ => b"-0123456789",
        };
        let rest = (b' '..=b'~').chain([b'\n', b'\t']).chain(0x80..=0xF4);
        first.iter().copied().chain(rest.filter(move |byte| !first.contains(byte)))
    }
}

/// The vocabulary's trie, and for each byte the token that consists of it.
pub(super) struct VocabularyBytes {
    env: Arc<ApproximateTokEnv>,
    ids: Vec<Option<u32>>,
}

impl VocabularyBytes {
    pub(super) fn of(env: Arc<ApproximateTokEnv>) -> Self {
        let ids = (0..=255).map(|byte| env.tok_trie().token_id_at_bytes(&[byte])).collect();
        Self { env, ids }
    }

    fn id(&self, byte: u8) -> Option<u32> {
        self.ids[usize::from(byte)]
    }

    pub(super) fn trie(&self) -> &TokTrie {
        self.env.tok_trie()
    }
}

/// Tokens from the state of `matcher`, whose text is `text`, to an end; empty if the text may end
/// already. `None` if no path was found.
pub(super) fn closing_path(
    matcher: &Matcher,
    text: &PartialText,
    bytes: &VocabularyBytes,
) -> Option<Vec<u32>> {
    if let PartialText::Matching(walk) = text {
        let path = bytes.trie().greedy_tokenize(&walk.shortest()?);
        let mut ahead = matcher.clone();
        ahead.consume_tokens(&path).ok()?;
        let ends = ahead.is_stopped() || ahead.is_accepting().ok()?;
        return (ends && ahead.stop_reason().is_ok()).then_some(path);
    }
    let mut ahead = matcher.clone();
    let mut text = text.clone();
    let mut path = Vec::new();
    let mut n_guessed = 0;
    while path.len() < MAX_BYTES {
        if ahead.is_stopped() {
            return ahead.stop_reason().is_ok().then(|| bytes.trie().greedy_tokenize(&path));
        }
        if ahead.is_accepting().ok()? {
            return Some(bytes.trie().greedy_tokenize(&path));
        }
        let mut next = ahead.compute_ff_bytes();
        if next.is_empty() {
            let (byte, guessed) = choose(&mut ahead, &text, bytes, n_guessed)?;
            n_guessed = if guessed { n_guessed + 1 } else { 0 };
            next.push(byte);
        }
        for byte in &next {
            ahead.consume_token(bytes.id(*byte)?).ok()?;
        }
        text.push(&next);
        path.extend_from_slice(&next);
    }
    None
}

/// The next byte, and whether it is only a guess.
fn choose(
    ahead: &mut Matcher,
    text: &PartialText,
    bytes: &VocabularyBytes,
    n_guessed: usize,
) -> Option<(u8, bool)> {
    for byte in text.closing() {
        if ahead.validate_tokens(&[bytes.id(*byte)?]).ok()? == 1 {
            return Some((*byte, false));
        }
    }
    let end = Some(bytes.trie().eos_token());
    let closing: Vec<u32> =
        text.closing().iter().map(|byte| bytes.id(*byte)).chain([end]).flatten().collect();
    let mut allowed = Vec::new();
    for byte in text.candidates() {
        let Some(id) = bytes.id(byte) else { continue };
        if ahead.validate_tokens(&[id]).ok()? == 0 {
            continue;
        }
        for close in &closing {
            if ahead.validate_tokens(&[id, *close]).ok()? == 2 {
                return Some((byte, false));
            }
        }
        allowed.push(byte);
    }
    let byte = *allowed.get(n_guessed % allowed.len().max(1))?;
    Some((byte, true))
}
