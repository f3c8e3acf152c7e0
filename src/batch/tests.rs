//! Shards of a small corpus, written by a scripted and by a tiny language model.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use futures::executor::block_on;
use idiolect_core::client::Model;
use idiolect_core::client::testing::Scripted;
use idiolect_core::corpus::{Background, Item, Review, ReviewId, Store, Target, View};
use idiolect_core::methods::{Method, MethodInputs, MethodOptions};
use idiolect_core::task::Task;
use idiolect_engine::lm::tiny::Tiny;
use idiolect_engine::progress::{Progress, Silent};
use idiolect_tables::ParquetRows;
use serde_json::Value;

use crate::{
    BatchInputs, BatchRow, Error, Result, ShardOptions, ShardStore, TargetRow, count_background,
    export_shards, read_background, rows_table, write_background, write_rows,
};

const USERS: [&str; 6] = ["ann", "bo", "cyd", "dee", "eli", "flo"];
const ITEMS: [&str; 4] = ["kettle", "lamp", "spade", "tent"];

fn store() -> Store {
    let store = Store::in_memory().unwrap();
    let items = ITEMS.map(|id| Item {
        id: id.to_owned(),
        title: format!("A {id}"),
        description: format!("The {id}, \"new\"."),
        categories: vec!["Home".to_owned(), "Things".to_owned()],
    });
    store.put_items(&items).unwrap();
    // Counts for the corpus, and is in no shard.
    let apart = Review {
        user: "gus".to_owned(),
        item: "globe".to_owned(),
        rating: None,
        title: String::new(),
        text: "Zzz! Qqq? ".repeat(40),
        time: 1_500_000_000,
    };
    store.put_reviews(&[apart]).unwrap();
    let mut time = 1_600_000_000;
    for (u, user) in USERS.iter().enumerate() {
        for (i, item) in ITEMS.iter().enumerate() {
            if (u + i) % 4 != 0 {
                time += 1000;
                let text = format!(
                    "{} The {item} {}, says {user}.",
                    "Oh! ".repeat(u),
                    "is so-so ".repeat(i)
                );
                let rating = Some(1.5 + (u + i) as f32 / 3.0);
                let (user, item, title) =
                    (user.to_string(), item.to_string(), format!("On {item}"));
                store.put_reviews(&[Review { user, item, rating, title, text, time }]).unwrap();
            }
        }
    }
    store
}

/// The items that users have not written about.
fn targets() -> Vec<TargetRow> {
    let pairs = USERS
        .iter()
        .enumerate()
        .flat_map(|(u, user)| ITEMS.iter().enumerate().map(move |(i, item)| (u + i, user, item)));
    pairs
        .filter(|(sum, ..)| sum % 4 == 0)
        .map(|(sum, user, item)| TargetRow {
            user: user.to_string(),
            item: item.to_string(),
            rating: (sum == 4).then_some(2.5),
            title: (sum == 0).then(|| "A title".to_owned()),
        })
        .collect()
}

fn shards_of(store: &Store, targets: &[TargetRow], n_shards: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let options = ShardOptions { n_shards, ..ShardOptions::default() };
    let sink: (&Path, &dyn Progress) = (folder.path(), &Silent);
    let exported = export_shards(store, targets, &BTreeSet::new(), &options, sink).unwrap();
    assert_eq!(exported.targets, targets.len());
    folder
}

fn folders(shards: &Path) -> Vec<std::path::PathBuf> {
    let mut folders: Vec<_> =
        fs::read_dir(shards).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

struct Setting<'a> {
    model: &'a dyn Model,
    methods: &'a [Method],
    options: &'a MethodOptions,
    background: Option<&'a Background>,
    at_once: usize,
}

fn written(shard: &Path, setting: &Setting<'_>) -> Result<Vec<BatchRow>> {
    let shard = ShardStore::open(shard, &Silent)?;
    let task = Task::load(Task::DEFAULT).unwrap();
    let &Setting { model, methods, options, background, at_once } = setting;
    let inputs = BatchInputs {
        shard: &shard,
        model,
        peers: None,
        task: &task,
        methods,
        options,
        background,
        at_once,
        progress: &Silent,
    };
    block_on(write_rows(&inputs))
}

