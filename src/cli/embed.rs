//! `idiolect embed`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use idiolect::encoder::{Embedding, Encoder};
use idiolect::progress::Progress as _;

use super::context::Context;
use super::output;

#[derive(Debug, clap::Args)]
#[command(
    long_about = "Embed lines of text with the sentence encoder alone\n\n\
        Each line of the file, also a blank one, gives one vector. The file may have any size. With \
        --json each line of output is a JSON array of numbers; without it, only the first numbers \
        are shown.",
    after_help = EXAMPLES
)]
pub(crate) struct Args {
    /// File with one text per line; `-` is standard input
    #[arg(long, value_name = "LINES")]
    file: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  idiolect embed --file lines.txt --json > vectors.jsonl
  echo 'It hums.' | idiolect embed --file -";

/// Number of lines per batch.
const BATCH: usize = 256;

/// Number of vector components that the summary shows.
const SHOWN: usize = 4;

pub(crate) fn run(args: Args, context: &Context) -> anyhow::Result<()> {
    let input = open(&args.file)?;
    let encoder = context.encoder()?;
    context.begin("embedding lines", None);
    let mut batch = Vec::with_capacity(BATCH);
    let mut n_done = 0;
    for line in input.split(b'\n') {
        let line = line.with_context(|| format!("read {}", args.file.display()))?;
        batch.push(text(line, n_done + batch.len() + 1));
        if batch.len() == BATCH {
            n_done += embed(&batch, n_done, &encoder, context)?;
            batch.clear();
        }
    }
    embed(&batch, n_done, &encoder, context)?;
    context.end();
    Ok(())
}

fn open(path: &Path) -> anyhow::Result<Box<dyn BufRead>> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    Ok(Box::new(BufReader::new(file)))
}

fn text(mut line: Vec<u8>, number: usize) -> String {
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).unwrap_or_else(|error| {
        output::note(&format!("line {number} is not UTF-8; invalid bytes are read as U+FFFD"));
        String::from_utf8_lossy(error.as_bytes()).into_owned()
    })
}

/// Embeds one batch and writes its vectors; returns the number of texts.
fn embed(
    texts: &[String],
    n_before: usize,
    encoder: &Encoder,
    context: &Context,
) -> anyhow::Result<usize> {
    if context.stop_requested() {
        anyhow::bail!("stopped after {n_before} lines");
    }
    let mut out = String::new();
    for (i, embedding) in encoder.encode(texts)?.iter().enumerate() {
        let number = n_before + i + 1;
        if embedding.truncated {
            output::note(&format!(
                "line {number} has {} tokens; only the first {} are embedded",
                embedding.n_tokens,
                encoder.max_tokens()
            ));
        }
        if context.globals.json {
            out.push_str(&serde_json::to_string(&embedding.vector)?);
            out.push('\n');
        } else {
            summarise(&mut out, number, embedding)?;
        }
    }
    output::raw(out.as_bytes())?;
    context.advance(texts.len() as u64);
    Ok(texts.len())
}

fn summarise(out: &mut String, number: usize, embedding: &Embedding) -> anyhow::Result<()> {
    let cut = if embedding.truncated { ", cut" } else { "" };
    write!(
        out,
        "{number}: {} tokens{cut}; {} numbers:",
        embedding.n_tokens,
        embedding.vector.len()
    )?;
    for number in embedding.vector.iter().take(SHOWN) {
        write!(out, " {number:.4}")?;
    }
    out.push_str(if embedding.vector.len() > SHOWN { " ...\n" } else { "\n" });
    Ok(())
}
