//! `profile` on the command line: the profile of statements, shown and changed.
#![allow(clippy::unwrap_used)]

use crate::common::{Run, Sandbox};
use serde_json::{Value, json};

const USER: &str = "mina";

/// Imports the sample corpus into a store; `None` if a model is missing.
fn sample() -> Option<Sandbox> {
    if !crate::common::test_models_present() {
        return None;
    }
    let sandbox = Sandbox::new();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample");
    let (reviews, items) = (format!("{sample}/reviews.jsonl"), format!("{sample}/items.jsonl"));
    let map = "user=user,item=item,text=text,rating=rating,title=title,time=time";
    let import = ["import", "--format", "table", "--reviews", &reviews, "--items", &items];
    sandbox.run(&[&import[..], &["--map", map]].concat()).ok();
    Some(sandbox)
}

fn profile(sandbox: &Sandbox, more: &[&str]) -> Run {
    sandbox.run(&[&["--quiet", "profile", USER, "--unverified"][..], more].concat())
}

fn json_of(sandbox: &Sandbox, more: &[&str]) -> Value {
    profile(sandbox, &[&["--json"], more].concat()).json()
}

fn statements(profile: &Value) -> &[Value] {
    profile["statements"].as_array().unwrap()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("{field} in {value}"))
}

/// Runs `profile --edit` with a shell script as the editor; `$1` is the file.
#[cfg(target_os = "linux")]
fn edit(sandbox: &Sandbox, script: &str, more: &[&str]) -> Run {
    let editor = sandbox.write("editor.sh", format!("set -e\n{script}\n"));
    let mut command = sandbox
        .command(&[&["--quiet", "profile", USER, "--edit", "--unverified"][..], more].concat());
    command.env_remove("VISUAL").env("EDITOR", format!("sh '{}'", editor.display()));
    Run::of(command.output().unwrap())
}

#[test]
fn what_is_measured_is_shown_with_what_speaks_for_it() {
    let Some(sandbox) = sample() else { return };
    let made = json_of(&sandbox, &[]);
    assert_eq!((text(&made, "user"), &made["version"]), (USER, &json!(0)));
    assert!(made["tried"].as_u64() > Some(10), "{made}");
    // The sample texts of mina have clear habits: lower case, no apostrophes.
    assert!(statements(&made).len() >= 2, "{made}");
    let own = reviews(&sandbox);
    for statement in statements(&made) {
        assert!(["writing", "emotional", "semantic"].contains(&text(statement, "dimension")));
        assert_eq!(text(statement, "source"), "measured");
        assert!(!text(statement, "text").is_empty() && statement["effect"].is_f64());
        for evidence in statement["evidence"].as_array().unwrap() {
            assert!(own.contains(&evidence["review"].as_i64().unwrap()), "{evidence}");
        }
    }
    assert_eq!(json_of(&sandbox, &[]), made);

    let shown = profile(&sandbox, &[]).ok().stdout;
    let markdown = profile(&sandbox, &["--markdown"]).ok().stdout;
    for statement in statements(&made) {
        assert!(markdown.contains(text(statement, "text")), "{markdown}");
        assert!(shown.contains(text(statement, "key")), "{shown}");
    }
}

/// Ids of the reviews of the user.
fn reviews(sandbox: &Sandbox) -> Vec<i64> {
    let store = idiolect::corpus::Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    store.history(USER).unwrap().iter().map(|review| review.id.0).collect()
}

#[test]
fn what_is_told_to_the_model_proved_itself() {
    let Some(sandbox) = sample() else { return };
    let made = sandbox.run(&["--quiet", "profile", USER, "--json"]).json();
    assert!(!statements(&made).is_empty(), "{made}");
    for statement in statements(&made) {
        let gain = &statement["gain"];
        let [own, peers, specific] =
            ["own", "peers", "specific"].map(|field| gain[field].as_f64().unwrap());
        assert!(own.abs() < 9.0 && peers.abs() < 9.0 && gain["reviews"].as_u64() > Some(1));
        match text(statement, "standing") {
            "kept" => assert!(specific > 0.0, "{statement}"),
            standing => assert_eq!(standing, "abstained"),
        }
    }
    let kept = statements(&made).iter().any(|s| s["standing"] == "kept");
    assert_eq!(made["abstains"], !kept);
    assert_eq!(made["abstention"].is_null(), kept);
    // The results of the validation are in the store.
    assert_eq!(sandbox.run(&["--quiet", "profile", USER, "--json"]).json(), made);
    let key = text(&statements(&made)[0], "key");
    let changed = ["--quiet", "profile", USER, "--json", "--drop", key];
    assert_eq!(sandbox.run(&changed).json()["version"], 1);
}

