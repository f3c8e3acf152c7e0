//! `import` of mails, what is left out of them, and replies to them.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;

use crate::common::{Run, Sandbox, test_models_present};
use idiolect::corpus::import::{ImportFormat, MessageFormat};
use idiolect::corpus::{Store, StoredReview};
use serde_json::{Value, json};

/// A mail folder of two threads between three people, with what people do not write, and two mails that
/// cannot be read.
fn mbox() -> String {
    let mut file = String::new();
    let mut mail = |from: &str, id: &str, headers: &str, body: &str| {
        write!(
            file,
            "From x Mon May  3 10:12:00 2021\nFrom: {from}\nMessage-ID: <{id}@example.org>\n\
             Date: Mon, 3 May 2021 10:{:02}:00 +0000\n{headers}\n{body}\n\n",
            id.len()
        )
        .unwrap();
    };
    let (ann, work) = ("Ann Example <ann@example.org>", "\"Example, Ann\" <ann@work.example>");
    let (bo, cy) = ("Bo Other <bo@example.org>", "cy@example.org");
    mail(bo, "1", "Subject: Tea\n", "Can you come on Friday?\n\n-- \nBo Other\nTel. 0123456789");
    mail(
        ann,
        "22",
        "Subject: Re: Tea\nIn-Reply-To: <1@example.org>\nReferences: <1@example.org>\n",
        "Yes, gladly.\n\nOn 3 May 2021 at 10:01, Bo Other <bo@example.org> wrote:\n> Can you come on Friday?",
    );
    mail(
        bo,
        "333",
        "Subject: AW: Tea\nIn-Reply-To: <22@example.org>\nReferences: <1@example.org> <22@example.org>\n",
        "At five then.\n\n> Yes, gladly.",
    );
    mail(
        work,
        "4444",
        "Subject: Re: Tea\nIn-Reply-To: <333@example.org>\nReferences: <1@example.org> <22@example.org> <333@example.org>\n",
        "Five it is. I bring the milk.\n\nSent from my iPhone",
    );
    mail(
        ann,
        "55555",
        "Subject: Re: The boat\nIn-Reply-To: <elsewhere@example.org>\n",
        "It leaks.\n\nAm 02.05.2021 um 10:12 schrieb cy@example.org:\n> Is the boat dry?",
    );
    mail(cy, "666666", "Subject: The boat\nAuto-Submitted: auto-replied\n", "I am away.");
    mail("Shop <news@shop.example>", "7", "Subject: Buy\nList-Unsubscribe: <x:y>\n", "Buy!");
    mail(bo, "8", "Subject: Re: Tea\n", "> Five it is.");
    mail("", "9", "Subject: nobody\n", "Who wrote this?");
    file.push_str("From x Mon May  3 10:12:00 2021\nno header at all\n");
    file
}

fn import(sandbox: &Sandbox, more: &[&str]) -> Value {
    sandbox.run(&[&["import", "--json"], more].concat()).json()
}

fn history(sandbox: &Sandbox, user: &str) -> Vec<StoredReview> {
    Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap().history(user).unwrap()
}

fn texts(history: &[StoredReview]) -> Vec<(&str, Option<&str>)> {
    history
        .iter()
        .map(|stored| {
            let context = stored.context.as_ref().map(|context| context.text.as_str());
            (stored.review.text.as_str(), context)
        })
        .collect()
}

fn reasons(read: &Value) -> Vec<(String, u64)> {
    let rows = read["left_out"].as_array().unwrap().iter();
    rows.map(|row| (row["reason"].as_str().unwrap().to_owned(), row["rows"].as_u64().unwrap()))
        .collect()
}

