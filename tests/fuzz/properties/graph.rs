//! The graph over users' vectors in its file.

use idiolect_core::peers::VectorGraph;

pub fn check(input: &[u8]) {
    let Ok(graph) = VectorGraph::from_bytes(input) else { return };
    assert_eq!(graph.to_bytes(), input, "a file that is read is written alike");
    for dimension in [1, 4, 24] {
        let near = graph.near(&vec![0.5; dimension], 9);
        assert!(near.len() <= 9 && near.iter().all(|row| *row < graph.len()));
    }
}
