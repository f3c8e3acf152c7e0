//! User embeddings, the HNSW index, the choice of representatives.
