//! Notes and posts in Markdown: a vault of Obsidian, the content of a site of Hugo or Jekyll, or any folder
//! of such files.
//!
//! Each file is a text, and an item of its own, so that one note does not hide the others of its folder
//! when a text is written.

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value};

use super::archive::{self, ExportFiles, OWNER_UNNAMED};
use super::chat_text::NO_OWN_WORDS;
use super::export_rows::is_plausible;
use super::{
    ByteCount, Conversation, ExportMessage, ExportReader, Found, MessageAuthor, OnFound,
    front_matter, markdown_text,
};
use crate::Result;
use crate::import::dates;
use crate::import::lines::MAX_LINE_BYTES;

/// Reason for leaving out a file without a text.
const EMPTY: &str = "notes without text";
/// Reason for leaving out what notes are made from.
const TEMPLATES: &str = "templates";

const EXTENSIONS: [&str; 5] = [".md", ".markdown", ".mdown", ".mkd", ".mdx"];
const DATES: [&str; 9] = [
    "date",
    "created",
    "published",
    "publishdate",
    "pubdate",
    "date_created",
    "datecreated",
    "created_at",
    "creation date",
];
const TAGS: [&str; 5] = ["tags", "tag", "categories", "category", "keywords"];

/// Whether a file has the name of a note, or a folder or an archive has such files.
pub(super) fn looks_like(path: &Path, head: &[u8]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    path.is_file() && is_note(&name) || archive::holds(path, head, is_note)
}

/// Opens a note, or a folder or an archive of notes.
///
/// # Errors
/// [`crate::Error::Open`].
pub(super) fn open(path: &Path) -> Result<MarkdownReader> {
    let files = ExportFiles::open(path)?;
    let is_single = path.is_file() && files.names().count() == 1;
    let notes = files.named(|name| is_single || is_note(name));
    Ok(MarkdownReader { files, notes })
}

fn is_note(name: &str) -> bool {
    EXTENSIONS.iter().any(|end| name.ends_with(end)) && !name.contains("node_modules/")
}

/// Reads notes and posts.
pub(super) struct MarkdownReader {
    files: ExportFiles,
    notes: Vec<String>,
}

impl ExportReader for MarkdownReader {
    fn read(&mut self, on: &mut OnFound<'_>) -> Result<()> {
        let root = root_name(&self.files);
        for name in &self.notes {
            let found = match self.text(name) {
                Ok(text) => note(&format!("{root}{name}"), &text),
                Err(reason) => Found::Malformed { place: self.files.shown(name), reason },
            };
            if !on(found)? {
                break;
            }
        }
        Ok(())
    }

    fn bytes_read(&self) -> Option<ByteCount> {
        Some(self.files.bytes_read())
    }

    fn size(&self) -> Option<u64> {
        Some(self.files.size_of(&self.notes))
    }
}

