//! The global options and what they open: store, models, device, progress.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use idiolect::corpus::{LogDamage, Store};
use idiolect::encoder::{Encoder, EncoderOptions, EncoderPrecision};
use idiolect::kernels::Isa;
use idiolect::kernels::attention::KvPrecision;
use idiolect::lm::{Drafts, Lm, LoadOptions};
use idiolect::model::catalog::{Catalog, DEFAULT_ENCODER, DEFAULT_LM, default_models_dir};
use idiolect::model::fetch::{Network, offline_by_environment};
use idiolect::model::{LmFiles, device};
use idiolect::progress::Progress;

#[cfg(feature = "remote")]
use super::remote_args::RemoteArgs;
use super::{memory, output, values};

/// The default of `--store`.
pub(crate) const DEFAULT_STORE: &str = "idiolect.sqlite";

/// Options that every command takes.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// SQLite file with users, items, reviews and everything derived from them; use one file per
    /// corpus
    #[arg(
        long,
        global = true,
        env = "IDIOLECT_STORE",
        value_name = "FILE",
        default_value = DEFAULT_STORE
    )]
    pub(crate) store: PathBuf,
    /// Language model: a catalog name (`idiolect models list`) or the path of a GGUF file; a larger
    /// model writes better and slower
    #[arg(
        long,
        global = true,
        env = "IDIOLECT_LM",
        value_name = "NAME|PATH",
        default_value = DEFAULT_LM
    )]
    pub(crate) lm: OsString,
    /// Sentence encoder: a catalog name or the path of a folder; change it for other languages, and
    /// run `idiolect index` again
    #[arg(
        long,
        global = true,
        env = "IDIOLECT_ENCODER",
        value_name = "NAME|PATH",
        default_value = DEFAULT_ENCODER
    )]
    pub(crate) encoder: OsString,
    /// Arithmetic of the sentence encoder. Use int8 for large corpora: it is more than twice as fast
    /// on the CPU and changes vectors slightly (cosine above 0.995); their vectors are stored apart
    #[arg(
        long,
        global = true,
        hide = true,
        env = "IDIOLECT_ENCODER_PRECISION",
        value_name = "NAME",
        value_parser = values::named::<PrecisionName>(),
        default_value = "f32"
    )]
    pub(crate) encoder_precision: PrecisionName,
    /// Device that runs the models: auto, cpu, cuda:N or metal; set it to choose among several GPUs
    #[arg(
        long,
        global = true,
        hide = true,
        env = "IDIOLECT_DEVICE",
        value_name = "DEVICE",
        default_value = "auto"
    )]
    pub(crate) device: String,
    /// Worker threads on the CPU; 0 starts one per core. Lower it to leave cores to other programs
    #[arg(
        long,
        global = true,
        hide = true,
        env = "IDIOLECT_THREADS",
        value_name = "N",
        default_value_t = 0,
        value_parser = values::threads
    )]
    pub(crate) threads: usize,
    /// Instruction set of the CPU kernels: auto (the widest that this machine has), amx,
    /// avx512vnni, avxvnni, avx2, neon or plain; change it to compare or debug kernels
    #[arg(
        long,
        alias = "tier",
        global = true,
        hide = true,
        env = "IDIOLECT_TIER",
        value_name = "NAME",
        default_value = "auto"
    )]
    pub(crate) cpu_isa: String,
    /// Write every request to the language model to FILE, one JSON line each, with token ids; use it
    /// for `bench --only replay`. An existing file is replaced
    #[arg(long, global = true, hide = true, value_name = "FILE")]
    pub(crate) record_requests: Option<PathBuf>,
    /// Memory limit of all KV caches together, in MiB; lower it if memory is short, raise it for
    /// many or long sequences
    #[arg(
        long,
        global = true,
        hide = true,
        env = "IDIOLECT_KV_BUDGET",
        value_name = "MIB",
        default_value_t = 1024,
        value_parser = values::mebibytes()
    )]
    pub(crate) kv_budget: usize,
    /// Format of keys and values on the CPU. Use bf16 for long prompts if the CPU has AVX-512 BF16:
    /// it is faster and less precise; the answers of both are stored apart
    #[arg(
        long,
        global = true,
        hide = true,
        env = "IDIOLECT_KV_PRECISION",
        value_name = "NAME",
        value_parser = values::named::<KvPrecisionName>(),
        default_value = "f16"
    )]
    pub(crate) kv_precision: KvPrecisionName,
    /// Compute every prompt from its first token, without the prefix cache; for measurements
    #[arg(long, global = true, hide = true)]
    pub(crate) no_shared_prefixes: bool,
    /// Compute one token of a text in each forward step, without drafts; for measurements
    #[arg(long, global = true, hide = true)]
    pub(crate) no_drafts: bool,
    /// Folder of fetched models; change it to use another disk or to share models
    #[arg(long, global = true, hide = true, env = "IDIOLECT_MODELS", value_name = "DIR")]
    pub(crate) models_dir: Option<PathBuf>,
    /// Never open a network connection, not even for `models fetch`
    #[arg(long, global = true, hide = true, env = "IDIOLECT_OFFLINE", value_parser = values::switch)]
    pub(crate) offline: bool,
    /// Print JSON on stdout instead of text: one object, or for `embed` one array per line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Show no progress bars and fewer notes on stderr
    #[arg(long, short, global = true, env = "IDIOLECT_QUIET", value_parser = values::switch)]
    pub(crate) quiet: bool,
    /// Print help with all options
    // `cli::help` handles it before the command line is parsed.
    #[arg(long, global = true)]
    help_all: bool,
    // The last, since its heading holds for the options behind it.
    #[cfg(feature = "remote")]
    #[command(flatten)]
    pub(crate) remote: RemoteArgs,
}

