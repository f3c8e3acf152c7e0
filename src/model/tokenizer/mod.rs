//! Text to token ids and back, from a GGUF's vocabulary or a `tokenizer.json`.
//!
//! Data never yields a control token. Control tokens, and user-defined tokens that look like markup
//! (`<think>`, `[TOOL]`), are found by their text in [`Piece::Markup`] only, longest first; what lies
//! between them, markup or data, is joined and encoded as one run, so that an ordinary text gets the
//! ids that the reference tokenizer gives to the whole rendered prompt. The same text in
//! [`Piece::Data`] is spelled out in ordinary tokens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use sha2::{Digest, Sha256};

use self::bpe::Bpe;
use self::json::{Contents, Json};
use self::markers::{Markers, Stretch};
use self::merge::Merger;
use self::pretokenizer::PreTokenizer;
use self::spm::Spm;
use self::vocab::{Use, Vocab};
use super::{Error, Result, gguf::Gguf, hash::hex};

mod bpe;
mod byte_level;
mod json;
mod markers;
mod merge;
mod pretokenizer;
mod spm;
mod stream;
#[cfg(test)]
mod tests;
mod vocab;

pub use stream::Utf8Stream;

/// A piece of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Written by a template: control tokens in it are control tokens.
    Markup(String),
    /// Written by anybody else: never yields a control token.
    Data(String),
}

/// Text to token ids and back.
pub struct Tokenizer {
    model: Model,
    /// Tokens that only markup yields.
    markers: Markers,
    /// User-defined tokens that any text yields.
    literals: Markers,
    /// Bytes in running text, by id; none for control tokens.
    bytes: Vec<Box<[u8]>>,
    control: BTreeSet<u32>,
    ends: BTreeSet<u32>,
    bos: Option<u32>,
    fingerprint: String,
}

/// Far more than any vocabulary has; keeps a broken file from asking for all memory.
const MOST_TOKENS: usize = 1 << 24;

enum Model {
    Bpe(Bpe),
    Spm(Spm),
    Json(Box<Json>),
}

impl Tokenizer {
    /// From a file's `tokenizer.ggml.*` metadata.
    ///
    /// # Errors
    /// If the metadata contradict each other, or name a kind of vocabulary (other than `gpt2` and
    /// `llama`) or a pre-tokenizer that is not known.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self> {
        let kind = gguf.string("tokenizer.ggml.model")?;
        let vocab = Vocab::read(gguf)?;
        let (model, add_bos, pre) = match kind {
            "gpt2" => {
                let pre = pretokenizer_name(gguf)?;
                let pretokenizer = PreTokenizer::named(pre)?;
                let add_bos = pretokenizer.family().add_bos;
                (Model::Bpe(Bpe::new(&vocab, pretokenizer)?), add_bos, pre)
            }
            "llama" => (Model::Spm(Spm::new(&vocab)), true, ""),
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

    /// From a `tokenizer.json`; the ids of special tokens and the size of the vocabulary still come
    /// from the GGUF where it states them. Truncation and padding that the file asks for are not
    /// done.
    ///
    /// # Errors
    /// If the file cannot be read or parsed, or its tokens are not those of the GGUF.
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
        if n_listed > MOST_TOKENS {
            return Err(Error::Malformed {
                path: path.to_owned(),
                what: format!("has a token id {}, expected less than {MOST_TOKENS}", n_listed - 1),
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
            model: Model::Json(Box::new(contents.json)),
            fingerprint: hex(&hash.finalize()),
        })
    }

    /// Encodes data: no control token ever results, and none is added.
    ///
    /// # Errors
    /// If the vocabulary has no way to spell the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::with_capacity(text.len() / 4 + 1);
        self.encode_run(text, true, &mut Merger::default(), &mut ids)?;
        Ok(ids)
    }

