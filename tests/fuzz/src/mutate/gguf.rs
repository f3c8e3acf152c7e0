//! Changes of GGUF files: counts, types, lengths, shapes, offsets, metadata that readers look for, splits.

use super::random::Random;
use crate::properties::split;

/// A file taken apart without any check, so that it can be put together wrongly.
#[derive(Clone, Default)]
struct Loose {
    version: u32,
    /// Numbers in the header, if they are not those of what follows.
    counts: [Option<u64>; 2],
    values: Vec<LooseValue>,
    tensors: Vec<LooseTensor>,
    /// Everything after the table of tensors, with its padding.
    data: Vec<u8>,
}

#[derive(Clone)]
struct LooseValue {
    key: Vec<u8>,
    kind: u32,
    payload: Vec<u8>,
}

#[derive(Clone)]
struct LooseTensor {
    name: Vec<u8>,
    shape: Vec<u64>,
    dtype: u32,
    offset: u64,
}

/// Keys that the engine reads; `A` stands for the architecture.
const KEYS: &[&str] = &[
    "general.architecture",
    "general.alignment",
    "general.quantization_version",
    "split.no",
    "split.count",
    "split.tensors.count",
    "tokenizer.ggml.model",
    "tokenizer.ggml.pre",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.scores",
    "tokenizer.ggml.token_type",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.unknown_token_id",
    "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.add_space_prefix",
    "tokenizer.chat_template",
    "A.block_count",
    "A.embedding_length",
    "A.feed_forward_length",
    "A.attention.head_count",
    "A.attention.head_count_kv",
    "A.attention.key_length",
    "A.attention.value_length",
    "A.attention.layer_norm_rms_epsilon",
    "A.attention.sliding_window",
    "A.attention.sliding_window_pattern",
    "A.context_length",
    "A.rope.freq_base",
    "A.rope.dimension_count",
    "A.rope.scaling.type",
    "A.rope.scaling.factor",
    "A.rope.scaling.original_context_length",
    "A.rope.scaling.yarn_beta_fast",
    "A.expert_count",
    "A.expert_used_count",
    "A.expert_feed_forward_length",
    "A.attention.scale",
];

const ARCHITECTURES: &[&str] = &[
    "llama", "qwen2", "qwen3", "qwen3moe", "gemma2", "gemma3", "phi3", "granite", "smollm3",
    "mistral3", "olmo2", "gpt2",
];

const TEXTS: &[&str] = &[
    "gpt2",
    "llama",
    "gpt-2",
    "llama-bpe",
    "smollm",
    "qwen2",
    "tekken",
    "deepseek-v3",
    "default",
    "bert",
    "linear",
    "yarn",
    "longrope",
    "",
    "{% for m in messages %}{{ m.role }}{{ m.content }}{% endfor %}",
    "{{ messages[0].content * 99 }}",
];

const TOKENS: &[&str] = &[
    "a",
    "b",
    "ab",
    "abab",
    "\u{120}",
    "\u{120}a",
    "\u{2581}",
    "\u{2581}a",
    "<s>",
    "</s>",
    "<unk>",
    "<0x0A>",
    "<0xFF>",
    "<|im_start|>",
    "<|im_end|>",
    "<think>",
    "  ",
    "",
    "\u{e9}",
    "a b",
    "\u{120} a",
];

/// The input with some parts changed.
pub fn changed(input: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    if let Some(parts) = input.strip_prefix(split::SPLIT) {
        return Some(changed_split(parts, random));
    }
    if random.one_in(200) {
        return Some(split_of(input, random));
    }
    let mut file = Loose::read(input).unwrap_or_default();
    for _ in 0..=random.below(3) {
        file.change(random);
    }
    Some(file.write())
}

