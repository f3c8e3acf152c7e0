//! Connects to a language model on a server.

use std::ffi::OsStr;

use anyhow::{Context as _, bail};
use idiolect::model::fetch::Network;
use idiolect::remote::{RemoteAddress, RemoteLm, RemoteOptions};

use super::context::Context;
use super::output;

/// Connects to the servers of an address.
pub(super) fn connect(address: &OsStr, context: &Context) -> anyhow::Result<RemoteLm> {
    let args = &context.globals.remote;
    let shown = address.to_string_lossy();
    if context.network() == Network::Forbidden {
        bail!("--lm {shown}: --offline (or IDIOLECT_OFFLINE) forbids connections");
    }
    let address = RemoteAddress::parse(&shown).context("--lm")?;
    let Some(tokenizer) = &args.lm_tokenizer else {
        bail!(
            "--lm {shown}: give --lm-tokenizer FILE, the GGUF file of the same model, so that prompts are \
             tokenized here"
        );
    };
    let key = match &args.lm_key_file {
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("read the key from {}", path.display()))?;
            text.lines().next().map(|line| line.trim().to_owned())
        }
        None => None,
    };
    let options = RemoteOptions {
        stamp: args.lm_stamp.clone(),
        key,
        parallel: args.lm_parallel,
        ..RemoteOptions::new(tokenizer)
    };
    Ok(RemoteLm::connect(&address, &options)?)
}

/// Says which part of users' choice of words the servers did not take.
pub(super) fn note_lost_shift(lm: &RemoteLm, quiet: bool) {
    let lost = lm.lost_shift();
    if lost.greatest_share > 0.0 && !quiet {
        output::note(&format!(
            "the servers took the largest entries of the users' choice of words; up to {:.1} % of the shift \
             was left out ({} texts)",
            100.0 * lost.greatest_share,
            lost.n_texts
        ));
    }
}
