//! Lines by which mail programs introduce a quoted mail, in the languages that they speak.

use super::MessageAuthor;

/// Longest attribution, in characters; it may be wrapped over several lines.
const MAX_CHARACTERS: usize = 300;

/// Endings of a line that introduces a quotation, before its colon, in lower case. Some languages put the
/// verb before the name: then [`VERB_INSIDE`] applies.
const VERBS: [&str; 43] = [
    "wrote",
    "sent",
    "writes",
    "said",
    "schrieb",
    "geschrieben",
    "a écrit",
    "a ecrit",
    "écrit",
    "écrivait",
    "escribió",
    "escribio",
    "ha escrito",
    "va escriure",
    "ha escrit",
    "escreveu",
    "ha scritto",
    "scrisse",
    "schreef",
    "het volgende geschreven",
    "skrev",
    "skrifaði",
    "kirjoitti",
    "napisał",
    "napisała",
    "napisał(a)",
    "pisze",
    "napsal",
    "napsal(a)",
    "napísal",
    "napísal(a)",
    "je napisao/la",
    "je napisao",
    "írta",
    "ezt írta",
    "a scris",
    "написал",
    "написал(а)",
    "пишет",
    "написав",
    "έγραψε",
    "yazdı",
    "şunları yazdı",
];

/// Words that may be followed by the name, in lower case, with spaces around.
const VERB_INSIDE: [&str; 18] = [
    " schrieb ",
    " wrote ",
    " skrev ",
    " schreef ",
    " escribió ",
    " escreveu ",
    " a écrit ",
    " napisał ",
    " napisał(a) ",
    " написал ",
    " пишет ",
    " kirjoitti ",
    " írta ",
    " napsal ",
    " pisze ",
    " ha scritto ",
    " yazdı ",
    " a scris ",
];

/// Endings in languages that write no spaces or no colon.
const EAST_ASIAN: [&str; 8] =
    ["写道", "寫道", "撰写", "のメール", "書きました", "님이 작성", "작성", "のメッセージ"];

/// Words in a line between dashes (`-----Original Message-----`), in lower case.
const ORIGINAL: [&str; 22] = [
    "original message",
    "original appointment",
    "ursprüngliche nachricht",
    "originalnachricht",
    "original-nachricht",
    "original nachricht",
    "ursprungliche nachricht",
    "message d'origine",
    "message d\u{2019}origine",
    "message original",
    "mensaje original",
    "mensagem original",
    "messaggio originale",
    "oorspronkelijk bericht",
    "oprindelig meddelelse",
    "opprinnelig melding",
    "ursprungligt meddelande",
    "alkuperäinen viesti",
    "wiadomość oryginalna",
    "oryginalna wiadomość",
    "исходное сообщение",
    "původní zpráva",
];

/// Words in the line before a mail that is passed on, in lower case.
const FORWARDED: [&str; 18] = [
    "forwarded message",
    "begin forwarded message",
    "weitergeleitete nachricht",
    "anfang der weitergeleiteten",
    "message transféré",
    "message transmis",
    "début du message réexpédié",
    "mensaje reenviado",
    "mensagem encaminhada",
    "messaggio inoltrato",
    "inizio messaggio inoltrato",
    "doorgestuurd bericht",
    "begin doorgestuurd bericht",
    "videresendt meddelelse",
    "vidarebefordrat meddelande",
    "przekazana wiadomość",
    "пересылаемое сообщение",
    "転送されたメッセージ",
];

/// Names of the header `From` in copied headers, in lower case.
const FROM: [&str; 16] = [
    "from",
    "von",
    "de",
    "da",
    "van",
    "fra",
    "från",
    "lähettäjä",
    "od",
    "от",
    "feladó",
    "kimden",
    "差出人",
    "发件人",
    "寄件者",
    "보낸 사람",
];

/// Names of other headers in copied headers, in lower case.
const OTHER_HEADERS: [&str; 64] = [
    "sent",
    "date",
    "to",
    "cc",
    "subject",
    "reply-to",
    "importance",
    "bcc",
    "gesendet",
    "datum",
    "an",
    "betreff",
    "kopie",
    "envoyé",
    "envoye",
    "à",
    "objet",
    "enviado",
    "enviado el",
    "enviada em",
    "fecha",
    "data",
    "para",
    "asunto",
    "assunto",
    "inviato",
    "a",
    "oggetto",
    "verzonden",
    "aan",
    "onderwerp",
    "sendt",
    "til",
    "emne",
    "skickat",
    "till",
    "ämne",
    "dato",
    "lähetetty",
    "vastaanottaja",
    "aihe",
    "wysłano",
    "do",
    "dw",
    "temat",
    "отправлено",
    "дата",
    "кому",
    "тема",
    "копия",
    "odesláno",
    "komu",
    "předmět",
    "küldve",
    "címzett",
    "tárgy",
    "tarih",
    "kime",
    "konu",
    "送信日時",
    "宛先",
    "件名",
    "发送时间",
    "主题",
];

