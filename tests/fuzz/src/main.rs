//! One program for all targets; `IDIOLECT_FUZZ_TARGET` names the one that runs. It takes libFuzzer's options.

#![no_main]

use std::sync::OnceLock;

use idiolect_fuzz::allocator::Bounded;
use idiolect_fuzz::mutate::{self, Mutator};
use idiolect_fuzz::properties::{self, Check};

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

/// The target that runs, and what changes its inputs besides libFuzzer.
fn target() -> &'static (Check, Mutator) {
    static TARGET: OnceLock<(Check, Mutator)> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("IDIOLECT_FUZZ_TARGET").unwrap_or_default();
        let Some(check) = properties::named(&name) else {
            let known: Vec<&str> = properties::TARGETS.iter().map(|(name, _)| *name).collect();
            eprintln!("IDIOLECT_FUZZ_TARGET is `{name}`, expected one of {}", known.join(", "));
            std::process::exit(2);
        };
        (check, Mutator::of_target(&name))
    })
}

/// `IDIOLECT_FUZZ_SEEDS` names a folder: the seeds that code makes are written there, and nothing runs.
fn init() {
    if let Some(folder) = std::env::var_os("IDIOLECT_FUZZ_SEEDS") {
        mutate::seeds::write(folder.as_ref()).expect("write the seeds");
        std::process::exit(0);
    }
    target();
    let abort = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // The engine catches the panics of these crates; those that it misses end the run all the same.
        let is_caught = |place: &std::panic::Location<'_>| {
            let crates = ["/tokenizers-", "/spm_precompiled-", "/toktrie-"];
            crates.iter().any(|name| place.file().contains(name))
        };
        if !panic.location().is_some_and(is_caught) {
            abort(panic);
        }
    }));
}

libfuzzer_sys::fuzz_target!(init: init(), |input: &[u8]| target().0(input));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    target().1.mutate(data, size, max_size, seed)
});
