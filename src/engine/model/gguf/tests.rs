#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::PathBuf;
use std::sync::OnceLock;

use proptest::prelude::*;

use super::writer::Writer;
use super::*;
use crate::model::catalog::{Catalog, default_models_dir};

fn small() -> Writer {
    Writer::new()
        .value("general.architecture", Value::String("llama".into()))
        .value("llama.context_length", Value::Unsigned(64))
        .value("llama.rope.freq_base", Value::F32(10000.0))
        .value("tokenizer.ggml.tokens", Value::Strings(vec!["a".into(), "é".into(), "".into()]))
        .value("tokenizer.ggml.scores", Value::F32s(vec![0.5, -1.0, 0.0]))
        .value("tokenizer.ggml.token_type", Value::Integers(vec![1, 3, 1]))
        .value("x.far", Value::Signed(-5_000_000_000))
        .value("x.truth", Value::Bool(true))
        .value("x.double", Value::F64(0.25))
        .tensor_f32("a.weight", &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
        .tensor("b.weight", &[2, 64], GgmlDType::Q8_0, &[1; 136])
}

fn read(bytes: Vec<u8>) -> Result<Gguf> {
    Gguf::from_bytes(bytes, Path::new("test.gguf"))
}

fn message(bytes: Vec<u8>) -> String {
    read(bytes).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read() {
    let gguf = read(small().finish()).unwrap();
    assert_eq!(gguf.architecture().unwrap(), "llama");
    assert_eq!(gguf.u64("llama.context_length").unwrap(), 64);
    assert_eq!(gguf.f32("llama.rope.freq_base").unwrap(), 10000.0);
    assert_eq!(gguf.strings("tokenizer.ggml.tokens").unwrap(), ["a", "é", ""]);
    assert_eq!(gguf.f32s("tokenizer.ggml.scores").unwrap(), [0.5, -1.0, 0.0]);
    assert_eq!(gguf.integers("tokenizer.ggml.token_type").unwrap(), [1, 3, 1]);
    assert_eq!(gguf.value("x.far"), Some(&Value::Signed(-5_000_000_000)));
    assert_eq!(gguf.value("x.truth").unwrap().as_bool(), Some(true));
    assert_eq!(gguf.f32("x.double").unwrap(), 0.25);
    assert_eq!(gguf.tensor_names().collect::<Vec<_>>(), ["a.weight", "b.weight"]);
    assert_eq!(gguf.tensor("b.weight").unwrap().shape, [2, 64]);
    assert_eq!(gguf.tensor("b.weight").unwrap().data, [1; 136]);
    assert!(gguf.tensor("c.weight").is_none());
    let tensor = gguf.qtensor("a.weight", &Device::Cpu).unwrap().dequantize(&Device::Cpu).unwrap();
    assert_eq!(tensor.to_vec2::<f32>().unwrap(), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    assert_eq!(gguf.keys().next(), Some("general.architecture"));
}

#[test]
fn rows_are_counted_over_all_outer_dimensions() {
    let values: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let bytes = Writer::new()
        .tensor_f32("cube", &[2, 2, 3], &values)
        .tensor("blocks", &[3, 64], GgmlDType::Q8_0, &(0..204).collect::<Vec<u8>>())
        .finish();
    let gguf = read(bytes).unwrap();
    let rows = |name: &str, rows| gguf.qtensor_rows(name, rows, &Device::Cpu);
    let two = rows("cube", 1..3).unwrap().dequantize(&Device::Cpu).unwrap();
    assert_eq!(two.to_vec2::<f32>().unwrap(), [[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]]);
    let last = rows("blocks", 2..3).unwrap();
    assert_eq!(last.shape().dims(), [1, 64]);
    assert_eq!(&last.data().unwrap()[..], &(136..204).collect::<Vec<u8>>()[..]);
    let error = rows("cube", 3..5).unwrap_err().to_string();
    assert!(error.contains("`cube` has shape [2, 2, 3], expected at least 5 rows"), "{error}");
    assert!(rows("none", 0..1).is_err());
}

#[test]
fn truth_values_in_an_array_are_whole_numbers() {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend([0_u64, 1, 1].map(u64::to_le_bytes).concat());
    bytes.push(b'k');
    bytes.extend([9_u32, 7].map(u32::to_le_bytes).concat());
    bytes.extend(3_u64.to_le_bytes());
    bytes.extend([1, 0, 1]);
    assert_eq!(read(bytes).unwrap().integers("k").unwrap(), [1, 0, 1]);
}

/// Writes a model split into `parts`, each with its tensors, and returns the path of the first
/// file.
fn write_split(
    folder: &Path,
    parts: &[&[&str]],
    change: impl Fn(usize, Writer) -> Writer,
) -> PathBuf {
    let (count, total) = (parts.len() as u64, parts.iter().map(|names| names.len() as u64).sum());
    for (no, names) in parts.iter().enumerate() {
        let mut writer = Writer::new()
            .value("split.no", Value::Unsigned(no as u64))
            .value("split.count", Value::Unsigned(count))
            .value("split.tensors.count", Value::Unsigned(total));
        if no == 0 {
            writer = writer.value("general.architecture", Value::String("llama".into()));
        }
        for (i, name) in names.iter().enumerate() {
            writer = writer.tensor_f32(name, &[1, 2], &[no as f32, i as f32]);
        }
        let file = folder.join(format!("m-{:05}-of-{count:05}.gguf", no + 1));
        std::fs::write(file, change(no, writer).finish()).unwrap();
    }
    folder.join(format!("m-00001-of-{count:05}.gguf"))
}

#[test]
fn a_split_model_is_read_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let parts: [&[&str]; 3] = [&["a"], &["b", "c"], &["d"]];
    let first = write_split(folder.path(), &parts, |_, writer| writer);
    let gguf = Gguf::open(&first).unwrap();
    assert_eq!(gguf.architecture().unwrap(), "llama");
    assert_eq!(gguf.tensor_names().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
    assert_eq!(gguf.n_weights(), 8);
    for (name, expected) in
        [("a", [0.0, 0.0]), ("b", [1.0, 0.0]), ("c", [1.0, 1.0]), ("d", [2.0, 0.0])]
    {
        let tensor = gguf.qtensor(name, &Device::Cpu).unwrap().dequantize(&Device::Cpu).unwrap();
        assert_eq!(tensor.to_vec2::<f32>().unwrap(), [expected], "{name}");
    }
    let sizes = split_files(&first).iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
    assert_eq!((split_files(&first).len(), gguf.size()), (3, sizes));

    let second = folder.path().join("m-00002-of-00003.gguf");
    let said = Gguf::open(&second).unwrap_err().to_string();
    assert!(
        said.contains("file 2 of a model split into 3") && said.contains("m-00001-of-00003.gguf"),
        "{said}"
    );
    assert_eq!(Gguf::open_alone(&second).unwrap().tensor_names().count(), 2);
    std::fs::copy(&first, folder.path().join("renamed.gguf")).unwrap();
    let said = Gguf::open(&folder.path().join("renamed.gguf")).unwrap_err().to_string();
    assert!(said.contains("NAME-00001-of-00003.gguf"), "{said}");
    std::fs::copy(&first, &second).unwrap();
    let said = Gguf::open(&first).unwrap_err().to_string();
    assert!(said.contains("is not file 2"), "{said}");
    std::fs::remove_file(&second).unwrap();
    let said = Gguf::open(&first).unwrap_err().to_string();
    assert!(said.contains("m-00002-of-00003.gguf"), "{said}");
}

#[test]
fn a_split_model_that_does_not_fit_together_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let parts: [&[&str]; 2] = [&["a"], &["a"]];
    let first = write_split(folder.path(), &parts, |_, writer| writer);
    let twice = Gguf::open(&first).unwrap_err().to_string();
    assert!(twice.contains("tensor `a` is in an earlier file too"), "{twice}");
    let parts: [&[&str]; 2] = [&["a"], &["b"]];
    let more =
        |no, writer: Writer| if no == 1 { writer.tensor_f32("x", &[1, 1], &[0.0]) } else { writer };
    let first = write_split(folder.path(), &parts, more);
    let count = Gguf::open(&first).unwrap_err().to_string();
    assert!(count.contains("have 3 tensors, `split.tensors.count` says 2"), "{count}");
    for (no, count) in [(5u64, 2u64), (0, u64::MAX), (2, 2)] {
        let bytes = Writer::new()
            .value("split.no", Value::Unsigned(no))
            .value("split.count", Value::Unsigned(count))
            .finish();
        let file = folder.path().join("odd.gguf");
        std::fs::write(&file, bytes).unwrap();
        let said = Gguf::open(&file).unwrap_err().to_string();
        assert!(said.contains("`split.no`"), "{said}");
    }
    let one = Writer::new()
        .value("split.count", Value::Unsigned(1))
        .value("split.no", Value::Unsigned(0));
    std::fs::write(folder.path().join("one.gguf"), one.finish()).unwrap();
    Gguf::open(&folder.path().join("one.gguf")).unwrap();
}

#[test]
fn only_five_digits_on_both_sides_name_a_file_of_a_split() {
    for (name, expected) in [
        ("m-00001-of-00003.gguf", 3),
        ("m-00002-of-00003.gguf", 1),
        ("m-00001-of-00001.gguf", 1),
        ("m-00000-of-00003.gguf", 1),
        ("m-0001-of-0003.gguf", 1),
        ("m-00001-of-00003.bin", 1),
        ("m-+0001-of-00003.gguf", 1),
        ("m.gguf", 1),
    ] {
        assert_eq!(split_files(Path::new(name)).len(), expected, "{name}");
    }
    let files = split_files(Path::new("folder/m-00001-of-00002.gguf"));
    assert_eq!(files[1], Path::new("folder/m-00002-of-00002.gguf"));
}

#[test]
fn wrong_keys_are_named() {
    let gguf = read(small().finish()).unwrap();
    let missing = gguf.u64("llama.block_count").unwrap_err().to_string();
    assert!(missing.contains("`llama.block_count`"), "{missing}");
    let kind = gguf.u64("general.architecture").unwrap_err().to_string();
    assert!(kind.contains("is a string, expected a whole number"), "{kind}");
    assert!(gguf.u64("x.far").is_err());
    assert!(gguf.qtensor("none", &Device::Cpu).unwrap_err().to_string().contains("`none`"));
}

#[test]
fn an_odd_alignment_still_gives_tensors() {
    let bytes = Writer::new()
        .value("general.alignment", Value::Unsigned(1))
        .tensor("pad", &[3], GgmlDType::F16, &[0, 60, 0, 60, 0, 60])
        .tensor_f32("odd", &[2], &[1.5, -2.0])
        .finish();
    // For any address of the buffer, one of four shifts puts the tensor at an odd address.
    for shift in 0..4 {
        let bytes = Writer::new()
            .value("general.alignment", Value::Unsigned(1))
            .value("shift", Value::String("x".repeat(shift)))
            .tensor_f32("odd", &[2], &[1.5, -2.0])
            .finish();
        let gguf = read(bytes).unwrap();
        let tensor = gguf.qtensor("odd", &Device::Cpu).unwrap().dequantize(&Device::Cpu).unwrap();
        assert_eq!(tensor.to_vec1::<f32>().unwrap(), [1.5, -2.0]);
    }
    assert_eq!(read(bytes).unwrap().tensor("pad").unwrap().data.len(), 6);
}

#[test]
fn other_files_are_told_apart() {
    assert!(message(Vec::new()).contains("0 bytes"));
    assert!(message(b"<!DOCTYPE html>".to_vec()).contains("not a GGUF file"));
    assert!(message(b"version https".to_vec()).contains("Git LFS pointer"));
    let mut bytes = small().finish();
    bytes[4..8].copy_from_slice(&1u32.to_le_bytes());
    assert!(message(bytes.clone()).contains("version 1, expected 2 or 3"));
    bytes[4..8].copy_from_slice(&3u32.to_be_bytes());
    assert!(message(bytes.clone()).contains("big-endian"));
    bytes[4..8].copy_from_slice(&9u32.to_le_bytes());
    assert!(message(bytes).contains("version 9"));
}

#[test]
fn tensors_that_cannot_be_used_are_refused() {
    for (number, name, instead) in [
        (20, "IQ4_NL", "the model's file in Q4_K_M"),
        (36, "IQ4_NL_4_4", "the model's file in Q4_0"),
        (21, "IQ3_S", "the model's file in Q3_K_M"),
        (16, "IQ2_XXS", "the model's file in Q2_K"),
        (39, "MXFP4", "qwen3-8b"),
        (34, "TQ1_0", "the model's file in Q2_K"),
    ] {
        let text = message(Writer::new().tensor_of_type("w", &[32], number, &[0; 18]).finish());
        assert!(text.contains("`w`") && text.contains(name) && text.contains("Q4_K"), "{text}");
        assert!(text.contains(instead), "{text}");
    }
    let unknown = message(Writer::new().tensor_of_type("w", &[32], 77, &[0; 18]).finish());
    assert!(unknown.contains("unknown type 77"), "{unknown}");
    let block = message(Writer::new().tensor("w", &[2, 48], GgmlDType::Q8_0, &[0; 102]).finish());
    assert!(block.contains("rows of 48 elements") && block.contains("block of 32"), "{block}");
    let huge = [usize::MAX / 2, 64, 64];
    let overflow = message(Writer::new().tensor("w", &huge, GgmlDType::Q8_0, &[0; 34]).finish());
    assert!(overflow.contains("more elements than memory"), "{overflow}");
    let zero = message(Writer::new().tensor("w", &[0, 32], GgmlDType::F32, &[]).finish());
    assert!(zero.contains("dimension of 0"), "{zero}");
    let deep = message(Writer::new().tensor("w", &[1; 5], GgmlDType::F32, &[0; 4]).finish());
    assert!(deep.contains("5 dimensions, expected at most 4"), "{deep}");
    let twice = Writer::new().tensor_f32("w", &[1], &[0.0]).tensor_f32("w", &[1], &[0.0]);
    assert!(message(twice.finish()).contains("stands twice"));
    let keys = Writer::new().value("k", Value::Bool(true)).value("k", Value::Bool(true));
    assert!(message(keys.finish()).contains("metadata `k` stands twice"));
}

#[test]
fn wrong_offsets_are_refused() {
    let bytes = small().finish();
    // The second tensor's offset (32) is the only u64 of that value after its name.
    let name = bytes.windows(8).position(|w| w == b"b.weight").unwrap();
    let at = name + 8 + 4 + 16 + 4;
    let with = |offset: u64| {
        let mut bytes = bytes.clone();
        assert_eq!(bytes[at..at + 8], 32u64.to_le_bytes());
        bytes[at..at + 8].copy_from_slice(&offset.to_le_bytes());
        message(bytes)
    };
    assert!(with(0).contains("inside `a.weight`"), "{}", with(0));
    assert!(with(33).contains("expected a multiple of 32"), "{}", with(33));
    assert!(with(1 << 40).contains("is cut short"), "{}", with(1 << 40));
    assert!(with(u64::MAX - 31).contains("beyond all memory"), "{}", with(u64::MAX - 31));
}

#[test]
fn wrong_metadata_is_refused() {
    let alignment = Writer::new().value("general.alignment", Value::Unsigned(24)).finish();
    assert!(message(alignment).contains("power of two"));
    let mut bytes = Writer::new().value("k", Value::Unsigned(1)).finish();
    let kind = 24 + 8 + 1;
    bytes[kind] = 13;
    assert!(message(bytes.clone()).contains("unknown value type 13"));
    bytes[kind] = 7;
    bytes[kind + 4] = 2;
    assert!(message(bytes.clone()).contains("truth value is 2"));
    let mut bytes = Writer::new().value("k", Value::Strings(vec!["ab".into()])).finish();
    let at = bytes.len() - 2;
    bytes[at] = 0xff;
    assert!(message(bytes.clone()).contains("not UTF-8"));
    bytes[kind + 4] = 9;
    assert!(message(bytes.clone()).contains("array of arrays"));
    bytes[kind + 4] = 8;
    bytes[kind + 8..kind + 16].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(message(bytes).contains("expected at most"));
}

#[test]
fn every_truncation_is_an_error() {
    let bytes = small().finish();
    for length in 0..bytes.len() {
        let text = message(bytes[..length].to_vec());
        if length >= 4 {
            assert!(text.contains(&format!("file is {length} bytes")), "{length}: {text}");
        }
    }
    assert!(read(bytes).is_ok());
}

#[test]
fn a_file_is_mapped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("small.gguf");
    std::fs::write(&path, small().finish()).unwrap();
    let gguf = Gguf::open(&path).unwrap();
    assert_eq!(gguf.qtensor("a.weight", &Device::Cpu).unwrap().shape().dims(), [2, 3]);
    // The truncation of a mapped file is detected before its pages are touched.
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(100).unwrap();
    let text = gguf.qtensor("a.weight", &Device::Cpu).unwrap_err().to_string();
    assert!(text.contains("changed while in use"), "{text}");
    assert!(Gguf::open(folder.path()).unwrap_err().to_string().contains("is a folder"));
    assert!(Gguf::open(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
    let empty = folder.path().join("empty.gguf");
    std::fs::write(&empty, []).unwrap();
    assert!(Gguf::open(&empty).unwrap_err().to_string().contains("0 bytes"));
}

#[test]
fn vocabulary_files_open() {
    let folder =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/fixtures/tokenizers"));
    let Ok(entries) = std::fs::read_dir(folder) else {
        eprintln!("skipped: no folder {}", folder.display());
        return;
    };
    let mut n = 0;
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.extension().is_some_and(|extension| extension == "gguf") {
            let gguf = Gguf::open(&path).unwrap();
            assert!(gguf.strings("tokenizer.ggml.tokens").unwrap().len() > 1000);
            n += 1;
        }
    }
    assert!(n > 0);
}

/// Returns the GGUF of IDIOLECT_TEST_LM, else the small model if it was fetched.
fn real_model() -> Option<PathBuf> {
    let name = std::env::var("IDIOLECT_TEST_LM");
    let name = name.unwrap_or_else(|_| "smollm2-135m-instruct".to_owned());
    let catalog = Catalog::load(&default_models_dir().ok()?).ok()?;
    catalog.lm(&name).ok().map(|files| files.gguf)
}

#[test]
fn a_real_model_opens() {
    let Some(path) = real_model() else {
        eprintln!(
            "skipped: IDIOLECT_TEST_LM is not set and the small model is not on this machine"
        );
        return;
    };
    let gguf = Gguf::open(&path).unwrap();
    for name in gguf.tensor_names() {
        let view = gguf.tensor(name).unwrap();
        let elements: usize = view.shape.iter().product();
        assert_eq!(
            view.data.len(),
            elements / view.dtype.block_size() * view.dtype.type_size(),
            "{name}"
        );
    }
    let first = gguf.tensor_names().next().unwrap();
    assert!(gguf.qtensor(first, &Device::Cpu).is_ok());
}

/// Returns the header of the real model, or of the small one if there is no real model.
fn header() -> &'static [u8] {
    static HEADER: OnceLock<Vec<u8>> = OnceLock::new();
    HEADER.get_or_init(|| match real_model() {
        Some(path) => std::fs::read(path).unwrap()[..4 << 20].to_vec(),
        None => small().finish(),
    })
}

/// Parses the bytes and uses everything that was accepted. Nothing may panic.
fn exercise(bytes: Vec<u8>) {
    let Ok(gguf) = read(bytes) else { return };
    let names: Vec<_> = gguf.tensor_names().map(str::to_owned).collect();
    for name in names {
        let view = gguf.tensor(&name).unwrap();
        assert!(view.data.len() as u64 <= gguf.size());
        let _ = gguf.qtensor(&name, &Device::Cpu);
    }
    let _ = gguf.architecture();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        exercise(bytes);
    }

    #[test]
    fn any_bytes_behind_a_good_start(
        n_tensors in 0u64..5,
        n_values in 0u64..5,
        bytes in proptest::collection::vec(prop_oneof![3 => 0u8..16, 1 => any::<u8>()], 0..400),
    ) {
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend_from_slice(&n_tensors.to_le_bytes());
        file.extend_from_slice(&n_values.to_le_bytes());
        file.extend_from_slice(&bytes);
        exercise(file);
    }

    #[test]
    fn any_flipped_bits(flips in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..6)) {
        let mut bytes = small().finish();
        for (index, bit) in flips {
            let at = index.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        exercise(bytes);
    }

    #[test]
    fn any_overwritten_number(at in 4usize..400, number in prop_oneof![any::<u64>(), Just(u64::MAX), Just(1 << 63), 0u64..300]) {
        let mut bytes = small().finish();
        let at = at.min(bytes.len() - 8);
        bytes[at..at + 8].copy_from_slice(&number.to_le_bytes());
        exercise(bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn flipped_bits_and_cuts_of_a_real_header(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..8), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = header().to_vec();
        bytes.truncate(cut.index(bytes.len()) + 1);
        for (index, bit) in flips {
            // Half of the flips hit the first kilobytes, which hold the structure.
            let span = if bit % 2 == 0 { bytes.len().min(4096) } else { bytes.len() };
            let at = index.index(span);
            bytes[at] ^= 1 << bit;
        }
        exercise(bytes);
    }
}
