#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::lm::decoder::{Decoder, Options, Precision, Rows};
use crate::lm::tiny::Tiny;
use idiolect_kernels::Tier;
use idiolect_kernels::attention::KvPrecision;

fn decoder() -> Decoder {
    let options = Options {
        device: candle_core::Device::Cpu,
        precision: Precision::Packed,
        context: None,
        threads: 1,
        tier: Tier::detect(),
        kv_precision: KvPrecision::default(),
    };
    Decoder::load(&Tiny { n_layers: 1, ..Tiny::new("llama") }.gguf(), &options).unwrap()
}

fn run(decoder: &Decoder, tokens: &[u32]) -> Cache {
    let mut cache = decoder.cache();
    decoder.forward(&mut [Rows { tokens, cache: &mut cache }]).unwrap();
    cache
}

fn text(of: u32, n: usize) -> Vec<u32> {
    (0..n as u32).map(|i| (i * of + i / 7) % 200).collect()
}

#[test]
fn what_was_inserted_is_found_to_the_token() {
    let decoder = decoder();
    let mut tree = PrefixTree::default();
    let tokens = text(3, 150);
    assert_eq!(tree.longest(&tokens), 0);
    tree.insert(&tokens, &run(&decoder, &tokens), Tail::Left);
    assert_eq!((tree.n_runs(), tree.longest(&tokens)), (2, 128));
    tree.insert(&tokens, &run(&decoder, &tokens), Tail::Kept);
    assert_eq!((tree.n_runs(), tree.longest(&tokens)), (3, 150));
    let mut other = tokens.clone();
    other[70] = 255;
    assert_eq!(tree.longest(&other), 70);
    assert_eq!(tree.longest(&tokens[..10]), 10);

    let mut cache = decoder.cache();
    tree.take(&other[..tree.longest(&other)], &mut cache);
    assert_eq!((cache.len(), cache.n_runs()), (70, 2));
    // A longer sequence replaces the leaf that is its prefix, and branches become siblings.
    let longer = [&tokens[..], &[7; 60]].concat();
    tree.insert(&longer, &run(&decoder, &longer), Tail::Kept);
    tree.insert(&other, &run(&decoder, &other), Tail::Kept);
    assert_eq!((tree.n_runs(), tree.longest(&longer), tree.longest(&other)), (6, 210, 150));
    drop(cache);
    assert_eq!(decoder.cache_bytes(), 6 * decoder.cache().run_bytes());
}

#[test]
fn the_least_recently_used_free_leaf_goes_first() {
    let decoder = decoder();
    let mut tree = PrefixTree::default();
    let texts = [text(3, 64), text(5, 64), text(7, 64)];
    for tokens in &texts {
        tree.insert(tokens, &run(&decoder, tokens), Tail::Left);
    }
    let deep = [&texts[0][..], &texts[1]].concat();
    tree.insert(&deep, &run(&decoder, &deep), Tail::Left);
    let mut held = decoder.cache();
    tree.take(&texts[1], &mut held);
    // A cache holds the second, so the third is evicted, then the last block of the first, then its
    // first.
    for (left, lost) in [(3, &texts[2]), (2, &deep)] {
        assert!(tree.evict());
        assert_eq!(tree.n_runs(), left);
        assert!(tree.longest(lost) < lost.len());
    }
    assert_eq!(tree.longest(&deep), 64);
    assert!(tree.evict() && !tree.evict());
    drop(held);
    assert!(tree.evict() && !tree.evict());
    assert_eq!((tree.n_runs(), decoder.cache_bytes()), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Compares with a list of all inserted sequences.
    #[test]
    fn the_longest_beginning_is_that_of_a_plain_search(
        picks in prop::collection::vec((0..3_u32, 0..200_usize, 0..3_u32, 0..100_usize), 1..12)
    ) {
        let decoder = decoder();
        let mut tree = PrefixTree::default();
        let mut known: Vec<Vec<u32>> = Vec::new();
        for (a, n, b, m) in picks {
            let tokens = [text(a + 3, n), text(b + 11, m)].concat();
            let plain = known.iter().map(|other| common(other, &tokens)).max().unwrap_or(0);
            prop_assert_eq!(tree.longest(&tokens), plain);
            let mut cache = decoder.cache();
            tree.take(&tokens, &mut cache);
            prop_assert_eq!(cache.len(), plain);
            if !tokens.is_empty() {
                tree.insert(&tokens, &run(&decoder, &tokens), Tail::Kept);
                known.push(tokens);
            }
        }
        let bytes = decoder.cache_bytes();
        prop_assert_eq!(bytes, tree.n_runs() * decoder.cache().run_bytes());
    }
}
