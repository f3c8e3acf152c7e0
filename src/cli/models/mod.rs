//! `idiolect models`.

mod recommend;

use std::path::{Path, PathBuf};

use idiolect::model::catalog::{Catalog, Entry, FolderKind, Located, ModelKind};
use idiolect::model::fetch::fetch;
use idiolect::model::verify::{FileReport, verify};
use serde::Serialize;

use super::context::Context;
use super::output;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  idiolect models list
  idiolect models recommend
  idiolect models fetch qwen2.5-coder-1.5b-instruct all-minilm-l6-v2
  idiolect models verify
  idiolect --lm \"$(idiolect models path qwen3-0.6b)\" lm complete --prompt \"Dear\"

Models that are not listed can be used by their path. To add a model to the list, put a TOML file
like those in the project's models/ folder into the models folder.")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the models of the catalog, and where those on this machine are
    List,
    #[command(about = "Recommend a language model for this machine")]
    Recommend(recommend::Args),
    /// Download models
    Fetch {
        /// Names of the models, as in `models list`
        #[arg(required = true, value_name = "NAME", value_delimiter = ',')]
        names: Vec<String>,
    },
    /// Check the SHA-256 of the files of models; without names, of all models on this machine
    Verify {
        /// Names of the models, as in `models list`
        #[arg(value_name = "NAME", value_delimiter = ',')]
        names: Vec<String>,
    },
    /// Print the path of a model: a GGUF file, or the folder of an encoder
    Path {
        /// Name of the model, as in `models list`
        #[arg(value_name = "NAME")]
        name: String,
    },
}

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let catalog = context.catalog()?;
    match args.command {
        Command::List => list(&catalog, context),
        Command::Recommend(args) => recommend::run(&args, &catalog, context),
        Command::Fetch { names } => fetch_all(&names, &catalog, context),
        Command::Verify { names } => verify_all(&names, &catalog, context),
        Command::Path { name } => path(&name, &catalog, context),
    }
}

/// One model of `models list`.
#[derive(Debug, Serialize)]
struct ModelJson<'a> {
    #[serde(flatten)]
    entry: &'a Entry,
    size: Option<u64>,
    present: bool,
    /// As it is shown: a path may be none that JSON can hold.
    path: Option<String>,
    place: Option<FolderKind>,
}

fn list(catalog: &Catalog, context: &Context) -> anyhow::Result<()> {
    let listed: Vec<_> = catalog
        .entries()
        .map(|entry| {
            let located = catalog.glimpse(entry);
            ModelJson {
                entry,
                size: entry.size(),
                present: located.is_some(),
                place: located.as_ref().map(|located| located.place),
                path: located.map(|located| shown_path(entry, &located).display().to_string()),
            }
        })
        .collect();
    if context.globals.json {
        let folder = catalog.models_dir().display().to_string();
        return output::json(&serde_json::json!({ "models_dir": folder, "models": listed }));
    }
    let names = listed.iter().map(|model| model.entry.name.len());
    let width = names.max().unwrap_or(0);
    output::line(&format!(
        "{:<width$} {:<8} {:>6} {:<7} {:>8} {:<12} on this machine",
        "name", "kind", "params", "format", "size", "licence"
    ))?;
    for model in &listed {
        let kind = match model.entry.kind {
            ModelKind::Lm => "lm",
            ModelKind::Encoder => "encoder",
        };
        // The size of the weights is known; the size of small files may not be.
        let known: u64 = model.entry.files.iter().filter_map(|file| file.size).sum();
        let size = megabytes(known);
        let place = model.path.as_deref().unwrap_or("no");
        output::line(&format!(
            "{:<width$} {kind:<8} {:>6} {:<7} {size:>8} {:<12} {place}",
            model.entry.name,
            model.entry.parameters,
            model.entry.quantization.as_deref().unwrap_or("F32"),
            model.entry.licence,
        ))?;
    }
    Ok(())
}

fn fetch_all(names: &[String], catalog: &Catalog, context: &Context) -> anyhow::Result<()> {
    // Report a misspelt name before anything is downloaded.
    for name in names {
        catalog.entry(name)?;
    }
    let mut fetched = Vec::new();
    for name in names {
        let entry = catalog.entry(name)?;
        let done = fetch(catalog, name, context.network(), context)?;
        let path = shown_path(entry, &done.located);
        let origin = done.source.as_deref().unwrap_or("already present");
        if context.globals.json {
            // A path may be none that JSON can hold.
            let path = path.display().to_string();
            fetched.push(serde_json::json!({ "name": name, "path": path, "source": done.source }));
        } else {
            output::line(&format!("{name}: {} ({origin})", path.display()))?;
        }
    }
    if context.globals.json {
        return output::json(&serde_json::json!({ "fetched": fetched }));
    }
    Ok(())
}

fn verify_all(names: &[String], catalog: &Catalog, context: &Context) -> anyhow::Result<()> {
    let entries: Vec<&Entry> = if names.is_empty() {
        catalog.entries().filter(|entry| catalog.is_partly_here(entry)).collect()
    } else {
        names.iter().map(|name| catalog.entry(name)).collect::<Result<_, _>>()?
    };
    let mut reports: Vec<FileReport> = Vec::new();
    for entry in entries {
        reports.extend(verify(catalog, entry, context)?);
    }
    let n_wrong = reports.iter().filter(|report| report.problem.is_some()).count();
    if context.globals.json {
        output::json(&serde_json::json!({ "ok": n_wrong == 0, "files": reports }))?;
    } else {
        for report in &reports {
            let verdict = report.problem.as_deref().unwrap_or("ok");
            output::line(&format!("{}: {}: {verdict}", report.model, report.path.display()))?;
        }
        if reports.is_empty() {
            output::note(
                "there is no model on this machine; download one with `idiolect models fetch NAME`",
            );
        }
    }
    match n_wrong {
        0 => Ok(()),
        1 => {
            anyhow::bail!("1 file has a problem; replace it with `idiolect models fetch NAME`")
        }
        n => {
            anyhow::bail!("{n} files have problems; replace them with `idiolect models fetch NAME`")
        }
    }
}

fn path(name: &str, catalog: &Catalog, context: &Context) -> anyhow::Result<()> {
    let path = match catalog.entry(name)?.kind {
        ModelKind::Lm => catalog.lm_with(name, context)?.gguf,
        ModelKind::Encoder => catalog.encoder_with(name, context)?.dir,
    };
    if context.globals.json {
        return output::json(&serde_json::json!({ "path": path.display().to_string() }));
    }
    // For other programs, so byte by byte.
    output::raw(&[path.as_os_str().as_encoded_bytes(), b"\n"].concat())
}

/// Path to pass to `--lm` or `--encoder`: the GGUF file of a language model, the folder of an
/// encoder.
pub(super) fn shown_path(entry: &Entry, located: &Located) -> PathBuf {
    let path = match entry.kind {
        ModelKind::Lm => located.file(&entry.files[0]),
        ModelKind::Encoder => located.folder.clone(),
    };
    absolute(&path)
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", bytes.div_ceil(1_000_000))
}