#[test]
fn a_mail_folder_becomes_threads_of_people_and_the_rest_is_counted() {
    let sandbox = Sandbox::new();
    sandbox.write("m.mbox", mbox());
    let read = import(&sandbox, &["--format", "mbox", "m.mbox"]);
    assert_eq!(
        (&read["read"], &read["new"], &read["malformed"]),
        (&json!(5), &json!(5), &json!(2))
    );
    assert_eq!((&read["users"], &read["items"]), (&json!(2), &json!(2)));
    let left =
        [("automatic mails", 1), ("newsletters", 1), ("mails with nothing but quoted text", 1)];
    assert_eq!(reasons(&read), left.map(|(reason, n)| (reason.to_owned(), n)));
    assert_eq!(read["merged"][0]["known_as"], json!(["ann@example.org", "ann@work.example"]));

    let ann = history(&sandbox, "ann@example.org");
    assert_eq!(
        texts(&ann),
        [
            ("Yes, gladly.", Some("Can you come on Friday?")),
            ("Five it is. I bring the milk.", Some("At five then.")),
            ("It leaks.", Some("Is the boat dry?")),
        ]
    );
    // The mails of the thread are answered by reference, the one elsewhere by what is quoted of it.
    assert!(ann[0].context.as_ref().unwrap().review.is_some());
    let quoted = ann[2].context.as_ref().unwrap();
    assert_eq!((quoted.review, quoted.user.as_deref()), (None, Some("cy@example.org")));
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    let thread = store.reviews_of(&ann[0].review.item).unwrap();
    assert_eq!(thread.len(), 4, "each has all their mails of the thread");
    assert_eq!(store.item(&ann[0].review.item).unwrap().title, "Tea");
    drop(store);

    let again = import(&sandbox, &["m.mbox"]);
    assert_eq!(
        (&again["unchanged"], &again["new"], &again["reviews"]),
        (&json!(5), &json!(0), &json!(5))
    );
    // With a name for oneself the texts are the same ones, of another user.
    let renamed = import(
        &sandbox,
        &["m.mbox", "--me", "me", "--me", "ann@example.org", "--alias", "bo=Bo Other"],
    );
    assert_eq!(
        (&renamed["reviews"], &renamed["users"], &renamed["malformed"]),
        (&json!(5), &json!(2), &json!(2))
    );
    assert_eq!(history(&sandbox, "me").len(), 3);
    assert_eq!(history(&sandbox, "bo").len(), 2);
    assert_eq!(texts(&history(&sandbox, "me"))[0].1, Some("Can you come on Friday?"));
    assert!(history(&sandbox, "ann@example.org").is_empty());
}

#[test]
fn each_address_can_be_a_person_and_a_wrong_name_of_oneself_is_told() {
    let sandbox = Sandbox::new();
    sandbox.write("m.mbox", mbox());
    let run = sandbox.run(&["import", "m.mbox", "--by-address", "--me", "nobody@example.org"]).ok();
    assert!(
        run.stderr.contains("no message is by the names and addresses of --me"),
        "{}",
        run.stderr
    );
    assert!(run.stdout.contains("left out: 1 newsletters"), "{}", run.stdout);
    assert_eq!(history(&sandbox, "ann@work.example").len(), 1);
}

#[test]
fn what_cannot_be_read_is_told_with_its_place() {
    let sandbox = Sandbox::new();
    sandbox.write("m.mbox", mbox());
    let run = sandbox.run(&["import", "m.mbox"]).ok();
    assert!(
        run.stderr.contains("m.mbox, line") && run.stderr.contains("no sender"),
        "{}",
        run.stderr
    );
    let said = sandbox.run(&["--store", "s.sqlite", "import", "m.mbox", "--strict"]).fails_with(1);
    assert!(said.contains("no sender"), "{said}");

    sandbox.write("bad.mbox", "From x Mon May  3 10:12:00 2021\nno header\n");
    let said = sandbox.run(&["import", "bad.mbox", "--format", "mbox"]).fails_with(1);
    assert!(said.contains("no row could be read of bad.mbox"), "{said}");
    let said = sandbox.run(&["import", "absent.mbox"]).fails_with(1);
    assert!(said.contains("absent.mbox"), "{said}");
    sandbox.write("letter.txt", "Dear Ann, I write to you because of the tea, which was cold.\n");
    let said = sandbox.run(&["import", "letter.txt"]).fails_with(1);
    assert!(said.contains("--format"), "{said}");
    let said = sandbox.run(&["import", "-"]).fails_with(1);
    assert!(said.contains("--format"), "{said}");
    let said = sandbox.run(&["import", "--format", "mbox", "-"]).fails_with(1);
    assert!(said.contains("file or a folder"), "{said}");
    sandbox.write("t.csv", "user,item,text\na,b,c\n");
    let said = sandbox.run(&["import", "t.csv", "--me", "a"]).fails_with(1);
    assert!(said.contains("--me"), "{said}");
    // The format of a table is told by its header.
    assert_eq!(import(&sandbox, &["t.csv"])["new"], 1);
}

#[test]
fn maildir_and_eml_are_told_by_their_content() {
    let sandbox = Sandbox::new();
    let file = mbox();
    let mails: Vec<&str> =
        file.split("From x Mon May  3 10:12:00 2021\n").filter(|mail| !mail.is_empty()).collect();
    for folder in ["dir/cur", "dir/new", "dir/.Sent/cur", "dir/.Sent/new", "eml"] {
        std::fs::create_dir_all(sandbox.path(folder)).unwrap();
    }
    for (at, mail) in mails.iter().enumerate() {
        let folder = if at % 2 == 0 { "dir/cur" } else { "dir/.Sent/cur" };
        sandbox.write(&format!("{folder}/{at}.host:2,S"), mail);
        sandbox.write(&format!("eml/{at}.eml"), mail);
    }
    for (path, format) in [("dir", MessageFormat::Maildir), ("eml", MessageFormat::Eml)] {
        assert_eq!(ImportFormat::detect(&sandbox.path(path)), Some(ImportFormat::Messages(format)));
    }
    let read = import(&sandbox, &["dir"]);
    assert_eq!(
        (&read["new"], &read["users"], &read["items"], &read["malformed"]),
        (&json!(5), &json!(2), &json!(2), &json!(2))
    );
    // The same mails in another form are the same messages.
    let read = import(&sandbox, &["--format", "eml", "eml"]);
    assert_eq!((&read["unchanged"], &read["reviews"]), (&json!(5), &json!(5)));
}

