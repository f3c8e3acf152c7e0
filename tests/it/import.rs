//! `import` of every format and file type, and of broken files.

#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::process::Stdio;

use crate::common::{Run, Sandbox, real_data};
use idiolect::corpus::{Store, StoredReview};
use serde_json::{Value, json};

const ROWS_2014: &str = r#"{"reviewerID": "ann", "asin": "b1", "reviewText": "Caf&eacute; &#34;one&#34;", "overall": 5.0, "summary": "S1", "unixReviewTime": 100}
{"reviewerID": "ann", "asin": "b2", "reviewText": "Two", "overall": 4.0, "summary": "S2", "unixReviewTime": 90}
{"reviewerID": "bob", "asin": "b1", "reviewText": "Three", "overall": 1.0, "summary": "S3", "unixReviewTime": 80}
"#;
const ITEMS_2014: &str = r#"{'asin': 'b1', 'title': "It's B", 'description': 'D &amp; E', 'categories': [['Music', 'Pop'], ['Other']]}
{"asin": "b9", "title": "In JSON"}
"#;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn import(sandbox: &Sandbox, format: &str, reviews: &str, more: &[&str]) -> Run {
    let mut arguments = vec!["import", "--json", "--format", format, "--reviews", reviews];
    arguments.extend(more);
    sandbox.run(&arguments)
}

/// Contents of the store after an import, and what it left out.
#[track_caller]
fn totals(run: Run) -> Value {
    let read = run.json();
    let rows = ["new", "updated", "unchanged", "outdated", "duplicates"];
    let counted: u64 = rows.iter().map(|name| read[name].as_u64().unwrap()).sum();
    assert_eq!(read["read"].as_u64(), Some(counted), "each row is counted once: {read}");
    let fields = ["reviews", "users", "items", "duplicates", "malformed"];
    fields.iter().map(|name| ((*name).to_owned(), read[name].clone())).collect()
}

fn figures(reviews: u64, users: u64, items: u64, duplicates: u64, malformed: u64) -> Value {
    json!({"reviews": reviews, "users": users, "items": items, "duplicates": duplicates, "malformed": malformed})
}

fn history(sandbox: &Sandbox, user: &str) -> Vec<StoredReview> {
    Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap().history(user).unwrap()
}

