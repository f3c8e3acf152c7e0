//! Estimate of the seconds that a language model takes for a text: pure functions of the speeds of a
//! machine and the shape of the model.
//!
//! A prompt is bound by arithmetic: two operations for each weight of the layers and each token. A
//! token after it is bound by memory: the layers and the output head are read once. Attention takes
//! four operations for each layer, element of the queries and position. A layer is several steps,
//! each with a cost of its own, which matters for small models.

use candle_core::quantized::GgmlDType;
use idiolect::model::catalog::ModelShape;

/// Number of sequences that are decoded together where several are.
pub(super) const TOGETHER: usize = 4;

/// Bytes of a file besides its weights, for each token of the vocabulary: the texts and merges of
/// the tokenizer. Files of Qwen2.5, Qwen3 and SmolLM2 have 41.
const TOKENIZER_BYTES: f64 = 41.0;

/// Speed of the products with weights of one format.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct FormatSpeed {
    pub(super) format: GgmlDType,
    /// Bytes of weights a second for one row.
    pub(super) one_row: f64,
    /// Bytes of weights a second for [`TOGETHER`] rows.
    pub(super) few_rows: f64,
    /// Operations a second for the rows of a prompt.
    pub(super) many_rows: f64,
}

/// Speeds of a machine.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct MachineSpeeds {
    pub(super) formats: Vec<FormatSpeed>,
    /// Operations a second of attention for one row.
    pub(super) attend_one: f64,
    /// Operations a second of attention for the rows of a prompt.
    pub(super) attend_many: f64,
    /// Seconds of the steps of one layer besides the work in them.
    pub(super) layer: f64,
}

impl MachineSpeeds {
    fn of(&self, format: GgmlDType) -> Option<&FormatSpeed> {
        self.formats.iter().find(|speed| speed.format == format)
    }
}

/// Calls of a method for one text that have equal prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PromptCost {
    pub(super) prompt_tokens: usize,
    /// Tokens written after it.
    pub(super) written: usize,
    /// Number of such calls, decoded together: 1 or [`TOGETHER`].
    pub(super) together: usize,
}

/// Calls of `idiolect` for a review with four past texts, from the means over 60 users in
/// benches/RESULTS.md ("All methods, 60 users").
pub(super) const IDIOLECT: [PromptCost; 1] =
    [PromptCost { prompt_tokens: 2016, written: 190, together: 1 }];

/// Calls of `dpl` for the same: four differences, the profile, the text. Sums and the length of the
/// text are those of benches/RESULTS.md; prompts, and the answers before the text, count as equally
/// long.
pub(super) const DPL: [PromptCost; 3] = [
    PromptCost { prompt_tokens: 1999, written: 123, together: TOGETHER },
    PromptCost { prompt_tokens: 1999, written: 123, together: 1 },
    PromptCost { prompt_tokens: 2000, written: 244, together: 1 },
];

/// Returns the tokens of all prompts and the written tokens.
pub(super) fn tokens(calls: &[PromptCost]) -> (usize, usize) {
    let sum = |of: fn(&PromptCost) -> usize| calls.iter().map(|c| c.together * of(c)).sum();
    (sum(|call| call.prompt_tokens), sum(|call| call.written))
}

/// Formats of a file: those of most matrices of the layers, and those of the output head and of the
/// layers' more sensitive matrices.
///
/// A format with blocks of 256 weights is replaced where rows are no multiple of that, as
/// llama.cpp's `llama-quantize` does. `None` for an unknown name.
pub(super) fn formats(quantization: &str, n_embd: usize) -> Option<[GgmlDType; 2]> {
    use GgmlDType::{BF16, F16, F32, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0};
    let pair = match quantization {
        "Q4_0" => [Q4_0, Q6K],
        "Q4_1" => [Q4_1, Q6K],
        "Q5_0" => [Q5_0, Q6K],
        "Q5_1" => [Q5_1, Q6K],
        "Q4_K_S" | "Q4_K_M" => [Q4K, Q6K],
        "Q5_K_S" | "Q5_K_M" => [Q5K, Q6K],
        "Q6_K" => [Q6K; 2],
        "Q8_0" => [Q8_0; 2],
        "F16" => [F16; 2],
        "BF16" => [BF16; 2],
        "F32" => [F32; 2],
        _ => return None,
    };
    Some(pair.map(|format| match format {
        Q4K if !n_embd.is_multiple_of(256) => Q5_0,
        Q5K if !n_embd.is_multiple_of(256) => Q5_1,
        Q6K if !n_embd.is_multiple_of(256) => Q8_0,
        other => other,
    }))
}

