//! Sentence encoder: one embedding vector per text.
//!
//! The model folder's own files are read in `settings` and `architecture`. On the CPU, the network
//! runs on this program's kernels (`cpu`), in f32 or with int8 weights; on other devices it runs
//! on candle's (`candle`). The vectors are those of the sentence-transformers package (Reimers
//! and Gurevych 2019, Sentence-BERT).

mod architecture;
mod candle;
mod cpu;
mod error;
mod network;
mod options;
mod settings;
mod weights;

#[cfg(test)]
mod network_tests;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "testing"))]
mod tiny;

use candle_core::Device;
use rayon::prelude::*;
use tokenizers::{PostProcessor as _, Tokenizer, TruncationDirection};

use crate::key::Key;
use crate::model::tokenizer::guarded;
use crate::model::weights::check_safetensors;
use crate::model::{self, EncoderFiles};
use idiolect_kernels::Isa;

pub use error::{Error, Result};
use network::EncoderNetwork;
pub use options::{EncoderOptions, EncoderPrecision};
use settings::EncoderSettings;

/// Version of this code; increased whenever it would compute other vectors from the same files.
const CODE_VERSION: &str = "2";

/// Embedding of one text.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The vector, `[dimension]`; of unit length if the model normalises.
    pub vector: Vec<f32>,
    /// Tokens of the text before truncation, including special tokens.
    pub n_tokens: usize,
    /// Whether the text was truncated to the model's longest input.
    pub truncated: bool,
}

/// A loaded sentence encoder.
///
/// There is no padding and no mask: a vector depends neither on the other texts of the same call
/// nor on the number of threads.
pub struct Encoder {
    name: String,
    stamp: String,
    settings: EncoderSettings,
    tokenizer: Tokenizer,
    network: EncoderNetwork,
    precision: EncoderPrecision,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("name", &self.name).field("stamp", &self.stamp).finish()
    }
}

impl Encoder {
    /// Loads the weights onto `device`, in f32, with one thread per core.
    ///
    /// # Errors
    ///
    /// As [`Encoder::load_with`].
    pub fn load(files: &EncoderFiles, device: &Device) -> Result<Self> {
        let (device, isa) = (device.clone(), Isa::detect());
        Self::load_with(
            files,
            &EncoderOptions { device, precision: EncoderPrecision::F32, threads: 0, isa },
        )
    }

    /// Loads the weights according to `options`.
    ///
    /// # Errors
    ///
    /// A file is missing, truncated or malformed; the SHA-256 of the weights is not the one in
    /// `files`; an architecture, activation, pooling or module is not supported; neither the folder
    /// nor the catalog states the pooling; or int8 has no kernels for the device or a width
    /// ([`Error::NoInt8`]).
    pub fn load_with(files: &EncoderFiles, options: &EncoderOptions) -> Result<Self> {
        let settings = EncoderSettings::read(files)?;
        let weights_path = files.dir.join("model.safetensors");
        let weights = settings::read_file(&weights_path)?;
        let sha256 = settings::sha256(&weights);
        if !files.sha256.is_empty() && files.sha256 != sha256 {
            return Err(settings::malformed(
                &weights_path,
                format!(
                    "SHA-256 is {sha256}, expected {}; the file changed or is damaged, fetch it \
                     again with `idiolect models fetch {}`",
                    files.sha256, files.name
                ),
            ));
        }
        check_safetensors(&weights, &weights_path)?;
        let network =
            EncoderNetwork::load(&settings.architecture, weights, options).map_err(|error| {
                match error {
                    Error::NoInt8(_) => error,
                    other => settings::malformed(&weights_path, other.to_string()),
                }
            })?;
        let tokenizer_path = files.dir.join("tokenizer.json");
        let tokenizer_json = settings::read_file(&tokenizer_path)?;
        let tokenizer = load_tokenizer(&tokenizer_json, &settings)
            .map_err(|what| settings::malformed(&tokenizer_path, what))?;
        let mut stamp = Key::of("encoder")
            .with("code", CODE_VERSION)
            .with("weights", &sha256)
            .with("tokenizer", settings::sha256(&tokenizer_json))
            .with("settings", settings.fingerprint());
        if options.precision == EncoderPrecision::Int8 {
            stamp = stamp.with("precision", options.precision.name());
        }
        Ok(Self {
            name: files.name.clone(),
            stamp: stamp.finish().as_str().to_owned(),
            settings,
            tokenizer,
            network,
            precision: options.precision,
        })
    }

    /// Returns the catalog name or folder name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the hash of everything that determines a vector: weights, precision, tokenizer,
    /// architecture, pooling, normalisation, longest input, lower-casing, prompt and code version.
    /// Vectors of different stamps are never mixed.
    #[must_use]
    pub fn stamp(&self) -> &str {
        &self.stamp
    }