/// The texts of a whole store, by user, item and method.
fn whole(store: &Store, setting: &Setting<'_>) -> BTreeMap<(String, String, String), String> {
    let task = Task::load(Task::DEFAULT).unwrap();
    let mut texts = BTreeMap::new();
    for row in targets() {
        for method in setting.methods {
            let inputs = MethodInputs {
                view: View::all(store).without_text(&row.user, &row.item).unwrap(),
                model: setting.model,
                peers: None,
                reward: None,
                task: &task,
                progress: &Silent,
                held_out: &[],
            };
            let target = Target {
                user: row.user.clone(),
                item: store.item(&row.item).unwrap(),
                rating: row.rating,
                title: row.title.clone(),
                context: None,
            };
            let text =
                block_on(method.write(&inputs, &target, setting.options, None)).unwrap().text;
            texts.insert((row.user.clone(), row.item.clone(), method.name().to_owned()), text);
        }
    }
    texts
}

fn by_name(rows: &[BatchRow]) -> BTreeMap<(String, String, String), String> {
    rows.iter()
        .map(|row| {
            let method = row.method.name().to_owned();
            let name = (row.target.user.clone(), row.target.item.clone(), method);
            (name, row.text.as_ref().unwrap().text.clone())
        })
        .collect()
}

#[test]
fn shards_give_the_texts_of_the_whole_store() {
    let store = store();
    let model = Scripted::new();
    let task = Task::load(Task::DEFAULT).unwrap();
    let options = MethodOptions::of(&task);
    let methods = [Method::RAG, Method::SCP];
    let setting = Setting {
        model: &model,
        methods: &methods,
        options: &options,
        background: None,
        at_once: 4,
    };
    let want = whole(&store, &setting);
    for n_shards in [1, 3] {
        let shards = shards_of(&store, &targets(), n_shards);
        let folders = folders(shards.path());
        assert!(folders.len() <= n_shards && (n_shards == 1 || folders.len() > 1));
        let mut got = BTreeMap::new();
        for folder in &folders {
            got.append(&mut by_name(&written(folder, &setting).unwrap()));
        }
        assert_eq!(got, want, "{n_shards} shards");
    }
}

#[test]
fn the_table_does_not_depend_on_how_much_is_written_at_once() {
    let store = store();
    let shards = shards_of(&store, &targets(), 1);
    let (model, folder) = (Scripted::new(), folders(shards.path()).remove(0));
    let task = Task::load(Task::DEFAULT).unwrap();
    let options = MethodOptions::of(&task);
    let mut files = Vec::new();
    for at_once in [1, 16] {
        let methods = [Method::SCP];
        let setting = Setting {
            model: &model,
            methods: &methods,
            options: &options,
            background: None,
            at_once,
        };
        let rows = written(&folder, &setting).unwrap();
        let order: Vec<&TargetRow> = rows.iter().map(|row| &row.target).collect();
        assert_eq!(order, targets().iter().collect::<Vec<_>>());
        let path = shards.path().join(format!("{at_once}.parquet"));
        rows_table(&rows).write(&path).unwrap();
        files.push(fs::read(&path).unwrap());
        let read: Vec<Value> =
            ParquetRows::open(&path).unwrap().collect::<idiolect_tables::Result<_>>().unwrap();
        assert_eq!(read.len(), targets().len());
        assert_eq!(read[0]["method"], "scp");
        assert_eq!(read[0]["finish"], "end");
        assert_eq!(read[0]["error"], Value::Null);
        assert!(read[0]["text"].as_str().unwrap().starts_with("told"));
    }
    assert_eq!(files[0], files[1]);
}

#[test]
fn words_are_counted_against_the_whole_corpus() {
    let store = store();
    let model = Tiny { context: 8192, ..Tiny::new("llama") }.lm();
    let task = Task::load(Task::DEFAULT).unwrap();
    let mut options = MethodOptions { max_tokens: Some(12), ..MethodOptions::of(&task) };
    options.set("idiolect.lexical", "3").unwrap();
    let background = count_background(&store, &model, &BTreeSet::new(), &Silent).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("background.json");
    write_background(&background, &path).unwrap();
    let background = read_background(&path, &model).unwrap();
    let methods = [Method::IDIOLECT];
    let setting = |background| Setting {
        model: &model,
        methods: &methods,
        options: &options,
        background,
        at_once: 8,
    };
    let want = whole(&store, &setting(None));
    let shards = shards_of(&store, &targets(), 6);
    let rows = |background| {
        let shard = |folder: &std::path::PathBuf| written(folder, &setting(background)).unwrap();
        let rows = folders(shards.path()).iter().flat_map(shard).collect::<Vec<_>>();
        by_name(&rows)
    };
    assert_eq!(rows(Some(&background)), want);
    // Against the texts of a shard alone, the same words would count otherwise.
    assert_ne!(rows(None), want);
    let error = read_background(&path, &Scripted::new()).unwrap_err().to_string();
    assert!(error.contains("another vocabulary (259 tokens)"), "{error}");
}

