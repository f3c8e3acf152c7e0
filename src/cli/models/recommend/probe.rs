//! Measures the kernels of this machine on random weights, so that no model is needed.

use std::time::{Duration, Instant};

use candle_core::quantized::{GgmlDType, QMatMul, QStorage, QTensor};
use candle_core::{Device, Module, Tensor};
use idiolect::kernels::attention::{
    AttentionSequence, AttentionSettings, KV_BLOCK_SIZE, KvPrecision, KvShape, attend,
};
use idiolect::kernels::linear::{ProductRows, forward_many};
use idiolect::kernels::{Isa, PackedLinear, Pool};
use idiolect::progress::Progress;

use super::estimate::{FormatSpeed, MachineSpeeds, TOGETHER, weight_bytes};

/// Rows of a chunk of a prompt.
const MANY: usize = 256;
/// Heads of queries, of keys, and elements of a head, where attention is measured.
const HEADS: (usize, usize, usize) = (12, 2, 128);
/// Positions that one row of attention sees.
const DEPTH: usize = 2048;
/// Caches that one-row attention takes in turn, as layers have their own.
const CACHES: usize = 16;
/// Steps of a layer that threads share or that a GPU starts: products, norms, rotation, attention.
const STEPS_ON_CPU: f64 = 10.0;
const STEPS_ON_GPU: f64 = 30.0;
/// Number of steps in a row of which one step's own cost is measured.
const SMALL_STEPS: usize = 64;

/// Device whose kernels are measured, and sizes.
pub(super) struct ProbeOptions<'a> {
    pub(super) device: &'a Device,
    pub(super) isa: Isa,
    /// Worker threads on the CPU; 0 is one per core.
    pub(super) threads: usize,
    pub(super) seconds: f64,
    /// Bytes of weights of each format. Together they should exceed the CPU's caches.
    pub(super) bytes: usize,
}

/// Work that is timed repeatedly.
struct TimedWork<'a> {
    once: Box<dyn FnMut() -> anyhow::Result<()> + 'a>,
    seconds: Vec<f64>,
}

impl<'a> TimedWork<'a> {
    fn new(once: impl FnMut() -> anyhow::Result<()> + 'a) -> Self {
        Self { once: Box::new(once), seconds: Vec::new() }
    }

    /// Median of the seconds. The first run warms up and does not count if there are others.
    fn median(&self) -> f64 {
        let mut seconds = self.seconds.clone();
        if seconds.len() > 1 {
            seconds.remove(0);
        }
        seconds.sort_by(f64::total_cmp);
        seconds.get(seconds.len() / 2).copied().unwrap_or(f64::INFINITY).max(1e-9)
    }
}

