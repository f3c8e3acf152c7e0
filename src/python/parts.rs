//! The parts of an engine: store, language model and encoder, each opened at its first use.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::Device;
use idiolect_core::corpus::{LogDamage, Store};
use idiolect_engine::encoder::{Encoder, EncoderOptions, EncoderPrecision};
use idiolect_engine::lm::{Isa, Lm, LoadOptions};
use idiolect_engine::model::catalog::{Catalog, default_models_dir};
use idiolect_engine::model::device;
use idiolect_engine::progress::Progress;
use idiolect_kernels::attention::KvPrecision;
use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;
use serde::Deserialize;

use crate::failure::{CallFailure, Result};

/// The global options of the program, as far as they are not the interpreter's matter.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartOptions {
    /// File of the store; `None` for a model without one.
    store: Option<PathBuf>,
    lm: String,
    encoder: String,
    encoder_precision: String,
    device: String,
    threads: usize,
    cpu_isa: String,
    /// MiB.
    kv_budget: usize,
    kv_precision: String,
    share_prefixes: bool,
    models_dir: Option<PathBuf>,
}

/// The parts of an engine.
pub(crate) struct EngineParts {
    options: PartOptions,
    store: Mutex<Option<Arc<Store>>>,
    lm: Mutex<Option<Lm>>,
    encoder: Mutex<Option<Arc<Encoder>>>,
}

impl EngineParts {
    /// The parts, none of which is opened yet.
    ///
    /// # Errors
    /// An option has a value that it cannot have.
    pub(crate) fn new(options: PartOptions) -> Result<Self> {
        let work = Self {
            options,
            store: Mutex::default(),
            lm: Mutex::default(),
            encoder: Mutex::default(),
        };
        work.encoder_precision()?;
        work.load_options()?;
        Ok(work)
    }

    fn store_path(&self) -> Result<&PathBuf> {
        self.options.store.as_ref().ok_or_else(|| CallFailure::argument("this engine has no store"))
    }

    /// The store, which must exist.
    pub(crate) fn store(&self) -> Result<Arc<Store>> {
        let mut slot = locked(&self.store);
        if let Some(store) = slot.as_ref() {
            return Ok(Arc::clone(store));
        }
        let store = Store::open_existing(self.store_path()?)?;
        opened(store, &mut slot)
    }

    /// The store, which is created if it does not exist.
    pub(crate) fn store_to_fill(&self) -> Result<Arc<Store>> {
        let mut slot = locked(&self.store);
        if let Some(store) = slot.as_ref() {
            return Ok(Arc::clone(store));
        }
        let store = Store::open(self.store_path()?)?;
        opened(store, &mut slot)
    }

    /// The language model; the first call loads it.
    pub(crate) fn lm(&self, progress: &dyn Progress) -> Result<Lm> {
        let mut slot = locked(&self.lm);
        if let Some(lm) = slot.as_ref() {
            return Ok(lm.clone());
        }
        let name = &self.options.lm;
        if name.starts_with("http://") || name.starts_with("https://") {
            return Err(CallFailure::argument(format!(
                "lm {name}: the package has no client for servers; the program with the feature `remote` has"
            )));
        }
        let catalog = self.catalog()?;
        let files = catalog.lm_with(name, progress)?;
        let lm = Lm::load(&files, &self.load_options()?)?;
        // Stored answers are kept under the hash, which was taken before the weights were read.
        if catalog.lm_with(name, progress)?.sha256 != files.sha256 {
            let message =
                format!("{} changed while it was read; load it again", files.gguf.display());
            return Err(CallFailure::Told { exception: "ModelError", message });
        }
        Ok(slot.insert(lm).clone())
    }

    /// The sentence encoder; the first call loads it.
    pub(crate) fn encoder(&self, progress: &dyn Progress) -> Result<Arc<Encoder>> {
        let mut slot = locked(&self.encoder);
        if let Some(encoder) = slot.as_ref() {
            return Ok(Arc::clone(encoder));
        }
        let encoder = self.load_encoder(&self.options.encoder, progress)?;
        Ok(Arc::clone(slot.insert(Arc::new(encoder))))
    }

    /// Loads a sentence encoder by name or path.
    pub(crate) fn load_encoder(&self, name: &str, progress: &dyn Progress) -> Result<Encoder> {
        let files = self.catalog()?.encoder_with(name, progress)?;
        let options = EncoderOptions {
            device: self.device()?,
            precision: self.encoder_precision()?,
            threads: self.options.threads,
            isa: self.isa()?,
        };
        Ok(Encoder::load_with(&files, &options)?)
    }

    /// Loads a language model that is not the engine's, by name or path.
    pub(crate) fn other_lm(&self, name: &str, progress: &dyn Progress) -> Result<Lm> {
        let files = self.catalog()?.lm_with(name, progress)?;
        Ok(Lm::load(&files, &self.load_options()?)?)
    }

    /// Drops store and models; they are opened again at their next use.
    pub(crate) fn close(&self) {
        *locked(&self.store) = None;
        *locked(&self.lm) = None;
        *locked(&self.encoder) = None;
    }

    fn catalog(&self) -> Result<Catalog> {
        catalog(self.options.models_dir.clone())
    }

    fn device(&self) -> Result<Device> {
        Ok(device::choose(&self.options.device)?)
    }

    fn isa(&self) -> Result<Isa> {
        Ok(Isa::parse(&self.options.cpu_isa)?)
    }

    fn load_options(&self) -> Result<LoadOptions> {
        let kv_precision = match self.options.kv_precision.as_str() {
            "f16" => KvPrecision::F16,
            "bf16" => KvPrecision::Bf16,
            other => {
                return Err(CallFailure::argument(format!(
                    "kv_precision: got `{other}`, expected f16 or bf16"
                )));
            }
        };
        Ok(LoadOptions {
            device: self.device()?,
            threads: self.options.threads,
            isa: self.isa()?,
            kv_precision,
            kv_budget: self.options.kv_budget.saturating_mul(1 << 20),
            share_prefixes: self.options.share_prefixes,
            ..LoadOptions::default()
        })
    }

    fn encoder_precision(&self) -> Result<EncoderPrecision> {
        match self.options.encoder_precision.as_str() {
            "f32" => Ok(EncoderPrecision::F32),
            "int8" => Ok(EncoderPrecision::Int8),
            other => {
                let message = format!("encoder_precision: got `{other}`, expected f32 or int8");
                Err(CallFailure::argument(message))
            }
        }
    }
}

/// Checks a store that was opened, and warns of rows that are missing.
fn opened(store: Store, slot: &mut Option<Arc<Store>>) -> Result<Arc<Store>> {
    store.check_if_small()?;
    if let Some(LogDamage { at, lost_commits }) = store.log_damage() {
        let told = format!(
            "the write-ahead log of store {} was damaged at byte {at}: what was committed last is missing, \
             {lost_commits} transactions at most",
            store.path().display()
        );
        Python::attach(|py| {
            let warnings = py.import("warnings")?;
            warnings.call_method1("warn", (told, py.get_type::<PyRuntimeWarning>(), 2)).map(drop)
        })?;
    }
    Ok(Arc::clone(slot.insert(Arc::new(store))))
}

/// The catalog of models of a folder, or of the default one.
pub(crate) fn catalog(folder: Option<PathBuf>) -> Result<Catalog> {
    let folder = match folder {
        Some(folder) => folder,
        None => default_models_dir()?,
    };
    Ok(Catalog::load(&folder)?)
}

/// The lock of a part. A part that a panic left is as good as one that was never opened.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
