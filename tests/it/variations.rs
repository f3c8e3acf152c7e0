//! Variations of the situations that people reported of comparable programs: other spellings, delimiters,
//! encodings, dates, ratings and line ends, other options for names, and hyphens and bytes in all of them.

#![allow(clippy::unwrap_used)]

use crate::common::{Run, Sandbox};
use encoding::encoded;
use flate2::Compression;
use idiolect::corpus::{Review, Store};
use serde_json::Value;

/// Texts in encodings other than UTF-8, without a crate for them.
mod encoding {
    /// A text in a single-byte encoding, by a list of pairs of letters and bytes.
    pub(super) fn encoded(text: &str, letters: &str, first: u8) -> Vec<u8> {
        let byte = |c: char| match letters.chars().position(|letter| letter == c) {
            Some(at) => first + u8::try_from(at).unwrap(),
            None => u8::try_from(u32::from(c)).unwrap(),
        };
        text.chars().map(byte).collect()
    }
}

/// Imports a table and returns the run.
fn import(sandbox: &Sandbox, file: &str, more: &[&str]) -> Run {
    let mut arguments = vec!["import", "--json", "--format", "table", "--reviews", file];
    arguments.extend(more);
    sandbox.run(&arguments)
}

/// All reviews of a user, in the order of their times.
fn history(sandbox: &Sandbox, user: &str) -> Vec<Review> {
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    store.history(user).unwrap().into_iter().map(|stored| stored.review).collect()
}

/// The only review of `eva` in a file that is imported alone.
fn review_of(file: &str, contents: impl AsRef<[u8]>, more: &[&str]) -> Review {
    let sandbox = Sandbox::new();
    sandbox.write(file, contents);
    let read: Value = import(&sandbox, file, more).json();
    assert_eq!(read["malformed"], 0, "{file}: {read}");
    let mut found = history(&sandbox, "eva");
    assert_eq!(found.len(), 1, "{file}: {found:?}");
    found.remove(0)
}

#[test]
fn tables_of_other_programs_keep_their_texts() {
    let wobbles = "Wobbles, a \"lot\"\nand creaks";
    for (file, contents, more) in [
        // Columns in other case, with spaces, without a name, behind an index.
        (
            "case.csv",
            "User , ITEM,Text\neva,stool,\"Wobbles, a \"\"lot\"\"\nand creaks\"\n",
            &[][..],
        ),
        ("index.csv", ",user,item,text\n0,eva,stool,\"Wobbles, a \"\"lot\"\"\nand creaks\"\n", &[]),
        (
            "empty.csv",
            ",,user,item,text,,\n,,eva,stool,\"Wobbles, a \"\"lot\"\"\nand creaks\",,\n",
            &[],
        ),
        // Quotes as databases escape them.
        ("escaped.csv", "user,item,text\neva,stool,\"Wobbles, a \\\"lot\\\"\nand creaks\"\n", &[]),
        (
            "named.csv",
            "user\u{1}item\u{1}text\neva\u{1}stool\u{1}\"Wobbles, a \"\"lot\"\"\nand creaks\"\n",
            &["--delimiter", "\u{1}"],
        ),
        (
            "crlf.csv",
            "user,item,text\r\neva,stool,\"Wobbles, a \"\"lot\"\"\r\nand creaks\"\r\n",
            &[],
        ),
        ("cr.csv", "user,item,text\reva,stool,\"Wobbles, a \"\"lot\"\"\rand creaks\"\r", &[]),
        (
            "mark.csv",
            "\u{feff}\"user\",\"item\",\"text\"\n\"eva\",\"stool\",\"Wobbles, a \"\"lot\"\"\nand creaks\"",
            &[],
        ),
        (
            "blank.csv",
            "\n\nuser,item,text\n\neva,stool,\"Wobbles, a \"\"lot\"\"\nand creaks\"\n\n\n",
            &[],
        ),
        (
            "sep.csv",
            "sep=\t\nuser\titem\ttext\neva\tstool\t\"Wobbles, a \"\"lot\"\"\nand creaks\"\n",
            &[],
        ),
        ("ids.csv", "user;item;text\n eva ;stool ;\"Wobbles, a \"\"lot\"\"\nand creaks\"\n", &[]),
    ] {
        let review = review_of(file, contents, more);
        assert_eq!((review.text.as_str(), review.item.as_str()), (wobbles, "stool"), "{file}");
    }
}

