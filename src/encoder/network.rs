//! The networks that are carried, one sequence at a time.

use candle_core::safetensors::BufferedSafetensors;
use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::VarBuilder;
use candle_nn::var_builder::SimpleBackend;
use candle_transformers::models::{bert, xlm_roberta};

/// Shape of a network, from its `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Architecture {
    pub(super) family: Family,
    pub(super) vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    n_layers: usize,
    n_heads: usize,
    hidden_act: String,
    layer_norm_eps: f64,
    max_position_embeddings: usize,
    type_vocab_size: usize,
    pad_token_id: u32,
}

/// Families by the `model_type` of `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// `bert`
    Bert,
    /// `xlm-roberta` and `roberta`, whose positions begin after the padding id.
    Roberta,
}

impl Architecture {
    /// Reads and checks a `config.json`; the error says what was got and what was expected.
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
            Some("bert") => Family::Bert,
            Some("xlm-roberta" | "roberta") => Family::Roberta,
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
        let architecture = Self {
            family,
            vocab_size: number("vocab_size")?,
            hidden_size: number("hidden_size")?,
            intermediate_size: number("intermediate_size")?,
            n_layers: number("num_hidden_layers")?,
            n_heads: number("num_attention_heads")?,
            hidden_act: text("hidden_act").unwrap_or("gelu").to_owned(),
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
        architecture.activation()?;
        if !architecture.hidden_size.is_multiple_of(architecture.n_heads) {
            return Err(format!(
                "hidden_size {} is no multiple of num_attention_heads {}",
                architecture.hidden_size, architecture.n_heads
            ));
        }
        Ok(architecture)
    }

    /// Positions a text may take.
    pub(super) fn n_positions(&self) -> usize {
        match self.family {
            Family::Bert => self.max_position_embeddings,
            Family::Roberta => {
                self.max_position_embeddings.saturating_sub(self.pad_token_id as usize + 1)
            }
        }
    }

    /// What the weights do not show by their shapes.
    pub(super) fn fingerprint(&self) -> String {
        let family = match self.family {
            Family::Bert => "bert",
            Family::Roberta => "roberta",
        };
        let Self { n_layers, n_heads, hidden_act, layer_norm_eps, pad_token_id, .. } = self;
        format!("{family} {n_layers} {n_heads} {hidden_act} {layer_norm_eps:e} {pad_token_id}")
    }

    fn activation(&self) -> Result<bert::HiddenAct, String> {
        match self.hidden_act.as_str() {
            "gelu" => Ok(bert::HiddenAct::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(bert::HiddenAct::GeluApproximate),
            "relu" => Ok(bert::HiddenAct::Relu),
            other => Err(format!(
                "hidden_act `{other}` is not carried; known: gelu, gelu_new, gelu_pytorch_tanh, relu"
            )),
        }
    }

    fn bert(&self) -> Result<bert::Config, String> {
        Ok(bert::Config {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            num_hidden_layers: self.n_layers,
            num_attention_heads: self.n_heads,
            intermediate_size: self.intermediate_size,
            hidden_act: self.activation()?,
            max_position_embeddings: self.max_position_embeddings,
            type_vocab_size: self.type_vocab_size,
            layer_norm_eps: self.layer_norm_eps,
            pad_token_id: self.pad_token_id as usize,
            ..bert::Config::default()
        })
    }

    fn roberta(&self) -> Result<xlm_roberta::Config, String> {
        Ok(xlm_roberta::Config {
            hidden_size: self.hidden_size,
            layer_norm_eps: self.layer_norm_eps,
            attention_probs_dropout_prob: 0.0,
            hidden_dropout_prob: 0.0,
            num_attention_heads: self.n_heads,
            position_embedding_type: "absolute".to_owned(),
            intermediate_size: self.intermediate_size,
            hidden_act: match self.activation()? {
                bert::HiddenAct::Gelu => candle_nn::Activation::Gelu,
                bert::HiddenAct::GeluApproximate => candle_nn::Activation::GeluPytorchTanh,
                bert::HiddenAct::Relu => candle_nn::Activation::Relu,
            },
            num_hidden_layers: self.n_layers,
            vocab_size: self.vocab_size,
            max_position_embeddings: self.max_position_embeddings,
            type_vocab_size: self.type_vocab_size,
            pad_token_id: self.pad_token_id,
        })
    }
}

/// A network with its weights, in f32.
pub(super) struct Network {
    weights: Weights,
    dimension: usize,
}

enum Weights {
    Bert(Box<bert::BertModel>),
    Roberta(Box<xlm_roberta::XLMRobertaModel>),
}

impl Network {
    /// Builds the network from the bytes of a safetensors file.
    pub(super) fn load(
        architecture: &Architecture,
        safetensors: Vec<u8>,
        device: &Device,
    ) -> candle_core::Result<Self> {
        let tensors = Transposed(BufferedSafetensors::new(safetensors)?);
        let tensors = VarBuilder::from_backend(Box::new(tensors), DType::F32, device.clone());
        let weights = match architecture.family {
            Family::Bert => {
                let config = architecture.bert().map_err(candle_core::Error::msg)?;
                Weights::Bert(Box::new(bert::BertModel::load(tensors, &config)?))
            }
            Family::Roberta => {
                let config = architecture.roberta().map_err(candle_core::Error::msg)?;
                let prefixed = tensors.contains_tensor("roberta.embeddings.word_embeddings.weight");
                let tensors = if prefixed { tensors.pp("roberta") } else { tensors };
                let network = xlm_roberta::XLMRobertaModel::new(&config, tensors)?;
                Weights::Roberta(Box::new(network))
            }
        };
        Ok(Self { weights, dimension: architecture.hidden_size })
    }

    /// Length of a token's vector.
    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    /// Last hidden states of one sequence of `ids`, `[n_tokens, dimension]`.
    pub(super) fn forward(&self, ids: &[u32], device: &Device) -> candle_core::Result<Tensor> {
        let ids = Tensor::new(ids, device)?.unsqueeze(0)?;
        let types = ids.zeros_like()?;
        let hidden = match &self.weights {
            Weights::Bert(network) => network.forward(&ids, &types, None)?,
            Weights::Roberta(network) => {
                network.forward(&ids, &ids.ones_like()?, &types, None, None, None)?
            }
        };
        hidden.squeeze(0)
    }
}

/// Gives matrices laid out by columns.
///
/// A linear layer multiplies by its weight's transpose, which candle's product copies number by
/// number on every call; of a matrix laid out by columns the transpose is laid out by rows and is
/// copied in runs. Embedding tables, which are read by rows, stay as they are.
struct Transposed(BufferedSafetensors);

impl SimpleBackend for Transposed {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        hints: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let tensor = SimpleBackend::get(&self.0, shape, name, hints, dtype, device)?;
        if tensor.rank() == 2 && !name.contains("embeddings") {
            return tensor.t()?.contiguous()?.t();
        }
        Ok(tensor)
    }

    fn get_unchecked(
        &self,
        name: &str,
        dtype: DType,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        self.0.get_unchecked(name, dtype, device)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.contains_tensor(name)
    }
}