#[test]
fn targets_without_a_text_have_the_reason_and_other_failures_end_the_shard() {
    let store = store();
    let row = |user: &str, item: &str| TargetRow {
        user: user.to_owned(),
        item: item.to_owned(),
        rating: None,
        title: None,
    };
    let targets = [row("nobody", "tent"), row("ann", "missing"), row("ann", "kettle")];
    let shards = shards_of(&store, &targets, 1);
    let folder = folders(shards.path()).remove(0);
    let task = Task::load(Task::DEFAULT).unwrap();
    let options = MethodOptions::of(&task);
    let model = Scripted::new();
    let methods = [Method::SCP];
    let setting = |model| Setting {
        model,
        methods: &methods,
        options: &options,
        background: None,
        at_once: 2,
    };
    let rows = written(&folder, &setting(&model)).unwrap();
    let errors: Vec<Option<&String>> = rows.iter().map(|row| row.text.as_ref().err()).collect();
    assert!(errors[0].is_some_and(|error| error.contains("`nobody`")), "{errors:?}");
    assert!(errors[1].is_some_and(|error| error.contains("`missing`")), "{errors:?}");
    assert_eq!(errors[2], None);
    let failing = Scripted { fails_after: 0, ..Scripted::new() };
    assert!(matches!(written(&folder, &setting(&failing)), Err(Error::Method(_))));
}

#[test]
fn held_out_texts_and_surplus_texts_are_in_no_shard() {
    let store = store();
    let held_out: BTreeSet<ReviewId> =
        store.history("ann").unwrap().iter().take(1).map(|stored| stored.id).collect();
    let text = store.reviews(&held_out.iter().copied().collect::<Vec<_>>()).unwrap()[0]
        .review
        .text
        .clone();
    let folder = tempfile::tempdir().unwrap();
    let options = ShardOptions { n_shards: 1, texts_per_item: 2 };
    let sink: (&Path, &dyn Progress) = (folder.path(), &Silent);
    let target = targets().into_iter().take(1).collect::<Vec<_>>();
    export_shards(&store, &target, &held_out, &options, sink).unwrap();
    let shard = ShardStore::open(&folders(folder.path())[0], &Silent).unwrap();
    let shard = shard.store();
    let ids = shard.review_ids().unwrap();
    let reviews = shard.reviews(&ids).unwrap();
    assert!(reviews.iter().all(|stored| stored.review.text != text));
    for item in ITEMS {
        let others = shard.reviews_of(item).unwrap_or_default();
        let of_others = others.iter().filter(|stored| stored.review.user != target[0].user).count();
        assert!(of_others <= 2, "{item}: {of_others}");
    }
    // Fields are those of the store.
    let own: Vec<_> =
        shard.history("ann").unwrap().into_iter().map(|stored| stored.review).collect();
    let want: Vec<_> =
        store.history("ann").unwrap().into_iter().skip(1).map(|stored| stored.review).collect();
    assert_eq!(own, want);
    let item = &want[0].item;
    assert_eq!(shard.item(item).unwrap(), store.item(item).unwrap());
}

#[test]
fn a_shard_without_its_parts_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let open = || ShardStore::open(folder.path(), &Silent).err().unwrap().to_string();
    assert!(open().contains("has no `targets.parquet`"));
    let shards = shards_of(&store(), &targets(), 1);
    let from = folders(shards.path()).remove(0);
    fs::copy(from.join("targets.parquet"), folder.path().join("targets.parquet")).unwrap();
    assert!(open().contains("has no `reviews.parquet`"));
    // Targets as reviews: the columns are wrong.
    fs::copy(from.join("targets.parquet"), folder.path().join("reviews.parquet")).unwrap();
    assert!(open().contains("text"));
    // Part files, as Spark writes them.
    fs::remove_file(folder.path().join("reviews.parquet")).unwrap();
    fs::create_dir(folder.path().join("reviews")).unwrap();
    fs::copy(from.join("reviews.parquet"), folder.path().join("reviews/part-0.parquet")).unwrap();
    ShardStore::open(folder.path(), &Silent).unwrap();
}