/// A kind of quotation that a line begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Introduction {
    /// A quotation, by this author if the line tells.
    Quotation(Option<MessageAuthor>),
    /// A mail that is passed on.
    Forwarded,
}

/// Returns what the lines from `at` on introduce, with the number of lines of the introduction. Lines that
/// are quoted themselves introduce nothing.
pub(super) fn introduction(lines: &[&str], at: usize) -> Option<(Introduction, usize)> {
    let line = lines[at].trim();
    if line.is_empty() || line.starts_with('>') {
        return None;
    }
    separator(line)
        .map(|found| (found, 1 + copied_headers(lines, at + 1).map_or(0, |(n, _)| n)))
        .or_else(|| {
            let (n, author) = copied_headers(lines, at)?;
            Some((Introduction::Quotation(author), n))
        })
        .or_else(|| wrapped_attribution(lines, at))
}

/// A line such as `-----Original Message-----`.
fn separator(line: &str) -> Option<Introduction> {
    let bare = line.trim_matches(['-', '_', '=', '*', ' ', ':', '<', '>']);
    let is_ruled = line.starts_with("--") || line.starts_with("__") || line.starts_with("==");
    if !is_ruled && !line.ends_with(':') || bare.chars().count() > 40 {
        return None;
    }
    let bare = bare.to_lowercase();
    if FORWARDED.iter().any(|words| bare.contains(words)) {
        return Some(Introduction::Forwarded);
    }
    let is_original = ORIGINAL.iter().any(|words| bare.contains(words))
        // Some web mails write `---- Ann Example wrote ----`.
        || (line.ends_with("--") && VERBS.iter().any(|verb| bare.ends_with(&format!(" {verb}"))));
    (is_ruled && is_original).then_some(Introduction::Quotation(None))
}

/// Copied headers before a quoted mail, as Outlook writes them: at least three that begin with `From` or its
/// translation, or at least four with it. Returns their number of lines and the author.
fn copied_headers(lines: &[&str], at: usize) -> Option<(usize, Option<MessageAuthor>)> {
    // Outlook draws a line before them, and leaves empty lines out or in.
    let start = (at..lines.len().min(at + 3)).find(|&i| {
        let line = lines[i].trim();
        !line.is_empty() && !line.chars().all(|c| c == '_' || c == '-')
    })?;
    let (mut n_headers, mut end, mut from) = (0, start, None);
    for (i, line) in lines.iter().enumerate().skip(start).take(9) {
        let found = header(line);
        let is_from = found.as_ref().is_some_and(|(name, _)| FROM.contains(&name.as_str()));
        match found {
            Some((name, value)) if is_from || OTHER_HEADERS.contains(&name.as_str()) => {
                n_headers += 1;
                end = i + 1;
                if is_from && from.is_none() {
                    from = Some((i, value));
                }
            }
            // The value of the header before may be wrapped.
            _ if i == start || n_headers >= 3 || line.trim().is_empty() => break,
            _ => {}
        }
    }
    let (from_at, value) = from?;
    let needed = if from_at == start { 3 } else { 4 };
    (n_headers >= needed).then(|| (end - at, author_of(value)))
}

/// Name, in lower case, and value of a line like `From: Ann`.
fn header(line: &str) -> Option<(String, &str)> {
    let line = line.trim().trim_start_matches('*');
    let at = line.find([':', '：'])?;
    let name = line[..at].trim_matches(['*', ' ', '\u{a0}']);
    if name.is_empty() || name.chars().count() > 20 {
        return None;
    }
    let value = line[at..].trim_start_matches([':', '：', '*', ' ', '\u{a0}']);
    Some((name.to_lowercase(), value))
}

/// An attribution like `On Monday, Ann wrote:` of up to four lines.
fn wrapped_attribution(lines: &[&str], at: usize) -> Option<(Introduction, usize)> {
    let mut joined = String::new();
    for n in 1..=4.min(lines.len() - at) {
        let line = lines[at + n - 1].trim();
        if line.is_empty() || line.starts_with('>') {
            return None;
        }
        if !joined.is_empty() {
            joined.push(' ');
        }
        joined.push_str(line);
        if joined.chars().count() > MAX_CHARACTERS {
            return None;
        }
        let is_quoted = (at + n..lines.len().min(at + n + 3))
            .find(|&i| !lines[i].trim().is_empty())
            .is_some_and(|i| lines[i].trim_start().starts_with('>'));
        if is_attribution(&joined, is_quoted) {
            // Own words directly before the attribution are no part of it.
            if n > 1 && !begins_attribution(lines[at].trim(), &lines[at + 1..at + n]) {
                return None;
            }
            return Some((Introduction::Quotation(author_of(&joined)), n));
        }
    }
    None
}

