//! Parser of Python literals, as `repr` prints them and `ast.literal_eval` reads them.

use std::fmt;

use serde_json::{Map, Number, Value};

/// Maximum nesting depth; deeper input could exhaust the stack.
const DEEPEST: usize = 64;

/// A Python literal.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(String),
    /// `b'...'`.
    Bytes(Vec<u8>),
    List(Vec<Literal>),
    Tuple(Vec<Literal>),
    Set(Vec<Literal>),
    Dict(Vec<(Literal, Literal)>),
}

/// Reason why a text is not a literal, and the byte position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ParseError {
    at: usize,
    reason: &'static str,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a Python literal: {} at byte {}", self.reason, self.at)
    }
}

/// Parses one literal, surrounded by nothing but white space.
#[cfg(test)]
pub(super) fn parse(text: &str) -> Result<Literal, ParseError> {
    Parser { text, at: 0, missing_numbers: false }.whole()
}

/// Parses one literal, surrounded by nothing but white space; also `nan` and `inf`, which `repr` prints for floats and `ast.literal_eval` refuses.
pub(super) fn parse_row(text: &str) -> Result<Literal, ParseError> {
    Parser { text, at: 0, missing_numbers: true }.whole()
}

impl Literal {
    /// Converts to the nearest JSON: sequences and sets become lists, keys become texts, bytes are
    /// decoded as UTF-8 (with replacement characters), and numbers without a JSON form become null.
    pub(super) fn into_json(self) -> Value {
        match self {
            Literal::None => Value::Null,
            Literal::Bool(truth) => Value::Bool(truth),
            Literal::Int(int) => match (i64::try_from(int), u64::try_from(int)) {
                (Ok(int), _) => Value::from(int),
                (_, Ok(int)) => Value::from(int),
                _ => Number::from_f64(int as f64).map_or(Value::Null, Value::Number),
            },
            Literal::Float(float) => Number::from_f64(float).map_or(Value::Null, Value::Number),
            Literal::Str(text) => Value::String(text),
            Literal::Bytes(bytes) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
            Literal::List(items) | Literal::Tuple(items) | Literal::Set(items) => {
                items.into_iter().map(Literal::into_json).collect()
            }
            Literal::Dict(pairs) => {
                let pairs =
                    pairs.into_iter().map(|(key, value)| (key.into_key(), value.into_json()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    fn into_key(self) -> String {
        match self.into_json() {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Whether `nan` and `inf` are numbers.
    missing_numbers: bool,
}

impl Parser<'_> {
    fn whole(mut self) -> Result<Literal, ParseError> {
        let literal = self.literal(0)?;
        self.skip_space();
        match self.at < self.text.len() {
            true => Err(self.error("text after the end of it")),
            false => Ok(literal),
        }
    }

    fn literal(&mut self, depth: usize) -> Result<Literal, ParseError> {
        if depth > DEEPEST {
            return Err(self.error("nested too deeply"));
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.braces(depth),
            Some(b'[') => Ok(Literal::List(self.items(b']', depth)?.0)),
            Some(b'(') => {
                let (mut items, comma) = self.items(b')', depth)?;
                // `(x)` is x, `(x,)` a tuple.
                Ok(if items.len() == 1 && !comma { items.remove(0) } else { Literal::Tuple(items) })
            }
            Some(b'\'' | b'"') => self.strings(),
            Some(b'0'..=b'9' | b'.' | b'-' | b'+') => self.number(),
            Some(byte) if byte.is_ascii_alphabetic() => self.word(),
            Some(_) => Err(self.error("an unexpected character")),
            None => Err(self.error("an unexpected end")),
        }
    }

    /// Returns the items up to `close`, and whether a comma preceded it.
    fn items(&mut self, close: u8, depth: usize) -> Result<(Vec<Literal>, bool), ParseError> {
        self.at += 1;
        let (mut items, mut comma) = (Vec::new(), false);
        loop {
            if self.takes(close) {
                return Ok((items, comma));
            }
            if !items.is_empty() && !comma {
                return Err(self.error("a comma or a closing bracket is missing"));
            }
            items.push(self.literal(depth + 1)?);
            comma = self.takes(b',');
        }
    }

    /// Parses a dict or a set.
    fn braces(&mut self, depth: usize) -> Result<Literal, ParseError> {
        self.at += 1;
        if self.takes(b'}') {
            return Ok(Literal::Dict(Vec::new()));
        }
        let first = self.literal(depth + 1)?;
        if !self.takes(b':') {
            let mut items = vec![first];
            while !self.takes(b'}') {
                if !self.takes(b',') {
                    return Err(self.error("a colon, a comma or a closing brace is missing"));
                }
                if self.takes(b'}') {
                    break;
                }
                items.push(self.literal(depth + 1)?);
            }
            return Ok(Literal::Set(items));
        }
        let mut pairs = vec![(first, self.literal(depth + 1)?)];
        loop {
            let comma = self.takes(b',');
            if self.takes(b'}') {
                return Ok(Literal::Dict(pairs));
            }
            if !comma {
                return Err(self.error("a comma or a closing brace is missing"));
            }
            let key = self.literal(depth + 1)?;
            if !self.takes(b':') {
                return Err(self.error("a colon is missing"));
            }
            pairs.push((key, self.literal(depth + 1)?));
        }
    }

    fn word(&mut self) -> Result<Literal, ParseError> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let word = &rest[..end.unwrap_or(rest.len())];
        if rest[word.len()..].starts_with(['\'', '"']) {
            return self.strings();
        }
        let literal = match word {
            "None" => Literal::None,
            "True" => Literal::Bool(true),
            "False" => Literal::Bool(false),
            "nan" | "NaN" | "inf" | "Infinity" if self.missing_numbers => Literal::Float(f64::NAN),
            _ => return Err(self.error("an unknown word")),
        };
        self.at += word.len();
        Ok(literal)
    }

    fn number(&mut self) -> Result<Literal, ParseError> {
        let begin = self.at;
        let mut negative = false;
        while let Some(sign @ (b'-' | b'+')) = self.peek() {
            negative ^= sign == b'-';
            self.at += 1;
            self.skip_space();
        }
        let from = self.at;
        while let Some(byte) = self.peek() {
            let exponent = matches!(self.text.as_bytes()[self.at.saturating_sub(1)], b'e' | b'E')
                && !self.text[from..].starts_with("0x")
                && self.at > from;
            let part = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_');
            let sign_of_exponent = exponent && matches!(byte, b'-' | b'+');
            if !part && !sign_of_exponent {
                break;
            }
            self.at += 1;
        }
        let digits = self.text[from..self.at].replace('_', "");
        let parsed =
            int(&digits).map(|int| Literal::Int(if negative { -int } else { int })).or_else(|| {
                let plain = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
                let float = digits.parse::<f64>().ok().filter(|_| plain)?;
                Some(Literal::Float(if negative { -float } else { float }))
            });
        parsed.ok_or(ParseError { at: begin, reason: "a malformed number" })
    }

    /// Parses one string, or several adjacent ones, which are concatenated.
    fn strings(&mut self) -> Result<Literal, ParseError> {
        let mut whole = self.string()?;
        loop {
            self.skip_space();
            let rest = self.text[self.at..].trim_start_matches(|c: char| "bBrRuU".contains(c));
            let prefix = self.text.len() - self.at - rest.len();
            if prefix > 2 || !rest.starts_with(['\'', '"']) {
                return Ok(whole);
            }
            match (&mut whole, self.string()?) {
                (Literal::Str(text), Literal::Str(more)) => text.push_str(&more),
                (Literal::Bytes(bytes), Literal::Bytes(more)) => bytes.extend(more),
                _ => return Err(self.error("text and bytes side by side")),
            }
        }
    }

    fn string(&mut self) -> Result<Literal, ParseError> {
        let (mut raw, mut bytes) = (false, false);
        while let Some(prefix) = self.peek().filter(u8::is_ascii_alphabetic) {
            match prefix {
                b'r' | b'R' if !raw => raw = true,
                b'b' | b'B' if !bytes => bytes = true,
                b'u' | b'U' => {}
                _ => return Err(self.error("an unknown mark before a string")),
            }
            self.at += 1;
        }
        let quote = self.text.as_bytes()[self.at];
        let triple = self.text.as_bytes()[self.at..].starts_with(&[quote; 3]);
        let marks = if triple { 3 } else { 1 };
        let begin = self.at;
        self.at += marks;
        let mut read = Vec::new();
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            match rest.first() {
                None => return Err(ParseError { at: begin, reason: "a string without an end" }),
                Some(&byte)
                    if byte == quote && rest[..marks.min(rest.len())] == [quote; 3][..marks] =>
                {
                    self.at += marks;
                    break;
                }
                Some(b'\\') if raw => {
                    let taken = if rest.len() > 1 { 2 } else { 1 };
                    read.extend_from_slice(&rest[..taken]);
                    self.at += taken;
                }
                Some(b'\\') => self.escape(bytes, &mut read)?,
                Some(byte) if bytes && !byte.is_ascii() => {
                    return Err(self.error("a character beyond ASCII in bytes"));
                }
                Some(&byte) => {
                    read.push(byte);
                    self.at += 1;
                }
            }
        }
        if bytes {
            return Ok(Literal::Bytes(read));
        }
        let text = String::from_utf8(read);
        text.map(Literal::Str).map_err(|_| ParseError { at: begin, reason: "a broken string" })
    }

    /// Parses one escape and appends its value: UTF-8 in a text, one byte in a bytes literal.
    fn escape(&mut self, bytes: bool, read: &mut Vec<u8>) -> Result<(), ParseError> {
        let begin = self.at;
        let Some(&kind) = self.text.as_bytes().get(self.at + 1) else {
            return Err(self.error("an escape without an end"));
        };
        self.at += 2;
        let code = match kind {
            b'\n' => return Ok(()),
            b'\\' | b'\'' | b'"' => u32::from(kind),
            b'a' => 7,
            b'b' => 8,
            b't' => 9,
            b'n' => 10,
            b'v' => 11,
            b'f' => 12,
            b'r' => 13,
            b'x' => self.hex(2, begin)?,
            b'0'..=b'7' => self.octal(kind),
            b'u' if !bytes => self.maybe_pair(begin)?,
            b'U' if !bytes => self.hex(8, begin)?,
            b'N' if !bytes => {
                let reason = "a character by its Unicode name, which is not supported,";
                return Err(ParseError { at: begin, reason });
            }
            // Python keeps the backslash of an unknown escape.
            _ => {
                self.at = begin + 1;
                read.push(b'\\');
                return Ok(());
            }
        };
        if bytes {
            // `\400` and above wrap around, as in Python.
            read.push(code as u8);
            return Ok(());
        }
        let reason = "an escape that names no character";
        let named = char::from_u32(code).ok_or(ParseError { at: begin, reason })?;
        read.extend_from_slice(named.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }

    fn hex(&mut self, n: usize, begin: usize) -> Result<u32, ParseError> {
        let reason = "an escape with too few hexadecimal digits";
        let digits = self.text.get(self.at..self.at + n);
        let digits = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|d| u32::from_str_radix(d, 16).ok());
        self.at += n;
        code.ok_or(ParseError { at: begin, reason })
    }

    fn octal(&mut self, first: u8) -> u32 {
        let mut code = u32::from(first - b'0');
        for _ in 0..2 {
            let Some(digit @ b'0'..=b'7') = self.peek() else { break };
            code = code * 8 + u32::from(digit - b'0');
            self.at += 1;
        }
        code
    }

    /// Parses the digits of `\uXXXX`. Two such escapes may form a surrogate pair, because narrow
    /// builds of Python 2 printed characters beyond U+FFFF like that.
    fn maybe_pair(&mut self, begin: usize) -> Result<u32, ParseError> {
        let high = self.hex(4, begin)?;
        if !(0xd800..0xdc00).contains(&high) || !self.text[self.at..].starts_with("\\u") {
            return Ok(high);
        }
        self.at += 2;
        let low = self.hex(4, begin)?;
        if !(0xdc00..0xe000).contains(&low) {
            return Ok(high);
        }
        Ok(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
    }

    fn takes(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|b| b.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn error(&self, reason: &'static str) -> ParseError {
        ParseError { at: self.at, reason }
    }
}

fn int(digits: &str) -> Option<i128> {
    // Python 2 marks long integers with a trailing `L`.
    let digits = digits.strip_suffix(['L', 'l']).unwrap_or(digits);
    let (digits, radix) = match digits.get(..2) {
        Some("0x" | "0X") => (&digits[2..], 16),
        Some("0o" | "0O") => (&digits[2..], 8),
        Some("0b" | "0B") => (&digits[2..], 2),
        _ => (digits, 10),
    };
    // `from_str_radix` would accept a sign here.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    i128::from_str_radix(digits, radix).ok().filter(|int| *int != i128::MIN)
}
