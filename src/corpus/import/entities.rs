//! Decoding of HTML entities and `<br>` tags in web shop data.

/// Returns `text` with HTML entities decoded and `<br>`, in any spelling, replaced by a line break.
/// Everything else stays as it is, including other tags.
pub(super) fn clean(text: &str) -> String {
    if !text.contains(['&', '<']) {
        return text.to_owned();
    }
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<']) {
        let (before, from) = rest.split_at(at);
        cleaned.push_str(before);
        let (read, length) = reference(from)
            .or_else(|| line_break(from))
            .unwrap_or_else(|| (char::from(from.as_bytes()[0]), 1));
        cleaned.push(read);
        rest = &from[length..];
    }
    cleaned.push_str(rest);
    cleaned
}

/// Returns the character that a reference at the start of `text` denotes, and the length of the
/// reference in bytes.
pub(super) fn reference(text: &str) -> Option<(char, usize)> {
    let text = text.strip_prefix('&')?;
    // The longest name has eight letters; a number may have leading zeros.
    let end = text.bytes().take(12).position(|b| b == b';')?;
    let name = &text[..end];
    let read = match name.strip_prefix('#') {
        Some(number) => numbered(number)?,
        None => named(name)?,
    };
    Some((read, end + 2))
}

fn numbered(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).ok()?;
    // Browsers decode 0x80 to 0x9f as Windows-1252, and the authors meant these characters.
    let code = match code {
        0x80..=0x9f => WINDOWS_1252[code as usize - 0x80],
        0 => 0xfffd,
        code => code,
    };
    Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
}

fn named(name: &str) -> Option<char> {
    if let Some(at) = LATIN_1.split_ascii_whitespace().position(|latin| latin == name) {
        return char::from_u32(0xa0 + at as u32);
    }
    OTHERS.binary_search_by_key(&name, |(other, _)| other).ok().map(|at| OTHERS[at].1)
}

fn line_break(text: &str) -> Option<(char, usize)> {
    let end = text.bytes().take(8).position(|b| b == b'>')?;
    let tag = text[1..end].trim_end().trim_end_matches('/').trim_end();
    tag.eq_ignore_ascii_case("br").then_some(('\n', end + 1))
}

/// Windows-1252 characters of the codes 0x80 to 0x9f; its five undefined codes map to themselves.
const WINDOWS_1252: [u32; 32] = [
    0x20ac, 0x81, 0x201a, 0x192, 0x201e, 0x2026, 0x2020, 0x2021, 0x2c6, 0x2030, 0x160, 0x2039,
    0x152, 0x8d, 0x17d, 0x8f, 0x90, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x2dc,
    0x2122, 0x161, 0x203a, 0x153, 0x9d, 0x17e, 0x178,
];

/// HTML 4 names of the characters 0xa0 to 0xff, in order.
const LATIN_1: &str = "
nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg
plusmn sup2 sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34
iquest Agrave Aacute Acirc Atilde Auml Aring AElig Ccedil Egrave Eacute Ecirc Euml
Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash Ugrave
Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil
egrave eacute ecirc euml igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde
ouml divide oslash ugrave uacute ucirc uuml yacute thorn yuml
";

