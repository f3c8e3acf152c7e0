//! Tokenizers from `tokenizer.json` files, using the `tokenizers` crate.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::byte_level;
use super::guarded::guarded;
use super::spm::SPACE;
use super::vocab::{byte_token, looks_like_markup};
use super::{Error, Result};

/// The pre-tokenizer and model of the file, without added tokens, post-processing, truncation and
/// padding.
pub(super) struct Json {
    /// Tokenizer for a text at the very beginning of a prompt.
    first: tokenizers::Tokenizer,
    /// Tokenizer for a text after a marker, if that differs.
    rest: Option<tokenizers::Tokenizer>,
}

/// Parsed contents of a `tokenizer.json`.
pub(super) struct Contents {
    pub(super) json: Json,
    /// Text of every token, by id.
    pub(super) texts: BTreeMap<u32, String>,
    /// Tokens that only markup yields, and whether each is a control token.
    pub(super) markers: BTreeMap<u32, bool>,
    /// Added tokens that any text yields.
    pub(super) literals: BTreeSet<u32>,
    /// Bytes of every token in running text; empty for control tokens.
    pub(super) bytes: BTreeMap<u32, Vec<u8>>,
    /// The token that the file's post-processor puts first, if any.
    pub(super) prepended: Option<u32>,
}

/// An entry of `added_tokens`.
#[derive(serde::Deserialize)]
struct Added {
    id: u32,
    content: String,
    special: bool,
}

impl Contents {
    /// Parses the file's text; `path` is for messages.
    pub(super) fn parse(text: &[u8], path: &Path) -> Result<Self> {
        let malformed = |what: String| Error::Malformed { path: path.to_owned(), what };
        let mut value: Value = serde_json::from_slice(text)
            .map_err(|error| malformed(format!("not a tokenizer.json: {error}")))?;
        if !value.is_object() {
            return Err(malformed("not a tokenizer.json: it is no JSON object".to_owned()));
        }
        let build = |value: &Value| {
            guarded(|| tokenizers::Tokenizer::from_bytes(value.to_string()))
                .map_err(|error| malformed(format!("not a usable tokenizer.json: {error}")))
        };
        value["truncation"] = Value::Null;
        value["padding"] = Value::Null;
        let whole = build(&value)?;

        let added: Vec<Added> = serde_json::from_value(value["added_tokens"].clone())
            .map_err(|error| malformed(format!("`added_tokens`: {error}")))?;
        let mut texts: BTreeMap<u32, String> =
            whole.get_vocab(false).into_iter().map(|(text, id)| (id, text)).collect();
        texts.extend(added.iter().map(|token| (token.id, token.content.clone())));
        let (markers, literals): (Vec<&Added>, Vec<&Added>) =
            added.iter().partition(|token| token.special || looks_like_markup(&token.content));
        let markers: BTreeMap<u32, bool> =
            markers.into_iter().map(|token| (token.id, token.special)).collect();
        let literals: BTreeSet<u32> = literals.into_iter().map(|token| token.id).collect();
        let decoder = Alphabet::of(&value["decoder"]).ok_or_else(|| {
            malformed(format!(
                "decoder {} is not supported, expected ByteLevel, or a Sequence or Metaspace that \
                 turns U+2581 into a space",
                value["decoder"]["type"]
            ))
        })?;
        let bytes = texts
            .iter()
            .map(|(&id, text)| {
                let bytes = match (markers.get(&id), literals.contains(&id)) {
                    (Some(true), _) => Vec::new(),
                    (Some(false), _) | (None, true) => text.clone().into_bytes(),
                    (None, false) => decoder.bytes(text),
                };
                (id, bytes)
            })
            .collect();
        let prepended = guarded(|| whole.encode("", true))
            .map_err(|error| malformed(format!("encode an empty text: {error}")))?
            .get_ids()
            .first()
            .copied();

        take_out(&mut value, &markers);
        let first = build(&value)?;
        let rest = behind_a_marker(&mut value).then(|| build(&value)).transpose()?;
        Ok(Self { json: Json { first, rest }, texts, markers, literals, bytes, prepended })
    }
}

impl Json {
    /// Encodes a text without yielding added tokens.
    pub(super) fn encode(&self, text: &str, at_start: bool, ids: &mut Vec<u32>) -> Result<()> {
        let tokenizer = match &self.rest {
            Some(rest) if !at_start => rest,
            _ => &self.first,
        };
        let encoding = guarded(|| tokenizer.encode_fast(text, false)).map_err(|error| {
            Error::Tokenizer(format!("encode a text of {} bytes: {error}", text.len()))
        })?;
        ids.extend_from_slice(encoding.get_ids());
        Ok(())
    }
}

/// Representation of bytes in the texts of tokens.
enum Alphabet {
    Gpt2,
    SentencePiece,
}

impl Alphabet {
    fn of(decoder: &Value) -> Option<Self> {
        match decoder["type"].as_str()? {
            "ByteLevel" => Some(Self::Gpt2),
            "Metaspace" | "ByteFallback" => Some(Self::SentencePiece),
            "Replace" if decoder["content"] == " " => Some(Self::SentencePiece),
            "Sequence" => decoder["decoders"].as_array()?.iter().find_map(Self::of),
            _ => None,
        }
    }

    fn bytes(&self, text: &str) -> Vec<u8> {
        match self {
            Self::Gpt2 => byte_level::to_bytes(text).unwrap_or_else(|| text.as_bytes().to_vec()),
            Self::SentencePiece => match byte_token(text) {
                Some(byte) => vec![byte],
                None => text.replace(SPACE, " ").into_bytes(),
            },
        }
    }
}

/// Removes the added tokens, the model's words that are markers, and everything that adds tokens.
fn take_out(value: &mut Value, markers: &BTreeMap<u32, bool>) {
    let is_marker = |id: &Value| {
        id.as_u64()
            .and_then(|id| u32::try_from(id).ok())
            .is_some_and(|id| markers.contains_key(&id))
    };
    value["post_processor"] = Value::Null;
    // The crate renumbers added tokens, starting at the model's size. They are found by this
    // program instead and keep the file's ids.
    value["added_tokens"] = Value::Array(Vec::new());
    let unknown = value["model"]["unk_token"].clone();
    if let Some(words) = value["model"]["vocab"].as_object_mut() {
        words.retain(|word, id| !is_marker(id) || unknown == word.as_str());
    }
}

/// Changes every pre-tokenizer that puts a space before only the first text so that it puts none.
/// Returns whether there was one.
fn behind_a_marker(value: &mut Value) -> bool {
    let mut changed = false;
    let mut never = |part: &mut Value| {
        if part["prepend_scheme"] == "first" {
            part["prepend_scheme"] = "never".into();
            changed = true;
        }
    };
    never(&mut value["pre_tokenizer"]);
    if let Some(parts) = value["pre_tokenizer"]["pretokenizers"].as_array_mut() {
        parts.iter_mut().for_each(never);
    }
    changed
}
