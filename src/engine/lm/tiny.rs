//! Tiny models with random weights, of each family, for tests.

#![allow(missing_docs, clippy::unwrap_used)]

use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::decoder::{DecoderFamily, NormPlacement, QueryKeyNorm};
use super::{Isa, Lm, LoadOptions};
use crate::model::LmFiles;
use crate::model::gguf::Gguf;
use crate::model::gguf::Value;
use crate::model::gguf::writer::Writer;

/// Shape of a tiny model.
#[derive(Debug, Clone)]
pub struct Tiny {
    pub architecture: &'static str,
    pub dtype: GgmlDType,
    pub n_layers: usize,
    pub n_embd: usize,
    pub n_ff: usize,
    pub n_heads: usize,
    pub n_kv_heads: usize,
    pub head_dim: usize,
    pub tied: bool,
    pub context: u64,
    /// Metadata entries to add or to replace.
    pub values: Vec<(String, Value)>,
    /// `rope_freqs.weight`.
    pub rope_divisors: Option<Vec<f32>>,
    /// A tensor to leave out.
    pub without: Option<&'static str>,
    /// A tensor to fill with this value.
    pub spoilt: Option<(&'static str, f32)>,
}

/// Number of tokens: 256 bytes, then `<|endoftext|>`, `<|im_start|>`, `<|im_end|>`. The embedding
/// has more rows, as padding.
pub const N_TOKENS: usize = 259;
const N_VOCAB: usize = 288;
/// Number of experts of each layer, in families that have some.
const N_EXPERTS: usize = 4;

/// A running model of one family with random weights.
pub fn lm(architecture: &'static str) -> Lm {
    Tiny::new(architecture).lm()
}

impl Tiny {
    pub fn new(architecture: &'static str) -> Self {
        Self {
            architecture,
            dtype: GgmlDType::Q4_1,
            // The fourth layer of SmolLM3 does not rotate.
            n_layers: if architecture == "smollm3" { 4 } else { 2 },
            n_embd: 64,
            n_ff: 96,
            n_heads: 4,
            n_kv_heads: 2,
            head_dim: 16,
            tied: !matches!(architecture, "qwen2" | "olmo2"),
            context: 1024,
            values: Vec::new(),
            rope_divisors: None,
            without: None,
            spoilt: None,
        }
    }

    /// Removes the token that begins a turn, so that the model has no chat template: a base model.
    pub fn base(mut self) -> Self {
        let mut tokens = vocabulary();
        tokens[257] = "<|unused|>".to_owned();
        self.values.push(("tokenizer.ggml.tokens".to_owned(), Value::Strings(tokens)));
        self
    }

    /// Starts the model.
    pub fn lm(&self) -> Lm {
        self.lm_on(Isa::detect())
    }

    /// Starts the model on an instruction set.
    pub fn lm_on(&self, isa: Isa) -> Lm {
        let folder = tempfile::tempdir().unwrap();
        let gguf = folder.path().join("tiny.gguf");
        std::fs::write(&gguf, self.bytes()).unwrap();
        let files = LmFiles { name: "tiny".into(), gguf, tokenizer: None, sha256: "0".repeat(64) };
        Lm::load(&files, &LoadOptions { threads: 1, isa, ..LoadOptions::default() }).unwrap()
    }

    pub fn gguf(&self) -> Gguf {
        Gguf::from_bytes(self.bytes(), "tiny.gguf".as_ref()).unwrap()
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut builder =
            Builder { tiny: self, writer: self.metadata(), rng: ChaCha8Rng::seed_from_u64(7) };
        builder.matrix("token_embd.weight", N_VOCAB, self.n_embd);
        if !self.tied {
            builder.matrix("output.weight", N_VOCAB, self.n_embd);
        }
        builder.vector("output_norm.weight", self.n_embd, 1.0);
        if let Some(divisors) = &self.rope_divisors {
            builder.writer =
                builder.writer.tensor_f32("rope_freqs.weight", &[divisors.len()], divisors);
        }
        (0..self.n_layers).for_each(|layer| builder.layer(layer, self.family()));
        builder.writer.finish()
    }

    /// The family; that of llama for architectures without a decoder.
    fn family(&self) -> DecoderFamily {
        DecoderFamily::of_architecture(self.architecture).unwrap_or(DecoderFamily::Llama)
    }

