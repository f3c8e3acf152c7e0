//! The text of `--version`.

use idiolect::kernels::Isa;

/// Commit and day of the build, which scripts that release the program hand in.
const COMMIT: Option<&str> = option_env!("IDIOLECT_COMMIT");
const DAY: Option<&str> = option_env!("IDIOLECT_BUILD_DATE");

/// Optional parts of the program and whether they are in it.
const FEATURES: [(&str, bool); 7] = [
    ("serve", cfg!(feature = "serve")),
    ("hub", cfg!(feature = "hub")),
    ("remote", cfg!(feature = "remote")),
    ("parquet", cfg!(feature = "parquet")),
    ("postgres", cfg!(feature = "postgres")),
    ("cuda", cfg!(feature = "cuda")),
    ("metal", cfg!(feature = "metal")),
];

/// The version, what it was built of, and the instruction set that this machine's kernels use.
pub(super) fn long() -> String {
    let marked = |(name, is_in): &(&str, bool)| format!("{}{name}", if *is_in { '+' } else { '-' });
    let features: Vec<String> = FEATURES.iter().map(marked).collect();
    let built = match (COMMIT, DAY) {
        (Some(commit), Some(day)) => format!(" (commit {commit}, {day})"),
        (Some(commit), None) => format!(" (commit {commit})"),
        _ => String::new(),
    };
    let (os, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    format!(
        "{}{built}\nfeatures: {}\nbuilt for: {architecture} {os}\nCPU kernels here: {}",
        env!("CARGO_PKG_VERSION"),
        features.join(" "),
        Isa::detect().name(),
    )
}
