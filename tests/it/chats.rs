//! `import` of chats, posts, reviews and notes: each format is told by its content, read, read again
//! without doubles, and damaged.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;

use idiolect::corpus::import::{ImportFormat, MessageFormat};
use idiolect::corpus::{Store, StoredReview};
use serde_json::{Value, json};

use crate::common::Sandbox;

const WHATSAPP: &str = "\
13/01/2023, 18:00 - Messages and calls are end-to-end encrypted.
13/01/2023, 18:01 - Bo Lind: Who has the tent?
13/01/2023, 18:02 - Anna: Me.
13/01/2023, 18:03 - Anna: With all
four poles <This message was edited>
13/01/2023, 18:04 - Anna: <Media omitted>
13/01/2023, 18:05 - Bo Lind: Good
14/01/2023, 09:00 - Anna: Morning!
14/01/2023, 09:01 - +49 151 2345678: This message was deleted
14/01/2023, 09:02 - +49 151 2345678: Who is this
";

const GOODREADS: &str = "\
Book Id,Title,Author,My Rating,Date Read,Date Added,My Review
77,The Cold Lake,Mira Stenmark,4,2023/01/13,2022/12/24,Slow &amp; good.<br/>The end!
78,Tents,Bo Lind,0,,2022/12/25,
79,Poles,Bo Lind,2,2023/02/01,2023/01/25,Too many.
";

const LETTERBOXD: &str = "\
Date,Name,Year,Letterboxd URI,Rating,Rewatch,Review,Tags,Watched Date
2023-01-13,Lake,2009,https://boxd.it/aaaaa,4.5,Yes,Cold & <i>good</i>.,,2023-01-12
2023-02-13,Lake,2009,https://boxd.it/aaaab,5,Yes,Better still.,,2023-02-12
2023-01-14,Tents,2010,https://boxd.it/bbbbb,,,,,
";

const REDDIT: &str = "\
id,permalink,date,ip,subreddit,gildings,link,parent,body,media
c1,https://www.reddit.com/r/lakes/comments/p1/who_has_it/c1/,2023-01-13 09:01:00 UTC,,lakes,0,https://www.reddit.com/r/lakes/comments/p1/who_has_it/,,\"> it?

**Me.**\",
c2,https://www.reddit.com/r/lakes/comments/p1/who_has_it/c2/,2023-01-13 09:02:00 UTC,,lakes,0,https://www.reddit.com/r/lakes/comments/p1/who_has_it/,c1,And mine,
c3,https://www.reddit.com/r/lakes/comments/p1/who_has_it/c3/,2023-01-13 09:03:00 UTC,,lakes,0,https://www.reddit.com/r/lakes/comments/p1/who_has_it/,c1,[removed],
";

fn telegram() -> Value {
    let message = |id: u64, from: &str, time: u64, text: Value| {
        json!({"id": id, "type": "message", "date_unixtime": time.to_string(), "from": from,
               "from_id": format!("user{}", from.len()), "text": text})
    };
    let mut answer =
        message(3, "Anna", 1_673_600_520, json!(["Me, ask ", {"type": "mention", "text": "@bo"}]));
    answer["reply_to_message_id"] = json!(1);
    let mut forward = message(4, "Anna", 1_673_600_580, json!("Storm"));
    forward["forwarded_from"] = json!("News");
    json!({"about": "Here is the data you requested from Telegram.", "chats": {"about": "x", "list": [
        {"name": "Lake", "type": "private_group", "id": 42, "messages": [
            message(1, "Bo Lind", 1_673_600_460, json!("Who has the tent?")),
            message(2, "Bo Lind", 1_673_600_470, json!("The big one")),
            answer, forward,
            {"id": 5, "type": "service", "action": "pin_message", "text": ""},
        ]},
        {"name": "helper", "type": "bot_chat", "id": 43, "messages": [
            message(1, "helper", 1_673_600_460, json!("beep")),
        ]},
    ]}})
}

