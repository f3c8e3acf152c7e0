//! Texts that WhatsApp puts into exports in the place of a message, or behind it, in the languages of the
//! program.

use super::head::MARKS;

/// Android: in the place of a file that was not exported. Lower case, without brackets.
const OMITTED: &[&str] = &[
    "media omitted",
    "media skipped",
    "multimedia omitted",
    "media weggelaat",
    "تم استبعاد الوسائط",
    "media buraxıldı",
    "без файл",
    "মিডিয়া বাদ দেওয়া হয়েছে",
    "mitjans omesos",
    "fitxers multimèdia omesos",
    "média vynechány",
    "média vynechána",
    "medier udeladt",
    "mediefil udeladt",
    "medien ausgeschlossen",
    "medien weggelassen",
    "εξαίρεση πολυμέσων",
    "multimedia omitido",
    "archivo omitido",
    "meedia ära jäetud",
    "رسانه حذف شد",
    "media jätettiin pois",
    "media jätetty pois",
    "médias omis",
    "fichier omis",
    "המדיה לא נכללה",
    "मीडिया के बिना",
    "medijski zapis izostavljen",
    "média elhagyva",
    "hiányzó médiafájl",
    "media tidak disertakan",
    "media omessi",
    "media omesso",
    "メディアなし",
    "メディアは含まれていません",
    "미디어 파일 제외됨",
    "미디어 파일을 생략한 대화내용",
    "praleistas medijos turinys",
    "bez multivides",
    "media dikecualikan",
    "media disingkirkan",
    "media utelatt",
    "uten vedlegg",
    "media weggelaten",
    "pominięto multimedia",
    "pliki pominięto",
    "ficheiro não revelado",
    "ficheiros omitidos",
    "mídia oculta",
    "mídia omitida",
    "arquivo de mídia oculto",
    "conținut media omis",
    "без медиафайлов",
    "файл пропущен",
    "médiá vynechané",
    "medij izpuščen",
    "media har utelämnats",
    "media utelämnat",
    "medya dahil edilmedi",
    "medya atlanmış",
    "медіа пропущено",
    "میڈیا چھوڑ دیا گیا",
    "bỏ qua tệp phương tiện",
    "忽略多媒體檔",
    "省略多媒体文件",
    "媒體檔案已省略",
];

/// iOS: words that stand behind the kind of a file that was not exported, as in `image omitted` or, in older
/// exports, `<image omitted>`.
const OMITTED_ENDS: &[&str] = &[
    " omitted",
    " weggelassen",
    " omitido",
    " omitida",
    " omis",
    " omise",
    " absente",
    " absent",
    " omesso",
    " omessa",
    " weggelaten",
    " ocultado",
    " ocultada",
    " oculto",
    " pominięto",
    " utelämnad",
    " utelatt",
    " udeladt",
    " puuttuu",
    " опущено",
    " dahil edilmedi",
    "が省略されました",
    "已忽略",
];

/// Android: behind the name of a file that was exported, in brackets.
const ATTACHED: &[&str] = &[
    "file attached",
    "datei angehängt",
    "archivo adjunto",
    "fichier joint",
    "file allegato",
    "arquivo anexado",
    "ficheiro anexado",
    "bestand bijgevoegd",
    "załączony plik",
    "файл добавлен",
    "файл додано",
    "soubor byl přiložen",
    "súbor pripojený",
    "bifogad fil",
    "vedlagt fil",
    "fil vedhæftet",
    "liitetiedosto",
    "dosya ekli",
    "fájl csatolva",
    "file terlampir",
    "fail dilampirkan",
    "fișier atașat",
    "συνημμένο αρχείο",
    "datoteka u privitku",
    "קובץ מצורף",
    "الملف مرفق",
    "फाइल संलग्न",
    "添付ファイル有り",
    "파일 첨부됨",
    "文件附件",
    "附件檔案",
    "tệp đính kèm",
];

