//! Builds tokenizers from files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::bpe::Bpe;
use super::json::Contents;
use super::markers::Markers;
use super::pretokenizer::PreTokenizer;
use super::spm::{self, Spm};
use super::vocab::{self, Use, Vocab};
use super::{Error, Result, Tokenizer, TokenizerModel, byte_level};
use crate::model::gguf::Gguf;
use crate::model::hash::hex;

/// Maximum number of tokens, four times the largest vocabularies; bounds the memory for a malformed file,
/// which may name one token with a large id.
const MAX_TOKENS: usize = 1 << 20;

impl Tokenizer {
    /// Builds the tokenizer from a file's `tokenizer.ggml.*` metadata.
    ///
    /// # Errors
    /// The metadata contradict each other, or name an unknown type of vocabulary (other than `gpt2`
    /// and `llama`) or an unknown pre-tokenizer.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self> {
        let kind = gguf.string("tokenizer.ggml.model")?;
        let vocab = Vocab::read(gguf)?;
        let (model, add_bos, pre) = match kind {
            "gpt2" => {
                check_merges(&vocab, gguf)?;
                let pre = pretokenizer_name(gguf)?;
                let pretokenizer = PreTokenizer::named(pre)?;
                let add_bos = pretokenizer.family().add_bos;
                (TokenizerModel::Bpe(Box::new(Bpe::new(&vocab, pretokenizer)?)), add_bos, pre)
            }
            "llama" => (TokenizerModel::Spm(Box::new(Spm::new(&vocab))), true, ""),
            other => {
                return Err(Error::Tokenizer(format!(
                    "{}: vocabulary of kind `{other}` (`tokenizer.ggml.model`) is not supported, \
                     expected `gpt2` or `llama`. Hint: put the model's `tokenizer.json` beside the \
                     GGUF file",
                    gguf.path().display()
                )));
            }
        };
        let bos = bos(&vocab, add_bos)?;
        let space_prefix = vocab.flag("tokenizer.ggml.add_space_prefix");
        let mut hash = Sha256::new();
        hash.update(format!("tokenizer 1\0{kind}\0{pre}\0{bos:?}\0{space_prefix:?}\0"));
        vocab.hash_into(&mut hash);

        let of_use = |wanted| {
            Markers::new(
                vocab.tokens().filter(|&(.., used)| used == wanted).map(|(id, text, _)| (text, id)),
            )
        };
        Ok(Self {
            markers: of_use(Use::Marker),
            literals: of_use(Use::Literal),
            bytes: vocab.tokens().map(|token| bytes_of(&vocab, &model, token)).collect(),
            control: vocab.tokens().map(|(id, ..)| id).filter(|&id| vocab.is_control(id)).collect(),
            ends: vocab.ends()?,
            bos,
            model,
            fingerprint: hex(&hash.finalize()),
        })
    }

    /// Builds the tokenizer from a `tokenizer.json`. The ids of special tokens and the size of the
    /// vocabulary still come from the GGUF if it states them. The file's truncation and padding are
    /// ignored.
    ///
    /// # Errors
    /// The file cannot be read or parsed, or its tokens are not those of the GGUF.
    pub fn from_file(path: &Path, gguf: &Gguf) -> Result<Self> {
        let text = std::fs::read(path).map_err(|source| Error::Io {
            operation: "read",
            path: path.to_owned(),
            source,
        })?;
        let contents = Contents::parse(&text, path)?;
        let vocab =
            gguf.value("tokenizer.ggml.tokens").is_some().then(|| Vocab::read(gguf)).transpose()?;
        if let Some(vocab) = &vocab {
            same_tokens(&contents, vocab, path)?;
        }
        let texts = &contents.texts;
        let mut ends: BTreeSet<u32> = contents
            .markers
            .keys()
            .copied()
            .filter(|id| texts.get(id).is_some_and(|text| vocab::is_end_name(text)))
            .collect();
        let bos = match &vocab {
            Some(vocab) => {
                ends.extend(vocab.ends()?);
                bos(vocab, contents.prepended.is_some_and(|id| vocab.bos == Some(id)))?
            }
            None => contents.prepended,
        };
        let n_listed = texts.last_key_value().map_or(0, |(&id, _)| id as usize + 1);
        if n_listed > MAX_TOKENS {
            return Err(Error::Malformed {
                path: path.to_owned(),
                what: format!("has a token id {}, expected less than {MAX_TOKENS}", n_listed - 1),
            });
        }
        let n_vocab = vocab.as_ref().map_or(n_listed, |vocab| vocab.len().max(n_listed));
        let mut bytes = vec![Box::<[u8]>::default(); n_vocab];
        for (id, spelled) in contents.bytes {
            bytes[id as usize] = spelled.into_boxed_slice();
        }
        let mut hash = Sha256::new();
        hash.update(format!("tokenizer.json 1\0{bos:?}\0{n_vocab}\0"));
        hash.update(&text);
        Ok(Self {
            markers: Markers::new(
                contents.markers.keys().filter_map(|id| Some((texts.get(id)?.as_str(), *id))),
            ),
            literals: Markers::new(
                contents.literals.iter().filter_map(|id| Some((texts.get(id)?.as_str(), *id))),
            ),
            bytes,
            control: contents
                .markers
                .iter()
                .filter(|(_, special)| **special)
                .map(|(&id, _)| id)
                .collect(),
            ends,
            bos,
            model: TokenizerModel::Json(Box::new(contents.json)),
            fingerprint: hex(&hash.finalize()),
        })
    }
}

