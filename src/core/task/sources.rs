//! Files of a task: a single file, or a folder with `task.toml` and a file for each stage.
//!
//! The files of a folder are read as one TOML document: `task.toml`, followed by the file
//! `STAGE.toml` of each stage as the table `[stages.STAGE]`. A single file has the same form.

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use serde::de::DeserializeOwned;

use super::render::TemplateError;
use super::{Error, Result};

/// Files of the built-in tasks by task: stem (`task`, or the name of a stage) and text.
const BUILT_IN: &[(&str, &[(&str, &str)])] = include!(concat!(env!("OUT_DIR"), "/tasks.rs"));

/// Maximum size of a file of a task, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Stem of the main file of a folder.
const TASK: &str = "task";

/// Names of the built-in tasks, the default first.
pub(super) fn built_in() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// The files of one task.
pub(super) struct TaskFiles {
    /// The task's own file first.
    files: Vec<TextFile>,
    /// Folder from which the path of an inherited task starts.
    folder: PathBuf,
}

struct TextFile {
    path: PathBuf,
    /// The stage that the file is the prompt of.
    stage: Option<String>,
    text: String,
}

impl TaskFiles {
    /// A task in a single file.
    pub(super) fn of_text(path: &Path, text: &str) -> Self {
        let file = TextFile { path: path.to_owned(), stage: None, text: text.to_owned() };
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        Self { files: vec![file], folder }
    }

    /// Opens a built-in task by name, or a file or folder whose path starts from `folder`.
    pub(super) fn open(name_or_path: &Path, folder: &Path) -> io::Result<Self> {
        let is_named = |name: &str| name_or_path.as_os_str() == name;
        if let Some((name, files)) = BUILT_IN.iter().find(|(name, _)| is_named(name)) {
            let files = files.iter().map(|(stem, text)| {
                let path = Path::new(name).join(stem).with_extension("toml");
                TextFile { path, stage: stage_of(stem), text: (*text).to_owned() }
            });
            return Ok(Self::of_folder(files.collect(), PathBuf::new()));
        }
        let path = folder.join(name_or_path);
        if !path.is_dir() {
            return Ok(Self::of_text(&path, &read(&path)?));
        }
        let main = path.join(TASK).with_extension("toml");
        let mut paths = vec![main.clone()];
        for entry in std::fs::read_dir(&path)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "toml") && path != main {
                paths.push(path);
            }
        }
        let read = paths.into_iter().map(|path| {
            let stem = path.file_stem().unwrap_or_default().to_string_lossy();
            let (stage, text) = (stage_of(&stem), read(&path)?);
            Ok(TextFile { path, stage, text })
        });
        Ok(Self::of_folder(read.collect::<io::Result<_>>()?, path))
    }

    fn of_folder(mut files: Vec<TextFile>, folder: PathBuf) -> Self {
        files.sort_by(|a, b| a.stage.cmp(&b.stage));
        Self { files, folder }
    }

    /// Folder from which the path of an inherited task starts.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the text of the task as a single file.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn as_one_file(&self) -> String {
        let mut sources = Sources::default();
        sources.append(self);
        sources.text
    }
}

/// Reads a file. A task names the one that it inherits from, which may be a device without an end.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        let what = format!("it is longer than the {} KiB of a task", MAX_FILE_BYTES >> 10);
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(text)
}

fn stage_of(stem: &str) -> Option<String> {
    (stem != TASK).then(|| stem.to_owned())
}

/// The text of a task and of the tasks that it inherits from, one after the other. Byte ranges
/// refer to the whole text.
#[derive(Default)]
pub(super) struct Sources {
    text: String,
    files: Vec<SourceFile>,
}

struct SourceFile {
    path: PathBuf,
    /// Start in the text.
    start: usize,
    /// Number of lines of the text that the file itself does not have.
    added_lines: usize,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.files.iter().map(|file| &file.path)).finish()
    }
}

impl Sources {
    /// The whole text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Appends a task and parses it; the byte ranges in the result refer to the whole text.
    pub(super) fn add<T: DeserializeOwned>(&mut self, task: &TaskFiles) -> Result<T> {
        let start = self.append(task);
        // Empty lines in the place of what precedes the task shift its byte ranges.
        let document = format!("{}{}", "\n".repeat(start), &self.text[start..]);
        toml::from_str(&document).map_err(|error| {
            self.wrong(error.span().unwrap_or(start..start), "format", error.message().trim())
        })
    }

    /// Appends a task and returns the start of its text.
    fn append(&mut self, task: &TaskFiles) -> usize {
        self.end_line();
        let start = self.text.len();
        for TextFile { path, stage, text } in &task.files {
            self.end_line();
            let header = stage.as_ref().map(|stage| format!("[stages.{}]\n", key(stage)));
            self.files.push(SourceFile {
                path: path.clone(),
                start: self.text.len(),
                added_lines: usize::from(header.is_some()),
            });
            self.text.extend(header);
            self.text.push_str(text);
        }
        start
    }

    fn end_line(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// Error about the value of `field` in this byte range.
    pub(super) fn wrong(&self, span: Range<usize>, field: &str, message: &str) -> Error {
        self.wrong_behind(&span, 0, field, message)
    }

    /// Error about the template in this byte range.
    pub(super) fn wrong_in_template(
        &self,
        span: &Range<usize>,
        field: &str,
        error: &TemplateError,
    ) -> Error {
        // The first line of a multi-line string is the line after its opening quotes.
        let opens_with_newline = self
            .text
            .get(span.clone())
            .is_some_and(|s| s.trim_start_matches(['"', '\'']).starts_with(['\n', '\r']));
        let lines = usize::from(opens_with_newline) + error.line.saturating_sub(1);
        self.wrong_behind(span, lines, field, &error.message)
    }

    /// Error `lines` lines after the start of a byte range.
    fn wrong_behind(&self, span: &Range<usize>, lines: usize, field: &str, message: &str) -> Error {
        let (field, message) = (field.to_owned(), message.to_owned());
        let file = self.files.iter().rev().find(|file| file.start <= span.start);
        let Some(SourceFile { path, start, added_lines }) = file else {
            return Error::Wrong { file: PathBuf::new(), line: 1, field, message };
        };
        let before = self.text.as_bytes()[*start..].iter().take(span.start - start);
        let line = before.filter(|byte| **byte == b'\n').count() + 1 + lines;
        let line = line.saturating_sub(*added_lines).max(1);
        Error::Wrong { file: path.clone(), line, field, message }
    }
}

/// A name as a key of TOML.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => toml::Value::from(name).to_string(),
    }
}
