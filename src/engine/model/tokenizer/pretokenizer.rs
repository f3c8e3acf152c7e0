//! Pre-tokenizers: each model family's rules for splitting a text into words, within which BPE
//! merges.
//!
//! The patterns are those of the families' published `tokenizer.json` files, under the names that
//! GGUF files use for them (`tokenizer.ggml.pre`). They are applied in order, each within the
//! pieces left by the previous ones.

use std::ops::Range;

use fancy_regex::Regex;

use super::{Error, Result};

/// Splits a text into words.
#[derive(Debug)]
pub(super) struct PreTokenizer {
    patterns: Vec<Pattern>,
    family: &'static PretokenizerFamily,
}

/// Properties of a family of pre-tokenizers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PretokenizerFamily {
    names: &'static [&'static str],
    patterns: &'static [&'static str],
    /// Whether a word that is a token is encoded as that token, without merging.
    ignore_merges: bool,
    /// Whether BOS is added if the file does not say.
    pub(super) add_bos: bool,
}

impl PreTokenizer {
    /// Returns the pre-tokenizer of this name in `tokenizer.ggml.pre`.
    pub(super) fn named(name: &str) -> Result<Self> {
        let Some(family) = FAMILIES.iter().find(|family| family.names.contains(&name)) else {
            return Err(Error::Tokenizer(format!(
                "unknown pre-tokenizer `{name}` (`tokenizer.ggml.pre`); a wrong one would give \
                 wrong ids unnoticed. Known: {}. Hint: put the model's `tokenizer.json` beside the \
                 GGUF file",
                FAMILIES
                    .iter()
                    .flat_map(|family| family.names)
                    .copied()
                    .collect::<Vec<_>>()
                    .join(", ")
            )));
        };
        let patterns = family
            .patterns
            .iter()
            .map(|source| {
                Pattern::new(source).map_err(|error| {
                    Error::Tokenizer(format!("pattern of pre-tokenizer `{name}`: {error}"))
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { patterns, family })
    }

    pub(super) fn family(&self) -> &'static PretokenizerFamily {
        self.family
    }

    pub(super) fn ignores_merges(&self) -> bool {
        self.family.ignore_merges
    }

    /// Returns the words of a text as byte ranges that cover it without gaps.
    pub(super) fn split(&self, text: &str) -> Result<Vec<Range<usize>>> {
        let mut pieces = Vec::new();
        if !text.is_empty() {
            pieces.push(0..text.len());
        }
        for pattern in &self.patterns {
            let mut cut = Vec::with_capacity(pieces.len() + text.len() / 8);
            for piece in pieces {
                pattern.split(text, piece, &mut cut)?;
            }
            pieces = cut;
        }
        Ok(pieces)
    }
}

/// One pattern.
///
/// Many families' patterns end with `\s+(?!\S)|\s+`: of white space before a word, the last
/// character belongs to the word. A look-ahead makes the regex engine backtrack and keep a state
/// for each white-space character. Therefore `\s+` is searched instead, in linear time, and the
/// last character is given back here.
#[derive(Debug)]
struct Pattern {
    regex: Regex,
    space: SpaceHandling,
}

/// Handling of a match that ends in white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SpaceHandling {
    /// The match is kept as it is.
    Plain,
    /// The last alternative (`\s+`) matched: if a word follows, the last character is given back to
    /// it.
    GivesBack,
    /// Like `GivesBack`, unless the match ends with a line end: then the alternative for line ends
    /// matched.
    GivesBackInsideLine,
}

const LOOK_AHEAD: &str = r"|\s+(?!\S)|\s+";
const LINE_ENDS: &str = r"|\s*[\r\n]+|\s+";

impl Pattern {
    fn new(source: &str) -> Result<Self, fancy_regex::Error> {
        let Some(head) = source.strip_suffix(LOOK_AHEAD) else {
            return Ok(Self { regex: Regex::new(source)?, space: SpaceHandling::Plain });
        };
        let source = format!(r"{head}|\s+");
        let space = match source.ends_with(LINE_ENDS) {
            true => SpaceHandling::GivesBackInsideLine,
            false => SpaceHandling::GivesBack,
        };
        Ok(Self { regex: Regex::new(&source)?, space })
    }

    /// Splits one piece into the matches and the text between them.
    fn split(&self, text: &str, piece: Range<usize>, cut: &mut Vec<Range<usize>>) -> Result<()> {
        // Only the piece is searched: the result must not depend on the text around it.
        let (offset, text) = (piece.start, &text[piece]);
        let (mut at, mut end) = (0, 0);
        while at < text.len() {
            let found = self.regex.find_from_pos(text, at).map_err(|error| {
                Error::Tokenizer(format!("cut a text of {} bytes into words: {error}", text.len()))
            })?;
            let Some(found) = found.filter(|found| found.end() > found.start()) else { break };
            let found_end = self.given_back(text, found.start()..found.end());
            if end < found.start() {
                cut.push(offset + end..offset + found.start());
            }
            cut.push(offset + found.start()..offset + found_end);
            at = found_end;
            end = found_end;
        }
        if end < text.len() {
            cut.push(offset + end..offset + text.len());
        }
        Ok(())
    }

