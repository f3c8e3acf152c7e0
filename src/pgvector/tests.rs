#![allow(clippy::unwrap_used, clippy::print_stderr)]

use half::f16;
use postgres::types::private::BytesMut;
use postgres::types::{FromSql, ToSql, Type};
use proptest::prelude::*;

use crate::half_vector::HalfVector;
use crate::{DatabaseOptions, Error, UserDatabase, VectorStamp};

fn stamp(made_by: &str) -> VectorStamp {
    VectorStamp { made_by: made_by.to_owned(), dimension: 3 }
}

#[test]
fn the_wire_form_is_that_of_pgvector() {
    // `SELECT halfvec_send('[1,-2,0.5]')` of pgvector 0.8.
    let expected = [0, 3, 0, 0, 0x3c, 0x00, 0xc0, 0x00, 0x38, 0x00];
    let vector = HalfVector::of(&[1.0, -2.0, 0.5]);
    let mut wire = BytesMut::new();
    vector.to_sql(&Type::BYTEA, &mut wire).unwrap();
    assert_eq!(&wire[..], &expected);
    assert_eq!(HalfVector::from_sql(&Type::BYTEA, &expected).unwrap(), vector);
}

proptest! {
    #[test]
    fn vectors_come_back_as_they_were_sent(bits in prop::collection::vec(any::<u16>(), 0..50)) {
        let vector = HalfVector(bits.iter().map(|&x| f16::from_bits(x)).collect());
        let mut wire = BytesMut::new();
        vector.to_sql(&Type::BYTEA, &mut wire).unwrap();
        let back = HalfVector::from_sql(&Type::BYTEA, &wire).unwrap();
        // By bits, since some are no numbers.
        prop_assert_eq!(back.0.iter().map(|x| x.to_bits()).collect::<Vec<_>>(), bits);
    }

    #[test]
    fn any_bytes_are_a_vector_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(vector) = HalfVector::from_sql(&Type::BYTEA, &bytes) {
            prop_assert_eq!(bytes.len(), 4 + 2 * vector.0.len());
        }
    }
}

#[test]
fn addresses_that_are_none_are_refused_without_the_password() {
    for address in ["postgres://me:s3cret@host:notaport/db", "host=h pass=s3cret"] {
        let error = UserDatabase::delete(address, "ann").unwrap_err();
        assert!(matches!(error, Error::Address { .. }));
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }
    // Nothing listens on port 1.
    let error = UserDatabase::delete("postgres://me:s3cret@127.0.0.1:1/db", "ann").unwrap_err();
    assert!(matches!(error, Error::Database { .. }));
    assert!(!error.to_string().contains("s3cret"), "{error}");
}

/// With a server: `scripts/test-pgvector` gives the address of an empty database.
#[test]
fn a_database_keeps_finds_and_deletes_vectors() {
    let Ok(address) = std::env::var("IDIOLECT_TEST_POSTGRES") else {
        eprintln!("skipped: IDIOLECT_TEST_POSTGRES names no database");
        return;
    };
    let options = DatabaseOptions { partitions: 3, candidates: 40 };
    let refused = |got: Result<UserDatabase, Error>| got.unwrap_err();
    assert!(matches!(
        refused(UserDatabase::open(&address, &stamp("a"), &options)),
        Error::NoVectors
    ));
    assert!(!UserDatabase::delete(&address, "ann").unwrap());

    let mut database = UserDatabase::create(&address, &stamp("a"), &options).unwrap();
    assert!(database.is_empty().unwrap());
    let strange = "tab\t, back\\slash, 'quotes\"', line\nend, 日本";
    let rows: [(&str, &[f32]); 4] = [
        ("ann", &[1.0, 0.0, 0.0]),
        ("bo", &[0.6, 0.8, 0.0]),
        ("cy", &[0.6, 0.8, 0.0]),
        (strange, &[0.0, 0.0, 1.0]),
    ];
    assert_eq!(database.upsert(&rows).unwrap(), 4);
    assert_eq!(database.upsert(&rows).unwrap(), 0, "nothing changed");
    assert_eq!(database.upsert(&[("cy", &[0.0, 1.0, 0.0])]).unwrap(), 1);
    // By comparing with every user, then by the graphs.
    for _ in 0..2 {
        let near = database.near(&[2.0, 0.2, 0.0], 3).unwrap();
        let names: Vec<&str> = near.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ann", "bo", "cy"]);
        assert!((near[0].1 - 2.0 / 4.04_f32.sqrt()).abs() < 1e-3);
        database.index().unwrap();
    }
    // More users than candidates, among 250 others.
    let others: Vec<String> = (0..250).map(|n| format!("other {n}")).collect();
    let others: Vec<(&str, &[f32])> =
        others.iter().map(|n| (n.as_str(), &[-1.0, 0.5, 0.0][..])).collect();
    assert_eq!(database.upsert(&others).unwrap(), 250);
    assert_eq!(database.near(&[-1.0, 0.5, 0.0], 200).unwrap().len(), 200);
    assert_eq!(database.keep_only(&["ann", "bo", "cy", strange]).unwrap(), 250);

    assert_eq!(database.vector(strange).unwrap().unwrap(), [0.0, 0.0, 1.0]);
    assert_eq!(database.vector("nobody").unwrap(), None);
    for bad in [&[1.0, 0.0][..], &[f32::NAN, 0.0, 0.0], &[0.0; 3], &[1e6, 0.0, 0.0]] {
        assert!(matches!(database.near(bad, 1).unwrap_err(), Error::BadVector { .. }));
        assert!(matches!(database.upsert(&[("x", bad)]).unwrap_err(), Error::BadVector { .. }));
    }
    let nul = database.upsert(&[("a\0b", &[1.0, 0.0, 0.0])]).unwrap_err();
    assert!(matches!(nul, Error::BadVector { .. }));

    // Another encoder is refused, and the table stays as it was made.
    let other = UserDatabase::create(&address, &stamp("b"), &options);
    assert!(matches!(refused(other), Error::OtherStamp { .. }));
    let wider = VectorStamp { dimension: 4, ..stamp("a") };
    assert!(matches!(
        refused(UserDatabase::open(&address, &wider, &options)),
        Error::OtherStamp { .. }
    ));

    assert!(UserDatabase::delete(&address, "ann").unwrap());
    assert!(!UserDatabase::delete(&address, "ann").unwrap());
    assert_eq!(database.vector("ann").unwrap(), None);
    assert!(database.near(&[1.0, 0.0, 0.0], 9).unwrap().iter().all(|(name, _)| name != "ann"));
    assert_eq!(database.keep_only(&[strange, "bo"]).unwrap(), 1);
    assert_eq!(database.len().unwrap(), 2);
}
