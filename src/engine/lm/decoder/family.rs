//! Families of decoders: the differences that each declares.

use idiolect_kernels::elementwise::RopePairs;

/// A family of decoders. The methods declare the differences between families; numbers that a file
/// states are in the [`DecoderConfig`](super::DecoderConfig).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecoderFamily {
    /// Llama, Mistral, SmolLM and SmolLM2.
    Llama,
    /// Mistral 3 and Ministral 3.
    Mistral3,
    /// Qwen2 and Qwen2.5.
    Qwen2,
    /// Qwen3 (dense).
    Qwen3,
    /// Qwen3 with a mixture of experts.
    Qwen3Moe,
    /// SmolLM3.
    SmolLm3,
    /// Granite (dense).
    Granite,
    /// OLMo 2 and OLMo 3.
    Olmo2,
    /// Gemma 2.
    Gemma2,
    /// Gemma 3 (text).
    Gemma3,
    /// Phi-3, Phi-3.5 and Phi-4.
    Phi3,
}

/// Whether a family's projections carry a bias.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BiasPlacement {
    /// Never.
    Absent,
    /// If the file has one.
    Optional,
    /// Always.
    Required,
}

/// Rows of queries and keys that are RMS-normed before the rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKeyNorm {
    /// None.
    Absent,
    /// The elements of each head.
    EachHead,
    /// All heads of a position together.
    AllHeads,
}

/// Norms of the two parts of a layer, attention and feed-forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NormPlacement {
    /// One before each part.
    Before,
    /// One after each part, before the residual sum.
    After,
    /// Both.
    Around,
}

/// Activation of the gate of a feed-forward network (arXiv 2002.05202).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateActivation {
    /// `x / (1 + e^-x)`.
    Silu,
    /// GELU, approximated by a hyperbolic tangent (arXiv 1606.08415).
    Gelu,
}

/// Layers whose attention sees a window only, if the file states a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowedLayers {
    /// None.
    Never,
    /// All but the last of each so many, unless the file states another number.
    AllButLastOf(usize),
    /// All.
    Every,
}

impl DecoderFamily {
    /// All families.
    pub const ALL: [Self; 11] = [
        Self::Llama,
        Self::Mistral3,
        Self::Qwen2,
        Self::Qwen3,
        Self::Qwen3Moe,
        Self::SmolLm3,
        Self::Granite,
        Self::Olmo2,
        Self::Gemma2,
        Self::Gemma3,
        Self::Phi3,
    ];

    /// Name in `general.architecture`.
    #[must_use]
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Mistral3 => "mistral3",
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
            Self::Qwen3Moe => "qwen3moe",
            Self::SmolLm3 => "smollm3",
            Self::Granite => "granite",
            Self::Olmo2 => "olmo2",
            Self::Gemma2 => "gemma2",
            Self::Gemma3 => "gemma3",
            Self::Phi3 => "phi3",
        }
    }

    /// The family of this name in `general.architecture`.
    #[must_use]
    pub fn of_architecture(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.architecture() == name)
    }

    /// Whether the query, key and value projections have a bias.
    #[must_use]
    pub fn qkv_bias(self) -> BiasPlacement {
        match self {
            Self::Llama | Self::Mistral3 | Self::SmolLm3 | Self::Granite => BiasPlacement::Optional,
            Self::Qwen2 => BiasPlacement::Required,
            Self::Qwen3
            | Self::Qwen3Moe
            | Self::Olmo2
            | Self::Gemma2
            | Self::Gemma3
            | Self::Phi3 => BiasPlacement::Absent,
        }
    }

    /// Norm of queries and keys before the rotation.
    #[must_use]
    pub fn query_key_norm(self) -> QueryKeyNorm {
        match self {
            Self::Qwen3 | Self::Qwen3Moe | Self::Gemma3 => QueryKeyNorm::EachHead,
            Self::Olmo2 => QueryKeyNorm::AllHeads,
            _ => QueryKeyNorm::Absent,
        }
    }

    /// Norms of the two parts of a layer.
    #[must_use]
    pub fn norms(self) -> NormPlacement {
        match self {
            Self::Olmo2 => NormPlacement::After,
            Self::Gemma2 | Self::Gemma3 => NormPlacement::Around,
            _ => NormPlacement::Before,
        }
    }

    /// Activation of the feed-forward networks.
    #[must_use]
    pub fn gate_activation(self) -> GateActivation {
        match self {
            Self::Gemma2 | Self::Gemma3 => GateActivation::Gelu,
            _ => GateActivation::Silu,
        }
    }

    /// Whether the file has query, key and value in one tensor, and gate and up in one.
    #[must_use]
    pub fn fuses_projections(self) -> bool {
        matches!(self, Self::Phi3)
    }

    /// Whether the feed-forward networks are mixtures of experts.
    #[must_use]
    pub fn has_experts(self) -> bool {
        matches!(self, Self::Qwen3Moe)
    }

    /// Pairing of elements for the rotation.
    #[must_use]
    pub fn rope_pairs(self) -> RopePairs {
        match self {
            Self::Llama | Self::Mistral3 | Self::SmolLm3 | Self::Granite => RopePairs::Neighbours,
            _ => RopePairs::Halves,
        }
    }

    /// Whether the file may rotate only the first elements of each head.
    #[must_use]
    pub fn rotates_part(self) -> bool {
        matches!(self, Self::Phi3)
    }

    /// Period of the layers without rotation: the last of each so many.
    #[must_use]
    pub fn unrotated_period(self) -> Option<usize> {
        matches!(self, Self::SmolLm3).then_some(4)
    }

    /// Layers whose attention sees a window only.
    #[must_use]
    pub fn windowed_layers(self) -> WindowedLayers {
        match self {
            Self::Gemma2 => WindowedLayers::AllButLastOf(2),
            Self::Gemma3 => WindowedLayers::AllButLastOf(6),
            Self::Olmo2 => WindowedLayers::AllButLastOf(4),
            Self::Phi3 => WindowedLayers::Every,
            _ => WindowedLayers::Never,
        }
    }

    /// Whether windowed layers have rotary frequencies of their own, which are not scaled.
    #[must_use]
    pub fn has_local_rope(self) -> bool {
        matches!(self, Self::Gemma3 | Self::Olmo2)
    }

    /// Whether embeddings are multiplied by the square root of their width.
    #[must_use]
    pub fn scales_embeddings_by_width(self) -> bool {
        matches!(self, Self::Gemma2 | Self::Gemma3)
    }
}