#[test]
fn changes_make_versions_and_win() {
    let Some(sandbox) = sample() else { return };
    let made = json_of(&sandbox, &[]);
    let [first, second, ..] = statements(&made) else { panic!("{made}") };
    let (first, second) = (text(first, "key"), text(second, "key"));
    let reword = format!("{second}=says it in\ttwo words");

    let arguments = ["--pin", first, "--reword", &reword, "--add", "emotional=is never angry"];
    let changed = json_of(&sandbox, &arguments);
    assert_eq!(changed["version"], 1);
    assert_eq!(changed["revision"]["edits"].as_array().unwrap().len(), 3);
    let now = json_of(&sandbox, &[]);
    assert_eq!((&now["version"], &now["abstains"]), (&json!(1), &json!(false)));
    let of = |profile: &Value, key: &str| {
        let found = statements(profile).iter().find(|s| text(s, "key") == key).cloned();
        found.unwrap_or_else(|| panic!("{key} in {profile}"))
    };
    assert_eq!(text(&of(&now, first), "standing"), "pinned");
    let reworded = of(&now, second);
    assert_eq!(text(&reworded, "text"), "says it in two words");
    assert_eq!((text(&reworded, "source"), text(&reworded, "standing")), ("written", "pinned"));
    let added = statements(&now).iter().find(|s| text(s, "text") == "is never angry").unwrap();
    assert_eq!(text(added, "dimension"), "emotional");

    // The changes hold even if no statements are computed.
    let earlier = json_of(&sandbox, &["--no-differences"]);
    assert_eq!((&earlier["tried"], statements(&earlier).len()), (&json!(0), 3));
    let shown = profile(&sandbox, &["--no-differences"]).ok().stdout;
    assert!(shown.contains("[x] says it in two words"), "{shown}");

    assert_eq!(json_of(&sandbox, &["--drop", first])["version"], 2);
    assert_eq!(text(&of(&json_of(&sandbox, &[]), first), "standing"), "dropped");
    assert_eq!(json_of(&sandbox, &["--undo"])["revision"]["undo"], 2);
    assert_eq!(json_of(&sandbox, &["--undo"])["revision"]["undo"], 1);
    let now = json_of(&sandbox, &[]);
    assert_eq!((&now["version"], &now["statements"]), (&json!(4), &made["statements"]));
    let said = profile(&sandbox, &["--undo"]).fails_with(1);
    assert!(said.contains("no change to undo"), "{said}");

    // Every version is still there.
    let of_version = |n: &str| json_of(&sandbox, &["--version", n]);
    assert_eq!(of_version("0"), made);
    assert_eq!(text(&of(&of_version("1"), first), "standing"), "pinned");
    assert_eq!(text(&of(&of_version("2"), first), "standing"), "dropped");
    let versions = json_of(&sandbox, &["--versions"]);
    assert_eq!(versions["versions"].as_array().unwrap().len(), 4);
    let listed = profile(&sandbox, &["--versions"]).ok().stdout;
    assert!(listed.contains("undo version 2"), "{listed}");
    let said = profile(&sandbox, &["--version", "5"]).fails_with(1);
    assert!(said.contains("versions 0 to 4"), "{said}");
    // The profiles of other users are unchanged.
    assert_eq!(
        sandbox.run(&["-q", "profile", "harold", "--versions", "--json"]).json()["versions"],
        json!([])
    );
}

