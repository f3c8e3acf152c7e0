//! Description of the machine and the models.

use std::collections::HashMap;
use std::process::Command;

use idiolect::model::gguf::{Gguf, type_name};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::context::Context;

/// The machine and the models.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    program: String,
    os: String,
    cpu: Option<String>,
    cores: usize,
    threads: usize,
    #[serde(rename = "tier")]
    isa: &'static str,
    device: String,
    lm: Value,
    encoder: Value,
    /// Peak resident memory of the process in bytes; `None` if the system does not say.
    peak_resident_bytes: Option<u64>,
}

impl Machine {
    /// Describes what `--device`, `--threads`, `--cpu-isa`, `--lm` and `--encoder` name. A missing
    /// model is not an error here, because the benchmarks may not need it.
    pub(super) fn of(context: &Context) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            program: format!("idiolect {}", env!("CARGO_PKG_VERSION")),
            os: os(),
            cpu: cpu(),
            cores,
            threads: match context.globals.threads {
                0 => cores,
                n => n,
            },
            isa: context.isa()?.name(),
            device: device_name(&context.device()?),
            lm: lm(context).unwrap_or(Value::Null),
            encoder: encoder(context).unwrap_or(Value::Null),
            peak_resident_bytes: None,
        })
    }

    /// Records the peak resident memory of the process.
    pub(super) fn look_at_memory(&mut self) {
        self.peak_resident_bytes = resident("VmHWM");
    }

    /// Formats the description as a few lines of text.
    pub(super) fn in_words(&self) -> String {
        let Self { program, os, cpu, cores, threads, isa, device, lm, encoder, .. } = self;
        let cpu = cpu.as_deref().unwrap_or("an unknown CPU");
        let model = |model: &Value| match model["name"].as_str() {
            Some(name) => format!(
                "{name}, {}, {:.1} MB",
                model["format"].as_str().unwrap_or("?"),
                model["bytes"].as_f64().unwrap_or(0.0) / 1e6
            ),
            None => "not on this machine".to_owned(),
        };
        let memory = match self.peak_resident_bytes {
            Some(bytes) => format!("\nmemory:  at most {:.1} MB resident", bytes as f64 / 1e6),
            None => String::new(),
        };
        format!(
            "machine: {cpu}, {cores} cores, {threads} threads, {isa}; {os}; {program}\n\
             device:  {device}\nlm:      {}\nencoder: {}{memory}\n",
            model(lm),
            model(encoder)
        )
    }
}

fn lm(context: &Context) -> anyhow::Result<Value> {
    let files = context.lm_files()?;
    let gguf = Gguf::open(&files.gguf)?;
    // The type of most weights.
    let mut weights: HashMap<&str, usize> = HashMap::new();
    for view in gguf.tensor_names().filter_map(|name| gguf.tensor(name)) {
        *weights.entry(type_name(view.dtype)).or_default() += view.shape.iter().product::<usize>();
    }
    let format = weights.into_iter().max_by_key(|(_, n)| *n).map(|(name, _)| name);
    let (name, bytes, sha256) = (files.name, gguf.size(), files.sha256);
    Ok(json!({ "name": name, "format": format, "bytes": bytes, "sha256": sha256 }))
}

fn encoder(context: &Context) -> anyhow::Result<Value> {
    let files = context.catalog()?.encoder_with(&context.globals.encoder, context)?;
    let bytes = std::fs::metadata(files.dir.join("model.safetensors"))?.len();
    let (name, sha256) = (files.name, files.sha256);
    Ok(
        json!({ "name": name, "format": context.encoder_precision().name(), "bytes": bytes, "sha256": sha256 }),
    )
}

/// Value in bytes of a line of /proc/self/status: `VmRSS`, or `VmHWM` (the peak).
pub(super) fn resident(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

fn cpu() -> Option<String> {
    if let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") {
        let line = text.lines().find_map(|line| line.strip_prefix("model name"))?;
        return Some(line.trim_start_matches([' ', '\t', ':']).to_owned());
    }
    said("sysctl", &["-n", "machdep.cpu.brand_string"])
        .or_else(|| std::env::var("PROCESSOR_IDENTIFIER").ok())
}

/// Name of a device: `cpu`, `metal`, or the names of the GPUs that the driver lists.
pub(in crate::cli) fn device_name(device: &candle_core::Device) -> String {
    match device {
        candle_core::Device::Cpu => "cpu".to_owned(),
        candle_core::Device::Cuda(_) => gpu().unwrap_or_else(|| "cuda".to_owned()),
        candle_core::Device::Metal(_) => "metal".to_owned(),
    }
}

fn gpu() -> Option<String> {
    said("nvidia-smi", &["--query-gpu=name,memory.total", "--format=csv,noheader"])
        .map(|names| names.lines().collect::<Vec<_>>().join("; "))
}

fn os() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let name = name.map_or(std::env::consts::OS, |name| name.trim_matches('"'));
    format!("{name} ({})", std::env::consts::ARCH)
}

/// Output of another program; `None` if it is missing, fails or prints nothing.
pub(in crate::cli) fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
