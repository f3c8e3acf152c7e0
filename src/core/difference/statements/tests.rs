#![allow(clippy::unwrap_used)]

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::corpus::{self, Review, ReviewId, Store};
use crate::difference::{Evidence, StatementSource};

fn task() -> &'static Task {
    static TASK: LazyLock<Task> = LazyLock::new(|| Task::load(Task::DEFAULT).unwrap());
    &TASK
}

fn statement(key: &str, dimension: &str, text: &str) -> Statement {
    Statement {
        key: key.to_owned(),
        dimension: dimension.to_owned(),
        text: text.to_owned(),
        source: StatementSource::Measured,
        effect: Some(1.25),
        figures: None,
        reviews: vec![ReviewId(3), ReviewId(5)],
        against: vec![ReviewId(4)],
        evidence: vec![Evidence {
            review: ReviewId(3),
            quote: "fine!!\nvery fine".to_owned(),
            other: None,
        }],
    }
}

fn gain(specific: f64) -> Gain {
    Gain { own: 0.0312, peers: 0.004, specific, standard_error: 0.0051, reviews: 8 }
}

fn entry(key: &str, dimension: &str, status: StatementStatus) -> ProfileStatement {
    let gain =
        matches!(status, StatementStatus::Accepted | StatementStatus::Rejected).then(|| gain(0.02));
    ProfileStatement {
        statement: statement(key, dimension, &format!("writes {key}")),
        gain,
        status,
    }
}

/// Statements of every status that can be computed.
fn computed() -> Vec<ProfileStatement> {
    vec![
        entry("tokens.exclaims", "writing", StatementStatus::Accepted),
        entry("a key; with --> marks", "semantic", StatementStatus::Rejected),
        entry("words", "writing", StatementStatus::Unverified),
        entry("foreign", "no-such-dimension", StatementStatus::Accepted),
    ]
}

fn revision(version: u32, edits: Vec<Edit>) -> Revision {
    Revision { version, time: 7, change: Change::Edits(edits) }
}

fn profile(computed: Vec<ProfileStatement>, edits: &[Edit]) -> StatementProfile {
    let revisions: Vec<Revision> = edits
        .iter()
        .zip(1..)
        .map(|(edit, version)| revision(version, vec![edit.clone()]))
        .collect();
    StatementProfile::new("ann", computed, 31, &revisions, task())
}

#[test]
fn statements_stand_by_dimension_and_strength() {
    let weaker = |key: &str, effect: f64, specific: Option<f64>, status| ProfileStatement {
        statement: Statement { effect: Some(effect), ..statement(key, "writing", key) },
        gain: specific.map(gain),
        status,
    };
    let computed = vec![
        entry("other", "no-such-dimension", StatementStatus::Accepted),
        entry("semantic", "semantic", StatementStatus::Accepted),
        weaker("small", 0.2, Some(0.01), StatementStatus::Accepted),
        weaker("great", 0.1, Some(0.02), StatementStatus::Accepted),
        weaker("failed", 9.0, Some(0.09), StatementStatus::Rejected),
        weaker("little-effect", 1.0, None, StatementStatus::Unverified),
        weaker("effect", -2.0, None, StatementStatus::Unverified),
    ];
    let profile = profile(computed, &[]);
    let keys: Vec<&str> = profile.statements.iter().map(|s| s.statement.key.as_str()).collect();
    let wanted = ["great", "small", "failed", "effect", "little-effect", "semantic", "other"];
    assert_eq!(keys, wanted);
    assert_eq!(profile.shown().count(), 4);
}

#[test]
fn a_profile_without_a_shown_statement_abstains_and_says_why() {
    let of = |status| profile(vec![entry("a", "writing", status)], &[]);
    assert_eq!(of(StatementStatus::Accepted).abstention(), None);
    for (abstaining, why) in [
        (profile(Vec::new(), &[]), "nothing that was measured sets the user apart"),
        (StatementProfile::new("ann", Vec::new(), 0, &[], task()), "nothing could be compared"),
        (of(StatementStatus::Rejected), "1 statement tried, none proved itself"),
        (of(StatementStatus::Unverified), "1 statement to be verified"),
        (of(StatementStatus::Dropped), "every statement was dropped"),
    ] {
        assert!(abstaining.abstains());
        let snapshot = abstaining.abstention().unwrap();
        assert_eq!(snapshot, format!("No personalization beyond the texts themselves: {why}."));
        assert!(abstaining.to_markdown(task()).contains(&snapshot));
    }
    let failed = of(StatementStatus::Rejected);
    let pinned = profile(failed.statements.clone(), &[Edit::pin(&failed.statements[0])]);
    assert!(!pinned.abstains());
}

