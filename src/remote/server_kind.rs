//! The programs that serve a model.

use serde_json::Value;

/// Program that serves a model; the programs take different fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerKind {
    /// `idiolect serve`.
    Idiolect,
    /// vLLM.
    Vllm,
    /// SGLang.
    Sglang,
    /// llama-server of llama.cpp.
    LlamaServer,
    /// Another program with OpenAI's completions.
    Other,
}

impl ServerKind {
    /// The program that a model of `/v1/models` names as its owner.
    pub(crate) fn of_model(model: &Value) -> Self {
        match model.get("owned_by").and_then(Value::as_str) {
            Some("idiolect") => Self::Idiolect,
            Some("vllm") => Self::Vllm,
            Some("sglang") => Self::Sglang,
            Some("llamacpp") => Self::LlamaServer,
            _ => Self::Other,
        }
    }

    /// Name for messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idiolect => "idiolect",
            Self::Vllm => "vLLM",
            Self::Sglang => "SGLang",
            Self::LlamaServer => "llama-server",
            Self::Other => "an unknown server",
        }
    }

    /// Whether its number of generated tokens includes the end token.
    pub(crate) fn counts_end(self) -> bool {
        self != Self::Idiolect
    }

    /// Number of tokens that it wants to generate after a text that it scores.
    pub(crate) fn n_after_score(self) -> usize {
        match self {
            Self::Vllm | Self::Sglang => 1,
            Self::Idiolect | Self::LlamaServer | Self::Other => 0,
        }
    }

    /// The context window that a model of `/v1/models` tells, tokens.
    pub(crate) fn context(self, model: &Value) -> Option<usize> {
        let told = match self {
            Self::LlamaServer => model.get("meta").and_then(|meta| meta.get("n_ctx")),
            _ => model.get("max_model_len"),
        };
        told.and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok())
    }
}