#[test]
fn a_large_folder_is_read_in_batches_and_twice_without_doubles() {
    let sandbox = Sandbox::new();
    let mut file = String::new();
    for n in 0..6000 {
        let (user, thread) = (n % 7, n / 10);
        write!(
            file,
            "From x Mon May  3 10:12:00 2021\nFrom: u{user}@example.org\nMessage-ID: <{n}@x>\nSubject: t\n\
             Date: Mon, 3 May 2021 10:12:00 +0000\nReferences: <root{thread}@x>\n\ntext number {n}\n\n"
        )
        .unwrap();
    }
    sandbox.write("m.mbox", file);
    let read = import(&sandbox, &["m.mbox"]);
    assert_eq!(
        (&read["new"], &read["users"], &read["items"]),
        (&json!(6000), &json!(7), &json!(600))
    );
    assert_eq!(import(&sandbox, &["m.mbox"])["unchanged"], 6000);
}

#[test]
fn tables_have_columns_for_what_is_answered() {
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", "user,item,text,id,answers,answered_text,answered_user\nann,x,Tea?,1,,,\nbo,x,Yes.,2,1,,\ncy,x,No.,3,9,Milk?,di\n");
    import(&sandbox, &["t.csv"]);
    assert_eq!(texts(&history(&sandbox, "bo")), [("Yes.", Some("Tea?"))]);
    let exported = sandbox.run(&["export", "cy"]).json();
    assert_eq!(exported["reviews"][0]["context"], json!({"text": "Milk?", "user": "di"}));
    assert_eq!(sandbox.run(&["export", "di"]).json()["quoted"][0]["text"], "Milk?");
}

fn write(sandbox: &Sandbox, more: &[&str]) -> Run {
    let short = ["write", "--user", "ann@example.org", "--max-tokens", "8", "--json"];
    sandbox.run(&[&short, more].concat())
}

#[test]
fn a_reply_is_written_to_a_mail_that_is_not_in_the_store() {
    if !test_models_present() {
        return;
    }
    let sandbox = Sandbox::new();
    sandbox.write("m.mbox", mbox());
    import(&sandbox, &["m.mbox"]);
    sandbox.write("new.eml", "From: cy@example.org\nTo: ann@example.org\nSubject: Re: Bread\nDate: Tue, 4 May 2021 10:12:00 +0000\n\nShall I bring bread?\n");
    for method in ["idiolect", "rag", "scp", "non-perso"] {
        let reply = ["--task", "reply", "--context", "new.eml", "--method", method];
        let written = write(&sandbox, &reply).json();
        assert_eq!(written["item"], "", "{written}");
    }
    write(&sandbox, &["--task", "post", "--about", "Bread"]).json();
    // In a thread the newest text by another person is answered.
    let thread = history(&sandbox, "ann@example.org")[0].review.item.clone();
    let run = write(&sandbox, &["--task", "reply", "--item", &thread]).ok();
    assert!(run.stderr.contains("answers the text by `bo@example.org`"), "{}", run.stderr);

    let said = write(&sandbox, &["--context", "new.eml", "--item", &thread]).fails_with(1);
    assert!(said.contains("--task reply"), "{said}");
    let said = write(&sandbox, &["--task", "reply"]).fails_with(2);
    assert!(said.contains("--item"), "{said}");
    sandbox.write("empty.txt", "\n");
    let said = write(&sandbox, &["--task", "reply", "--context", "empty.txt"]).fails_with(1);
    assert!(said.contains("no text to answer"), "{said}");

    // Everything written from a text of bo goes with bo.
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    let before = store.derived_values("idiolect").unwrap().len();
    drop(store);
    assert_eq!(before, 3);
    let forgotten = sandbox.run(&["forget", "bo@example.org", "--yes", "--json"]).json();
    assert_eq!(forgotten["forgotten"]["contexts"], 2, "{forgotten}");
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    assert_eq!(store.derived_values("idiolect").unwrap(), [""; 0]);
    assert_eq!(store.derived_values("rag").unwrap(), [""; 0]);
}