#[test]
fn json_of_other_programs_keeps_its_texts() {
    let row = r#"{"user": "eva", "item": "stool", "text": "Wobbles"}"#;
    let pretty = "{\n  \"user\": \"eva\",\n  \"item\": \"stool\",\n  \"text\": \"Wobbles\"\n}\n";
    let map = ["--map", "user=r.user,item=r.item,text=r.text"];
    for (file, contents, more) in [
        ("array.json", format!("[{row},\n]").replace(",\n]", "\n]"), &[][..]),
        ("pretty.json", pretty.to_owned(), &[]),
        ("separated.jsonl", format!("\u{1e}{row}\n"), &[]),
        ("mark.jsonl", format!("\u{feff}{row}\r\n"), &[]),
        ("trailing.jsonl", row.replace('}', ",}"), &[]),
        ("nested.json", format!("{{\n  \"r\": [\n    {row}\n  ]\n}}\n"), &map),
        ("object.jsonl", format!("{{\"r\": {row}}}\n"), &map),
        ("lines.jsonl", row.replace("\"Wobbles\"", "[\"Wob\", \"bles\"]"), &[]),
        ("cr.jsonl", format!("{row}\r"), &[]),
    ] {
        let text = review_of(file, contents, more).text;
        assert_eq!(text.replace('\n', ""), "Wobbles", "{file}");
    }
    // Where a value is inside of an object, the message says what it is called.
    let sandbox = Sandbox::new();
    sandbox.write("t.jsonl", row.replace("\"eva\"", "{\"id\": 1, \"name\": \"eva\"}"));
    let said = import(&sandbox, "t.jsonl", &[]).fails_with(1);
    assert!(said.contains("`user.id`, `user.name`"), "{said}");
}

#[test]
fn encodings_are_found_named_or_refused_with_what_to_do() {
    let cyrillic: String = ('А'..='я').collect();
    let russian =
        "user;item;text\neva;stool;Крышка заедает, но стул хороший\nbo;stool;Ручка не греется\n";
    let text = "Крышка заедает, но стул хороший";
    let wide = |text: &str, to: fn(u16) -> [u8; 2]| -> Vec<u8> {
        text.encode_utf16().flat_map(to).collect()
    };
    for (bytes, more) in [
        (encoded(russian, &cyrillic, 0xc0), &[][..]),
        (encoded(russian, &cyrillic, 0xc0), &["--encoding", "cp1251"]),
        (wide(russian, u16::to_le_bytes), &["--encoding", "utf-16le"]),
        (wide(&format!("\u{feff}{russian}"), u16::to_be_bytes), &[]),
        (wide(&format!("\u{feff}{russian}"), u16::to_le_bytes), &["--encoding", "utf-16"]),
    ] {
        assert_eq!(review_of("t.csv", bytes, more).text, text, "{more:?}");
    }
    let shift_jis = b"user,item,text\neva,\x82\xe2\x82\xa9\x82\xf1,\x82\xa8\x93\x92\x82\xaa\x95\xa6\x82\xad\x81B\n";
    assert_eq!(review_of("t.csv", shift_jis, &[]).text, "お湯が沸く。");
    let sandbox = Sandbox::new();
    let words = "\u{feff}user,item,text\n".chars().flat_map(|c| u32::from(c).to_le_bytes());
    sandbox.write("t.csv", words.collect::<Vec<u8>>());
    let said = import(&sandbox, "t.csv", &[]).fails_with(1);
    assert!(said.contains("UTF-32") && said.contains("UTF-8"), "{said}");
}