fn changed_split(parts: &[u8], random: &mut Random) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = split::parts(parts).into_iter().map(<[u8]>::to_vec).collect();
    if parts.is_empty() {
        parts.push(Loose::default().write());
    }
    let at = random.below(parts.len());
    match random.below(8) {
        0 => parts.insert(at, parts[at].clone()),
        1 => drop(parts.remove(at)),
        2 => {
            let other = random.below(parts.len());
            parts.swap(at, other);
        }
        _ => {
            if let Some(changed) = changed(&parts[at].clone(), random) {
                parts[at] = changed;
            }
        }
    }
    joined(&parts)
}

/// The file as one of a few, with the numbers of a split.
fn split_of(input: &[u8], random: &mut Random) -> Vec<u8> {
    let count = 2 + random.below(2) as u32;
    let parts = (0..count).map(|number| {
        let mut file = Loose::read(input).unwrap_or_default();
        file.values.retain(|value| !value.key.starts_with(b"split."));
        for (key, number) in [("split.no", number), ("split.count", count)] {
            file.values.push(LooseValue {
                key: key.into(),
                kind: 4,
                payload: number.to_le_bytes().to_vec(),
            });
        }
        for tensor in &mut file.tensors {
            tensor.name.extend(number.to_string().bytes().filter(|_| number > 0));
        }
        file.write()
    });
    joined(&parts.collect::<Vec<_>>())
}

fn joined(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut input = split::SPLIT.to_vec();
    for part in parts {
        input.extend((part.len() as u32).to_le_bytes());
        input.extend(part);
    }
    input
}

impl Loose {
    fn change(&mut self, random: &mut Random) {
        match random.below(12) {
            0 => {
                self.counts[random.below(2)] =
                    Some(random.odd_number()).filter(|_| random.one_in(2))
            }
            1 => self.version = if random.one_in(2) { 3 } else { random.odd_number() as u32 },
            2..=4 => self.put_value(random),
            5 if !self.values.is_empty() => {
                let at = random.below(self.values.len());
                match random.below(3) {
                    0 => drop(self.values.remove(at)),
                    1 => self.values.push(self.values[at].clone()),
                    _ => self.values[at].kind = random.below(14) as u32,
                }
            }
            6 if !self.values.is_empty() => {
                let at = random.below(self.values.len());
                let (kind, payload) = (self.values[at].kind, &mut self.values[at].payload);
                change_payload(kind, payload, random);
            }
            7 => self.put_tensor(random),
            8 if !self.tensors.is_empty() => {
                let at = random.below(self.tensors.len());
                match random.below(2) {
                    0 => drop(self.tensors.remove(at)),
                    _ => self.tensors.push(self.tensors[at].clone()),
                }
            }
            9..=10 if !self.tensors.is_empty() => {
                let at = random.below(self.tensors.len());
                change_tensor(&mut self.tensors[at], random);
            }
            _ => {
                let length = random.below(self.data.len() + 65);
                self.data.resize(length, random.next() as u8);
            }
        }
    }

    /// Adds or replaces a value that the engine looks for.
    fn put_value(&mut self, random: &mut Random) {
        let name = *random.choice(KEYS);
        let key = match name.strip_prefix("A.") {
            Some(rest) => format!("{}.{rest}", self.architecture()),
            None => name.to_owned(),
        };
        let (kind, payload) = payload(name, random);
        self.values.retain(|value| value.key != key.as_bytes());
        let at = random.below(self.values.len() + 1);
        self.values.insert(at, LooseValue { key: key.into_bytes(), kind, payload });
    }

    fn architecture(&self) -> String {
        let found = self.values.iter().find(|value| value.key == b"general.architecture");
        let text = found.and_then(|value| value.payload.get(8..)).unwrap_or(b"llama");
        String::from_utf8_lossy(text).into_owned()
    }

    fn put_tensor(&mut self, random: &mut Random) {
        let names = [
            "token_embd.weight",
            "output.weight",
            "output_norm.weight",
            "blk.0.attn_q.weight",
            "rope_freqs.weight",
            "w",
        ];
        let shape = (0..random.below(5)).map(|_| 1 << random.below(7)).collect();
        let offset = (self.data.len() as u64).next_multiple_of(32);
        let dtype = *random.choice(&[0, 1, 2, 8, 12, 30, 40]);
        self.tensors.push(LooseTensor {
            name: (*random.choice(&names)).into(),
            shape,
            dtype,
            offset,
        });
        self.data.resize(self.data.len() + random.below(600), 1);
    }

