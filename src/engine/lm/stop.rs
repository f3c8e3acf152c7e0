//! Detection of stop texts in a stream: text is held back while it may be the start of a stop text.

/// Detector of stop texts in a stream of text.
#[derive(Debug, Clone)]
pub struct StopStream {
    stops: Vec<String>,
    /// Received text that may still be the start of a stop text.
    held: String,
}

/// Text that may be shown after more text was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Released {
    /// This text contains no stop text; more may follow.
    Text(String),
    /// This text precedes a stop text; the stream has ended.
    Stopped(String),
}

impl StopStream {
    /// Creates a detector; empty stop texts are ignored.
    #[must_use]
    pub fn new(stops: &[String]) -> Self {
        let stops = stops.iter().filter(|stop| !stop.is_empty()).cloned().collect();
        Self { stops, held: String::new() }
    }

    /// Receives more text and returns the part that is certain. If there are several stop texts,
    /// the one that begins first counts.
    pub fn push(&mut self, text: &str) -> Released {
        self.held.push_str(text);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min() {
            let mut held = std::mem::take(&mut self.held);
            held.truncate(at);
            return Released::Stopped(held);
        }
        let certain = self.held.len() - self.longest_start();
        let rest = self.held.split_off(certain);
        Released::Text(std::mem::replace(&mut self.held, rest))
    }

    /// Ends the stream and returns the text held back.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Number of bytes at the end that are a prefix of a stop text.
    fn longest_start(&self) -> usize {
        let longest_stop = self.stops.iter().map(String::len).max().unwrap_or(0);
        let mut from = self.held.len().saturating_sub(longest_stop);
        while from < self.held.len() {
            if self.held.is_char_boundary(from) {
                let end = &self.held[from..];
                if self.stops.iter().any(|stop| stop.starts_with(end)) {
                    return end.len();
                }
            }
            from += 1;
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let stops: Vec<String> = stops.iter().map(|s| (*s).to_owned()).collect();
        let mut stream = StopStream::new(&stops);
        let mut out = String::new();
        for piece in pieces {
            match stream.push(piece) {
                Released::Text(text) => {
                    out.push_str(&text);
                    assert!(
                        !stops.iter().any(|stop| !stop.is_empty() && out.contains(stop.as_str()))
                    );
                }
                Released::Stopped(text) => return (out + &text, true),
            }
        }
        (out + &stream.finish(), false)
    }

    #[test]
    fn a_stop_across_pieces_is_cut_out() {
        assert_eq!(run(&["\nUser:"], &["Hi", ".\nUs", "er", ": you"]), ("Hi.".to_owned(), true));
    }

    #[test]
    fn what_only_began_like_a_stop_is_shown() {
        assert_eq!(run(&["###"], &["a#", "#", "b", "##"]), ("a##b##".to_owned(), false));
    }

    #[test]
    fn the_first_of_several_counts() {
        assert_eq!(run(&["late", "now"], &["go now, not late"]), ("go ".to_owned(), true));
        assert_eq!(run(&["", "é"], &["caf", "é"]), ("caf".to_owned(), true));
    }

    #[test]
    fn text_is_let_out_as_soon_as_it_is_certain() {
        let mut stream = StopStream::new(&["xyz".to_owned()]);
        assert_eq!(stream.push("abx"), Released::Text("ab".to_owned()));
        assert_eq!(stream.push("xy"), Released::Text("x".to_owned()));
        assert_eq!(stream.push("a"), Released::Text("xya".to_owned()));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(text in "[abé]{0,20}", stop in "[abé]{1,3}", cuts in prop::collection::vec(1usize..4, 0..20)) {
            let chars: Vec<char> = text.chars().collect();
            let (mut pieces, mut at) = (Vec::new(), 0);
            for cut in cuts.into_iter().chain([chars.len()]) {
                let end = (at + cut).min(chars.len());
                pieces.push(chars[at..end].iter().collect::<String>());
                at = end;
            }
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let want = match text.find(&stop) {
                Some(at) => (text[..at].to_owned(), true),
                None => (text.clone(), false),
            };
            prop_assert_eq!(run(&[&stop], &pieces), want);
        }
    }
}