#[test]
fn packed_files_are_read_whole_or_told() {
    use std::io::Write as _;
    let packed = |text: &str| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
        packer.write_all(text.as_bytes()).unwrap();
        packer.finish().unwrap()
    };
    let (first, second) = (packed("user,item,text\neva,stool,a\n"), packed("bo,stool,b\n"));
    for name in ["t.csv.gz", "t.csv", "t"] {
        assert_eq!(review_of(name, [&first[..], &second].concat(), &[]).text, "a");
    }
    let sandbox = Sandbox::new();
    let long: String = (0..4000).map(|n| format!("eva,i{n},{n} {}\n", n * 7919)).collect();
    let whole = packed(&format!("user,item,text\n{long}"));
    sandbox.write("cut.csv.gz", &whole[..whole.len() - 40]);
    let said = import(&sandbox, "cut.csv.gz", &[]).fails_with(1);
    assert!(said.contains("what was read before is kept"), "{said}");
    assert!(history(&sandbox, "eva").len() > 1000);
}

#[test]
fn files_without_rows_are_told_apart() {
    for (contents, code, told) in [
        (&b""[..], 0, "no rows"),
        (b"\n\n", 0, "no rows"),
        (b"user,item,text\n", 0, "no rows"),
        (b"# exported\nuser,item,text\na,b,c\n", 1, "no column `user`"),
        (b"user,item,text\n\"a,b,c\n", 1, "no row could be read"),
        (b"\0\0\0\0\0\0", 1, "t.csv"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("t.csv", contents);
        let run = import(&sandbox, "t.csv", &[]);
        assert_eq!(run.code, Some(code), "{contents:?}: {run:?}");
        assert!(run.stderr.contains(told), "{contents:?}: {}", run.stderr);
    }
    // A folder, a device, a line without an end.
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("folder")).unwrap();
    let said = import(&sandbox, "folder", &[]).fails_with(1);
    assert!(said.contains("is a folder"), "{said}");
    let long = format!("user,item,text\neva,stool,{}\nbo,stool,fine\n", "x".repeat(17 << 20));
    sandbox.write("long.csv", long);
    let run = import(&sandbox, "long.csv", &[]);
    assert!(run.stderr.contains("longer than 16 MiB"), "{}", run.stderr);
    assert_eq!(run.json()["reviews"], 1);
}

#[test]
fn ratings_and_dates_in_many_forms_cost_no_row() {
    let sandbox = Sandbox::new();
    let rows = [
        ("80%", "1 March 2022"),
        ("80 %", "March 1st, 2022"),
        ("4 von 5", "01-Mar-2022"),
        ("8,0/10", "1. März 2022"),
        ("⭐⭐⭐⭐", "1er mars 2022"),
        ("●●●●○", "2022年3月1日"),
        ("４", "2022.03.01"),
        ("4 étoiles", "1.3.22"),
        ("4.0/5.0", "20220301000000"),
        ("★★★½½", "1646092800,0"),
        ("+4", "Tue Mar  1 01:00:00 CET 2022"),
        ("four", "2022-13-45"),
        ("120%", "yesterday"),
        ("B+", "Mar 22"),
    ];
    let mut table = "user\titem\ttext\trating\ttime\n".to_owned();
    for (n, (rating, time)) in rows.iter().enumerate() {
        table.push_str(&format!("eva\ti{n}\tt\t{rating}\t{time}\n"));
    }
    sandbox.write("t.tsv", table);
    assert_eq!(import(&sandbox, "t.tsv", &[]).json()["reviews"], rows.len());
    for review in history(&sandbox, "eva") {
        let n: usize = review.item[1..].parse().unwrap();
        let (rating, time) = if n < 11 { (Some(4.0), 1_646_092_800) } else { (None, 0) };
        assert_eq!((review.rating, review.time), (rating, time), "{:?}", rows[n]);
    }
    // An order that cannot be told is named, and an option gives it.
    sandbox.write("order.csv", "user,item,text,time\nida,a,t,03/02/2022\n");
    let run = import(&sandbox, "order.csv", &[]);
    assert!(run.stderr.contains("--date-order"), "{}", run.stderr);
    for (order, time) in [("day-first", 1_643_846_400), ("month-first", 1_646_179_200)] {
        let sandbox = Sandbox::new();
        sandbox.write("order.csv", "user,item,text,time\nida,a,t,03/02/2022\n");
        import(&sandbox, "order.csv", &["--date-order", order]).ok();
        assert_eq!(history(&sandbox, "ida")[0].time, time);
    }
}

