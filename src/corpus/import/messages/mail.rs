//! One mail (RFC 5322, MIME): its author, its thread, and what the author wrote in it.

use mail_parser::{Addr, Address, HeaderValue, Message as Mail, MessageParser, MimeHeaders};

use super::quotes::{self, MailParts};
use super::subject::without_prefixes;
use super::threads::{MailIds, Threads};
use super::{Answered, Conversation, ExportMessage, Found, MessageAuthor, mail_text};
use idiolect_engine::key::Key;

/// Maximum size of a mail that is read, in bytes: of a larger one the text comes first and the rest is
/// attachments.
pub(super) const MAX_MAIL_BYTES: usize = 8 << 20;

/// Maximum size of the headers, in bytes.
const MAX_HEADER_BYTES: usize = 512 << 10;

/// Maximum number of mails within mails, and of multiparts, which the parser holds as a tree.
const MAX_NESTED: usize = 100;

/// Longest text of a person in one mail, in bytes; what is longer is a document.
const MAX_TEXT_BYTES: usize = 256 << 10;

/// Place and circumstances of a mail.
pub(super) struct MailContext<'a> {
    /// File, and line of the file.
    pub(super) place: String,
    /// Number of the mail in the export, from 1.
    pub(super) number: u64,
    /// Whether it is text before the first mail of an mbox.
    pub(super) is_stray: bool,
    /// Flags of a maildir: `D` draft, `T` deleted.
    pub(super) flags: &'a str,
}

/// Reads the mails of one export. Holds a few numbers of each mail, for threads.
#[derive(Default)]
pub(super) struct Mails {
    parser: MessageParser,
    threads: Threads,
}

impl Mails {
    /// Reads one mail.
    pub(super) fn found(&mut self, bytes: &[u8], context: &MailContext<'_>) -> Found {
        match self.read(bytes, context) {
            Ok(message) => Found::Message(message),
            Err(Refused::Left(reason)) => Found::Left { reason },
            Err(Refused::Malformed(reason)) => {
                let place = format!("{} (mail {})", context.place, context.number);
                Found::Malformed { place, reason }
            }
        }
    }

    fn read(&mut self, bytes: &[u8], context: &MailContext<'_>) -> Result<ExportMessage, Refused> {
        let malformed = |reason: &str| Err(Refused::Malformed(reason.to_owned()));
        if context.is_stray {
            return malformed("text before the first line `From ` of an mbox");
        }
        if header_length(bytes) > MAX_HEADER_BYTES {
            return malformed("headers of more than 512 KiB");
        }
        if nested(bytes) > MAX_NESTED {
            return malformed("more than 100 mails or multiparts within each other");
        }
        if bytes.trim_ascii().is_empty() {
            return malformed("empty mail");
        }
        let Some(mail) = self.parser.parse(bytes) else { return malformed("no headers of a mail") };
        let ids = ids_of(&mail);
        let subject = mail.subject().unwrap_or_default();
        let people: Vec<String> = people(&mail).into_iter().filter_map(|a| a.address).collect();
        // Also mails that are left out belong to threads, so that those around them stay together.
        let thread = self.threads.of(&ids, subject, &people);
        let Some(author) = author(&mail) else { return malformed("no sender") };
        if let Some(reason) = reason_to_leave(&mail, &ids, &author, context.flags) {
            return Err(Refused::Left(reason));
        }
        let parts = parts(&mail)?;
        let time = mail.date().filter(|date| date.is_valid()).map(|date| date.to_timestamp());
        let id = ids.own.unwrap_or_else(|| {
            // Without a Message-ID the mail itself tells it from others.
            let text = Key::of("mail").with("text", &parts.own).with("subject", subject);
            let address = author.address.as_deref().or(author.name.as_deref()).unwrap_or_default();
            let text = text.with("by", address).with("at", time.unwrap_or(0).to_string());
            text.finish().as_str().to_owned()
        });
        let title = Some(without_prefixes(subject)).filter(|title| !title.is_empty());
        Ok(ExportMessage {
            id: Some(id),
            author,
            conversation: Conversation { id: thread, title, description: None },
            time,
            answers: answered(ids.parent, &parts, &mail),
            text: parts.own,
            title: None,
            rating: None,
        })
    }
}

