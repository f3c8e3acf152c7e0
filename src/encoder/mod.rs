//! A sentence encoder that runs: text in, one vector out.
//!
//! What a model folder says about itself is read in `settings`, the network is in `network`. The
//! vectors are those of the sentence-transformers package (Reimers and Gurevych 2019, Sentence-BERT).

mod error;
mod network;
mod settings;

#[cfg(test)]
pub(crate) mod tests;

use candle_core::Device;
use rayon::prelude::*;
use tokenizers::{PostProcessor as _, Tokenizer, TruncationDirection};

use crate::corpus::Key;
use crate::model::weights::check_safetensors;
use crate::model::{self, EncoderFiles, Pooling};

pub use error::Error;
use network::Network;
use settings::Settings;

/// Result of this room.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Raised whenever this code would give other vectors for the same files.
const CODE_VERSION: &str = "1";

/// A text's vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The vector, `[dimension]`; unit length when the model normalises.
    pub vector: Vec<f32>,
    /// Tokens of the text, special tokens counted, before any cut.
    pub n_tokens: usize,
    /// Whether the text was cut to the model's longest input.
    pub truncated: bool,
}

/// A loaded sentence encoder.
///
/// Each text runs through the network by itself: there is no padding and no mask, so a vector never
/// depends on what else was asked for in the same call. On the CPU texts run side by side.
pub struct Encoder {
    name: String,
    stamp: String,
    settings: Settings,
    tokenizer: Tokenizer,
    network: Network,
    device: Device,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("name", &self.name).field("stamp", &self.stamp).finish()
    }
}

impl Encoder {
    /// Loads the weights onto `device`.
    ///
    /// # Errors
    ///
    /// A file that is missing, cut short or not of its format; weights whose SHA-256 is not the one
    /// in `files`; an architecture, activation, pooling or module that is not carried; a folder that
    /// does not say how token vectors are pooled while the catalog does not either.
    pub fn load(files: &EncoderFiles, device: &Device) -> Result<Self> {
        let settings = Settings::read(files)?;
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
        let network = Network::load(&settings.architecture, weights, device)
            .map_err(|error| settings::malformed(&weights_path, error.to_string()))?;
        let tokenizer_path = files.dir.join("tokenizer.json");
        let tokenizer_json = settings::read_file(&tokenizer_path)?;
        let tokenizer = load_tokenizer(&tokenizer_json, &settings)
            .map_err(|what| settings::malformed(&tokenizer_path, what))?;
        let stamp = Key::of("encoder")
            .with("code", CODE_VERSION)
            .with("weights", &sha256)
            .with("tokenizer", settings::sha256(&tokenizer_json))
            .with("settings", settings.fingerprint())
            .finish();
        Ok(Self {
            name: files.name.clone(),
            stamp: stamp.as_str().to_owned(),
            settings,
            tokenizer,
            network,
            device: device.clone(),
        })
    }

    /// Catalog name or folder name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Hash of weights, tokenizer, pooling, normalisation and longest input: vectors of different
    /// stamps are never mixed.
    #[must_use]
    pub fn stamp(&self) -> &str {
        &self.stamp
    }

    /// Length of a vector.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.network.dimension()
    }

    /// Longest input in tokens, special tokens counted; what is longer is cut at the end.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.settings.max_tokens
    }

    /// Vectors of texts, in the order of the texts.
    ///
    /// White space around a text is dropped, as sentence-transformers does; an empty text has the
    /// vector of its special tokens.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] when a vector holds NaN or infinity, as damaged weights give.
    pub fn encode<S: AsRef<str>>(&self, texts: &[S]) -> Result<Vec<Embedding>> {
        let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let tokens: Vec<Tokens> =
            texts.par_iter().map(|text| self.tokenize(text)).collect::<Result<_>>()?;
        // Longest first, so that no thread begins a long text when the others are done.
        let mut order: Vec<usize> = (0..tokens.len()).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(tokens[i].ids.len()), i));
        let embed = |&i: &usize| Ok((i, self.embed(texts[i], &tokens[i])?));
        let vectors: Vec<(usize, Vec<f32>)> = if self.device.is_cpu() {
            order.par_iter().with_max_len(1).map(embed).collect::<Result<_>>()?
        } else {
            order.iter().map(embed).collect::<Result<_>>()?
        };
        let mut embeddings: Vec<Embedding> = tokens
            .iter()
            .map(|t| Embedding {
                vector: Vec::new(),
                n_tokens: t.n_before_cut,
                truncated: t.n_before_cut > t.ids.len(),
            })
            .collect();
        for (i, vector) in vectors {
            embeddings[i].vector = vector;
        }
        Ok(embeddings)
    }

    fn tokenize(&self, text: &str) -> Result<Tokens> {
        let text = text.trim();
        let lowered = self.settings.lower_case.then(|| text.to_lowercase());
        let text = lowered.as_deref().unwrap_or(text);
        self.cut_and_frame(text).map_err(|error| {
            model::Error::Tokenizer(format!("{error} in {}", error::excerpt(text))).into()
        })
    }

    /// Tokens of `text`, the last ones dropped where there are too many, between special ones.
    fn cut_and_frame(&self, text: &str) -> tokenizers::Result<Tokens> {
        let mut encoding = self.tokenizer.encode(text, false)?;
        let n_special = self.tokenizer.get_post_processor().map_or(0, |p| p.added_tokens(false));
        let n_before_cut = encoding.len() + n_special;
        let n_content = self.settings.max_tokens.saturating_sub(n_special);
        encoding.truncate(n_content, 0, TruncationDirection::Right);
        let encoding = self.tokenizer.post_process(encoding, None, true)?;
        Ok(Tokens { ids: encoding.get_ids().to_vec(), n_before_cut })
    }

    fn embed(&self, text: &str, tokens: &Tokens) -> Result<Vec<f32>> {
        if tokens.ids.is_empty() {
            return Err(Error::NoTokens { text: error::excerpt(text) });
        }
        let hidden = self.network.forward(&tokens.ids, &self.device)?;
        let pooled = match self.settings.pooling {
            Pooling::Mean => hidden.mean(0)?,
            Pooling::Cls => hidden.get(0)?,
            Pooling::Last => hidden.get(tokens.ids.len() - 1)?,
        };
        let mut vector: Vec<f32> = pooled.to_vec1()?;
        if self.settings.normalise {
            // As in torch's `normalize`, the floor keeps a zero vector zero.
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

/// The file's own truncation and padding serve its authors' benchmarks (128 tokens, always padded,
/// for all-MiniLM-L6-v2) and are put off.
fn load_tokenizer(json: &[u8], settings: &Settings) -> Result<Tokenizer, String> {
    let mut tokenizer = Tokenizer::from_bytes(json).map_err(|error| error.to_string())?;
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
