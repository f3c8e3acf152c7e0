//! Causal attention of new positions over a cache (arXiv 1706.03762, section 3.2.1) with grouped
//! query heads that share keys and values (arXiv 2305.13245), as candle operations.

use candle_core::{DType, Device, Result, Storage, Tensor};
use rayon::prelude::*;

use super::kv::{BLOCK_SIZE, KvView};
use idiolect_kernels::attention::AttentionSettings;

/// Causal mask: new position i attends to the positions of its window up to itself.
#[derive(Debug, Clone)]
pub(super) struct Mask {
    /// First position that a new one attends to.
    first: usize,
    /// Mask of the last positions, `[n_new, n]`, 0 or minus infinity; every new position attends to
    /// those between `first` and them. `None` if a single new position attends to all from `first`.
    last: Option<Tensor>,
}

/// Maximum number of scores that it holds at once; above it, rows are processed in
/// blocks.
const MAX_SCORES: usize = 1 << 24;

impl Mask {
    /// The mask of `n_new` new positions from `start` on.
    pub(super) fn causal(
        start: usize,
        n_new: usize,
        window: Option<usize>,
        device: &Device,
    ) -> Result<Self> {
        let window = window.unwrap_or(usize::MAX);
        let first = (start + 1).saturating_sub(window);
        if n_new == 1 {
            return Ok(Self { first, last: None });
        }
        let end = start + n_new;
        // Without a window, or with one that has not been filled yet, only the new positions differ.
        let masked = if end <= window { start } else { first };
        let mask: Vec<f32> = (start..end)
            .flat_map(|i| {
                (masked..end).map(move |j| match j <= i && i - j < window {
                    true => 0.0,
                    false => f32::NEG_INFINITY,
                })
            })
            .collect();
        Ok(Self { first, last: Some(Tensor::from_vec(mask, (n_new, end - masked), device)?) })
    }
}

/// Attention output of the queries, `[n_heads, n_new, head_dim]`. `query` has the same shape; its
/// rows are the last `n_new` positions of `cache`. `mask` is that of the settings' window.
pub(super) fn attend(
    query: &Tensor,
    cache: &KvView<'_>,
    mask: &Mask,
    settings: &AttentionSettings,
) -> Result<Tensor> {
    match query.device() {
        Device::Cpu if query.dim(1)? == 1 => one_row(query, cache, mask.first, settings),
        _ => portable(query, cache, mask, settings),
    }
}

/// Attention on any device: dense products over the concatenated KV blocks.
fn portable(
    query: &Tensor,
    cache: &KvView<'_>,
    mask: &Mask,
    settings: &AttentionSettings,
) -> Result<Tensor> {
    let (n_heads, n_new, _) = query.dims3()?;
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    for (block, used) in cache.blocks() {
        keys.push(block.keys.narrow(1, 0, used)?);
        values.push(block.values.narrow(1, 0, used)?);
    }
    let len = cache.len - mask.first;
    let keys = Tensor::cat(&keys, 1)?.narrow(1, mask.first, len)?.contiguous()?;
    let values = Tensor::cat(&values, 1)?.narrow(1, mask.first, len)?.contiguous()?;
    let mask = match &mask.last {
        Some(last) => {
            let before = len - last.dim(1)?;
            let open = Tensor::zeros((n_new, before), DType::F32, query.device())?;
            Some(Tensor::cat(&[&open, last], 1)?)
        }
        None => None,
    };
    let n_rows = (MAX_SCORES / (n_heads * len)).clamp(1, n_new);
    let mut rows = Vec::new();
    for first in (0..n_new).step_by(n_rows) {
        let count = n_rows.min(n_new - first);
        let mask = mask.as_ref().map(|mask| mask.narrow(0, first, count)).transpose()?;
        let query = query.narrow(1, first, count)?;
        rows.push(portable_block(&query, [&keys, &values], mask.as_ref(), settings)?);
    }
    match rows.len() {
        1 => Ok(rows.remove(0)),
        _ => Tensor::cat(&rows, 1),
    }
}

/// Attention of some rows. `keys`, `values`: `[n_kv_heads, len, head_dim]`; `mask`:
/// `[n_rows, len]`.
fn portable_block(
    query: &Tensor,
    [keys, values]: [&Tensor; 2],
    mask: Option<&Tensor>,
    settings: &AttentionSettings,
) -> Result<Tensor> {
    let (n_heads, n_rows, head_dim) = query.dims3()?;
    let (n_kv_heads, len, _) = keys.dims3()?;
    let group = n_heads / n_kv_heads;
    let query = (query.contiguous()? * f64::from(settings.scale))?;
    let query = query.reshape((n_kv_heads, group * n_rows, head_dim))?;
    let scores = query.matmul(&keys.transpose(1, 2)?)?.reshape((n_heads, n_rows, len))?;
    let scores = match settings.soft_cap {
        Some(cap) => soft_cap(&scores, cap)?,
        None => scores,
    };
    let scores = match mask {
        Some(mask) => scores.broadcast_add(mask)?,
        None => scores,
    };
    let weights = candle_nn::ops::softmax_last_dim(&scores)?;
    weights
        .reshape((n_kv_heads, group * n_rows, len))?
        .matmul(values)?
        .reshape((n_heads, n_rows, head_dim))
}