#[test]
fn values_of_options_may_begin_with_a_hyphen() {
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", "user,item,text,time\n-u,-i,a,1\n-u,j,b,2\n-v,-i,c,3\n");
    import(&sandbox, "t.csv", &[]).ok();
    sandbox.run(&["split", "--name", "-s", "--preset", "none"]).ok();
    // What is wrong is the value or a missing model, not the argument.
    for (arguments, told) in [
        (&["evaluate", "--split-name", "-t", "--measures", "likelihood"][..], "`-t`"),
        (&["profile", "--drop", "-k", "--", "-w"], "`-w`"),
        (&["profile", "--pin", "-k", "--", "-w"], "`-w`"),
        (&["profile", "--restore", "-k", "--", "-w"], "`-w`"),
        (&["write", "--user", "-w", "--item", "-i", "--rating", "-1"], "`-w`"),
        (&["import", "--format", "mbox", "t.csv", "--alias", "-x=-y"], "t.csv"),
        (&["export", "--", "-w"], "`-w`"),
        (&["forget", "--dry-run", "--item", "-j", "--", "-u"], "`-u`"),
    ] {
        let said = sandbox.run(arguments).fails_with(1);
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
    for (arguments, told) in [
        (&["users", "--limit", "-x"][..], "--limit"),
        (&["write", "--user", "u", "--item", "i", "--seed", "-1"], "--seed=-1"),
        (&["representatives", "-u", "i"], "-- -u"),
    ] {
        let said = sandbox.run(arguments).fails_with(2);
        assert!(said.contains(told), "{arguments:?}: {said}");
    }
    let said = sandbox.run(&["users", "-x"]).fails_with(2);
    assert!(!said.contains("write a name"), "{said}");
}

#[cfg(unix)]
#[test]
fn options_that_name_files_take_any_name_of_the_system() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", "user,item,text\neva,stool,a\n");
    import(&sandbox, "t.csv", &[]).ok();
    let with = |before: &[&str], name: &[u8], after: &[&str]| {
        let mut command = sandbox.command(before);
        command.arg(OsStr::from_bytes(name)).args(after);
        Run::of(command.output().unwrap())
    };
    for (before, after) in [
        (&["--lm"][..], &["lm", "tokenize", "--text", "x"][..]),
        (&["--encoder"], &["embed", "--file", "t.csv"]),
        (&["write", "--user", "eva", "--item", "stool", "--task"], &[]),
        (&["write", "--user", "eva", "--item", "stool", "--settings"], &[]),
        (&["write", "--user", "eva", "--item", "stool", "--context"], &[]),
        (&["evaluate", "--wordnet"], &[]),
        (&["forget", "eva", "--yes", "--also"], &[]),
        (&["profile", "eva", "--apply"], &[]),
        (&["metrics", "--references", "t.csv", "--predictions"], &[]),
        (&["lm", "complete", "--prompt-file"], &[]),
        (&["lm", "complete", "--prompt", "x", "--json-schema"], &[]),
        (&["import", "--format", "table", "--items"], &[]),
        (&["import"], &[]),
        (&["--store"], &["users"]),
    ] {
        let said = with(before, b"./caf\xe9.gguf", after).fails_with(1);
        assert!(said.contains("caf\u{fffd}.gguf"), "{before:?}: {said}");
    }
    for option in ["--html", "--csv"] {
        let said = with(&["evaluate", option], b"caf\xe9/x", &[]).fails_with(1);
        assert!(said.contains("cannot write caf\u{fffd}/x"), "{option}: {said}");
    }
    let listed = with(&["--models-dir"], b"caf\xe9", &["models", "list", "--json"]).json();
    assert_eq!(listed["models_dir"], "caf\u{fffd}");
    // What is no file is told with the argument.
    let said = with(&["export"], b"caf\xe9", &[]).fails_with(2);
    assert!(said.contains("caf\u{fffd}") && said.contains("UTF-8"), "{said}");
    if let Some(files) = crate::common::test_lm() {
        let copy = sandbox.path("").join(OsStr::from_bytes(b"mod\xe8le.gguf"));
        std::os::unix::fs::symlink(files.gguf, &copy).unwrap();
        let run = with(&["--lm"], b"mod\xe8le.gguf", &["lm", "tokenize", "--text", "a kettle"]);
        assert!(!run.ok().stdout.trim().is_empty());
    }
    let task = sandbox.path("").join(OsStr::from_bytes(b"t\xe2che.toml"));
    std::fs::write(task, "inherits = \"review\"\nname = \"task\"\nn = \"wrong\"\n").unwrap();
    let write = ["write", "--user", "eva", "--item", "stool", "--task"];
    let said = with(&write, b"t\xe2che.toml", &[]).fails_with(1);
    assert!(said.contains("line 3"), "{said}");
}

