//! Against golden ids, against hostile text, and against the clock.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::model::gguf::{Value, writer::Writer};

/// Folder with vocabulary-only GGUF files and their golden cases.
fn fixtures() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/fixtures/tokenizers");
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

/// A byte-level vocabulary: control tokens, all 256 bytes, some merges and a run of spaces.
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
    // Neither does a marker form across the border.
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
            // Quadratic work on so many characters takes minutes at least.
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
            // The vocabulary writes a space as U+2581, so it cannot tell the two apart.
            prop_assert_eq!(tokenizer.decode(&ids).unwrap(), text.replace('\u{2581}', " "));
            Ok(())
        })?;
    }
}

/// The vocabulary of [`small_bpe`] as a `tokenizer.json` that truncates, pads and adds a token.
fn small_json(gguf: &Gguf) -> serde_json::Value {
    use serde_json::json;
    let tokens = gguf.strings("tokenizer.ggml.tokens").unwrap();
    let n = tokens.len();
    let added = |id: usize, special: bool| {
        json!({"id": id, "content": tokens[id], "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false, "special": special})
    };
    json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0},
        "padding": {"strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": null,
                    "pad_id": 0, "pad_type_id": 0, "pad_token": "<|endoftext|>"},
        "added_tokens": [added(0, true), added(1, true), added(2, true), added(n - 2, false), added(n - 1, false)],
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [],
            "special_tokens": {"<|im_start|>": {"id": "<|im_start|>", "ids": [1], "tokens": ["<|im_start|>"]}}},
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": tokens[..n - 2].iter().enumerate().map(|(id, text)| (text.clone(), json!(id)))
                .collect::<serde_json::Map<_, _>>(),
            "merges": gguf.strings("tokenizer.ggml.merges").unwrap()}
    })
}

fn from_json(json: &serde_json::Value, gguf: &Gguf) -> Result<Tokenizer> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, json.to_string()).unwrap();
    Tokenizer::from_file(&path, gguf)
}

#[test]
fn a_tokenizer_json_gives_the_ids_of_the_gguf() {
    let gguf = small_bpe();
    let (ours, theirs) =
        (Tokenizer::from_gguf(&gguf).unwrap(), from_json(&small_json(&gguf), &gguf).unwrap());
    let texts = [
        "hell, wor hello world 123",
        "<|im_start|>hell<|im_end|><think>",
        "      x",
        "Führer 🦙\n",
        "",
    ];
    for text in texts {
        let ids = theirs.encode(text).unwrap();
        assert_eq!(ids, ours.encode(text).unwrap(), "{text:?}");
        assert_eq!(theirs.decode(&ids).unwrap(), text);
        for piece in [Piece::Markup(text.to_owned()), Piece::Data(text.to_owned())] {
            let with_bos = theirs.encode_pieces(&[piece.clone()]).unwrap();
            let mut expected = ours.encode_pieces(&[piece]).unwrap();
            // This file says that BOS comes first; the GGUF does not say.
            if expected.first() != Some(&1) {
                expected.insert(0, 1);
            }
            assert_eq!(with_bos, expected, "{text:?}");
        }
    }
    assert_eq!(theirs.n_vocab(), ours.n_vocab());
    for id in 0..theirs.n_vocab() as u32 {
        assert_eq!(theirs.bytes(id), ours.bytes(id), "{id}");
        assert_eq!(theirs.is_end(id), ours.is_end(id), "{id}");
    }
    assert_ne!(theirs.fingerprint(), ours.fingerprint());
}

#[test]
fn a_tokenizer_json_of_another_model_is_refused() {
    let gguf = small_bpe();
    let mut json = small_json(&gguf);
    json["added_tokens"][1]["content"] = "<|system|>".into();
    json["post_processor"] = serde_json::Value::Null;
    let error = from_json(&json, &gguf).unwrap_err().to_string();
    assert!(error.contains("another model"), "{error}");
    let error = from_json(&serde_json::json!({"model": 3}), &gguf).unwrap_err().to_string();
    assert!(error.contains("tokenizer.json"), "{error}");
    json = small_json(&gguf);
    json["added_tokens"][4]["id"] = u32::MAX.into();
    let error = from_json(&json, &gguf).unwrap_err().to_string();
    assert!(error.contains("4294967295"), "{error}");
    json = small_json(&gguf);
    json["decoder"] = serde_json::json!({"type": "WordPiece", "prefix": "##", "cleanup": true});
    let error = from_json(&json, &gguf).unwrap_err().to_string();
    assert!(error.contains("WordPiece"), "{error}");
}

#[test]
fn a_space_that_only_the_first_text_gets_is_not_put_behind_markers() {
    let gguf = Gguf::from_bytes(
        Writer::new()
            .value("general.architecture", Value::String("llama".into()))
            .value("tokenizer.ggml.add_bos_token", Value::Bool(false))
            .finish(),
        Path::new("bare.gguf"),
    )
    .unwrap();
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{"id": 4, "content": "</s>", "single_word": false, "lstrip": false,
                          "rstrip": false, "normalized": false, "special": true}],
        "normalizer": null,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false},
        "post_processor": null,
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": false},
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
            "vocab": {"<unk>": 0, "▁": 1, "a": 2, "▁a": 3, "</s>": 4}, "merges": [["▁", "a"]]}
    });
    let tokenizer = from_json(&json, &gguf).unwrap();
    let ids = tokenizer.encode_pieces(&[Piece::Markup("a a</s>a".to_owned())]).unwrap();
    assert_eq!(ids, [3, 3, 4, 2]);
    assert_eq!(tokenizer.decode(&ids).unwrap(), "a aa");
    assert!(tokenizer.is_end(4));
}
