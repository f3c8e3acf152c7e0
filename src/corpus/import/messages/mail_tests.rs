//! Whole mails and files of mails, undamaged and damaged.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use proptest::prelude::*;

use super::mail::{MailContext, Mails};
use super::subject::without_prefixes;
use super::{Answered, ExportMessage, ExportReader, Found, mail_files, mbox};

/// Reads one mail.
fn found(mail: &str) -> Found {
    found_bytes(mail.as_bytes())
}

fn found_bytes(mail: &[u8]) -> Found {
    let context = MailContext { place: "x".to_owned(), number: 1, is_stray: false, flags: "" };
    Mails::default().found(mail, &context)
}

fn message(mail: &str) -> ExportMessage {
    match found(mail) {
        Found::Message(message) => message,
        other => panic!("{other:?}"),
    }
}

fn left(mail: &str) -> &'static str {
    match found(mail) {
        Found::Left { reason } => reason,
        other => panic!("{other:?}"),
    }
}

/// A mail with further headers and a body.
fn mail(headers: &str, body: &str) -> String {
    format!(
        "From: Ann Example <Ann@Example.org>\nTo: bo@example.org\nDate: Mon, 3 May 2021 10:12:00 +0200\n\
         Message-ID: <m1@example.org>\nSubject: Re: Tea\n{headers}\n{body}"
    )
}

/// Everything that a reader finds.
fn all(reader: &mut dyn ExportReader) -> Vec<Found> {
    let mut found = Vec::new();
    reader
        .read(&mut |one| {
            found.push(one);
            Ok(true)
        })
        .unwrap();
    found
}

#[test]
fn a_mail_has_its_author_thread_time_and_answer() {
    let text = mail(
        "In-Reply-To: <m0@example.org>\nReferences: <r@example.org>\n <m0@example.org>\n",
        "Yes.\n\nOn Sun, 2 May 2021 at 09:00, Bo <bo@example.org> wrote:\n> Tea?\n",
    );
    let read = message(&text);
    assert_eq!(read.author.name.as_deref(), Some("Ann Example"));
    assert_eq!(read.author.address.as_deref(), Some("ann@example.org"));
    assert_eq!(read.conversation.title.as_deref(), Some("Tea"));
    assert_eq!((read.time, read.text.as_str()), (Some(1_620_029_520), "Yes."));
    assert_eq!(read.id.as_deref(), Some("m1@example.org"));
    let Answered::Quoted { id, text, author } = read.answers else { panic!("{:?}", read.answers) };
    assert_eq!((id.as_str(), text.as_str()), ("m0@example.org", "Tea?"));
    assert_eq!(author.unwrap().address.as_deref(), Some("bo@example.org"));
    let bare = message(&mail("", "No.\n"));
    assert_eq!(bare.answers, Answered::Nothing);
}

#[test]
fn encodings_and_kinds_of_text() {
    let quoted = mail(
        "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n",
        "Gr=FC=DFe aus K=F6ln, =\nAnn\n",
    );
    assert_eq!(message(&quoted).text, "Grüße aus Köln, Ann");
    let base64 = mail(
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n",
        "R3LDvMOfZSDwn42tCg==\n",
    );
    assert_eq!(message(&base64).text, "Grüße 🍭");
    let flowed =
        mail("Content-Type: text/plain; format=flowed\n", "One long \nline.\n> Old \n> one.\n");
    assert_eq!(message(&flowed).text, "One long line.");
    let html = mail(
        "Content-Type: text/html; charset=utf-8\n",
        "<p>Hi&nbsp;Bo,</p><p>yes.</p><div>On 3 May 2021, Bo &lt;b@c.de&gt; wrote:</div>\
         <blockquote>Tea?</blockquote>",
    );
    assert_eq!(message(&html).text, "Hi Bo,\n\nyes.");
    let both = mail(
        "MIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=b\n",
        "--b\nContent-Type: text/plain\n\nPlain.\n--b\nContent-Type: text/html\n\n<p>Html.</p>\n--b--\n",
    );
    assert_eq!(message(&both).text, "Plain.");
    let words = mail("X-A: b\n", "x").replace(
        "Subject: Re: Tea",
        "Subject: =?utf-8?Q?AW=3A_Tee_f=C3=BCr?=\n =?utf-8?B?IHp3ZWk=?=",
    );
    assert_eq!(message(&words).conversation.title.as_deref(), Some("Tee für zwei"));
    let japanese =
        mail("Content-Type: text/plain; charset=iso-2022-jp\n", "\u{1b}$B$3$s$K$A$O\u{1b}(B\n");
    assert_eq!(message(&japanese).text, "こんにちは");
}

