//! Files as spreadsheets, mail programs, pandas and web services write them: nothing is lost for the sake
//! of an optional value, and what is left out or guessed is told.

#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;

use crate::common::{Run, Sandbox};
use idiolect::corpus::{Store, StoredReview};
use serde_json::{Value, json};

fn import(sandbox: &Sandbox, file: &str, more: &[&str]) -> Run {
    let mut arguments = vec!["import", "--json", "--format", "table", "--reviews", file];
    arguments.extend(more);
    sandbox.run(&arguments)
}

fn history(sandbox: &Sandbox, user: &str) -> Vec<StoredReview> {
    Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap().history(user).unwrap()
}

fn texts(sandbox: &Sandbox, user: &str) -> Vec<String> {
    history(sandbox, user).into_iter().map(|stored| stored.review.text).collect()
}

#[test]
fn a_delimiter_is_found_or_named() {
    for (name, table, more) in [
        ("a.csv", "user;item;text;rating\neva;stool;\"Wobbles; a lot\";4,5\n", &[][..]),
        ("b.csv", "user\titem\ttext\trating\neva\tstool\tWobbles; a lot\t4.5\n", &[]),
        ("c.txt", "user|item|text|rating\neva|stool|Wobbles; a lot|4.5\n", &[]),
        ("d.csv", "sep=;\nuser;item;text;rating\neva;stool;\"Wobbles; a lot\";4,5\n", &[]),
        ("e.csv", "user^item^text^rating\neva^stool^Wobbles; a lot^9/10\n", &["--delimiter", "^"]),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write(name, table);
        assert_eq!(import(&sandbox, name, more).json()["reviews"], 1, "{name}");
        let review = &history(&sandbox, "eva")[0].review;
        assert_eq!((review.text.as_str(), review.rating), ("Wobbles; a lot", Some(4.5)), "{name}");
    }
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", "user^item^text\na^b^c\n");
    let said = import(&sandbox, "t.csv", &[]).fails_with(1);
    assert!(said.contains("--delimiter"), "{said}");
    let said = import(&sandbox, "t.csv", &["--delimiter", "ab"]).fails_with(2);
    assert!(said.contains("one ASCII character"), "{said}");
}

#[test]
fn empty_columns_and_short_rows_do_no_harm() {
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", "user,item,text,rating,,,\neva,stool,Wobbles,4,,,\nida,stool,Sturdy\n");
    let run = import(&sandbox, "t.csv", &[]);
    assert!(run.stderr.contains("1 rows have fewer fields"), "{}", run.stderr);
    let read = run.json();
    assert_eq!((&read["reviews"], &read["malformed"]), (&json!(2), &json!(0)));
    sandbox.write("twice.csv", "user,item,text,text\na,b,c,d\n");
    let said = import(&sandbox, "twice.csv", &[]).fails_with(1);
    assert!(said.contains("`text` twice"), "{said}");
}

#[test]
fn other_encodings_are_guessed_named_and_told() {
    let german = "user,item,text\neva,stuhl,Höhenverstellung hält nicht\nida,stuhl,schön groß\n";
    let latin: Vec<u8> = german.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let wide: Vec<u8> =
        format!("\u{feff}{german}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, more, told) in [
        (&latin, &[][..], "seems to be windows-1252"),
        (&latin, &["--encoding", "latin-1"], "was read as windows-1252"),
        (&wide, &[], "was read as UTF-16LE"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("t.csv", bytes);
        let run = import(&sandbox, "t.csv", more);
        assert!(run.stderr.contains(told), "{}", run.stderr);
        assert_eq!(run.json()["reviews"], 2);
        assert_eq!(texts(&sandbox, "eva"), ["Höhenverstellung hält nicht"]);
    }
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", german);
    let said = import(&sandbox, "t.csv", &["--encoding", "morse"]).fails_with(2);
    assert!(said.contains("windows-1252"), "{said}");
}

#[test]
fn times_and_ratings_in_many_forms_and_none_costs_a_row() {
    let sandbox = Sandbox::new();
    let seconds = 1_583_316_000; // 2020-03-04T10:00:00Z
    let rows = [
        ("Wed, 4 Mar 2020 11:00:00 +0100", "4/5"),
        ("Wed Mar 04 10:00:00 +0000 2020", "4,0"),
        ("2020-03-04 10:00", "4 stars"),
        ("04.03.2020 10:00", "4"),
        ("1583316000", "4.0 out of 5"),
        ("1583316000000", "8/10"),
        ("1583316000000000", "★★★★☆"),
        ("1583316000000000000", "NaN"),
        ("the other day", "quite good"),
        ("04/03/2020", ""),
        ("99999999999999999999999", "4"),
    ];
    let mut table = "user,item,text,time,rating\n".to_owned();
    for (n, (time, rating)) in rows.iter().enumerate() {
        table.push_str(&format!("eva,i{n},text {n},\"{time}\",\"{rating}\"\n"));
    }
    sandbox.write("t.csv", table);
    let run = import(&sandbox, "t.csv", &[]);
    for told in ["`time` count as missing: no date", "day and month", "`rating` count as missing"] {
        assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
    }
    let read = run.json();
    assert_eq!((&read["reviews"], &read["malformed"]), (&json!(rows.len()), &json!(0)));
    for stored in history(&sandbox, "eva") {
        let n: usize = stored.review.item[1..].parse().unwrap();
        assert_eq!(stored.review.time, if n < 8 { seconds } else { 0 }, "{:?}", rows[n]);
        let expected = if n < 7 || n == 10 { Some(4.0) } else { None };
        assert_eq!(stored.review.rating, expected, "{:?}", rows[n]);
    }
    let defaulted = read["defaulted"].as_array().unwrap();
    assert_eq!(defaulted.iter().map(|d| d["values"].as_u64().unwrap()).sum::<u64>(), 4, "{read}");
}

#[test]
fn json_of_python_is_read() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "t.jsonl",
        "{\"user\": \"eva\", \"item\": 7.0, \"text\": \"a\", \"rating\": NaN}\n\
         {'user': u'eva', 'item': '8', 'text': \"It's caf\\xe9\", 'rating': None}\n\
         {\"user\": \"eva\", \"item\": 9, \"text\": \"c\", \"title\": [\"no\", \"text\"], \"time\": -Infinity}\n",
    );
    let read = import(&sandbox, "t.jsonl", &[]).json();
    assert_eq!((&read["reviews"], &read["malformed"]), (&json!(3), &json!(0)));
    assert_eq!(texts(&sandbox, "eva"), ["a", "It's café", "c"]);
    assert_eq!(read["defaulted"][0]["field"], "title");
}