/// `cap * tanh(x / cap)`.
pub(super) fn soft_cap(x: &Tensor, cap: f32) -> Result<Tensor> {
    let cap = f64::from(cap);
    (x / cap)?.tanh()? * cap
}

/// Attention of one new position to those from `first` on, on the CPU. Reads the KV blocks in place,
/// since concatenating them for every token costs more than the attention. The result of each block
/// is merged with those before it by log-sum-exp (arXiv 2205.14135, section 3.1).
fn one_row(
    query: &Tensor,
    cache: &KvView<'_>,
    first: usize,
    settings: &AttentionSettings,
) -> Result<Tensor> {
    let (n_heads, _, head_dim) = query.dims3()?;
    let mut keys = Vec::new();
    let mut values = Vec::new();
    let mut n_kv_heads = 1;
    for (block, _) in cache.blocks() {
        n_kv_heads = block.keys.dim(0)?;
        keys.push(block.keys.storage_and_layout().0);
        values.push(block.values.storage_and_layout().0);
    }
    let blocks = keys
        .iter()
        .zip(&values)
        .zip(cache.blocks())
        .enumerate()
        .map(|(index, ((keys, values), (_, used)))| {
            let hidden = first.saturating_sub(index * BLOCK_SIZE).min(used);
            Ok((floats(keys)?, floats(values)?, hidden..used))
        })
        .collect::<Result<Vec<_>>>()?;

    let query = query.contiguous()?;
    let (query_storage, layout) = query.storage_and_layout();
    let query_floats = &floats(&query_storage)?[layout.start_offset()..][..n_heads * head_dim];
    let group = n_heads / n_kv_heads;
    let mut mixed = vec![0f32; n_heads * head_dim];
    let one_head = |head: usize, mixed: &mut [f32]| {
        let query = &query_floats[head * head_dim..][..head_dim];
        let kv_head = head / group;
        let visible = blocks.iter().filter(|(_, _, seen)| !seen.is_empty());
        let blocks = visible.map(|(keys, values, seen)| {
            let start = kv_head * (keys.len() / n_kv_heads);
            let part = start + seen.start * head_dim..start + seen.end * head_dim;
            (&keys[part.clone()], &values[part])
        });
        mix(query, blocks, mixed, settings);
    };
    // For short caches, distributing the heads over threads costs more than it saves.
    if cache.len * n_heads < 2048 {
        mixed.chunks_mut(head_dim).enumerate().for_each(|(head, mixed)| one_head(head, mixed));
    } else {
        mixed.par_chunks_mut(head_dim).enumerate().for_each(|(head, mixed)| one_head(head, mixed));
    }
    Tensor::from_vec(mixed, (n_heads, 1, head_dim), &Device::Cpu)
}

/// `mixed = Σ softmax(query · keyᵢ · scale) valueᵢ`; the keys and the values of each KV block are
/// `[n, head_dim]`.
fn mix<'a>(
    query: &[f32],
    blocks: impl Iterator<Item = (&'a [f32], &'a [f32])>,
    mixed: &mut [f32],
    settings: &AttentionSettings,
) {
    let head_dim = query.len();
    let score = |key| {
        let score = dot(query, key) * settings.scale;
        settings.soft_cap.map_or(score, |cap| cap * (score / cap).tanh())
    };
    let mut largest = f32::NEG_INFINITY;
    let mut total = 0f32;
    let mut weights = Vec::new();
    for (keys, values) in blocks {
        weights.clear();
        weights.extend(keys.chunks_exact(head_dim).map(score));
        let new_largest = weights.iter().copied().fold(largest, f32::max);
        let shrink = (largest - new_largest).exp();
        largest = new_largest;
        total *= shrink;
        mixed.iter_mut().for_each(|x| *x *= shrink);
        for (weight, value) in weights.iter_mut().zip(values.chunks_exact(head_dim)) {
            *weight = (*weight - largest).exp();
            total += *weight;
            mixed.iter_mut().zip(value).for_each(|(x, v)| *x += *weight * v);
        }
    }
    mixed.iter_mut().for_each(|x| *x /= total);
}

/// Dot product, in sixteen partial sums so that the compiler can use full vector registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let tail: f32 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(x, y)| x * y).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + tail
}

