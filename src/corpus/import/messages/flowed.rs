//! Lines of `text/plain; format=flowed` (RFC 3676), joined to paragraphs.

/// Returns the text with its flowed lines joined: a line that ends with a space continues on the next line
/// of the same quote depth. `delete_space` is the parameter `delsp=yes`. The line `-- ` before a signature
/// stays as it is.
pub(super) fn joined(text: &str, delete_space: bool) -> String {
    let mut out = String::with_capacity(text.len());
    // Quote depth of the paragraph that may go on.
    let mut open: Option<usize> = None;
    for line in text.split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        let depth = line.len() - line.trim_start_matches('>').len();
        let content = &line[depth..];
        let content = content.strip_prefix(' ').unwrap_or(content);
        let is_signature = content == "-- ";
        if open != Some(depth) || is_signature {
            if open.is_some() {
                end_line(&mut out);
            }
            out.extend(std::iter::repeat_n('>', depth));
            if depth > 0 {
                out.push(' ');
            }
        }
        let flows = content.ends_with(' ') && !is_signature;
        let kept = if flows && delete_space { &content[..content.len() - 1] } else { content };
        out.push_str(kept);
        open = flows.then_some(depth);
        if !flows {
            out.push('\n');
        }
    }
    // `split` gives one line more than there are line ends.
    if open.is_none() {
        out.pop();
    }
    out
}

/// Ends a paragraph whose last line announced another one, which did not come.
fn end_line(out: &mut String) {
    out.truncate(out.trim_end_matches(' ').len());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paragraphs_of_the_standard() {
        let text = "`Take some more tea,' the March Hare said to Alice, \nvery earnestly.\n\n\
                    > `I've had nothing yet,' \n> Alice replied.\n>> deeper \n> again\n-- \nThe Hare\n";
        let wanted = "`Take some more tea,' the March Hare said to Alice, very earnestly.\n\n\
                      > `I've had nothing yet,' Alice replied.\n>> deeper\n> again\n-- \nThe Hare\n";
        assert_eq!(joined(text, false), wanted);
    }

    #[test]
    fn stuffed_spaces_and_deleted_ones() {
        assert_eq!(joined(" From here\r\n >no quote\r\n", false), "From here\n>no quote\n");
        assert_eq!(joined("これは \nペンです\n", true), "これはペンです\n");
    }

    proptest! {
        #[test]
        fn no_word_is_lost(text in "(>|a|b| |\n|-- |\r)*") {
            let letters = |text: &str| text.matches(['a', 'b']).count();
            prop_assert_eq!(letters(&joined(&text, false)), letters(&text));
            prop_assert_eq!(letters(&joined(&text, true)), letters(&text));
        }
    }
}