#[test]
fn an_edit_wins_over_what_is_computed_later() {
    let before = profile(computed(), &[]);
    let of = |key: &str| before.statement(key).unwrap();
    let edits = [
        Edit::reword(of("tokens.exclaims"), " shouts\na lot ").unwrap(),
        Edit::pin(of("words")),
        Edit::drop(of("foreign")),
        Edit::add(&before, "emotional", "is never sad").unwrap(),
    ];
    // Computed again: one statement was rejected, one has other words, and one is missing.
    let mut anew = computed();
    anew[2].statement.text = "writes other words".to_owned();
    anew.truncate(3);
    anew[0].status = StatementStatus::Rejected;
    let after = profile(anew, &edits);

    let reworded = after.statement("tokens.exclaims").unwrap();
    assert_eq!(
        (reworded.statement.text.as_str(), reworded.status),
        ("shouts a lot", StatementStatus::Pinned)
    );
    assert_eq!(reworded.statement.source, StatementSource::Written);
    // The evidence belongs to the key; the gain was measured with other words.
    assert_eq!((reworded.statement.evidence.len(), reworded.gain), (1, None));
    let pinned = after.statement("words").unwrap();
    assert_eq!(
        (pinned.statement.text.as_str(), pinned.status),
        ("writes words", StatementStatus::Pinned)
    );
    let gone = after.statement("foreign").unwrap();
    assert_eq!((gone.status, gone.statement.reviews.len()), (StatementStatus::Dropped, 0));
    let added = after.statement(edits[3].key()).unwrap();
    assert_eq!(
        (added.statement.source, added.status),
        (StatementSource::Written, StatementStatus::Pinned)
    );
    assert_eq!((after.version, after.statements.len()), (4, 5));

    // Restored as computed; the added statement is removed.
    let restored = ["tokens.exclaims", "words", "foreign", edits[3].key()];
    let restored = restored.map(|key| Edit::Restore { key: key.to_owned() });
    let back = profile(computed(), &[&edits[..], &restored[..]].concat());
    assert_eq!(back.statements, before.statements);
}

#[test]
fn an_undo_takes_back_one_version_after_the_other() {
    let before = profile(computed(), &[]);
    let words = before.statement("words").unwrap();
    let mut revisions = vec![
        revision(1, vec![Edit::pin(words), Edit::reword(words, "B").unwrap()]),
        revision(2, vec![Edit::drop(words)]),
    ];
    let shown = |revisions: &[Revision]| {
        let profile = StatementProfile::new("ann", computed(), 0, revisions, task());
        let words = profile.statement("words").unwrap();
        (profile.version, words.status, words.statement.text.clone())
    };
    let text = |text: &str| text.to_owned();
    assert_eq!(shown(&revisions), (2, StatementStatus::Dropped, text("writes words")));
    for (undone, wanted) in [
        (2, (3, StatementStatus::Pinned, text("B"))),
        (1, (4, StatementStatus::Unverified, text("writes words"))),
    ] {
        assert_eq!(next_undo(&revisions), Some(undone));
        let version = revisions.len() as u32 + 1;
        revisions.push(Revision { version, time: 8, change: Change::Undo(undone) });
        assert_eq!(shown(&revisions), wanted);
    }
    assert_eq!(next_undo(&revisions), None);
    // Earlier versions are unchanged.
    assert_eq!(shown(&revisions[..2]), (2, StatementStatus::Dropped, text("writes words")));
    revisions.push(revision(5, vec![Edit::pin(words)]));
    assert_eq!(next_undo(&revisions), Some(5));
}

#[test]
fn versions_are_kept_in_the_store() {
    let store = Store::in_memory().unwrap();
    let (user, item, text) = ("ann".to_owned(), "x".to_owned(), "t".to_owned());
    let review = Review { user, item, rating: None, title: String::new(), text, time: 0 };
    store.put_reviews(&[review]).unwrap();
    let base = profile(computed(), &[]);
    let edits = vec![
        Edit::add(&base, "writing", "\"quoted\" —").unwrap(),
        Edit::drop(&base.statements[0]),
        Edit::Restore { key: "words".to_owned() },
    ];
    let first = revise(&store, "ann", 0, Change::Edits(edits)).unwrap();
    let second = revise(&store, "ann", 1, Change::Undo(1)).unwrap();
    assert_eq!(revisions(&store, "ann").unwrap(), [first, second]);
    let late = revise(&store, "ann", 1, Change::Undo(1)).unwrap_err();
    assert!(matches!(late, corpus::Error::EditedMeanwhile { seen: 1, found: 2, .. }), "{late}");

    store.put_profile_edit("ann", 2, "{\"edits\":[{\"edit\":\"burn\"}]}").unwrap();
    let unreadable = revisions(&store, "ann").unwrap_err().to_string();
    assert!(unreadable.contains("version 3") && unreadable.contains("burn"), "{unreadable}");
}

