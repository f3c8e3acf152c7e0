//! Edits a text in the user's editor.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// An edited text and its file; the file is deleted on drop unless it is kept.
pub(super) struct EditedText {
    pub(super) text: String,
    file: tempfile::TempPath,
}

/// Writes `text` to a file that only this user can read, opens it in $VISUAL or $EDITOR, and waits
/// until the editor ends.
pub(super) fn edit(text: &str) -> anyhow::Result<EditedText> {
    let Some(editor) = editor() else {
        bail!(
            "no editor is set; set $VISUAL or $EDITOR, or edit the output of --markdown and read it \
             back with --apply FILE"
        );
    };
    let mut file = tempfile::Builder::new().prefix("idiolect-").suffix(".md").tempfile()?;
    file.write_all(text.as_bytes())?;
    let file = file.into_temp_path();
    let ended = command(&editor, &file).status();
    let ended = ended.with_context(|| format!("cannot start the editor `{editor}`"))?;
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {} after the editor ended", file.display()))?;
    let edited = EditedText { text, file };
    if !ended.success() {
        let path = edited.keep()?;
        bail!(
            "the editor `{editor}` ended with an error ({ended}), so nothing was changed; your text \
             is kept in {}",
            path.display()
        );
    }
    Ok(edited)
}

impl EditedText {
    /// Keeps the file and returns its path.
    pub(super) fn keep(self) -> anyhow::Result<PathBuf> {
        Ok(self.file.keep()?)
    }
}

fn editor() -> Option<String> {
    ["VISUAL", "EDITOR"].into_iter().find_map(|name| {
        let value = std::env::var(name).ok()?;
        (!value.trim().is_empty()).then_some(value)
    })
}

/// Command that opens `file`. The editor may be given with arguments (`code --wait`).
#[cfg(unix)]
fn command(editor: &str, file: &Path) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg(editor).arg(file);
    command
}

#[cfg(not(unix))]
fn command(editor: &str, file: &Path) -> Command {
    let mut words = editor.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).arg(file);
    command
}
