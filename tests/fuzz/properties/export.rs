//! Exports of messages: a letter that chooses the format, then a file, or several behind lines `=== NAME`.

use std::fs;

use idiolect_core::corpus::KeptReviews;
use idiolect_core::corpus::import::{
    Delimiter, FileEncoding, ImportFormat, ImportOptions, ImportSource, MessageFormat, OnMalformed,
    PersonNames,
};

use super::{framed, import, scratch};

/// A format, and the name of a single file of it.
type Export = (MessageFormat, &'static str);

pub fn check_mail(input: &[u8]) {
    check(
        input,
        &[
            (MessageFormat::Mbox, "mails.mbox"),
            (MessageFormat::Eml, "mail.eml"),
            (MessageFormat::Maildir, "cur/1:2,S"),
            (MessageFormat::Eml, "mail.emlx"),
        ],
    );
}

pub fn check_chats(input: &[u8]) {
    check(
        input,
        &[
            (MessageFormat::WhatsApp, "WhatsApp Chat with Ann.txt"),
            (MessageFormat::Telegram, "result.json"),
            (MessageFormat::Slack, "general/2023-01-13.json"),
            (MessageFormat::Discord, "channel.json"),
        ],
    );
}

pub fn check_posts(input: &[u8]) {
    check(
        input,
        &[
            (MessageFormat::Reddit, "comments.csv"),
            (MessageFormat::Mastodon, "outbox.json"),
            (MessageFormat::Goodreads, "goodreads_library_export.csv"),
            (MessageFormat::Letterboxd, "reviews.csv"),
            (MessageFormat::GoogleReviews, "Reviews.json"),
            (MessageFormat::Markdown, "note.md"),
            (MessageFormat::Reddit, "RC_2023-01.jsonl"),
        ],
    );
}

fn check(input: &[u8], exports: &[Export]) {
    let Some((letter, content)) = input.split_first() else { return };
    let letter = usize::from(letter.wrapping_sub(b'a'));
    let (format, name) = exports[letter % exports.len()];
    let folder = scratch();
    let export = folder.path().join("export");
    let path = match framed::files(content) {
        Some(files) => {
            framed::write(&export, &files);
            export
        }
        None if content.starts_with(b"PK") => {
            let path = folder.path().join("export.zip");
            fs::write(&path, content).unwrap();
            path
        }
        None => {
            framed::write(&export, &[(name.to_owned(), content)]);
            // A folder where the format has one, else the file.
            if name.contains('/') { export } else { export.join(name) }
        }
    };
    let _ = (MessageFormat::detect(&path), ImportFormat::detect(&path));
    let people = PersonNames { me: vec!["Ann".to_owned()], ..PersonNames::default() };
    let options = ImportOptions {
        format: ImportFormat::Messages(format),
        reviews: Some(ImportSource::File(path)),
        items: None,
        kept: KeptReviews::All,
        on_malformed: OnMalformed::Skip,
        encoding: FileEncoding::Detected,
        delimiter: Delimiter::Detected,
        people,
    };
    // A compressed file may hold more than its size.
    let packed = [&b"PK"[..], b"\x1f\x8b"].iter().any(|magic| content.starts_with(magic));
    import::check(&options, content.len() * if packed { 1032 } else { 1 });
}