fn mastodon() -> Value {
    let note = |id: u64, content: &str| {
        let address = format!("https://lake.example/users/anna/statuses/{id}");
        json!({"type": "Create", "actor": "https://lake.example/users/anna", "published": "2023-01-13T09:01:00Z",
               "object": {"id": address, "type": "Note", "inReplyTo": null, "content": content, "attachment": [],
                          "conversation": format!("tag:lake.example:{id}")}})
    };
    json!({"@context": "https://www.w3.org/ns/activitystreams", "id": "outbox.json", "type": "OrderedCollection",
           "totalItems": 3, "orderedItems": [
        note(1, "<p>Cold &amp; clear.</p>"), note(2, "<p>Second</p>"), {"type": "Announce", "object": "x"}]})
}

fn discord() -> Value {
    let message = |id: u64, name: &str, content: &str| {
        json!({"id": id.to_string(), "type": "Default", "timestamp": "2023-01-13T09:01:00+00:00", "content": content,
               "author": {"id": "1", "name": name, "nickname": name, "isBot": name == "helper"}, "attachments": []})
    };
    json!({"guild": {"id": "5", "name": "Lake"}, "channel": {"id": "9", "type": "GuildTextChat", "name": "general"},
           "messages": [message(1, "Bo Lind", "Who has it?"), message(2, "Anna", "Me"), message(3, "helper", "beep")]})
}

fn slack(sandbox: &Sandbox) {
    let write = |name: &str, value: Value| {
        std::fs::create_dir_all(sandbox.path(name).parent().unwrap()).unwrap();
        sandbox.write(name, value.to_string());
    };
    write(
        "slack/users.json",
        json!([{"id": "U1", "profile": {"display_name": "Anna", "email": "anna@lake.example"}}, {"id": "U2", "name": "Bo Lind"}]),
    );
    write("slack/channels.json", json!([{"id": "C1", "name": "lake"}]));
    write(
        "slack/lake/2023-01-13.json",
        json!([
            {"type": "message", "user": "U2", "text": "Who has <https://x.example|it>?", "ts": "1673600460.000200", "thread_ts": "1673600460.000200"},
            {"type": "message", "user": "U1", "text": "Me, <@U2>", "ts": "1673600520.000300", "thread_ts": "1673600460.000200"},
            {"type": "message", "subtype": "channel_join", "user": "U1", "text": "joined", "ts": "1673600530.000100"},
        ]),
    );
}

/// Writes one export of each format. Returns its name, and the expected numbers of new texts, users,
/// items, and of what is left out.
fn exports(sandbox: &Sandbox) -> Vec<(MessageFormat, &'static str, [u64; 4])> {
    sandbox.write("WhatsApp Chat with Lake.txt", WHATSAPP);
    sandbox.write("result.json", telegram().to_string());
    sandbox.write("outbox.json", mastodon().to_string());
    sandbox.write("discord.json", discord().to_string());
    slack(sandbox);
    sandbox.write("comments.csv", REDDIT);
    sandbox.write("books.csv", GOODREADS);
    sandbox.write("reviews.csv", LETTERBOXD);
    let place = |name: &str, text: Option<&str>| {
        json!({"type": "Feature", "properties": {"date": "2023-01-13T09:01:00Z", "five_star_rating_published": 4,
               "location": {"name": name, "address": "Pier 1"}, "review_text_published": text}})
    };
    let places = [place("Boat House", Some("Good tea.")), place("Tent Shop", None)];
    sandbox
        .write("places.json", json!({"type": "FeatureCollection", "features": places}).to_string());
    std::fs::create_dir_all(sandbox.path("vault/daily")).unwrap();
    sandbox.write(
        "vault/Lake.md",
        "---\ntitle: The lake\ndate: 2023-01-13\ntags: [cold]\n---\nIt was **cold**.\n",
    );
    sandbox.write("vault/daily/2023-01-14.md", "Slept late.\n");
    sandbox.write("vault/daily/2023-01-15.md", "```\ncode\n```\n");
    vec![
        (MessageFormat::WhatsApp, "WhatsApp Chat with Lake.txt", [5, 3, 2, 3]),
        (MessageFormat::Telegram, "result.json", [2, 2, 1, 3]),
        (MessageFormat::Slack, "slack", [2, 2, 1, 1]),
        (MessageFormat::Discord, "discord.json", [2, 2, 1, 1]),
        (MessageFormat::Reddit, "comments.csv", [2, 1, 1, 1]),
        (MessageFormat::Mastodon, "outbox.json", [2, 1, 2, 1]),
        (MessageFormat::Goodreads, "books.csv", [2, 1, 2, 1]),
        (MessageFormat::Letterboxd, "reviews.csv", [2, 1, 1, 1]),
        (MessageFormat::GoogleReviews, "places.json", [1, 1, 1, 1]),
        (MessageFormat::Markdown, "vault", [2, 1, 2, 1]),
    ]
}