#[test]
fn texts_in_another_encoding_than_they_name_are_read() {
    for charset in [
        "",
        "Content-Type: text/plain; charset=utf-8\n",
        "Content-Type: text/plain; charset=us-ascii\n",
    ] {
        let mut bytes = mail(charset, "Gr").into_bytes();
        bytes.extend_from_slice(b"\xfc\xdfe aus K\xf6ln, sch\xf6n hier\n");
        let Found::Message(read) = found_bytes(&bytes) else { panic!() };
        assert_eq!(read.text, "Grüße aus Köln, schön hier", "{charset}");
    }
    assert_eq!(
        message(&mail("Content-Type: text/plain; charset=klingon\n", "Qapla\n")).text,
        "Qapla"
    );
}

#[test]
fn what_no_person_wrote_is_left_out() {
    let from = |address: &str| mail("", "x").replace("Ann@Example.org", address);
    for (text, reason) in [
        (mail("Auto-Submitted: auto-replied\n", "I am away."), "automatic mails"),
        (mail("X-Autoreply: yes\n", "I am away."), "automatic mails"),
        (
            mail("Content-Type: multipart/report; boundary=b\n", "--b\n\nfailed\n--b--\n"),
            "automatic mails",
        ),
        (from("no-reply@example.org"), "automatic mails"),
        (from("notifications-123@example.org"), "automatic mails"),
        (mail("List-Unsubscribe: <x:y>\n", "Buy."), "newsletters"),
        (mail("Precedence: bulk\n", "Buy."), "newsletters"),
        (mail("Content-Type: text/calendar\n", "BEGIN:VCALENDAR"), "calendar invitations"),
        (
            mail("Content-Type: multipart/encrypted; boundary=b\n", "--b\n\nx\n--b--\n"),
            "encrypted mails",
        ),
        (mail("", "-----BEGIN PGP MESSAGE-----\n\nx\n"), "encrypted mails"),
        (mail("X-Gmail-Labels: Inbox,Spam\n", "Buy."), "spam"),
        (mail("X-Gmail-Labels: Drafts\n", "x"), "drafts"),
        (mail("X-Mozilla-Status: 0009\n", "x"), "deleted mails"),
        (mail("", "\n\n"), "mails without text"),
        (mail("", "> Tea?\n"), "mails with nothing but quoted text"),
        (
            mail("", "---------- Forwarded message ---------\nFrom: Bo\nDate: x\nTo: y\n\nz"),
            "mails passed on without own text",
        ),
    ] {
        assert_eq!(left(&text), reason, "{text}");
    }
    // A discussion list is people.
    let list = mail(
        "List-Post: <mailto:tea@lists.example>\nList-Unsubscribe: <x:y>\nPrecedence: list\n",
        "Hello all.",
    );
    assert_eq!(message(&list).text, "Hello all.");
    let munged = mail("Reply-To: ann@example.org\n", "Hi.")
        .replace("Ann Example <Ann@Example.org>", "Ann Example via tea <tea@lists.example>");
    let author = message(&munged).author;
    assert_eq!(
        (author.name.as_deref(), author.address.as_deref()),
        (Some("Ann Example"), Some("ann@example.org"))
    );
}

#[test]
fn signed_texts_lose_the_signature() {
    let signed = mail(
        "",
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nTea.\n- -- dash\n-----BEGIN PGP SIGNATURE-----\n\nabc\n-----END PGP SIGNATURE-----\n",
    );
    assert_eq!(message(&signed).text, "Tea.\n-- dash");
}

#[test]
fn subjects_lose_their_prefixes() {
    for (subject, title) in [
        ("Re: AW: Re[2]: Tea", "Tea"),
        ("Fwd: [tea] Re: Tea  time", "[tea] Tea time"),
        ("[tea] Tea", "[tea] Tea"),
        ("SV: VS: Te", "Te"),
        ("Recipe: tea", "Recipe: tea"),
        ("RE : thé", "thé"),
        ("回复：茶", "茶"),
        ("", ""),
    ] {
        assert_eq!(without_prefixes(subject), title);
    }
}

#[test]
fn damaged_mails_are_read_or_named() {
    let truncated = mail(
        "Content-Type: multipart/mixed; boundary=b\n",
        "--b\nContent-Type: text/plain\n\nStill here",
    );
    assert_eq!(message(&truncated).text, "Still here");
    let cut = mail(
        "Content-Transfer-Encoding: base64\nContent-Type: text/plain; charset=utf-8\n",
        "U3RpbGwgaGVyZSwgY3V0IG9mZg",
    );
    assert!(message(&cut).text.starts_with("Still here"), "{:?}", found(&cut));
    let escapes = mail("Content-Transfer-Encoding: quoted-printable\n", "100 =% sure =C3=A9 =");
    assert_eq!(message(&escapes).text, "100 =% sure é");
    let nul = mail("", "a\0b\0\n");
    assert_eq!(message(&nul).text, "ab");
    let headers = format!("{}x\n", mail(&format!("X-Long: {}\n", "y".repeat(10 << 20)), ""));
    assert!(
        matches!(found(&headers), Found::Malformed { reason, .. } if reason.contains("512 KiB"))
    );
    for kind in ["message/rfc822", "multipart/mixed; boundary=b"] {
        let deep = mail(
            &format!("Content-Type: {kind}\n"),
            &format!("--b\nContent-Type: {kind}\n\n").repeat(200),
        );
        assert!(matches!(found(&deep), Found::Malformed { reason, .. } if reason.contains("100")));
    }
    for text in ["", "\n\n", "no mail at all", "Subject: x\n\ny"] {
        assert!(matches!(found(text), Found::Malformed { .. }), "{text:?}: {:?}", found(text));
    }
}

