//! Task files: one, or those of a folder behind lines `=== NAME`.

use std::path::Path;

use idiolect_core::task::testing::{ByWords, STAGES, draft};
use idiolect_core::task::{Order, Task, fit};

use super::{framed, scratch};

pub fn check(input: &[u8]) {
    let task = match framed::files(input) {
        Some(files) => {
            let folder = scratch();
            framed::write(folder.path(), &files);
            Task::load(folder.path())
        }
        None => {
            let text = String::from_utf8_lossy(input);
            Task::parse(Path::new("fuzz.toml"), &text)
        }
    };
    let Ok(task) = task else { return };
    if task.check(&STAGES).is_err() {
        return;
    }
    // What was checked renders, and fits a window or says that it does not.
    for stage in STAGES {
        if task.stage(stage).is_err() {
            continue;
        }
        let draft = draft(stage, Order::UserFirst);
        if let Ok(rendered) = task.render(stage, &draft) {
            assert_eq!(task.render(stage, &draft).as_ref().ok(), Some(&rendered));
        }
        let _ = fit(&task, stage, &draft, &ByWords(40), 8);
    }
}