/// Measures the products with weights of these formats, and attention, for about as many seconds as
/// the options say; at least once.
///
/// # Errors
/// A format has no kernel, the device fails, or a stop was requested.
pub(super) fn measure(
    formats: &[GgmlDType],
    options: &ProbeOptions<'_>,
    progress: &dyn Progress,
) -> anyhow::Result<MachineSpeeds> {
    let start = Instant::now();
    let kernels = match options.device {
        Device::Cpu => ProbeKernels::Cpu(options.isa, Pool::new(options.threads)),
        gpu => ProbeKernels::Candle(gpu.clone()),
    };
    // Larger matrices on a GPU, which one of the size below would not fill.
    let width = if options.device.is_cpu() { 2048 } else { 4096 };
    let mut matrices = Vec::new();
    for format in formats {
        let each = (width * width) as f64 * weight_bytes(*format);
        let n = (options.bytes as f64 / each).ceil().max(1.0) as usize;
        let made = (0..n).map(|seed| kernels.matrix(*format, width, seed as u64 + 1));
        matrices.push(made.collect::<anyhow::Result<Vec<ProbeMatrix>>>()?);
    }
    let input = |rows: usize| kernels.input(rows, width);
    let (one, few, many) = (input(1)?, input(TOGETHER)?, input(MANY)?);
    let attention = AttentionProbe::new(&kernels)?;
    let (small, small_input) = (kernels.matrix(GgmlDType::F32, 32, 1)?, kernels.input(1, 32)?);

    let (kernels, attention) = (&kernels, &attention);
    let mut cases: Vec<TimedWork<'_>> = Vec::new();
    for matrices in &matrices {
        for input in [&one, &few] {
            cases.push(TimedWork::new(move || {
                matrices.iter().try_for_each(|matrix| kernels.product(matrix, input))?;
                kernels.finish()
            }));
        }
        let input = &many;
        cases.push(TimedWork::new(move || {
            kernels.product(&matrices[0], input)?;
            kernels.finish()
        }));
    }
    cases.push(TimedWork::new(|| attention.one_row(kernels)));
    cases.push(TimedWork::new(|| attention.many_rows(kernels)));
    cases.push(TimedWork::new(|| {
        (0..SMALL_STEPS).try_for_each(|_| kernels.step(&small, &small_input))?;
        kernels.finish()
    }));
    let limit = Duration::from_secs_f64(options.seconds);
    run_in_turns(&mut cases, start, limit, progress)?;

    let speed = |work: f64, case: &TimedWork<'_>| work / case.median();
    let mut speeds = MachineSpeeds::default();
    let weights = (width * width) as f64;
    for ((format, matrices), cases) in formats.iter().zip(&matrices).zip(cases.chunks(3)) {
        let bytes = matrices.len() as f64 * weights * weight_bytes(*format);
        speeds.formats.push(FormatSpeed {
            format: *format,
            one_row: speed(bytes, &cases[0]),
            few_rows: speed(bytes, &cases[1]),
            many_rows: speed(2.0 * weights * MANY as f64, &cases[2]),
        });
    }
    if let [.., one_row, many_rows, step] = cases.as_slice() {
        speeds.attend_one = speed(attention.one_row_operations(), one_row);
        speeds.attend_many = speed(attention.many_rows_operations(), many_rows);
        let steps = if options.device.is_cpu() { STEPS_ON_CPU } else { STEPS_ON_GPU };
        speeds.layer = steps * step.median() / SMALL_STEPS as f64;
    }
    Ok(speeds)
}