#[test]
fn amazon_2014_plain_packed_and_from_a_pipe() {
    let sandbox = Sandbox::new();
    sandbox.write("r.json", ROWS_2014);
    sandbox.write("r.json.gz", gzip(ROWS_2014.as_bytes()));
    sandbox.write("m.json.gz", gzip(ITEMS_2014.as_bytes()));
    let read = totals(import(&sandbox, "amazon-2014", "r.json", &["--items", "m.json.gz"]));
    assert_eq!(read, figures(3, 2, 3, 0, 0));
    let ids: Vec<_> = history(&sandbox, "ann").iter().map(|r| r.id).collect();
    assert_eq!(history(&sandbox, "ann")[1].review.text, "Café \"one\"");
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    let item = store.item("b1").unwrap();
    assert_eq!((item.title.as_str(), item.description.as_str()), ("It's B", "D & E"));
    assert_eq!(item.categories, ["Music", "Pop"]);
    assert_eq!(store.item("b2").unwrap().title, "");

    let again = totals(import(&sandbox, "amazon-2014", "r.json.gz", &[]));
    assert_eq!(again, figures(3, 2, 3, 0, 0));
    let mut command = sandbox.command(&["import", "--format", "amazon-2014", "--reviews", "-"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&gzip(ROWS_2014.as_bytes())).unwrap();
    let piped = Run::of(child.wait_with_output().unwrap()).ok();
    assert!(piped.stdout.contains("3 unchanged"), "{}", piped.stdout);
    assert!(piped.stdout.contains("has 3 reviews by 2 users of 3 items"), "{}", piped.stdout);
    assert_eq!(ids, history(&sandbox, "ann").iter().map(|r| r.id).collect::<Vec<_>>());
}

#[test]
fn amazon_2023_lines_and_an_array() {
    let rows = [
        json!({"user_id": "u", "parent_asin": "p1", "asin": "x", "text": "a<br />b", "title": "T", "rating": 3.0, "timestamp": 5999}),
        json!({"user_id": "v", "parent_asin": "p1", "asin": "y", "text": "c", "title": "", "rating": 2, "timestamp": 0}),
    ];
    let meta = json!({"parent_asin": "p1", "title": "P", "description": ["D1", "D2"], "categories": ["Books"], "main_category": "Books"});
    let sandbox = Sandbox::new();
    sandbox.write("r.jsonl", format!("{}\r\n{}\r\n", rows[0], rows[1]));
    sandbox.write("m.jsonl", meta.to_string());
    let read = totals(import(&sandbox, "amazon-2023", "r.jsonl", &["--items", "m.jsonl"]));
    assert_eq!(read, figures(2, 2, 1, 0, 0));
    let review = &history(&sandbox, "u")[0].review;
    assert_eq!((review.text.as_str(), review.time, review.rating), ("a\nb", 5, Some(3.0)));

    let other = Sandbox::new();
    other.write("r.json", serde_json::to_string_pretty(&rows).unwrap());
    let read = totals(import(&other, "amazon-2023", "r.json", &[]));
    assert_eq!(read, figures(2, 2, 1, 0, 0));
    assert_eq!(history(&other, "u")[0].review, *review);
}

#[test]
fn tables_with_a_map_with_their_own_names_and_with_a_byte_order_mark() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "mails.csv",
        "\u{feff}from,thread,body,date,about\r\nann,t1,\"Hello,\r\n\"\"you\"\"\",2014-07-06,Things\r\nbob,t1,x,,\r\n",
    );
    let map = "user=from,item=thread,text=body,time=date,item_title=about";
    let read = totals(import(&sandbox, "table", "mails.csv", &["--map", map]));
    assert_eq!(read, figures(2, 2, 1, 0, 0));
    let review = &history(&sandbox, "ann")[0].review;
    assert_eq!((review.text.as_str(), review.time), ("Hello,\n\"you\"", 1_404_604_800));
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    assert_eq!(store.item("t1").unwrap().title, "Things");

    sandbox.write("own.jsonl.gz", gzip(br#"{"user": 1, "item": 2, "text": "t", "rating": "4.5"}"#));
    assert_eq!(totals(import(&sandbox, "table", "own.jsonl.gz", &[])), figures(3, 3, 2, 0, 0));
    assert_eq!(history(&sandbox, "1")[0].review.rating, Some(4.5));

    let missing = import(&sandbox, "table", "mails.csv", &[]).fails_with(1);
    assert!(missing.contains("`user`") && missing.contains("`from`"), "{missing}");
    let bad = import(&sandbox, "table", "mails.csv", &["--map", "who=from"]).fails_with(1);
    assert!(bad.contains("`who` is no field") && bad.contains("item_title"), "{bad}");
    let fixed = import(&sandbox, "amazon-2014", "mails.csv", &["--map", map]).fails_with(1);
    assert!(fixed.contains("--format table"), "{fixed}");
}

#[test]
fn the_newest_of_a_user_on_an_item_stays_whatever_the_order() {
    let row = |text: &str, time: u32| format!("u,i,{text},{time}\n");
    let rows = [row("old", 1), row("new", 3), row("middle", 2), row("new", 3), row("tie", 3)];
    for order in [[0, 1, 2, 3, 4], [1, 4, 3, 2, 0], [2, 0, 1, 4, 3]] {
        let sandbox = Sandbox::new();
        let table: String = order.iter().map(|n| rows[*n].as_str()).collect();
        sandbox.write("t.csv", format!("user,item,text,time\n{table}"));
        for _ in 0..2 {
            let read = totals(import(&sandbox, "table", "t.csv", &["--keep", "newest"]));
            assert_eq!(read, figures(1, 1, 1, 4, 0));
        }
        assert_eq!(history(&sandbox, "u")[0].review.text, "new", "{order:?}");
    }
}

/// The column map of the README's example with mails.
fn map_of_the_readme() -> &'static str {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("import --format table --reviews mails.csv --map ").unwrap();
    rest.split_whitespace().next().unwrap()
}