fn import(sandbox: &Sandbox, arguments: &[&str]) -> Value {
    sandbox.run(&[&["import", "--json"], arguments].concat()).json()
}

fn history(sandbox: &Sandbox, store: &str, user: &str) -> Vec<StoredReview> {
    Store::open_existing(&sandbox.path(store)).unwrap().history(user).unwrap()
}

fn n_left(read: &Value) -> u64 {
    let left = read["left_out"].as_array().unwrap().iter();
    left.map(|row| row["rows"].as_u64().unwrap()).sum()
}

#[test]
fn each_format_is_told_by_its_content_and_read_twice_without_doubles() {
    let sandbox = Sandbox::new();
    for (format, name, [n_new, n_users, n_items, n_left_out]) in exports(&sandbox) {
        let detected = ImportFormat::detect(&sandbox.path(name));
        assert_eq!(detected, Some(ImportFormat::Messages(format)), "{name}");
        let store = format!("{}.sqlite", format.name());
        let read = import(
            &sandbox,
            &["--store", &store, name, "--me", "Anna", "--me", "anna@lake.example"],
        );
        let counts = [&read["new"], &read["users"], &read["items"]];
        assert_eq!(
            counts,
            [n_new, n_users, n_items].map(|n| json!(n)).each_ref(),
            "{name}: {read}"
        );
        assert_eq!((n_left(&read), &read["malformed"]), (n_left_out, &json!(0)), "{name}: {read}");
        let again = import(
            &sandbox,
            &[
                "--store",
                &store,
                "--format",
                format.name(),
                name,
                "--me",
                "Anna",
                "--me",
                "anna@lake.example",
            ],
        );
        assert_eq!(
            (&again["unchanged"], &again["new"]),
            (&json!(n_new), &json!(0)),
            "{name}: {again}"
        );
        assert!(!history(&sandbox, &store, "Anna").is_empty(), "{name}");
    }
}

#[test]
fn what_chats_of_several_formats_become_in_one_store() {
    let sandbox = Sandbox::new();
    for (format, name, _) in exports(&sandbox) {
        let me = ["--me", "Anna", "--me", "anna@lake.example"];
        import(&sandbox, &[&["--format", format.name(), name][..], &me].concat());
    }
    let anna = history(&sandbox, "idiolect.sqlite", "Anna");
    let by_text: BTreeMap<&str, &StoredReview> =
        anna.iter().map(|stored| (stored.review.text.as_str(), stored)).collect();
    let answered = |text: &str| {
        let stored = by_text.get(text).unwrap_or_else(|| panic!("{text}: {:?}", by_text.keys()));
        stored.context.as_ref().map(|context| context.text.clone())
    };
    // Short messages of a person are one text, which answers the one before.
    let tent = "Me.\nWith all\nfour poles";
    assert_eq!(answered(tent).as_deref(), Some("Who has the tent?"));
    assert_eq!(answered("Morning!"), None, "a new conversation");
    assert_eq!(answered("Me, ask @bo").as_deref(), Some("Who has the tent?\nThe big one"));
    assert_eq!(answered("Me, @Bo Lind").as_deref(), Some("Who has it?"));
    assert_eq!(answered("And mine").as_deref(), Some("Me."));
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    let title = |text: &str| store.item(&by_text[text].review.item).unwrap().title;
    assert_eq!(title(tent), "Lake, 2023-01-13");
    assert_eq!(title("And mine"), "who has it");
    assert_eq!(title("Slow & good.\nThe end!"), "The Cold Lake");
    assert_eq!(title("Better still."), "Lake (2009)");
    assert_eq!(title("Good tea."), "Boat House");
    assert_eq!(title("It was cold."), "The lake");
    assert_eq!(by_text["Slow & good.\nThe end!"].review.rating, Some(4.0));
    assert_eq!(by_text["Cold & good."].review.rating, Some(4.5));
    assert_eq!(by_text["It was cold."].review.time, 1_673_568_000);
    drop(store);
    // A person who is forgotten is gone from what others answered.
    let forgotten = sandbox.run(&["forget", "Bo Lind", "--yes", "--json"]).json();
    assert!(forgotten["forgotten"]["reviews"].as_u64().unwrap() >= 4, "{forgotten}");
    let anna = history(&sandbox, "idiolect.sqlite", "Anna");
    let of_bo = |stored: &&StoredReview| {
        stored.context.as_ref().is_some_and(|context| context.text.contains("Who has"))
    };
    assert_eq!(anna.iter().filter(of_bo).count(), 0);
}