    fn read(input: &[u8]) -> Option<Self> {
        let mut reader = Reader { rest: input.strip_prefix(b"GGUF")? };
        let version = reader.u32()?;
        let (n_tensors, n_values) = (reader.u64()?, reader.u64()?);
        let mut file = Self { version, ..Self::default() };
        for _ in 0..n_values.min(400) {
            let Some(value) = reader.value() else { break };
            file.values.push(value);
        }
        for _ in 0..n_tensors.min(400) {
            let Some(tensor) = reader.tensor() else { break };
            file.tensors.push(tensor);
        }
        let real = [file.tensors.len() as u64, file.values.len() as u64];
        let stated = [n_tensors, n_values];
        file.counts = [0, 1].map(|i| Some(stated[i]).filter(|stated| *stated != real[i]));
        // The padding is written anew.
        let at = input.len() - reader.rest.len();
        let skip = (at.next_multiple_of(32) - at).min(reader.rest.len());
        file.data = reader.rest[skip..].to_vec();
        Some(file)
    }

    fn write(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(if self.version == 0 { 3 } else { self.version }.to_le_bytes());
        let real = [self.tensors.len() as u64, self.values.len() as u64];
        for (stated, real) in self.counts.iter().zip(real) {
            out.extend(stated.unwrap_or(real).to_le_bytes());
        }
        let put_bytes = |out: &mut Vec<u8>, bytes: &[u8]| {
            out.extend((bytes.len() as u64).to_le_bytes());
            out.extend(bytes);
        };
        for value in &self.values {
            put_bytes(&mut out, &value.key);
            out.extend(value.kind.to_le_bytes());
            out.extend(&value.payload);
        }
        for tensor in &self.tensors {
            put_bytes(&mut out, &tensor.name);
            out.extend((tensor.shape.len() as u32).to_le_bytes());
            tensor.shape.iter().for_each(|length| out.extend(length.to_le_bytes()));
            out.extend(tensor.dtype.to_le_bytes());
            out.extend(tensor.offset.to_le_bytes());
        }
        if !self.data.is_empty() || !self.tensors.is_empty() {
            out.resize(out.len().next_multiple_of(32), 0);
        }
        out.extend(&self.data);
        out
    }
}

fn change_tensor(tensor: &mut LooseTensor, random: &mut Random) {
    match random.below(6) {
        0 => tensor.offset = random.odd_number(),
        1 => {
            tensor.offset = tensor.offset.wrapping_add(32 * random.below(9) as u64).wrapping_sub(64)
        }
        2 => tensor.dtype = random.below(44) as u32,
        3 => tensor.shape.push(random.odd_number()),
        4 if !tensor.shape.is_empty() => {
            let at = random.below(tensor.shape.len());
            tensor.shape[at] = random.odd_number();
        }
        _ => tensor.name.push(b'x'),
    }
}

/// A payload for a key: mostly of the type that it has, sometimes of another.
fn payload(name: &str, random: &mut Random) -> (u32, Vec<u8>) {
    let is_list = matches!(
        name,
        "tokenizer.ggml.tokens"
            | "tokenizer.ggml.scores"
            | "tokenizer.ggml.token_type"
            | "tokenizer.ggml.merges"
    );
    match random.below(8) {
        0 => (7, vec![random.below(2) as u8]),
        1 => (6, (random.next() as f32 / random.odd_number().max(1) as f32).to_le_bytes().to_vec()),
        2 => (10, random.odd_number().to_le_bytes().to_vec()),
        3 => (8, text_bytes(*random.choice(TEXTS))),
        _ if name == "general.architecture" => (8, text_bytes(*random.choice(ARCHITECTURES))),
        _ if is_list => (9, array(name, random)),
        _ if matches!(
            name,
            "tokenizer.ggml.model"
                | "tokenizer.ggml.pre"
                | "A.rope.scaling.type"
                | "tokenizer.chat_template"
        ) =>
        {
            (8, text_bytes(*random.choice(TEXTS)))
        }
        _ => (
            4,
            ([random.below(300) as u64, random.odd_number()][random.below(2)] as u32)
                .to_le_bytes()
                .to_vec(),
        ),
    }
}