#[test]
fn switches_of_the_environment_are_read_in_any_spelling() {
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", "user,item,text\neva,stool,a\n");
    import(&sandbox, "t.csv", &[]).ok();
    for name in ["IDIOLECT_OFFLINE", "IDIOLECT_QUIET", "IDIOLECT_NO_PEER_TEXT"] {
        for value in ["1", "0", "yes", "NO", "On", "off", "TRUE", "False", "y", "n", " t ", "f", ""]
        {
            let write = ["write", "--user", "nobody", "--item", "stool", "--method", "rag"];
            let output = sandbox.command(&write).env(name, value).output().unwrap();
            let said = Run::of(output).fails_with(1);
            assert!(said.contains("`nobody`"), "{name}={value}: {said}");
        }
        let write = ["write", "--user", "nobody", "--item", "stool"];
        let output = sandbox.command(&write).env(name, "enabled").output().unwrap();
        let said = Run::of(output).fails_with(2);
        assert!(said.contains("enabled") && said.contains("yes or no"), "{name}: {said}");
    }
}

#[test]
fn no_peer_text_refuses_what_shows_texts_of_others() {
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", "user,item,text\neva,stool,a\nbo,stool,b\n");
    import(&sandbox, "t.csv", &[]).ok();
    let write = |more: &[&str]| {
        let arguments = ["write", "--user", "nobody", "--item", "stool", "--no-peer-text"];
        sandbox.run(&[&arguments[..], more].concat()).fails_with(1)
    };
    for refused in [
        &["--method", "dpl"][..],
        &["--method", "drp"],
        &["--method", "ccp"],
        &["--method", "cicl"],
        &["--method", "persona-db"],
        &["--contrast", "peers"],
        &["--best-of", "2"],
        &["--statements", "told"],
        &["--item-phrases", "0.1"],
        &["--item-words", "0.1"],
        &["--estimate"],
    ] {
        let said = write(refused);
        assert!(said.contains("texts by other users"), "{refused:?}: {said}");
    }
    for allowed in [&["--method", "rag"][..], &["--method", "scp"], &["--method", "intsum"], &[]] {
        let said = write(allowed);
        assert!(said.contains("`nobody`"), "{allowed:?}: {said}");
    }
    for arguments in [
        &["profile", "eva", "--no-peer-text"][..],
        &["evaluate", "--methods", "scp,dpl", "--no-peer-text"],
        &["evaluate", "--methods", "scp", "--task", "reply", "--no-peer-text"],
    ] {
        let said = sandbox.run(arguments).fails_with(1);
        assert!(said.contains("--no-peer-text") || said.contains("split"), "{arguments:?}: {said}");
    }
}
