//! Converts token bytes to text, whole characters only.

/// Converts bytes to text as they arrive; returns only complete UTF-8 characters.
///
/// The concatenated output is what [`String::from_utf8_lossy`] returns for all bytes at once:
/// invalid bytes become U+FFFD.
#[derive(Debug, Default, Clone)]
pub struct Utf8Stream {
    /// Beginning of an incomplete character, at most three bytes.
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// Takes the bytes of the next token and returns the characters that are now complete; may be
    /// empty.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(whole) => {
                    text.push_str(whole);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (whole, tail) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(whole));
                    rest = tail;
                    let Some(broken) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[broken..];
                }
            }
        }
        let taken = self.pending.len() - rest.len();
        self.pending.drain(..taken);
        text
    }

    /// Ends the stream and returns the rest: nothing, or U+FFFD for an incomplete character. The
    /// stream is empty afterwards.
    pub fn finish(&mut self) -> String {
        let pending = std::mem::take(&mut self.pending);
        String::from_utf8_lossy(&pending).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_character_waits_until_it_is_whole() {
        let llama = "🦙".as_bytes();
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(&llama[..3]), "");
        assert_eq!(stream.push(&llama[3..]), "🦙");
        assert_eq!(stream.push(&llama[..2]), "");
        assert_eq!(stream.push(b"a"), "\u{FFFD}a");
        assert_eq!(stream.push(&llama[..1]), "");
        assert_eq!(stream.finish(), "\u{FFFD}");
        assert_eq!(stream.finish(), "");
    }

    proptest! {
        #[test]
        fn the_sum_of_the_parts_is_the_lossy_whole(parts: Vec<Vec<u8>>) {
            let mut stream = Utf8Stream::default();
            let mut text: String = parts.iter().map(|part| stream.push(part)).collect();
            text.push_str(&stream.finish());
            let whole = parts.concat();
            prop_assert_eq!(text, String::from_utf8_lossy(&whole).into_owned());
        }

        #[test]
        fn text_cut_anywhere_comes_out_whole(text: String, size in 1usize..5) {
            let mut stream = Utf8Stream::default();
            let got: String = text.as_bytes().chunks(size).map(|part| stream.push(part)).collect();
            prop_assert_eq!(got, text);
            prop_assert_eq!(stream.finish(), "");
        }
    }
}