#[test]
fn json_is_flat_and_comes_back() {
    let profile = profile(computed(), &[]);
    let json = serde_json::to_value(&profile).unwrap();
    assert_eq!(json["statements"][0]["key"], "tokens.exclaims");
    assert_eq!(json["statements"][0]["standing"], "kept");
    assert_eq!(json["statements"][0]["gain"]["own"], 0.0312);
    assert!(json["statements"][1].get("gain").is_none());
    assert_eq!(serde_json::from_value::<StatementProfile>(json).unwrap(), profile);
    for status in [
        StatementStatus::Accepted,
        StatementStatus::Rejected,
        StatementStatus::Unverified,
        StatementStatus::Pinned,
        StatementStatus::Dropped,
    ] {
        assert_eq!(serde_json::to_value(status).unwrap(), status.name());
    }
}

#[test]
fn markdown_looks_like_this() {
    let markdown = profile(computed(), &[]).to_markdown(task());
    let (head, body) = markdown.split_once("-->\n").unwrap();
    assert!(head.starts_with(
        "# What sets ann apart\n\nVersion 0; 4 statements, 2 shown to the model; 31 measures \
         tried.\n\n<!--\n"
    ));
    let wanted = "
## Writing style <!-- writing -->

- [x] writes tokens.exclaims <!-- tokens.exclaims; kept; own +0.031, peers +0.004, specific +0.020 \
         (standard error 0.005) bits a token on 8 reviews; effect +1.25 -->
  > fine!! very fine (review 3)
- [ ] writes words <!-- words; unverified; effect +1.25 -->
  > fine!! very fine (review 3)

## Emotional style <!-- emotional -->


## Semantic style <!-- semantic -->

- [ ] writes a key; with --> marks <!-- a%20key%3b%20with%20--%3e%20marks; abstained; own +0.031, \
         peers +0.004, specific +0.020 (standard error 0.005) bits a token on 8 reviews; effect +1.25 -->
  > fine!! very fine (review 3)

## no-such-dimension <!-- no-such-dimension -->

- [x] writes foreign <!-- foreign; kept; own +0.031, peers +0.004, specific +0.020 (standard error \
         0.005) bits a token on 8 reviews; effect +1.25 -->
  > fine!! very fine (review 3)
";
    assert_eq!(body, wanted);
}

#[test]
fn what_is_changed_in_markdown_is_read() {
    let (before, task) = (profile(computed(), &[]), task());
    let of = |key: &str| before.statement(key).unwrap();
    let markdown = before.to_markdown(task);
    let changed = |from: &str, to: &str| {
        assert!(markdown.contains(from), "{from}");
        edits_of_markdown(&before, task, &markdown.replacen(from, to, 1)).unwrap()
    };
    let kept = of("tokens.exclaims");
    assert_eq!(changed("[x] writes tokens.", "[ ] writes tokens."), [Edit::drop(kept)]);
    assert_eq!(changed("[ ] writes words", "[X] writes words"), [Edit::pin(of("words"))]);
    let reworded = [Edit::reword(kept, "shouts").unwrap()];
    assert_eq!(changed("writes tokens.exclaims", "shouts"), reworded);
    // Wrapped by an editor, with another bullet, with Windows line ends.
    assert_eq!(changed("- [x] writes tokens.exclaims", "* [x]\n  shouts\r"), reworded);
    let other = changed("[x] writes tokens.exclaims", "[ ] shouts");
    assert!(matches!(&other[..], [Edit::Drop(snapshot)] if snapshot.text == "shouts"), "{other:?}");
    let line = markdown.lines().find(|line| line.contains("writes words")).unwrap();
    assert_eq!(changed(&format!("{line}\n"), ""), [Edit::drop(of("words"))]);
    let heading = "## Emotional style <!-- emotional -->";
    let edits = changed(heading, "## emotional STYLE\n- is  never sad");
    assert_eq!(edits, [Edit::add(&before, "emotional", "is never sad").unwrap()]);
    assert_eq!(changed("  > fine!! very fine (review 3)\n", ""), []);

    // Deleting the line of an added statement removes it; a dropped statement stays dropped.
    let edits = [edits[0].clone(), Edit::drop(kept)];
    let after = profile(computed(), &edits);
    let markdown = after.to_markdown(task);
    let lines = markdown.lines().filter(|l| !l.contains("is never sad") && !l.contains("exclaims"));
    let without = lines.map(|line| format!("{line}\n")).collect::<String>();
    let wanted = [Edit::Restore { key: edits[0].key().to_owned() }];
    assert_eq!(edits_of_markdown(&after, task, &without).unwrap(), wanted);
}

