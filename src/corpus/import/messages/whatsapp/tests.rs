#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::import::messages::testing::{self, Summary};

const ANDROID: &str = "\
13/01/2023, 09:00 - Messages and calls are end-to-end encrypted. No one outside of this chat, not even WhatsApp, can read or listen to them.
13/01/2023, 09:00 - Berta Lind created group \"Trip: Lake Tamsel\"
13/01/2023, 09:01 - Berta Lind: Who has the big tent?
13/01/2023, 09:02 - Anna Horvat: Me.
But the poles are
gone: all four <This message was edited>
13/01/2023, 09:02 - Anna Horvat: <Media omitted>
13/01/2023, 09:03 - Anna Horvat: IMG-20230113-WA0004.jpg (file attached)
The bag, with a hole
13/01/2023, 09:04 - +49 151 2345678: This message was deleted
13/01/2023, 09:05 - \u{202a}+49 151 2345678\u{202c}: ask @\u{2068}Berta\u{2069}
13/01/2023, 09:06 - Berta Lind: null
13/01/2023, 09:07 - Berta Lind changed the subject from \"Trip: Lake Tamsel\" to \"Lake: July\"
13/01/2023, 09:07 - Berta Lind pinned this: nothing
13/01/2023, 09:08 - Berta Lind: https://tamsel.example/lake
13/01/2023, 09:09 - Berta Lind: POLL:
Which day?
OPTION: Friday (2 votes)
OPTION: Saturday (0 votes)
13/01/2023, 09:10 - Berta Lind: location: https://maps.google.com/?q=50.1,8.2
13/01/2023, 09:11 - Anna Horvat:
13/01/2023, 09:12 - Anna Horvat left
";

const IOS: &str = "\
[31.12.22, 23:59:58] Reisegruppe: \u{200e}Nachrichten und Anrufe sind Ende-zu-Ende-verschlüsselt.
[31.12.22, 23:59:59] Anna: Gleich!
\u{200e}[01.01.23, 00:00:01] Anna: \u{200e}<Anhang: 00000003-PHOTO-2023-01-01-00-00-01.jpg>
\u{200e}[01.01.23, 00:00:02] Bo: Das Feuerwerk \u{200e}<Anhang: 00000004-VIDEO-2023-01-01-00-00-02.mp4>
[01.01.23, 00:00:03] Bo: \u{200e}Bild weggelassen
[01.01.23, 00:00:04] Bo: Menü.pdf • \u{200e}2 Seiten \u{200e}<Anhang: 00000005-Menü.pdf>
[01.01.23, 00:00:05] ~\u{202f}Cy: \u{200e}Diese Nachricht wurde gelöscht.
[01.01.23, 00:00:06] ~\u{202f}Cy: Frohes neues
Jahr!
[01.01.23, 00:00:07] Anna: Danke \u{200e}<Diese Nachricht wurde bearbeitet.>
[01.01.23, 00:00:08] Anna: \u{200e}UMFRAGE:
Wann?
";

fn read(name: &str, contents: &[u8]) -> Summary {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, contents).unwrap();
    testing::summary(&mut open(&path).unwrap())
}

fn texts(summary: &Summary) -> Vec<(&str, &str)> {
    summary.messages.iter().map(|m| (m.author.name.as_deref().unwrap(), m.text.as_str())).collect()
}

#[test]
fn a_chat_of_android() {
    let read = read("WhatsApp Chat with Trip.txt", ANDROID.as_bytes());
    let expected = [
        ("Berta Lind", "Who has the big tent?"),
        ("Anna Horvat", "Me.\nBut the poles are\ngone: all four"),
        ("Anna Horvat", "The bag, with a hole"),
        ("+49 151 2345678", "ask @Berta"),
    ];
    assert_eq!(texts(&read), expected);
    assert_eq!(read.messages[0].time, Some(1_673_600_460));
    assert_eq!(read.messages[0].conversation.id, "Trip");
    assert_eq!(read.messages[3].author.address.as_deref(), Some("+491512345678"));
    let left = [(SYSTEM, 5), (ONLY_MEDIA, 4), (DELETED, 1), (ONLY_LINKS, 1), (EMPTY, 1)];
    assert_eq!(read.left, left.into());
    assert_eq!(read.malformed, []);
}