/// Three mails of each of two people in each of two threads, as rows of from, thread, body, date
/// and message.
fn mails() -> Vec<String> {
    let mut rows = Vec::new();
    for thread in ["thread-1", "thread-2"] {
        for (n, body) in ["\"Hello,\nyou.\"", "Thanks.", "Thanks."].iter().enumerate() {
            for from in ["marta", "jon"] {
                let date = format!("2024-05-0{}T10:00:00Z", n + 1);
                rows.push(format!("{from},{thread},{body},{date},<{from}.{thread}.{n}@example>"));
            }
        }
    }
    rows
}

fn csv(rows: &[String]) -> String {
    format!("from,thread,body,date,message\n{}\n", rows.join("\n"))
}

#[test]
fn a_thread_keeps_every_mail_of_a_person_and_doubles_none() {
    let sandbox = Sandbox::new();
    let mut rows = mails();
    // A second mail in the same second, and a row that is in the file twice.
    rows.push("marta,thread-1,One more thing.,2024-05-03T10:00:00Z,<m@example>".to_owned());
    rows.push(rows[0].clone());
    let map = ["--map", map_of_the_readme()];
    sandbox.write("mails.csv", csv(&rows));
    let read = import(&sandbox, "table", "mails.csv", &map).json();
    assert_eq!((read["reviews"].as_u64(), read["items"].as_u64()), (Some(13), Some(2)));
    assert_eq!((read["new"].as_u64(), read["duplicates"].as_u64()), (Some(13), Some(1)));
    assert_eq!(read["further"].as_u64(), Some(9));
    let of_thread = |user: &str| -> Vec<String> {
        let written = history(&sandbox, user).into_iter().filter(|r| r.review.item == "thread-1");
        written.map(|r| r.review.text).collect()
    };
    assert_eq!(of_thread("marta"), ["Hello,\nyou.", "Thanks.", "Thanks.", "One more thing."]);
    assert_eq!(of_thread("jon"), ["Hello,\nyou.", "Thanks.", "Thanks."]);

    let before = history(&sandbox, "marta");
    rows.reverse();
    sandbox.write("reversed.csv", csv(&rows));
    for file in ["mails.csv", "reversed.csv"] {
        let again = import(&sandbox, "table", file, &map).json();
        assert_eq!((again["reviews"].as_u64(), again["new"].as_u64()), (Some(13), Some(0)));
        assert_eq!(again["unchanged"].as_u64(), Some(13), "{again}");
    }
    assert_eq!(history(&sandbox, "marta"), before);

    let newest = ["import", "--format", "table", "--reviews", "mails.csv", "--keep", "newest"];
    let told = sandbox.run(&[&newest[..], &map].concat()).ok().stdout;
    assert!(told.contains("removed: 9 older reviews"), "{told}");
    assert!(told.contains("has 4 reviews by 2 users of 2 items"), "{told}");
    let all = sandbox.run(&[&newest[..5], &map].concat()).ok().stdout;
    assert!(all.contains("9 of the new ones are by users who already had a review"), "{all}");
}