#[test]
fn markdown_that_cannot_be_understood_is_told_with_its_line() {
    let (before, task) = (profile(computed(), &[]), task());
    let markdown = before.to_markdown(task);
    let line_of = |text: &str| markdown.lines().position(|line| line.contains(text)).unwrap() + 1;
    let exclaims = line_of("writes tokens.exclaims");
    for (from, to, line, snapshot) in [
        ("- [x] writes tokens", "- writes tokens", exclaims, "`[x]` or `[ ]` is missing"),
        ("writes tokens.exclaims", "", exclaims, "needs words"),
        ("<!-- tokens.exclaims;", "<!-- nothing;", exclaims, "no statement has the key"),
        ("<!-- words;", "<!-- tokens.exclaims;", line_of("writes words"), "twice"),
        ("  > fine!! very", "  > dull and", exclaims + 1, "quotes"),
        ("## Writing style <!-- writing -->", "", exclaims, "under a heading"),
        ("## Writing style <!-- writing -->", "## Wit", line_of("## Writing"), "Emotional style"),
        ("## Emotional style <!-- emotional -->", "some words", line_of("## Emo"), "understood"),
        ("## Emotional style <!-- emotional -->", "<!-- x", line_of("## Emo"), "no end"),
        ("## Semantic style <!-- semantic -->", "- [ ] x", line_of("## Sem"), "checked"),
        ("## Semantic style <!-- semantic -->", "- [x]", line_of("## Sem"), "needs words"),
        (
            "## Semantic style <!-- semantic -->",
            "- a\n- a\n\n## semantic",
            line_of("## Sem") + 1,
            "already",
        ),
        (
            "## Semantic style <!-- semantic -->",
            "",
            line_of("writes a key"),
            "belongs to `semantic`",
        ),
        ("## Semantic style <!-- semantic -->", "- a <!-- b", line_of("## Sem"), "no end"),
        ("Version 0;", "Version 1;", line_of("Version 0"), "not the version"),
        ("effect +1.25 -->", "effect +1.25", exclaims, "no end"),
        ("effect +1.25 -->", "effect +1.25 --> more", exclaims, "before the mark"),
    ] {
        assert!(markdown.contains(from), "{from}");
        let error = edits_of_markdown(&before, task, &markdown.replacen(from, to, 1)).unwrap_err();
        assert!(error.reason.contains(snapshot), "{from} -> {to}: {error}");
        assert_eq!(error.line, line, "{from} -> {to}: {error}");
    }
    assert!(edits_of_markdown(&before, task, " \n").is_err());
}

/// A person's change of one line.
#[derive(Debug, Clone)]
enum Act {
    Leave,
    Toggle,
    Reword(String),
    Delete,
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{1,6}( [a-z]{1,6}){0,3}",
        "\\PC{1,12}",
        "(<!--|-->|\\[x\\]|- |> |## |%| ){1,5}w"
    ]
    .prop_filter("words", |text| !one_line(text).is_empty())
}

fn statements() -> impl Strategy<Value = Vec<ProfileStatement>> {
    let dimension = prop_oneof![Just("writing"), Just("emotional"), Just("semantic"), Just("x-y")];
    let status = prop_oneof![
        Just(StatementStatus::Accepted),
        Just(StatementStatus::Rejected),
        Just(StatementStatus::Unverified),
    ];
    let one = ("\\PC{0,8}", dimension, words(), status, proptest::option::of(-3.0..3.0));
    proptest::collection::vec(one, 0..6).prop_map(|all| {
        let made =
            all.into_iter().enumerate().map(|(i, (key, dimension, text, status, effect))| {
                let key = format!("{key}{i}");
                let statement = Statement { effect, ..statement(&key, dimension, &text) };
                ProfileStatement { statement, gain: None, status }
            });
        made.collect()
    })
}

/// Edits of every kind, of existing and of missing statements.
fn edits(computed: &[ProfileStatement]) -> impl Strategy<Value = Vec<Edit>> + use<> {
    let base = profile(computed.to_vec(), &[]);
    let n = computed.len().max(1);
    proptest::collection::vec((0..5_usize, 0..n, words()), 0..8).prop_map(move |all| {
        let mut made: Vec<Edit> = Vec::new();
        for (kind, at, text) in all {
            let entry = base.statements.get(at);
            let key = made.first().map_or("none", Edit::key).to_owned();
            made.extend(match kind {
                0 => entry.map(Edit::pin),
                1 => entry.map(Edit::drop),
                2 => entry.and_then(|entry| Edit::reword(entry, &text)),
                3 => Edit::add(&base, "emotional", &text),
                _ => Some(Edit::Restore { key }),
            });
        }
        made
    })
}