#[test]
fn damaged_exports_are_read_as_far_as_they_can_be() {
    let sandbox = Sandbox::new();
    let text = telegram().to_string();
    let at = text.find("Me, ask").unwrap();
    sandbox.write("cut.json", &text[..at]);
    let run = sandbox.run(&["import", "--format", "telegram", "cut.json"]).ok();
    assert!(
        run.stderr.contains("cut.json line 1") && run.stderr.contains("ends within"),
        "{}",
        run.stderr
    );
    assert_eq!(
        history(&sandbox, "idiolect.sqlite", "Bo Lind")[0].review.text,
        "Who has the tent?\nThe big one"
    );
    let said = sandbox
        .run(&["--store", "s.sqlite", "import", "--format", "telegram", "cut.json", "--strict"])
        .fails_with(1);
    assert!(said.contains("ends within"), "{said}");

    for (format, name, reason) in [
        ("telegram", "a.json", "`messages`"),
        ("discord", "a.json", "`messages`"),
        ("mastodon", "a.json", "`orderedItems`"),
        ("google-reviews", "a.json", "no list of reviews"),
        ("goodreads", "a.csv", "`My Review`"),
        ("letterboxd", "a.csv", "`Review`"),
        ("reddit", "a.csv", "`body`"),
        ("whatsapp", "a.csv", "as WhatsApp writes them"),
        ("slack", "empty", "YYYY-MM-DD.json"),
    ] {
        sandbox.write("a.json", "{\"a\": [1, 2]}");
        sandbox.write("a.csv", "a,b\n1,2\n");
        std::fs::create_dir_all(sandbox.path("empty")).unwrap();
        let said = sandbox.run(&["import", "--format", format, name]).fails_with(1);
        assert!(said.contains(reason), "{format}: {said}");
    }
}

#[test]
fn an_archive_is_read_without_unpacking_and_a_damaged_one_is_told() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("WhatsApp Chat - Lake.zip");
    let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
    writer.start_file("_chat.txt", zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(WHATSAPP.as_bytes()).unwrap();
    writer.finish().unwrap();
    let read = import(&sandbox, &["WhatsApp Chat - Lake.zip", "--me", "Anna"]);
    assert_eq!((&read["new"], &read["items"]), (&json!(5), &json!(2)), "{read}");
    // The text file of the same chat has the same texts.
    sandbox.write("WhatsApp Chat with Lake.txt", WHATSAPP);
    let read = import(&sandbox, &["WhatsApp Chat with Lake.txt", "--me", "Anna"]);
    assert_eq!((&read["new"], &read["unchanged"]), (&json!(0), &json!(5)), "{read}");
    let whole = std::fs::read(&path).unwrap();
    sandbox.write("cut.zip", &whole[..whole.len() / 2]);
    let said = sandbox.run(&["import", "--format", "whatsapp", "cut.zip"]).fails_with(1);
    assert!(said.contains("damaged or cut off"), "{said}");
}

#[test]
fn a_long_chat_is_read_in_batches() {
    let sandbox = Sandbox::new();
    let mut chat = String::new();
    for n in 0..9000_u32 {
        let (day, hour, minute) = (1 + n / 1440, n / 60 % 24, n % 60);
        let author = ["Anna", "Bo", "Cy"][n as usize % 3];
        writeln!(chat, "{day}/2/23, {hour:02}:{minute:02} - {author}: text number {n}").unwrap();
    }
    sandbox.write("chat.txt", &chat);
    let read = import(&sandbox, &["chat.txt"]);
    assert_eq!(
        (&read["new"], &read["users"], &read["malformed"]),
        (&json!(9000), &json!(3), &json!(0)),
        "{read}"
    );
    assert_eq!(import(&sandbox, &["chat.txt"])["unchanged"], 9000);
}
