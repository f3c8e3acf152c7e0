//! Attribution of a text's tokens while it is generated.

use super::PreparedPrompt;
use super::attribution::{ALTERNATIVES, TokenAttribution, alternatives, shown};
use crate::client::{Watch, WatchedToken};
use crate::steering::Steering;
use crate::task::LabelStrip;

/// Receiver of the attributions of a text's tokens while it is generated.
pub struct LiveAttribution {
    /// Bytes of a token of the language model.
    pub token_bytes: Box<dyn Fn(u32) -> Vec<u8> + Send>,
    /// Receives the tokens in their order, on an engine thread, before their text. They have no
    /// `source`, and they are those that were chosen; a score of the text may divide it otherwise.
    pub on_tokens: Box<dyn FnMut(Vec<TokenAttribution>) + Send>,
}

impl LiveAttribution {
    /// The watch of the last call of `prepared`, whose text may begin with `label`.
    pub(super) fn watch(self, prepared: &PreparedPrompt, label: &str) -> Watch {
        let Self { token_bytes, mut on_tokens } = self;
        let steering = prepared.steered.as_ref().map(|steered| &steered.steering);
        let is_steered = steering.is_some_and(|steering| *steering != Steering::default());
        let mut start = TextStart::new(label);
        let on_token = move |token: WatchedToken| {
            let bytes = token_bytes(token.id);
            let (text, partial) = shown(&bytes);
            let attributed = TokenAttribution {
                text,
                bytes: partial,
                logprob: token.logprob,
                user: token.compared.map(|compared| token.own - compared),
                steer: is_steered.then_some(token.logprob - token.own),
                alternatives: alternatives(&token.top, token.id, &token_bytes),
                source: None,
            };
            let certain = start.push(attributed, &bytes);
            if !certain.is_empty() {
                on_tokens(certain);
            }
        };
        Watch {
            compared: prepared.unconditional(),
            // The token itself may be among the likeliest.
            top: ALTERNATIVES + 1,
            on_token: Box::new(on_token),
        }
    }
}

/// Finds the first token of a text that may begin with white space and a label.
struct TextStart {
    label: String,
    /// Tokens before which the text has not begun, each with the length of the text up to its end, bytes;
    /// `None` after it has begun.
    held: Option<Vec<(usize, TokenAttribution)>>,
    bytes: Vec<u8>,
}

impl TextStart {
    fn new(label: &str) -> Self {
        Self { label: label.to_owned(), held: Some(Vec::new()), bytes: Vec::new() }
    }

    /// Adds a token; returns those that are certain to be of the text.
    fn push(&mut self, token: TokenAttribution, bytes: &[u8]) -> Vec<TokenAttribution> {
        let Some(held) = &mut self.held else { return vec![token] };
        self.bytes.extend_from_slice(bytes);
        // The last bytes may be the beginning of a character.
        let n_whole = match std::str::from_utf8(&self.bytes) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => self.bytes.len(),
        };
        let whole = String::from_utf8_lossy(&self.bytes[..n_whole]);
        held.push((String::from_utf8_lossy(&self.bytes).len(), token));
        let begun = LabelStrip::new(&self.label).push(&whole);
        if begun.is_empty() {
            return Vec::new();
        }
        let before = whole.trim_end().len() - begun.len();
        let held = self.held.take().unwrap_or_default();
        held.into_iter().filter(|(end, _)| *end > before).map(|(_, token)| token).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(label: &str, tokens: &[&[u8]]) -> Vec<Vec<String>> {
        let mut start = TextStart::new(label);
        let token = |bytes: &[u8]| TokenAttribution {
            text: String::from_utf8_lossy(bytes).into_owned(),
            bytes: None,
            logprob: 0.0,
            user: None,
            steer: None,
            alternatives: Vec::new(),
            source: None,
        };
        let texts = |tokens: Vec<TokenAttribution>| tokens.into_iter().map(|token| token.text);
        let pushed = tokens.iter().map(|bytes| start.push(token(bytes), bytes));
        pushed.map(|tokens| texts(tokens).collect()).collect()
    }

    #[test]
    fn tokens_of_white_space_and_label_are_left_out() {
        let none: Vec<String> = Vec::new();
        assert_eq!(
            told("", &[b"\n", b" ", b" It", b" "]),
            [none.clone(), none.clone(), vec![" It".to_owned()], vec![" ".to_owned()],]
        );
        let labelled = told("[Review]:", &[b" [", b"review", b"]:", b"\n", b"It", b" is"]);
        assert_eq!(labelled.concat(), ["It", " is"]);
        assert!(labelled[..4].iter().all(Vec::is_empty));
        // What only looked like a label is of the text.
        assert_eq!(told("[Review]:", &[b"[Re", b"lax]"]).concat(), ["[Re", "lax]"]);
        // A character of two tokens, and bytes that are none.
        assert_eq!(told("", &[b" ", b"\xc3", b"\xa9", b"t"]).concat().len(), 3);
        assert_eq!(told("", &[b" ", b"\xff", b"\xa9", b"t"]).concat().len(), 3);
    }
}