    /// Returns the number format of its weights.
    #[must_use]
    pub fn precision(&self) -> EncoderPrecision {
        self.precision
    }

    /// Returns the length of a vector.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.settings.architecture.hidden_size
    }

    /// Returns the longest input in tokens, including special tokens; longer texts are truncated at
    /// the end.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.settings.max_tokens
    }

    /// Computes the embeddings of texts, in the order of the texts.
    ///
    /// The encoder's prompt, if it has one, is put before each text, and white space around the result is
    /// dropped, as in sentence-transformers. An empty text gets the
    /// vector of its special tokens.
    ///
    /// # Errors
    ///
    /// The tokenizer fails or returns no tokens ([`Error::NoTokens`]), the network has no embedding
    /// for a token ([`Error::NoEmbedding`]), or a vector holds NaN or infinity, as with damaged
    /// weights ([`Error::NotFinite`]).
    pub fn encode<S: AsRef<str>>(&self, texts: &[S]) -> Result<Vec<Embedding>> {
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let tokens: Vec<Tokens> =
            texts.par_iter().map(|text| self.tokenize(text)).collect::<Result<_>>()?;
        if let Some(index) = tokens.iter().position(|tokens| tokens.ids.is_empty()) {
            return Err(Error::NoTokens { text: error::excerpt(texts[index]) });
        }
        let ids: Vec<&[u32]> = tokens.iter().map(|tokens| tokens.ids.as_slice()).collect();
        let pooled = self.network.pooled(&ids, self.settings.pooling)?;
        tokens
            .iter()
            .zip(pooled)
            .zip(texts)
            .map(|((tokens, vector), text)| {
                Ok(Embedding {
                    vector: self.finish(vector, text)?,
                    n_tokens: tokens.n_before_cut,
                    truncated: tokens.n_before_cut > tokens.ids.len(),
                })
            })
            .collect()
    }

    fn tokenize(&self, text: &str) -> Result<Tokens> {
        // As sentence-transformers does it: the prompt comes first, then white space is dropped.
        let prompted = format!("{}{text}", self.settings.prompt);
        let text = prompted.trim();
        let lowered = self.settings.lower_case.then(|| text.to_lowercase());
        let text = lowered.as_deref().unwrap_or(text);
        guarded(|| self.cut_and_frame(text)).map_err(|error| {
            model::Error::Tokenizer(format!("{error} in {}", error::excerpt(text))).into()
        })
    }

    /// Tokenizes `text`, truncates it at the end to the longest input, and adds the special tokens.
    fn cut_and_frame(&self, text: &str) -> tokenizers::Result<Tokens> {
        let mut encoding = self.tokenizer.encode(text, false)?;
        let n_special = self.tokenizer.get_post_processor().map_or(0, |p| p.added_tokens(false));
        let n_before_cut = encoding.len() + n_special;
        let n_content = self.settings.max_tokens.saturating_sub(n_special);
        encoding.truncate(n_content, 0, TruncationDirection::Right);
        let encoding = self.tokenizer.post_process(encoding, None, true)?;
        Ok(Tokens { ids: encoding.get_ids().to_vec(), n_before_cut })
    }

    /// Normalises a pooled vector if the model does so, and checks that it is finite.
    fn finish(&self, mut vector: Vec<f32>, text: &str) -> Result<Vec<f32>> {
        if self.settings.normalise {
            // As in torch's `normalize`, the lower bound keeps a zero vector zero.
            let norm = vector.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>().sqrt().max(1e-12);
            vector.iter_mut().for_each(|x| *x = (f64::from(*x) / norm) as f32);
        }
        if vector.iter().any(|x| !x.is_finite()) {
            return Err(Error::NotFinite {
                encoder: self.name.clone(),
                text: error::excerpt(text),
            });
        }
        Ok(vector)
    }
}

struct Tokens {
    ids: Vec<u32>,
    n_before_cut: usize,
}

/// Loads the tokenizer without the file's own truncation and padding. Those serve its authors'
/// benchmarks (128 tokens, always padded, for all-MiniLM-L6-v2).
fn load_tokenizer(json: &[u8], settings: &EncoderSettings) -> Result<Tokenizer, String> {
    let mut tokenizer = guarded(|| Tokenizer::from_bytes(json))?;
    let n_vocab = tokenizer.get_vocab_size(true);
    if n_vocab > settings.architecture.vocab_size {
        return Err(format!(
            "holds {n_vocab} tokens, config.json promises embeddings for {}",
            settings.architecture.vocab_size
        ));
    }
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|error| error.to_string())?;
    Ok(tokenizer)
}