#[test]
fn a_chat_of_ios_in_its_archive() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("WhatsApp Chat - Reisegruppe.zip");
    let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    writer.start_file("_chat.txt", options).unwrap();
    writer.write_all(IOS.replace('\n', "\r\n").as_bytes()).unwrap();
    writer.start_file("00000004-VIDEO-2023-01-01-00-00-02.mp4", options).unwrap();
    writer.write_all(b"no video").unwrap();
    writer.finish().unwrap();
    assert!(looks_like(&path, b"PK\x03\x04"));
    let read = testing::summary(&mut open(&path).unwrap());
    let expected = [
        ("Anna", "Gleich!"),
        ("Bo", "Das Feuerwerk"),
        ("Cy", "Frohes neues\nJahr!"),
        ("Anna", "Danke"),
    ];
    assert_eq!(texts(&read), expected);
    assert_eq!(read.messages[0].time, Some(1_672_531_199));
    assert_eq!(read.messages[0].conversation.title.as_deref(), Some("Reisegruppe"));
    assert_eq!(read.left, [(SYSTEM, 2), (ONLY_MEDIA, 3), (DELETED, 1)].into());
}

#[test]
fn other_encodings_and_damage() {
    let utf_16: Vec<u8> =
        format!("\u{feff}{IOS}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(read("chat.txt", &utf_16).messages.len(), 4);
    let latin = encoding_rs::WINDOWS_1252
        .encode("13.01.23, 09:00 - Jörg: Größe und Länge prüfen, später\n")
        .0
        .into_owned();
    assert_eq!(texts(&read("chat.txt", &latin)), [("Jörg", "Größe und Länge prüfen, später")]);
    let cut = read("chat.txt", &ANDROID.as_bytes()[ANDROID.find("gone").unwrap() - 40..]);
    assert_eq!(cut.malformed.len(), 3, "{:?}", cut.malformed);
    assert!(cut.malformed[0].0.ends_with("line 1") && cut.messages.len() == 2);
    // A day that does not exist costs the time, not the text.
    let absurd = read("chat.txt", b"13/01/2023, 09:00 - A: x\n99/77/2023, 09:00 - A: y\n");
    assert_eq!(absurd.messages.iter().map(|m| m.time.is_some()).collect::<Vec<_>>(), [true, false]);
    let none = read("notes.txt", b"Milk\nEggs\n");
    assert!(none.malformed[0].1.contains("as WhatsApp writes them"), "{none:?}");
    assert!(!looks_like(Path::new("notes.txt"), b"Milk\nEggs\n"));
    let long = format!(
        "13/01/2023, 09:00 - A: x\n{}13/01/2023, 09:01 - A: z\n",
        "word word\n".repeat(200_000)
    );
    let long = read("chat.txt", long.as_bytes());
    assert_eq!((long.messages.len(), long.malformed.len()), (1, 1));
}

#[test]
fn titles_come_from_names_of_files() {
    for (name, title) in [
        ("WhatsApp Chat with Anna & Bo.txt", "Anna & Bo"),
        ("WhatsApp_Chat_with_Anna.txt", "Anna"),
        ("WhatsApp-Chat mit Jörg.txt", "Jörg"),
        ("Chat de WhatsApp con Lola.txt", "Lola"),
        ("family.txt", "family"),
    ] {
        let read = read(name, b"13/01/2023, 09:00 - A: x\n");
        assert_eq!(read.messages[0].conversation.id, title);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_file_is_read(
        lines in prop::collection::vec("(13/01/2023, 09:00 - |\\[1.2.23, 10:00\\] |\u{200e}|A: |<Media omitted>|<|>|null|POLL:|.){0,8}", 0..8),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let contents = [lines.join("\n").as_bytes(), &bytes].concat();
        let read = read("chat.txt", &contents);
        prop_assert!(read.messages.iter().all(|m| !m.text.trim().is_empty()));
    }
}