#[cfg(target_os = "linux")]
#[test]
fn an_editor_changes_the_profile() {
    let Some(sandbox) = sample() else { return };
    let made = json_of(&sandbox, &[]);
    let first = text(&statements(&made)[0], "text").to_owned();

    let look = "stat -c %a \"$1\" > mode; cp \"$1\" before.md; echo \"$1\" > path";
    let said = edit(&sandbox, look, &[]).ok();
    assert!(said.stderr.contains("nothing was changed"), "{}", said.stderr);
    let read = |name: &str| std::fs::read_to_string(sandbox.path(name)).unwrap();
    assert_eq!(read("mode").trim(), "600");
    assert!(read("before.md").contains(&first));
    assert!(!std::path::Path::new(read("path").trim()).exists());
    assert_eq!(json_of(&sandbox, &[])["version"], 0);

    let script =
        "sed -i -e '0,/^- \\[ \\]/s//- [x]/' -e 's/^## Semantic.*/&\\n- [x] likes lists/' \"$1\"";
    let said = edit(&sandbox, script, &[]).ok();
    assert!(
        said.stderr.contains("version 1") && said.stderr.contains("likes lists"),
        "{}",
        said.stderr
    );
    let now = json_of(&sandbox, &[]);
    let pinned = statements(&now).iter().filter(|s| s["standing"] == "pinned").count();
    assert_eq!((&now["version"], pinned), (&json!(1), 2));

    // A text that cannot be parsed is kept and can be applied once it is corrected.
    let said = edit(&sandbox, "echo 'and more' >> \"$1\"", &[]).fails_with(1);
    assert!(said.contains("line ") && said.contains("cannot be understood"), "{said}");
    let path = said.split("--apply ").nth(1).unwrap().split('`').next().unwrap();
    let typed = std::fs::read_to_string(path).unwrap();
    std::fs::remove_file(path).unwrap();
    assert!(typed.ends_with("and more\n"));
    let mended = sandbox.write("mended.md", typed.replace("and more", "- [x] and more"));
    let changed = json_of(&sandbox, &["--apply", mended.to_str().unwrap()]);
    assert_eq!(changed["version"], 2);
    // The file was made from a version that is no longer the newest.
    let said = profile(&sandbox, &["--apply", mended.to_str().unwrap()]).fails_with(1);
    assert!(said.contains("not the version"), "{said}");

    let said = edit(&sandbox, "rm \"$1\"", &[]).fails_with(1);
    assert!(said.contains("after the editor ended"), "{said}");
    let said = edit(&sandbox, "exit 3", &[]).fails_with(1);
    assert!(said.contains("ended with an error"), "{said}");
    let path = said.split("text is kept in ").nth(1).unwrap().trim();
    std::fs::remove_file(path).unwrap();
    // Another process changes the profile while the editor is open.
    let program = env!("CARGO_BIN_EXE_idiolect");
    let script =
        format!("'{program}' -q profile {USER} --undo; sed -i -e '0,/^- \\[ \\]/s//- [x]/' \"$1\"");
    let said = edit(&sandbox, &script, &[]).fails_with(1);
    assert!(said.contains("version 3 by now"), "{said}");
    let path = said.split("--apply ").nth(1).unwrap().split('`').next().unwrap();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn mistakes_are_told() {
    let Some(sandbox) = sample() else { return };
    for (arguments, said) in [
        (&["--pin", "nothing"][..], "no statement `nothing`"),
        (&["--restore", "nothing"], "no statement `nothing`"),
        (&["--reword", "nothing"], "KEY=TEXT"),
        (&["--add", "taste=sweet"], "writing, emotional, semantic"),
        (&["--add", "writing= "], "empty"),
        (&["--apply", "none.md"], "none.md"),
        (&["--undo"], "no change"),
        (&["--method", "dpl", "--markdown"], "--method idiolect"),
    ] {
        let error = profile(&sandbox, arguments).fails_with(1);
        assert!(error.contains(said), "{arguments:?}: {error}");
    }
    profile(&sandbox, &["--edit", "--pin", "x"]).fails_with(2);
    profile(&sandbox, &["--version", "0", "--pin", "x"]).fails_with(2);
    let error = sandbox.run(&["-q", "profile", "minna", "--versions"]).fails_with(1);
    assert!(error.contains("`minna`") && error.contains("`mina`"), "{error}");
    assert_eq!(json_of(&sandbox, &[])["version"], 0);
}

#[test]
fn a_profile_is_exported_for_other_programs() {
    let Some(sandbox) = sample() else { return };
    let key = text(&statements(&json_of(&sandbox, &[]))[0], "key").to_owned();
    profile(&sandbox, &["--pin", &key]).ok();
    let pinned = json_of(&sandbox, &[]);
    let pinned = statements(&pinned).iter().find(|s| s["key"] == key.as_str()).unwrap();
    let stated = format!("- {}", text(pinned, "text"));

    let prompt = profile(&sandbox, &["--export", "system-prompt", "--n", "2"]).ok().stdout;
    assert!(prompt.contains(&stated), "{prompt}");
    let store = idiolect::corpus::Store::open_existing(&sandbox.path("idiolect.sqlite")).unwrap();
    let history = store.history(USER).unwrap();
    let newest: Vec<&str> = history.iter().rev().take(2).map(|s| s.review.text.trim()).collect();
    for own in &newest {
        assert!(prompt.contains(own), "{prompt}");
    }

    let exported = profile(&sandbox, &["--export", "messages", "--n", "2"]).json();
    let messages = exported["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| text(message, "role")).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user", "assistant"]);
    assert!(text(&messages[0], "content").contains(&stated));
    assert_eq!(text(&messages[4], "content").trim(), newest[0]);

    let exported = profile(&sandbox, &["--export", "logit-bias"]).json();
    let bias = exported["logit_bias"].as_object().unwrap();
    let size = exported["vocabulary"].as_u64().unwrap();
    assert!((20..=1024).contains(&bias.len()), "{}", bias.len());
    for (id, value) in bias {
        assert!(id.parse::<u64>().unwrap() < size, "{id}");
        assert!((0.0..=100.0).contains(&value.as_f64().unwrap()), "{id}: {value}");
    }
    let both = profile(&sandbox, &["--export", "messages", "--markdown"]);
    assert_ne!(both.code, Some(0));
}
