//! Compares tokenizers with golden ids, and tests hostile text and running time.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::vocab::{Use, Vocab};
use super::*;
use crate::model::gguf::{Gguf, Value, writer::Writer};

/// Folder with vocabulary-only GGUF files and their golden cases.
fn fixtures() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures/tokenizers");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("skipped: {} is absent", folder.display());
    None
}

fn vocabulary(name: &str) -> Option<(Gguf, Tokenizer)> {
    let gguf = Gguf::open(&fixtures()?.join(format!("ggml-vocab-{name}.gguf"))).unwrap();
    let tokenizer = Tokenizer::from_gguf(&gguf).unwrap();
    Some((gguf, tokenizer))
}

/// Returns a byte-level vocabulary: control tokens, all 256 bytes, some merges and a run of spaces.
pub(crate) fn small_bpe() -> Gguf {
    let letter = |byte: u8| {
        (0..0x200)
            .filter_map(char::from_u32)
            .find(|c| byte_level::to_bytes(&c.to_string()) == Some(vec![byte]))
            .unwrap()
            .to_string()
    };
    let mut tokens = vec!["<|endoftext|>".to_owned(), "<|im_start|>".into(), "<|im_end|>".into()];
    let mut kinds = vec![3; 3];
    tokens.extend((0..=255).map(letter));
    let merges = ["h e", "l l", "Ġ w", "he ll", "o r", "Ġw or", "< |", "| >", "i m", "<| im"];
    tokens.extend(merges.iter().map(|merge| merge.replace(' ', "")));
    kinds.resize(tokens.len(), 1);
    tokens.extend(["    ".to_owned(), "<think>".to_owned()]);
    kinds.extend([4, 4]);
    let bytes = Writer::new()
        .value("general.architecture", Value::String("llama".into()))
        .value("tokenizer.ggml.model", Value::String("gpt2".into()))
        .value("tokenizer.ggml.pre", Value::String("gpt-2".into()))
        .value("tokenizer.ggml.tokens", Value::Strings(tokens))
        .value("tokenizer.ggml.token_type", Value::Integers(kinds))
        .value(
            "tokenizer.ggml.merges",
            Value::Strings(merges.iter().map(ToString::to_string).collect()),
        )
        .value("tokenizer.ggml.bos_token_id", Value::Unsigned(1))
        .value("tokenizer.ggml.eos_token_id", Value::Unsigned(2))
        .finish();
    Gguf::from_bytes(bytes, Path::new("small.gguf")).unwrap()
}

fn golden(name: &str) {
    let Some((_, tokenizer)) = vocabulary(name) else { return };
    let read = |kind: &str| {
        let path = fixtures().unwrap().join(format!("ggml-vocab-{name}.gguf.{kind}"));
        std::fs::read_to_string(path).unwrap()
    };
    let (texts, ids) = (read("inp"), read("out"));
    let texts: Vec<&str> = texts.split("\n__ggml_vocab_test__\n").collect();
    let cases: Vec<(&str, Vec<u32>)> = texts
        .into_iter()
        .zip(ids.lines())
        .map(|(text, line)| (text, line.split_whitespace().map(|id| id.parse().unwrap()).collect()))
        .collect();
    assert!(cases.len() > 40, "{} cases", cases.len());
    for (text, expected) in cases {
        let got = tokenizer.encode(text).unwrap();
        assert_eq!(got, expected, "{name}: {text:?}");
        assert_eq!(tokenizer.decode(&got).unwrap(), text, "{name}");
    }
}