/// Beginnings of attributions, in lower case.
const STARTS: [&str; 13] = [
    "on ", "am ", "le ", "el ", "il ", "op ", "den ", "em ", "w dniu ", "dnia ", "dne ", "på ",
    "a(z) ",
];

/// Whether `first` is the first line of a wrapped attribution that goes on with `rest`: it has the date, or
/// begins as attributions do.
fn begins_attribution(first: &str, rest: &[&str]) -> bool {
    let rest_has_date = rest.iter().any(|line| has_date(line));
    let lower = first.to_lowercase();
    let starts = STARTS.iter().any(|start| lower.starts_with(start));
    (has_date(first) && !rest_has_date) || (starts && first.contains(|c: char| c.is_ascii_digit()))
}

/// Whether a line introduces a quotation. `is_quoted`: whether quoted lines follow; without them the line
/// needs a date or an address.
fn is_attribution(line: &str, is_quoted: bool) -> bool {
    let Some(body) = line.strip_suffix([':', '：', '…']).map(str::trim_end) else {
        // Old web mails have neither verb nor colon: `2011/4/7 Ann Example <ann@example.org>`.
        let is_bare = line.ends_with('>') && line.contains('@') && has_date(line);
        return (is_quoted && is_bare)
            || EAST_ASIAN.iter().any(|end| line.ends_with(end)) && (is_quoted || has_date(line));
    };
    let lower = body.to_lowercase();
    // A closing `<address>` or a comma may follow the verb: `Ann wrote on 3 May:`.
    let ends = VERBS.iter().any(|verb| {
        lower.strip_suffix(verb).is_some_and(|before| {
            before.is_empty() || before.ends_with([' ', '>', '"', ',', '\u{a0}', ')'])
        })
    }) || EAST_ASIAN.iter().any(|end| lower.ends_with(end))
        // One web mail has no verb in Russian: `3 May 2021, 10:12, Ann <address>:`.
        || (lower.ends_with('>') && lower.contains('@') && has_date(&lower));
    let inside = || {
        let padded = format!(" {lower} ");
        VERB_INSIDE.iter().any(|verb| padded.contains(verb))
    };
    match is_quoted {
        true => ends || (inside() && (has_date(&lower) || lower.contains('@'))),
        false => (ends || inside()) && (has_date(&lower) && has_time_or_address(&lower)),
    }
}

/// Whether a line has digits as a date has them: a year, or a day with a point or slash.
fn has_date(line: &str) -> bool {
    let bytes = line.as_bytes();
    let mut run = 0;
    for (i, byte) in bytes.iter().enumerate() {
        match byte.is_ascii_digit() {
            true => run += 1,
            false => {
                let next_is_digit = bytes.get(i + 1).is_some_and(u8::is_ascii_digit);
                if run == 4
                    || (matches!(run, 1 | 2) && matches!(byte, b'.' | b'/' | b'-') && next_is_digit)
                {
                    return true;
                }
                run = 0;
            }
        }
    }
    run == 4
}

fn has_time_or_address(line: &str) -> bool {
    let is_time = |(at, _): (usize, &str)| {
        let around = |i: Option<usize>| {
            i.and_then(|i| line.as_bytes().get(i)).is_some_and(u8::is_ascii_digit)
        };
        around(at.checked_sub(1)) && around(Some(at + 1))
    };
    line.contains('@')
        || line.match_indices(':').any(is_time)
        || line.match_indices('h').any(is_time)
        || line.match_indices('.').any(is_time)
}

