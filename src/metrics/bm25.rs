//! BM25 ranking, as DPL's published runs compute it.

use std::collections::HashMap;

/// Term frequency saturation, k1.
const K1: f64 = 1.5;
/// Weight of the document length, b.
const B: f64 = 0.75;
/// Factor on the mean idf that replaces a negative idf (of a word in more than half of the
/// documents).
const EPSILON: f64 = 0.25;

/// BM25 Okapi with the arithmetic of Python's `rank_bm25` 0.2.2, which DPL uses. Tokens are split
/// at white space; case and punctuation are kept. `idf = ln(n − df + ½) − ln(df + ½)`; a negative
/// idf is replaced by a quarter of the mean idf over the vocabulary. The mean includes the negative
/// values, so the replacement can itself be negative.
#[derive(Debug)]
pub struct Bm25 {
    /// Word to its idf.
    idf: HashMap<String, f64>,
    /// Occurrences of each word, by document.
    counts: Vec<HashMap<String, u32>>,
    /// Number of words of each document.
    lengths: Vec<usize>,
    mean_length: f64,
}

impl Bm25 {
    /// Indexes documents.
    pub fn new<S: AsRef<str>>(documents: &[S]) -> Self {
        let mut counts = Vec::with_capacity(documents.len());
        let mut lengths = Vec::with_capacity(documents.len());
        // In order of first occurrence, so that the mean is summed in the same order on every run.
        let mut vocabulary: Vec<(String, u32)> = Vec::new();
        let mut place: HashMap<String, usize> = HashMap::new();
        for document in documents {
            let mut of_document: HashMap<String, u32> = HashMap::new();
            let mut length = 0;
            for word in words(document.as_ref()) {
                length += 1;
                let count = of_document.entry(word.to_owned()).or_insert(0);
                *count += 1;
                if *count == 1 {
                    let at = *place.entry(word.to_owned()).or_insert_with(|| {
                        vocabulary.push((word.to_owned(), 0));
                        vocabulary.len() - 1
                    });
                    vocabulary[at].1 += 1;
                }
            }
            counts.push(of_document);
            lengths.push(length);
        }
        let n = float(documents.len());
        let raw: Vec<f64> = vocabulary
            .iter()
            .map(|(_, df)| (n - f64::from(*df) + 0.5).ln() - (f64::from(*df) + 0.5).ln())
            .collect();
        let floor = EPSILON * raw.iter().sum::<f64>() / float(raw.len().max(1));
        let idf = vocabulary
            .into_iter()
            .zip(raw)
            .map(|((word, _), idf)| (word, if idf < 0.0 { floor } else { idf }))
            .collect();
        let mean_length = float(lengths.iter().sum()) / n.max(1.0);
        Self { idf, counts, lengths, mean_length }
    }

    /// Score of each document. A word that occurs twice in the query counts twice. A document
    /// without words scores 0.
    #[must_use]
    pub fn scores(&self, query: &str) -> Vec<f64> {
        let mut scores = vec![0.0; self.counts.len()];
        for word in words(query) {
            let Some(idf) = self.idf.get(word) else { continue };
            for ((score, counts), length) in scores.iter_mut().zip(&self.counts).zip(&self.lengths)
            {
                let count = counts.get(word).copied().map_or(0.0, f64::from);
                let norm = K1 * (1.0 - B + B * float(*length) / self.mean_length);
                *score += idf * (count * (K1 + 1.0) / (count + norm));
            }
        }
        scores
    }

    /// Indices of the best documents, at most `n`, by descending score; of equal scores the later
    /// document comes first.
    ///
    /// `rank_bm25` reverses numpy's `argsort`, whose default sort orders equal scores differently
    /// on different processors; this function reverses the stable sort.
    #[must_use]
    pub fn top(&self, query: &str, n: usize) -> Vec<usize> {
        let scores = self.scores(query);
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(b.cmp(&a)));
        order.truncate(n);
        order
    }
}

/// Tokens of Python's `str.split()`, whose white space includes four control characters.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
        .filter(|word| !word.is_empty())
}

#[allow(clippy::cast_precision_loss)]
fn float(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(serde::Deserialize)]
    struct Golden {
        cases: Vec<Case>,
    }

    #[derive(serde::Deserialize)]
    struct Case {
        name: String,
        documents: Vec<String>,
        queries: Vec<Query>,
    }

    #[derive(serde::Deserialize)]
    struct Query {
        query: String,
        scores: Vec<f64>,
        ranking: Vec<usize>,
    }

    #[test]
    fn scores_and_ranks_as_rank_bm25() {
        let golden: Golden =
            serde_json::from_str(include_str!("../../tests/golden/bm25.json")).unwrap();
        assert!(golden.cases.len() >= 4);
        for case in golden.cases {
            let bm25 = Bm25::new(&case.documents);
            for Query { query, scores, ranking } in case.queries {
                let ours = bm25.scores(&query);
                assert_eq!(ours.len(), scores.len());
                for (ours, theirs) in ours.iter().zip(&scores) {
                    assert!((ours - theirs).abs() < 1e-9, "{}: {ours} {theirs}", case.name);
                }
                assert_eq!(bm25.top(&query, usize::MAX), ranking, "{}: {query}", case.name);
            }
        }
    }

    #[test]
    fn nothing_to_rank_and_nothing_to_rank_by() {
        assert_eq!(Bm25::new::<&str>(&[]).top("a", 3), [0usize; 0]);
        assert_eq!(Bm25::new(&["", ""]).top("a", 3), [1, 0]);
        assert_eq!(Bm25::new(&["a b", "c", "d"]).top("", 2), [2, 1]);
    }
}
