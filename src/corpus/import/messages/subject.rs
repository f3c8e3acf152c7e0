//! Subjects of mails.

/// Prefixes of answers, and of mails passed on, in lower case.
const PREFIXES: [&str; 22] = [
    "re", "aw", "antw", "antwort", "sv", "vs", "rv", "res", "rif", "odp", "ynt", "回复", "答复",
    "回覆", "fw", "fwd", "wg", "tr", "enc", "doorst", "vb", "转发",
];

/// A subject without `Re:`, `AW:`, `Fwd:` and the like, in any number, and without `[list]` before or
/// between them.
pub(super) fn without_prefixes(subject: &str) -> String {
    let mut rest = subject.trim();
    let mut list = "";
    loop {
        if let Some((inside, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'))
            && has_prefix(after.trim_start()).is_some()
        {
            list = inside;
            rest = after.trim_start();
        }
        match has_prefix(rest) {
            Some(after) => rest = after.trim_start(),
            None => break,
        }
    }
    let title = rest.split_whitespace().collect::<Vec<_>>().join(" ");
    match list.is_empty() || title.starts_with('[') {
        true => title,
        false => format!("[{list}] {title}"),
    }
}

/// Whether a subject begins as an answer to another.
pub(super) fn is_answer(subject: &str) -> bool {
    let subject = subject.trim();
    let after_list = subject.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    has_prefix(subject).is_some()
        || after_list.is_some_and(|(_, rest)| has_prefix(rest.trim()).is_some())
}

/// Rest of a subject after a prefix: `Re: x`, `RE[2]: x`, `AW : x`.
fn has_prefix(subject: &str) -> Option<&str> {
    let colon = subject.find([':', '：'])?;
    let name = subject[..colon].trim();
    let name = name.split(['[', '(', '^']).next().unwrap_or(name).trim().to_lowercase();
    let after = &subject[colon..];
    let length = after.chars().next().map_or(1, char::len_utf8);
    PREFIXES.contains(&name.as_str()).then(|| &after[length..])
}
