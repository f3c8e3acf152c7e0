//! `split` and `users` on the command line.

#![allow(clippy::unwrap_used)]

use crate::common::{Sandbox, real_data};
use idiolect::corpus::Store;
use idiolect::corpus::split::SplitPart;

fn sandbox_with(rows: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("t.csv", format!("user,item,text,time\n{rows}"));
    sandbox.run(&["import", "--format", "table", "--reviews", "t.csv"]).ok();
    sandbox
}

#[test]
fn a_split_is_made_replaced_and_told() {
    let rows: String =
        (0..9).map(|n| format!("ann,i{n},text {n},{}\nbob,i{n},word,{n}\n", n + 1)).collect();
    let sandbox = sandbox_with(&rows);
    let small = sandbox.run(&["split", "--preset", "small", "--json"]).json();
    assert_eq!((small["users"].as_u64(), small["test"].as_u64()), (Some(2), Some(2)));
    assert_eq!(small["left"][0]["reviews"], 18);
    let strict = sandbox.run(&["split"]).fails_with(1);
    assert!(strict.contains("18 reviews after `everything`"), "{strict}");
    assert!(strict.contains("--preset small"), "{strict}");

    let options = [
        "split",
        "--preset",
        "none",
        "--name",
        "x",
        "--repeated-texts",
        "keep-newest",
        "--require",
        "time",
    ];
    let told = sandbox.run(&options).ok().stdout;
    assert!(told.contains("split `x`: 1 users; held out for train 0, val 0, test 1"), "{told}");
    let store = Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    assert_eq!(store.splits().unwrap(), ["default", "x"]);
    let split = store.split("x").unwrap();
    let (user, held_out) = split.held_out(SplitPart::Test).next().unwrap();
    assert_eq!(user, "ann");
    assert_eq!(store.reviews(&[held_out]).unwrap()[0].review.text, "text 8");
}

#[test]
fn users_are_listed_with_their_dates() {
    let sandbox =
        sandbox_with("ann,a,t,86400\nann,b,t,1404649800\nbob,a,t,\n\"two\nlines\",a,t,0\n");
    let table = sandbox.run(&["users"]).ok().stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[1].starts_with("ann") && lines[1].contains("1970-01-02  2014-07-06"), "{table}");
    assert_eq!(lines.len(), 4, "{table}");
    let run = sandbox.run(&["users", "--min-reviews", "1", "--limit", "1", "--json"]).json();
    assert_eq!(run["total"], 3);
    assert_eq!(run["users"].as_array().unwrap().len(), 1);
    assert_eq!(run["users"][0]["last"], 1_404_649_800);

    let nowhere = sandbox.run(&["--store", "none.sqlite", "users"]).fails_with(1);
    assert!(nowhere.contains("none.sqlite") && nowhere.contains("import"), "{nowhere}");
    assert!(!sandbox.path("none.sqlite").exists());
}

#[test]
fn the_small_preset_tests_every_regular_of_digital_music() {
    let Some(folder) = real_data("amazon-digital-music") else { return };
    let sandbox = Sandbox::new();
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let reviews = path("reviews_Digital_Music_5.json.gz");
    let items = path("meta_Digital_Music.json.gz");
    sandbox
        .run(&["import", "--format", "amazon-2014", "--reviews", &reviews, "--items", &items])
        .ok();
    let small = sandbox.run(&["split", "--preset", "small", "--json"]).json();
    assert_eq!((small["users"].as_u64(), small["test"].as_u64()), (Some(145), Some(145)));
}
