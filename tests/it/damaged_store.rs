//! A store with damaged pages: commands say so, and none panics or prints rubbish.

#![allow(clippy::unwrap_used)]

use crate::common::Sandbox;
use rand::{RngExt, SeedableRng};

#[test]
fn a_damaged_page_is_told() {
    let sandbox = Sandbox::new();
    let rows: String = (0..2000)
        .map(|n| {
            format!("user{},item{},a text number {n} with some words in it,{n}\n", n % 40, n % 90)
        })
        .collect();
    sandbox.write("r.csv", format!("user,item,text,time\n{rows}"));
    sandbox.run(&["import", "--format", "table", "--reviews", "r.csv"]).ok();
    let whole = std::fs::read(sandbox.path("idiolect.sqlite")).unwrap();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(3);
    let (mut n_told, mut n_found) = (0, 0);
    for _ in 0..10 {
        let mut damaged = whole.clone();
        // A page of 4096 bytes, not the first, is overwritten.
        let page = rng.random_range(1..whole.len() / 4096) * 4096;
        damaged[page..page + 4096].fill(rng.random());
        sandbox.write("idiolect.sqlite", damaged);
        for arguments in [&["users"][..], &["export", "user7"], &["forget", "user7", "--dry-run"]] {
            let run = sandbox.run(arguments);
            assert!(!run.stderr.contains("panicked"), "{}", run.stderr);
            if run.code == Some(0) {
                continue;
            }
            assert!(
                run.stderr.contains("is damaged") && run.stderr.contains("restore a copy"),
                "{run:?}"
            );
            n_told += 1;
        }
        let checked = sandbox.run(&["doctor", "--json"]);
        assert!(!checked.stderr.contains("panicked"), "{}", checked.stderr);
        n_found += u32::from((checked.stdout + &checked.stderr).contains("is damaged"));
    }
    assert!(n_told > 0, "no damage was met");
    assert_eq!(n_found, 10, "`doctor` misses damaged pages");
}