fn pretokenizer_name(gguf: &Gguf) -> Result<&str> {
    const KEY: &str = "tokenizer.ggml.pre";
    if gguf.value(KEY).is_some() {
        return gguf.string(KEY);
    }
    // For files older than the key. All vocabularies of these architectures use the same
    // pre-tokenizer.
    match gguf.architecture()? {
        "gpt2" | "gptneox" | "mpt" => Ok("gpt-2"),
        _ => Err(Error::Tokenizer(format!(
            "{}: has no metadata `{KEY}`, without which texts would be cut wrongly. Hint: convert \
             the model anew, or put its `tokenizer.json` beside the GGUF file",
            gguf.path().display()
        ))),
    }
}

/// Returns the BOS token if the file, or by default its family (`by_habit`), requires one at the
/// beginning of every prompt.
/// Refuses a BPE vocabulary with tokens of several letters and no merges that make them: every letter
/// would be a token of its own, and the model has hardly seen such texts.
fn check_merges(vocab: &Vocab<'_>, gguf: &Gguf) -> Result<()> {
    let is_merged =
        |(_, text, used): (u32, &str, Use)| used == Use::Text && text.chars().nth(1).is_some();
    if vocab.merges.is_empty() && vocab.tokens().any(is_merged) {
        return Err(Error::Tokenizer(format!(
            "{}: the vocabulary has no merges (`tokenizer.ggml.merges` is missing or empty), so that texts \
             cannot be split into its tokens. Hint: put the model's `tokenizer.json` beside the GGUF file, \
             or convert the model again",
            gguf.path().display()
        )));
    }
    Ok(())
}

fn bos(vocab: &Vocab<'_>, by_habit: bool) -> Result<Option<u32>> {
    if !vocab.flag("tokenizer.ggml.add_bos_token").unwrap_or(by_habit) {
        return Ok(None);
    }
    match vocab.bos {
        Some(bos) => Ok(Some(bos)),
        None => Err(vocab.malformed(
            "wants a BOS token before each text but has no `tokenizer.ggml.bos_token_id`"
                .to_owned(),
        )),
    }
}

fn bytes_of(
    vocab: &Vocab<'_>,
    model: &TokenizerModel,
    (id, text, used): (u32, &str, Use),
) -> Box<[u8]> {
    let spelled = match used {
        Use::Marker if vocab.is_control(id) => Vec::new(),
        Use::Byte(byte) => vec![byte],
        Use::Marker | Use::Literal => text.as_bytes().to_vec(),
        Use::Text | Use::Idle => match model {
            TokenizerModel::Spm(_) => text.replace(spm::SPACE, " ").into_bytes(),
            TokenizerModel::Bpe(_) | TokenizerModel::Json(_) => {
                byte_level::to_bytes(text).unwrap_or_else(|| text.as_bytes().to_vec())
            }
        },
    };
    spelled.into_boxed_slice()
}

/// Error if the markers of a `tokenizer.json` have other texts than in the GGUF.
fn same_tokens(contents: &Contents, vocab: &Vocab<'_>, path: &Path) -> Result<()> {
    let texts: &BTreeMap<u32, String> = &contents.texts;
    for &id in contents.markers.keys() {
        let (Some(here), Some(there)) = (texts.get(&id), vocab.text(id)) else { continue };
        if here != there {
            return Err(Error::Malformed {
                path: path.to_owned(),
                what: format!(
                    "token {id} is {here:?} but {there:?} in the GGUF file; this tokenizer.json \
                     belongs to another model"
                ),
            });
        }
    }
    Ok(())
}
