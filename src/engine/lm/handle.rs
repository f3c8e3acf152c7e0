//! The handle of a running language model.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use super::constraint::Grammars;
use super::decoder::{
    self, Decoder, DecoderConfig, DecoderOptions, LoadedDecoder, WeightPrecision,
};
use super::draft::Drafts;
use super::engine::Engine;
use super::prompt_tokenizer::PromptTokenizer;
use super::record::Recorder;
use super::scheduler::{Limits, Scheduler};
use super::stats::{Counters, Stats};
use super::token_counts::TokenCounts;
use super::token_kinds::TokenKinds;
use super::{AdapterShape, Error, Prompt, Result};
use crate::model::LmFiles;
use crate::model::chat::ChatTemplate;
use crate::model::gguf::Gguf;
use crate::model::tokenizer::Tokenizer;
use idiolect_kernels::Isa;
use idiolect_kernels::attention::KvPrecision;

/// Number of weights below which a model is small.
const SMALL: u64 = 450_000_000;

/// Handle of a running language model; cheap to clone, usable from many threads. The engine ends
/// after the last handle is dropped.
#[derive(Clone)]
pub struct Lm {
    pub(super) shared: Arc<LmShared>,
}

/// Options for loading a model.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// Device that the model runs on.
    pub device: candle_core::Device,
    /// Number of worker threads on the CPU; 0 means one per core.
    pub threads: usize,
    /// Context window: maximum tokens of a sequence, prompt and completion together; `None` uses
    /// the model's own.
    pub context: Option<usize>,
    /// Instruction set of the kernels on the CPU.
    pub isa: Isa,
    /// Precision of keys and values on the CPU; another precision gives other texts.
    pub kv_precision: KvPrecision,
    /// File to which every request is logged with its tokens, one JSON line each
    /// ([`super::Recorded`]); an existing file is replaced.
    pub record: Option<PathBuf>,
    /// Maximum bytes of all KV caches together: those of running requests and those in the prefix
    /// cache.
    pub kv_budget: usize,
    /// Whether requests with a common prefix compute it once.
    pub share_prefixes: bool,
    /// Source of drafts of generated tokens; texts do not depend on it.
    pub drafts: Drafts,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            device: candle_core::Device::Cpu,
            threads: 0,
            context: None,
            isa: Isa::detect(),
            kv_precision: KvPrecision::default(),
            record: None,
            kv_budget: 1 << 30,
            share_prefixes: true,
            drafts: Drafts::default(),
        }
    }
}

pub(super) struct LmShared {
    name: String,
    fingerprint: String,
    pub(super) path: PathBuf,
    pub(super) context: usize,
    /// Instruction set of the kernels.
    pub(super) isa: Isa,
    separates_prompts: bool,
    n_weights: u64,
    pub(super) n_vocab: usize,
    pub(super) adapter_shape: AdapterShape,
    pub(super) prompts: PromptTokenizer,
    pub(super) token_kinds: Arc<TokenKinds>,
    /// State shared by all constraints; built at the first constrained request.
    pub(super) grammars: OnceLock<Result<Grammars, String>>,
    /// Number of positions and bytes of a KV block.
    pub(super) block_size: usize,
    pub(super) block_bytes: usize,
    pub(super) kv_budget: usize,
    counters: Arc<Counters>,
    pub(super) engine: Engine,
    pub(super) recorder: Option<Recorder>,
}

impl Lm {
    /// Loads the weights and starts the engine.
    ///
    /// # Errors
    /// The file is not a GGUF file of a known architecture, its vocabulary, template, metadata and
    /// tensors do not fit each other, the requested context is not supported, or the record file or
    /// the engine's thread cannot be created.
    pub fn load(files: &LmFiles, options: &LoadOptions) -> Result<Self> {
        let gguf = Gguf::open(&files.gguf)?;
        // A model without a decoder is refused as such, whatever its vocabulary is.
        DecoderConfig::from_gguf(&gguf)?;
        let tokenizer = match &files.tokenizer {
            Some(path) => Tokenizer::from_file(path, &gguf)?,
            None => Tokenizer::from_gguf(&gguf)?,
        };
        let template = ChatTemplate::from_gguf(&gguf)?;
        let decoder_options = DecoderOptions {
            device: options.device.clone(),
            precision: WeightPrecision::Packed,
            context: options.context,
            threads: options.threads,
            isa: options.isa,
            kv_precision: options.kv_precision,
        };
        match decoder::load(&gguf, &decoder_options)? {
            LoadedDecoder::Cpu(decoder) => {
                Self::start(files, &gguf, tokenizer, template, *decoder, options)
            }
            LoadedDecoder::Candle(decoder) => {
                Self::start(files, &gguf, tokenizer, template, *decoder, options)
            }
        }
    }

