//! Tensor types: number in GGUF files, name, and the type for computation if it is supported.

use candle_core::quantized::GgmlDType;

/// Every tensor type that GGUF has had, by number. Gaps are withdrawn numbers.
const TYPES: [(u32, &str, Option<GgmlDType>); 39] = [
    (0, "F32", Some(GgmlDType::F32)),
    (1, "F16", Some(GgmlDType::F16)),
    (2, "Q4_0", Some(GgmlDType::Q4_0)),
    (3, "Q4_1", Some(GgmlDType::Q4_1)),
    (6, "Q5_0", Some(GgmlDType::Q5_0)),
    (7, "Q5_1", Some(GgmlDType::Q5_1)),
    (8, "Q8_0", Some(GgmlDType::Q8_0)),
    (9, "Q8_1", Some(GgmlDType::Q8_1)),
    (10, "Q2_K", Some(GgmlDType::Q2K)),
    (11, "Q3_K", Some(GgmlDType::Q3K)),
    (12, "Q4_K", Some(GgmlDType::Q4K)),
    (13, "Q5_K", Some(GgmlDType::Q5K)),
    (14, "Q6_K", Some(GgmlDType::Q6K)),
    (15, "Q8_K", Some(GgmlDType::Q8K)),
    (16, "IQ2_XXS", None),
    (17, "IQ2_XS", None),
    (18, "IQ3_XXS", None),
    (19, "IQ1_S", None),
    (20, "IQ4_NL", None),
    (21, "IQ3_S", None),
    (22, "IQ2_S", None),
    (23, "IQ4_XS", None),
    (24, "I8", None),
    (25, "I16", None),
    (26, "I32", None),
    (27, "I64", None),
    (28, "F64", None),
    (29, "IQ1_M", None),
    (30, "BF16", Some(GgmlDType::BF16)),
    (31, "Q4_0_4_4", None),
    (32, "Q4_0_4_8", None),
    (33, "Q4_0_8_8", None),
    (34, "TQ1_0", None),
    (35, "TQ2_0", None),
    (36, "IQ4_NL_4_4", None),
    (37, "IQ4_NL_4_8", None),
    (38, "IQ4_NL_8_8", None),
    (39, "MXFP4", None),
    (40, "NVFP4", None),
];

/// Returns the type for a file's number, or why it cannot be used.
pub(super) fn from_number(number: u32) -> Result<GgmlDType, String> {
    match TYPES.iter().find(|(known, _, _)| *known == number) {
        Some((_, _, Some(dtype))) => Ok(*dtype),
        Some((_, name, None)) => Err(format!(
            "has type {name}, which cannot be computed with; {}, or another in {}",
            instead_of(name),
            supported()
        )),
        None => Err(format!("has the unknown type {number}; known are {}", supported())),
    }
}

/// Returns which file of the same model to take instead of one with this type.
fn instead_of(name: &str) -> &'static str {
    match name {
        _ if name.starts_with("IQ4_NL_") || name.starts_with("Q4_0_") => {
            "take the model's file in Q4_0"
        }
        _ if name.starts_with("IQ4") => "take the model's file in Q4_K_M",
        _ if name.starts_with("IQ3") => "take the model's file in Q3_K_M",
        _ if name.starts_with("IQ") || name.starts_with("TQ") => "take the model's file in Q2_K",
        "MXFP4" => "gpt-oss has no other files: take another model, such as the catalog's qwen3-8b",
        "NVFP4" => "take the model's file in Q4_K_M",
        _ => "take the model's file in Q8_0",
    }
}

/// Returns the number of a type in GGUF files.
pub(super) fn to_number(dtype: GgmlDType) -> u32 {
    TYPES.iter().find(|(_, _, known)| *known == Some(dtype)).map_or(u32::MAX, |(n, _, _)| *n)
}

/// Returns llama.cpp's name of a type.
#[must_use]
pub fn type_name(dtype: GgmlDType) -> &'static str {
    TYPES.iter().find(|(_, _, known)| *known == Some(dtype)).map_or("?", |(_, name, _)| *name)
}

fn supported() -> String {
    let names: Vec<_> =
        TYPES.iter().filter(|(_, _, dtype)| dtype.is_some()).map(|(_, name, _)| *name).collect();
    names.join(", ")
}
