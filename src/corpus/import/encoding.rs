//! Encodings of files: finds them out and decodes to UTF-8 while reading.

use std::io::{self, BufRead, Read};
use std::sync::{Arc, OnceLock};

use chardetng::EncodingDetector;
use encoding_rs::{Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use crate::{Error, Result};

/// Number of bytes from the first one beyond ASCII by which the encoding is guessed.
const SAMPLE_BYTES: usize = 64 * 1024;
/// Number of bytes that are decoded at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Encoding of the files to import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileEncoding {
    /// UTF-8, UTF-16 if a file begins with its byte order mark or has a zero in every second byte, or
    /// another encoding if a file is not UTF-8 and its bytes suggest one. The report names what was
    /// guessed.
    #[default]
    Detected,
    /// A given encoding.
    Named(&'static Encoding),
}

/// Encoding of one file that is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EncodedFile {
    /// The file.
    pub file: String,
    /// Name of the encoding in the Encoding Standard, e.g. `windows-1252`.
    pub encoding: &'static str,
    /// Whether it was guessed from the bytes: neither named nor marked.
    pub guessed: bool,
}

impl FileEncoding {
    /// Returns the encoding called `name`: `auto`, or a label of the Encoding Standard such as
    /// `utf-8`, `utf-16`, `latin-1`, `windows-1252`, `windows-1251`, `koi8-r`, `shift_jis`, `gbk`.
    ///
    /// # Errors
    /// [`Error::UnknownEncoding`].
    pub fn of(name: &str) -> Result<Self> {
        let label = name.trim().to_lowercase().replace("latin-", "latin");
        let label = match label.as_str() {
            "auto" => return Ok(Self::Detected),
            "ansi" => "windows-1252",
            label => label,
        };
        match Encoding::for_label_no_replacement(label.as_bytes()) {
            Some(encoding) => Ok(Self::Named(encoding)),
            None => Err(Error::UnknownEncoding { name: name.to_owned() }),
        }
    }

    /// The encoding that the first bytes of a file prove, and the length of its byte order mark;
    /// `None` if they prove none.
    fn proven(head: &[u8]) -> Option<(&'static Encoding, usize)> {
        if let Some(marked) = Encoding::for_bom(head) {
            return Some(marked);
        }
        let (pairs, _) = head.as_chunks::<2>();
        let ascii = |at: usize| {
            pairs.len() >= 4 && pairs.iter().all(|pair| pair[at] == 0 && pair[1 - at] != 0)
        };
        match (ascii(1), ascii(0)) {
            (true, _) => Some((UTF_16LE, 0)),
            (_, true) => Some((UTF_16BE, 0)),
            _ => None,
        }
    }
}

/// Reads a byte stream as UTF-8. Bytes of a file in UTF-8 pass through unchanged, valid or not.
pub(super) struct Utf8Reader<R> {
    inner: R,
    /// Bytes that were read to guess the encoding and are not decoded yet.
    held: io::Cursor<Vec<u8>>,
    state: ReaderState,
    /// Decoded bytes that no reader has taken yet.
    decoded: io::Cursor<Vec<u8>>,
    found: FoundEncoding,
}