impl MarkdownReader {
    fn text(&self, name: &str) -> Result<String, String> {
        let mut input = self.files.input(name).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        let most = MAX_LINE_BYTES as u64 + 1;
        input.reader.as_mut().take(most).read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        if bytes.len() > MAX_LINE_BYTES {
            return Err(format!("the file is longer than {} MiB", MAX_LINE_BYTES >> 20));
        }
        if bytes.contains(&0) {
            return Err("the file is no text".to_owned());
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// Name of the folder of notes, with `/` behind: paths within several folders may be the same.
fn root_name(files: &ExportFiles) -> String {
    let path = files.root().canonicalize().unwrap_or_else(|_| files.root().to_owned());
    let is_archive = !path.is_dir() && files.names().any(|name| !path.ends_with(name));
    let name = match (path.is_dir(), is_archive) {
        (true, _) => path.file_name(),
        (false, true) => path.file_stem(),
        (false, false) => path.parent().and_then(Path::file_name),
    };
    name.map_or(String::new(), |name| format!("{}/", name.to_string_lossy()))
}

/// Takes a note apart whose path begins with the name of the folder.
fn note(name: &str, text: &str) -> Found {
    if name
        .to_lowercase()
        .split('/')
        .rev()
        .skip(1)
        .any(|folder| folder.trim_matches('_') == "templates")
    {
        return Found::Left { reason: TEMPLATES };
    }
    let (fields, body) = front_matter::split(text);
    let mut own = markdown_text::plain(body);
    if own.is_empty() {
        let reason = if body.trim().is_empty() { EMPTY } else { NO_OWN_WORDS };
        return Found::Left { reason };
    }
    let file = FileName::of(name);
    let title = text_of(&fields, "title").or_else(|| heading(body, &mut own)).unwrap_or(file.title);
    if own.is_empty() {
        return Found::Left { reason: EMPTY };
    }
    let time = DATES.iter().find_map(|name| dates::seconds_of(&text_of(&fields, name)?).ok());
    let author = ["author", "authors"].iter().find_map(|name| text_of(&fields, name));
    let tags: Vec<String> = TAGS.iter().flat_map(|name| tags(fields.get(*name))).collect();
    Found::Message(ExportMessage {
        id: Some(name.to_owned()),
        author: MessageAuthor {
            name: Some(author.unwrap_or_else(|| OWNER_UNNAMED.to_owned())),
            address: None,
        },
        conversation: Conversation {
            id: file.id,
            title: Some(title.clone()),
            description: Some(tags.join(", ")).filter(|tags| !tags.is_empty()),
        },
        time: time.or(file.time).filter(|time| is_plausible(*time)),
        text: own,
        title: Some(title),
        ..ExportMessage::default()
    })
}

/// A field that is a text, or the first text of a list.
fn text_of(fields: &Map<String, Value>, name: &str) -> Option<String> {
    let text = match fields.get(name)? {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().find_map(Value::as_str)?.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::Object(object) => object.get("name")?.as_str()?.to_owned(),
        _ => return None,
    };
    // Obsidian links authors: `[[Anna Horvat]]`.
    let text = markdown_text::plain(&text);
    (!text.is_empty()).then_some(text)
}

/// Tags are a list, or a text with commas or spaces between them.
fn tags(value: Option<&Value>) -> Vec<String> {
    let tags: Vec<&str> = match value {
        Some(Value::Array(tags)) => tags.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(tags)) if tags.contains(',') => tags.split(',').collect(),
        Some(Value::String(tags)) => tags.split_whitespace().collect(),
        _ => Vec::new(),
    };
    let tags = tags.into_iter().map(|tag| tag.trim().trim_start_matches('#').to_owned());
    tags.filter(|tag| !tag.is_empty()).collect()
}

/// Takes the heading that a text begins with off its prose.
fn heading(body: &str, own: &mut String) -> Option<String> {
    let first = body.lines().find(|line| !line.trim().is_empty())?;
    let title = first.trim().strip_prefix("# ").map(markdown_text::plain)?;
    let rest = own.strip_prefix(title.as_str())?.trim_start().to_owned();
    *own = rest;
    (!title.is_empty()).then_some(title)
}

/// Title and date that the path of a note tells.
struct FileName {
    /// The path without its ending.
    id: String,
    title: String,
    time: Option<i64>,
}

impl FileName {
    fn of(name: &str) -> Self {
        let end = EXTENSIONS.iter().find(|end| name.to_lowercase().ends_with(*end));
        let id = end.map_or(name, |end| &name[..name.len() - end.len()]);
        let (folder, stem) = id.rsplit_once('/').unwrap_or(("", id));
        // Hugo's bundles are folders with a file `index.md`.
        let stem = match stem {
            "index" | "_index" if !folder.is_empty() => folder.rsplit('/').next().unwrap_or(stem),
            stem => stem,
        };
        let (date, rest) = dated(stem);
        // Words of a slug are joined by hyphens.
        let is_slug = !rest.contains(' ') && rest.contains('-');
        let title = if is_slug { rest.replace('-', " ") } else { rest.to_owned() };
        let title = if title.trim().is_empty() { stem.to_owned() } else { title.trim().to_owned() };
        Self { id: id.to_owned(), title, time: date.and_then(|date| dates::seconds_of(&date).ok()) }
    }
}

/// Splits the date off the name of a post or a daily note: `2023-01-13-the-lake`, `2023-01-13 Lake`,
/// `20230113`, `202301131002 Lake`.
fn dated(stem: &str) -> (Option<String>, &str) {
    let digits = stem.bytes().take_while(u8::is_ascii_digit).count();
    if let Some(date) = stem.get(..10).filter(|_| digits == 4)
        && dates::seconds_of(date).is_ok()
        && date.as_bytes()[4] == b'-'
        && !stem[10..].starts_with(|c: char| c.is_ascii_digit())
    {
        return (Some(date.to_owned()), stem[10..].trim_start_matches(['-', '_', ' ', '.']));
    }
    if matches!(digits, 8 | 12 | 14) && dates::seconds_of(&stem[..8]).is_ok() {
        return (
            Some(stem[..8].to_owned()),
            stem[digits..].trim_start_matches(['-', '_', ' ', '.']),
        );
    }
    (None, stem)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;

    use proptest::prelude::*;

    use super::*;
    use crate::import::messages::testing::{self, Summary};

    const DAY: i64 = 1_673_568_000; // 2023-01-13

    fn read(notes: &[(&str, &[u8])]) -> Summary {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in notes {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        testing::summary(&mut open(folder.path()).unwrap())
    }

    #[test]
    fn notes_of_several_programs() {
        let read = read(&[
            ("_posts/2023-01-13-the-cold-lake.md", b"---\nlayout: post\ntags: lake winter\n---\nIt was **cold**."),
            ("content/post/tents/index.md", b"+++\ntitle = 'Tents'\ndate = 2023-01-13T10:00:00+01:00\nauthor = 'Anna Horvat'\ntags = ['gear', 'tents']\n+++\nBuy [none](x)."),
            ("vault/Daily/2023-01-13.md", b"Slept late. #daily\n"),
            ("vault/Zettel/202301131002 Poles.md", b"# On poles\n\nThey bend.\n"),
            ("vault/Note.md", b"---\nauthor: \"[[Bo Lind]]\"\ncreated: 2023-01-13\n---\n# Other\nText\n"),
            ("vault/Empty.md", b"---\ntags: x\n---\n"),
            ("vault/Code.md", b"```\nx\n```\n"),
            ("vault/Templates/Daily.md", b"# {{title}}\ntext\n"),
            ("vault/.obsidian/x.md", b"no"),
            ("vault/picture.png", b"\x89PNG"),
            ("vault/binary.md", b"a\0b\xff"),
            ("vault/latin.md", b"Gr\xf6\xdfe und L\xe4nge sind sp\xe4ter gepr\xfcft worden."),
        ]);
        let found: Vec<(&str, &str, Option<i64>)> = read
            .messages
            .iter()
            .map(|m| (m.title.as_deref().unwrap(), m.text.as_str(), m.time))
            .collect();
        let expected = [
            ("the cold lake", "It was cold.", Some(DAY)),
            ("Tents", "Buy none.", Some(DAY + 9 * 3600)),
            ("2023-01-13", "Slept late. #daily", Some(DAY)),
            ("Other", "Text", Some(DAY)),
            ("On poles", "They bend.", Some(DAY)),
            ("latin", "Größe und Länge sind später geprüft worden.", None),
        ];
        assert_eq!(found, expected);
        let authors: Vec<&str> =
            read.messages.iter().map(|m| m.author.name.as_deref().unwrap()).collect();
        assert_eq!(authors, ["me", "Anna Horvat", "me", "Bo Lind", "me", "me"]);
        let (first, id) = (&read.messages[0], "/_posts/2023-01-13-the-cold-lake");
        assert!(first.conversation.id.ends_with(id), "{first:?}");
        assert!(!first.conversation.id.starts_with('/'), "{first:?}");
        assert_eq!(first.id, Some(format!("{}.md", first.conversation.id)));
        assert_eq!(read.messages[0].conversation.description.as_deref(), Some("lake, winter"));
        assert_eq!(read.messages[1].conversation.description.as_deref(), Some("gear, tents"));
        assert_eq!(read.left, [(EMPTY, 1), (NO_OWN_WORDS, 1), (TEMPLATES, 1)].into());
        assert_eq!(read.malformed.len(), 1, "{:?}", read.malformed);
    }

    #[test]
    fn a_note_alone_is_the_one_of_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("vault");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("Note.md"), "Text").unwrap();
        for path in [root.clone(), root.join("Note.md")] {
            let read = testing::summary(&mut open(&path).unwrap());
            assert_eq!(read.messages[0].id.as_deref(), Some("vault/Note.md"));
        }
    }

    #[test]
    fn names_of_files_tell_titles_and_dates() {
        for (name, title, time) in [
            ("2023-01-13-a-b.md", "a b", Some(DAY)),
            ("2023-01-13 Lake-side walk.md", "Lake-side walk", Some(DAY)),
            ("20230113.md", "20230113", Some(DAY)),
            ("2023-13-45-x.md", "2023 13 45 x", None),
            ("2023-01-131.md", "2023 01 131", None),
            ("é.md", "é", None),
            ("a/index.md", "a", None),
            ("index.md", "index", None),
        ] {
            let file = FileName::of(name);
            assert_eq!((file.title.as_str(), file.time), (title, time), "{name}");
        }
    }

    proptest! {
        #[test]
        fn any_note_is_read(name in "[0-9a-zé./ -]{0,20}", text in "(---\n|title: |# |\n|\\*|.)*") {
            if let Found::Message(message) = note(&name, &text) {
                prop_assert!(!message.text.trim().is_empty());
            }
        }
    }
}
