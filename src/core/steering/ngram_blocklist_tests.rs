#![allow(clippy::unwrap_used)]

use futures::executor::block_on;
use proptest::prelude::*;

use super::*;
use idiolect_engine::lm::tiny::Tiny;
use idiolect_engine::lm::{Lm, LoadOptions, Prompt, Request, Sampling};
use idiolect_engine::model::LmFiles;

#[test]
fn runs_are_found_whatever_stands_between_the_words() {
    let guard = NgramBlocklist::new(&["One two three, four five!"], 3);
    assert!(guard.is_copy("so: TWO -- three\nfour."));
    assert!(!guard.is_copy("two three for"));
    assert!(!guard.is_copy("two three"));
    assert_ne!(guard.hash(), NgramBlocklist::new(&["One two three, four five!"], 4).hash());
    assert!(!NgramBlocklist::new::<&str>(&[], 3).is_copy("one two three"));
}

#[test]
fn what_a_model_would_say_is_not_said_where_it_is_guarded() {
    let folder = tempfile::tempdir().unwrap();
    let gguf = folder.path().join("tiny.gguf");
    std::fs::write(&gguf, Tiny::new("llama").bytes()).unwrap();
    let files = LmFiles { name: "tiny".into(), gguf, tokenizer: None, sha256: "0".repeat(64) };
    let lm = Lm::load(&files, &LoadOptions { threads: 1, ..LoadOptions::default() }).unwrap();
    let write = |guard: Option<NgramBlocklist>| {
        let prompt = Prompt::Text("It was a bright cold day".to_owned());
        let request = Request {
            mask: guard.map(|guard| Box::new(guard) as _),
            sampling: Sampling { temperature: 0.7, seed: 3, ..Sampling::default() },
            ..Request::new(prompt, 60)
        };
        block_on(lm.generate(request)).unwrap().text
    };
    let free = write(None);
    assert!(words(&free).len() >= 3, "{free:?}");
    // The texts differ only from the first blocked word sequence on.
    let guard = NgramBlocklist::new(&[&free], 3);
    let guarded = write(Some(guard.clone()));
    assert!(guard.is_copy(&free) && !guard.is_copy(&guarded), "{guarded:?}");
    assert_eq!(guarded.chars().next(), free.chars().next());
    // A blocklist of other texts changes nothing.
    assert_eq!(write(Some(NgramBlocklist::new(&["never to be written by it"], 3))), free);
}

proptest! {
    #[test]
    fn a_copy_is_a_run_of_words_of_one_text(
        text in "([abAB]{1,2}[ .,]){0,12}",
        others in prop::collection::vec("([ab]{1,2}[ !]){0,10}", 0..4),
        n in 2_usize..5,
    ) {
        let own = words(&text);
        let plain = others.iter().map(|other| words(other)).any(|other| {
            own.windows(n).any(|run| other.windows(n).any(|there| there == run))
        });
        prop_assert_eq!(NgramBlocklist::new(&others, n).is_copy(&text), plain);
    }
}