/// Encoding of a file, known as soon as a byte beyond ASCII was read; and whether it was guessed.
pub(super) type FoundEncoding = Arc<OnceLock<(&'static Encoding, bool)>>;

enum ReaderState {
    /// Only ASCII so far, which every encoding but UTF-16 shares.
    Undecided,
    Utf8,
    Decoding(Decoder),
    Ended,
}

impl<R: BufRead> Utf8Reader<R> {
    /// `head` are the first bytes of `inner`, which still returns them.
    pub(super) fn new(mut inner: R, head: &[u8], wanted: FileEncoding) -> io::Result<Self> {
        let found = FoundEncoding::default();
        let proven = FileEncoding::proven(head);
        let encoding = match wanted {
            FileEncoding::Named(encoding) if encoding != UTF_16LE => Some((encoding, false)),
            // The mark of UTF-16 decides on its byte order.
            _ => proven
                .map(|(encoding, mark)| (encoding, mark == 0 && wanted == FileEncoding::Detected)),
        };
        let encoding = match (encoding, wanted) {
            (None, FileEncoding::Named(encoding)) => Some((encoding, false)),
            (encoding, _) => encoding,
        };
        if let Some((encoding, guessed)) = encoding {
            let mark = proven.filter(|(marked, _)| *marked == encoding).map_or(0, |(_, mark)| mark);
            inner.read_exact(&mut vec![0; mark])?;
            let _ = found.set((encoding, guessed));
        }
        let state = match encoding {
            None => ReaderState::Undecided,
            Some((encoding, _)) if encoding == UTF_8 => ReaderState::Utf8,
            Some((encoding, _)) => {
                ReaderState::Decoding(encoding.new_decoder_without_bom_handling())
            }
        };
        let (held, decoded) = (io::Cursor::default(), io::Cursor::default());
        Ok(Self { inner, held, state, decoded, found })
    }

    /// The encoding, as soon as it is known.
    pub(super) fn found(&self) -> FoundEncoding {
        Arc::clone(&self.found)
    }

    /// Reads the bytes from the first one beyond ASCII on and decides.
    fn decide(&mut self) -> io::Result<()> {
        let mut sample = Vec::new();
        self.inner.by_ref().take(SAMPLE_BYTES as u64).read_to_end(&mut sample)?;
        self.state = match guess(&sample) {
            Some(encoding) => {
                let _ = self.found.set((encoding, true));
                ReaderState::Decoding(encoding.new_decoder_without_bom_handling())
            }
            None => {
                let _ = self.found.set((UTF_8, false));
                ReaderState::Utf8
            }
        };
        self.held = io::Cursor::new(sample);
        Ok(())
    }

    fn raw(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.held.read(buffer)? {
            0 => self.inner.read(buffer),
            n => Ok(n),
        }
    }

    fn decode(&mut self) -> io::Result<()> {
        let mut bytes = vec![0; CHUNK_BYTES];
        let n = self.raw(&mut bytes)?;
        let ReaderState::Decoding(decoder) = &mut self.state else { return Ok(()) };
        let room = decoder.max_utf8_buffer_length(n).unwrap_or(4 * CHUNK_BYTES);
        let mut text = String::with_capacity(room);
        // Malformed bytes become U+FFFD.
        let _ = decoder.decode_to_string(&bytes[..n], &mut text, n == 0);
        if n == 0 {
            self.state = ReaderState::Ended;
        }
        self.decoded = io::Cursor::new(text.into_bytes());
        Ok(())
    }
}

impl<R: BufRead> Read for Utf8Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.state {
                ReaderState::Undecided => {
                    let ready = self.inner.fill_buf()?;
                    let ascii = ready.iter().position(|b| !b.is_ascii()).unwrap_or(ready.len());
                    if ascii == 0 && !ready.is_empty() {
                        self.decide()?;
                        continue;
                    }
                    let n = ascii.min(buffer.len());
                    buffer[..n].copy_from_slice(&ready[..n]);
                    self.inner.consume(n);
                    return Ok(n);
                }
                ReaderState::Utf8 => return self.raw(buffer),
                ReaderState::Decoding(_) | ReaderState::Ended => {
                    let n = self.decoded.read(buffer)?;
                    if n > 0 || matches!(self.state, ReaderState::Ended) {
                        return Ok(n);
                    }
                    self.decode()?;
                }
            }
        }
    }
}

