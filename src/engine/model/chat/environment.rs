//! Jinja environment for chat templates, with the settings, functions and filters of the Python
//! library `transformers`.

use fancy_regex::Regex;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, ErrorKind, Value};
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

use crate::model::template;

/// Compiles a template under `name`.
pub(super) fn build(name: &'static str, source: &str) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    template::bound_steps(&mut environment);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_function("raise_exception", |message: String| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, message))
    });
    environment.add_function("strftime_now", strftime);
    environment.add_filter("tojson", tojson);
    let source = without_generation_tags(source)?;
    template::check(&source)?;
    environment.add_template_owned(name, source)?;
    Ok(environment)
}

/// Returns an error's message: that of `raise_exception`, or what failed and on which line.
pub(super) fn describe(error: &Error) -> String {
    let what = match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.kind().to_string(),
    };
    match error.line() {
        Some(line) => format!("{what} (line {line} of the template)"),
        None => what,
    }
}

/// Replaces `{% generation %}` blocks, which mark the model's text for training, by blocks that
/// render the same.
fn without_generation_tags(source: &str) -> Result<String, Error> {
    let mut source = source.to_owned();
    for (tag, instead) in [("generation", "if true"), ("endgeneration", "endif")] {
        let pattern = Regex::new(&format!(r"\{{%([-+]?)\s*{tag}\s*([-+]?)%\}}"))
            .map_err(|error| Error::new(ErrorKind::SyntaxError, error.to_string()))?;
        source = pattern.replace_all(&source, format!("{{%$1 {instead} $2%}}")).into_owned();
    }
    Ok(source)
}

/// Formats a fixed time, 26 July 2024, 12:00. Prompts must not depend on the day, and this is the
/// default date of Llama 3's template.
fn strftime(format: &str) -> String {
    let mut text = String::new();
    let mut characters = format.chars();
    while let Some(character) = characters.next() {
        if character != '%' {
            text.push(character);
            continue;
        }
        text.push_str(match characters.next() {
            Some('Y') => "2024",
            Some('y') => "24",
            Some('m') => "07",
            Some('d') => "26",
            Some('B') => "July",
            Some('b' | 'h') => "Jul",
            Some('A') => "Friday",
            Some('a') => "Fri",
            Some('j') => "208",
            Some('H' | 'I') => "12",
            Some('M' | 'S') => "00",
            Some('p') => "PM",
            Some('F') => "2024-07-26",
            Some('T') => "12:00:00",
            Some('-') => match characters.next() {
                Some('d') => "26",
                Some('m') => "7",
                Some('H' | 'I') => "12",
                _ => "0",
            },
            Some('%') | None => "%",
            Some(_) => "",
        });
    }
    text
}

/// Writes JSON like Python's `json.dumps(value, ensure_ascii=False)`; nothing is escaped for HTML.
fn tojson(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    for name in ["ensure_ascii", "separators", "sort_keys"] {
        let _: Option<Value> = options.get(name)?;
    }
    options.assert_all_used()?;
    match indent {
        Some(width) => {
            serialize(value, PrettyFormatter::with_indent(" ".repeat(width.min(16)).as_bytes()))
        }
        None => serialize(value, Spaced),
    }
}

fn serialize(value: &Value, formatter: impl Formatter) -> Result<String, Error> {
    let failed = |what: String| {
        Error::new(ErrorKind::InvalidOperation, format!("cannot write a value as JSON: {what}"))
    };
    let mut bytes = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, formatter))
        .map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| failed(error.to_string()))
}

/// Formatter for one line, with a space after each comma and colon.
struct Spaced;

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> std::io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_value<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
    ) -> std::io::Result<()> {
        writer.write_all(b": ")
    }
}