#[test]
fn an_edited_mail_replaces_the_one_with_its_id_and_a_foreign_id_is_malformed() {
    let sandbox = Sandbox::new();
    let map = format!("{},id=message", map_of_the_readme());
    let map = ["--map", map.as_str()];
    let mut rows = mails();
    sandbox.write("mails.csv", csv(&rows));
    assert_eq!(import(&sandbox, "table", "mails.csv", &map).json()["new"].as_u64(), Some(12));
    rows[2] = rows[2].replace("Thanks.", "Thank you.");
    sandbox.write("edited.csv", csv(&rows));
    let read = import(&sandbox, "table", "edited.csv", &map).json();
    let counts = ["reviews", "updated", "unchanged"].map(|name| read[name].as_u64().unwrap());
    assert_eq!(counts, [12, 1, 11]);
    let texts: Vec<String> =
        history(&sandbox, "marta").into_iter().map(|r| r.review.text).collect();
    assert_eq!(texts.iter().filter(|text| *text == "Thank you.").count(), 1);
    assert_eq!(texts.len(), 6);

    // Without ids the edited text is another one.
    let plain = Sandbox::new();
    for (file, n) in [("mails.csv", 12), ("edited.csv", 13)] {
        plain.write("m.csv", std::fs::read(sandbox.path(file)).unwrap());
        let read = import(&plain, "table", "m.csv", &["--map", map_of_the_readme()]).json();
        assert_eq!(read["reviews"].as_u64(), Some(n));
    }

    let foreign = rows[0].replacen("marta", "jon", 1);
    let bad = [rows[1].clone(), "broken".to_owned(), foreign, rows[3].replace("Thanks", "Thx")];
    sandbox.write("bad.csv", csv(&bad));
    let run = import(&sandbox, "table", "bad.csv", &map);
    let told =
        "line 5: id `<marta.thread-1.0@example>` belongs to a review by `marta` of `thread-1`";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    assert!(run.stderr.find("line 4").unwrap() < run.stderr.find("line 5").unwrap());
    let read = run.json();
    assert_eq!((read["read"].as_u64(), read["malformed"].as_u64()), (Some(2), Some(2)));

    // Under --strict it ends the import, and rows after it are not stored.
    sandbox.write("strict.csv", csv(&[bad[2].clone(), rows[3].replace("Thanks", "Thnx")]));
    let strict = import(&sandbox, "table", "strict.csv", &[&map[..], &["--strict"]].concat());
    let message = strict.fails_with(1);
    assert!(message.contains("belongs to a review by `marta`"), "{message}");
    assert!(history(&sandbox, "jon").iter().any(|r| r.review.text == "Thx."));
}

#[test]
fn malformed_lines_are_told_and_passed_over_or_end_it_under_strict() {
    let sandbox = Sandbox::new();
    let mut file = b"{\"user\": \"a\", \"item\": \"i\", \"text\": \"first\"}\n".to_vec();
    file.extend(b"{\"user\": \"b\", \"item\": \"i\", \"text\": \"\xff\"}\n");
    file.extend(b"{\"user\": \"c\", \"item\": \"i\"}\n\n{\"user\": \"\", \"item\": \"i\", \"text\": \"t\"}\n");
    file.extend(b"{\"user\": \"d\", \"item\": \"i\", \"text\": \"last\"}\n");
    for _ in 0..12 {
        file.extend(b"nonsense\n");
    }
    sandbox.write("r.jsonl", &file);
    let run = import(&sandbox, "table", "r.jsonl", &[]);
    for told in [
        "r.jsonl, line 2: invalid UTF-8",
        "r.jsonl, line 3: field `text` is missing",
        "r.jsonl, line 5: field `user` is empty",
        "r.jsonl, line 7: not JSON",
        "5 more malformed lines",
    ] {
        assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
    }
    assert_eq!(totals(run), figures(2, 2, 1, 0, 15));

    let strict = Sandbox::new();
    strict.write("r.jsonl", &file);
    let message = import(&strict, "table", "r.jsonl", &["--strict"]).fails_with(1);
    assert!(message.contains("r.jsonl, line 2: invalid UTF-8"), "{message}");
    assert_eq!(history(&strict, "a").len(), 1);
}

#[test]
fn strange_texts_come_through_whole() {
    let sandbox = Sandbox::new();
    let texts = [
        "🎸🎶👩‍👩‍👧‍👦".to_owned(),
        "word ".repeat(20_000),
        "<|im_start|>system\n\u{0}\u{202e}\t".to_owned(),
        String::new(),
    ];
    let rows: Vec<String> = texts
        .iter()
        .enumerate()
        .map(|(n, text)| {
            json!({"user": "u", "item": format!("i{n}"), "text": text, "time": n}).to_string()
        })
        .collect();
    sandbox.write("r.jsonl", rows.join("\n"));
    assert_eq!(totals(import(&sandbox, "table", "r.jsonl", &[])), figures(4, 1, 4, 0, 0));
    let read: Vec<String> = history(&sandbox, "u").into_iter().map(|r| r.review.text).collect();
    assert_eq!(read, texts);
}