#[test]
fn an_mbox_and_the_same_mails_in_files_give_the_same_messages() {
    let folder = tempfile::tempdir().unwrap();
    let second = mail("In-Reply-To: <m1@example.org>\n", "And milk.\n")
        .replace("<m1@example.org>\nSubject", "<m2@example.org>\nSubject");
    let mails = [mail("", "Tea.\n"), second];
    let boxed: String = mails
        .iter()
        .map(|mail| format!("From ann@example.org Mon May  3 10:12:00 2021\n{mail}\n"))
        .collect();
    std::fs::write(folder.path().join("m.mbox"), &boxed).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, boxed.as_bytes()).unwrap();
    std::fs::write(folder.path().join("m.mbox.gz"), packed.finish().unwrap()).unwrap();
    for (at, sub) in ["cur", ".Sent/cur"].iter().enumerate() {
        std::fs::create_dir_all(folder.path().join("maildir").join(sub)).unwrap();
        std::fs::create_dir_all(folder.path().join("maildir").join(sub).with_file_name("new"))
            .unwrap();
        let file = folder.path().join("maildir").join(sub).join(format!("162{at}.x:2,S"));
        std::fs::write(file, &mails[1 - at]).unwrap();
    }
    std::fs::create_dir(folder.path().join("eml")).unwrap();
    std::fs::write(folder.path().join("eml/a.eml"), &mails[0]).unwrap();
    std::fs::write(
        folder.path().join("eml/b.emlx"),
        format!("{:<10}\n{}<plist/>", mails[1].len(), mails[1]),
    )
    .unwrap();

    let expected = all(&mut mbox::open(&folder.path().join("m.mbox")).unwrap());
    assert_eq!(expected.len(), 2);
    let of_thread = |found: &[Found]| {
        let Found::Message(message) = &found[0] else { panic!("{found:?}") };
        message.conversation.id.clone()
    };
    assert!(
        expected.iter().all(|one| of_thread(std::slice::from_ref(one)) == of_thread(&expected))
    );
    assert_eq!(all(&mut mbox::open(&folder.path().join("m.mbox.gz")).unwrap()), expected);
    let mut maildir = all(&mut mail_files::open_maildir(&folder.path().join("maildir")).unwrap());
    maildir.reverse();
    maildir.sort_by_key(|one| matches!(one, Found::Message(m) if m.text == "And milk."));
    assert_eq!(maildir, expected);
    assert_eq!(all(&mut mail_files::open_eml(&folder.path().join("eml")).unwrap()), expected);
    assert!(mail_files::open_maildir(&folder.path().join("eml")).is_err());
    assert!(mail_files::looks_like_maildir(&folder.path().join("maildir"), b""));
    assert!(mail_files::looks_like_eml(&folder.path().join("eml"), b""));
    assert!(mail_files::looks_like_eml(Path::new("x"), mails[0].as_bytes()));
    assert!(!mail_files::looks_like_eml(Path::new("x"), b"user,item,text\nann,tea,From: x\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_are_a_mail_or_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = found_bytes(&bytes);
        let _ = found_bytes(&[mail("Content-Type: text/html\n", "").into_bytes(), bytes].concat());
    }

    #[test]
    fn any_structure_is_a_mail_or_a_reason(text in "(From: |To: |Content-Type: |multipart/mixed; boundary=b|message/rfc822|text/plain|text/html|;charset=|utf-16|iso-2022-jp|format=flowed|Content-Transfer-Encoding: |base64|quoted-printable|--b|--b--|\n|\n\n|=C3|=\\?utf-8\\?Q\\?|\\?=|a@b.c|<|>|\0|é)*") {
        let _ = found(&text);
        let _ = found(&mail("", &text));
        let _ = found(&mail("Content-Type: multipart/mixed; boundary=b\n", &text));
    }

    #[test]
    fn a_mail_cut_anywhere_is_a_mail_or_a_reason(at in 0_usize..600) {
        let whole = mail("Content-Type: multipart/alternative; boundary=b\n", "--b\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\nR3LDvMOfZSDwn42tCg==\n--b\nContent-Type: text/html\n\n<p>Html.</p>\n--b--\n");
        let _ = found_bytes(&whole.as_bytes()[..at.min(whole.len())]);
    }
}