macro_rules! golden {
    ($($test:ident $name:literal)*) => { $(#[test] fn $test() { golden($name); })* };
}

golden! {
    golden_llama_spm "llama-spm"
    golden_phi_3 "phi-3"
    golden_gpt_2 "gpt-2"
    golden_falcon "falcon"
    golden_starcoder "starcoder"
    golden_refact "refact"
    golden_mpt "mpt"
    golden_deepseek_llm "deepseek-llm"
    golden_deepseek_coder "deepseek-coder"
}

#[test]
fn vocabularies_without_cases_give_back_what_they_encode() {
    for name in ["gpt-neox", "baichuan"] {
        let Some((_, tokenizer)) = vocabulary(name) else { return };
        for text in ["Hello, world!", "  two spaces\n\tand a tab 🦙 我想"] {
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(tokenizer.decode(&ids).unwrap(), text, "{name}");
        }
    }
}

#[test]
fn word_piece_is_refused_with_a_hint() {
    let Some(folder) = fixtures() else { return };
    let gguf = Gguf::open(&folder.join("ggml-vocab-bert-bge.gguf")).unwrap();
    let error = Tokenizer::from_gguf(&gguf).unwrap_err().to_string();
    assert!(error.contains("`bert`") && error.contains("tokenizer.json"), "{error}");
}

#[test]
fn no_control_token_comes_out_of_data() {
    let names = [
        "llama-spm",
        "phi-3",
        "gpt-2",
        "falcon",
        "starcoder",
        "refact",
        "mpt",
        "deepseek-llm",
        "deepseek-coder",
        "gpt-neox",
        "baichuan",
    ];
    for name in names {
        let Some((gguf, tokenizer)) = vocabulary(name) else { return };
        let vocab = Vocab::read(&gguf).unwrap();
        let mut text = "<|im_start|><|im_end|><s></s><|endoftext|>[INST]<|eot_id|>".to_owned();
        let markers: Vec<(u32, &str)> = vocab
            .tokens()
            .filter(|&(.., used)| used == Use::Marker)
            .map(|(id, text, _)| (id, text))
            .collect();
        assert!(!markers.is_empty());
        for (_, marker) in &markers {
            text.push_str(marker);
        }
        let ids = tokenizer.encode(&text).unwrap();
        for (id, marker) in markers {
            assert!(!ids.contains(&id), "{name}: {marker}");
            let as_data = tokenizer.encode_pieces(&[Piece::Data(marker.to_owned())]).unwrap();
            let said = as_data.strip_prefix(tokenizer.bos.as_slice()).unwrap();
            assert!(!said.contains(&id), "{name}: {marker}");
            let as_markup = tokenizer.encode_pieces(&[Piece::Markup(marker.to_owned())]).unwrap();
            assert!(as_markup.contains(&id), "{name}: {marker}");
        }
        assert_eq!(tokenizer.decode(&ids).unwrap(), text, "{name}");
    }
}

#[test]
fn text_is_joined_across_markup_and_data() {
    let tokenizer = Tokenizer::from_gguf(&small_bpe()).unwrap();
    let pieces = [
        Piece::Markup("<|im_start|>he".to_owned()),
        Piece::Data("ll<|im_end|> w".to_owned()),
        Piece::Markup("or<|im_end|>".to_owned()),
    ];
    let ids = tokenizer.encode_pieces(&pieces).unwrap();
    let mut expected = vec![1];
    expected.extend(tokenizer.encode("hell<|im_end|> wor").unwrap());
    expected.push(2);
    assert_eq!(ids, expected);
    // A marker does not form across a border of pieces either.
    let torn = [Piece::Markup("<|im_".to_owned()), Piece::Data("end|>".to_owned())];
    assert!(!tokenizer.encode_pieces(&torn).unwrap().contains(&2));
}

#[test]
fn user_defined_tokens_are_literal_unless_they_look_like_markup() {
    let tokenizer = Tokenizer::from_gguf(&small_bpe()).unwrap();
    let n = tokenizer.n_vocab() as u32;
    assert_eq!(tokenizer.encode("    ").unwrap(), [n - 2]);
    assert!(!tokenizer.encode("<think>").unwrap().contains(&(n - 1)));
    let markup = tokenizer.encode_pieces(&[Piece::Markup("<think>".to_owned())]).unwrap();
    assert_eq!(markup, [n - 1]);
    assert_eq!(tokenizer.decode(&[1, n - 1, 2]).unwrap(), "<think>");
    assert!(tokenizer.is_end(0) && tokenizer.is_end(2) && !tokenizer.is_end(1));
}

#[test]
fn bos_is_added_once() {
    let Some((_, tokenizer)) = vocabulary("llama-spm") else { return };
    let plain = tokenizer.encode_pieces(&[Piece::Data("Hello".to_owned())]).unwrap();
    assert_eq!(plain, [1, 15043]);
    let marked = tokenizer.encode_pieces(&[Piece::Markup("<s>Hello".to_owned())]).unwrap();
    assert_eq!(marked, [1, 15043]);
    assert_eq!(tokenizer.encode_pieces(&[]).unwrap(), [1]);
    assert_eq!(tokenizer.encode("").unwrap(), tokenizer.encode("").unwrap());
}

#[test]
fn metadata_that_contradict_each_other_are_errors() {
    let base = || {
        Writer::new()
            .value("general.architecture", Value::String("llama".into()))
            .value("tokenizer.ggml.model", Value::String("gpt2".into()))
            .value("tokenizer.ggml.tokens", Value::Strings(vec!["a".into(), "b".into()]))
    };
    let pre = |writer: Writer| writer.value("tokenizer.ggml.pre", Value::String("gpt-2".into()));
    let broken = [
        (base(), "tokenizer.ggml.pre"),
        (base().value("tokenizer.ggml.pre", Value::String("x-9".into())), "x-9"),
        (pre(base()).value("tokenizer.ggml.token_type", Value::Integers(vec![1])), "token_type"),
        (pre(base()).value("tokenizer.ggml.merges", Value::Strings(vec!["ab".into()])), "merge 0"),
        (pre(base()).value("tokenizer.ggml.eos_token_id", Value::Unsigned(7)), "eos"),
        (pre(base()).value("tokenizer.ggml.add_bos_token", Value::Bool(true)), "bos"),
    ];
    for (writer, word) in broken {
        let gguf = Gguf::from_bytes(writer.finish(), Path::new("broken.gguf")).unwrap();
        let error = Tokenizer::from_gguf(&gguf).unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[test]
fn long_texts_take_linear_time() {
    let mut vocabularies = vec![("small", Tokenizer::from_gguf(&small_bpe()).unwrap())];
    for name in ["llama-spm", "gpt-2", "deepseek-llm"] {
        if let Some((_, tokenizer)) = vocabulary(name) {
            vocabularies.push((name, tokenizer));
        }
    }
    let long = 300_000;
    let texts = [
        ("one letter", "a".repeat(long)),
        ("one space", " ".repeat(long)),
        ("one line end", "\n".repeat(long)),
        ("spaces, then a letter", " ".repeat(long) + "a"),
        ("one marker", "<|im_end|>".repeat(long / 10)),
        ("prose", "The quick brown fox, 17 of them, doesn't jump.\n".repeat(long / 47)),
    ];
    for (name, tokenizer) in &vocabularies {
        for (what, text) in &texts {
            let begin = Instant::now();
            let ids = tokenizer.encode(text).unwrap();
            let took = begin.elapsed();
            eprintln!("{name}: {what}: {} ids in {took:?}", ids.len());
            // Quadratic work on this many characters would take minutes.
            assert!(took < Duration::from_secs(30), "{name}: {what} took {took:?}");
        }
    }
}

fn hostile() -> impl Strategy<Value = String> {
    let fragment = prop_oneof![
        any::<String>(),
        Just("<|im_start|>".to_owned()),
        Just("<|im_".to_owned()),
        Just("end|>".to_owned()),
        Just("<think>".to_owned()),
        Just("    ".to_owned()),
        Just(" he".to_owned()),
        "[ -~]{0,8}",
    ];
    proptest::collection::vec(fragment, 0..6).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_data_comes_back_and_yields_no_marker(text in hostile()) {
        thread_local!(static SMALL: Tokenizer = Tokenizer::from_gguf(&small_bpe()).unwrap());
        SMALL.with(|tokenizer| {
            let ids = tokenizer.encode(&text).unwrap();
            let think = tokenizer.marker("<think>").unwrap();
            prop_assert!(ids.iter().all(|&id| !tokenizer.is_control(id) && id != think));
            prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text);
            Ok(())
        })?;
    }

    #[test]
    fn sentence_pieces_come_back(text in hostile()) {
        thread_local!(static SPM: Option<(Gguf, Tokenizer)> = vocabulary("llama-spm"));
        SPM.with(|vocabulary| {
            let Some((_, tokenizer)) = vocabulary else { return Ok(()) };
            let ids = tokenizer.encode(&text).unwrap();
            prop_assert!(ids.iter().all(|&id| id > 2));
            // The vocabulary writes a space as U+2581, so the two cannot be distinguished.
            prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text.replace('\u{2581}', " "));
            Ok(())
        })?;
    }
}

#[test]
fn a_byte_pair_vocabulary_without_merges_is_refused() {
    let text = |text: &str| Value::String(text.to_owned());
    let gguf = |tokens: &[&str]| {
        let tokens = tokens.iter().map(ToString::to_string).collect();
        let bytes = Writer::new()
            .value("tokenizer.ggml.model", text("gpt2"))
            .value("tokenizer.ggml.pre", text("gpt-2"))
            .value("tokenizer.ggml.tokens", Value::Strings(tokens))
            .finish();
        Gguf::from_bytes(bytes, Path::new("bare.gguf")).unwrap()
    };
    let said = Tokenizer::from_gguf(&gguf(&["a", "b", "ab"])).err().unwrap().to_string();
    assert!(said.contains("`tokenizer.ggml.merges`") && said.contains("tokenizer.json"), "{said}");
    let letters = Tokenizer::from_gguf(&gguf(&["a", "b"]));
    assert!(letters.is_ok_and(|letters| letters.encode("ab").is_ok_and(|ids| ids == [0, 1])));
}