#[test]
fn files_that_cannot_be_read_leave_no_store_and_say_why() {
    let sandbox = Sandbox::new();
    let missing = import(&sandbox, "table", "nowhere.csv", &[]).fails_with(1);
    assert!(missing.contains("cannot open nowhere.csv"), "{missing}");
    sandbox.write("wide.csv", b"\xff\xfeu\0s\0e\0r\0");
    let wide = import(&sandbox, "table", "wide.csv", &[]).fails_with(1);
    assert!(wide.contains("UTF-16"), "{wide}");
    import(&sandbox, "table", ".", &[]).fails_with(1);
    import(&sandbox, "parquet", "wide.csv", &[]).fails_with(2);
    sandbox.run(&["import", "--format", "table"]).fails_with(2);
    assert!(!sandbox.path("idiolect.sqlite").exists());

    for name in ["empty.csv", "empty.json", "empty.jsonl"] {
        sandbox.write(name, "");
        let run = import(&sandbox, "table", name, &[]);
        assert!(run.stderr.contains("no rows"), "{}", run.stderr);
        assert_eq!(totals(run), figures(0, 0, 0, 0, 0));
    }

    let lines: String = (0..5000)
        .map(|n| format!("{{\"user\":\"u{n}\",\"item\":\"i\",\"text\":\"text {n}\"}}\n"))
        .collect();
    let packed = gzip(lines.as_bytes());
    sandbox.write("cut.jsonl.gz", &packed[..packed.len() / 2]);
    let cut = import(&sandbox, "table", "cut.jsonl.gz", &[]).fails_with(1);
    assert!(cut.contains("reading cut.jsonl.gz after line"), "{cut}");
    let kept = Store::open(&sandbox.path("idiolect.sqlite")).unwrap().counts().unwrap().reviews;
    assert!((1000..5000).contains(&kept), "{kept}");
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    let sandbox = Sandbox::new();
    sandbox.write("r.csv", "user,item,text\na,b,c\n");
    let notes = sandbox.write("notes.txt", "these are my notes, and not a database\n".repeat(40));
    let before = std::fs::read(&notes).unwrap();
    let message = import(&sandbox, "table", "r.csv", &["--store", "notes.txt"]).fails_with(1);
    assert!(message.contains("notes.txt"), "{message}");
    assert_eq!(std::fs::read(&notes).unwrap(), before);
}

#[test]
fn the_sample_comes_with_its_items_described() {
    let sandbox = Sandbox::new();
    let sample = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/sample");
    let path = |name: &str| sample.join(name).to_str().unwrap().to_owned();
    let (reviews, items) = (path("reviews.jsonl"), path("items.jsonl"));
    let read = import(&sandbox, "table", &reviews, &["--items", &items, "--strict"]).json();
    assert!(read["users"].as_u64() >= Some(16) && read["duplicates"] == 0, "{read}");
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    for id in store.item_ids().unwrap() {
        let item = store.item(&id).unwrap();
        assert!(!item.title.is_empty() && !item.description.is_empty(), "{id}");
        assert!(!item.categories.is_empty(), "{id}");
    }
    assert!(store.users(0).unwrap().iter().all(|u| u.reviews >= 9 && u.first > 0));
}

#[test]
fn digital_music_gives_what_its_readme_says() {
    let Some(folder) = real_data("amazon-digital-music") else { return };
    let sandbox = Sandbox::new();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (reviews, items) =
        (path("reviews_Digital_Music_5.json.gz"), path("meta_Digital_Music.json.gz"));
    for _ in 0..2 {
        let read = totals(import(&sandbox, "amazon-2014", &reviews, &["--items", &items]));
        assert_eq!(read, figures(6908, 2490, 382, 0, 0));
    }
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    assert_eq!(store.review_ids().unwrap().last().unwrap().0, 6908);
    assert_eq!(store.users(8).unwrap().len(), 145);
    let described = store
        .item_ids()
        .unwrap()
        .into_iter()
        .filter(|id| !store.item(id).unwrap().description.is_empty());
    assert_eq!(described.count(), 236);
}
