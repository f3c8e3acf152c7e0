#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::lm::decoder::{
    BatchRows, CpuDecoder, CpuKv, Decoder, DecoderOptions, RowKind, WeightPrecision,
};
use crate::lm::tiny::Tiny;
use idiolect_kernels::Isa;
use idiolect_kernels::attention::KvPrecision;

fn decoder() -> CpuDecoder {
    let options = DecoderOptions {
        device: candle_core::Device::Cpu,
        precision: WeightPrecision::Packed,
        context: None,
        threads: 1,
        isa: Isa::detect(),
        kv_precision: KvPrecision::default(),
    };
    CpuDecoder::load(&Tiny { n_layers: 1, ..Tiny::new("llama") }.gguf(), &options).unwrap()
}

fn run(decoder: &CpuDecoder, tokens: &[u32]) -> KvCache<CpuKv> {
    let mut cache = decoder.empty_cache();
    decoder
        .forward(&mut [BatchRows { kind: RowKind::Text, tokens, cache: &mut cache, adapter: None }])
        .unwrap();
    cache
}

fn text(of: u32, n: usize) -> Vec<u32> {
    (0..n as u32).map(|i| (i * of + i / 7) % 200).collect()
}

#[test]
fn what_was_inserted_is_found_to_the_token() {
    let decoder = decoder();
    let mut prefixes = PrefixCache::new();
    let tokens = text(3, 150);
    assert_eq!(prefixes.longest_prefix(None, &tokens), 0);
    prefixes.insert(None, &tokens, &run(&decoder, &tokens), PartialBlock::Open);
    assert_eq!((prefixes.n_blocks(), prefixes.longest_prefix(None, &tokens)), (2, 128));
    prefixes.insert(None, &tokens, &run(&decoder, &tokens), PartialBlock::Sealed);
    assert_eq!((prefixes.n_blocks(), prefixes.longest_prefix(None, &tokens)), (3, 150));
    let mut other = tokens.clone();
    other[70] = 255;
    assert_eq!(prefixes.longest_prefix(None, &other), 70);
    assert_eq!(prefixes.longest_prefix(None, &tokens[..10]), 10);

    let mut cache = decoder.empty_cache();
    prefixes.attach(None, &other[..prefixes.longest_prefix(None, &other)], &mut cache);
    assert_eq!((cache.len(), cache.n_blocks()), (70, 2));
    // A longer sequence replaces the leaf that is its prefix, and branches become siblings.
    let longer = [&tokens[..], &[7; 60]].concat();
    prefixes.insert(None, &longer, &run(&decoder, &longer), PartialBlock::Sealed);
    prefixes.insert(None, &other, &run(&decoder, &other), PartialBlock::Sealed);
    assert_eq!(
        (
            prefixes.n_blocks(),
            prefixes.longest_prefix(None, &longer),
            prefixes.longest_prefix(None, &other)
        ),
        (6, 210, 150)
    );
    drop(cache);
    assert_eq!(decoder.kv_pool().bytes(), 6 * decoder.kv_pool().block_bytes());
}

#[test]
fn the_least_recently_used_free_leaf_goes_first() {
    let decoder = decoder();
    let mut prefixes = PrefixCache::new();
    let texts = [text(3, 64), text(5, 64), text(7, 64)];
    for tokens in &texts {
        prefixes.insert(None, tokens, &run(&decoder, tokens), PartialBlock::Open);
    }
    let deep = [&texts[0][..], &texts[1]].concat();
    prefixes.insert(None, &deep, &run(&decoder, &deep), PartialBlock::Open);
    let mut held = decoder.empty_cache();
    prefixes.attach(None, &texts[1], &mut held);
    // A cache holds the second, so the third is evicted, then the last block of the first, then its
    // first.
    for (left, lost) in [(3, &texts[2]), (2, &deep)] {
        assert!(prefixes.evict());
        assert_eq!(prefixes.n_blocks(), left);
        assert!(prefixes.longest_prefix(None, lost) < lost.len());
    }
    assert_eq!(prefixes.longest_prefix(None, &deep), 64);
    assert!(prefixes.evict() && !prefixes.evict());
    drop(held);
    assert!(prefixes.evict() && !prefixes.evict());
    assert_eq!((prefixes.n_blocks(), decoder.kv_pool().bytes()), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Compares with a list of all inserted sequences.
    #[test]
    fn the_longest_beginning_is_that_of_a_plain_search(
        picks in prop::collection::vec((0..3_u32, 0..200_usize, 0..3_u32, 0..100_usize), 1..12)
    ) {
        let decoder = decoder();
        let mut prefixes = PrefixCache::new();
        let mut known: Vec<Vec<u32>> = Vec::new();
        for (a, n, b, m) in picks {
            let tokens = [text(a + 3, n), text(b + 11, m)].concat();
            let plain = known.iter().map(|other| common_prefix(other, &tokens)).max().unwrap_or(0);
            prop_assert_eq!(prefixes.longest_prefix(None, &tokens), plain);
            let mut cache = decoder.empty_cache();
            prefixes.attach(None, &tokens, &mut cache);
            prop_assert_eq!(cache.len(), plain);
            if !tokens.is_empty() {
                prefixes.insert(None, &tokens, &run(&decoder, &tokens), PartialBlock::Sealed);
                known.push(tokens);
            }
        }
        let bytes = decoder.kv_pool().bytes();
        prop_assert_eq!(bytes, prefixes.n_blocks() * decoder.kv_pool().block_bytes());
    }
}
