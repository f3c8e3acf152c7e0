//! A profile in Markdown, changed by a person. Before a line `%%%` stand statements, one a line: a digit for
//! dimension and status, then the words; after it the changed Markdown, in which `@N` stands for line N of
//! the Markdown as it was printed.

use std::sync::OnceLock;

use idiolect_core::corpus::ReviewId;
use idiolect_core::difference::statements::{
    Change, ProfileStatement, Revision, StatementProfile, StatementStatus, edits_of_markdown,
};
use idiolect_core::difference::{Evidence, Statement, StatementSource};
use idiolect_core::task::Task;

pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (statements, changed) = text.split_once("%%%\n").unwrap_or((&text, "@0"));
    let computed: Vec<ProfileStatement> =
        statements.lines().take(12).enumerate().map(|(at, line)| statement(at, line)).collect();
    let profile = of(computed.clone(), &[]);
    let written = profile.to_markdown(task());
    assert_eq!(edits_of_markdown(&profile, task(), &written), Ok(Vec::new()), "{written}");

    let changed = with_lines(changed, &written);
    let Ok(edits) = edits_of_markdown(&profile, task(), &changed) else { return };
    for edit in &edits {
        let json = serde_json::to_string(edit).unwrap();
        assert_eq!(
            &serde_json::from_str::<idiolect_core::difference::statements::Edit>(&json).unwrap(),
            edit
        );
    }
    // The profile with the edits prints as a text without further edits.
    let edited =
        of(computed, &[Revision { version: 1, time: 7, change: Change::Edits(edits.clone()) }]);
    let again = edited.to_markdown(task());
    assert_eq!(edits_of_markdown(&edited, task(), &again), Ok(Vec::new()), "{again}");
    for entry in &edited.statements {
        let is_edited = edits.iter().any(|edit| edit.key() == entry.statement.key);
        let text = &entry.statement.text;
        assert!(
            !is_edited
                || !text.contains(['\n', '\r'])
                || text == &profile.statement(&entry.statement.key).unwrap().statement.text,
            "{text:?}"
        );
    }
}

fn task() -> &'static Task {
    static TASK: OnceLock<Task> = OnceLock::new();
    TASK.get_or_init(|| Task::load(Task::DEFAULT).unwrap())
}

fn of(computed: Vec<ProfileStatement>, revisions: &[Revision]) -> StatementProfile {
    StatementProfile::new("ann\nb # <!--", computed, 31, revisions, task())
}

/// The text with each line `@N` or `@M-N` replaced by those lines of what was written.
fn with_lines(changed: &str, written: &str) -> String {
    let lines: Vec<&str> = written.lines().collect();
    let mut text = String::new();
    for line in changed.lines() {
        let range =
            line.strip_prefix('@').map(|range| range.split_once('-').unwrap_or((range, range)));
        let range = range
            .and_then(|(from, to)| Some((from.parse::<usize>().ok()?, to.parse::<usize>().ok()?)));
        match range {
            Some((from, to)) => {
                let n = to.saturating_add(1).saturating_sub(from);
                let chosen = lines.iter().skip(from).take(n);
                chosen.for_each(|line| text.extend([line, "\n"]));
            }
            None => text.extend([line, "\n"]),
        }
    }
    text
}

fn statement(at: usize, line: &str) -> ProfileStatement {
    let (kind, words) = match line.as_bytes().first() {
        Some(digit @ b'0'..=b'9') => (usize::from(digit - b'0'), &line[1..]),
        _ => (at, line),
    };
    // A statement has words.
    let is_blank = words.chars().all(|c| c.is_whitespace() || c.is_control());
    let words = if is_blank { "likes tea" } else { words };
    let dimensions = ["writing", "emotional", "semantic", "x-y # -->"];
    let statuses =
        [StatementStatus::Accepted, StatementStatus::Rejected, StatementStatus::Unverified];
    ProfileStatement {
        statement: Statement {
            // No two statements have one key.
            key: format!("{at}:{}", words.chars().take(6).collect::<String>()),
            dimension: dimensions[kind % dimensions.len()].to_owned(),
            text: words.to_owned(),
            source: StatementSource::Measured,
            effect: Some(1.25),
            figures: None,
            reviews: vec![ReviewId(3)],
            against: vec![ReviewId(4)],
            evidence: vec![Evidence { review: ReviewId(3), quote: words.to_owned(), other: None }],
        },
        gain: None,
        status: statuses[kind % statuses.len()],
    }
}
