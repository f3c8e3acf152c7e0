//! The options of a language model on a server.

use std::path::PathBuf;

use idiolect::remote::RemoteOptions;

use super::values;

/// Options of a language model on a server, beside `--lm http://HOST:PORT/v1#MODEL`.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Language model on a server (--lm http://HOST:PORT/v1#MODEL)")]
pub(crate) struct RemoteArgs {
    /// GGUF file of the model that the server serves, for its vocabulary and chat template; the weights are
    /// not read. Several servers of the same model stand in --lm before the `#`, separated by commas
    #[arg(long, global = true, hide = true, env = "IDIOLECT_LM_TOKENIZER", value_name = "FILE")]
    pub(super) lm_tokenizer: Option<PathBuf>,
    /// Name of the weights on the server, under which results are stored: change it if others are served
    /// under the same name
    #[arg(
        long,
        global = true,
        hide = true,
        env = "IDIOLECT_LM_STAMP",
        value_name = "TEXT",
        default_value = ""
    )]
    pub(super) lm_stamp: String,
    /// Maximum number of requests to the servers at once
    #[arg(
        long,
        global = true,
        hide = true,
        env = "IDIOLECT_LM_PARALLEL",
        value_name = "N",
        default_value_t = RemoteOptions::PARALLEL,
        value_parser = values::rows(1)
    )]
    pub(super) lm_parallel: usize,
    /// File with the key of the servers, on its first line
    #[arg(long, global = true, hide = true, env = "IDIOLECT_LM_KEY_FILE", value_name = "FILE")]
    pub(super) lm_key_file: Option<PathBuf>,
}