/// Bytes of a weight.
pub(super) fn weight_bytes(format: GgmlDType) -> f64 {
    format.type_size() as f64 / format.block_size() as f64
}

/// Work that a model has to do for a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ModelWork {
    n_layers: f64,
    /// Elements of a token's queries in a layer.
    n_queries: f64,
    /// Number of weights in the layers by format.
    layers: [(GgmlDType, f64); 2],
    /// Number of weights in the output head.
    head: (GgmlDType, f64),
}

impl ModelWork {
    /// Work of a model of this shape in a file of this size. The size tells how many of the layers'
    /// weights have the larger of the two formats.
    pub(super) fn of(shape: &ModelShape, formats: [GgmlDType; 2], file_bytes: u64) -> Self {
        let [low, high] = formats;
        let (weights, head) = (shape.layer_weights(), shape.head_weights());
        let share = share_of_high(shape, formats, file_bytes).clamp(0.0, 1.0);
        Self {
            n_layers: shape.n_layers as f64,
            n_queries: (shape.n_heads * shape.head_dim) as f64,
            layers: [(low, weights * (1.0 - share)), (high, weights * share)],
            head: (high, head),
        }
    }

    /// Formats whose speeds the estimate needs.
    pub(super) fn formats(&self) -> impl Iterator<Item = GgmlDType> {
        let [low, high] = self.layers;
        [low, high, self.head].into_iter().filter(|(_, n)| *n > 0.0).map(|(format, _)| format)
    }

    /// Seconds of a prompt of `n` tokens, up to its first logits; `None` if a speed is missing.
    pub(super) fn prompt_seconds(&self, speeds: &MachineSpeeds, n: usize) -> Option<f64> {
        let n = n as f64;
        let mut seconds = self.n_layers * speeds.layer;
        for (format, weights) in self.layers.into_iter().filter(|(_, weights)| *weights > 0.0) {
            seconds += 2.0 * weights * n / speeds.of(format)?.many_rows;
        }
        // A token sees those before it, which are half of all on average.
        let attention = 4.0 * self.n_layers * self.n_queries * n * n / 2.0;
        let head = self.head.1 * weight_bytes(self.head.0) / speeds.of(self.head.0)?.one_row;
        Some(seconds + attention / speeds.attend_many + head)
    }

    /// Seconds of one more token of each of `rows` sequences, 1 or [`TOGETHER`], behind `depth`
    /// tokens; `None` if a speed is missing.
    pub(super) fn step_seconds(
        &self,
        speeds: &MachineSpeeds,
        depth: usize,
        rows: usize,
    ) -> Option<f64> {
        let mut seconds = self.n_layers * speeds.layer;
        let matrices = self.layers.into_iter().chain([self.head]);
        for (format, weights) in matrices.filter(|(_, weights)| *weights > 0.0) {
            let speed = speeds.of(format)?;
            let bytes_a_second = if rows == 1 { speed.one_row } else { speed.few_rows };
            seconds += weights * weight_bytes(format) / bytes_a_second;
        }
        let attention = 4.0 * self.n_layers * self.n_queries * depth as f64 * rows as f64;
        Some(seconds + attention / speeds.attend_one)
    }

    /// Seconds of all calls for a text, without loading the model; `None` if a speed is missing.
    pub(super) fn text_seconds(
        &self,
        speeds: &MachineSpeeds,
        calls: &[PromptCost],
        correction: Correction,
    ) -> Option<f64> {
        let mut seconds = 0.0;
        for call in calls {
            let prompt = self.prompt_seconds(speeds, call.prompt_tokens)?;
            let depth = call.prompt_tokens + call.written / 2;
            let step = self.step_seconds(speeds, depth, call.together)?;
            seconds += correction.prompt * prompt * call.together as f64
                + correction.step * step * call.written as f64;
        }
        Some(seconds)
    }
}

