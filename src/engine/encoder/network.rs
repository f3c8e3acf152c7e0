//! A network with its weights, on one device.

use candle_core::Device;

use super::architecture::Architecture;
use super::candle::CandleEncoder;
use super::cpu::CpuEncoder;
use super::error::{Error, Result};
use super::options::{EncoderOptions, EncoderPrecision};
use crate::model::Pooling;
use idiolect_kernels::Pool;

pub(super) enum EncoderNetwork {
    Cpu(Box<CpuEncoder>),
    Candle(CandleEncoder),
}

impl EncoderNetwork {
    /// Builds the network from the bytes of a safetensors file.
    pub(super) fn load(
        architecture: &Architecture,
        safetensors: Vec<u8>,
        options: &EncoderOptions,
    ) -> Result<Self> {
        let EncoderOptions { device, precision, threads, isa } = options;
        if *precision == EncoderPrecision::Int8 {
            check_int8(architecture, device)?;
        }
        if device.is_cpu() {
            let pool = Pool::new(*threads);
            let packed = CpuEncoder::load(architecture, safetensors, *precision, *isa, pool)?;
            return Ok(Self::Cpu(Box::new(packed)));
        }
        Ok(Self::Candle(CandleEncoder::load(architecture, safetensors, device)?))
    }

    /// Returns the pooled last hidden states of texts of at least one token, in their order.
    pub(super) fn pooled(&self, texts: &[&[u32]], pooling: Pooling) -> Result<Vec<Vec<f32>>> {
        match self {
            Self::Cpu(network) => network.pooled(texts, pooling),
            Self::Candle(network) => texts.iter().map(|ids| network.pooled(ids, pooling)).collect(),
        }
    }
}

fn check_int8(architecture: &Architecture, device: &Device) -> Result<()> {
    const BLOCK: usize = 32;
    if !device.is_cpu() {
        return Err(Error::NoInt8(format!("the device is {device:?}, expected the CPU")));
    }
    let Architecture { hidden_size, intermediate_size, .. } = *architecture;
    if hidden_size.is_multiple_of(BLOCK) && intermediate_size.is_multiple_of(BLOCK) {
        return Ok(());
    }
    Err(Error::NoInt8(format!(
        "hidden_size is {hidden_size} and intermediate_size {intermediate_size}, expected multiples \
         of {BLOCK}"
    )))
}
