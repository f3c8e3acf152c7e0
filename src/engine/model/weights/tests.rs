#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::collections::HashMap;

use proptest::prelude::*;
use safetensors::tensor::TensorView;

use super::*;
use crate::model::catalog::{Catalog, default_models_dir};

fn file(values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, vec![values.len()], &bytes).unwrap();
    safetensors::serialize(HashMap::from([("w", view)]), None).unwrap()
}

fn message(bytes: &[u8]) -> String {
    check_safetensors(bytes, Path::new("test.safetensors")).unwrap_err().to_string()
}

#[test]
fn a_whole_file_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    std::fs::write(&path, file(&[1.0, 2.0, 3.0])).unwrap();
    let weights = open_safetensors(&path, &Device::Cpu, DType::F32).unwrap();
    assert_eq!(weights.get(3, "w").unwrap().to_vec1::<f32>().unwrap(), [1.0, 2.0, 3.0]);
    assert!(weights.get(3, "v").is_err());
    let text = open_safetensors(folder.path(), &Device::Cpu, DType::F32).err().unwrap();
    assert!(text.to_string().contains("is a folder"), "{text}");
}

#[test]
fn every_truncation_says_how_long_the_file_should_be() {
    let bytes = file(&[1.0; 40]);
    for length in 0..bytes.len() {
        let text = message(&bytes[..length]);
        assert!(text.contains(&format!("file is {length} bytes")), "{length}: {text}");
        if length > bytes.len() - 100 {
            assert!(text.contains(&format!("promises {}", bytes.len())), "{length}: {text}");
        }
    }
}

#[test]
fn damage_is_told() {
    assert!(message(b"version https").contains("Git LFS pointer"));
    assert!(message(&[0xff; 64]).contains("not a safetensors file"));
    let mut bytes = file(&[1.0; 4]);
    bytes[8] = b'x';
    assert!(message(&bytes).contains("not JSON"), "{}", message(&bytes));
    let nan = file(&[1.0, f32::NAN]);
    assert!(message(&nan).contains("`w` holds a value that is not finite at element 1"));
}

#[test]
fn a_real_model_passes() {
    let name = std::env::var("IDIOLECT_TEST_ENCODER");
    let name = name.unwrap_or_else(|_| "all-minilm-l6-v2".to_owned());
    let found = || {
        let catalog = Catalog::load(&default_models_dir().ok()?).ok()?;
        catalog.encoder(&name).ok().map(|files| files.dir)
    };
    let Some(folder) = found() else {
        eprintln!(
            "skipped: IDIOLECT_TEST_ENCODER is not set and the default is not on this machine"
        );
        return;
    };
    let path = folder.join("model.safetensors");
    assert!(open_safetensors(&path, &Device::Cpu, DType::F32).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = check_safetensors(&bytes, Path::new("x"));
    }

    #[test]
    fn any_flipped_bits(flips in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6)) {
        let mut bytes = file(&[0.5; 16]);
        for (index, bit) in flips {
            let at = index.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        if check_safetensors(&bytes, Path::new("x")).is_ok() {
            let weights = VarBuilder::from_buffered_safetensors(bytes, DType::F32, &Device::Cpu);
            let _ = weights.unwrap().get_unchecked("w");
        }
    }
}
