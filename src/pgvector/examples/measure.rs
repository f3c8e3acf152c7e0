//! Measures a database of vectors: `measure FOLDER DIMENSION CANDIDATES,...`, with the address in `IDIOLECT_PEERS`.
//!
//! The folder has `vectors` and `queries`, rows of 32-bit numbers, and `nearest`, the rows of the ten nearest
//! vectors of each query as 32-bit numbers (`scripts/bench-index` makes them). Prints one JSON line as the programs
//! of that script do: seconds of writing and of building the graph, and for each number of candidates recall and
//! searches a second of one client.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use idiolect_pgvector::{DatabaseOptions, UserDatabase, VectorStamp};

const K: usize = 10;
const BATCH: usize = 10_000;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, dimension, candidates] = words.as_slice() else {
        return Err("measure FOLDER DIMENSION CANDIDATES,...".into());
    };
    let address = std::env::var("IDIOLECT_PEERS")?;
    let dimension: usize = dimension.parse()?;
    let numbers = |name: &str| -> Result<Vec<f32>, Box<dyn Error>> {
        Ok(words_of(&Path::new(folder).join(name))?.into_iter().map(f32::from_bits).collect())
    };
    let (vectors, queries) = (numbers("vectors")?, numbers("queries")?);
    let nearest = words_of(&Path::new(folder).join("nearest"))?;

    let stamp = VectorStamp { made_by: "measure".to_owned(), dimension };
    let mut database = UserDatabase::create(&address, &stamp, &DatabaseOptions::default())?;
    let names: Vec<String> = (0..vectors.len() / dimension).map(|row| row.to_string()).collect();
    let rows: Vec<(&str, &[f32])> =
        names.iter().map(String::as_str).zip(vectors.chunks_exact(dimension)).collect();
    let begin = Instant::now();
    for batch in rows.chunks(BATCH) {
        database.upsert(batch)?;
    }
    let write_s = begin.elapsed().as_secs_f64();
    let begin = Instant::now();
    database.index()?;
    let build_s = begin.elapsed().as_secs_f64();
    let mut searches = Vec::new();
    for candidates in candidates.split(',') {
        let candidates: usize = candidates.parse()?;
        let options = DatabaseOptions { candidates, ..DatabaseOptions::default() };
        let mut database = UserDatabase::open(&address, &stamp, &options)?;
        let mut hits = 0;
        // Once to warm up, and once on the clock.
        let mut seconds = 0.0;
        for _ in 0..2 {
            let begin = Instant::now();
            let mut found = Vec::with_capacity(nearest.len() / K);
            for query in queries.chunks_exact(dimension) {
                found.push(database.near(query, K)?);
            }
            seconds = begin.elapsed().as_secs_f64();
            let is_near = |(near, expected): (&Vec<(String, f32)>, &[u32])| {
                near.iter()
                    .filter(|(name, _)| name.parse().is_ok_and(|row| expected.contains(&row)))
                    .count()
            };
            hits = found.iter().zip(nearest.chunks_exact(K)).map(is_near).sum();
        }
        let (n_queries, n_nearest) = (queries.len() / dimension, nearest.len());
        let (recall, qps) = (hits as f64 / n_nearest as f64, n_queries as f64 / seconds);
        searches.push(format!("{{\"ef\": {candidates}, \"recall\": {recall}, \"qps\": {qps}}}"));
    }
    println!(
        "{{\"name\": \"pgvector\", \"write_s\": {write_s}, \"build_s\": {build_s}, \"searches\": [{}]}}",
        searches.join(", ")
    );
    Ok(())
}

/// The numbers of 32 bits in a file, lowest byte first.
fn words_of(path: &Path) -> Result<Vec<u32>, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let (words, rest) = bytes.as_chunks::<4>();
    match rest {
        [] => Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect()),
        _ => Err(format!("{} holds no whole numbers", path.display()).into()),
    }
}