fn floats(storage: &Storage) -> Result<&[f32]> {
    match storage {
        Storage::Cpu(cpu) => cpu.as_slice::<f32>(),
        _ => candle_core::bail!("attention: a cache that is not in the CPU's memory"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::super::kv::{CandleKv, write};
    use super::*;
    use crate::lm::decoder::cache::{KvCache, KvPool};
    use crate::lm::decoder::config::DecoderConfig;
    use crate::lm::tiny::Tiny;

    /// Softmax attention computed directly, in f64.
    fn by_hand(
        query: &[f64],
        keys: &[Vec<f64>],
        values: &[Vec<f64>],
        settings: &AttentionSettings,
    ) -> Vec<f64> {
        let score = |key: &Vec<f64>| {
            let product: f64 = key.iter().zip(query).map(|(a, b)| a * b).sum();
            let score = product * f64::from(settings.scale);
            settings.soft_cap.map(f64::from).map_or(score, |cap| cap * (score / cap).tanh())
        };
        let weights: Vec<f64> = keys.iter().map(|key| score(key).exp()).collect();
        let total: f64 = weights.iter().sum();
        (0..query.len())
            .map(|d| weights.iter().zip(values).map(|(w, v)| w * v[d]).sum::<f64>() / total)
            .collect()
    }

    fn noise(n: usize, seed: u64) -> Vec<f32> {
        use rand::{RngExt, SeedableRng};
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| rng.random_range(-1.0f32..1.0)).collect()
    }

    #[test]
    fn both_paths_equal_attention_written_out() {
        let (n_heads, n_kv_heads, head_dim, len) = (4, 2, 24, 300);
        let tiny = Tiny { n_heads, n_kv_heads, head_dim, ..Tiny::new("llama") };
        let config = DecoderConfig::from_gguf(&tiny.gguf()).unwrap();
        let device = Device::Cpu;
        let keys = noise(n_kv_heads * len * head_dim, 1);
        let values = noise(n_kv_heads * len * head_dim, 2);
        let query = noise(n_heads * len * head_dim, 3);
        let tensor = |x: &[f32], heads: usize| {
            Tensor::from_slice(x, (heads, len, head_dim), &device).unwrap()
        };
        let mut cache = KvCache::new(Arc::new(KvPool::new(CandleKv::new(&config, &device))));
        cache.reserve(len).unwrap();
        let (keys_tensor, values_tensor) = (tensor(&keys, n_kv_heads), tensor(&values, n_kv_heads));
        write(&mut cache, 0, &keys_tensor, &values_tensor).unwrap();
        let view = KvView::new(&cache, 0, len);
        let query_tensor = tensor(&query, n_heads);
        let last = query_tensor.narrow(1, len - 1, 1).unwrap().contiguous().unwrap();
        let few = query_tensor.narrow(1, 256, 44).unwrap().contiguous().unwrap();

        let row = |x: &[f32], head: usize, i: usize| -> Vec<f64> {
            x[(head * len + i) * head_dim..][..head_dim].iter().map(|x| f64::from(*x)).collect()
        };
        for (window, soft_cap) in
            [(None, None), (Some(300), Some(1.5)), (Some(40), None), (Some(270), None)]
        {
            let settings = AttentionSettings { n_heads, scale: 0.3, window, soft_cap };
            let mask = |start, n| Mask::causal(start, n, window, &device).unwrap();
            let many = portable(&query_tensor, &view, &mask(0, len), &settings).unwrap();
            let after = portable(&few, &view, &mask(256, 44), &settings).unwrap();
            let one = attend(&last, &view, &mask(len - 1, 1), &settings).unwrap();
            let one_portable = portable(&last, &view, &mask(len - 1, 1), &settings).unwrap();
            for (head, position) in
                (0..n_heads).flat_map(|head| [0, 1, 39, 40, 255, 256, 299].map(|p| (head, p)))
            {
                let kv = head / (n_heads / n_kv_heads);
                let first = window.map_or(0, |window| (position + 1_usize).saturating_sub(window));
                let rows =
                    |x: &[f32]| (first..=position).map(|i| row(x, kv, i)).collect::<Vec<_>>();
                let query = row(&query, head, position);
                let want = by_hand(&query, &rows(&keys), &rows(&values), &settings);
                let at = |x: &Tensor, i: usize| x.get(head).unwrap().get(i).unwrap();
                let mut got = vec![at(&many, position)];
                if position >= 256 {
                    got.push(at(&after, position - 256));
                }
                if position == len - 1 {
                    got.extend([at(&one, 0), at(&one_portable, 0)]);
                }
                for got in got {
                    for (got, want) in got.to_vec1::<f32>().unwrap().iter().zip(&want) {
                        assert!((f64::from(*got) - want).abs() < 1e-5, "{window:?}: {got} {want}");
                    }
                }
            }
        }
    }
}
