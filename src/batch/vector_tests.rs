//! Vectors of users written, read, and made an index of again.

#![allow(clippy::unwrap_used)]

use std::fs;

use idiolect_core::corpus::{Review, Store};
use idiolect_core::peers::{BuildOptions, Error as PeersError, build_index, index_of_embeddings};
use idiolect_engine::encoder::testing::{other_tiny_encoder, tiny_encoder, tiny_text};
use idiolect_engine::progress::Silent;

use crate::{export_vectors, read_vectors};

fn store(folder: &std::path::Path, n_users: usize) -> Store {
    let store = Store::open(&folder.join("s.sqlite")).unwrap();
    let review = |u: usize, item: &str| Review {
        user: format!("user {u}, \"ü\""),
        item: item.to_owned(),
        rating: None,
        title: String::new(),
        text: tiny_text(7 * u + item.len()),
        time: u as i64,
    };
    let rows: Vec<Review> =
        (0..n_users).flat_map(|u| [review(u, "kettle"), review(u, "lamp")]).collect();
    store.put_reviews(&rows).unwrap();
    store
}

#[test]
fn an_index_of_exported_vectors_is_the_index_that_was_exported() {
    let encoder = tiny_encoder();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [one, two] = [0, 1].map(|i| store(folders[i].path(), 9));
    let (index, ..) = build_index(&one, &encoder, &BuildOptions::default(), &Silent).unwrap();
    let out = folders[0].path().join("vectors");
    assert_eq!(export_vectors(&one, &index, &out).unwrap(), 9);
    assert!(export_vectors(&one, &index, &out).is_err(), "the folder is not empty");

    let given = read_vectors(&out).unwrap();
    assert_eq!(read_vectors(&out.join("users-0000.parquet")).unwrap(), given);
    // On a machine that has embedded nothing.
    let again = index_of_embeddings(&two, &encoder, given.clone(), 20_000, &Silent).unwrap();
    assert_eq!(again.manifest().fingerprint, index.manifest().fingerprint);
    assert!(again.users().eq(index.users()));

    let refused = |store: &Store, given, encoder| {
        let error = index_of_embeddings(store, encoder, given, 20_000, &Silent).unwrap_err();
        assert!(matches!(error, PeersError::BadEmbeddings { .. }), "{error}");
        error.to_string()
    };
    let other = other_tiny_encoder();
    assert!(refused(&two, given.clone(), &other).contains("encoder"));
    let mut twice = given.clone();
    twice.users.push(twice.users[0].clone());
    assert!(refused(&two, twice, &encoder).contains("occurs twice"));
    let mut longer = given.clone();
    longer.users[3].2[0] += 0.5;
    assert!(refused(&two, longer, &encoder).contains("length 1"));
    let mut stranger = given.clone();
    stranger.users[0].0 = "nobody".to_owned();
    assert!(refused(&two, stranger, &encoder).contains("nobody"));
    let other = tempfile::tempdir().unwrap();
    assert!(refused(&store(other.path(), 8), given, &encoder).contains("other reviews"));
}

#[test]
fn files_that_hold_no_vectors_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let told = |path: &std::path::Path| read_vectors(path).unwrap_err().to_string();
    assert!(told(folder.path()).contains("no files named"));
    let path = folder.path().join("users-0000.parquet");
    let column = idiolect_tables::TableColumn::integers("user", vec![Some(1)]);
    let table = idiolect_tables::ParquetTable::new(vec![column]);
    table.write(&path).unwrap();
    assert!(told(folder.path()).contains("names no encoder"));
    let notes =
        [("idiolect.encoder", "e"), ("idiolect.reviews", "r"), ("idiolect.embedding", "residual")];
    let table = notes.iter().fold(table, |table, (name, value)| table.with_note(name, value));
    table.write(&path).unwrap();
    assert!(told(folder.path()).contains("row 1"));
    table
        .with_note("idiolect.encoder", "x")
        .write(&folder.path().join("users-0001.parquet"))
        .unwrap();
    fs::write(folder.path().join("users-0002.parquet"), "no table").unwrap();
    assert!(read_vectors(folder.path()).is_err());
}