/// The encoding of `sample`, which begins at the first byte beyond ASCII; `None` for UTF-8, also with a
/// few broken bytes.
fn guess(sample: &[u8]) -> Option<&'static Encoding> {
    let (mut n_valid, mut n_broken, mut in_words) = (0_usize, 0_usize, false);
    for chunk in sample.utf8_chunks() {
        n_valid += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        let broken = chunk.invalid();
        n_broken += usize::from(!broken.is_empty());
    }
    for (at, byte) in sample.iter().enumerate().filter(|(_, byte)| !byte.is_ascii()) {
        let beside =
            |at: usize| sample.get(at).is_some_and(|b| b.is_ascii_alphabetic() || !b.is_ascii());
        in_words |= *byte >= 0x80 && (beside(at + 1) || at > 0 && beside(at - 1));
    }
    // The sample may end within a character, and a lone byte outside words is damage.
    let cut = sample.len() == SAMPLE_BYTES;
    if n_broken <= usize::from(cut) || n_valid >= n_broken || !in_words {
        return None;
    }
    let mut detector = EncodingDetector::new();
    detector.feed(sample, true);
    Some(detector.guess(None, false)).filter(|encoding| *encoding != UTF_8)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], wanted: FileEncoding) -> (Vec<u8>, Option<(&'static str, bool)>) {
        let head = &bytes[..bytes.len().min(64)];
        let mut reader = Utf8Reader::new(bytes, head, wanted).unwrap();
        let mut text = Vec::new();
        reader.read_to_end(&mut text).unwrap();
        (text, reader.found().get().map(|(encoding, guessed)| (encoding.name(), *guessed)))
    }

    const GERMAN: &str =
        "user;text\nann;Das Gerät läuft für fünf Stunden, schön.\nbo;Größer wäre besser.\n";
    const RUSSIAN: &str = "user;text\nann;Крышка заедает, но чайник хороший.\nbo;Ручка не греется, вода кипит быстро.\n";

    #[test]
    fn legacy_encodings_are_guessed_and_can_be_named() {
        for (text, name) in
            [(GERMAN, "windows-1252"), (RUSSIAN, "windows-1251"), (RUSSIAN, "KOI8-U")]
        {
            let encoding = Encoding::for_label(name.as_bytes()).unwrap();
            let (bytes, ..) = encoding.encode(text);
            let (detected, found) = read(&bytes, FileEncoding::Detected);
            assert_eq!(String::from_utf8(detected).unwrap(), text);
            assert_eq!(found, Some((name, true)));
            let (named, found) = read(&bytes, FileEncoding::of(name).unwrap());
            assert_eq!(String::from_utf8(named).unwrap(), text);
            assert_eq!(found, Some((name, false)));
        }
        assert_eq!(FileEncoding::of("latin-1").unwrap(), FileEncoding::of("windows-1252").unwrap());
        assert!(matches!(FileEncoding::of("klingon"), Err(Error::UnknownEncoding { .. })));
    }

    #[test]
    fn utf_16_is_known_by_its_mark_or_its_zeros() {
        for mark in ["", "\u{feff}"] {
            let text = format!("{mark}{GERMAN}");
            for (name, bytes) in [
                ("UTF-16LE", text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
                ("UTF-16BE", text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
            ] {
                let (read, found) = read(&bytes, FileEncoding::Detected);
                assert_eq!(String::from_utf8(read).unwrap(), GERMAN);
                assert_eq!(found, Some((name, mark.is_empty())));
            }
        }
    }

    #[test]
    fn utf_8_passes_through_with_its_broken_bytes() {
        let text = format!("{}{GERMAN}", "a\n".repeat(40_000));
        assert_eq!(read(text.as_bytes(), FileEncoding::Detected).0, text.as_bytes());
        let marked = format!("\u{feff}{GERMAN}");
        assert_eq!(read(marked.as_bytes(), FileEncoding::Detected).0, GERMAN.as_bytes());
        let damaged = [GERMAN.as_bytes(), b"cy;\xff\xfeoh\n"].concat();
        assert_eq!(read(&damaged, FileEncoding::Detected).0, damaged);
        let alone = b"{\"text\": \"\xff\"}\n";
        assert_eq!(read(alone, FileEncoding::Detected).0, alone);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let (text, found) = read(&bytes, FileEncoding::Detected);
            if found.is_none_or(|(name, _)| name == "UTF-8") {
                let mark = bytes.starts_with(b"\xef\xbb\xbf");
                prop_assert_eq!(&text, &bytes[if mark { 3 } else { 0 }..]);
            } else {
                prop_assert!(String::from_utf8(text).is_ok());
            }
        }

        #[test]
        fn any_text_in_utf_8_stays(text in ".*") {
            let expected = text.strip_prefix('\u{feff}').unwrap_or(&text);
            let (read, _) = read(text.as_bytes(), FileEncoding::Named(UTF_8));
            prop_assert_eq!(String::from_utf8(read).unwrap(), expected);
        }
    }
}
