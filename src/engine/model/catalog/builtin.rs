//! The entries of `models/`, embedded in the program.

macro_rules! entry {
    ($name:literal) => {
        (
            concat!("models/", $name, ".toml"),
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/", $name, ".toml")),
        )
    };
}

/// Names of the entries' files, and their texts.
pub(super) const ENTRIES: [(&str, &str); 23] = [
    entry!("all-minilm-l6-v2"),
    entry!("bge-small-en-v1.5"),
    entry!("e5-small-v2"),
    entry!("gemma-3-1b-it"),
    entry!("gemma-3-4b-it"),
    entry!("granite-3.3-2b-instruct"),
    entry!("llama-3.2-1b-instruct"),
    entry!("llama-3.2-3b-instruct"),
    entry!("phi-4-mini-instruct"),
    entry!("qwen2.5-0.5b-instruct"),
    entry!("qwen2.5-1.5b-instruct"),
    entry!("qwen2.5-7b-instruct"),
    entry!("qwen2.5-coder-0.5b-instruct"),
    entry!("qwen2.5-coder-1.5b-instruct"),
    entry!("qwen3-0.6b"),
    entry!("qwen3-1.7b"),
    entry!("qwen3-4b"),
    entry!("qwen3-4b-instruct-2507"),
    entry!("qwen3-8b"),
    entry!("smollm2-1.7b-instruct"),
    entry!("smollm2-135m-instruct"),
    entry!("smollm2-360m-instruct"),
    entry!("smollm3-3b"),
];
