//! Choice of the kernel for some panels.

#![allow(unsafe_code)]
// The kernels' contract is that of `run`.
#![allow(unsafe_op_in_unsafe_fn)]

use super::format::{self, Packing, QuantFormat};
#[cfg(all(target_arch = "x86_64", not(miri)))]
use super::int8_tiles;
#[cfg(all(target_arch = "x86_64", not(miri)))]
use super::tile::LinearInput;
use super::tile::{FLOAT_PANELS, LinearJob, float_panels, quant_panel};
use crate::Isa;

/// Returns the maximum number of panels of a job.
pub(crate) fn max_panels(packing: Packing, isa: Isa) -> usize {
    if packing.is_float() {
        return FLOAT_PANELS;
    }
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if isa.has_tiles {
        return int8_tiles::INT8_PANELS;
    }
    let _ = isa;
    1
}

/// Runs a job.
///
/// # Safety
/// The panels are packed as `packing` with `blocks` blocks; the tiles were cut for the instruction
/// set, and the input was made for them; the panels' results of all tiles' rows may be written.
pub(crate) unsafe fn run(isa: Isa, job: &LinearJob<'_>) {
    match job.packing {
        Packing::F32 => float_panels::<format::F32>(isa, job),
        Packing::F16 => float_panels::<format::F16>(isa, job),
        Packing::Bf16 => float_panels::<format::Bf16>(isa, job),
        Packing::Q4_0 => quant_panels::<format::Q4_0>(isa, job),
        Packing::Q4_1 => quant_panels::<format::Q4_1>(isa, job),
        Packing::Q5_0 => quant_panels::<format::Q5_0>(isa, job),
        Packing::Q5_1 => quant_panels::<format::Q5_1>(isa, job),
        Packing::Q8_0 => quant_panels::<format::Q8_0>(isa, job),
        Packing::Q4K => quant_panels::<format::Q4K>(isa, job),
        Packing::Q5K => quant_panels::<format::Q5K>(isa, job),
        Packing::Q6K => quant_panels::<format::Q6K>(isa, job),
    }
}

unsafe fn quant_panels<Q: QuantFormat>(isa: Isa, job: &LinearJob<'_>) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if let (true, LinearInput::Quantized(input)) = (isa.has_tiles, job.input) {
        return int8_tiles::panels::<Q>(job, input);
    }
    quant_panel::<Q>(isa, job);
}
