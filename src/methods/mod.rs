//! One file a method, each readable as its paper's algorithm.