/// Value of `--encoder-precision`.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PrecisionName {
    F32,
    Int8,
}

/// Value of `--kv-precision`.
#[derive(Debug, Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KvPrecisionName {
    F16,
    Bf16,
}

/// Global options, progress bars and stop flag of the running command.
pub(crate) struct Context {
    pub(crate) globals: Globals,
    stop: Arc<AtomicBool>,
    /// The bars of the stages that have begun; the last one is that of the innermost.
    bars: Mutex<Vec<indicatif::ProgressBar>>,
}

impl Context {
    pub(crate) fn new(globals: Globals) -> anyhow::Result<Self> {
        if let Some(path) = &globals.record_requests {
            output::check_writable(path)?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        ctrlc::set_handler(move || {
            // The second Ctrl-C does not wait for a safe point; the store survives that too.
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        })?;
        if globals.threads > 0 {
            rayon::ThreadPoolBuilder::new().num_threads(globals.threads).build_global()?;
        }
        Ok(Self { globals, stop, bars: Mutex::default() })
    }

    /// Returns the catalog of models and the folder that holds them.
    pub(crate) fn catalog(&self) -> anyhow::Result<Catalog> {
        let folder = match &self.globals.models_dir {
            Some(folder) => folder.clone(),
            None => default_models_dir()?,
        };
        Ok(Catalog::load(&folder)?)
    }

    /// Opens the store of `--store`, which must exist. Says so if it may only be read.
    pub(crate) fn store(&self) -> anyhow::Result<Store> {
        let store = Store::open_existing(&self.globals.store)?;
        note_log_damage(&store);
        store.check_if_small()?;
        if store.is_read_only() {
            output::note(&format!(
                "store {} may only be read: what is computed is not kept",
                store.path().display()
            ));
        } else if store.needs_scrub()? {
            output::note(
                "a deletion was interrupted, and bytes of it may still be in the store's file; run \
                 `idiolect forget --scrub`",
            );
        }
        Ok(store)
    }

    /// Whether network connections are allowed.
    pub(crate) fn network(&self) -> Network {
        if self.globals.offline || offline_by_environment() {
            return Network::Forbidden;
        }
        Network::Allowed
    }

    pub(crate) fn device(&self) -> anyhow::Result<candle_core::Device> {
        Ok(device::choose(&self.globals.device)?)
    }

    /// Loads the language model of `--lm` and starts its engine, for commands that need it in this
    /// process.
    pub(crate) fn lm(&self) -> anyhow::Result<Lm> {
        self.lm_named(&self.globals.lm)
    }

    /// The files of the language model of `--lm`, for commands that need it in this process.
    pub(crate) fn lm_files(&self) -> anyhow::Result<LmFiles> {
        check_in_process(&self.globals.lm)?;
        Ok(self.catalog()?.lm_with(&self.globals.lm, self)?)
    }

    /// Loads a language model by name or path and starts its engine.
    pub(crate) fn lm_named(&self, name: &OsStr) -> anyhow::Result<Lm> {
        check_in_process(name)?;
        let catalog = self.catalog()?;
        let files = catalog.lm_with(name, self)?;
        let options = self.load_options()?;
        if options.device.is_cpu() {
            memory::check(&files)?;
        }
        let lm = Lm::load(&files, &options)?;
        // Stored answers are kept under the hash, which was taken before the weights were read.
        let is_same = catalog.lm_with(name, self)?.sha256 == files.sha256;
        let path = files.gguf.display();
        anyhow::ensure!(is_same, "{path} changed while it was read; run the command again");
        Ok(lm)
    }

    /// Warns on stderr if the model is small.
    pub(crate) fn note_small_model(&self, lm: &Lm) {
        if lm.is_small() && !self.globals.quiet {
            output::note(&format!(
                "`{}` has only {} million weights: its texts may have the person's tone but rarely \
                 make sense; the default, `{DEFAULT_LM}`, writes better",
                lm.name(),
                lm.n_weights() / 1_000_000
            ));
        }
    }

    /// Options for loading the language model, from the global options.
    pub(crate) fn load_options(&self) -> anyhow::Result<LoadOptions> {
        Ok(LoadOptions {
            device: self.device()?,
            threads: self.globals.threads,
            isa: self.isa()?,
            kv_precision: self.kv_precision(),
            record: self.globals.record_requests.clone(),
            kv_budget: self.globals.kv_budget.saturating_mul(1 << 20),
            share_prefixes: !self.globals.no_shared_prefixes,
            drafts: match self.globals.no_drafts {
                true => Drafts::Off,
                false => Drafts::default(),
            },
            ..LoadOptions::default()
        })
    }

    /// The instruction set of `--cpu-isa`.
    pub(crate) fn isa(&self) -> anyhow::Result<Isa> {
        Isa::parse(&self.globals.cpu_isa).context("--cpu-isa")
    }

    /// The precision of `--kv-precision`.
    pub(crate) fn kv_precision(&self) -> KvPrecision {
        match self.globals.kv_precision {
            KvPrecisionName::F16 => KvPrecision::F16,
            KvPrecisionName::Bf16 => KvPrecision::Bf16,
        }
    }

    /// The arithmetic of `--encoder-precision`.
    pub(crate) fn encoder_precision(&self) -> EncoderPrecision {
        match self.globals.encoder_precision {
            PrecisionName::F32 => EncoderPrecision::F32,
            PrecisionName::Int8 => EncoderPrecision::Int8,
        }
    }

    /// Loads the sentence encoder of `--encoder`.
    pub(crate) fn encoder(&self) -> anyhow::Result<Encoder> {
        self.encoder_on(self.device()?)
    }

    /// Loads the sentence encoder of `--encoder` onto a device.
    pub(crate) fn encoder_on(&self, device: candle_core::Device) -> anyhow::Result<Encoder> {
        self.encoder_named(&self.globals.encoder, device)
    }

    /// Loads a sentence encoder by name or path onto a device.
    pub(crate) fn encoder_named(
        &self,
        name: &OsStr,
        device: candle_core::Device,
    ) -> anyhow::Result<Encoder> {
        let files = self.catalog()?.encoder_with(name, self)?;
        let options = EncoderOptions {
            device,
            precision: self.encoder_precision(),
            threads: self.globals.threads,
            isa: self.isa()?,
        };
        Ok(Encoder::load_with(&files, &options)?)
    }
}

/// Error if the name of a language model is the address of a server.
fn check_in_process(name: &OsStr) -> anyhow::Result<()> {
    if is_address(name) {
        let why = if cfg!(feature = "remote") {
            "this command needs the language model in this process; `write`, `profile`, `evaluate`, \
             `batch` and `lm` take a server"
        } else {
            "this program was built without the feature `remote`, which connects to servers"
        };
        anyhow::bail!("--lm {}: {why}", name.to_string_lossy());
    }
    Ok(())
}

/// Whether the name of a language model is the address of a server.
pub(super) fn is_address(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("http://") || name.starts_with("https://")
}

/// Says so if rows that were committed last are missing.
pub(crate) fn note_log_damage(store: &Store) {
    let Some(LogDamage { at, lost_commits }) = store.log_damage() else { return };
    output::note(&format!(
        "the write-ahead log of store {} was damaged at byte {at}: what was committed last is missing, \
         {lost_commits} transactions at most; run the last commands again, or restore a copy",
        store.path().display()
    ));
}

impl Progress for Context {
    fn begin(&self, what: &str, total: Option<u64>) {
        if self.globals.quiet {
            return;
        }
        let bar = match total {
            Some(total) => indicatif::ProgressBar::new(total).with_style(
                indicatif::ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}")
                    .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()),
            ),
            None => {
                let spinner = indicatif::ProgressBar::new_spinner();
                spinner.enable_steady_tick(Duration::from_millis(100));
                spinner
            }
        };
        bar.set_message(output::on_one_line(what));
        if let Ok(mut bars) = self.bars.lock() {
            bars.push(bar);
        }
    }

    fn advance(&self, n: u64) {
        if let Ok(bars) = self.bars.lock()
            && let Some(bar) = bars.last()
        {
            bar.inc(n);
        }
    }

    fn end(&self) {
        if let Ok(mut bars) = self.bars.lock()
            && let Some(bar) = bars.pop()
        {
            bar.finish_and_clear();
        }
    }

    fn stop_requested(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}
