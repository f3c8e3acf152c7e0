//! `idiolect doctor`.

mod self_test;

use idiolect::corpus::Store;
use idiolect::methods::CorpusStrengths;
use idiolect::model::catalog::{Catalog, ModelKind};
use idiolect::model::device;
use idiolect::model::gguf::Gguf;
use idiolect::peers::check_index;
use serde::Serialize;
use serde_json::{Value, json};

use super::context::Context;
use super::models::shown_path;
use super::output;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Checks --device, --lm, --encoder and --store. Each problem is reported with its remedy; the exit
code is 1 if there is any.")]
pub(crate) struct Args {
    /// Only compute an embedding, a score and a text with the models all-minilm-l6-v2 and
    /// smollm2-135m-instruct on this CPU, and compare them with recorded values; use it after an
    /// installation. A model that is not on this machine is skipped
    #[arg(long)]
    self_test: bool,
}

/// A problem and its remedy.
#[derive(Debug, Serialize)]
struct Problem {
    about: &'static str,
    what: String,
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    if args.self_test {
        return self_test::run(context);
    }
    let mut problems = Vec::new();
    let machine = json!({
        "program": env!("CARGO_PKG_VERSION"),
        "features": features(),
        "devices": devices(context, &mut problems),
        "instructions": instructions(),
        "threads": {
            "cores": std::thread::available_parallelism().map_or(1, usize::from),
            "used": rayon::current_num_threads(),
        },
        "memory_bytes": memory(),
    });
    let models = models(context, &mut problems);
    let store = store(context, &mut problems);
    if context.globals.json {
        output::json(&json!({
            "ok": problems.is_empty(),
            "machine": machine,
            "models": models,
            "store": store,
            "problems": problems,
        }))?;
    } else {
        for (title, section) in [("machine", &machine), ("models", &models), ("store", &store)] {
            output::line(title)?;
            show(section)?;
        }
        for problem in &problems {
            output::line(&format!("problem with {}: {}", problem.about, problem.what))?;
        }
    }
    match problems.len() {
        0 => Ok(()),
        1 => anyhow::bail!("1 problem was found"),
        n => anyhow::bail!("{n} problems were found"),
    }
}

fn features() -> Vec<&'static str> {
    let all = [
        ("hub", cfg!(feature = "hub")),
        ("cuda", cfg!(feature = "cuda")),
        ("metal", cfg!(feature = "metal")),
    ];
    all.iter().filter(|(_, compiled_in)| *compiled_in).map(|(name, _)| *name).collect()
}

fn devices(context: &Context, problems: &mut Vec<Problem>) -> Value {
    let found = device::compiled_in();
    let devices: Vec<_> = found
        .into_iter()
        .map(|(name, error)| json!({ "name": name, "works": error.is_none(), "error": error }))
        .collect();
    let chosen = match context.device() {
        Ok(candle_core::Device::Cpu) => "cpu",
        Ok(candle_core::Device::Cuda(_)) => "cuda",
        Ok(candle_core::Device::Metal(_)) => "metal",
        Err(error) => {
            problems.push(Problem { about: "the device", what: error.to_string() });
            "none"
        }
    };
    json!({ "compiled_in": devices, "chosen": chosen })
}

/// Instruction sets of this CPU that arithmetic kernels can use.
#[cfg(target_arch = "x86_64")]
fn instructions() -> Vec<&'static str> {
    macro_rules! found {
        ($($name:tt),*) => {
            [$(($name, std::arch::is_x86_feature_detected!($name))),*]
                .into_iter()
                .filter_map(|(name, found)| found.then_some(name))
                .collect()
        };
    }
    let mut names: Vec<_> = found!(
        "sse4.1",
        "fma",
        "f16c",
        "avx",
        "avx2",
        "avxvnni",
        "avx512f",
        "avx512bw",
        "avx512vnni",
        "avx512bf16"
    );
    // The standard library cannot detect matrix tiles yet.
    if idiolect::kernels::Isa::detect().has_prompt_products() {
        names.push("amx");
    }
    names
}

/// Instruction sets of this CPU that arithmetic kernels can use.
#[cfg(target_arch = "aarch64")]
fn instructions() -> Vec<&'static str> {
    macro_rules! found {
        ($($name:tt),*) => {
            [$(($name, std::arch::is_aarch64_feature_detected!($name))),*]
                .into_iter()
                .filter_map(|(name, found)| found.then_some(name))
                .collect()
        };
    }
    found!("neon", "fp16", "dotprod", "i8mm", "bf16", "sve")
}