/// In the place of a message that was deleted. Lower case, without a final point.
const DELETED: &[&str] = &[
    "this message was deleted",
    "you deleted this message",
    "this message was deleted by admin",
    "diese nachricht wurde gelöscht",
    "du hast diese nachricht gelöscht",
    "se eliminó este mensaje",
    "este mensaje fue eliminado",
    "eliminaste este mensaje",
    "has eliminado este mensaje",
    "ce message a été supprimé",
    "vous avez supprimé ce message",
    "questo messaggio è stato eliminato",
    "hai eliminato questo messaggio",
    "mensagem apagada",
    "esta mensagem foi apagada",
    "você apagou esta mensagem",
    "apagou esta mensagem",
    "dit bericht is verwijderd",
    "dit bericht werd verwijderd",
    "je hebt dit bericht verwijderd",
    "u hebt dit bericht verwijderd",
    "ta wiadomość została usunięta",
    "wiadomość została usunięta",
    "ta wiadomość została usunięta przez ciebie",
    "usunięto tę wiadomość",
    "сообщение удалено",
    "данное сообщение удалено",
    "вы удалили это сообщение",
    "вы удалили данное сообщение",
    "це повідомлення видалено",
    "ви видалили це повідомлення",
    "tato zpráva byla odstraněna",
    "tato zpráva byla smazána",
    "meddelandet raderades",
    "du raderade detta meddelande",
    "denne meldingen ble slettet",
    "denne besked blev slettet",
    "tämä viesti poistettiin",
    "bu mesaj silindi",
    "bu mesajı sildiniz",
    "ez az üzenet törölve lett",
    "ezt az üzenetet törölték",
    "pesan ini telah dihapus",
    "anda menghapus pesan ini",
    "acest mesaj a fost șters",
    "αυτό το μήνυμα διαγράφηκε",
    "הודעה זו נמחקה",
    "تم حذف هذه الرسالة",
    "यह मैसेज हटाया गया",
    "このメッセージは削除されました",
    "이 메시지는 삭제되었습니다",
    "삭제된 메시지입니다",
    "此消息已被删除",
    "這則訊息已遭刪除",
    "此訊息已刪除",
];

/// Behind a message that was edited, in angle brackets. Lower case, without a final point.
const EDITED: &[&str] = &[
    "this message was edited",
    "diese nachricht wurde bearbeitet",
    "se editó este mensaje",
    "este mensaje fue editado",
    "ce message a été modifié",
    "questo messaggio è stato modificato",
    "messaggio modificato",
    "mensagem editada",
    "esta mensagem foi editada",
    "dit bericht is bewerkt",
    "wiadomość została edytowana",
    "ta wiadomość została edytowana",
    "сообщение изменено",
    "данное сообщение изменено",
    "це повідомлення відредаговано",
    "tato zpráva byla upravena",
    "meddelandet redigerades",
    "denne meldingen ble redigert",
    "denne besked blev redigeret",
    "tätä viestiä muokattiin",
    "bu mesaj düzenlendi",
    "ez az üzenet szerkesztve lett",
    "pesan ini diedit",
    "acest mesaj a fost editat",
    "ההודעה נערכה",
    "تم تعديل هذه الرسالة",
    "このメッセージは編集されました",
    "수정된 메시지",
    "此消息已编辑",
];

/// Android: calls and other remarks of the program, with a name before them.
const REMARKS: &[&str] = &[
    "waiting for this message",
    "waiting for this message. this may take a while",
    "warte auf diese nachricht",
    "esperando el mensaje",
    "missed voice call",
    "missed video call",
    "missed group voice call",
    "missed group video call",
    "verpasster sprachanruf",
    "verpasster videoanruf",
    "llamada perdida",
    "videollamada perdida",
    "appel vocal manqué",
    "appel vidéo manqué",
    "chiamata vocale persa",
    "videochiamata persa",
    "chamada de voz perdida",
    "chamada de vídeo perdida",
    "gemiste spraakoproep",
    "gemiste video-oproep",
];

/// Text of a message that can be viewed once, in exports of Android.
const VIEW_ONCE: &str = "null";

/// A text in the form of the lists: without marks, white space around it and a final point, in lower case.
fn normal(text: &str) -> String {
    let text: String = text.chars().filter(|c| !MARKS.contains(c)).collect();
    text.trim().trim_end_matches(['.', '。', '।']).to_lowercase()
}

/// Whether a line stands in the place of a file. `by_program` tells that the line is marked as written by
/// the program, as exports of iOS have it.
pub(super) fn is_media(line: &str, by_program: bool) -> bool {
    let line = normal(line);
    if line == VIEW_ONCE {
        return true;
    }
    let inner = line.strip_prefix('<').and_then(|inner| inner.strip_suffix('>')).map(str::trim);
    if let Some(inner) = inner {
        // `<attached: 00000012-PHOTO.jpg>`, whatever the language.
        let is_file = inner.split_once(": ").is_some_and(|(_, name)| has_extension(name));
        return OMITTED.contains(&inner) || is_file || is_omitted(inner);
    }
    by_program && is_omitted(&line) || is_attachment(&line)
}

