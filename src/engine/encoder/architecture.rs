//! The shape of a network, from its `config.json`.

use idiolect_kernels::activation::Activation;

/// Shape of a network.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Architecture {
    pub(super) family: EncoderFamily,
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) n_layers: usize,
    pub(super) n_heads: usize,
    pub(super) activation: Activation,
    hidden_act: String,
    pub(super) layer_norm_eps: f64,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) pad_token_id: u32,
}

/// Network family, by the `model_type` of `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EncoderFamily {
    /// `bert`
    Bert,
    /// `xlm-roberta` and `roberta`; their positions begin after the padding id.
    Roberta,
}

impl Architecture {
    /// Reads and checks a `config.json`. An error states the value found and the expected one.
    pub(super) fn from_config(config: &serde_json::Value) -> Result<Self, String> {
        let number = |name: &str| {
            config
                .get(name)
                .and_then(serde_json::Value::as_u64)
                .and_then(|n| usize::try_from(n).ok())
                .filter(|&n| n > 0)
                .ok_or_else(|| format!("`{name}` is missing or not a positive number"))
        };
        let text = |name: &str| config.get(name).and_then(serde_json::Value::as_str);
        let family = match text("model_type") {
            Some("bert") => EncoderFamily::Bert,
            Some("xlm-roberta" | "roberta") => EncoderFamily::Roberta,
            Some(other) => {
                return Err(format!(
                    "model_type `{other}` is not carried; known: bert, roberta, xlm-roberta"
                ));
            }
            None => return Err("`model_type` is missing; expected bert, say".to_owned()),
        };
        let positions = text("position_embedding_type").unwrap_or("absolute");
        if positions != "absolute" {
            return Err(format!("position_embedding_type is `{positions}`, expected `absolute`"));
        }
        let hidden_act = text("hidden_act").unwrap_or("gelu");
        let architecture = Self {
            family,
            vocab_size: number("vocab_size")?,
            hidden_size: number("hidden_size")?,
            intermediate_size: number("intermediate_size")?,
            n_layers: number("num_hidden_layers")?,
            n_heads: number("num_attention_heads")?,
            activation: activation(hidden_act)?,
            hidden_act: hidden_act.to_owned(),
            layer_norm_eps: config
                .get("layer_norm_eps")
                .and_then(serde_json::Value::as_f64)
                .unwrap_or(1e-12),
            max_position_embeddings: number("max_position_embeddings")?,
            type_vocab_size: number("type_vocab_size")?,
            pad_token_id: config
                .get("pad_token_id")
                .and_then(serde_json::Value::as_u64)
                .and_then(|id| u32::try_from(id).ok())
                .unwrap_or(0),
        };
        if !architecture.hidden_size.is_multiple_of(architecture.n_heads) {
            return Err(format!(
                "hidden_size {} is no multiple of num_attention_heads {}",
                architecture.hidden_size, architecture.n_heads
            ));
        }
        Ok(architecture)
    }

    /// Returns the maximum number of positions of a text.
    pub(super) fn n_positions(&self) -> usize {
        match self.family {
            EncoderFamily::Bert => self.max_position_embeddings,
            EncoderFamily::Roberta => {
                self.max_position_embeddings.saturating_sub(self.pad_token_id as usize + 1)
            }
        }
    }

    /// Returns the properties of the network that the shapes of the weights do not show.
    pub(super) fn fingerprint(&self) -> String {
        let family = match self.family {
            EncoderFamily::Bert => "bert",
            EncoderFamily::Roberta => "roberta",
        };
        let Self { n_layers, n_heads, hidden_act, layer_norm_eps, pad_token_id, .. } = self;
        format!("{family} {n_layers} {n_heads} {hidden_act} {layer_norm_eps:e} {pad_token_id}")
    }
}

fn activation(name: &str) -> Result<Activation, String> {
    match name {
        "gelu" => Ok(Activation::Gelu),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
        "relu" => Ok(Activation::Relu),
        other => Err(format!(
            "hidden_act `{other}` is not carried; known: gelu, gelu_new, gelu_pytorch_tanh, relu"
        )),
    }
}