    /// Values that only some families have.
    fn family_values(&self) -> Vec<(&'static str, Value)> {
        let window = [
            ("attention.sliding_window", Value::Unsigned(20)),
            ("attention.sliding_window_pattern", Value::Unsigned(2)),
        ];
        match self.family() {
            DecoderFamily::Gemma2 | DecoderFamily::Gemma3 | DecoderFamily::Olmo2 => window.to_vec(),
            DecoderFamily::Phi3 => window[..1].to_vec(),
            DecoderFamily::Granite => vec![
                ("attention.scale", Value::F32(0.4)),
                ("embedding_scale", Value::F32(3.0)),
                ("residual_scale", Value::F32(0.5)),
                ("logit_scale", Value::F32(2.0)),
            ],
            DecoderFamily::Mistral3 => vec![
                ("rope.scaling.type", Value::String("yarn".to_owned())),
                ("rope.scaling.factor", Value::F32(4.0)),
                ("rope.scaling.original_context_length", Value::Unsigned(32)),
                ("rope.scaling.yarn_log_multiplier", Value::F32(1.0)),
                ("attention.temperature_scale", Value::F32(0.5)),
            ],
            DecoderFamily::Qwen3Moe => vec![
                ("expert_count", Value::Unsigned(N_EXPERTS as u64)),
                ("expert_used_count", Value::Unsigned(2)),
                ("expert_feed_forward_length", Value::Unsigned(self.n_ff as u64)),
            ],
            _ => Vec::new(),
        }
    }

    fn metadata(&self) -> Writer {
        let key = |name: &str| format!("{}.{name}", self.architecture);
        let count = |n: usize| Value::Unsigned(n as u64);
        let kinds = (0..N_TOKENS).map(|id| if id < 256 { 1 } else { 3 }).collect();
        let mut values = vec![
            ("general.architecture".to_owned(), Value::String(self.architecture.to_owned())),
            (key("block_count"), count(self.n_layers)),
            (key("context_length"), Value::Unsigned(self.context)),
            (key("embedding_length"), count(self.n_embd)),
            (key("feed_forward_length"), count(self.n_ff)),
            (key("attention.head_count"), count(self.n_heads)),
            (key("attention.head_count_kv"), count(self.n_kv_heads)),
            (key("attention.key_length"), count(self.head_dim)),
            (key("attention.value_length"), count(self.head_dim)),
            (key("attention.layer_norm_rms_epsilon"), Value::F32(1e-5)),
            (key("rope.dimension_count"), count(self.head_dim)),
            (key("rope.freq_base"), Value::F32(10_000.0)),
            ("tokenizer.ggml.model".to_owned(), Value::String("gpt2".to_owned())),
            ("tokenizer.ggml.pre".to_owned(), Value::String("smollm".to_owned())),
            ("tokenizer.ggml.tokens".to_owned(), Value::Strings(vocabulary())),
            ("tokenizer.ggml.token_type".to_owned(), Value::Integers(kinds)),
            ("tokenizer.ggml.merges".to_owned(), Value::Strings(Vec::new())),
            ("tokenizer.ggml.bos_token_id".to_owned(), Value::Unsigned(256)),
            ("tokenizer.ggml.eos_token_id".to_owned(), Value::Unsigned(258)),
            ("tokenizer.ggml.add_bos_token".to_owned(), Value::Bool(false)),
        ];
        let of_family = self.family_values().into_iter();
        values.extend(of_family.map(|(name, value)| (key(name), value)));
        values.retain(|(key, _)| !self.values.iter().any(|(other, _)| other == key));
        values
            .iter()
            .chain(&self.values)
            .fold(Writer::new(), |writer, (key, value)| writer.value(key, value.clone()))
    }
}

struct Builder<'a> {
    tiny: &'a Tiny,
    writer: Writer,
    rng: ChaCha8Rng,
}

