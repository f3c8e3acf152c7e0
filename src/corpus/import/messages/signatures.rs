//! Signatures, footers of mailing lists and notes of mail programs at the end of a mail.

/// Beginnings of lines that mail programs of phones and web mails append, in lower case.
const PROGRAM_LINES: [&str; 44] = [
    "sent from my ",
    "sent from mail for windows",
    "sent from outlook",
    "sent from yahoo mail",
    "sent from proton mail",
    "sent from protonmail",
    "sent with proton mail",
    "sent via ",
    "sent using ",
    "get outlook for ",
    "von meinem iphone gesendet",
    "von meinem ipad gesendet",
    "von meinem handy gesendet",
    "von meinem smartphone gesendet",
    "von meinem samsung",
    "gesendet von mail für windows",
    "gesendet von outlook",
    "gesendet mit ",
    "gesendet von meinem",
    "diese nachricht wurde von meinem",
    "holen sie sich outlook",
    "outlook für ",
    "envoyé de mon ",
    "envoyé depuis ",
    "envoyé à partir de ",
    "télécharger outlook pour",
    "enviado desde ",
    "enviado do meu ",
    "enviado del",
    "obtener outlook para",
    "obter o outlook para",
    "inviato da ",
    "inviato dal mio ",
    "verzonden vanaf ",
    "verstuurd vanaf mijn ",
    "sendt fra min ",
    "skickat från min ",
    "lähetetty ",
    "wysłane z ",
    "wysłano z ",
    "отправлено с ",
    "odesláno z ",
    "iphoneから送信",
    "从我的",
];

/// Longest line that can be such a line, in characters.
const MAX_PROGRAM_LINE: usize = 100;

/// Words that a footer of a mailing list has, in lower case.
const LIST_WORDS: [&str; 9] = [
    "mailing list",
    "mailingliste",
    "unsubscribe",
    "mailman/listinfo",
    "groups.google.com",
    "google groups",
    "liste de diffusion",
    "lista de correo",
    "listinfo",
];

/// Whether a signature or a footer of a mailing list begins at this line.
pub(super) fn begins(lines: &[&str], at: usize) -> bool {
    let line = lines[at].trim();
    // The standard's mark is `-- `; many programs strip the space.
    if line == "--" {
        return true;
    }
    let is_rule = line.len() >= 8
        && (is_made_of(line, '_') || is_made_of(line, '-') || is_made_of(line, '='));
    is_rule
        && lines[at + 1..].iter().take(4).any(|line| {
            let lower = line.to_lowercase();
            LIST_WORDS.iter().any(|words| lower.contains(words))
        })
}

fn is_made_of(line: &str, mark: char) -> bool {
    line.chars().all(|c| c == mark)
}

/// Removes from the end what the author did not write for this mail: lines of mail programs, paragraphs
/// with contact details, and notices of confidentiality. Greetings and names stay; they are the author's.
pub(super) fn strip(lines: &mut Vec<&str>) {
    loop {
        while lines.last().is_some_and(|line| line.trim().is_empty()) {
            lines.pop();
        }
        if lines.last().is_some_and(|line| is_program_line(line)) {
            lines.pop();
            continue;
        }
        let start = lines.iter().rposition(|line| line.trim().is_empty()).map_or(0, |gap| gap + 1);
        let paragraph = &lines[start..];
        // A mail that has nothing else is about these details.
        if start > 0 && (has_contact_details(paragraph) || is_notice(paragraph)) {
            lines.truncate(start);
            continue;
        }
        return;
    }
}

fn is_program_line(line: &str) -> bool {
    let line = line.trim().trim_matches(['-', '_', '*', '<', '>', '[', '(', ' ']);
    if line.is_empty() || line.chars().count() > MAX_PROGRAM_LINE {
        return false;
    }
    let lower = line.to_lowercase();
    PROGRAM_LINES.iter().any(|begin| lower.starts_with(begin))
}

/// Whether a paragraph of two to ten lines has contact details in at least half of them.
fn has_contact_details(paragraph: &[&str]) -> bool {
    let n = paragraph.iter().filter(|line| is_contact_detail(line)).count();
    (2..=10).contains(&paragraph.len()) && n >= 2 && 2 * n >= paragraph.len()
}

/// Whether a short line is a telephone number, an address in the net or a mail address.
fn is_contact_detail(line: &str) -> bool {
    let line = line.trim();
    if line.chars().count() > 80 || line.ends_with(['.', '?', '!']) {
        return false;
    }
    let n_words = line.split_whitespace().count();
    let has_address = line
        .split_whitespace()
        .any(|word| word.starts_with("http") || word.starts_with("www.") || word.contains('@'));
    let digits = line.chars().filter(char::is_ascii_digit).count();
    (has_address && n_words <= 4) || (digits >= 6 && n_words <= 8)
}

/// Whether a paragraph is a notice that a firm appends to each mail.
fn is_notice(paragraph: &[&str]) -> bool {
    let text = paragraph.join(" ").to_lowercase();
    let about_mail = ["e-mail", "email", "message", "nachricht", "courriel", "correo", "mensaje"];
    let said = [
        ("confidential", "recipient"),
        ("confidential", "intended"),
        ("vertraulich", "empfänger"),
        ("vertraulich", "adressat"),
        ("confidentiel", "destinataire"),
        ("confidencial", "destinatario"),
        ("riservat", "destinatari"),
        ("virus", "scanned"),
        ("virus", "avast"),
        ("consider the environment", "print"),
    ];
    about_mail.iter().any(|word| text.contains(word))
        && said.iter().any(|(a, b)| text.contains(a) && text.contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(text: &str) -> String {
        let mut lines: Vec<&str> = text.split('\n').collect();
        strip(&mut lines);
        lines.join("\n")
    }

    #[test]
    fn lines_of_programs_and_contact_details_go() {
        assert_eq!(stripped("Yes.\n\nSent from my iPhone"), "Yes.");
        assert_eq!(stripped("Ja.\n\nVon meinem iPhone gesendet\n"), "Ja.");
        assert_eq!(stripped("Oui.\n\nEnvoyé de mon téléphone"), "Oui.");
        let card = "Yes.\n\nBest,\nAnn\n\nAnn Example\nTel. +44 20 7946 0000\nwww.example.org";
        assert_eq!(stripped(card), "Yes.\n\nBest,\nAnn");
        let notice = "Yes.\n\nThis email is confidential and for its intended recipient\nonly.";
        assert_eq!(stripped(notice), "Yes.");
    }

    #[test]
    fn greetings_and_facts_stay() {
        for text in [
            "Yes.\n\nBest wishes,\nAnn",
            "The number is\n\n+44 20 7946 0000",
            "Sent from my heart to yours, this letter has a long line that no program would ever append to it, as you see.",
            "See you.\n\nIt was sent by mistake.",
        ] {
            assert_eq!(stripped(text), text);
        }
        assert!(begins(&["-- "], 0));
        assert!(begins(&["__________", "tea mailing list", "tea@lists.example"], 0));
        assert!(!begins(&["__________", "a table"], 0));
    }
}
