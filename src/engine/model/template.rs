//! Bounds of Jinja templates, which come with files of models and of tasks: number of steps, size of the text,
//! and length of chains that the parser takes by calling itself.
//!
//! The size of the values that a template makes has no bound: one that doubles a text again and again can use up
//! the memory.

use std::io;

use minijinja::{Environment, Error, ErrorKind, Template, Value};

/// Maximum number of instructions of one rendering. Templates in use take some hundred for a message; loops
/// in loops of a hostile one would never end.
const MAX_INSTRUCTIONS: u64 = 2_000_000;
/// Maximum size of a rendered text, in bytes.
const MAX_TEXT_BYTES: usize = 16 << 20;
/// Maximum number of words and signs within one tag; templates in use have up to 40. The parser calls itself for
/// each part of `a + b + c`, so that a long chain overflows the stack.
const MAX_TAG_TOKENS: usize = 1000;
/// Maximum number of `elif`, for each of which the parser calls itself as well.
const MAX_ELIFS: usize = 200;

/// Checks the source of a template before it is compiled.
///
/// # Errors
/// A tag is too long, or there are too many `elif`.
pub fn check(source: &str) -> Result<(), Error> {
    let too_many = |what: String| Err(Error::new(ErrorKind::SyntaxError, what));
    let mut n_elifs = 0;
    let mut rest = source;
    while let Some(start) = rest.find("{{").into_iter().chain(rest.find("{%")).min() {
        let tag = TemplateTag::of(&rest[start + 2..]);
        if tag.n_tokens > MAX_TAG_TOKENS {
            return too_many(format!("a tag has more than {MAX_TAG_TOKENS} words and signs"));
        }
        n_elifs += usize::from(tag.is_elif);
        rest = &rest[start + 2 + tag.length..];
    }
    match n_elifs > MAX_ELIFS {
        true => too_many(format!("it has more than {MAX_ELIFS} `elif`")),
        false => Ok(()),
    }
}

/// Bounds the number of steps of the templates of an environment.
pub fn bound_steps(environment: &mut Environment<'_>) {
    environment.set_fuel(Some(MAX_INSTRUCTIONS));
}

/// Renders a template.
///
/// # Errors
/// Fails as the template does, if it takes too many steps, or if its text is too long.
pub fn render(template: &Template<'_, '_>, context: Value) -> Result<String, Error> {
    let mut text = BoundedText::default();
    match template.render_captured_to(context, &mut text) {
        Ok(_) => {}
        Err(_) if text.is_full => {
            let what = format!("its text is longer than {} MiB", MAX_TEXT_BYTES >> 20);
            return Err(Error::new(ErrorKind::InvalidOperation, what));
        }
        Err(error) if error.kind() == ErrorKind::OutOfFuel => {
            let what = format!("it takes more than {MAX_INSTRUCTIONS} steps");
            return Err(Error::new(ErrorKind::OutOfFuel, what));
        }
        Err(error) => return Err(error),
    }
    String::from_utf8(text.bytes)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, error.to_string()))
}

/// A tag, without its opening braces.
struct TemplateTag {
    /// Length with its closing braces, in bytes.
    length: usize,
    /// Number of words, texts and signs.
    n_tokens: usize,
    is_elif: bool,
}

impl TemplateTag {
    /// Reads the tag at the start of `text`; one that is not closed goes to the end.
    fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let is_elif = text.trim_start_matches(['-', '+']).trim_start().starts_with("elif");
        let (mut at, mut n_tokens) = (0, 0);
        while let Some(&byte) = bytes.get(at) {
            let is_word =
                |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii();
            let length = match byte {
                b'}' | b'%' if bytes.get(at + 1) == Some(&b'}') => {
                    return Self { length: at + 2, n_tokens, is_elif };
                }
                b'"' | b'\'' => text_length(&bytes[at..]),
                _ if is_word(&byte) => bytes[at..].iter().take_while(|byte| is_word(byte)).count(),
                _ => 1,
            };
            n_tokens += usize::from(!byte.is_ascii_whitespace());
            at += length;
        }
        Self { length: bytes.len(), n_tokens, is_elif }
    }
}

/// Length of the text in quotes at the start of `bytes`, with its quotes.
fn text_length(bytes: &[u8]) -> usize {
    let mut is_escaped = false;
    let end = bytes[1..].iter().position(|byte| {
        let ends = *byte == bytes[0] && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(bytes.len(), |end| end + 2)
}

/// A text that takes no more than [`MAX_TEXT_BYTES`].
#[derive(Default)]
struct BoundedText {
    bytes: Vec<u8>,
    /// Whether more was written than it takes.
    is_full: bool,
}

impl io::Write for BoundedText {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > MAX_TEXT_BYTES {
            self.is_full = true;
            return Err(io::Error::other("the text is too long"));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use minijinja::context;

    use super::*;

    fn rendered(source: &str) -> Result<String, String> {
        check(source).map_err(|error| error.to_string())?;
        let mut environment = Environment::new();
        bound_steps(&mut environment);
        let template = environment.template_from_str(source).map_err(|error| error.to_string())?;
        render(&template, context! { a => 1 }).map_err(|error| error.to_string())
    }

    #[test]
    fn chains_that_would_overflow_the_stack_are_refused() {
        let many = |open: &str, part: &str, close: &str| {
            rendered(&format!("x{open}{}{close}", part.repeat(30_000)))
        };
        for (open, part, close) in [
            ("{% if ", "not ", "a %}{% endif %}"),
            ("{{ ", "-", "a }}"),
            ("{{ a", "+a", " }}"),
            ("{{ a", " ~'}}'", " }}"),
            ("{%- if a", " and a", " %}{% endif %}"),
            ("{{ 2", "**2", ""),
        ] {
            assert!(many(open, part, close).unwrap_err().contains("1000 words"), "{part}");
        }
        assert!(many("{% if a %}", "{%- elif a %}", "{% endif %}").unwrap_err().contains("`elif`"));
    }

    #[test]
    fn long_texts_and_many_tags_are_no_chains() {
        let text = format!("{{{{ '{}' }}}}{}", "a \\' + ".repeat(9000), "-".repeat(9000));
        assert_eq!(rendered(&text).unwrap().len(), 6 * 9000 + 9000);
        assert_eq!(rendered(&"{{ a }}".repeat(9000)).unwrap(), "1".repeat(9000));
        assert!(rendered("{{ a").is_err());
    }

    #[test]
    fn texts_and_steps_have_bounds() {
        let long = "{% for i in range(999) %}{{ 'x' * 100000 }}{% endfor %}";
        assert!(rendered(long).unwrap_err().contains("16 MiB"));
        let nested = "{% for i in range(9999) %}{% for i in range(9999) %}{% endfor %}{% endfor %}";
        assert!(rendered(nested).unwrap_err().contains("2000000 steps"));
    }
}