    /// Returns the end of a match, after its last white space was given back to the following word
    /// if necessary.
    fn given_back(&self, text: &str, found: Range<usize>) -> usize {
        let matched = &text[found.clone()];
        let Some(last) = matched.chars().next_back().filter(|last| last.is_whitespace()) else {
            return found.end;
        };
        let keeps = match self.space {
            SpaceHandling::Plain => true,
            SpaceHandling::GivesBack => false,
            SpaceHandling::GivesBackInsideLine => matches!(last, '\r' | '\n'),
        };
        let alone = matched.len() == last.len_utf8();
        // Only the last alternative can end in white space other than a line end, so the whole
        // match is white space.
        if keeps || alone || found.end == text.len() {
            return found.end;
        }
        found.end - last.len_utf8()
    }
}

const DIGIT: &str = r"\p{N}";
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN35: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const BLOOM: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";

/// The letters of DeepSeek LLM's second pattern: cased letters as of the Unicode version it used.
const DEEPSEEK_LETTERS: &str = concat!(
    r"\s?[",
    r"A-Za-z\x{00B5}\x{00C0}-\x{00D6}\x{00D8}-\x{00F6}\x{00F8}-\x{01BA}\x{01BC}-\x{01BF}",
    r"\x{01C4}-\x{0293}\x{0295}-\x{02AF}\x{0370}-\x{0373}\x{0376}\x{0377}\x{037B}-\x{037D}",
    r"\x{037F}\x{0386}\x{0388}-\x{038A}\x{038C}\x{038E}-\x{03A1}\x{03A3}-\x{03F5}",
    r"\x{03F7}-\x{0481}\x{048A}-\x{052F}\x{0531}-\x{0556}\x{10A0}-\x{10C5}\x{13A0}-\x{13F5}",
    r"\x{13F8}-\x{13FD}\x{1C90}-\x{1CBA}\x{1CBD}-\x{1CBF}\x{1D00}-\x{1D2B}\x{1D6B}-\x{1D77}",
    r"\x{1D79}-\x{1D9A}\x{1E00}-\x{1F15}\x{1F18}-\x{1F1D}\x{1F20}-\x{1F45}\x{1F48}-\x{1F4D}",
    r"\x{1F50}-\x{1F57}\x{1F59}\x{1F5B}\x{1F5D}\x{1F5F}-\x{1F7D}\x{1F80}-\x{1FB4}",
    r"\x{1FB6}-\x{1FBC}\x{1FBE}\x{1FC2}-\x{1FC4}\x{1FC6}-\x{1FCC}\x{1FD0}-\x{1FD3}",
    r"\x{1FD6}-\x{1FDB}\x{1FE0}-\x{1FEC}\x{1FF2}-\x{1FF4}\x{1FF6}-\x{1FFC}\x{2102}\x{2107}",
    r"\x{210A}-\x{2113}\x{2115}\x{2119}-\x{211D}\x{2124}\x{2126}\x{2128}\x{212A}-\x{212D}",
    r"\x{212F}-\x{2134}\x{2139}\x{213C}-\x{213F}\x{2145}-\x{2149}\x{214E}\x{2183}\x{2184}",
    r"\x{2C00}-\x{2C7B}\x{2C7E}-\x{2CE4}\x{2CEB}-\x{2CEE}\x{2CF2}\x{2CF3}\x{A640}-\x{A66D}",
    r"\x{A680}-\x{A69B}\x{A722}-\x{A76F}\x{A771}-\x{A787}\x{A78B}-\x{A78E}\x{AB70}-\x{ABBF}",
    r"\x{FB00}-\x{FB06}\x{FB13}-\x{FB17}\x{FF21}-\x{FF3A}\x{FF41}-\x{FF5A}\x{10400}-\x{1044F}",
    r"\x{104B0}-\x{104D3}\x{104D8}-\x{104FB}\x{10C80}-\x{10CB2}\x{10CC0}-\x{10CF2}",
    r"\x{118A0}-\x{118DF}\x{1E900}-\x{1E943}",
    r"]+"
);
const DEEPSEEK_CJK: &str = r"[\x{4E00}-\x{9FA5}\x{0800}-\x{4E00}\x{AC00}-\x{D7FF}]+";
const DEEPSEEK_V3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;

const FAMILIES: &[PretokenizerFamily] = &[
    family(
        &[
            "gpt-2",
            "phi-2",
            "mpt",
            "olmo",
            "jais",
            "exaone4",
            "gigachat",
            "mellum",
            "modern-bert",
            "granite-docling",
        ],
        &[GPT2],
    ),
    family(
        &["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"],
        &[DIGIT, GPT2],
    ),
    family(
        &["qwen2", "deepseek-r1-qwen", "stablelm2", "megrez", "hunyuan", "kormo", "grok-2"],
        &[QWEN2],
    ),
    family(&["qwen35"], &[QWEN35]),
    PretokenizerFamily {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "lfm2"],
        patterns: &[LLAMA3],
        ignore_merges: true,
        add_bos: true,
    },
    PretokenizerFamily {
        names: &["glm4"],
        patterns: &[LLAMA3],
        ignore_merges: true,
        add_bos: false,
    },
    family(&["dbrx", "smaug-bpe", "chatglm-bpe"], &[LLAMA3]),
    PretokenizerFamily {
        names: &["tekken"],
        patterns: &[TEKKEN],
        ignore_merges: true,
        add_bos: true,
    },
    family(&["gpt-4o", "llama4"], &[GPT4O]),
    family(
        &["deepseek-llm"],
        &[
            r"[\r\n]",
            DEEPSEEK_LETTERS,
            r"\s?[!-/:-~\x{FF01}-\x{FF0F}\x{FF1A}-\x{FF5E}\x{2018}-\x{201F}\x{3000}-\x{3002}]+",
            r"\s+$",
            DEEPSEEK_CJK,
            r"\p{N}+",
        ],
    ),
    family(&["deepseek-coder"], &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", DEEPSEEK_CJK, DIGIT]),
    family(
        &["deepseek-v3", "hunyuan-dense"],
        &[r"\p{N}{1,3}", r"[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+", DEEPSEEK_V3],
    ),
    family(&["falcon"], &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2, r"[0-9][0-9][0-9]"]),
    PretokenizerFamily {
        names: &["chameleon"],
        patterns: &[
            r"<sentinel:[0-9]+>",
            r"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
            r"([\t\n]|    |  )",
            DIGIT,
            r"[\p{P}!-/:-@\[-`{-~]",
            GPT2,
        ],
        ignore_merges: false,
        add_bos: true,
    },
    family(&["bloom", "poro-chat", "gpt3-finnish"], &[BLOOM]),
    family(&["viking"], &[BLOOM, DIGIT]),
    // llama.cpp's default; files that name it were made for it.
    family(&["default"], &[r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", r"[0-9][0-9][0-9]"]),
];

const fn family(
    names: &'static [&'static str],
    patterns: &'static [&'static str],
) -> PretokenizerFamily {
    PretokenizerFamily { names, patterns, ignore_merges: false, add_bos: false }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn words<'a>(name: &str, text: &'a str) -> Vec<&'a str> {
        let ranges = PreTokenizer::named(name).unwrap().split(text).unwrap();
        ranges.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn families_cut_as_published() {
        let text = "I've 1234 tests,\n\n  DON'T they?";
        assert_eq!(
            words("gpt-2", text),
            ["I", "'ve", " 1234", " tests", ",", "\n\n ", " DON", "'", "T", " they", "?"]
        );
        assert_eq!(
            words("smollm", text),
            [
                "I", "'ve", " ", "1", "2", "3", "4", " tests", ",", "\n\n ", " DON", "'", "T",
                " they", "?"
            ]
        );
        assert_eq!(
            words("llama-bpe", text),
            ["I", "'ve", " ", "123", "4", " tests", ",\n\n", " ", " DON", "'T", " they", "?"]
        );
    }

    #[test]
    fn an_unknown_name_is_an_error_that_names_it() {
        let error = PreTokenizer::named("klingon").unwrap_err().to_string();
        assert!(error.contains("`klingon`") && error.contains("tokenizer.json"), "{error}");
    }

    #[test]
    fn every_pattern_compiles() {
        for family in FAMILIES {
            PreTokenizer::named(family.names[0]).unwrap();
        }
    }

    proptest! {
        #[test]
        fn space_is_given_back_as_a_look_ahead_would_have_it(text in "([ \\t\\r\\n\u{3000}]{0,3}[a'T1.é]{0,2}){0,8}|.*") {
            for source in [GPT2, LLAMA3, QWEN2, TEKKEN, GPT4O, DEEPSEEK_V3, QWEN35] {
                let mut cut = Vec::new();
                Pattern::new(source).unwrap().split(&text, 0..text.len(), &mut cut).unwrap();
                let mut expected = Vec::new();
                let mut end = 0;
                for found in Regex::new(source).unwrap().find_iter(&text) {
                    let found = found.unwrap();
                    if end < found.start() {
                        expected.push(end..found.start());
                    }
                    end = found.end();
                    expected.push(found.start()..end);
                }
                if end < text.len() {
                    expected.push(end..text.len());
                }
                prop_assert_eq!(cut, expected);
            }
        }

        #[test]
        fn nothing_is_lost(text in ".*|[ \\t\\n'sA-Z0-9,.]*|\\PC*", family in 0..FAMILIES.len()) {
            let name = FAMILIES[family].names[0];
            prop_assert_eq!(words(name, &text).concat(), text);
        }
    }
}