    /// The output head in f32 on the CPU, `[n_vocab, n_embd]`: a hidden state behind the final norm
    /// times it gives the logits, before a cap.
    ///
    /// # Errors
    /// The file cannot be read again.
    pub fn output_head(&self) -> Result<candle_core::Tensor> {
        let gguf = Gguf::open(&self.shared.path)?;
        let name = match gguf.tensor("output.weight") {
            Some(_) => "output.weight",
            None => "token_embd.weight",
        };
        let device = candle_core::Device::Cpu;
        let head = gguf.qtensor(name, &device)?.dequantize(&device)?;
        let factor = DecoderConfig::from_gguf(&gguf)?.logit_factor;
        Ok(if factor == 1.0 { head } else { (head * f64::from(factor))? })
    }

    fn start<D: Decoder>(
        files: &LmFiles,
        gguf: &Gguf,
        tokenizer: Tokenizer,
        template: ChatTemplate,
        decoder: D,
        options: &LoadOptions,
    ) -> Result<Self> {
        let n_vocab = decoder.config().n_vocab;
        if tokenizer.n_vocab() > n_vocab {
            return Err(Error::Config {
                path: files.gguf.clone(),
                what: format!(
                    "the vocabulary has {} tokens, the embedding {n_vocab} rows",
                    tokenizer.n_vocab()
                ),
            });
        }
        let token_kinds =
            TokenKinds::new((0..tokenizer.n_vocab() as u32).map(|id| tokenizer.bytes(id)));
        let context = decoder.config().context;
        let separates_prompts = decoder.separates_prompts();
        let adapter_shape = AdapterShape::of(decoder.config());
        let fingerprint = {
            let mut hash = Sha256::new();
            hash.update(files.sha256.as_bytes());
            hash.update(tokenizer.fingerprint().as_bytes());
            // f16 adds nothing, so that answers cached before bf16 existed stay valid.
            if options.kv_precision == KvPrecision::Bf16 && options.device.is_cpu() {
                hash.update(b"kv bf16");
            }
            // Prompts have other bits with matrix tiles; else all instruction sets of the CPU give
            // the same. A GPU gives others.
            if separates_prompts {
                hash.update(b"prompts in bf16");
            }
            if !options.device.is_cpu() {
                hash.update(if options.device.is_cuda() { "device cuda" } else { "device metal" });
            }
            // Of two sets of rotary factors, the window decides.
            let config = decoder.config();
            if gguf.tensor("rope_factors_short.weight").is_some()
                && config.context <= config.original_context
            {
                hash.update(b"short rope factors");
            }
            hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
        };
        let prompts = PromptTokenizer::new(gguf, tokenizer, template, n_vocab);
        let recorder = options.record.as_deref().map(Recorder::create).transpose()?;
        let counters = Arc::new(Counters::default());
        let limits = Limits {
            kv_budget: options.kv_budget,
            share_prefixes: options.share_prefixes,
            drafts: options.drafts,
        };
        let kv_pool = decoder.kv_pool();
        let (block_size, block_bytes) = (kv_pool.block_size(), kv_pool.block_bytes());
        let scheduler = Scheduler::new(
            decoder,
            Arc::clone(prompts.shared_tokenizer()),
            options.isa,
            limits,
            Arc::clone(&counters),
        );
        let engine = Engine::start(scheduler, options.threads)?;
        Ok(Self {
            shared: Arc::new(LmShared {
                name: files.name.clone(),
                fingerprint,
                path: files.gguf.clone(),
                context,
                isa: options.isa,
                separates_prompts,
                n_weights: gguf.n_weights(),
                n_vocab,
                adapter_shape,
                prompts,
                token_kinds: Arc::new(token_kinds),
                grammars: OnceLock::new(),
                block_size,
                block_bytes,
                kv_budget: options.kv_budget,
                counters,
                engine,
                recorder,
            }),
        })
    }