proptest! {
    #[test]
    fn markdown_as_it_was_written_changes_nothing(
        (computed, edits) in statements().prop_flat_map(|c| (Just(c.clone()), edits(&c))),
    ) {
        let task = task();
        // With the computed statements, and with nothing computed any more.
        for computed in [computed, Vec::new()] {
            let profile = profile(computed, &edits);
            let markdown = profile.to_markdown(task);
            prop_assert_eq!(edits_of_markdown(&profile, task, &markdown), Ok(vec![]), "{}", markdown);
        }
    }

    #[test]
    fn what_a_person_wrote_is_what_the_profile_shows_then(
        (computed, acts, adds) in statements().prop_flat_map(|computed| {
            let act = prop_oneof![
                Just(Act::Leave), Just(Act::Toggle), words().prop_map(Act::Reword), Just(Act::Delete),
            ];
            let acts = proptest::collection::vec(act, computed.len());
            (Just(computed), acts, proptest::collection::btree_set("[a-z]{3,9}", 0..3))
        }),
    ) {
        let task = task();
        let before = profile(computed.clone(), &[]);
        // Key, whether it is shown after the edits, and its words.
        let mut wanted: Vec<(String, bool, String)> = Vec::new();
        let mut acts = acts.iter();
        let mut markdown = String::new();
        for line in before.to_markdown(task).lines() {
            let changed = if line.starts_with("- [") {
                let entry = &before.statements[wanted.len()];
                let (shown, text) = (entry.status.is_shown(), one_line(&entry.statement.text));
                let checked = |shown: bool| if shown { "- [x]" } else { "- [ ]" };
                let (shown_then, words, changed) = match acts.next().unwrap() {
                    Act::Leave => (shown, text, Some(line.to_owned())),
                    Act::Toggle => {
                        let toggled = line.replacen(checked(shown), checked(!shown), 1);
                        (!shown, text, Some(toggled))
                    }
                    Act::Reword(words) => {
                        let (_, mark) = line.rsplit_once("<!--").unwrap();
                        let line = format!("{} {words} <!--{mark}", checked(shown));
                        (shown, one_line(words), Some(line))
                    }
                    Act::Delete => (false, text, None),
                };
                wanted.push((entry.statement.key.clone(), shown_then, words));
                changed
            } else {
                Some(line.to_owned())
            };
            markdown.extend(changed.map(|line| line + "\n"));
        }
        markdown.push_str("## Writing style\n");
        markdown.extend(adds.iter().map(|text| format!("- [x] {text}\n")));

        let edits = edits_of_markdown(&before, task, &markdown).unwrap();
        let after = profile(computed, &edits);
        for (key, shown, words) in wanted {
            let entry = after.statement(&key).unwrap();
            prop_assert_eq!(entry.status.is_shown(), shown, "{}", key);
            prop_assert_eq!(one_line(&entry.statement.text), words);
        }
        for text in &adds {
            let added = after.shown().find(|s| is_written(s, text));
            prop_assert!(added.is_some(), "{}", text);
        }
        prop_assert_eq!(after.statements.len(), before.statements.len() + adds.len());
        let again = edits_of_markdown(&after, task, &after.to_markdown(task));
        prop_assert_eq!(again, Ok(vec![]));
    }

    #[test]
    fn any_text_is_read_or_refused(
        computed in statements(),
        lines in proptest::collection::vec(
            prop_oneof![
                "\\PC{0,20}", "[-*#> \\[\\]x<!%;\r\n\t]{0,12}", Just("## Writing style".to_owned()),
                Just("- [x] words <!-- 0 -->".to_owned()), Just("<!--".to_owned()),
            ],
            0..12,
        ),
        cut in any::<prop::sample::Index>(),
    ) {
        let (profile, task) = (profile(computed, &[]), task());
        let _ = edits_of_markdown(&profile, task, &lines.join("\n"));
        // The Markdown itself, cut at any character.
        let markdown = profile.to_markdown(task);
        let at = markdown.char_indices().nth(cut.index(markdown.chars().count())).unwrap().0;
        let _ = edits_of_markdown(&profile, task, &markdown[..at]);
    }
}

fn is_written(entry: &ProfileStatement, text: &str) -> bool {
    entry.statement.text == text && entry.statement.source == StatementSource::Written
}
