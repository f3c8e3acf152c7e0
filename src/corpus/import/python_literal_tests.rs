#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use serde_json::json;

use super::python_literal::{Literal, parse};

/// Any literal of moderate size.
pub(super) fn any_literal() -> impl Strategy<Value = Literal> {
    let leaf = prop_oneof![
        Just(Literal::None),
        any::<bool>().prop_map(Literal::Bool),
        any::<i64>().prop_map(|n| Literal::Int(n.into())),
        any::<f64>().prop_filter("literals are finite", |x| x.is_finite()).prop_map(Literal::Float),
        ".*".prop_map(Literal::Str),
        prop::collection::vec(any::<u8>(), 0..8).prop_map(Literal::Bytes),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let items = prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            items.clone().prop_map(Literal::List),
            items.clone().prop_map(Literal::Tuple),
            items.prop_filter("a set is not empty", |i| !i.is_empty()).prop_map(Literal::Set),
            prop::collection::vec((inner.clone(), inner), 0..4).prop_map(Literal::Dict),
        ]
    })
}

/// Any JSON value that a row may contain, for tests of the row readers.
pub(super) fn any_json() -> impl Strategy<Value = serde_json::Value> {
    any_literal().prop_map(Literal::into_json)
}

/// Prints as `repr` does: chooses the quote that needs no escape and escapes non-printable
/// characters.
fn repr(literal: &Literal) -> String {
    let list = |items: &[Literal]| items.iter().map(repr).collect::<Vec<_>>().join(", ");
    match literal {
        Literal::None => "None".to_owned(),
        Literal::Bool(true) => "True".to_owned(),
        Literal::Bool(false) => "False".to_owned(),
        Literal::Int(int) => int.to_string(),
        Literal::Float(float) => format!("{float:?}"),
        Literal::Str(text) => quoted(text.chars().map(|c| (c, u32::from(c) > 0xff))),
        Literal::Bytes(bytes) => {
            format!("b{}", quoted(bytes.iter().map(|b| (char::from(*b), false))))
        }
        Literal::List(items) => format!("[{}]", list(items)),
        Literal::Tuple(items) if items.len() == 1 => format!("({},)", list(items)),
        Literal::Tuple(items) => format!("({})", list(items)),
        Literal::Set(items) => format!("{{{}}}", list(items)),
        Literal::Dict(pairs) => {
            let pairs: Vec<_> =
                pairs.iter().map(|(k, v)| format!("{}: {}", repr(k), repr(v))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
    }
}

/// Prints `verbatim` characters as they are, and others beyond ASCII as `\x..`.
fn quoted(characters: impl Iterator<Item = (char, bool)> + Clone) -> String {
    let has = |wanted| characters.clone().any(|(c, _)| c == wanted);
    let quote = if has('\'') && !has('"') { '"' } else { '\'' };
    let mut text = String::from(quote);
    for (c, verbatim) in characters {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\\' => text.push_str("\\\\"),
            c if c == quote => text.extend(['\\', c]),
            c if verbatim || (' '..='~').contains(&c) => text.push(c),
            c => text.push_str(&format!("\\x{:02x}", u32::from(c))),
        }
    }
    text.push(quote);
    text
}

fn string(text: &str) -> String {
    match parse(text).unwrap() {
        Literal::Str(text) => text,
        other => panic!("{other:?}"),
    }
}

#[test]
fn strings_with_every_escape() {
    assert_eq!(
        string(r#"'it\'s "x" \\ \n\t\r\a\b\f\v \x41 \u00e9 \U0001f600 \101 \0'"#),
        "it's \"x\" \\ \n\t\r\x07\x08\x0c\x0b A é 😀 A \0"
    );
    assert_eq!(string(r"'\ud83d\ude00 \q \8'"), "😀 \\q \\8");
    assert_eq!(string("\"a\" 'b' u'c' R'\\n\\''"), "abc\\n\\'");
    assert_eq!(string("'''it's \"fine\"\n'''"), "it's \"fine\"\n");
    assert_eq!(string("''"), "");
    assert_eq!(string("'a\\\nb'"), "ab");
    assert_eq!(parse(r"b'\xff\x00a'").unwrap(), Literal::Bytes(vec![255, 0, 97]));
    assert_eq!(parse(r"Rb'\x'").unwrap(), Literal::Bytes(b"\\x".to_vec()));
}

#[test]
fn numbers_words_and_brackets() {
    for (text, expected) in [
        ("-12", json!(-12)),
        ("1_000L", json!(1000)),
        ("0xfE", json!(254)),
        ("0b11", json!(3)),
        ("+1.5e-3", json!(0.0015)),
        (".5", json!(0.5)),
        ("3.", json!(3.0)),
        ("18446744073709551615", json!(u64::MAX)),
        ("(1)", json!(1)),
        ("(1,)", json!([1])),
        ("()", json!([])),
        ("{}", json!({})),
        ("{1, 2,}", json!([1, 2])),
        (" [ None , True,False, ] ", json!([null, true, false])),
        ("{'a': {1: [('b', u'c')]}, }", json!({"a": {"1": [["b", "c"]]}})),
    ] {
        assert_eq!(parse(text).unwrap().into_json(), expected, "{text}");
    }
}

#[test]
fn what_is_no_literal_says_where() {
    for text in [
        "",
        "{",
        "[1",
        "[1 2]",
        "{'a'",
        "{'a' 1}",
        "{'a':}",
        "{1:2 3:4}",
        "'",
        "'\\",
        "'\\x4'",
        "'\\ud800'",
        "'\\N{DASH}'",
        "'\\U00110000'",
        "nan",
        "inf",
        "-inf",
        "1e",
        "0x",
        "--",
        "1.2.3",
        "f'x'",
        "x",
        "1 2",
        "b'é'",
        "'a' b'b'",
        "[,]",
        "{,}",
        "é",
        "__import__('os')",
        "1+2j",
    ] {
        let error = parse(text).expect_err(text).to_string();
        assert!(
            error.starts_with("not a Python literal: ") && error.contains("at byte"),
            "{error}"
        );
    }
    assert!(parse(&"[".repeat(100_000)).is_err());
    assert!(parse(&"{1:".repeat(100_000)).is_err());
    assert!(parse(&format!("{}{}", "[".repeat(60), "]".repeat(60))).is_ok());
}

proptest! {
    #[test]
    fn what_repr_prints_is_read_back(literal in any_literal()) {
        prop_assert_eq!(parse(&repr(&literal)), Ok(literal));
    }

    #[test]
    fn any_text_is_a_literal_or_an_error(text in ".*") {
        let _ = parse(&text);
    }

    #[test]
    fn any_text_of_pythons_alphabet_is_a_literal_or_an_error(
        text in r#"([\[\](){}:,'"\\bruUxN0-9a-fLeE.+_ \n-]|é|None|True|\\u|\\x|''')*"#,
    ) {
        if let Ok(literal) = parse(&text) {
            literal.into_json();
        }
    }

    #[test]
    fn cut_literals_are_errors_or_literals(literal in any_literal(), cut in any::<prop::sample::Index>()) {
        let text = repr(&literal);
        let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let _ = parse(&text[..cuts[cut.index(cuts.len())]]);
    }
}