    /// Catalog name or file stem.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The model's file.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.shared.path
    }

    /// Number of weights in the file.
    #[must_use]
    pub fn n_weights(&self) -> u64 {
        self.shared.n_weights
    }

    /// Sizes that its adapters have.
    #[must_use]
    pub fn adapter_shape(&self) -> AdapterShape {
        self.shared.adapter_shape
    }

    /// Whether it has so few weights that its texts rarely make sense. Models sold as 0.5B, with 494
    /// million, are not small; models sold as 360M, with 362 million, are.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.shared.n_weights < SMALL
    }

    /// Hash of everything besides the request that affects an answer: the model file (weights, chat
    /// template), the tokenizer, the precision of keys and values on the CPU, and a device other
    /// than the CPU.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.shared.fingerprint
    }

    /// Whether the score of a text's token depends on where the prompt before it ends, in the last
    /// digits: prompts are computed otherwise than texts (matrix tiles).
    #[must_use]
    pub fn separates_prompts(&self) -> bool {
        self.shared.separates_prompts
    }

    /// Maximum number of tokens of a sequence.
    #[must_use]
    pub fn context(&self) -> usize {
        self.shared.context
    }

    /// Maximum bytes of all KV caches together.
    #[must_use]
    pub fn kv_budget(&self) -> usize {
        self.shared.kv_budget
    }

    /// Token that a prompt without text is replaced by: the model's BOS token, or its EOS token if it
    /// has no BOS.
    #[must_use]
    pub fn start_token(&self) -> Option<u32> {
        self.shared.prompts.start_token()
    }

    /// The model's EOS token, if its file names one.
    #[must_use]
    pub fn end_token(&self) -> Option<u32> {
        self.shared.prompts.end_token()
    }

    /// Token ids of a prompt, as [`Lm::generate`] uses them.
    ///
    /// # Errors
    /// As [`Lm::count`]; the prompt is empty and the model has no token to begin with.
    pub fn prompt_tokens(&self, prompt: &Prompt) -> Result<Vec<u32>> {
        self.shared.prompts.prompt_tokens(prompt)
    }

    /// Forgets earlier prompts: empties the prefix cache and the memo of token counts. Running
    /// requests keep their own prompts until they end.
    pub fn drop_caches(&self) {
        self.shared.prompts.drop_counts();
        self.shared.engine.drop_prefixes();
    }

    /// Counts of the engine's work since it was loaded.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.counters.stats()
    }

    /// Number of tokens of a prompt.
    ///
    /// # Errors
    /// The template cannot render the conversation, the tokenizer refuses a text, or a token id is
    /// unknown.
    pub fn count(&self, prompt: &Prompt) -> Result<usize> {
        self.shared.prompts.count(prompt)
    }

    /// Number of tokens of a text inside a prompt, without BOS.
    ///
    /// # Errors
    /// The tokenizer refuses the text.
    pub fn count_text(&self, text: &str) -> Result<usize> {
        Ok(self.tokenize(text)?.len())
    }

    /// The tokenizer.
    #[must_use]
    pub fn tokenizer(&self) -> &Tokenizer {
        self.shared.prompts.tokenizer()
    }

    /// Token ids of a text encoded as data.
    ///
    /// # Errors
    /// The tokenizer refuses the text.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        self.shared.prompts.tokenize(text)
    }

    /// Counts the distinct tokens of a text as it stands inside another one: without white space
    /// around it, after one space. Sorted by token id; kept in memory, up to 64 MiB in all.
    ///
    /// # Errors
    /// The tokenizer refuses the text.
    pub fn token_counts(&self, text: &str) -> Result<TokenCounts> {
        self.shared.prompts.token_counts(text)
    }
}

#[cfg(test)]
#[path = "handle_tests.rs"]
mod tests;