/// The other HTML 4 names, and XML's name of the apostrophe, sorted by bytes.
#[rustfmt::skip]
const OTHERS: &[(&str, char)] = &[
    ("Alpha", '\u{391}'), ("Beta", '\u{392}'), ("Chi", '\u{3a7}'), ("Dagger", '\u{2021}'),
    ("Delta", '\u{394}'), ("Epsilon", '\u{395}'), ("Eta", '\u{397}'), ("Gamma", '\u{393}'),
    ("Iota", '\u{399}'), ("Kappa", '\u{39a}'), ("Lambda", '\u{39b}'), ("Mu", '\u{39c}'),
    ("Nu", '\u{39d}'), ("OElig", '\u{152}'), ("Omega", '\u{3a9}'), ("Omicron", '\u{39f}'),
    ("Phi", '\u{3a6}'), ("Pi", '\u{3a0}'), ("Prime", '\u{2033}'), ("Psi", '\u{3a8}'),
    ("Rho", '\u{3a1}'), ("Scaron", '\u{160}'), ("Sigma", '\u{3a3}'), ("Tau", '\u{3a4}'),
    ("Theta", '\u{398}'), ("Upsilon", '\u{3a5}'), ("Xi", '\u{39e}'), ("Yuml", '\u{178}'),
    ("Zeta", '\u{396}'), ("alefsym", '\u{2135}'), ("alpha", '\u{3b1}'), ("amp", '\u{26}'),
    ("and", '\u{2227}'), ("ang", '\u{2220}'), ("apos", '\u{27}'), ("asymp", '\u{2248}'),
    ("bdquo", '\u{201e}'), ("beta", '\u{3b2}'), ("bull", '\u{2022}'), ("cap", '\u{2229}'),
    ("chi", '\u{3c7}'), ("circ", '\u{2c6}'), ("clubs", '\u{2663}'), ("cong", '\u{2245}'),
    ("crarr", '\u{21b5}'), ("cup", '\u{222a}'), ("dArr", '\u{21d3}'), ("dagger", '\u{2020}'),
    ("darr", '\u{2193}'), ("delta", '\u{3b4}'), ("diams", '\u{2666}'), ("empty", '\u{2205}'),
    ("emsp", '\u{2003}'), ("ensp", '\u{2002}'), ("epsilon", '\u{3b5}'), ("equiv", '\u{2261}'),
    ("eta", '\u{3b7}'), ("euro", '\u{20ac}'), ("exist", '\u{2203}'), ("fnof", '\u{192}'),
    ("forall", '\u{2200}'), ("frasl", '\u{2044}'), ("gamma", '\u{3b3}'), ("ge", '\u{2265}'),
    ("gt", '\u{3e}'), ("hArr", '\u{21d4}'), ("harr", '\u{2194}'), ("hearts", '\u{2665}'),
    ("hellip", '\u{2026}'), ("image", '\u{2111}'), ("infin", '\u{221e}'), ("int", '\u{222b}'),
    ("iota", '\u{3b9}'), ("isin", '\u{2208}'), ("kappa", '\u{3ba}'), ("lArr", '\u{21d0}'),
    ("lambda", '\u{3bb}'), ("lang", '\u{2329}'), ("larr", '\u{2190}'), ("lceil", '\u{2308}'),
    ("ldquo", '\u{201c}'), ("le", '\u{2264}'), ("lfloor", '\u{230a}'), ("lowast", '\u{2217}'),
    ("loz", '\u{25ca}'), ("lrm", '\u{200e}'), ("lsaquo", '\u{2039}'), ("lsquo", '\u{2018}'),
    ("lt", '\u{3c}'), ("mdash", '\u{2014}'), ("minus", '\u{2212}'), ("mu", '\u{3bc}'),
    ("nabla", '\u{2207}'), ("ndash", '\u{2013}'), ("ne", '\u{2260}'), ("ni", '\u{220b}'),
    ("notin", '\u{2209}'), ("nsub", '\u{2284}'), ("nu", '\u{3bd}'), ("oelig", '\u{153}'),
    ("oline", '\u{203e}'), ("omega", '\u{3c9}'), ("omicron", '\u{3bf}'), ("oplus", '\u{2295}'),
    ("or", '\u{2228}'), ("otimes", '\u{2297}'), ("part", '\u{2202}'), ("permil", '\u{2030}'),
    ("perp", '\u{22a5}'), ("phi", '\u{3c6}'), ("pi", '\u{3c0}'), ("piv", '\u{3d6}'),
    ("prime", '\u{2032}'), ("prod", '\u{220f}'), ("prop", '\u{221d}'), ("psi", '\u{3c8}'),
    ("quot", '\u{22}'), ("rArr", '\u{21d2}'), ("radic", '\u{221a}'), ("rang", '\u{232a}'),
    ("rarr", '\u{2192}'), ("rceil", '\u{2309}'), ("rdquo", '\u{201d}'), ("real", '\u{211c}'),
    ("rfloor", '\u{230b}'), ("rho", '\u{3c1}'), ("rlm", '\u{200f}'), ("rsaquo", '\u{203a}'),
    ("rsquo", '\u{2019}'), ("sbquo", '\u{201a}'), ("scaron", '\u{161}'), ("sdot", '\u{22c5}'),
    ("sigma", '\u{3c3}'), ("sigmaf", '\u{3c2}'), ("sim", '\u{223c}'), ("spades", '\u{2660}'),
    ("sub", '\u{2282}'), ("sube", '\u{2286}'), ("sum", '\u{2211}'), ("sup", '\u{2283}'),
    ("supe", '\u{2287}'), ("tau", '\u{3c4}'), ("there4", '\u{2234}'), ("theta", '\u{3b8}'),
    ("thetasym", '\u{3d1}'), ("thinsp", '\u{2009}'), ("tilde", '\u{2dc}'), ("trade", '\u{2122}'),
    ("uArr", '\u{21d1}'), ("uarr", '\u{2191}'), ("upsih", '\u{3d2}'), ("upsilon", '\u{3c5}'),
    ("weierp", '\u{2118}'), ("xi", '\u{3be}'), ("zeta", '\u{3b6}'), ("zwj", '\u{200d}'),
    ("zwnj", '\u{200c}'),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn references_and_breaks_become_characters() {
        let cases = [
            ("a &amp; b &lt;c&gt; &quot;d&quot; &#34;e&#x22; &apos;", "a & b <c> \"d\" \"e\" '"),
            ("caf&eacute; &nbsp;&yuml;&hellip;&zwnj;&Alpha;", "café \u{a0}ÿ…\u{200c}Α"),
            ("&#8217;&#x92;&#146;&#0;&#xD800;&#1114112;", "’’’\u{fffd}\u{fffd}\u{fffd}"),
            ("R&B; AT&T &; &#; &#x; &#+1; &&amp;amp;", "R&B; AT&T &; &#; &#x; &#+1; &&amp;"),
            (
                "one<br>two<br/>three<BR />four<b>five</b> 1 < 2",
                "one\ntwo\nthree\nfour<b>five</b> 1 < 2",
            ),
            ("&lt;br&gt;", "<br>"),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn the_tables_are_in_order() {
        assert!(OTHERS.is_sorted_by_key(|(name, _)| *name));
        assert_eq!(LATIN_1.split_ascii_whitespace().count(), 96);
    }

    proptest! {
        #[test]
        fn any_text_is_cleaned(text in "([&<#;xbr/>0-9a-zé]|.)*") {
            let cleaned = clean(&text);
            prop_assert!(cleaned.len() <= text.len() * 2);
        }

        #[test]
        fn escaping_is_undone(text in ".*") {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&#34;");
            prop_assert_eq!(clean(&escaped), text);
        }
    }
}