/// The author that an attribution names: an address, and the name before it.
fn author_of(line: &str) -> Option<MessageAuthor> {
    let at = line.find('@')?;
    let is_part = |c: char| c.is_alphanumeric() || "._%+-=/'".contains(c);
    let start = line[..at]
        .rfind(|c| !is_part(c))
        .map_or(0, |i| i + line[i..].chars().next().map_or(1, char::len_utf8));
    let domain = &line[at + 1..];
    let end = domain.find(|c: char| !(c.is_alphanumeric() || c == '.' || c == '-'));
    let domain = domain[..end.unwrap_or(domain.len())].trim_end_matches(['.', '-']);
    if start == at || !domain.contains('.') {
        return None;
    }
    let address = format!("{}@{domain}", &line[start..at]).to_lowercase();
    Some(MessageAuthor { name: None, address: Some(address) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn introduces(text: &str) -> Option<(Introduction, usize)> {
        introduction(&text.split('\n').collect::<Vec<_>>(), 0)
    }

    #[test]
    fn attributions_of_many_languages() {
        for line in [
            "On Mon, 3 May 2021 at 10:12, Ann Example <ann@example.org> wrote:",
            "On 5/3/21 10:12 AM, Ann Example wrote:",
            "Am 03.05.2021 um 10:12 schrieb Ann Example:",
            "Am Mo., 3. Mai 2021 um 10:12 Uhr schrieb Ann Example <ann@example.org>:",
            "Le lun. 3 mai 2021 à 10:12, Ann Example <ann@example.org> a écrit :",
            "Le 03/05/2021 à 10:12, Ann Example a écrit\u{a0}:",
            "El lun, 3 may 2021 a las 10:12, Ann (<ann@example.org>) escribió:",
            "Em seg., 3 de mai. de 2021 às 10:12, Ann <ann@example.org> escreveu:",
            "Il giorno lun 3 mag 2021 alle ore 10:12 Ann <ann@example.org> ha scritto:",
            "Op ma 3 mei 2021 om 10:12 schreef Ann <ann@example.org>:",
            "Den mån 3 maj 2021 kl 10:12 skrev Ann <ann@example.org>:",
            "pon., 3 maj 2021 o 10:12 Ann <ann@example.org> napisał(a):",
            "пн, 3 мая 2021 г. в 10:12, Ann <ann@example.org>:",
            "2021年5月3日(月) 10:12 Ann <ann@example.org> のメール：",
            "ma 3. toukok. 2021 klo 10.12 Ann (ann@example.org) kirjoitti:",
        ] {
            let quoted = format!("{line}\n\n> text");
            let found = introduces(&quoted);
            assert!(matches!(found, Some((Introduction::Quotation(_), 1))), "{line}: {found:?}");
        }
        let wrapped = "On Mon, 3 May 2021 at 10:12, Ann Example\n<ann@example.org> wrote:\ntext";
        let author = MessageAuthor { name: None, address: Some("ann@example.org".to_owned()) };
        assert_eq!(introduces(wrapped), Some((Introduction::Quotation(Some(author)), 2)));
    }

    #[test]
    fn own_words_before_a_wrapped_attribution_stay() {
        let wrapped =
            "Hello\n02.05.2021 14:20 user \"bo@example.org\" <\nbo@example.org> написал:\n\n> Hi";
        assert_eq!(introduces(wrapped), None);
        let lines: Vec<&str> = wrapped.split('\n').collect();
        assert!(matches!(introduction(&lines, 1), Some((Introduction::Quotation(Some(_)), 2))));
        let bare = introduces("2011/4/7 Ann Example <ann@example.org>\n\n> Hi");
        assert!(matches!(bare, Some((Introduction::Quotation(Some(_)), 1))));
        assert!(matches!(
            introduces("---- Ann Example wrote ----\nHi"),
            Some((Introduction::Quotation(_), 1))
        ));
        let split = "On Monday, May 3,\n2021, Ann Example wrote:\n> Hi";
        assert!(matches!(introduces(split), Some((Introduction::Quotation(_), 2))));
    }

    #[test]
    fn separators_and_copied_headers() {
        let original = "-----Original Message-----\nFrom: Ann <ann@example.org>\nSent: Monday\nTo: Bo\n\
                        Subject: tea\n\nDear Bo";
        assert_eq!(introduces(original), Some((Introduction::Quotation(None), 5)));
        let german =
            "Von: Ann <ann@example.org>\nGesendet: Montag, 3. Mai 2021\nAn: Bo\nBetreff: Tee\n\nHi";
        assert!(matches!(introduces(german), Some((Introduction::Quotation(Some(_)), 4))));
        let ruled =
            "________________________________\nDe : Ann\nEnvoyé : lundi\nÀ : Bo\nObjet : thé";
        assert!(matches!(introduces(ruled), Some((Introduction::Quotation(None), 5))));
        let passed_on =
            "---------- Forwarded message ---------\nFrom: Ann\nDate: Mon\nSubject: x\n";
        assert!(matches!(introduces(passed_on), Some((Introduction::Forwarded, _))));
        assert!(matches!(
            introduces("Begin forwarded message:"),
            Some((Introduction::Forwarded, 1))
        ));
    }

    #[test]
    fn what_a_person_says_introduces_nothing() {
        for line in [
            "As Orwell wrote:",
            "I wrote to them in 2019, and they said no.",
            "From: the bottom of my heart",
            "He wrote: come at 10:12",
            "Three things:",
            "To: do",
            "The forwarded message was odd.",
            "--",
        ] {
            assert_eq!(introduces(&format!("{line}\nmore words\nand more")), None, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_lines_can_be_asked(text in "(wrote|schrieb|@|:|\\.|2021|From|Von|De|é|のメール| |\n|>|-|_)*") {
            let lines: Vec<&str> = text.split('\n').collect();
            for at in 0..lines.len() {
                if let Some((_, n)) = introduction(&lines, at) {
                    prop_assert!(n >= 1 && at + n <= lines.len());
                }
            }
        }
    }
}
