//! The text of a mail: its plain parts, else its HTML, in whatever encoding.

use encoding_rs::Encoding;
use mail_parser::{Message as Mail, MessagePart, MimeHeaders, PartType};

use super::{flowed, html};

/// Returns the text of the parts that are shown, with line ends `\n` and without control characters. Of a
/// text signed by PGP the marks are removed.
pub(super) fn text_of(mail: &Mail<'_>) -> String {
    let mut text = joined(mail, mail.text_bodies());
    if text.trim().is_empty() {
        // Some programs write an empty plain part beside the HTML.
        text =
            joined(mail, mail.html_bodies().filter(|part| matches!(part.body, PartType::Html(_))));
    }
    if text.trim().is_empty() {
        // A part whose end is missing, in a mail that was cut off.
        text = joined(
            mail,
            mail.parts.iter().filter(|part| part.is_encoding_problem && is_shown(part)),
        );
    }
    text.retain(
        |c| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{feff}'),
    );
    unsigned(&text.replace('\u{a0}', " "))
}

/// Whether a part is text that a mail program shows.
fn is_shown(part: &MessagePart<'_>) -> bool {
    let is_attachment = part.content_disposition().is_some_and(|kind| kind.is_attachment());
    let kind = part.content_type();
    !is_attachment
        && kind.is_none_or(|kind| {
            let subtype = kind.subtype().unwrap_or_default();
            kind.ctype().eq_ignore_ascii_case("text")
                && ["plain", "html"].iter().any(|shown| subtype.eq_ignore_ascii_case(shown))
        })
}

fn joined<'a>(mail: &Mail<'_>, parts: impl Iterator<Item = &'a MessagePart<'a>>) -> String {
    let mut text = String::new();
    for part in parts {
        let piece = piece(mail, part);
        if !text.is_empty() && !piece.is_empty() {
            text.push('\n');
        }
        text.push_str(&piece);
    }
    text
}

fn piece(mail: &Mail<'_>, part: &MessagePart<'_>) -> String {
    let parameter =
        |name: &str| part.content_type().and_then(|kind| kind.attribute(name)).unwrap_or_default();
    let is_html = part.content_type().and_then(|kind| kind.subtype());
    let is_html = is_html.is_some_and(|subtype| subtype.eq_ignore_ascii_case("html"));
    match &part.body {
        PartType::Text(_) | PartType::Html(_) if is_html => html::text_of(&decoded(mail, part)),
        PartType::Text(_) | PartType::Html(_) => {
            let text = decoded(mail, part).replace("\r\n", "\n").replace('\r', "\n");
            match parameter("format").eq_ignore_ascii_case("flowed") {
                true => flowed::joined(&text, parameter("delsp").eq_ignore_ascii_case("yes")),
                false => text,
            }
        }
        _ => String::new(),
    }
}

/// The text of a part. If the parser could not decode it, or its bytes are not in the encoding that it
/// names, it is decoded as far as possible, and the encoding is guessed.
fn decoded(mail: &Mail<'_>, part: &MessagePart<'_>) -> String {
    let (PartType::Text(text) | PartType::Html(text)) = &part.body else { return String::new() };
    let range = part.raw_body_offset() as usize..part.raw_end_offset() as usize;
    let is_doubtful = part.is_encoding_problem || text.contains('\u{fffd}');
    let Some(raw) = mail.raw_message().get(range).filter(|_| is_doubtful) else {
        return text.as_ref().to_owned();
    };
    let transfer = part.content_transfer_encoding().unwrap_or_default().to_lowercase();
    let bytes = match transfer.as_str() {
        "base64" => of_base64(raw),
        "quoted-printable" => of_quoted_printable(raw),
        _ => raw.to_vec(),
    };
    let named = part.content_type().and_then(|kind| kind.attribute("charset"));
    if let Some(encoding) = named.and_then(|name| Encoding::for_label(name.as_bytes()))
        && let (text, _, false) = encoding.decode(&bytes)
    {
        return text.into_owned();
    }
    match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let mut detector = chardetng::EncodingDetector::new();
            detector.feed(error.as_bytes(), true);
            let guess = detector.guess(None, false);
            guess.decode_without_bom_handling(error.as_bytes()).0.into_owned()
        }
    }
}

/// Decodes base64 as far as it goes; other characters are skipped.
fn of_base64(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() / 4 * 3);
    let (mut bits, mut n_bits) = (0_u32, 0);
    for byte in bytes {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            _ => continue,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            out.push((bits >> n_bits) as u8);
        }
    }
    out
}

/// Decodes quoted-printable; what is no valid escape stays as it is.
fn of_quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        rest = match (first, after) {
            (b'=', [b'\r', b'\n', next @ ..] | [b'\n', next @ ..]) => next,
            (b'=', _) => match (hex(0), hex(1)) {
                (Some(high), Some(low)) => {
                    out.push((high << 4 | low) as u8);
                    &after[2..]
                }
                _ => {
                    out.push(b'=');
                    after
                }
            },
            _ => {
                out.push(*first);
                after
            }
        };
    }
    out
}

/// The text without the marks of a signature by PGP.
fn unsigned(text: &str) -> String {
    let Some((before, signed)) = text.split_once("-----BEGIN PGP SIGNED MESSAGE-----") else {
        return text.to_owned();
    };
    let body = signed.trim_start_matches('\n');
    let body = body.split_once("\n\n").map_or(body, |(_hash, body)| body);
    let end = body.find("-----BEGIN PGP SIGNATURE-----").unwrap_or(body.len());
    let body: Vec<&str> =
        body[..end].lines().map(|line| line.strip_prefix("- ").unwrap_or(line)).collect();
    format!("{before}{}", body.join("\n"))
}
