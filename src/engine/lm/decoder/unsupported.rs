//! Advice for files whose architecture has no decoder: why, and what to fetch instead.

/// Architectures, as in `general.architecture`, that share a reason and have the same substitute.
struct Unsupported {
    architectures: &'static [&'static str],
    why: &'static str,
    /// Entry of the catalog.
    instead: &'static str,
}

const RECURRENT: &str = "its layers keep a recurrent state, which is not supported";
const EXPERTS: &str = "its mixture of experts differs from that of qwen3moe";
const PARTS: &str = "it is a part of a model, not a text model";

const UNSUPPORTED: [Unsupported; 13] = [
    Unsupported {
        architectures: &["granitehybrid"],
        why: RECURRENT,
        instead: "granite-3.3-2b-instruct",
    },
    Unsupported {
        architectures: &["lfm2", "lfm2moe", "plamo2", "kimi-linear"],
        why: RECURRENT,
        instead: "smollm3-3b",
    },
    Unsupported {
        architectures: &["qwen3next", "qwen35", "qwen35moe", "rwkv6qwen2", "arwkv7"],
        why: RECURRENT,
        instead: "qwen3-4b-instruct-2507",
    },
    Unsupported {
        architectures: &[
            "mamba",
            "mamba2",
            "jamba",
            "falcon-h1",
            "nemotron_h",
            "nemotron_h_moe",
            "rwkv6",
            "rwkv7",
        ],
        why: RECURRENT,
        instead: "llama-3.2-3b-instruct",
    },
    Unsupported {
        architectures: &["gpt-oss"],
        why: "its experts are in MXFP4 and its attention has sinks, which are not supported",
        instead: "qwen3-4b-instruct-2507",
    },
    Unsupported {
        architectures: &["gemma", "gemma3n", "gemma4"],
        why: "it is another architecture than that of Gemma 2 and 3",
        instead: "gemma-3-4b-it",
    },
    Unsupported {
        architectures: &["granitemoe"],
        why: EXPERTS,
        instead: "granite-3.3-2b-instruct",
    },
    Unsupported {
        architectures: &["qwen2moe", "qwen3vlmoe", "qwen2vl", "qwen3vl"],
        why: "it is another architecture than that of the text models of Qwen2 and Qwen3",
        instead: "qwen3-4b-instruct-2507",
    },
    Unsupported {
        architectures: &["phi2", "phimoe"],
        why: "it is another architecture than that of Phi-3 and Phi-4",
        instead: "phi-4-mini-instruct",
    },
    Unsupported {
        architectures: &[
            "llama4",
            "deepseek",
            "deepseek2",
            "glm4moe",
            "olmoe",
            "dbrx",
            "grok",
            "ernie4_5-moe",
            "hunyuan-moe",
            "bailingmoe",
            "bailingmoe2",
            "dots1",
            "minimax-m2",
            "smallthinker",
        ],
        why: EXPERTS,
        instead: "qwen3-8b",
    },
    Unsupported {
        architectures: &[
            "bert",
            "modern-bert",
            "neo-bert",
            "nomic-bert",
            "nomic-bert-moe",
            "jina-bert-v2",
            "jina-bert-v3",
            "eurobert",
            "gemma-embedding",
            "t5encoder",
        ],
        why: "it is a sentence encoder, not a language model; encoders are given to `--encoder` as a \
              folder with safetensors",
        instead: "qwen3-0.6b",
    },
    Unsupported {
        architectures: &["t5"],
        why: "it has an encoder before its decoder",
        instead: "qwen3-0.6b",
    },
    Unsupported {
        architectures: &["clip", "mmproj", "wavtokenizer-dec"],
        why: PARTS,
        instead: "gemma-3-4b-it",
    },
];

/// Entry of the catalog for architectures that are not listed.
const DEFAULT: &str = "qwen3-4b-instruct-2507";

/// A sentence or two on an architecture without a decoder.
pub(super) fn advice(architecture: &str) -> String {
    let known = UNSUPPORTED.iter().find(|kind| kind.architectures.contains(&architecture));
    let (why, instead) = match known {
        Some(kind) => (format!(": {}", kind.why), kind.instead),
        None => (String::new(), DEFAULT),
    };
    format!("{why}. Hint: `idiolect models fetch {instead}` fetches a model that is supported")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::lm::decoder::DecoderFamily;
    use crate::model::catalog::Catalog;

    #[test]
    fn what_is_advised_is_in_the_catalog_and_supported() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::load(folder.path()).unwrap();
        let listed = UNSUPPORTED.iter().flat_map(|kind| kind.architectures);
        for name in listed.clone().chain(&["unheard-of"]) {
            assert_eq!(DecoderFamily::of_architecture(name), None, "{name}");
            let advice = advice(name);
            let entry = advice.split('`').nth_back(1).unwrap();
            let entry =
                catalog.entry(entry.strip_prefix("idiolect models fetch ").unwrap()).unwrap();
            assert!(DecoderFamily::of_architecture(&entry.architecture).is_some(), "{advice}");
        }
        let mut names: Vec<_> = listed.collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(advice("mamba").starts_with(": its layers keep a recurrent state"));
    }
}