fn text_bytes(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn array(name: &str, random: &mut Random) -> Vec<u8> {
    let n = random.below(24);
    let (kind, elements): (u32, Vec<u8>) = match name {
        "tokenizer.ggml.scores" => {
            (6, (0..n).flat_map(|_| (random.below(9) as f32 - 4.0).to_le_bytes()).collect())
        }
        "tokenizer.ggml.token_type" => {
            (5, (0..n).flat_map(|_| (1 + random.below(6) as u32).to_le_bytes()).collect())
        }
        "tokenizer.ggml.merges" => {
            let merge = |random: &mut Random| {
                format!("{} {}", random.choice(TOKENS), random.choice(TOKENS))
            };
            (8, (0..n).flat_map(|_| text_bytes(&merge(random))).collect())
        }
        _ => (8, (0..n).flat_map(|_| text_bytes(random.choice::<&str>(TOKENS))).collect()),
    };
    let stated = if random.one_in(10) { random.odd_number() } else { n as u64 };
    [&kind.to_le_bytes()[..], &stated.to_le_bytes(), &elements].concat()
}

fn change_payload(kind: u32, payload: &mut Vec<u8>, random: &mut Random) {
    match (kind, random.below(4)) {
        // The length of a text or the number of elements of an array.
        (8, 0) | (9, 0) => {
            let at = if kind == 9 { 4 } else { 0 };
            if let Some(place) = payload.get_mut(at..at + 8) {
                place.copy_from_slice(&random.odd_number().to_le_bytes());
            }
        }
        (9, 1) if !payload.is_empty() => payload[0] = random.below(14) as u8,
        _ if !payload.is_empty() => {
            let at = random.below(payload.len());
            payload[at] = random.next() as u8;
        }
        _ => payload.push(random.next() as u8),
    }
}

/// Reads without checks, up to what is there.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take(&mut self, n: u64) -> Option<Vec<u8>> {
        let n = usize::try_from(n).ok().filter(|n| *n <= self.rest.len())?;
        let (taken, rest) = self.rest.split_at(n);
        self.rest = rest;
        Some(taken.to_vec())
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<Vec<u8>> {
        let length = self.u64()?;
        self.take(length)
    }

    fn value(&mut self) -> Option<LooseValue> {
        let (key, kind) = (self.bytes()?, self.u32()?);
        let payload = match kind {
            8 => {
                self.bytes().map(|text| [&(text.len() as u64).to_le_bytes()[..], &text].concat())?
            }
            9 => self.array()?,
            kind => self.take(width(kind)?)?,
        };
        Some(LooseValue { key, kind, payload })
    }

    fn array(&mut self) -> Option<Vec<u8>> {
        let before = self.rest;
        let (kind, n) = (self.u32()?, self.u64()?);
        match kind {
            8 => (0..n.min(1 << 20)).try_for_each(|_| self.bytes().map(drop))?,
            kind => drop(self.take(n.checked_mul(width(kind)?)?)?),
        }
        Some(before[..before.len() - self.rest.len()].to_vec())
    }

    fn tensor(&mut self) -> Option<LooseTensor> {
        let (name, n) = (self.bytes()?, self.u32()?);
        let shape = (0..n.min(8)).map(|_| self.u64()).collect::<Option<_>>()?;
        Some(LooseTensor { name, shape, dtype: self.u32()?, offset: self.u64()? })
    }
}

fn width(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}