/// Why a mail gives no message.
enum Refused {
    Left(&'static str),
    Malformed(String),
}

/// Length of the part before the first empty line.
fn header_length(bytes: &[u8]) -> usize {
    let ends = |window: &[u8]| window == b"\n\n" || window == b"\n\r";
    bytes.windows(2).position(ends).unwrap_or(bytes.len())
}

/// Number of parts that may nest, by what their headers say.
fn nested(bytes: &[u8]) -> usize {
    let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    let nests = |at: &usize| {
        let begins = |name: &[u8]| {
            let start = at.checked_sub(name.len());
            start.is_some_and(|start| bytes[start..*at].eq_ignore_ascii_case(name))
        };
        begins(b"multipart") || begins(b"message")
    };
    slashes.filter(nests).count()
}

/// Identifiers by which a mail refers to others.
fn ids_of(mail: &Mail<'_>) -> MailIds {
    let list = |value: &HeaderValue<'_>| -> Vec<String> {
        match value {
            HeaderValue::Text(id) => vec![id.trim().to_owned()],
            HeaderValue::TextList(ids) => ids.iter().map(|id| id.trim().to_owned()).collect(),
            _ => Vec::new(),
        }
    };
    let references = list(mail.references());
    // Some programs write more than the identifier into In-Reply-To; the last one with an `@` counts.
    let parent = list(mail.in_reply_to()).into_iter().rfind(|id| id.contains('@'));
    MailIds {
        own: mail.message_id().map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()),
        parent: parent.or_else(|| references.last().cloned()),
        root: references.into_iter().find(|id| !id.is_empty()),
    }
}

/// The people of a mail: author and recipients, by address.
fn people(mail: &Mail<'_>) -> Vec<MessageAuthor> {
    let lists = [mail.from(), mail.to(), mail.cc()];
    lists.into_iter().flatten().flat_map(Address::iter).filter_map(person).collect()
}

fn person(address: &Addr<'_>) -> Option<MessageAuthor> {
    let clean = |text: &str| {
        let text = text.trim().trim_matches(['"', '\'']).trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let name = address.name.as_deref().and_then(clean);
    let address = address.address.as_deref().and_then(clean).map(|address| address.to_lowercase());
    // A name that repeats the address is none.
    let name = name.filter(|name| Some(name.to_lowercase()) != address);
    (name.is_some() || address.is_some()).then_some(MessageAuthor { name, address })
}

/// The author: `From`, or whom a mailing list names in its place (`Ann via list`).
fn author(mail: &Mail<'_>) -> Option<MessageAuthor> {
    let first = |list: Option<&Address<'_>>| list.and_then(Address::first).and_then(person);
    let from = first(mail.from()).or_else(|| first(mail.sender()))?;
    let Some((name, _list)) = from.name.as_deref().and_then(|name| name.rsplit_once(" via "))
    else {
        return Some(from);
    };
    let name = name.trim_matches(['"', '\'', ' ']).to_owned();
    let original = mail.header_raw("X-Original-From").and_then(address_in);
    let reply = first(mail.reply_to()).and_then(|reply| reply.address);
    let address = original.or(reply.filter(|address| from.address.as_ref() != Some(address)));
    Some(MessageAuthor { name: Some(name), address })
}

/// The address in a raw header.
fn address_in(raw: &str) -> Option<String> {
    let (_, rest) = raw.split_once('<')?;
    let (address, _) = rest.split_once('>')?;
    address.contains('@').then(|| address.trim().to_lowercase())
}

/// Local parts of addresses that no person writes from.
const NO_PERSON: [&str; 14] = [
    "noreply",
    "no-reply",
    "no_reply",
    "donotreply",
    "do-not-reply",
    "nicht-antworten",
    "ne-pas-repondre",
    "mailer-daemon",
    "postmaster",
    "bounce",
    "bounces",
    "notification",
    "notifications",
    "newsletter",
];

/// Why a mail is no text of a person, if it is none.
fn reason_to_leave(
    mail: &Mail<'_>,
    ids: &MailIds,
    author: &MessageAuthor,
    flags: &str,
) -> Option<&'static str> {
    let header =
        |name: &'static str| mail.header_raw(name).map(|value| value.trim().to_lowercase());
    let labels = header("X-Gmail-Labels").unwrap_or_default();
    let labels: Vec<&str> = labels.split(',').map(str::trim).collect();
    let is_labelled = |names: &[&str]| labels.iter().any(|label| names.contains(label));
    let status =
        header("X-Mozilla-Status").and_then(|status| u32::from_str_radix(&status, 16).ok());
    // 0x0008: the mail is deleted, and the folder is not compacted yet.
    if flags.contains('T')
        || status.is_some_and(|status| status & 8 != 0)
        || is_labelled(&["trash"])
    {
        return Some("deleted mails");
    }
    if flags.contains('D') || is_labelled(&["draft", "drafts"]) {
        return Some("drafts");
    }
    if is_labelled(&["spam"]) || header("X-Spam-Flag").is_some_and(|flag| flag == "yes") {
        return Some("spam");
    }
    let local = author.address.as_deref().and_then(|address| address.split('@').next());
    let is_no_person = local.is_some_and(|local| {
        let local = local.split('+').next().unwrap_or(local);
        NO_PERSON.iter().any(|name| {
            local == *name
                || local.strip_prefix(name).is_some_and(|rest| rest.starts_with(['-', '.', '_']))
        })
    });
    let root = mail.content_type();
    let is_report = root.is_some_and(|kind| kind.subtype() == Some("report"));
    let precedence = header("Precedence").unwrap_or_default();
    let is_list = header("List-Post").is_some_and(|post| post != "no");
    let is_automatic = header("Auto-Submitted").is_some_and(|value| !value.starts_with("no"))
        || header("X-Autoreply").is_some()
        || header("X-Autorespond").is_some()
        || precedence == "auto_reply"
        || precedence == "junk";
    if is_no_person || is_report || is_automatic {
        return Some("automatic mails");
    }
    // A discussion takes posts; what only can be unsubscribed and answers nobody is a newsletter.
    let is_bulk = header("List-Unsubscribe").is_some() || precedence == "bulk";
    if is_bulk && !is_list && ids.parent.is_none() {
        return Some("newsletters");
    }
    if mail.parts.iter().any(|part| is_kind(part, "text", &["calendar"])) {
        return Some("calendar invitations");
    }
    let is_encrypted = root.is_some_and(|kind| {
        let protocol = kind.attribute("smime-type").unwrap_or_default();
        kind.subtype() == Some("encrypted") || protocol.eq_ignore_ascii_case("enveloped-data")
    });
    is_encrypted.then_some("encrypted mails")
}

