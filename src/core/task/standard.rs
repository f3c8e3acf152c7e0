//! The standard: the dimensions of differences.

use serde::{Deserialize, Serialize};

/// One dimension of a standard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dimension {
    /// Short identifier, e.g. `writing`.
    pub key: String,
    /// Name as prompts show it, e.g. `Writing style`.
    pub name: String,
    /// Aspects to compare, e.g. `word choice, sentence structure`.
    pub look_at: String,
}

/// Statement of a difference along one dimension.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DimensionText {
    /// Key of the dimension.
    pub dimension: String,
    /// The statement.
    pub text: String,
}

/// Splits the text of an extracted difference at the names of the dimensions.
///
/// A name counts if it begins a line, after any marks (`#`, `*`, `1.`, `-`). Returns `None` unless
/// every dimension occurs exactly once with a non-empty text; a difference in another form is shown
/// unsplit.
#[must_use]
pub fn split_by_dimension(text: &str, standard: &[Dimension]) -> Option<Vec<DimensionText>> {
    let mut told: Vec<DimensionText> = Vec::new();
    for line in text.lines() {
        let heading = standard.iter().find_map(|d| Some((d, after_name(line, &d.name)?)));
        if let Some((dimension, rest)) = heading {
            if told.iter().any(|t| t.dimension == dimension.key) {
                return None;
            }
            told.push(DimensionText { dimension: dimension.key.clone(), text: rest.to_owned() });
        } else if let Some(last) = told.last_mut() {
            last.text.push('\n');
            last.text.push_str(line);
        }
    }
    for t in &mut told {
        t.text = t.text.trim().to_owned();
    }
    let complete = told.len() == standard.len() && told.iter().all(|t| !t.text.is_empty());
    (complete && !told.is_empty()).then_some(told)
}

/// Returns the rest of a line that begins with `name`; `None` if it does not or is no heading.
fn after_name<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let marks = |c: char| c.is_whitespace() || "#*_-–•>.()[]".contains(c) || c.is_ascii_digit();
    let line = line.trim_start_matches(marks);
    let head = line.get(..name.len())?;
    if !head.eq_ignore_ascii_case(name) {
        return None;
    }
    let rest = line[name.len()..].trim_start_matches(['*', '_', ']', ')', ' ']);
    let rest = match rest.strip_prefix([':', '-', '–']) {
        Some(rest) => rest,
        None if rest.trim().is_empty() => rest,
        // "Writing style is plain" is a sentence, "Writing style (word choice): plain" a heading.
        None if rest.starts_with('(') => rest.split_once(':')?.1,
        None => return None,
    };
    Some(rest.trim_matches(|c: char| c.is_whitespace() || c == '*'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn standard() -> Vec<Dimension> {
        [("writing", "Writing style"), ("emotional", "Emotional style")]
            .map(|(key, name)| Dimension {
                key: key.into(),
                name: name.into(),
                look_at: String::new(),
            })
            .to_vec()
    }

    #[test]
    fn splits_at_headings_of_any_make() {
        for text in [
            "Writing style: short.\nVery short.\nEmotional style: cold.",
            "1. **Writing Style**: short.\nVery short.\n\n2. **Emotional style:** cold.",
            "Intro.\n### Writing style\nshort.\nVery short.\n### Emotional style\ncold.",
            "- Writing style (word choice): short.\nVery short.\n- Emotional style - cold.",
        ] {
            let told = split_by_dimension(text, &standard()).unwrap();
            assert_eq!(told.len(), 2, "{text}");
            assert_eq!(told[0].text, "short.\nVery short.", "{text}");
            assert_eq!(told[1].text, "cold.", "{text}");
            assert_eq!(told[1].dimension, "emotional");
        }
    }

    #[test]
    fn leaves_other_texts_whole() {
        for text in [
            "",
            "Writing style: short.",
            "Writing style is short.\nEmotional style is cold.",
            "Writing style:\nEmotional style: cold.",
            "Writing style: a\nWriting style: b\nEmotional style: c",
            "ÄÄÄÄÄÄÄÄÄÄ",
        ] {
            assert_eq!(split_by_dimension(text, &standard()), None, "{text}");
        }
    }
}
