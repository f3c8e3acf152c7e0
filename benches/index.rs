//! Time, recall and size of the graph over users' vectors, on vectors of a file; `scripts/bench-index` makes
//! them, and runs other libraries on the same.
//!
//! ```text
//! cargo bench --bench index -- VECTORS QUERIES NEAREST DIMENSION EF,EF,...
//! ```
//!
//! VECTORS and QUERIES hold f32 numbers, NEAREST the ten nearest rows of each query as u32. Prints one JSON
//! line: seconds of the build, bytes, seconds to open the stored graph, and for each `ef` the recall at 10 and
//! the queries per second on one thread and on all.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use idiolect::peers::VectorGraph;
use idiolect::progress::Silent;
use serde_json::json;

/// Neighbours asked for.
const K: usize = 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let [vectors, queries, nearest, dimension, efs] = &arguments[..] else {
        // `cargo bench` runs every benchmark; this one needs files.
        println!("index: give files; scripts/bench-index makes them");
        return;
    };
    let dimension: usize = dimension.parse().unwrap();
    let (vectors, queries) = (floats(vectors), floats(queries));
    let nearest: Vec<u32> = floats(nearest).into_iter().map(f32::to_bits).collect();

    let start = Instant::now();
    let graph = VectorGraph::build(&vectors, dimension, &Silent).unwrap();
    let build_s = start.elapsed().as_secs_f64();
    let file = std::env::temp_dir().join(format!("idiolect-bench-index-{}", std::process::id()));
    std::fs::write(&file, graph.to_bytes()).unwrap();
    let start = Instant::now();
    let bytes = std::fs::read(&file).unwrap();
    let opened = VectorGraph::from_bytes(&bytes).unwrap();
    let open_s = start.elapsed().as_secs_f64();
    std::fs::remove_file(&file).unwrap();

    let queries: Vec<&[f32]> = queries.chunks_exact(dimension).collect();
    let measured = efs.split(',').map(|ef| {
        let ef: usize = ef.parse().unwrap();
        let find = |query: &[f32]| opened.nearest(query, &vectors, K, ef);
        let hits: usize = queries
            .iter()
            .zip(nearest.chunks_exact(K))
            .map(|(query, nearest)| {
                let found = find(query);
                found.iter().filter(|(_, row)| nearest.contains(&(*row as u32))).count()
            })
            .sum();
        let per_second = |n_threads: usize| {
            let next = AtomicUsize::new(0);
            let start = Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..n_threads {
                    scope.spawn(|| {
                        while let Some(query) = queries.get(next.fetch_add(1, Ordering::Relaxed)) {
                            std::hint::black_box(find(query));
                        }
                    });
                }
            });
            queries.len() as f64 / start.elapsed().as_secs_f64()
        };
        let all = std::thread::available_parallelism().map_or(1, usize::from);
        json!({
            "ef": ef,
            "recall": hits as f64 / (queries.len() * K) as f64,
            "qps": per_second(1),
            "qps_all": per_second(all),
        })
    });
    let measured: Vec<_> = measured.collect();
    println!(
        "{}",
        json!({
            "name": "idiolect",
            "build_s": build_s,
            "bytes": bytes.len(),
            "open_s": open_s,
            "searches": measured,
        })
    );
}

fn floats(path: &str) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
}
