//! Suggests stored names similar to a mistyped one.

/// Returns ` (near it: a, b)` with at most three similar `names`, the closest first, or an empty
/// string if none is similar.
pub(super) fn hint<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    let wanted = folded(wanted);
    let bound = (wanted.len() / 4).clamp(1, 4);
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let folded = folded(name);
            let begins = wanted.len() >= 4 && folded.starts_with(&wanted);
            let distance = if begins { 1 } else { distance(&wanted, &folded, bound)? };
            Some((distance, name))
        })
        .collect();
    near.sort_unstable();
    near.truncate(3);
    if near.is_empty() {
        return String::new();
    }
    let names: Vec<String> = near.iter().map(|(_, name)| format!("`{name}`")).collect();
    format!(" (near it: {})", names.join(", "))
}

fn folded(name: &str) -> Vec<char> {
    // Ids are short; a difference after 64 characters is no typing error.
    name.trim().chars().take(64).flat_map(char::to_lowercase).collect()
}

/// Levenshtein distance in characters, or `None` if it exceeds `bound`.
fn distance(a: &[char], b: &[char], bound: usize) -> Option<usize> {
    if a.len().abs_diff(b.len()) > bound {
        return None;
    }
    Some(strsim::generic_levenshtein(a, b)).filter(|distance| *distance <= bound)
}

#[cfg(test)]
mod tests {
    use super::hint;

    #[test]
    fn finds_slips_case_and_beginnings_and_nothing_else() {
        let names = ["A1IKOYZVFHO1XP", "A26NLSTT75FMJM", "a26nlstt75fmjn", "B"];
        let near = |wanted| hint(wanted, names.iter().copied());
        assert_eq!(near("A1IKOYZVFHO1XQ"), " (near it: `A1IKOYZVFHO1XP`)");
        assert_eq!(near("A26NLSTT75FMJM "), " (near it: `A26NLSTT75FMJM`, `a26nlstt75fmjn`)");
        assert_eq!(near("a1ik"), " (near it: `A1IKOYZVFHO1XP`)");
        assert_eq!(near("somebody"), "");
    }
}
