//! Tokens that are found by their text, before any splitting or merging.

use std::collections::HashMap;

/// A set of texts with their ids. The leftmost match is found first; at one position, the longest.
#[derive(Debug, Default, Clone)]
pub(super) struct Markers {
    /// Texts and ids by first byte; each list is sorted longest first.
    by_first: HashMap<u8, Vec<(Box<str>, u32)>>,
}

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stretch<'a> {
    Text(&'a str),
    Marker(u32),
}

impl Markers {
    pub(super) fn new<'a>(texts: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let mut by_first: HashMap<u8, Vec<(Box<str>, u32)>> = HashMap::new();
        for (text, id) in texts {
            if let Some(&first) = text.as_bytes().first() {
                by_first.entry(first).or_default().push((text.into(), id));
            }
        }
        for list in by_first.values_mut() {
            // If two tokens have the same text, the smaller id is used.
            list.sort_by(|(a, i), (b, j)| b.len().cmp(&a.len()).then(a.cmp(b)).then(i.cmp(j)));
            list.dedup_by(|(later, _), (earlier, _)| later == earlier);
        }
        Self { by_first }
    }

    pub(super) fn id(&self, text: &str) -> Option<u32> {
        let list = self.by_first.get(text.as_bytes().first()?)?;
        list.iter().find(|(marker, _)| **marker == *text).map(|&(_, id)| id)
    }

    /// The text that yields the id; `None` if no marker does.
    pub(super) fn text(&self, id: u32) -> Option<&str> {
        let found = self.by_first.values().flatten().find(|(_, other)| *other == id);
        found.map(|(text, _)| &**text)
    }

    /// Splits a text at its markers. Empty parts are omitted.
    pub(super) fn split<'a>(&self, text: &'a str) -> Vec<Stretch<'a>> {
        let mut stretches = Vec::new();
        let bytes = text.as_bytes();
        let (mut begin, mut at) = (0, 0);
        while at < bytes.len() {
            let found = self.by_first.get(&bytes[at]).and_then(|list| {
                list.iter().find(|(marker, _)| bytes[at..].starts_with(marker.as_bytes()))
            });
            let Some((marker, id)) = found else {
                at += 1;
                continue;
            };
            if begin < at {
                stretches.push(Stretch::Text(&text[begin..at]));
            }
            stretches.push(Stretch::Marker(*id));
            at += marker.len();
            begin = at;
        }
        if begin < bytes.len() {
            stretches.push(Stretch::Text(&text[begin..]));
        }
        stretches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leftmost_longest_marker_wins() {
        let markers = Markers::new([("<a>", 1), ("<a><b>", 2), ("  ", 3), ("é", 4), ("", 5)]);
        assert_eq!(
            markers.split("x<a><b><a>é <"),
            [
                Stretch::Text("x"),
                Stretch::Marker(2),
                Stretch::Marker(1),
                Stretch::Marker(4),
                Stretch::Text(" <")
            ]
        );
        assert_eq!(markers.split("   "), [Stretch::Marker(3), Stretch::Text(" ")]);
        assert_eq!(markers.split(""), []);
        assert_eq!(markers.id("<a>"), Some(1));
        assert_eq!(markers.id("<c>"), None);
    }
}