impl Builder<'_> {
    fn layer(&mut self, layer: usize, family: DecoderFamily) {
        let &Tiny { n_embd, n_ff, n_heads, n_kv_heads, head_dim, .. } = self.tiny;
        let name = |part: &str| format!("blk.{layer}.{part}");
        let (n_queries, n_keys) = (n_heads * head_dim, n_kv_heads * head_dim);
        if family.norms() != NormPlacement::After {
            self.vector(&name("attn_norm.weight"), n_embd, 1.0);
            self.vector(&name("ffn_norm.weight"), n_embd, 1.0);
        }
        if family.fuses_projections() {
            self.matrix(&name("attn_qkv.weight"), n_queries + 2 * n_keys, n_embd);
        } else {
            self.matrix(&name("attn_q.weight"), n_queries, n_embd);
            self.matrix(&name("attn_k.weight"), n_keys, n_embd);
            self.matrix(&name("attn_v.weight"), n_keys, n_embd);
        }
        self.matrix(&name("attn_output.weight"), n_embd, n_queries);
        if family.has_experts() {
            self.matrix(&name("ffn_gate_inp.weight"), N_EXPERTS, n_embd);
            self.cube(&name("ffn_gate_exps.weight"), [N_EXPERTS, n_ff, n_embd]);
            self.cube(&name("ffn_up_exps.weight"), [N_EXPERTS, n_ff, n_embd]);
            self.cube(&name("ffn_down_exps.weight"), [N_EXPERTS, n_embd, n_ff]);
        } else if family.fuses_projections() {
            self.matrix(&name("ffn_up.weight"), 2 * n_ff, n_embd);
            self.matrix(&name("ffn_down.weight"), n_embd, n_ff);
        } else {
            self.matrix(&name("ffn_gate.weight"), n_ff, n_embd);
            self.matrix(&name("ffn_up.weight"), n_ff, n_embd);
            self.matrix(&name("ffn_down.weight"), n_embd, n_ff);
        }
        if family == DecoderFamily::Qwen2 {
            self.vector(&name("attn_q.bias"), n_queries, 0.0);
            self.vector(&name("attn_k.bias"), n_keys, 0.0);
            self.vector(&name("attn_v.bias"), n_keys, 0.0);
        }
        let widths = match family.query_key_norm() {
            QueryKeyNorm::Absent => None,
            QueryKeyNorm::EachHead => Some((head_dim, head_dim)),
            QueryKeyNorm::AllHeads => Some((n_queries, n_keys)),
        };
        if let Some((query, key)) = widths {
            self.vector(&name("attn_q_norm.weight"), query, 1.0);
            self.vector(&name("attn_k_norm.weight"), key, 1.0);
        }
        if family.norms() != NormPlacement::Before {
            self.vector(&name("post_attention_norm.weight"), n_embd, 1.0);
            self.vector(&name("post_ffw_norm.weight"), n_embd, 1.0);
        }
    }

    fn matrix(&mut self, name: &str, rows: usize, columns: usize) {
        self.cube(name, [1, rows, columns]);
    }

    /// Adds a tensor of some matrices of equal shape; one is a matrix.
    fn cube(&mut self, name: &str, [n, rows, columns]: [usize; 3]) {
        let shape = if n == 1 { vec![rows, columns] } else { vec![n, rows, columns] };
        let rows = n * rows;
        let values = self.values(name, rows * columns, 0.0, 0.15);
        if self.tiny.without == Some(name) {
            return;
        }
        let dense = Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap();
        let blocks = QTensor::quantize(&dense, self.tiny.dtype).unwrap();
        let writer = std::mem::take(&mut self.writer);
        self.writer = writer.tensor(name, &shape, self.tiny.dtype, &blocks.data().unwrap());
    }

    fn vector(&mut self, name: &str, length: usize, around: f32) {
        let values = self.values(name, length, around, 0.3);
        if self.tiny.without == Some(name) {
            return;
        }
        let writer = std::mem::take(&mut self.writer);
        self.writer = writer.tensor_f32(name, &[length], &values);
    }

    fn values(&mut self, name: &str, n: usize, around: f32, spread: f32) -> Vec<f32> {
        let values =
            (0..n).map(|_| around + self.rng.random_range(-spread..spread)).collect::<Vec<_>>();
        match self.tiny.spoilt {
            Some((spoilt, value)) if spoilt == name => vec![value; n],
            _ => values,
        }
    }
}

/// The tokens, in the order of their ids.
fn vocabulary() -> Vec<String> {
    let bytes = (0..=255u8).map(|byte| byte_letter(byte).to_string());
    bytes.chain(["<|endoftext|>", "<|im_start|>", "<|im_end|>"].map(str::to_owned)).collect()
}

/// The letter that stands for a byte in a GPT-2 vocabulary.
fn byte_letter(byte: u8) -> char {
    let shown = |b: u8| matches!(b, b'!'..=b'~' | 0xA1..=0xAC | 0xAE..=0xFF);
    match shown(byte) {
        true => char::from(byte),
        false => {
            let hidden_before = (0..byte).filter(|b| !shown(*b)).count() as u32;
            char::from_u32(256 + hidden_before).unwrap()
        }
    }
}