/// Instruction sets of this CPU that arithmetic kernels can use.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn instructions() -> Vec<&'static str> {
    Vec::new()
}

/// Total and available memory in bytes; null if the system has no /proc/meminfo.
fn memory() -> Value {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = |name: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    };
    json!({ "total": line("MemTotal"), "available": line("MemAvailable") })
}

fn models(context: &Context, problems: &mut Vec<Problem>) -> Value {
    let catalog = match context.catalog() {
        Ok(catalog) => catalog,
        Err(error) => {
            problems.push(Problem { about: "the catalog", what: error.to_string() });
            return Value::Null;
        }
    };
    let present: Vec<_> = catalog
        .entries()
        .filter_map(|entry| {
            let located = catalog.glimpse(entry)?;
            let kind = match entry.kind {
                ModelKind::Lm => "lm",
                ModelKind::Encoder => "encoder",
            };
            Some(json!({ "name": entry.name, "kind": kind, "path": shown_path(entry, &located) }))
        })
        .collect();
    let lm = lm(context).unwrap_or_else(|error| {
        problems.push(Problem { about: "the language model", what: error.to_string() });
        Value::Null
    });
    let encoder = encoder(&catalog, context).unwrap_or_else(|error| {
        problems.push(Problem { about: "the encoder", what: error.to_string() });
        Value::Null
    });
    json!({
        "models_dir": catalog.models_dir(),
        "present": present,
        "lm": lm,
        "encoder": encoder,
    })
}

fn lm(context: &Context) -> anyhow::Result<Value> {
    let files = context.lm_files()?;
    let gguf = Gguf::open(&files.gguf)?;
    Ok(json!({
        "name": files.name,
        "path": files.gguf,
        "sha256": files.sha256,
        "architecture": gguf.architecture()?,
        "size": gguf.size(),
    }))
}

fn encoder(catalog: &Catalog, context: &Context) -> anyhow::Result<Value> {
    let files = catalog.encoder_with(&context.globals.encoder, context)?;
    // Loading is the surest check, and encoders are small enough for it.
    let encoder = context.encoder_on(candle_core::Device::Cpu)?;
    Ok(json!({
        "name": files.name,
        "path": files.dir,
        "sha256": files.sha256,
        "precision": encoder.precision().name(),
        "dimension": encoder.dimension(),
        "stamp": encoder.stamp(),
    }))
}

fn store(context: &Context, problems: &mut Vec<Problem>) -> Value {
    let path = &context.globals.store;
    if !path.exists() {
        return json!({ "path": path, "exists": false });
    }
    let mut damaged = None;
    let mut read = || -> anyhow::Result<Value> {
        let store = Store::open_existing(path)?;
        store.check()?;
        let counts = store.counts()?;
        Ok(json!({
            "path": path,
            "exists": true,
            "schema": store.schema_version()?,
            "users": counts.users,
            "items": counts.items,
            "reviews": counts.reviews,
            "vectors": store.vector_counts()?,
            "strengths": CorpusStrengths::stored(&store)?,
            "index": match check_index(&store) {
                Ok(manifest) => json!(manifest.map(|manifest| manifest.users)),
                Err(error) => {
                    damaged = Some(error.to_string());
                    Value::Null
                }
            },
        }))
    };
    let section = read().unwrap_or_else(|error| {
        problems.push(Problem { about: "the store", what: error.to_string() });
        json!({ "path": path, "exists": true })
    });
    problems.extend(damaged.map(|what| Problem { about: "the index", what }));
    section
}

/// Prints a section as indented lines.
fn show(section: &Value) -> anyhow::Result<()> {
    let Value::Object(fields) = section else { return output::line("  unknown") };
    for (name, value) in fields {
        match value {
            Value::Array(items) if items.iter().any(Value::is_object) => {
                output::line(&format!("  {name}"))?;
                for item in items {
                    output::line(&format!("    {}", inline(item)))?;
                }
            }
            _ => output::line(&format!("  {name}: {}", inline(value)))?,
        }
    }
    Ok(())
}

fn inline(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(inline).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => fields
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| format!("{name} {}", inline(value)))
            .collect::<Vec<_>>()
            .join(", "),
        other => other.to_string(),
    }
}