fn is_kind(part: &mail_parser::MessagePart<'_>, kind: &str, subtypes: &[&str]) -> bool {
    part.content_type().is_some_and(|content| {
        content.ctype().eq_ignore_ascii_case(kind)
            && content.subtype().is_some_and(|s| subtypes.iter().any(|x| s.eq_ignore_ascii_case(x)))
    })
}

/// The parts of the mail's text.
fn parts(mail: &Mail<'_>) -> Result<MailParts, Refused> {
    let text = mail_text::text_of(mail);
    if text.contains("-----BEGIN PGP MESSAGE-----") {
        return Err(Refused::Left("encrypted mails"));
    }
    let mut parts = quotes::separate(&text);
    if parts.own.is_empty() {
        return Err(Refused::Left(match (parts.forwards, parts.quoted.is_empty()) {
            (true, _) => "mails passed on without own text",
            (false, false) => "mails with nothing but quoted text",
            (false, true) => "mails without text",
        }));
    }
    quotes::truncate(&mut parts.own, MAX_TEXT_BYTES);
    Ok(parts)
}

/// The mail that a mail answers: the one that it names, with the text quoted from it. The author of the quotation,
/// if it does not say, is the only recipient.
fn answered(parent: Option<String>, parts: &MailParts, mail: &Mail<'_>) -> Answered {
    let text = parts.quoted.clone();
    let Some(id) = parent else {
        return if text.is_empty() { Answered::Nothing } else { Answered::Text(text) };
    };
    if text.is_empty() {
        return Answered::Id(id);
    }
    let only_recipient = || {
        let mut to =
            mail.to().into_iter().chain(mail.cc()).flat_map(Address::iter).filter_map(person);
        let first = to.next()?;
        to.next().is_none().then_some(first)
    };
    let author = parts.quoted_author.clone().or_else(only_recipient);
    Answered::Quoted { id, text, author }
}