fn is_omitted(line: &str) -> bool {
    OMITTED_ENDS.iter().any(|end| line.ends_with(end))
}

/// Whether a line is the name of an exported file, followed by a remark in brackets.
fn is_attachment(line: &str) -> bool {
    let Some((name, remark)) = line.strip_suffix(')').and_then(|line| line.rsplit_once(" ("))
    else {
        return false;
    };
    // Files of WhatsApp have names of a fixed form, so that the remark may be in any language.
    let is_own = name.contains("-wa") && name.bytes().filter(u8::is_ascii_digit).count() >= 8;
    is_own || has_extension(name) && ATTACHED.contains(&remark)
}

/// Whether a text ends with a point and two to five letters or digits, like the name of a file.
pub(super) fn has_extension(name: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, end)| {
        !stem.is_empty()
            && (2..=5).contains(&end.len())
            && end.bytes().all(|b| b.is_ascii_alphanumeric())
            && end.bytes().any(|b| b.is_ascii_alphabetic())
    })
}

/// Whether a message is what the program writes in the place of a deleted one.
pub(super) fn is_deleted(text: &str) -> bool {
    DELETED.contains(&normal(text).as_str())
}

/// Whether a message is a remark of the program, such as a call that was missed.
pub(super) fn is_remark(text: &str) -> bool {
    REMARKS.contains(&normal(text).as_str())
}

/// Returns a text without the remark at its end that it was edited.
pub(super) fn without_edited(text: &str) -> &str {
    let trimmed = text.trim_end_matches(|c: char| c.is_whitespace() || c == '\u{200e}');
    let Some((before, remark)) =
        trimmed.strip_suffix('>').and_then(|trimmed| trimmed.rsplit_once('<'))
    else {
        return text;
    };
    // Exports of iOS mark it as written by the program.
    let is_marked =
        before.ends_with('\u{200e}') && !before.trim().is_empty() && !remark.contains(": ");
    match is_marked || EDITED.contains(&normal(remark).as_str()) {
        true => before.trim_end_matches(|c: char| c.is_whitespace() || c == '\u{200e}'),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_in_the_form_in_which_they_are_compared() {
        for phrase in [OMITTED, ATTACHED, DELETED, EDITED, REMARKS].concat() {
            assert_eq!(normal(phrase), phrase);
        }
    }

    #[test]
    fn media_in_several_languages() {
        for line in [
            "<Media omitted>",
            "<Medien ausgeschlossen>",
            "< Média vynechána >",
            "<Multimedia omitido>",
            "<Без медиафайлов>",
            "<メディアなし>",
            "IMG-20230406-WA0002.jpg (Datei angehängt)",
            "PTT-20230406-WA0002.opus (irgendeine Sprache)",
            "Lease 2021.pdf (file attached)",
            "<attached: 00000012-PHOTO-2021-03-04-10-11-12.jpg>",
            "<Anhang: 00000012-AUDIO.opus>",
            "<image omitted>",
            "\u{200f}<المُرفق: 00000042-TR.vcf>",
            "DOC-20220831-WA0001. (file attached)",
            "null",
        ] {
            assert!(is_media(line, false), "{line}");
        }
        assert!(is_media("image omitted", true) && is_media("Bild weggelassen", true));
        for line in [
            "image omitted",
            "<div>",
            "he said (file attached)",
            "see a.txt (old)",
            "<3",
            "nullable",
        ] {
            assert!(!is_media(line, false), "{line}");
        }
    }

    #[test]
    fn deleted_and_edited_messages() {
        assert!(
            is_deleted("Diese Nachricht wurde gelöscht.") && is_deleted("You deleted this message")
        );
        assert!(!is_deleted("This message was deleted, you said"));
        assert_eq!(without_edited("Yes <This message was edited>"), "Yes");
        assert_eq!(without_edited("Ja \u{200e}<Nějaký jiný jazyk>"), "Ja");
        assert_eq!(without_edited("x <y>"), "x <y>");
        assert_eq!(without_edited("no"), "no");
    }
}