/// Runs the cases in turns until the time is over, so that other load of the machine affects all of
/// them alike; each at least once.
fn run_in_turns(
    cases: &mut [TimedWork<'_>],
    start: Instant,
    limit: Duration,
    progress: &dyn Progress,
) -> anyhow::Result<()> {
    for round in 0.. {
        for case in cases.iter_mut() {
            if progress.stop_requested() {
                anyhow::bail!("stopped");
            }
            if round > 0 && start.elapsed() >= limit {
                return Ok(());
            }
            let before = Instant::now();
            (case.once)()?;
            case.seconds.push(before.elapsed().as_secs_f64());
        }
    }
    Ok(())
}

/// The kernels that the decoder of a device uses.
enum ProbeKernels {
    /// Our own.
    Cpu(Isa, Pool),
    /// candle's, on a GPU.
    Candle(Device),
}

/// A matrix of random weights.
enum ProbeMatrix {
    Packed(PackedLinear),
    Candle(QMatMul),
}

/// Rows that matrices are multiplied with, `[rows, width]`.
enum ProbeInput {
    Rows(Vec<f32>, ProductRows),
    Tensor(Tensor),
}

impl ProbeKernels {
    /// A square matrix.
    fn matrix(&self, format: GgmlDType, width: usize, seed: u64) -> anyhow::Result<ProbeMatrix> {
        let blocks = random_blocks(format, width * width, seed);
        Ok(match self {
            Self::Cpu(isa, pool) => ProbeMatrix::Packed(PackedLinear::from_blocks(
                &blocks, format, width, width, *isa, pool,
            )?),
            Self::Candle(device) => {
                let storage = QStorage::from_data(blocks.into(), device, format)?;
                let tensor = QTensor::new(storage, (width, width))?;
                ProbeMatrix::Candle(QMatMul::from_qtensor(tensor)?)
            }
        })
    }

    fn input(&self, rows: usize, width: usize) -> anyhow::Result<ProbeInput> {
        let values: Vec<f32> = (0..rows * width).map(|i| (i % 17) as f32 / 17.0 - 0.5).collect();
        Ok(match self {
            Self::Cpu(..) => {
                let n_prompt = if rows == MANY { rows } else { 0 };
                ProbeInput::Rows(values, ProductRows { n: rows, n_prompt })
            }
            Self::Candle(device) => {
                ProbeInput::Tensor(Tensor::from_vec(values, (rows, width), device)?)
            }
        })
    }

    fn product(&self, matrix: &ProbeMatrix, input: &ProbeInput) -> anyhow::Result<()> {
        match (self, matrix, input) {
            (Self::Cpu(_, pool), ProbeMatrix::Packed(matrix), ProbeInput::Rows(x, rows)) => {
                let mut y = vec![0.0; rows.n * matrix.rows()];
                forward_many(&[matrix], x, *rows, &mut [&mut y], pool)?;
                std::hint::black_box(&y);
            }
            (Self::Candle(_), ProbeMatrix::Candle(matrix), ProbeInput::Tensor(x)) => {
                std::hint::black_box(matrix.forward(x)?);
            }
            _ => unreachable!("matrices and inputs are made by the same kernels"),
        }
        Ok(())
    }

    /// A step without work: threads that start and end together, or a product that hardly occupies a
    /// GPU.
    fn step(&self, small: &ProbeMatrix, input: &ProbeInput) -> anyhow::Result<()> {
        match self {
            Self::Cpu(_, pool) => {
                pool.run(2 * pool.threads(), |task| {
                    std::hint::black_box(task);
                });
                Ok(())
            }
            Self::Candle(_) => self.product(small, input),
        }
    }

    /// Waits until the device has finished.
    fn finish(&self) -> anyhow::Result<()> {
        match self {
            Self::Cpu(..) => Ok(()),
            Self::Candle(device) => Ok(device.synchronize()?),
        }
    }
}

/// Attention of one row and of the rows of a chunk of a prompt, each behind other tokens.
enum AttentionProbe {
    Cpu {
        shape: KvShape,
        caches: Vec<Vec<u16>>,
        queries: Vec<f32>,
    },
    /// Queries of one row and of many, and keys, `[heads of keys, ..., dim]`.
    Candle {
        one: Tensor,
        many: Tensor,
        keys: Tensor,
    },
}

impl AttentionProbe {
    fn new(kernels: &ProbeKernels) -> anyhow::Result<Self> {
        let (n_heads, n_kv_heads, head_dim) = HEADS;
        Ok(match kernels {
            ProbeKernels::Cpu(..) => {
                let shape = KvShape { n_kv_heads, head_dim, precision: KvPrecision::F16 };
                let len = shape.block_len() * DEPTH / KV_BLOCK_SIZE;
                // Numbers from 0.25 to 0.5, as f16.
                let cache = |seed: usize| (0..len).map(move |i| 0x3400 | ((i + seed) % 997) as u16);
                let caches = (0..CACHES).map(|seed| cache(seed).collect()).collect();
                Self::Cpu { shape, caches, queries: vec![0.5; MANY * n_heads * head_dim] }
            }
            ProbeKernels::Candle(device) => {
                let group = n_heads / n_kv_heads;
                let tensor = |rows| Tensor::ones((n_kv_heads, rows, head_dim), DTYPE, device);
                let (one, many, keys) = (tensor(group)?, tensor(group * MANY)?, tensor(DEPTH)?);
                Self::Candle { one, many, keys }
            }
        })
    }

    fn one_row(&self, kernels: &ProbeKernels) -> anyhow::Result<()> {
        match self {
            Self::Cpu { caches, .. } => {
                caches.iter().try_for_each(|cache| self.on_cpu(kernels, cache, 1, DEPTH - 1))
            }
            Self::Candle { one, .. } => self.on_gpu(kernels, one),
        }
    }

    fn many_rows(&self, kernels: &ProbeKernels) -> anyhow::Result<()> {
        match self {
            Self::Cpu { caches, .. } => self.on_cpu(kernels, &caches[0], MANY, DEPTH - MANY),
            Self::Candle { many, .. } => self.on_gpu(kernels, many),
        }
    }

    fn on_cpu(
        &self,
        kernels: &ProbeKernels,
        cache: &[u16],
        n_rows: usize,
        start: usize,
    ) -> anyhow::Result<()> {
        let (Self::Cpu { shape, queries, .. }, ProbeKernels::Cpu(isa, pool)) = (self, kernels)
        else {
            unreachable!("the case was made for these kernels")
        };
        let (n_heads, _, head_dim) = HEADS;
        let blocks: Vec<&[u16]> = cache.chunks(shape.block_len()).collect();
        let sequence = AttentionSequence { kv_blocks: &blocks, first_row: 0, n_rows, start };
        let queries = &queries[..n_rows * n_heads * head_dim];
        let mut out = vec![0.0; queries.len()];
        let scale = 1.0 / (head_dim as f32).sqrt();
        let settings = AttentionSettings { n_heads, scale, window: None, soft_cap: None };
        attend(*shape, &settings, queries, &[sequence], &mut out, *isa, pool)?;
        std::hint::black_box(&out);
        Ok(())
    }

    fn on_gpu(&self, kernels: &ProbeKernels, queries: &Tensor) -> anyhow::Result<()> {
        let Self::Candle { keys, .. } = self else {
            unreachable!("the case was made for these kernels")
        };
        let scores = queries.matmul(&keys.transpose(1, 2)?)?;
        std::hint::black_box(scores.exp()?.matmul(keys)?);
        kernels.finish()
    }

    fn one_row_operations(&self) -> f64 {
        let n_caches = match self {
            Self::Cpu { caches, .. } => caches.len(),
            Self::Candle { .. } => 1,
        };
        n_caches as f64 * operations(1, DEPTH as f64)
    }

    /// On the CPU a row sees only those before it.
    fn many_rows_operations(&self) -> f64 {
        let seen = match self {
            Self::Cpu { .. } => (DEPTH - MANY) as f64 + (MANY as f64 + 1.0) / 2.0,
            Self::Candle { .. } => DEPTH as f64,
        };
        operations(MANY, seen)
    }
}

const DTYPE: candle_core::DType = candle_core::DType::F32;

/// Operations of attention: two for each product of the scores and of the weighted sum.
fn operations(n_rows: usize, positions: f64) -> f64 {
    let (n_heads, _, head_dim) = HEADS;
    4.0 * (n_rows * n_heads * head_dim) as f64 * positions
}

/// Blocks of a quantized format with random quants and scales of about 0.01, or such numbers.
fn random_blocks(format: GgmlDType, n_weights: usize, seed: u64) -> Vec<u8> {
    // 0.01 in each format of scales or weights.
    const F16: [u8; 2] = [0x1f, 0x21];
    const BF16: [u8; 2] = [0x24, 0x3c];
    let n_blocks = n_weights / format.block_size();
    let size = format.type_size();
    match format {
        GgmlDType::F32 => return 0.01_f32.to_le_bytes().repeat(n_weights),
        GgmlDType::F16 => return F16.repeat(n_weights),
        GgmlDType::BF16 => return BF16.repeat(n_weights),
        _ => {}
    }
    // Marsaglia's xorshift with 64 bits.
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut blocks = Vec::with_capacity(n_blocks * size + 8);
    while blocks.len() < n_blocks * size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        blocks.extend_from_slice(&state.to_le_bytes());
    }
    blocks.truncate(n_blocks * size);
    // Random bits could be infinite as f16.
    let scales: &[usize] = match format {
        GgmlDType::Q4_1 | GgmlDType::Q5_1 | GgmlDType::Q4K | GgmlDType::Q5K => &[0, 2],
        GgmlDType::Q6K => &[208],
        _ => &[0],
    };
    for block in blocks.chunks_exact_mut(size) {
        for at in scales {
            block[*at..*at + 2].copy_from_slice(&F16);
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use idiolect::progress::Silent;

    const FORMATS: [GgmlDType; 11] = [
        GgmlDType::F32,
        GgmlDType::F16,
        GgmlDType::BF16,
        GgmlDType::Q4_0,
        GgmlDType::Q4_1,
        GgmlDType::Q5_0,
        GgmlDType::Q5_1,
        GgmlDType::Q8_0,
        GgmlDType::Q4K,
        GgmlDType::Q5K,
        GgmlDType::Q6K,
    ];

    #[test]
    fn random_weights_are_finite_and_differ() {
        let pool = Pool::new(1);
        for format in FORMATS {
            let blocks = random_blocks(format, 4 * 256, 3);
            let packed =
                PackedLinear::from_blocks(&blocks, format, 4, 256, Isa::PLAIN, &pool).unwrap();
            let mut row = [0.0; 256];
            packed.dequantize_row(3, &mut row).unwrap();
            assert!(row.iter().all(|x| x.is_finite() && x.abs() < 100.0), "{format:?}");
            assert!(row.iter().any(|x| *x != 0.0), "{format:?}");
            let quantized = format.block_size() > 1;
            assert_eq!(row.windows(2).any(|pair| pair[0] != pair[1]), quantized, "{format:?}");
        }
        assert_ne!(random_blocks(GgmlDType::Q8_0, 32, 1), random_blocks(GgmlDType::Q8_0, 32, 2));
    }

    #[test]
    fn every_speed_is_measured_once_however_short_the_time_is() {
        let options = ProbeOptions {
            device: &Device::Cpu,
            isa: Isa::detect(),
            threads: 1,
            seconds: 0.0,
            bytes: 1,
        };
        let formats = [GgmlDType::Q4K, GgmlDType::Q8_0];
        let speeds = measure(&formats, &options, &Silent).unwrap();
        assert_eq!(speeds.formats.iter().map(|s| s.format).collect::<Vec<_>>(), formats);
        let all = speeds.formats.iter().flat_map(|s| [s.one_row, s.few_rows, s.many_rows]);
        for speed in all.chain([speeds.attend_one, speeds.attend_many, speeds.layer]) {
            assert!(speed.is_finite() && speed > 0.0, "{speeds:?}");
        }
    }

    #[test]
    fn the_kernels_of_gpus_take_the_same_cases() {
        // candle's own kernels, which GPUs use, run on the CPU as well.
        let kernels = ProbeKernels::Candle(Device::Cpu);
        let matrix = kernels.matrix(GgmlDType::Q4K, 256, 1).unwrap();
        for rows in [1, TOGETHER] {
            kernels.product(&matrix, &kernels.input(rows, 256).unwrap()).unwrap();
        }
        kernels.step(&matrix, &kernels.input(1, 256).unwrap()).unwrap();
        let attention = AttentionProbe::new(&kernels).unwrap();
        attention.one_row(&kernels).unwrap();
        attention.many_rows(&kernels).unwrap();
        kernels.finish().unwrap();
        assert!(attention.many_rows_operations() > 100.0 * attention.one_row_operations());
    }

    #[test]
    fn the_first_run_only_warms_up() {
        let case =
            |seconds: &[f64]| TimedWork { once: Box::new(|| Ok(())), seconds: seconds.to_vec() };
        assert_eq!(case(&[9.0, 3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(case(&[9.0]).median(), 9.0);
    }
}
