//! Options for loading an encoder.

use candle_core::Device;

use idiolect_kernels::Isa;

/// Number format of the weights in the network's matrix products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EncoderPrecision {
    /// f32, to which the stored weights are converted.
    F32,
    /// int8, with a scale for each 32 weights (Q8_0 of GGUF); activations likewise. Takes a quarter
    /// of the memory and is more than twice as fast; the cosine with the f32 vector is above 0.995.
    /// CPU only.
    Int8,
}

impl EncoderPrecision {
    /// Returns `f32` or `int8`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Int8 => "int8",
        }
    }
}

/// EncoderOptions for loading an encoder.
#[derive(Debug, Clone)]
pub struct EncoderOptions {
    /// Device that the network runs on.
    pub device: Device,
    /// Number format of its weights.
    pub precision: EncoderPrecision,
    /// Threads on the CPU, including the caller's; 0 means one per core.
    pub threads: usize,
    /// Instruction set of the CPU kernels; the vectors are the same on all.
    pub isa: Isa,
}