#[test]
fn a_map_reaches_into_objects_and_lists() {
    let sandbox = Sandbox::new();
    let row = json!({"who": {"name": "eva"}, "posts": [
        {"about": 1, "says": "one", "posted": "Posted March 4, 2020."}, {"about": 2, "says": "two"}]});
    sandbox.write("t.jsonl", row.to_string());
    let map = "user=who.name,item=posts.about,text=posts.says,time=posts.posted";
    assert_eq!(import(&sandbox, "t.jsonl", &["--map", map]).json()["reviews"], 2);
    let mut said = texts(&sandbox, "eva");
    said.sort();
    assert_eq!(said, ["one", "two"]);
    let hint = import(&sandbox, "t.jsonl", &["--map", "user=who.name,item=about,text=says"]);
    assert!(hint.fails_with(1).contains("`posts.about`"));
}

#[test]
fn ids_of_pandas_meet_those_of_the_items() {
    let sandbox = Sandbox::new();
    sandbox.write("r.csv", "user,item,text\n1.0,42.0,a\n2.0,42.0,b\n");
    sandbox.write("i.csv", "item,title\n42,Stool\n");
    let run = import(&sandbox, "r.csv", &["--items", "i.csv"]);
    assert!(!run.stderr.contains("no item with a title"), "{}", run.stderr);
    assert_eq!(run.json()["items"], 1);
    assert_eq!(history(&sandbox, "1").len(), 1);

    let apart = Sandbox::new();
    apart.write("r.csv", "user,item,text\n1,x42,a\n");
    apart.write("i.csv", "item,title\n42,Stool\n");
    let run = import(&apart, "r.csv", &["--items", "i.csv"]);
    assert!(run.stderr.contains("no item with a title"), "{}", run.stderr);
}

#[test]
fn a_file_of_which_nothing_could_be_read_is_a_failure() {
    let sandbox = Sandbox::new();
    let row = json!({"user": "eva", "item": "stool", "text": "Wobbles"});
    sandbox.write("t.jsonl", format!("{row},\n{row},\n"));
    let run = import(&sandbox, "t.jsonl", &[]);
    let printed: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(printed["dropped"][0]["rows"], 2);
    let said = run.fails_with(1);
    assert!(said.contains("no row could be read of t.jsonl"), "{said}");
    assert!(said.contains("t.jsonl, line 2: not JSON: trailing characters at column"), "{said}");
    assert!(!said.contains("at line"), "one number of a line: {said}");
}

#[test]
fn a_workbook_and_a_packed_file_are_named() {
    let sandbox = Sandbox::new();
    for (bytes, told) in
        [(&b"PK\x03\x04rest"[..], "Excel"), (b"PAR1rest", "Parquet"), (b"BZh9rest", "bzip2")]
    {
        sandbox.write("t.csv", bytes);
        let said = import(&sandbox, "t.csv", &[]).fails_with(1);
        assert!(said.contains(told), "{said}");
    }
    assert!(!sandbox.path("idiolect.sqlite").exists());
}

#[cfg(unix)]
#[test]
fn files_may_have_any_name_of_the_system() {
    use std::os::unix::ffi::OsStrExt as _;
    let sandbox = Sandbox::new();
    let name = OsStr::from_bytes(b"caf\xe9.csv");
    std::fs::write(sandbox.path("").join(name), "user,item,text\neva,stool,ok\n").unwrap();
    for store in [&b"st\xe9.sqlite"[..], b"idiolect.sqlite"] {
        let mut command = sandbox.command(&["import", "--format", "table", "--reviews"]);
        command.arg(name).arg("--store").arg(OsStr::from_bytes(store));
        Run::of(command.output().unwrap()).ok();
    }
    assert_eq!(texts(&sandbox, "eva"), ["ok"]);
}

#[test]
fn items_of_2023_are_described_by_their_features() {
    let sandbox = Sandbox::new();
    sandbox.write("r.jsonl", json!({"user_id": "u", "parent_asin": "p", "text": "t"}).to_string());
    let item = |id: &str, features: Value, details: Value| {
        json!({"parent_asin": id, "title": id, "description": [], "features": features, "details": details})
            .to_string()
    };
    let items = [
        item("p", json!(["Oak", "Three legs"]), json!({})),
        item("q", json!([]), json!({"Maker": "Nobody"})),
        item("r", json!([]), json!({})),
    ];
    sandbox.write("i.jsonl", items.join("\n"));
    let arguments =
        ["import", "--format", "amazon-2023", "--reviews", "r.jsonl", "--items", "i.jsonl"];
    let run = sandbox.run(&arguments).ok();
    assert!(run.stderr.contains("1 of 3 items have no description"), "{}", run.stderr);
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    let described = |id: &str| store.item(id).unwrap().description;
    assert_eq!([described("p"), described("q")], ["Oak Three legs", "Maker: Nobody."]);
}
