//! Suggests stored names similar to a mistyped one.

/// Returns ` (near it: a, b)` with at most three similar `names`, the closest first, or an empty
/// string if none is similar.
pub(super) fn hint<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> String {
    let wanted = folded(wanted);
    let n_wanted = wanted.chars().count();
    let bound = (n_wanted / 4).clamp(1, 4);
    let mut near: Vec<(usize, &str)> = names
        .filter_map(|name| {
            let folded = folded(name);
            if n_wanted >= 4 && folded.starts_with(&wanted) {
                return Some((1, name));
            }
            if folded.chars().count().abs_diff(n_wanted) > bound {
                return None;
            }
            let distance = strsim::levenshtein(&wanted, &folded);
            (distance <= bound).then_some((distance, name))
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

fn folded(name: &str) -> String {
    // Ids are short; a difference after 64 characters is no typing error.
    name.trim().chars().take(64).flat_map(char::to_lowercase).collect()
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