    /// Encodes neighbouring pieces as one text, control tokens only out of markup; adds BOS where
    /// the model wants one (`tokenizer.ggml.add_bos_token`, or its family's habit) and the markup
    /// did not bring it. EOS is never added.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_pieces(&self, pieces: &[Piece]) -> Result<Vec<u32>> {
        let mut merger = Merger::default();
        let mut ids = Vec::new();
        let mut run = String::new();
        let mut at_start = true;
        for piece in pieces {
            let markup = match piece {
                Piece::Data(text) => {
                    run.push_str(text);
                    continue;
                }
                Piece::Markup(text) => text,
            };
            for stretch in self.markers.split(markup) {
                match stretch {
                    Stretch::Text(text) => run.push_str(text),
                    Stretch::Marker(id) => {
                        self.encode_run(&run, at_start, &mut merger, &mut ids)?;
                        run.clear();
                        ids.push(id);
                        at_start = false;
                    }
                }
            }
        }
        self.encode_run(&run, at_start, &mut merger, &mut ids)?;
        if let Some(bos) = self.bos
            && ids.first() != Some(&bos)
        {
            ids.insert(0, bos);
        }
        Ok(ids)
    }

    /// The text of ids, control tokens left out; bytes that form no character become U+FFFD. Where
    /// the vocabulary puts a space before a text, that space is taken off again, so that decoding
    /// gives back what was encoded. To go on with a text that has begun, put
    /// [`Tokenizer::bytes`] through a [`Utf8Stream`] instead.
    ///
    /// # Errors
    /// If an id is not in the vocabulary.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        let mut bytes = Vec::with_capacity(ids.len() * 4);
        for &id in ids {
            let Some(piece) = self.bytes.get(id as usize) else {
                return Err(Error::Tokenizer(format!(
                    "decode: id {id} is outside of the vocabulary of {}",
                    self.n_vocab()
                )));
            };
            bytes.extend_from_slice(piece);
        }
        if self.puts_space_first() && bytes.first() == Some(&b' ') {
            bytes.remove(0);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Bytes of one token as it appears in running text; empty for control tokens and for ids
    /// outside of the vocabulary.
    #[must_use]
    pub fn bytes(&self, id: u32) -> &[u8] {
        self.bytes.get(id as usize).map_or(&[], |bytes| bytes)
    }

    /// Number of ids; each is below it.
    #[must_use]
    pub fn n_vocab(&self) -> usize {
        self.bytes.len()
    }

    /// Whether a completion ends at this token (EOS, end of turn, ...).
    #[must_use]
    pub fn is_end(&self, id: u32) -> bool {
        self.ends.contains(&id)
    }

    /// Whether this is a control token, which no data yields.
    #[must_use]
    pub fn is_control(&self, id: u32) -> bool {
        self.control.contains(&id)
    }

    /// Id of the token that markup yields for exactly this text, e.g. `<|im_end|>`.
    #[must_use]
    pub fn marker(&self, text: &str) -> Option<u32> {
        self.markers.id(text)
    }

    /// Hash of everything that decides the ids: SHA-256, lower-case hexadecimal.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Encodes ordinary text that stands at the start of a prompt or behind a marker.
    fn encode_run(
        &self,
        text: &str,
        at_start: bool,
        merger: &mut Merger,
        ids: &mut Vec<u32>,
    ) -> Result<()> {
        if u32::try_from(text.len()).is_err() || text.len() > u32::MAX as usize / 4 {
            return Err(Error::Tokenizer(format!(
                "a text of {} bytes is too long, expected less than 1 GiB",
                text.len()
            )));
        }
        let from = ids.len();
        for (index, stretch) in self.literals.split(text).into_iter().enumerate() {
            let at_start = at_start && index == 0;
            match (stretch, &self.model) {
                (Stretch::Marker(id), _) => ids.push(id),
                (Stretch::Text(text), Model::Bpe(bpe)) => bpe.encode(text, merger, ids)?,
                (Stretch::Text(text), Model::Spm(spm)) => spm.encode(text, merger, ids)?,
                (Stretch::Text(text), Model::Json(json)) => json.encode(text, at_start, ids)?,
            }
        }
        match ids[from..].iter().find(|id| self.control.contains(id)) {
            Some(id) => {
                Err(Error::Tokenizer(format!("a text encoded as data yielded control token {id}")))
            }
            None => Ok(()),
        }
    }

    fn puts_space_first(&self) -> bool {
        match &self.model {
            Model::Bpe(_) => false,
            Model::Spm(spm) => spm.puts_space_first(),
            Model::Json(json) => {
                let mut ids = Vec::new();
                json.encode("a", true, &mut ids).is_ok()
                    && ids.first().is_some_and(|&id| self.bytes(id).first() == Some(&b' '))
            }
        }
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("n_vocab", &self.n_vocab())
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

fn pretokenizer_name(gguf: &Gguf) -> Result<&str> {
    const KEY: &str = "tokenizer.ggml.pre";
    if gguf.value(KEY).is_some() {
        return gguf.string(KEY);
    }
    // Files from before the key came up; of these architectures all vocabularies are cut alike.
    match gguf.architecture()? {
        "gpt2" | "gptneox" | "mpt" => Ok("gpt-2"),
        _ => Err(Error::Tokenizer(format!(
            "{}: has no metadata `{KEY}`, without which texts would be cut wrongly. Hint: convert \
             the model anew, or put its `tokenizer.json` beside the GGUF file",
            gguf.path().display()
        ))),
    }
}

/// The token that every prompt begins with, if the file or its family wants one.
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

fn bytes_of(vocab: &Vocab<'_>, model: &Model, (id, text, used): (u32, &str, Use)) -> Box<[u8]> {
    let spelled = match used {
        Use::Marker if vocab.is_control(id) => Vec::new(),
        Use::Byte(byte) => vec![byte],
        Use::Marker | Use::Literal => text.as_bytes().to_vec(),
        Use::Text | Use::Idle => match model {
            Model::Spm(_) => text.replace(spm::SPACE, " ").into_bytes(),
            Model::Bpe(_) | Model::Json(_) => {
                byte_level::to_bytes(text).unwrap_or_else(|| text.as_bytes().to_vec())
            }
        },
    };
    spelled.into_boxed_slice()
}

/// Refuses a `tokenizer.json` whose added tokens are others than the GGUF's.
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