/// Share of the layers' weights that have the larger format, as the size of the file implies; far
/// outside of 0 to 1 if shape, formats and size contradict each other.
fn share_of_high(shape: &ModelShape, formats: [GgmlDType; 2], file_bytes: u64) -> f64 {
    let [low, high] = formats.map(weight_bytes);
    let head = shape.head_weights();
    let table = if shape.tied { 0.0 } else { head * low };
    let others = head * high + table + TOKENIZER_BYTES * shape.n_vocab as f64;
    let bytes = (file_bytes as f64 - others) / shape.layer_weights();
    if low == high { bytes / low - 1.0 } else { (bytes - low) / (high - low) }
}

/// Factors between the measured and the estimated seconds of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Correction {
    pub(super) prompt: f64,
    pub(super) step: f64,
}

impl Correction {
    /// No correction.
    pub(super) const NONE: Self = Self { prompt: 1.0, step: 1.0 };
}

/// Largest ratio of the sizes of two files of which one corrects the other. What a small model spends
/// on the steps of its layers says little about a large one.
const SIMILAR: f64 = 4.0;

/// Returns the correction by the measured model whose file has the most similar size; none if no
/// model of similar size was measured. Of several, `measured` has size and correction.
pub(super) fn nearest(measured: &[(u64, Correction)], file_bytes: u64) -> Option<Correction> {
    let ratio = |bytes: u64| (bytes.max(1) as f64 / file_bytes.max(1) as f64).ln().abs();
    measured
        .iter()
        .filter(|(bytes, _)| ratio(*bytes) <= SIMILAR.ln())
        .min_by(|a, b| ratio(a.0).total_cmp(&ratio(b.0)))
        .map(|(_, correction)| *correction)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use idiolect::model::ModelKind;
    use idiolect::model::catalog::Catalog;

    const SHAPE: ModelShape = ModelShape {
        n_layers: 10,
        n_embd: 1000,
        n_ff: 2000,
        n_heads: 10,
        n_kv_heads: 5,
        head_dim: 100,
        n_vocab: 100_000,
        tied: true,
    };

    fn speeds(formats: &[GgmlDType]) -> MachineSpeeds {
        let of = |format: &GgmlDType| FormatSpeed {
            format: *format,
            one_row: 1e9,
            few_rows: 0.5e9,
            many_rows: 1e11,
        };
        MachineSpeeds {
            formats: formats.iter().map(of).collect(),
            attend_one: 1e9,
            attend_many: 1e10,
            layer: 1e-5,
        }
    }

    #[test]
    fn the_sums_are_those_of_the_results() {
        assert_eq!((tokens(&IDIOLECT), tokens(&DPL)), ((2016, 190), (11_995, 859)));
    }

    #[test]
    fn seconds_are_work_by_speed() {
        // Layers: 10 * 1000 * (2 * 1500 + 3 * 2000) = 90 million weights; head: 100 million.
        let work = ModelWork::of(&SHAPE, [GgmlDType::F16; 2], 380_000_000);
        let speeds = speeds(&[GgmlDType::F16]);
        // 2 * 90e6 * 100 / 1e11, attention 4 * 10 * 1000 * 100^2 / 2 / 1e10, head 200 MB, steps.
        let prompt = work.prompt_seconds(&speeds, 100).unwrap();
        assert!((prompt - (0.18 + 0.02 + 0.2 + 1e-4)).abs() < 1e-9, "{prompt}");
        // 380 MB, attention 4 * 10 * 1000 * 50 / 1e9.
        let step = work.step_seconds(&speeds, 50, 1).unwrap();
        assert!((step - (0.38 + 0.002 + 1e-4)).abs() < 1e-9, "{step}");
        let four = work.step_seconds(&speeds, 50, TOGETHER).unwrap();
        assert!((four - (0.76 + 0.008 + 1e-4)).abs() < 1e-9, "{four}");
        let calls = [PromptCost { prompt_tokens: 100, written: 0, together: TOGETHER }];
        let correction = Correction { prompt: 2.0, step: 3.0 };
        let text = work.text_seconds(&speeds, &calls, correction).unwrap();
        assert!((text - 8.0 * prompt).abs() < 1e-9, "{text}");
        let calls = [PromptCost { prompt_tokens: 0, written: 100, together: 1 }];
        let none = work.prompt_seconds(&speeds, 0).unwrap();
        let text = work.text_seconds(&speeds, &calls, correction).unwrap();
        assert!((text - (2.0 * none + 300.0 * step)).abs() < 1e-9, "{text}");
    }

    #[test]
    fn an_unmeasured_format_gives_no_figure() {
        let work = ModelWork::of(&SHAPE, [GgmlDType::F16; 2], 380_000_000);
        assert_eq!(work.prompt_seconds(&speeds(&[GgmlDType::Q8_0]), 9), None);
        assert_eq!(work.step_seconds(&speeds(&[]), 9, 1), None);
        assert_eq!(work.text_seconds(&speeds(&[]), &DPL, Correction::NONE), None);
    }

    #[test]
    fn the_size_tells_the_shares_of_the_formats() {
        let [low, high] = [GgmlDType::Q4_0, GgmlDType::Q8_0];
        // 90 million weights in the layers, a third of them of 34/32 bytes, the others of 18/32.
        let layers = 30e6 * 34.0 / 32.0 + 60e6 * 18.0 / 32.0;
        let bytes = layers + 100e6 * 34.0 / 32.0 + 4.1e6;
        let work = ModelWork::of(&SHAPE, [low, high], bytes as u64);
        assert!((work.layers[1].1 - 30e6).abs() < 100.0, "{work:?}");
        assert!((work.layers[0].1 + work.layers[1].1 - 90e6).abs() < 1.0);
        let needed: Vec<_> = work.formats().collect();
        assert!(needed.contains(&low) && needed.contains(&high));
    }

    #[test]
    fn shapes_and_formats_of_the_catalog_explain_the_sizes_of_its_files() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::load(folder.path()).unwrap();
        for entry in catalog.entries().filter(|entry| entry.kind == ModelKind::Lm) {
            let (name, shape) = (&entry.name, entry.shape.unwrap());
            let formats = formats(entry.quantization.as_deref().unwrap(), shape.n_embd).unwrap();
            let share = share_of_high(&shape, formats, entry.size().unwrap());
            // The files of Q4_K_M have the larger format in a half of two of seven matrices; Phi's
            // also have one of Q5_K, for query, key and value.
            let most = match (formats[0] == formats[1], entry.architecture.as_str()) {
                (true, _) => 0.01,
                (false, "phi3") => 0.21,
                (false, _) => 0.2,
            };
            // Two of Gemma 1B's matrices have rows that are long enough for the smaller format.
            let least = if name == "gemma-3-1b-it" { -0.021 } else { -0.01 };
            assert!((least..most).contains(&share), "{name}: {share}");
        }
    }

    #[test]
    fn formats_with_large_blocks_are_replaced_where_rows_are_short() {
        assert_eq!(formats("Q4_K_M", 1536), Some([GgmlDType::Q4K, GgmlDType::Q6K]));
        assert_eq!(formats("Q4_K_M", 896), Some([GgmlDType::Q5_0, GgmlDType::Q8_0]));
        assert_eq!(formats("Q4_1", 576), Some([GgmlDType::Q4_1, GgmlDType::Q8_0]));
        assert_eq!(formats("IQ3_XXS", 1024), None);
    }

    #[test]
    fn the_model_of_the_nearest_size_corrects() {
        let correction = |factor| Correction { prompt: factor, step: factor };
        let measured = [(100, correction(1.0)), (1000, correction(2.0))];
        for (bytes, factor) in [(50, 1.0), (300, 1.0), (330, 2.0), (3900, 2.0)] {
            assert_eq!(nearest(&measured, bytes), Some(correction(factor)), "{bytes}");
        }
        for bytes in [20, 9000] {
            assert_eq!(nearest(&measured, bytes), None, "{bytes}");
        }
        assert_eq!(nearest(&[], 5), None);
    }
}
