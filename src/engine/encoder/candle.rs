//! Encoder networks on candle, one text at a time. Used on all devices except the CPU, and as the
//! reference for the packed network.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{bert, xlm_roberta};

use super::architecture::{Architecture, EncoderFamily};
use super::error::Result;
use super::weights::{self, Transposed};
use crate::model::Pooling;
use idiolect_kernels::activation::Activation;

/// A network with its weights on a device, in f32.
pub(super) struct CandleEncoder {
    weights: Weights,
    device: Device,
}

enum Weights {
    Bert(Box<bert::BertModel>),
    Roberta(Box<xlm_roberta::XLMRobertaModel>),
}

impl CandleEncoder {
    /// Builds the network from the bytes of a safetensors file.
    pub(super) fn load(
        architecture: &Architecture,
        safetensors: Vec<u8>,
        device: &Device,
    ) -> candle_core::Result<Self> {
        let tensors = Transposed::new(safetensors)?;
        let tensors = VarBuilder::from_backend(Box::new(tensors), DType::F32, device.clone());
        let tensors = weights::network(tensors, architecture.family);
        let weights = match architecture.family {
            EncoderFamily::Bert => {
                Weights::Bert(Box::new(bert::BertModel::load(tensors, &bert_config(architecture))?))
            }
            EncoderFamily::Roberta => {
                let config = roberta_config(architecture);
                Weights::Roberta(Box::new(xlm_roberta::XLMRobertaModel::new(&config, tensors)?))
            }
        };
        Ok(Self { weights, device: device.clone() })
    }

    /// Returns the pooled last hidden states of one text.
    pub(super) fn pooled(&self, ids: &[u32], pooling: Pooling) -> Result<Vec<f32>> {
        let hidden = self.forward(ids)?;
        let pooled = match pooling {
            Pooling::Mean => hidden.mean(0)?,
            Pooling::Cls => hidden.get(0)?,
            Pooling::Last => hidden.get(ids.len() - 1)?,
        };
        Ok(pooled.to_vec1()?)
    }

    /// Returns the last hidden states, `[n_tokens, dimension]`.
    fn forward(&self, ids: &[u32]) -> candle_core::Result<Tensor> {
        let ids = Tensor::new(ids, &self.device)?.unsqueeze(0)?;
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

fn bert_config(architecture: &Architecture) -> bert::Config {
    bert::Config {
        vocab_size: architecture.vocab_size,
        hidden_size: architecture.hidden_size,
        num_hidden_layers: architecture.n_layers,
        num_attention_heads: architecture.n_heads,
        intermediate_size: architecture.intermediate_size,
        hidden_act: match architecture.activation {
            Activation::Gelu => bert::HiddenAct::Gelu,
            Activation::GeluTanh => bert::HiddenAct::GeluApproximate,
            Activation::Relu => bert::HiddenAct::Relu,
        },
        max_position_embeddings: architecture.max_position_embeddings,
        type_vocab_size: architecture.type_vocab_size,
        layer_norm_eps: architecture.layer_norm_eps,
        pad_token_id: architecture.pad_token_id as usize,
        ..bert::Config::default()
    }
}

fn roberta_config(architecture: &Architecture) -> xlm_roberta::Config {
    xlm_roberta::Config {
        hidden_size: architecture.hidden_size,
        layer_norm_eps: architecture.layer_norm_eps,
        attention_probs_dropout_prob: 0.0,
        hidden_dropout_prob: 0.0,
        num_attention_heads: architecture.n_heads,
        position_embedding_type: "absolute".to_owned(),
        intermediate_size: architecture.intermediate_size,
        hidden_act: match architecture.activation {
            Activation::Gelu => candle_nn::Activation::Gelu,
            Activation::GeluTanh => candle_nn::Activation::GeluPytorchTanh,
            Activation::Relu => candle_nn::Activation::Relu,
        },
        num_hidden_layers: architecture.n_layers,
        vocab_size: architecture.vocab_size,
        max_position_embeddings: architecture.max_position_embeddings,
        type_vocab_size: architecture.type_vocab_size,
        pad_token_id: architecture.pad_token_id,
    }
}
